//! The team's policies, asked about a change and about its approvers.
//!
//! Judging is `checks::policy`; here is where its inputs come from. Policies of
//! the branch and those in force on `main` are both asked, so a change cannot
//! weaken what it is judged by.

use crate::caller::Caller;
use crate::facts::{Known, app_facts, facts_of, today};
use crate::git::blocking;
use crate::problem::{Problem, ProblemKind};
use crate::records::ReleaseRecord;
use crate::{Control, wrong};
use checks::model_entry::{self, ModelEntry};
use checks::policy::{self, Policies, PolicyInput, Rule};
use domain::approval::{self, Requirement};
use domain::change::Change;
use domain::component::ComponentKind;
use domain::facts::{AuthorFacts, CallFacts, Facts, PolicyAction};
use domain::finding::{Finding, GateOutcome, GateResult, Severity};
use domain::ids::AppName;
use domain::manifest::Release;
use domain::snapshot::ModelContent;
use domain::units::Timestamp;
use opsrepo::{CommitId, Desired};
use std::collections::BTreeSet;

/// A change, as policies are asked about it.
pub(crate) struct Asked<'a> {
    pub(crate) app: &'a AppName,
    pub(crate) branch: &'a Desired,
    pub(crate) main: &'a Desired,
    pub(crate) release: Option<&'a Release>,
    pub(crate) production: Option<&'a ReleaseRecord>,
    pub(crate) paths: &'a BTreeSet<String>,
    pub(crate) known: &'a Known,
}

/// What they say.
pub(crate) struct PolicyPart {
    /// What they were told; absent if the release does not compose.
    pub(crate) facts: Option<Facts>,
    /// Whose yes they ask for.
    pub(crate) requirements: Vec<Requirement>,
    /// The gate `policy`.
    pub(crate) gate: GateResult,
    /// The gate `model-entry`.
    pub(crate) model: GateResult,
}

/// Asks them.
pub(crate) fn part(asked: &Asked<'_>, now: Timestamp) -> PolicyPart {
    let facts = asked.release.and_then(|release| {
        let Asked { app, branch, main, production, paths, known, .. } = asked;
        facts_of(app, (branch, main), release, *production, paths, known, now)
    });
    let (branch, faults) = policy::compile(&asked.branch.policies);
    let (main, main_faults) = policy::compile(&asked.main.policies);
    let gate = policy::gate(&PolicyInput {
        facts: facts.as_ref(),
        branch: &branch,
        faults: &faults,
        main: &main,
        main_faults: &main_faults,
        edited: asked.paths.iter().any(|path| path.starts_with("policies/")),
        cases: &asked.branch.policy_cases,
        others: &asked.known.others,
    });
    let requirements = facts.as_ref().map(|f| policy::requirements(f, &branch, &main));
    let requirements = requirements.unwrap_or_default();
    PolicyPart { facts, requirements, gate, model: model_gate(asked, now) }
}

impl PolicyPart {
    /// Asks the same about the variants of the app's experiments: they are
    /// started without another look, so whatever stands against one of them
    /// stands against the change that brings it.
    pub(crate) fn and_variants(&mut self, asked: &Asked<'_>, now: Timestamp) {
        let spec = asked.branch.apps.get(asked.app);
        let mut known: BTreeSet<_> = asked.release.map(|release| release.id).into_iter().collect();
        for name in spec.into_iter().flat_map(|spec| spec.experiments.keys()) {
            let variants = asked.branch.compose_variants(asked.app, name).unwrap_or_default();
            for variant in variants.iter().filter(|variant| known.insert(variant.id)) {
                let said = part(&Asked { release: Some(variant), ..*asked }, now);
                join(&mut self.gate, said.gate);
                join(&mut self.model, said.model);
                for need in said.requirements {
                    if !self.requirements.contains(&need) {
                        self.requirements.push(need);
                    }
                }
            }
        }
    }
}

/// The findings of both, and the worse outcome.
fn join(gate: &mut GateResult, other: GateResult) {
    for finding in other.findings {
        if !gate.findings.contains(&finding) {
            gate.findings.push(finding);
        }
    }
    let rank = |outcome| match outcome {
        GateOutcome::Failed => 2,
        GateOutcome::Warned => 1,
        _ => 0,
    };
    if rank(other.outcome) > rank(gate.outcome) {
        gate.outcome = other.outcome;
        gate.summary = other.summary;
    }
}

/// Whether the model may be used at all.
fn model_gate(asked: &Asked<'_>, now: Timestamp) -> GateResult {
    let contents = asked.release.and_then(|r| r.contents.get(&ComponentKind::Model));
    let content = contents.and_then(|c| serde_json::from_value::<ModelContent>(c.clone()).ok());
    let live = asked.production.and_then(|p| p.manifest.components.get(&ComponentKind::Model));
    let proposed = asked.release.and_then(|r| r.manifest.components.get(&ComponentKind::Model));
    let model = proposed.and_then(|model| asked.branch.models.get_key_value(&model.name));
    let entry = content.as_ref().zip(model).map(|(content, (name, spec))| ModelEntry {
        name,
        content,
        snapshot: spec.snapshot.as_deref(),
        deprecated_on: spec.deprecated_on.as_deref(),
        new: live != proposed,
        today: today(now),
    });
    model_entry::gate(entry.as_ref())
}

