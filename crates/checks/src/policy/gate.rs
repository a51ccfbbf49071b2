//! The gate `policy`: what the team's policies say of a change.
//!
//! Two sets are asked: the branch's and the one in force on `main`. Both must
//! allow, and what either asks for is asked. So a change that weakens a policy
//! is still judged by the policy as it was; the weaker one holds from its merge.

use super::{Ask, Outcome, Policies, Rule, run_case};
use crate::finding::finding;
use domain::approval::Requirement;
use domain::facts::{AuthorFacts, Facts, PolicyAction, PolicyCase};
use domain::finding::{Finding, GateOutcome, GateResult, Place, Severity, Tier};
use std::collections::BTreeMap;

const NAME: &str = "policy";
const TITLE: &str = "What the team's policies say";

/// What the gate looks at.
#[derive(Debug, Clone, Copy)]
pub struct PolicyInput<'a> {
    /// The facts; absent if the release could not be put together.
    pub facts: Option<&'a Facts>,
    /// The branch's policies.
    pub branch: &'a Policies,
    /// What is wrong with their files.
    pub faults: &'a [Finding],
    /// The policies in force on `main`.
    pub main: &'a Policies,
    /// What is wrong with the files on `main`.
    pub main_faults: &'a [Finding],
    /// True if the change edits policies or their examples.
    pub edited: bool,
    /// The branch's examples, by file. Run if the change edits policies.
    pub cases: &'a BTreeMap<String, Vec<PolicyCase>>,
    /// Changes decided before, newest first. Looked at if the change edits
    /// policies.
    pub others: &'a [Other],
}

/// A change that was checked before.
#[derive(Debug, Clone, PartialEq)]
pub struct Other {
    /// How people name it.
    pub name: String,
    /// What was known of it.
    pub facts: Facts,
}

/// The gate.
pub fn gate(input: &PolicyInput<'_>) -> GateResult {
    let mut findings = input.faults.to_vec();
    if input.edited {
        findings.extend(input.cases.iter().flat_map(|(file, cases)| failed(input, file, cases)));
        findings.extend(decided_otherwise(input));
    }
    if !input.main_faults.is_empty() {
        findings.push(unread_on_main(input.main_faults));
    }
    let Some(facts) = input.facts else {
        let summary = "The release could not be put together, so no policy was asked about it.";
        return skipped_if_clean(summary, findings);
    };
    if input.branch.is_empty() && input.main.is_empty() {
        return skipped_if_clean("There are no policies.", findings);
    }
    let before = findings.len();
    findings.extend(asked(input, facts));
    let stopped = findings.iter().skip(before).any(|f| f.severity == Severity::Error);
    let needs = requirements(facts, input.branch, input.main).len();
    let policies = match input.branch.len() {
        1 => "1 policy was asked".to_owned(),
        n => format!("{n} policies were asked"),
    };
    let said = match (stopped, needs) {
        (true, _) => "at least one says no",
        (false, 0) => "none says no",
        (false, _) => "none says no, some ask for approvals",
    };
    GateResult::of(NAME, TITLE, Tier::Static, format!("{policies}; {said}."), findings)
}

fn skipped_if_clean(summary: &str, findings: Vec<Finding>) -> GateResult {
    let mut result = GateResult::of(NAME, TITLE, Tier::Static, summary, findings);
    if result.findings.is_empty() {
        result.outcome = GateOutcome::Skipped;
    }
    result
}

/// Whose yes the policies ask for: what the branch's and what `main`'s do.
pub fn requirements(facts: &Facts, branch: &Policies, main: &Policies) -> Vec<Requirement> {
    let Some(author) = facts.authors.first() else { return Vec::new() };
    let mut most: BTreeMap<(String, domain::people::Role), (u32, String)> = BTreeMap::new();
    for set in [main, branch] {
        for (rule, asks) in set.decide(PolicyAction::Release, author, facts).required {
            for Ask { role, count } in asks {
                let reason = match rule.because.as_str() {
                    "" => format!("policy `{}` asks for it", rule.id),
                    because => format!("policy `{}`: {because}", rule.id),
                };
                let need = most.entry((rule.id.clone(), role)).or_insert((count, reason));
                need.0 = need.0.max(count);
            }
        }
    }
    most.into_iter()
        .map(|((policy, role), (count, reason))| Requirement {
            role,
            count,
            reason,
            policy: Some(policy),
        })
        .collect()
}

/// What both sets say of the release and of everybody who proposed it.
fn asked(input: &PolicyInput<'_>, facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for (set, on_main) in [(input.branch, false), (input.main, true)] {
        for (action, who, outcome) in answers(set, facts) {
            for finding in told(action, who, &outcome, on_main) {
                let known = findings.iter().any(|f| same(f, &finding));
                if !known {
                    findings.push(finding);
                }
            }
        }
    }
    findings
}

/// The same policy saying the same on the branch and on `main`, where it may
/// stand on another line.
fn same(a: &Finding, b: &Finding) -> bool {
    a.code == b.code && a.severity == b.severity && plain(&a.message) == plain(&b.message)
}

fn plain(message: &str) -> &str {
    message.trim_end_matches(AS_ON_MAIN)
}

