//! Policies of a team, written in Cedar: who may change what, what a release
//! must carry, and whose yes it needs.
//!
//! ```cedar
//! @id("cost-spike-needs-finance")
//! @because("it costs over 20 % more a request")
//! @requires("finance:1")
//! forbid (principal, action == Action::"release", resource)
//! when { context.cost has change_percent && context.cost.change_percent > 20 };
//! ```
//!
//! What must stay true:
//! - Every policy is a `forbid`: what none forbids is allowed. So policies only
//!   ever add, two sets together are stricter than each alone, and none opens
//!   what the core keeps shut (authors and agents never approve).
//! - A policy that fails while it is evaluated denies. Cedar itself would skip
//!   it, which is right for a `permit` and wrong for a `forbid`.
//! - What is unknown is absent; Cedar's strict check refuses policies that do
//!   not ask `has` first, so nothing unknown is ever read as 0.
//!
//! Cost: one evaluation visits every policy once; so it grows with their number
//! and length, both of which are bounded.

mod cases;
mod compile;
mod gate;
mod request;
mod rule;
mod scan;
mod words;

pub use cases::{CaseResult, run_case};
pub use compile::{MAX_FILE_LEN, MAX_FILES, MAX_POLICIES, compile};
pub use gate::{Other, PolicyInput, gate, requirements};
pub use rule::{ANNOTATIONS, Ask, Effect, MAX_COUNT, MAX_ID, Rule};
pub use scan::{MAX_DEPTH, MAX_OPERATORS, MAX_POLICY_LEN};

use cedar_policy::{Authorizer, Decision, PolicySet, Schema};
use domain::facts::{AuthorFacts, Facts, PolicyAction};
use domain::finding::Severity;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::OnceLock;

/// The schema that policies are checked against, with comments.
pub const SCHEMA: &str = include_str!("schema.cedarschema");
/// Name of the only `permit` there is, which is ours.
const ALLOWED: &str = "tidegate:allowed-unless-forbidden";
/// Stack for Cedar, in bytes; see [`with_stack`].
const STACK: usize = 16 * 1024 * 1024;

/// Policies that were read and checked.
#[derive(Clone, Default)]
pub struct Policies {
    rules: BTreeMap<String, Rule>,
    set: PolicySet,
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Policies").field(&self.rules.keys()).finish()
    }
}

/// A policy that could not be evaluated, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The policy.
    pub rule: Rule,
    /// What went wrong.
    pub problem: String,
}

/// What policies say of one question: every policy that matches, by its id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Those that deny.
    pub denied: Vec<Rule>,
    /// Those that ask for approvals.
    pub required: Vec<(Rule, Vec<Ask>)>,
    /// Those that warn or note.
    pub told: Vec<(Rule, Severity)>,
    /// Those that failed; they count as denials.
    pub broken: Vec<Broken>,
}

impl Outcome {
    /// True if nothing forbids it, approvals left aside.
    pub fn allowed(&self) -> bool {
        self.denied.is_empty() && self.broken.is_empty()
    }

    /// Ids of the policies that say no.
    pub fn deniers(&self) -> BTreeSet<String> {
        let broken = self.broken.iter().map(|b| &b.rule);
        self.denied.iter().chain(broken).map(|rule| rule.id.clone()).collect()
    }

    /// What is asked for, the most of each role.
    pub fn asks(&self) -> BTreeSet<Ask> {
        let mut most: BTreeMap<_, u32> = BTreeMap::new();
        for ask in self.required.iter().flat_map(|(_, asks)| asks) {
            let count = most.entry(ask.role).or_default();
            *count = ask.count.max(*count);
        }
        most.into_iter().map(|(role, count)| Ask { role, count }).collect()
    }
}

impl Policies {
    /// The policies, by id.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What the policies say of `who` doing `action`, the facts being these.
    pub fn decide(&self, action: PolicyAction, who: &AuthorFacts, facts: &Facts) -> Outcome {
        if self.rules.is_empty() {
            return Outcome::default();
        }
        with_stack(|| self.evaluate(action, who, facts))
    }

    fn evaluate(&self, action: PolicyAction, who: &AuthorFacts, facts: &Facts) -> Outcome {
        let mut outcome = Outcome::default();
        let (request, entities) = match request::of(action, who, facts) {
            Ok(asked) => asked,
            Err(problem) => return self.all_broken(&problem),
        };
        let answer = Authorizer::new().is_authorized(&request, &self.set, &entities);
        for error in answer.diagnostics().errors() {
            let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
            let id: &str = error.policy_id().as_ref();
            if let Some(rule) = self.rules.get(id) {
                let problem = error.inner().to_string();
                outcome.broken.push(Broken { rule: rule.clone(), problem });
            }
        }
        if answer.decision() == Decision::Deny {
            let ids = answer.diagnostics().reason().map(AsRef::<str>::as_ref);
            for rule in ids.filter_map(|id| self.rules.get(id)) {
                match &rule.effect {
                    Effect::Deny => outcome.denied.push(rule.clone()),
                    Effect::Require(asks) => outcome.required.push((rule.clone(), asks.clone())),
                    Effect::Tell(severity) => outcome.told.push((rule.clone(), *severity)),
                }
            }
        }
        // Cedar keeps reasons in a hash set.
        outcome.denied.sort_by(|a, b| a.id.cmp(&b.id));
        outcome.required.sort_by(|a, b| a.0.id.cmp(&b.0.id));
        outcome.told.sort_by(|a, b| a.0.id.cmp(&b.0.id));
        outcome.broken.sort_by(|a, b| a.rule.id.cmp(&b.rule.id));
        outcome
    }

    /// A question that cannot be put is one that no policy allowed.
    fn all_broken(&self, problem: &str) -> Outcome {
        let broken = |rule: &Rule| Broken { rule: rule.clone(), problem: problem.to_owned() };
        Outcome { broken: self.rules.values().map(broken).collect(), ..Outcome::default() }
    }
}

/// The schema, read once.
fn schema() -> Result<&'static Schema, String> {
    static READ: OnceLock<Result<Schema, String>> = OnceLock::new();
    READ.get_or_init(|| {
        Schema::from_cedarschema_str(SCHEMA).map(|(schema, _)| schema).map_err(|e| e.to_string())
    })
    .as_ref()
    .map_err(Clone::clone)
}

/// Runs Cedar with room on the stack: it descends into what people wrote, whose
/// depth is bounded by [`scan`], and callers' threads may be small.
fn with_stack<T>(work: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(STACK, STACK, work)
}

#[cfg(test)]
mod tests;
