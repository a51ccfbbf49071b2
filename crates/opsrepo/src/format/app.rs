//! `apps/<app>/app.yaml`: whose app this is, what it is given, what it must
//! answer, and who must say yes to its changes.

use super::release::{Inline, not_canonical};
use super::{Fault, Format, prompt::PromptSpec, release::ReleaseSpec};
use checks::scan::terms::{MAX_TERM_BYTES, MAX_TERMS};
use domain::approval::Requirement;
use domain::experiment::ExperimentPolicy;
use domain::fallback::Fallback;
use domain::people::Role;
use domain::policy::RolloutPolicy;
use domain::snapshot::{OnError, Variable};
use domain::suite::Suite;
use domain::units::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most different people a change may be made to wait for.
const MAX_APPROVALS: u32 = 10;
/// Most retries before the first byte.
const MAX_RETRIES: u32 = 5;
/// Longest time a provider may be given for one answer.
const MAX_TIMEOUT: Span = Span::from_secs(600);

/// What a bad answer would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// A nuisance.
    Low,
    /// Work lost or a customer annoyed.
    Medium,
    /// Money, health, law or reputation.
    High,
}

/// Who reads the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Colleagues, who can tell a bad answer.
    Internal,
    /// Customers.
    Customer,
}

/// Everything the repository says about one app.
#[derive(Debug, Clone, PartialEq)]
pub struct AppSpec {
    /// Team or person to ask.
    pub owner: String,
    /// What a bad answer would do.
    pub risk: Risk,
    /// Who reads the answers.
    pub audience: Audience,
    /// Free words for filters and reports.
    pub labels: BTreeMap<String, String>,
    /// What requests give to the templates.
    pub variables: BTreeMap<String, Variable>,
    /// Who must say yes to a change: as written, or [`default_requirements`].
    pub requirements: Vec<Requirement>,
    /// What users get when the provider fails.
    pub on_error: OnError,
    /// Longest a provider may take for one answer.
    pub timeout: Span,
    /// Largest number of retries of a failed call before the first byte.
    pub retries: u32,
    /// Words that prompts, examples and settings must not say.
    pub forbidden_terms: Vec<String>,
    /// The classifier of `tidegate.yaml` that its prompts are shown to.
    pub classifier: Option<String>,
    /// The contract of the answers, if there is one.
    pub answer: Option<Inline>,
    /// `release.yaml`; absent if missing or faulty.
    pub release: Option<ReleaseSpec>,
    /// `prompts/<name>/`, those that read.
    pub prompts: BTreeMap<String, PromptSpec>,
    /// Partials every template of the app may include: `prompts/_shared/` of
    /// the repository, over which those of the app win.
    pub partials: BTreeMap<String, String>,
    /// `rollout.yaml`; absent if missing or faulty.
    pub rollout: Option<RolloutPolicy>,
    /// `fallback.yaml`, if there is one.
    pub fallback: Option<Fallback>,
    /// `evals/<name>.yaml`, those that read, by name.
    pub suites: BTreeMap<String, Suite>,
    /// `experiments/<name>.yaml`, those that read.
    pub experiments: BTreeMap<String, ExperimentPolicy>,
}

/// Who must say yes when `app.yaml` names nobody: one approver; two different
/// ones where risk is high or customers read the answers.
pub fn default_requirements(risk: Risk, audience: Audience) -> Vec<Requirement> {
    let (count, reason) = match (risk, audience) {
        (Risk::High, _) => (2, "the app's risk is high, so two people look at every change"),
        (_, Audience::Customer) => {
            (2, "customers read the answers, so two people look at every change")
        }
        _ => (1, "somebody else looks at every change"),
    };
    vec![Requirement { role: Role::Approver, count, reason: reason.to_owned(), policy: None }]
}

/// The file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppFile {
    #[serde(rename = "apiVersion")]
    api_version: String,
    pub(crate) owner: String,
    pub(crate) risk: Risk,
    pub(crate) audience: Audience,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) variables: BTreeMap<String, Variable>,
    #[serde(default)]
    pub(crate) answer: Option<Inline>,
    #[serde(default)]
    pub(crate) approvals: Option<Vec<ApprovalRule>>,
    #[serde(default)]
    pub(crate) on_error: OnError,
    #[serde(default = "default_timeout")]
    pub(crate) timeout: Span,
    #[serde(default = "default_retries")]
    pub(crate) retries: u32,
    #[serde(default)]
    pub(crate) forbidden_terms: Vec<String>,
    #[serde(default)]
    pub(crate) classifier: Option<String>,
}

/// One line of `approvals`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApprovalRule {
    role: Role,
    #[serde(default = "one")]
    count: u32,
    #[serde(default)]
    reason: Option<String>,
}

fn one() -> u32 {
    1
}

fn default_timeout() -> Span {
    Span::from_secs(30)
}

