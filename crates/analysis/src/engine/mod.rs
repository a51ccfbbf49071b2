//! All tests of one rollout, fed outcome by outcome.
//!
//! An engine looks on a fixed grid: its start plus multiples of `check_every`,
//! whether somebody asks at these moments or not. So its verdicts are a function
//! of the outcomes alone: a replay, a restart or a second controller that is fed
//! the same sequence says the same at the same time.
//!
//! The risk of a false stop is one budget over all looks and all signals that
//! compare with control. It is divided by weight, and what a signal has not
//! spent when its data has ended passes on to the others (the idea of graphical
//! procedures, Bretz et al. 2009, with label-blind passing).
//!
//! Memory per signal: two samples of 2048 ranks, two laws of 4096 places or two
//! times 9999 repetitions, the value counts of both arms, and at most
//! [`signal::MAX_PENDING`] halves of pairs, [`signal::MAX_INPUTS`] inputs, as many
//! subjects, and [`MAX_CHOSEN`] answers for people to label: below 6 MB, whatever
//! the traffic.

mod interval;
mod judged;
mod numbers;
pub mod signal;

pub use judged::MAX_CHOSEN;

use crate::labels::resalt::{Draws, mix};
use crate::outcome::{Label, Outcome};
use domain::policy::RolloutPolicy;
use domain::units::Timestamp;
use domain::verdict::Verdict;
use signal::{Context, Shared, SignalState};

/// A signal has ended when so many outcomes of the others came without one.
const ENDED_AFTER: u64 = 500;
/// Or so large a share of the planned requests, if that is more.
const ENDED_AFTER_SHARE: f64 = 0.1;
/// Share of its unspent risk that a signal keeps when it has ended, should it
/// come back.
const KEPT: f64 = 0.1;

/// The signal that says whether an answer failed.
const FAILURES: &str = "error";

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
    start: Timestamp,
    every: i64,
    planned: Option<(f64, f64)>,
    signals: Vec<SignalState>,
    /// The next look of the grid, if something came since the last one.
    due: Option<Timestamp>,
    latest: Timestamp,
    draws: Draws,
    /// Outcomes so far; names subjects that have no name.
    outcomes: u64,
    /// Outcomes of the most measured signal.
    most: u64,
}

impl Engine {
    /// Tests of a rollout that began at `start`, with `risk` of a false stop
    /// left to spend (the policy's, or less after a retry of the same release).
    pub fn new(policy: &RolloutPolicy, start: Timestamp, risk: f64) -> Self {
        let weight = |signal: &domain::policy::Signal| match signal::compares(signal) {
            true => signal.weight.unwrap_or(1.0).max(0.0),
            false => 0.0,
        };
        let all: f64 = policy.signals.iter().map(weight).sum();
        let part = |signal| if all > 0.0 { risk * weight(signal) / all } else { 0.0 };
        let signals = policy.signals.iter();
        let failures = |signal: &domain::policy::Signal| {
            signal.name == FAILURES
                && signal.kind == domain::policy::SignalKind::Rate
                && signal::compares(signal)
        };
        let shared = Shared {
            false_promote: policy.risk.false_promote.0,
            compared: signals.clone().filter(|signal| signal::compares(signal)).count(),
            failures_judged: policy.signals.iter().any(failures),
        };
        Self {
            start,
            every: policy.check_every.millis().max(1),
            planned: policy
                .planned
                .map(|plan| (plan.requests as f64, plan.duration.millis() as f64)),
            signals: signals
                .map(|signal| SignalState::new(signal, part(signal), &shared))
                .collect(),
            due: None,
            latest: start,
            draws: Draws::default(),
            outcomes: 0,
            most: 0,
        }
    }

