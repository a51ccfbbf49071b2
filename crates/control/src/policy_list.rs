//! The team's policies as people read them: every file, what each policy does, whether
//! the team's own examples hold, and what the policies say of the newest changes.

use crate::caller::Caller;
use crate::problem::Problem;
use crate::{Control, wrong};
use checks::policy::{self, CaseResult, Effect, Policies, Rule};
use domain::change::Change;
use domain::facts::PolicyAction;
use domain::finding::{Finding, Severity};
use domain::ids::ChangeId;
use serde::Serialize;
use std::collections::BTreeMap;
use store::{Kind, Query};

/// So many changes, the newest, are asked about.
pub const LOOKED_AT: u32 = 50;

/// The policies in force on `main`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PoliciesView {
    /// The commit they were read at.
    pub commit: String,
    /// Their files, by path.
    pub files: Vec<PolicyFile>,
    /// The policies, by id.
    pub rules: Vec<RuleView>,
    /// The team's own examples, and what became of them.
    pub examples: Vec<ExampleView>,
    /// What does not read.
    pub findings: Vec<Finding>,
    /// How many of the newest changes the policies were asked about.
    pub looked_at: usize,
    /// Those of them that a policy would stop as it stands.
    pub would_stop: Vec<ChangeId>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyFile {
    /// Its path in the ops repo.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// One policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleView {
    /// Its name.
    pub id: String,
    /// The file it stands in.
    pub path: String,
    /// The line it begins at, from 1.
    pub line: u32,
    /// `deny`, `ask`, `warning` or `note`.
    pub effect: &'static str,
    /// Whose yes it asks for, as `role:count`.
    pub asks: Vec<String>,
    /// Why it is there.
    pub because: String,
    /// What to do about it.
    pub satisfy: String,
    /// The newest changes on which it says something.
    pub speaks_of: Vec<ChangeId>,
}

/// One example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExampleView {
    /// The file it stands in.
    pub path: String,
    /// What became of it.
    #[serde(flatten)]
    pub result: CaseResult,
}

impl Control {
    /// The policies in force, their examples, and what they say of the newest changes.
    ///
    /// # Errors
    /// The store or git could not be read.
    pub async fn policies(&self, _caller: &Caller) -> Result<PoliciesView, Problem> {
        let main = self.main().await?;
        let newest = Query::of(Kind::Change).newest_first().limit(LOOKED_AT);
        let changes = self.store.list::<Change>(newest).await?.items;
        let changes: Vec<Change> = changes.into_iter().map(|c| c.doc).collect();
        // Policies are compiled: not on a thread that serves.
        tokio::task::spawn_blocking(move || {
            let desired = &main.desired;
            let (policies, findings) = policy::compile(&desired.policies);
            let said = Said::of(&policies, &changes);
            let files = desired.policies.iter();
            let cases = desired.policy_cases.iter();
            PoliciesView {
                commit: main.head.to_string(),
                files: files
                    .map(|(path, text)| PolicyFile { path: path.clone(), text: text.clone() })
                    .collect(),
                rules: policies.rules().map(|rule| view(rule, &said)).collect(),
                examples: cases
                    .flat_map(|(path, cases)| cases.iter().map(move |case| (path, case)))
                    .map(|(path, case)| ExampleView {
                        path: path.clone(),
                        result: policy::run_case(&policies, case),
                    })
                    .collect(),
                findings,
                looked_at: said.looked_at,
                would_stop: said.stopped,
            }
        })
        .await
        .map_err(|e| wrong("the policies", &e))
    }
}

/// What the policies say of changes.
#[derive(Default)]
struct Said {
    looked_at: usize,
    stopped: Vec<ChangeId>,
    by_rule: BTreeMap<String, Vec<ChangeId>>,
}

impl Said {
    /// Asks as a merge does: about the facts that were kept with each change, in the name of
    /// who proposed it. Changes whose release never composed have no facts.
    fn of(policies: &Policies, changes: &[Change]) -> Self {
        let mut said = Self::default();
        for change in changes {
            let Some(facts) = &change.facts else { continue };
            let Some(author) = facts.authors.first() else { continue };
            said.looked_at += 1;
            let outcome = policies.decide(PolicyAction::Release, author, facts);
            if !outcome.allowed() {
                said.stopped.push(change.id);
            }
            let spoke = outcome.denied.iter();
            let spoke = spoke.chain(outcome.required.iter().map(|(rule, _)| rule));
            let spoke = spoke.chain(outcome.told.iter().map(|(rule, _)| rule));
            for rule in spoke.chain(outcome.broken.iter().map(|broken| &broken.rule)) {
                said.by_rule.entry(rule.id.clone()).or_default().push(change.id);
            }
        }
        said
    }
}

fn view(rule: &Rule, said: &Said) -> RuleView {
    let (effect, asks) = match &rule.effect {
        Effect::Deny => ("deny", Vec::new()),
        Effect::Require(asks) => ("ask", asks.iter().map(ToString::to_string).collect()),
        Effect::Tell(Severity::Note) => ("note", Vec::new()),
        Effect::Tell(_) => ("warning", Vec::new()),
    };
    RuleView {
        id: rule.id.clone(),
        path: rule.file.clone(),
        line: rule.line,
        effect,
        asks,
        because: rule.because.clone(),
        satisfy: rule.satisfy.clone(),
        speaks_of: said.by_rule.get(&rule.id).cloned().unwrap_or_default(),
    }
}