fn default_retries() -> u32 {
    1
}

impl AppFile {
    /// As written, or the default of risk and audience.
    pub(crate) fn requirements(&self) -> Vec<Requirement> {
        match &self.approvals {
            None => default_requirements(self.risk, self.audience),
            Some(rules) => rules
                .iter()
                .map(|rule| Requirement {
                    role: rule.role,
                    count: rule.count,
                    reason: rule
                        .reason
                        .clone()
                        .unwrap_or_else(|| "`app.yaml` of the app asks for it".to_owned()),
                    policy: None,
                })
                .collect(),
        }
    }
}

impl Format for AppFile {
    const REQUIRED: &'static [&'static str] = &["apiVersion", "owner", "risk", "audience"];

    fn api_version(&self) -> &str {
        &self.api_version
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.owner.trim().is_empty() {
            faults.push(Fault::new(
                "owner",
                "empty_text",
                "`owner` is empty",
                "name the team or person to ask about this app",
            ));
        }
        for (i, rule) in self.approvals.iter().flatten().enumerate() {
            if !Role::APPROVING.contains(&rule.role) {
                faults.push(
                    Fault::new(
                        format!("approvals[{i}].role"),
                        "role_cannot_approve",
                        format!("`{}` is not a role that approves changes", rule.role),
                        "write `approver` or `finance`",
                    )
                    .replace(Some("approver")),
                );
            }
            if !(1..=MAX_APPROVALS).contains(&rule.count) {
                faults.push(Fault::new(
                    format!("approvals[{i}].count"),
                    "out_of_range",
                    format!(
                        "`count` is {}; at least 1 and at most {MAX_APPROVALS} people can be asked",
                        rule.count
                    ),
                    "write how many different people must say yes",
                ));
            }
        }
        if self.approvals.as_ref().is_some_and(Vec::is_empty) {
            faults.push(Fault::new(
                "approvals",
                "empty_list",
                "`approvals` is empty, so changes would go live with nobody looking",
                "remove the key for the default of this risk and audience, or ask for at least one approver",
            ));
        }
        let asks_approver = |rules: &[ApprovalRule]| {
            rules.is_empty() || rules.iter().any(|rule| rule.role == Role::Approver)
        };
        if !self.approvals.as_deref().is_none_or(asks_approver) {
            faults.push(Fault::new(
                "approvals",
                "role_cannot_approve",
                "`approvals` asks no `approver`, so nobody would judge what the change does",
                "add `{role: approver, count: 1}`",
            ));
        }
        if self.retries > MAX_RETRIES {
            faults.push(Fault::new(
                "retries",
                "out_of_range",
                format!("`retries` is {}; at most {MAX_RETRIES} help", self.retries),
                format!("write a number from 0 to {MAX_RETRIES}"),
            ));
        }
        faults.extend(unusable_terms(&self.forbidden_terms));
        if self.timeout == Span::ZERO || self.timeout > MAX_TIMEOUT {
            faults.push(Fault::new(
                "timeout",
                "out_of_range",
                format!("a `timeout` of {} is out of range", self.timeout),
                format!("write more than nothing and at most `{MAX_TIMEOUT}`; `30s` is usual"),
            ));
        }
        faults.extend(self.variables.keys().filter(|name| !is_variable(name)).map(|name| {
            Fault::new(
                format!("variables.{name}"),
                "bad_variable_name",
                format!("`{name}` cannot be used as a variable in a template"),
                "use letters, digits and `_`, beginning with a letter, and not `message`",
            )
        }));
        faults.extend(not_canonical("variables", &self.variables));
        if let Some(answer) = &self.answer {
            faults.extend(answer.faults("answer"));
        }
        faults
    }
}

/// Terms that no text could be searched for.
fn unusable_terms(terms: &[String]) -> Vec<Fault> {
    let mut faults = Vec::new();
    if terms.len() > MAX_TERMS {
        faults.push(Fault::new(
            "forbidden_terms",
            "out_of_range",
            format!(
                "`forbidden_terms` has {} terms; at most {MAX_TERMS} are searched for",
                terms.len()
            ),
            "keep those that matter",
        ));
    }
    for (i, term) in terms.iter().enumerate() {
        let is = match term.trim().len() {
            0 => "is empty".to_owned(),
            n if n > MAX_TERM_BYTES => {
                format!("has {n} bytes; at most {MAX_TERM_BYTES} are searched for")
            }
            _ => continue,
        };
        faults.push(Fault::new(
            format!("forbidden_terms[{i}]"),
            "out_of_range",
            format!("this term {is}"),
            "write a word or a short phrase",
        ));
    }
    faults
}

/// True if templates can use this as a variable. `message` is taken: it is the
/// user's last message in fallback rules.
fn is_variable(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name != domain::fallback::MESSAGE_VARIABLE
}
