//! Absolute limits: is the candidate's own value beyond what the policy allows?
//!
//! A [`Watch`] follows one signal of one rollout. It takes the candidate's
//! outcomes one by one, keeps a bounded number of counts, and answers looks. It
//! has four rules, the most urgent first:
//!
//! - **breaker** (rates with a limit or an error budget): the last answers are
//!   so bad that something is broken; risk [`BREAKER_RISK`]. See `breaker`.
//! - **budget** (`burn`): bad outcomes use up the error budget too fast over a
//!   long and a short window; risk [`LIMIT_RISK`]. See `burn`.
//! - **limit** with `sustained`: time does what certainty does otherwise. A
//!   look says that the measured value is beyond the limit; the machine counts
//!   how long that lasts.
//! - **limit** without: one look decides, so it must be sure, and sure for all
//!   looks together: a bet that the limit is respected is lost at
//!   [`LIMIT_RISK`] over the whole rollout, however often one looks. With a
//!   `window` the value measured in it must be beyond too, so that what was
//!   bad and is good again is left alone. See `bets`.
//!
//! The measured value is that of the `window`; without one, of the step under
//! way where time decides (of everything before, until the step has outcomes),
//! and of the whole rollout where certainty does: there a look that is sure
//! shows the stretch of last outcomes that made it so.
//!
//! Risks are chances over a whole rollout of a candidate that sits exactly on
//! its limit. Nothing is said below `min_samples`, except by the breaker; and
//! nothing without outcomes, which is a verdict of its own.

mod bets;
mod breaker;
mod burn;
mod ruler;
mod tally;
#[cfg(test)]
mod tests;
mod window;

pub use breaker::BREAKER_RISK;
pub use ruler::Reading;

use bets::{Bets, ODDS};
use breaker::Breaker;
use burn::Budget;
use domain::policy::{Signal, SignalKind};
use domain::units::Timestamp;
use domain::verdict::{ArmNumbers, Reason};
use ruler::Ruler;
use tally::Tally;
use window::Ring;

/// Chance, over a whole rollout and all looks, of calling a candidate that sits
/// exactly on its limit (or budget) beyond it.
pub const LIMIT_RISK: f64 = 1e-3;

/// What one look says.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Watched {
    /// The outcomes that were judged.
    pub numbers: ArmNumbers,
    /// Beyond the limit, as surely as its rule asks, and which rule says so.
    pub over: Option<Reason>,
    /// The measured value respects the limit, and no rule says otherwise. True
    /// without a limit; false without outcomes.
    pub within: bool,
    /// As many outcomes were judged as the policy asks for a verdict.
    pub enough: bool,
    /// When the last usable outcome became known.
    pub last: Option<Timestamp>,
    /// Readings that are no number or cannot be of the signal's kind.
    pub unusable: u64,
    /// Chance of outcomes so bad on the limit, over all looks; none for rules
    /// that compare the measured value.
    pub evidence: Option<f64>,
    /// The level that `evidence` must fall below.
    pub boundary: Option<f64>,
}

/// The absolute rules of one signal and what the candidate has shown so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Watch {
    ruler: Ruler,
    min_samples: u64,
    has_window: bool,
    is_sustained: bool,
    rollout: Tally,
    step: u32,
    in_step: Tally,
    window: Option<Ring<Tally>>,
    bets: Option<Bets>,
    /// The last outcomes, as far back as they speak against the limit.
    run: Tally,
    budget: Option<Budget>,
    breaker: Option<Breaker>,
    last: Option<Timestamp>,
    unusable: u64,
}

impl Watch {
    /// Nothing seen yet.
    pub fn new(signal: &Signal) -> Self {
        let ruler = Ruler::new(signal);
        let rate = signal.kind == SignalKind::Rate;
        let burn = signal.burn.as_ref().filter(|_| rate);
        // On its limit a candidate is not broken; with a budget alone it may
        // burn as fast as the fastest rule bears.
        let bearable = ruler.bound().or_else(|| burn.and_then(burn::fastest));
        let sure = ruler.bound().filter(|_| signal.sustained.is_none());
        Self {
            ruler,
            min_samples: signal.min_samples.max(1),
            has_window: signal.window.is_some(),
            is_sustained: signal.sustained.is_some(),
            rollout: Tally::default(),
            step: 0,
            in_step: Tally::default(),
            window: signal.window.filter(|_| signal.limit.is_some()).map(Ring::new),
            bets: sure.map(|bound| Bets::at_odds(bound, &ODDS, LIMIT_RISK)),
            run: Tally::default(),
            budget: burn.map(|burn| Budget::new(signal, burn)),
            breaker: bearable.filter(|_| rate).map(Breaker::new),
            last: None,
            unusable: 0,
        }
    }