    /// Takes in one outcome. Outcomes come in order of `at`; one that comes out
    /// of order counts as known when the latest one before it was.
    pub fn add(&mut self, outcome: &Outcome) {
        let at = outcome.at.max(self.latest);
        if self.due.is_some_and(|due| at > due) {
            self.look_at_grid();
        }
        self.latest = at;
        self.outcomes = self.outcomes.saturating_add(1);
        if self.due.is_none() {
            self.due = Some(self.look_after(at));
        }
        let repetitions = self.signals.iter().map(SignalState::repetitions).max().unwrap_or(0);
        let sticky = outcome.unit.is_some();
        let key = match (outcome.pair, outcome.unit) {
            // The answers to one input are a coin of their own.
            (Some(pair), _) => mix(pair ^ 0x9a1f),
            (None, Some(unit)) => unit,
            (None, None) => mix(self.outcomes),
        };
        let context = Context { at, sticky, key };
        if sticky || repetitions > 0 {
            let wanted = repetitions.max(signal::repetitions_at_first(&self.signals));
            self.draws.of(key, wanted);
        }
        for (index, signal) in (0_u16..).zip(&mut self.signals) {
            let value = outcome.values.iter().find(|(of, _)| *of == index).map(|(_, value)| *value);
            let before = signal.measured();
            signal.add(outcome, value, &context, &self.draws);
            self.most = self.most.max(signal.measured());
            signal.mark(before, self.most);
        }
    }

    /// Takes in what a person said of an answer. It changes what is shown beside
    /// the judge's numbers and nothing else: no look becomes due by it.
    pub fn label(&mut self, label: &Label) {
        if let Some(signal) = self.signals.get_mut(usize::from(label.signal)) {
            signal.label(label);
        }
    }

    /// Brings what verdicts say of people's labels up to what is known now. They
    /// come in the policy's order.
    pub fn relabel(&self, verdicts: &mut [Verdict]) {
        for (signal, verdict) in self.signals.iter().zip(verdicts) {
            (verdict.corrected, verdict.labels) = signal.corrected();
        }
    }

    /// Verdicts on all signals, in the policy's order, as of the last look of
    /// the grid that is not after `now`. Outcomes known later must not have been
    /// added yet.
    pub fn look(&mut self, now: Timestamp, place: &Place) -> Vec<Verdict> {
        if self.due.is_some_and(|due| due <= now) {
            self.look_at_grid();
        }
        self.signals.iter_mut().map(|signal| signal.verdict(now, place)).collect()
    }

    /// True if a breaker could stop this rollout: then it is worth asking what
    /// is [`Self::broken`] between looks.
    pub fn can_break(&self) -> bool {
        self.signals.iter().any(|signal| signal.breaker().is_some())
    }

    /// Signals whose breaker has tripped and whose action stops something, by
    /// name. Breakers know no grid: this is as of the last outcome, and asking
    /// changes nothing. [`Self::look`] says the same in its verdicts.
    pub fn broken(&self) -> impl Iterator<Item = &str> {
        let breakers = self.signals.iter().filter_map(SignalState::breaker);
        breakers.filter_map(|(name, broken)| broken.then_some(name))
    }

    /// Risk of a false stop that has been spent so far.
    pub fn spent(&self) -> f64 {
        self.signals.iter().map(SignalState::spent).sum()
    }

    /// The first look at which something known at `at` is seen.
    fn look_after(&self, at: Timestamp) -> Timestamp {
        let since = at.0.saturating_sub(self.start.0).max(0);
        let looks = since.saturating_add(self.every - 1) / self.every;
        Timestamp(self.start.0.saturating_add(looks.saturating_mul(self.every)))
    }

    fn look_at_grid(&mut self) {
        let Some(due) = self.due.take() else { return };
        self.pass_on();
        let most = self.most;
        let plan = self.planned.map(|(requests, duration)| {
            let elapsed = due.0.saturating_sub(self.start.0) as f64;
            (most as f64 / requests.max(1.0)).max(elapsed / duration.max(1.0)).min(1.0)
        });
        for signal in &mut self.signals {
            signal.look(plan);
        }
    }

    /// What ended signals have not spent goes to those that go on, by weight.
    fn pass_on(&mut self) {
        let most = self.most;
        let patience = self.planned.map_or(0.0, |(requests, _)| requests * ENDED_AFTER_SHARE);
        let patience = ENDED_AFTER.max(patience as u64);
        let freed: f64 = self
            .signals
            .iter_mut()
            .filter(|signal| signal.has_ended(most, patience))
            .map(|signal| signal.release(KEPT))
            .sum();
        let going_on = |signal: &SignalState| signal.goes_on();
        let risks: f64 = self.signals.iter().filter(|s| going_on(s)).map(SignalState::risk).sum();
        if freed <= 0.0 || risks <= 0.0 {
            return;
        }
        for signal in self.signals.iter_mut().filter(|signal| going_on(signal)) {
            signal.grant(freed * signal.risk() / risks);
        }
    }
}

#[cfg(test)]
mod tests;
