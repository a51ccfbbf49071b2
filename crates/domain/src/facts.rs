//! What policies are told about a change: one plain document.
//!
//! It is made when a change is checked, kept with the change, and is all that
//! policies see. So "what would this policy have said of that change" is asked
//! again at any time, without git and without a clock.
//!
//! What is not known is absent, never 0: a policy about cost must not pass
//! because nobody could compute the cost.

use crate::people::Role;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Most cases of policies in one file.
pub const MAX_POLICY_CASES: usize = 500;
/// What [`Facts::changed`] says of files beside the components of a release.
pub const CHANGED_FILES: [&str; 7] =
    ["app", "plan", "fallback", "evals", "policies", "settings", "other"];
/// What [`AppFacts::risk`] may be.
pub const RISKS: [&str; 3] = ["low", "medium", "high"];
/// What [`AppFacts::audience`] may be.
pub const AUDIENCES: [&str; 2] = ["internal", "customer"];
/// What [`ModelFacts::provider`] may be.
pub const PROVIDERS: [&str; 3] = ["openai", "replay", "rules"];

/// What [`CallFacts::weekday`] may be, in UTC.
pub const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The words a fact may be, if it has a closed list of them.
pub fn words(fact: &str) -> Option<Vec<&'static str>> {
    match fact {
        "risk" => Some(RISKS.to_vec()),
        "audience" => Some(AUDIENCES.to_vec()),
        "provider" => Some(PROVIDERS.to_vec()),
        "weekday" => Some(WEEKDAYS.to_vec()),
        "changed" => {
            let kinds = crate::component::ComponentKind::ALL.into_iter().map(|kind| kind.key());
            Some(kinds.chain(CHANGED_FILES).collect())
        }
        _ => None,
    }
}

/// The facts about one change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Facts {
    /// The app.
    pub app: AppFacts,
    /// The model of the proposed release.
    pub model: ModelFacts,
    /// Everybody who wrote part of it; who proposed it comes first.
    pub authors: Vec<AuthorFacts>,
    /// What changed, against production and against `main`: kinds of components
    /// (`prompt`, `model`, …), and `app`, `plan`, `fallback`, `evals`,
    /// `policies`, `settings`, `other` for files beside the release.
    pub changed: BTreeSet<String>,
    /// True while nothing of this app serves yet.
    pub first: bool,
    /// Length of a typical request.
    pub tokens: TokenFacts,
    /// What a typical request costs.
    pub cost: CostFacts,
    /// How something is asked for that is no change.
    #[serde(skip_serializing_if = "CallFacts::is_usual")]
    pub call: CallFacts,
}

/// How somebody asks for something that is no change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallFacts {
    /// With a token, and not on the page.
    pub token: bool,
    /// Day of the week in UTC, one of [`WEEKDAYS`].
    pub weekday: String,
    /// Hour of the day in UTC, 0 to 23.
    pub hour: u8,
}

impl Default for CallFacts {
    fn default() -> Self {
        Self { token: false, weekday: "wed".to_owned(), hour: 12 }
    }
}

impl CallFacts {
    /// At this moment.
    pub fn at(now: crate::units::Timestamp, token: bool) -> Self {
        // 1970-01-01 was a Thursday.
        let days = now.second().div_euclid(86_400).saturating_add(3).rem_euclid(7);
        let hour = now.second().rem_euclid(86_400).div_euclid(3600);
        let weekday = usize::try_from(days).ok().and_then(|day| WEEKDAYS.get(day));
        Self {
            token,
            weekday: (*weekday.unwrap_or(&"mon")).to_owned(),
            hour: u8::try_from(hour).unwrap_or(0),
        }
    }

    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// The app, as its `app.yaml` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AppFacts {
    /// Name.
    pub name: String,
    /// `low`, `medium` or `high`.
    pub risk: String,
    /// `internal` or `customer`.
    pub audience: String,
    /// Team or person to ask.
    pub owner: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl Default for AppFacts {
    fn default() -> Self {
        Self {
            name: "example".to_owned(),
            risk: "low".to_owned(),
            audience: "internal".to_owned(),
            owner: "team".to_owned(),
            labels: BTreeMap::new(),
        }
    }
}

/// The model of the proposed release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelFacts {
    /// Name of its file under `models/`.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// `openai`, `replay` or `rules`.
    pub provider: String,
    /// Host the provider is called at, if it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The provider's own id of the model.
    pub id: String,
    /// Free words.
    pub tags: BTreeSet<String>,
    /// Its labels, for example `region` and `contract`.
    pub labels: BTreeMap<String, String>,
    /// Context window, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u64>,
    /// Millionths of a dollar for a million tokens of the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_input_micros: Option<u64>,
    /// Millionths of a dollar for a million tokens of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_output_micros: Option<u64>,
    /// Days until the provider no longer serves it; negative if it already does
    /// not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_until_deprecated: Option<i64>,
}