    /// Takes in one outcome of the candidate, known since `at`, of this step of
    /// the plan. Outcomes come in order of time; a late one counts as known
    /// when the latest before it was.
    pub fn add(&mut self, at: Timestamp, step: u32, reading: Reading) {
        let Some(measured) = self.ruler.measure(reading) else {
            self.unusable = self.unusable.saturating_add(1);
            return;
        };
        let at = self.last.map_or(at, |last| last.max(at));
        self.last = Some(at);
        self.move_to(step);
        self.rollout.add(&self.ruler, measured);
        self.in_step.add(&self.ruler, measured);
        if let Some(tally) = self.window.as_mut().and_then(|window| window.bucket(at)) {
            tally.add(&self.ruler, measured);
        }
        if let (Some(bets), Some(outcome)) = (&mut self.bets, measured.outcome) {
            bets.take(outcome);
            self.run.add(&self.ruler, measured);
            if !bets.is_in_a_run() {
                self.run = Tally::default();
            }
        }
        if let Some(budget) = &mut self.budget {
            budget.take(at, measured.bad);
        }
        if let Some(breaker) = &mut self.breaker {
            breaker.take(measured.bad);
        }
    }

    /// Steps only go on.
    fn move_to(&mut self, step: u32) {
        if step > self.step {
            self.step = step;
            self.in_step = Tally::default();
        }
    }

    /// True if there is a breaker that can trip.
    pub fn can_break(&self) -> bool {
        self.breaker.is_some()
    }

    /// True if something is broken now: no need to wait for the next look.
    pub fn is_broken(&self) -> bool {
        self.breaker.as_ref().is_some_and(|breaker| breaker.tripped().is_some())
    }

    /// What the rules say at `now`, in this step of the plan. Looking changes
    /// nothing that a later look says.
    pub fn look(&mut self, now: Timestamp, step: u32) -> Watched {
        self.move_to(step);
        let said = self.broken().or_else(|| {
            let worse = self.ruler.worse();
            self.budget.as_mut().and_then(|budget| budget.look(now, worse))
        });
        let said = said.unwrap_or_else(|| self.limited(now));
        Watched { last: self.last, unusable: self.unusable, ..said }
    }

    fn broken(&self) -> Option<Watched> {
        let breaker = self.breaker.as_ref()?;
        let tripped = breaker.tripped()?;
        let hits = match self.ruler.worse() {
            domain::policy::Worse::Higher => tripped.bad,
            domain::policy::Worse::Lower => tripped.n.saturating_sub(tripped.bad),
        };
        let value = Some(hits as f64 / tripped.n.max(1) as f64);
        Some(Watched {
            numbers: ArmNumbers { n: tripped.n, value, bad: Some(tripped.bad) },
            over: Some(Reason::Breaker),
            evidence: Some(breaker.evidence()),
            boundary: Some(BREAKER_RISK),
            ..Watched::default()
        })
    }

    fn limited(&mut self, now: Timestamp) -> Watched {
        let mut in_window = Tally::default();
        let judged = if let Some(window) = &mut self.window {
            window.within(now).for_each(|tally| in_window.merge(tally));
            &in_window
        } else if self.is_sustained && self.in_step.n > 0 {
            &self.in_step
        } else {
            &self.rollout
        };
        let beyond = judged.respects(&self.ruler) == Some(false);
        let certain = match &self.bets {
            Some(bets) => bets.is_sure(),
            None => self.is_sustained,
        };
        // Without a window the last outcomes decide, whatever went before.
        let by_run = self.bets.is_some() && !self.has_window;
        let enough = judged.n >= self.min_samples;
        let over = enough && certain && (beyond || by_run);
        let shown = if over && by_run { &self.run } else { judged };
        Watched {
            numbers: shown.numbers(&self.ruler),
            over: over.then_some(Reason::OverLimit),
            within: judged.n > 0 && !beyond && !over,
            enough,
            evidence: self.bets.as_ref().map(Bets::evidence),
            boundary: self.bets.as_ref().map(Bets::risk),
            ..Watched::default()
        }
    }
}
