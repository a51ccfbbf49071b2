//! The rollout policy: the plan as data. YAML and JSON, one schema, read alike
//! by the controller, by `change create` and by `backtest`.

mod faults;

pub use faults::PolicyError;

use crate::people::Role;
use crate::units::{Ratio, Share, Span};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// Most steps a plan may have.
pub const MAX_STEPS: usize = 50;
/// Most signals a plan may have.
pub const MAX_SIGNALS: usize = 50;
/// Most steps back a plan may have.
pub const MAX_STEPS_BACK: usize = 20;

/// How a candidate is exposed, what is watched, and what follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutPolicy {
    /// Always `tidegate/v1`.
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// What sticks together.
    #[serde(default)]
    pub subject: SubjectKey,
    /// How often the controller looks.
    #[serde(default = "default_check_every")]
    pub check_every: Span,
    /// The traffic this plan was made for; real traffic may differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<Planned>,
    /// Accepted risks over the whole rollout.
    #[serde(default)]
    pub risk: Risk,
    /// Stages, in order. Empty only for a backtest.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// What is measured, and what follows when it is bad.
    pub signals: Vec<Signal>,
    /// What to do without data.
    #[serde(default)]
    pub missing: Missing,
    /// What follows a rollback.
    #[serde(default)]
    pub after_rollback: AfterRollback,
}

fn default_check_every() -> Span {
    Span::from_secs(60)
}

/// Whose requests stick together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKey {
    /// The user (`X-Tidegate-Subject`, or the body's `user`).
    #[default]
    User,
    /// The tenant.
    Tenant,
    /// The device.
    Device,
    /// The conversation.
    Conversation,
}

/// Expected traffic.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// How long the whole rollout is meant to take.
    pub duration: Span,
    /// How many requests are expected in that time.
    pub requests: u64,
    /// Share of the candidate in a trace that names none (backtest).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
}

/// Accepted risks, over the whole rollout, all signals, all looks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Risk {
    /// Stopping a candidate that makes no difference.
    #[serde(default = "default_false_stop")]
    pub false_stop: Ratio,
    /// Promoting one that is worse by `notice` on any signal.
    #[serde(default = "default_false_promote")]
    pub false_promote: Ratio,
}

fn default_false_stop() -> Ratio {
    Ratio(0.01)
}

fn default_false_promote() -> Ratio {
    Ratio(0.10)
}

impl Default for Risk {
    fn default() -> Self {
        Self { false_stop: default_false_stop(), false_promote: default_false_promote() }
    }
}

/// One stage of the plan, written `- weight: {share: 5%, hold: 30m}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Copies of requests go to the candidate; users never see its answers.
    Shadow(Shadow),
    /// The candidate answers a share of the subjects.
    Weight(Weight),
    /// Nothing changes for a while.
    Hold(Hold),
    /// A person must say yes before the next step.
    Approval(ApprovalStep),
    /// The alias moves; the candidate becomes production.
    Promote(PromoteStep),
}

/// See [`Step::Shadow`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shadow {
    /// Share of the subjects whose requests are mirrored.
    pub share: Share,
    /// What ends the step.
    pub until: ShadowUntil,
}

/// What ends a shadow step: all that is given must be reached.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShadowUntil {
    /// So many mirrored answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// So long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Span>,
}

/// See [`Step::Weight`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weight {
    /// Share of the subjects.
    pub share: Share,
    /// At least so long.
    #[serde(default)]
    pub hold: Span,
    /// At least so many answers of the candidate in this step.
    #[serde(default)]
    pub min_requests: u64,
    /// `evidence`: until every signal has passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
    /// With `until`: after so long a person decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<Span>,
}

/// What a step waits for beside time and requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// Every signal that compares with control is shown not worse.
    Evidence,
}

/// See [`Step::Hold`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// At least so long.
    #[serde(default)]
    pub time: Span,
    /// At least so many answers of the candidate in this step.
    #[serde(default)]
    pub requests: u64,
}

/// See [`Step::Approval`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalStep {
    /// Who is asked.
    pub role: Role,
}

/// See [`Step::Promote`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromoteStep {}