impl Control {
    /// Asks the policies in force on `main` once more before a merge: they may
    /// have become stricter while the change waited.
    pub(crate) async fn policies_still_allow(
        &self,
        change: &Change,
    ) -> Result<Option<Finding>, Problem> {
        let Some(facts) = change.facts.clone() else { return Ok(None) };
        let main = self.main().await?;
        let (needs, denied) = tokio::task::spawn_blocking(move || {
            let policies = main.policies();
            let author = facts.authors.first().cloned();
            let denied = author.map(|a| policies.decide(PolicyAction::Release, &a, &facts));
            (policy::requirements(&facts, policies, policies), denied)
        })
        .await
        .map_err(|e| wrong("the policies", &e))?;
        let authors = change.contributors.iter().chain([&change.author]).cloned().collect();
        let open = approval::missing(&needs, &change.approvals, &authors, change.content);
        let deniers = denied.map(|outcome| outcome.deniers()).unwrap_or_default();
        let ids = deniers.into_iter().chain(open.into_iter().filter_map(|need| need.policy));
        let ids: BTreeSet<String> = ids.map(|id| format!("`{id}`")).collect();
        if ids.is_empty() {
            return Ok(None);
        }
        let named = ids.into_iter().collect::<Vec<_>>().join(", ");
        Ok(Some(Finding {
            code: "policies_moved".to_owned(),
            severity: Severity::Error,
            place: None,
            message: format!("policies that came into force since it was checked stop it: {named}"),
            explanation: "A release is judged by the policies that are in force when it is merged."
                .to_owned(),
            mend:
                "bring the branch up to date with `main` and send it again, to be checked by them"
                    .to_owned(),
            replacement: None,
            excerpt: None,
        }))
    }

    /// Refuses a yes that a policy forbids. A no is never forbidden.
    pub(crate) async fn policies_allow_yes(
        &self,
        caller: &Caller,
        change: &Change,
    ) -> Result<(), Problem> {
        let Some(facts) = change.facts.clone() else { return Ok(()) };
        let head: CommitId = change.head.parse().map_err(|e| wrong("git", &e))?;
        let who =
            AuthorFacts { name: caller.name().to_string(), roles: caller.person.roles.clone() };
        let main = self.main().await?;
        let repo = self.repo.clone();
        let denied = blocking(move || {
            let branch = opsrepo::parse(&repo.files(head)?).0;
            let (branch, _) = policy::compile(&branch.policies);
            let action = PolicyAction::Approve;
            Ok([&branch, main.policies()].into_iter().find_map(|p| deny(p, action, &who, &facts)))
        })
        .await?;
        denied.map_or(Ok(()), |rule| Err(policy_denied(&rule, caller, PolicyAction::Approve)))
    }

    /// Refuses what a policy in force on `main` forbids, after the role allowed
    /// it. Never asked about what stops harm: a policy that is wrong, or git that
    /// is away, must not keep anybody from that.
    pub(crate) async fn policies_allow(
        &self,
        caller: &Caller,
        action: PolicyAction,
        app: Option<&AppName>,
    ) -> Result<(), Problem> {
        let main = self.main().await?;
        if main.policies().is_empty() {
            return Ok(());
        }
        let who =
            AuthorFacts { name: caller.name().to_string(), roles: caller.person.roles.clone() };
        let spec = app.and_then(|app| Some((app, main.desired.apps.get(app)?)));
        let facts = Facts {
            app: spec.map(|(app, spec)| app_facts(app, spec)).unwrap_or_default(),
            call: CallFacts::at(self.clock.now(), caller.token.is_some()),
            ..Facts::default()
        };
        let denied =
            tokio::task::spawn_blocking(move || deny(main.policies(), action, &who, &facts))
                .await
                .map_err(|e| wrong("the policies", &e))?;
        denied.map_or(Ok(()), |rule| Err(policy_denied(&rule, caller, action)))
    }
}

/// The first policy that says no.
fn deny(
    policies: &Policies,
    action: PolicyAction,
    who: &AuthorFacts,
    facts: &Facts,
) -> Option<Rule> {
    let outcome = policies.decide(action, who, facts);
    let broken = outcome.broken.into_iter().map(|broken| broken.rule);
    outcome.denied.into_iter().chain(broken).next()
}

fn policy_denied(rule: &Rule, caller: &Caller, action: PolicyAction) -> Problem {
    let because =
        if rule.because.is_empty() { String::new() } else { format!(": {}", rule.because) };
    let (id, words) = (&rule.id, action.words());
    Problem::new(
        ProblemKind::NotAllowed,
        "policy_denied",
        format!("policy `{id}` forbids `{}` {words}{because}", caller.name()),
        match rule.satisfy.as_str() {
            "" if action == PolicyAction::Approve => "ask another approver",
            "" => "ask whoever owns the policy",
            satisfy => satisfy,
        },
    )
}
