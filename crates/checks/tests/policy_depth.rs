//! The deepest policies that are read need no more stack than any thread has.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

use domain::facts::{AuthorFacts, Facts, PolicyAction};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_checks::policy::{MAX_DEPTH, MAX_OPERATORS, compile};

/// Half of what a thread of the server has, in bytes.
const STACK: usize = 1 << 20;

#[test]
fn the_deepest_policies_that_are_read_fit_any_stack() {
    let (deep, long) = (MAX_DEPTH - 2, MAX_OPERATORS - 2);
    for (body, reads) in [
        (format!("{}true{}", "(".repeat(deep), ")".repeat(deep)), true),
        (format!("true{}", "&&true".repeat(long)), true),
        (format!("1{} > 0", "+1".repeat(long - 1)), true),
        (format!("{}true", "if context.first then true else ".repeat(deep - 8)), true),
        (format!("context{}", ".a".repeat(long)), false),
        (format!("{}1{} == 1", "[".repeat(deep), "]".repeat(deep)), false),
    ] {
        let head = "@id(\"a\") @satisfy(\"b\") forbid (principal, action == Action::\"release\", resource)";
        let files = BTreeMap::from([("a.cedar".to_owned(), format!("{head} when {{ {body} }};"))]);
        let run = move || {
            let (policies, findings) = compile(&files);
            let who = AuthorFacts { name: "ana".to_owned(), roles: BTreeSet::new() };
            let outcome = policies.decide(PolicyAction::Release, &who, &Facts::default());
            assert_eq!(findings.is_empty(), reads, "{body} {findings:?}");
            assert_eq!(outcome.denied.len() + outcome.broken.len(), usize::from(reads), "{body}");
        };
        std::thread::Builder::new().stack_size(STACK).spawn(run).unwrap().join().unwrap();
    }
}