/// One measured thing and its rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// Built in: `error`, `latency_ms`, `ttft_ms`, `cost`, `output_tokens`,
    /// `fallback`, `schema_failure`; any other name is posted as feedback.
    pub name: String,
    /// The kind of number.
    pub kind: SignalKind,
    /// For latencies: which quantile is watched and shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistic: Option<Statistic>,
    /// For scores: lowest and highest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<(f64, f64)>,
    /// Which direction is bad.
    #[serde(default)]
    pub worse: Worse,
    /// The smallest difference to control that matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<Notice>,
    /// The absolute limit of the candidate's value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Ratio>,
    /// Window of the absolute limit; the whole step if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Span>,
    /// How long a breach of the absolute limit must last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sustained: Option<Sustained>,
    /// Outcomes of the candidate below which there is no verdict.
    #[serde(default = "default_min_samples")]
    pub min_samples: u64,
    /// Share of the risk of a false stop, relative to the other signals'; 1 if
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Where the numbers come from if not from the answers themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SignalSource>,
    /// The error budget this signal must not burn too fast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burn: Option<Burn>,
    /// What is known of the judge that measures this signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<Judge>,
    /// What follows a failure.
    pub action: SignalAction,
}

/// Where an external signal is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalSource {
    /// A PromQL expression that yields one number; `$arm` in it stands for
    /// `candidate`, and for `control` in what is shown beside it.
    pub prometheus: String,
}

/// An error budget and how fast it may be consumed (the multi-window,
/// multi-burn-rate rule of the SRE workbook, chapter 5).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Burn {
    /// The objective: the share of good outcomes that is promised, below 100 %.
    pub objective: Ratio,
    /// Rules; the workbook's three if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<BurnWindow>,
}

/// One rule: over both windows the budget burns at least so fast.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BurnWindow {
    /// How many times faster than the budget allows.
    pub rate: f64,
    /// The window that shows that it matters.
    pub long: Span,
    /// The window that shows that it goes on.
    pub short: Span,
}

impl BurnWindow {
    /// The workbook's rules for an objective over 30 days: 2 % of its budget in
    /// an hour, 5 % in six, 10 % in three days.
    pub const WORKBOOK: [Self; 3] = [
        Self { rate: 14.4, long: Span::from_secs(3600), short: Span::from_secs(300) },
        Self { rate: 6.0, long: Span::from_secs(6 * 3600), short: Span::from_secs(1800) },
        Self { rate: 1.0, long: Span::from_secs(3 * 86_400), short: Span::from_secs(6 * 3600) },
    ];
}

impl Burn {
    /// The share of outcomes that may be bad.
    pub fn budget(&self) -> f64 {
        1.0 - self.objective.0
    }

    /// The rules that hold: those of the policy, or the workbook's.
    pub fn rules(&self) -> Vec<BurnWindow> {
        if self.windows.is_empty() { BurnWindow::WORKBOOK.to_vec() } else { self.windows.clone() }
    }
}

/// A judge with known errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judge {
    /// Share of the truly bad answers that it calls bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensitivity: Option<Ratio>,
    /// Share of the truly good answers that it calls good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub specificity: Option<Ratio>,
    /// How many labelled answers both were measured on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labelled: Option<u64>,
    /// Labels of people on a random sample of the answers this judge has judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub human: Option<HumanLabels>,
}

/// People who label a part of what a judge judges, chosen by chance alone.
///
/// An answer is chosen by a hash of its request id ([`crate::telemetry::answer_hash`]),
/// so everybody can tell which are, and nobody can choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HumanLabels {
    /// Name of the feedback their labels are posted as; `<signal>.human` if
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Share of the answers that are chosen to be labelled.
    pub share: Share,
}

impl HumanLabels {
    /// True if the answer with this hash is one to be labelled, after so many
    /// halvings of the share. Nested: who is chosen after more halvings is
    /// chosen after fewer.
    pub fn chooses(&self, answer: u64, halvings: u32) -> bool {
        let below = u128::from(self.share.bp()) << u64::BITS;
        (u128::from(answer) * u128::from(Share::ALL.bp())) < below >> halvings.min(u64::BITS)
    }
}

fn default_min_samples() -> u64 {
    20
}

/// Signals a gateway measures by itself, on mirrored answers too. Any other
/// name is posted as feedback.
pub const BUILT_IN_SIGNALS: [&str; 7] =
    ["error", "latency_ms", "ttft_ms", "cost", "output_tokens", "fallback", "schema_failure"];

/// The built-in signal that only apps with a schema of their answers have.
pub const SCHEMA_FAILURE: &str = "schema_failure";

impl Signal {
    /// True if every answer brings a measurement by itself.
    pub fn is_measured_by_gateways(&self) -> bool {
        Self::measured_by_gateways(&self.name)
    }

