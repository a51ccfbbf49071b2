//! All tests of one rollout, fed outcome by outcome.
//!
//! An engine looks on a fixed grid: its start plus multiples of `check_every`,
//! whether somebody asks at these moments or not. So its verdicts are a function
//! of the outcomes alone: a replay, a restart or a second controller that is fed
//! the same sequence says the same at the same time.

use crate::outcome::Outcome;
use domain::policy::RolloutPolicy;
use domain::units::Timestamp;
use domain::verdict::{ArmNumbers, Outcome as Result, Reason, Verdict};

/// Where in the rollout a look is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The step under way.
    pub step: u32,
    /// True while the candidate answers anyone, users or mirror: only then are
    /// measurements missed when they stay away.
    pub exposed: bool,
}

/// All tests of one rollout.
#[derive(Debug, Clone)]
pub struct Engine {
    policy: RolloutPolicy,
    outcomes: u64,
}

impl Engine {
    /// Tests of a rollout that began at `start`, with `risk` of a false stop
    /// left to spend (the policy's, or less after a retry of the same release).
    pub fn new(policy: &RolloutPolicy, _start: Timestamp, _risk: f64) -> Self {
        Self { policy: policy.clone(), outcomes: 0 }
    }

    /// Takes in one outcome. Outcomes come in order of `at`; one that comes out
    /// of order counts as known when the latest one before it was.
    pub fn add(&mut self, _outcome: &Outcome) {
        self.outcomes = self.outcomes.saturating_add(1);
    }

    /// Verdicts on all signals, in the policy's order, as of the last look of
    /// the grid that is not after `now`.
    pub fn look(&mut self, _now: Timestamp, _place: &Place) -> Vec<Verdict> {
        let verdict = |signal: &domain::policy::Signal| Verdict {
            signal: signal.name.clone(),
            outcome: Result::Hold,
            reason: Reason::Undecided,
            action: signal.action,
            control: ArmNumbers::default(),
            candidate: ArmNumbers::default(),
            limit: signal.limit.map(|limit| limit.0),
            interval: None,
            evidence: None,
            boundary: None,
            needed: None,
        };
        self.policy.signals.iter().map(verdict).collect()
    }

    /// Risk of a false stop that has been spent so far.
    pub fn spent(&self) -> f64 {
        0.0
    }
}