impl Default for ModelFacts {
    fn default() -> Self {
        Self {
            name: "example".to_owned(),
            version: "1.0.0".to_owned(),
            provider: "openai".to_owned(),
            host: None,
            id: "example-2026-01-01".to_owned(),
            tags: BTreeSet::new(),
            labels: BTreeMap::new(),
            context_window: None,
            price_input_micros: None,
            price_output_micros: None,
            days_until_deprecated: None,
        }
    }
}

/// Somebody who wrote part of a change, or who approves it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorFacts {
    /// Name.
    pub name: String,
    /// Roles at the time.
    #[serde(default)]
    pub roles: BTreeSet<Role>,
}

impl AuthorFacts {
    /// True if this is a program.
    pub fn is_agent(&self) -> bool {
        self.roles.contains(&Role::Agent)
    }
}

/// Length of a typical request, in tokens of the model's own tokenizer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenFacts {
    /// The prompt, with the examples of its variables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<u64>,
    /// The longest answer the parameters allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<u64>,
}

/// What a typical request costs at the model's prices, the answer as long as the
/// parameters allow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CostFacts {
    /// Millionths of a dollar a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_micros: Option<u64>,
    /// The same of production's release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub production_micros: Option<u64>,
    /// How much more than production, in whole percent, rounded away from zero;
    /// negative if it is cheaper.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_percent: Option<i64>,
    /// Millionths of a dollar in 30 days, at the traffic of the last 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub month_micros: Option<u64>,
}

impl CostFacts {
    /// From the cost of a request, and of production's. Percent is absent where
    /// production costs nothing: no number says how much more than nothing.
    pub fn of(request: Option<u64>, production: Option<u64>, requests_a_day: Option<u64>) -> Self {
        let percent = request.zip(production).and_then(|(new, old)| {
            let more = i128::from(new).checked_sub(i128::from(old))?.checked_mul(100)?;
            let old = i128::from(old);
            let whole = more.checked_div(old)?;
            let rest = more.checked_rem(old)?;
            i64::try_from(whole.checked_add(rest.signum())?).ok()
        });
        Self {
            request_micros: request,
            production_micros: production,
            change_percent: percent,
            month_micros: request
                .zip(requests_a_day)
                .and_then(|(cost, day)| cost.checked_mul(day)?.checked_mul(30)),
        }
    }
}

/// What somebody does.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum PolicyAction {
    /// Propose the change; asked of everybody who wrote part of it.
    Propose,
    /// Release it: merge it and begin its rollout. Asked of who proposed it.
    #[default]
    Release,
    /// Say yes to it; asked of the approver.
    Approve,
    /// Go on with a rollout that is paused.
    Resume,
    /// Move a rollout on: approve a step, or promote ahead of the plan.
    Promote,
    /// Take the kill switch back.
    Unkill,
    /// Take a release off the deny list.
    Clear,
    /// Start an experiment.
    Experiment,
    /// Give a change an endpoint of its own.
    Preview,
    /// Add people and change their roles.
    ManagePeople,
    /// Make a token.
    MakeToken,
}

