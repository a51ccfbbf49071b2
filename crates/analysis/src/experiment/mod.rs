//! Several variants, one reward: who is best, and how to divide traffic while
//! that is not known.
//!
//! One pure step: state, new answers and the time in; state, shares for the next
//! requests and a report out ([`step`]). Three questions, three answers that do
//! not lean on each other:
//!
//! - *How to divide traffic?* By belief: [`posterior`], [`thompson`]. Beliefs may
//!   be wrong; they only cost rewards.
//! - *Is one the best?* By bets ([`bets`]): the stated risk of a wrong winner
//!   holds over all looks, whatever the shares followed from.
//! - *May the numbers be trusted, does anyone do harm?* [`ratio`], [`guard`].
//!
//! The best of K variants is declared when the bets against each other one are
//! won at risk α/(K − 1): whoever is truly best, one of K − 1 wrong ones must
//! win a bet against it. Where guards may drop variants, "the best" depends on
//! who is left, and every pair is counted: α/(K(K − 1)/2). With segments, α is
//! divided equally by all answers, the segments, and everybody else.

pub mod bets;
pub mod bootstrap;
pub mod guard;
pub mod posterior;
pub mod random;
pub mod ratio;
mod report;
mod reward;
mod sample;
pub mod simulate;
mod state;
pub mod thompson;

#[cfg(test)]
mod tests;

pub use report::{Counts, Estimate, GuardReport, Report, SlotReport, VariantReport, Verdict};
pub use reward::Scale;
pub use state::State;

use domain::experiment::ExperimentPolicy;
use domain::policy::{RolloutPolicy, SignalAction};
use domain::units::Timestamp;

/// What became known about one answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// When.
    pub at: Timestamp,
    /// Which variant gave it.
    pub variant: usize,
    /// The probability with which each variant could have given this answer, as
    /// the router drew it; they add up to one.
    pub shares: Vec<f64>,
    /// What sticks together: a hash of the subject. The first answer of a unit
    /// counts, as the unit was assigned once. None: assigned by itself.
    pub unit: Option<u64>,
    /// The segment, by its place in the policy; none for all others.
    pub segment: Option<usize>,
    /// The answer failed: guards take its latency as worse than any number.
    pub failed: bool,
    /// Measured values, by [`Experiment::metric`]. What was not measured is
    /// absent.
    pub values: Vec<(u16, f64)>,
    /// Set if this is a later word about an answer that was taken in before:
    /// the cost of that answer, for a reward that takes cost off.
    pub follows: Option<f64>,
}

/// A policy, made ready.
#[derive(Debug, Clone)]
pub struct Experiment {
    policy: ExperimentPolicy,
    scale: Scale,
    /// Names of all metrics: the reward's, its cost's, the secondary ones, the
    /// guards'.
    metrics: Vec<String>,
    guards: Option<RolloutPolicy>,
    /// Signal of the guards' policy, by metric.
    signals: Vec<Option<u16>>,
}

/// The reward's primary metric.
const PRIMARY: u16 = 0;

impl Experiment {
    /// Makes a policy ready. One with faults gives an experiment in which
    /// nothing is ever shown, but no panic.
    pub fn new(policy: ExperimentPolicy) -> Self {
        let mut metrics = vec![policy.reward.signal.clone()];
        let cost = policy.reward.cost.iter().map(|cost| cost.signal.clone());
        let guards = policy.guards.iter().map(|guard| guard.name.clone());
        for name in cost.chain(policy.secondary.iter().cloned()).chain(guards) {
            if !metrics.contains(&name) {
                metrics.push(name);
            }
        }
        let signal = |metric: &String| {
            let place = policy.guards.iter().position(|guard| guard.name == *metric)?;
            u16::try_from(place).ok()
        };
        Self {
            signals: metrics.iter().map(signal).collect(),
            scale: Scale::of(&policy),
            guards: policy.guard_policy().filter(|guards| !guards.signals.is_empty()),
            metrics,
            policy,
        }
    }

    /// The policy.
    pub fn policy(&self) -> &ExperimentPolicy {
        &self.policy
    }

    /// How rewards are made.
    pub fn scale(&self) -> &Scale {
        &self.scale
    }

    /// The number of a metric; none if nothing asks for it.
    pub fn metric(&self, name: &str) -> Option<u16> {
        let place = self.metrics.iter().position(|metric| metric == name)?;
        u16::try_from(place).ok()
    }

    /// How many variants.
    pub fn variants(&self) -> usize {
        self.policy.variants.len()
    }

    fn control(&self) -> usize {
        self.policy.control()
    }

    fn guards(&self) -> Option<&RolloutPolicy> {
        self.guards.as_ref()
    }

    fn guard_of(&self, metric: u16) -> Option<u16> {
        self.signals.get(usize::from(metric)).copied().flatten()
    }

    fn cost(&self) -> Option<u16> {
        self.policy.reward.cost.as_ref().and_then(|cost| self.metric(&cost.signal))
    }

    /// Groups with a verdict of their own: all, and with segments each of them
    /// and everybody else.
    fn slots(&self) -> usize {
        let segments = self.policy.segments.len();
        if segments == 0 { 1 } else { segments + 2 }
    }

    /// The risk of one bet.
    fn risk(&self) -> f64 {
        let k = self.variants() as f64;
        let drops = |guard: &domain::policy::Signal| guard.action == SignalAction::Rollback;
        let pairs =
            if self.policy.guards.iter().any(drops) { k * (k - 1.0) / 2.0 } else { k - 1.0 };
        self.policy.risk.wrong_winner.0 / pairs.max(1.0) / self.slots() as f64
    }
}

/// Shares for the next requests, each group's by variant. Without segments one
/// group; with them, each of them and everybody else.
#[derive(Debug, Clone, PartialEq)]
pub struct Allocation {
    /// Shares, which add up to one in each group.
    pub shares: Vec<Vec<f64>>,
}

/// One step of an experiment: takes in what became known since the last one,
/// looks, divides traffic anew, and reports. Answers come in the order in which
/// they became known.
pub fn step(
    experiment: &Experiment,
    mut state: State,
    answers: &[Answer],
    now: Timestamp,
) -> (State, Allocation, Report) {
    answers.iter().for_each(|answer| state.add(experiment, answer));
    state.look(experiment, now);
    let allocation = state.allocation();
    let report = state.report(experiment, now);
    (state, allocation, report)
}
