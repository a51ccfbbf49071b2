//! One answer as the tests see it.
//!
//! Outcomes enter in the order in which they became known, ties in the order of
//! their ids; everything that follows is a function of that sequence. What
//! becomes known later about the same answer (a judge's score, a thumbs-down)
//! is an outcome of its own with the same side, share and unit.

use domain::units::Timestamp;

/// Which version served the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The release that is running.
    Baseline,
    /// The release that is tried.
    Candidate,
}

/// What became known about one answer at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// When it became known.
    pub at: Timestamp,
    /// Who served it.
    pub side: Side,
    /// The probability with which this answer could have been the candidate's,
    /// as the router drew it: strictly between 0 and 1 to count as evidence.
    pub share: f64,
    /// What sticks together: a hash of the subject. None: a coin of its own.
    pub unit: Option<u64>,
    /// Both arms answered one input: a hash of the request they share.
    pub pair: Option<u64>,
    /// A hash of the input; pairs on an input seen before are no new evidence.
    pub input: Option<u64>,
    /// A hash of the tenant, region, ...; segments may differ in level and share.
    pub segment: Option<u64>,
    /// The answer itself, by [`domain::telemetry::answer_hash`]: what a label of
    /// people finds a judge's word by.
    pub answer: Option<u64>,
    /// The step of the plan.
    pub step: u32,
    /// The answer failed: its latency is worse than any number.
    pub failed: bool,
    /// Measured values, by index of the signal in the policy. What was not
    /// measured is absent. May hold NaN and infinities: they are unusable.
    pub values: Vec<(u16, f64)>,
}

/// What a person said of one answer that a judge judges too. It corrects what is
/// shown; no test and no limit sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Label {
    /// Who served the answer.
    pub side: Side,
    /// Which answer, as in [`Outcome::answer`].
    pub answer: u64,
    /// The signal whose judge it corrects, by index in the policy.
    pub signal: u16,
    /// The number; may be none.
    pub value: f64,
}