impl PolicyAction {
    /// The word in policies.
    pub fn key(self) -> &'static str {
        match self {
            Self::Propose => "propose",
            Self::Release => "release",
            Self::Approve => "approve",
            Self::Resume => "resume",
            Self::Promote => "promote",
            Self::Unkill => "unkill",
            Self::Clear => "clear",
            Self::Experiment => "experiment",
            Self::Preview => "preview",
            Self::ManagePeople => "manage_people",
            Self::MakeToken => "make_token",
        }
    }

    /// True if it is asked about a change, and so with what the change is.
    pub fn is_about_a_change(self) -> bool {
        matches!(self, Self::Propose | Self::Release | Self::Approve)
    }

    /// True if it is about no app.
    pub fn is_about_the_installation(self) -> bool {
        matches!(self, Self::ManagePeople | Self::MakeToken)
    }

    /// As part of a sentence: what somebody does.
    pub fn words(self) -> &'static str {
        match self {
            Self::Propose => "proposing this",
            Self::Release => "releasing this",
            Self::Approve => "approving this",
            Self::Resume => "going on with the rollout",
            Self::Promote => "moving the rollout on",
            Self::Unkill => "taking the kill switch back",
            Self::Clear => "clearing a failed release",
            Self::Experiment => "starting an experiment",
            Self::Preview => "previewing a change",
            Self::ManagePeople => "managing people",
            Self::MakeToken => "making a token",
        }
    }
}

/// One of a team's own examples: these facts, this outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyCase {
    /// What it shows, in words; unique in its file.
    pub name: String,
    /// What is asked.
    #[serde(default)]
    pub action: PolicyAction,
    /// Who asks; the first author if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<AuthorFacts>,
    /// The facts; what is left out is as in a small, harmless change.
    #[serde(default)]
    pub facts: Facts,
    /// What the policies must say.
    pub expect: PolicyExpectation,
}

/// What policies must say of a case. What is left out is not compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyExpectation {
    /// Yes or no, approvals left aside.
    pub decision: Verdict,
    /// Ids of exactly the policies that say no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denied_by: Option<BTreeSet<String>>,
    /// Exactly the approvals that are asked for, as `role:count`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<BTreeSet<String>>,
    /// Ids of exactly the policies that warn or note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warned_by: Option<BTreeSet<String>>,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No policy forbids it.
    Allow,
    /// At least one does.
    Deny,
}

impl Verdict {
    /// The word in files and tables.
    pub fn key(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_is_rounded_away_from_zero_and_absent_where_it_means_nothing() {
        for (new, old, want) in [
            (Some(120), Some(100), Some(20)),
            (Some(1201), Some(1000), Some(21)),
            (Some(100), Some(100), Some(0)),
            (Some(50), Some(100), Some(-50)),
            (Some(999), Some(1000), Some(-1)),
            (Some(5), Some(0), None),
            (Some(5), None, None),
            (None, Some(5), None),
            (Some(u64::MAX), Some(1), None),
        ] {
            assert_eq!(CostFacts::of(new, old, None).change_percent, want, "{new:?} {old:?}");
        }
    }

    #[test]
    fn a_call_knows_its_hour_and_day() {
        use crate::units::Timestamp;
        // 2026-11-21, a Saturday, 23:59:59.999 UTC; the next millisecond; and 1970.
        for (ms, weekday, hour) in [
            (1_795_305_599_999, "sat", 23),
            (1_795_305_600_000, "sun", 0),
            (0, "thu", 0),
            (-1, "wed", 23),
        ] {
            let call = CallFacts::at(Timestamp(ms), false);
            assert_eq!((call.weekday.as_str(), call.hour), (weekday, hour), "{ms}");
        }
    }

    #[test]
    fn what_is_unknown_is_absent_in_the_document() {
        let facts = Facts { cost: CostFacts::of(Some(7), None, None), ..Facts::default() };
        let json = serde_json::to_value(&facts).unwrap();
        assert_eq!(json["cost"], serde_json::json!({"request_micros": 7}));
        assert_eq!(serde_json::from_value::<Facts>(json).unwrap(), facts);
        assert_eq!(CostFacts::of(Some(10), None, Some(3)).month_micros, Some(900));
        assert_eq!(CostFacts::of(Some(u64::MAX), None, Some(3)).month_micros, None);
    }
}
