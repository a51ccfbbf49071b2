//! A team's own examples: given these facts, the policies must say this.

use super::{Ask, Policies};
use domain::facts::{AuthorFacts, PolicyCase, Verdict};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Display;

/// What the policies said of an example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseResult {
    /// Name of the example.
    pub name: String,
    /// True if they said what was expected.
    pub passed: bool,
    /// Where they said something else, a sentence each.
    pub differences: Vec<String>,
    /// What they said.
    pub decision: Verdict,
    /// By which policies, if no.
    pub denied_by: BTreeSet<String>,
    /// Which approvals they ask for, as `role:count`.
    pub requires: BTreeSet<String>,
    /// Which policies warned or noted.
    pub warned_by: BTreeSet<String>,
}

/// Asks the policies about an example and compares.
pub fn run_case(policies: &Policies, case: &PolicyCase) -> CaseResult {
    let nobody = || AuthorFacts { name: "somebody".to_owned(), roles: BTreeSet::new() };
    let who = case.by.clone().or_else(|| case.facts.authors.first().cloned());
    let outcome = policies.decide(case.action, &who.unwrap_or_else(nobody), &case.facts);
    let decision = if outcome.allowed() { Verdict::Allow } else { Verdict::Deny };
    let denied_by = outcome.deniers();
    let requires: BTreeSet<String> = outcome.asks().iter().map(Ask::to_string).collect();
    let warned_by: BTreeSet<String> =
        outcome.told.iter().map(|(rule, _)| rule.id.clone()).collect();
    let expect = &case.expect;
    let mut differences = Vec::new();
    if expect.decision != decision {
        let by =
            if denied_by.is_empty() { String::new() } else { format!(" by {}", list(&denied_by)) };
        differences.push(format!("expected {}, got {}{by}", expect.decision.key(), decision.key()));
    }
    for (what, expected, got) in [
        ("denied by", &expect.denied_by, &denied_by),
        ("requires", &expect.requires.as_ref().map(normal), &requires),
        ("warned by", &expect.warned_by, &warned_by),
    ] {
        if let Some(expected) = expected
            && expected != got
        {
            differences.push(format!("{what}: expected {}, got {}", list(expected), list(got)));
        }
    }
    for broken in &outcome.broken {
        differences
            .push(format!("`{}` could not be evaluated: {}", broken.rule.id, broken.problem));
    }
    CaseResult {
        name: case.name.clone(),
        passed: differences.is_empty(),
        differences,
        decision,
        denied_by,
        requires,
        warned_by,
    }
}

/// `finance` means `finance:1`, as in a policy.
fn normal(written: &BTreeSet<String>) -> BTreeSet<String> {
    let one = |text: &String| match super::rule::asks(text) {
        Ok(asks) => asks.iter().map(Ask::to_string).collect(),
        Err(_) => vec![text.clone()],
    };
    written.iter().flat_map(one).collect()
}

fn list<T: Display>(items: &BTreeSet<T>) -> String {
    if items.is_empty() {
        return "nothing".to_owned();
    }
    items.iter().map(|item| format!("`{item}`")).collect::<Vec<_>>().join(", ")
}
