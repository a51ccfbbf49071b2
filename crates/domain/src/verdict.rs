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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The absolute limit is exceeded in the window.
    OverLimit,
    /// Worse than control at the stated risk.
    WorseThanControl,
    /// Shown not worse than control by `notice`, and within the limit.
    NotWorse,
    /// Fewer outcomes than needed.
    TooFew,
    /// No outcome was measured in the window.
    Nothing,
    /// A number that is none, or a control without outcomes.
    Unusable,
    /// Enough outcomes, and neither worse nor not worse is shown.
    Undecided,
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
}