    /// True if every answer brings a measurement under this name by itself.
    pub fn measured_by_gateways(name: &str) -> bool {
        BUILT_IN_SIGNALS.contains(&name) && name != SCHEMA_FAILURE
    }

    /// Name of the feedback with which people label this signal's answers, if
    /// the policy asks for labels.
    pub fn label_name(&self) -> Option<String> {
        let human = self.judge.as_ref()?.human.as_ref()?;
        Some(human.name.clone().unwrap_or_else(|| format!("{}.human", self.name)))
    }

    /// True if gateways measure this by themselves.
    pub fn is_built_in(&self) -> bool {
        BUILT_IN_SIGNALS.contains(&self.name.as_str())
    }
}

/// The kind of number a signal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalKind {
    /// 0 or 1 per request.
    Rate,
    /// A bounded number.
    Score,
    /// Positive, heavy-tailed.
    Latency,
    /// Non-negative.
    Amount,
}

/// The statistic of a latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// The mean.
    Mean,
    /// The median.
    P50,
    /// The 90th percentile.
    P90,
    /// The 95th percentile.
    P95,
    /// The 99th percentile.
    P99,
}

impl Statistic {
    /// The quantile; none for the mean.
    pub fn quantile(self) -> Option<f64> {
        match self {
            Self::Mean => None,
            Self::P50 => Some(0.50),
            Self::P90 => Some(0.90),
            Self::P95 => Some(0.95),
            Self::P99 => Some(0.99),
        }
    }
}

/// Which direction is bad.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Worse {
    /// Larger is worse.
    #[default]
    Higher,
    /// Smaller is worse.
    Lower,
}

/// The smallest difference to control that matters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Notice {
    /// Candidate = control × this.
    Times(f64),
    /// Candidate = control ± this, in the signal's unit.
    By(Ratio),
}

/// How long a breach must last.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Sustained {
    /// So many checks in a row.
    Checks(u32),
    /// Unbroken for so long.
    For(Span),
}

/// What follows when a signal fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalAction {
    /// Tell, and go on.
    Notify,
    /// Ask the named people before going on.
    RequireApproval,
    /// Stop here; a person decides.
    Pause,
    /// Everyone back to the last good release.
    Rollback,
}

/// What to do without data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// Hold so long.
    pub hold_for: Span,
    /// Then do this. No data never passes.
    pub then: MissingAction,
}

impl Default for Missing {
    fn default() -> Self {
        Self { hold_for: Span::from_secs(1800), then: MissingAction::Pause }
    }
}

/// What follows when data stays away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingAction {
    /// A person decides.
    Pause,
    /// Back to the last good release.
    Rollback,
}

/// What follows a rollback.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AfterRollback {
    /// No new rollout of this app for so long.
    #[serde(default = "default_cool_down")]
    pub cool_down: Span,
    /// At once, or by these shares of the candidate.
    #[serde(default)]
    pub restore: Restore,
}

fn default_cool_down() -> Span {
    Span::from_secs(3600)
}

impl Default for AfterRollback {
    fn default() -> Self {
        Self { cool_down: default_cool_down(), restore: Restore::default() }
    }
}

/// How exposure is taken back, once it is decided. Whoever goes back by hand, a
/// tripped breaker and the kill switch never wait for this.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Restore {
    /// At once.
    #[default]
    Immediate,
    /// By these shares of the candidate, one every `check_every`; those that are
    /// not below what it has when it goes back are left out.
    Steps(Vec<Share>),
}

impl Serialize for Restore {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Immediate => s.serialize_str(IMMEDIATE),
            Self::Steps(shares) => shares.serialize(s),
        }
    }
}

/// How [`Restore::Immediate`] is written.
const IMMEDIATE: &str = "immediate";

impl<'de> Deserialize<'de> for Restore {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct WordOrShares;
        impl<'de> de::Visitor<'de> for WordOrShares {
            type Value = Restore;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`immediate`, or falling shares such as `[75%, 50%, 25%, 0%]`")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Restore, E> {
                match word {
                    IMMEDIATE => Ok(Restore::Immediate),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Restore, A::Error> {
                let mut shares = Vec::new();
                while let Some(share) = seq.next_element()? {
                    shares.push(share);
                }
                Ok(Restore::Steps(shares))
            }
        }
        d.deserialize_any(WordOrShares)
    }
}
