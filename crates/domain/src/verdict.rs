//! What the numbers say about one signal. Computed by `analysis`, acted on by
//! [`crate::rollout`].
//!
//! Order of bad news: fail > no data > inconclusive > hold > pass. Only `Pass`
//! with enough samples lets a rollout go on by evidence.

use crate::policy::SignalAction;
use serde::{Deserialize, Serialize};

/// The five outcomes. Missing data is never a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Shown to be within its limit, and not worse than control by what matters.
    Pass,
    /// Nothing speaks against it, not enough speaks for it.
    Hold,
    /// The numbers cannot answer: contradictory, NaN, or control is empty.
    Inconclusive,
    /// Nothing was measured, or the measurements are stale.
    NoData,
    /// Over its limit or worse than control, at the stated risk.
    Fail,
}

/// The measured state of one arm for one signal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ArmNumbers {
    /// Outcomes measured.
    pub n: u64,
    /// The statistic: rate, mean or quantile; absent with no outcomes.
    pub value: Option<f64>,
    /// Bad outcomes, for rates.
    pub bad: Option<u64>,
}

/// Why a verdict is what it is.
///
/// "Nothing" and "stale" are for the one who measures to tell apart from a quiet
/// night: at one request in twenty seconds and a share of 5 %, an hour without
/// an answer of the candidate is usual. Silence is a verdict once so many of
/// its answers were due, by the requests that did come, that none by chance
/// would be a million to one (e⁻¹⁴).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The last answers are so bad that something is broken: acts at once.
    Breaker,
    /// Bad answers use up the error budget too fast: acts at once.
    BudgetBurns,
    /// The absolute limit is exceeded in the window.
    OverLimit,
    /// Worse than control at the stated risk.
    WorseThanControl,
    /// Shown not worse than control by `notice`, and within the limit.
    NotWorse,
    /// Fewer outcomes than needed.
    TooFew,
    /// Nothing was measured yet, or nothing in the window.
    Nothing,
    /// Measured before, and silent for longer than today's traffic explains.
    Stale,
    /// A number that is none, or a control without outcomes.
    Unusable,
    /// Enough outcomes, and neither worse nor not worse is shown.
    Undecided,
}

impl Reason {
    /// True if this failure is made over all looks, or too bad to wait: it
    /// acts at once, whatever the policy says about how long a breach lasts.
    pub fn acts_at_once(self) -> bool {
        matches!(self, Self::Breaker | Self::BudgetBurns | Self::WorseThanControl)
    }
}

/// An estimate and its 95 % confidence interval for one look.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The most plausible value.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What people would have measured in place of a judge, in the signal's own
/// terms: from the judge's known errors, or from people's labels on a random
/// sample. It describes and decides nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Corrected {
    /// Control's rate or mean; absent where nothing can be said of control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<Estimate>,
    /// The candidate's rate or mean.
    pub candidate: Estimate,
    /// Candidate − control. The uncertainty about the judge counts once, so it is
    /// sharper than the two rates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Estimate>,
    /// Human labels that the candidate's estimate rests on: those of its own
    /// answers, or those the judge's errors were measured on.
    pub labels: u64,
    /// True if it rests on labels of this rollout's answers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_people: bool,
}

/// Labels of people on a random sample of the judged answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Labels {
    /// The feedback they are posted as.
    pub name: String,
    /// Share of the answers that are chosen, as it is now.
    pub share: f64,
    /// Control's answers.
    pub control: Labelled,
    /// The candidate's answers.
    pub candidate: Labelled,
    /// Labels on answers that were not chosen, or that no number could be made
    /// of. They correct nothing.
    pub unused: u64,
}

/// How far people are with labelling the chosen answers of one arm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labelled {
    /// Answers that the judge judged.
    pub judged: u64,
    /// Of these, the ones chosen to be labelled.
    pub chosen: u64,
    /// Of these, the ones labelled.
    pub labelled: u64,
    /// Labels still wanted before they correct anything; those of one subject
    /// count for less than as many of different ones.
    pub wanted: u64,
}

/// The verdict on one signal at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Name of the signal in the policy.
    pub signal: String,
    /// What follows from the numbers.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// What the policy does on a failure.
    pub action: SignalAction,
    /// Control's numbers.
    pub control: ArmNumbers,
    /// The candidate's numbers.
    pub candidate: ArmNumbers,
    /// The absolute limit, if there is one.
    pub limit: Option<f64>,
    /// Interval for the difference candidate − control, if one can be given.
    pub interval: Option<(f64, f64)>,
    /// Evidence that the candidate is worse: a p-value, valid at every look.
    pub evidence: Option<f64>,
    /// The level `evidence` must fall below to fail.
    pub boundary: Option<f64>,
    /// Outcomes of the candidate still needed before a pass is possible.
    pub needed: Option<u64>,
    /// Both arms over the whole rollout, corrected for the judge's errors, where
    /// the policy tells them or people label enough answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrected: Option<Corrected>,
    /// How far people are with labelling, where the policy asks them to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Labels>,
}