const AS_ON_MAIN: &str = " (as it is on `main`)";

fn answers<'f>(set: &Policies, facts: &'f Facts) -> Vec<(PolicyAction, &'f AuthorFacts, Outcome)> {
    let release = facts.authors.first().map(|author| (PolicyAction::Release, author));
    let propose = facts.authors.iter().map(|author| (PolicyAction::Propose, author));
    release
        .into_iter()
        .chain(propose)
        .map(|(action, who)| (action, who, set.decide(action, who, facts)))
        .collect()
}

fn told(action: PolicyAction, who: &AuthorFacts, outcome: &Outcome, main: bool) -> Vec<Finding> {
    let suffix = if main { AS_ON_MAIN } else { "" };
    let what = match action {
        PolicyAction::Release => "this release".to_owned(),
        other => format!("`{}` {}", who.name, other.words()),
    };
    let of = |rule: &Rule, severity, code: &str, verb: &str, mend: &str| {
        let message = format!("policy `{}` {verb} {what}{suffix}", rule.id);
        let because = if rule.because.is_empty() {
            "The team's policy says so; `@because` in it would say why."
        } else {
            rule.because.as_str()
        };
        let mut found = finding(severity, code, message).file(&rule.file).because(because, mend);
        found.place =
            Some(Place { file: rule.file.clone(), line: Some(rule.line), ..Place::default() });
        found
    };
    let mut findings = Vec::new();
    for rule in &outcome.denied {
        findings.push(of(rule, Severity::Error, "policy_denied", "forbids", &rule.satisfy));
    }
    for broken in &outcome.broken {
        let mend = format!("mend the policy: {}", broken.problem);
        let verb = "could not be evaluated, which counts as a no, for";
        findings.push(of(&broken.rule, Severity::Error, "policy_failed", verb, &mend));
    }
    for (rule, severity) in &outcome.told {
        findings.push(of(rule, *severity, "policy_warned", "has a word on", &rule.satisfy));
    }
    for (rule, asks) in &outcome.required {
        let asks: Vec<String> = asks.iter().map(|a| format!("{} × {}", a.count, a.role)).collect();
        let verb = format!("asks for {} before", asks.join(" and "));
        findings.push(of(rule, Severity::Note, "policy_requires", &verb, &rule.satisfy));
    }
    findings
}

/// Examples of the branch that its policies do not keep.
fn failed(input: &PolicyInput<'_>, file: &str, cases: &[PolicyCase]) -> Vec<Finding> {
    let results = cases.iter().map(|case| run_case(input.branch, case));
    results
        .filter(|result| !result.passed)
        .map(|result| {
            let message =
                format!("the example `{}` fails: {}", result.name, result.differences.join("; "));
            finding(Severity::Error, "policy_example_failed", message).file(file).because(
                "The examples say what the team meant; a policy that breaks one means something else.",
                "mend the policy, or the example if the team means something else now; `tidegate policy test` runs them",
            )
        })
        .collect()
}

/// Which changes the branch's policies would have decided differently.
fn decided_otherwise(input: &PolicyInput<'_>) -> Option<Finding> {
    let lines: Vec<String> = input
        .others
        .iter()
        .filter_map(|other| {
            let before = verdict(input.main, &other.facts);
            let after = verdict(input.branch, &other.facts);
            (before != after).then(|| format!("{}: {before} → {after}", other.name))
        })
        .collect();
    let asked = match input.others.len() {
        0 => return None,
        1 => "the last change".to_owned(),
        n => format!("the last {n} changes"),
    };
    let message = match lines.as_slice() {
        [] => format!("of {asked}, none would have been decided differently"),
        some => format!(
            "of {asked}, {} would have been decided differently: {}",
            some.len(),
            some.join("; ")
        ),
    };
    Some(finding(Severity::Note, "decided_differently", message).because(
        "A policy is easier to judge by what it would have done.",
        "nothing, if that is what is meant",
    ))
}

/// What a set of policies says of a change, in short.
fn verdict(set: &Policies, facts: &Facts) -> String {
    let answers = answers(set, facts);
    let deniers: std::collections::BTreeSet<String> =
        answers.iter().flat_map(|(.., outcome)| outcome.deniers()).collect();
    if !deniers.is_empty() {
        return format!("denied by {}", deniers.into_iter().collect::<Vec<_>>().join(", "));
    }
    let asks: Vec<String> = answers
        .iter()
        .filter(|(action, ..)| *action == PolicyAction::Release)
        .flat_map(|(.., outcome)| outcome.asks())
        .map(|ask| ask.to_string())
        .collect();
    if asks.is_empty() { "allowed".to_owned() } else { format!("needs {}", asks.join(", ")) }
}

fn unread_on_main(faults: &[Finding]) -> Finding {
    let first = faults.first().map_or("", |f| f.message.as_str());
    let message = format!("some policies on `main` cannot be read: {first}");
    let mut found = finding(Severity::Warning, "main_policies_unread", message).because(
        "They were not asked about this change.",
        "mend them in a change of their own; `tidegate policy check` names each fault",
    );
    found.place = faults.first().and_then(|f| f.place.clone());
    found
}
