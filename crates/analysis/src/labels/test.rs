//! One sequential test on labels, over all looks of a rollout.
//!
//! What must stay true: the probability that the test ever stops under its
//! hypothesis is at most its risk, whatever the looks, the traffic and the
//! outcomes. Outcomes are conditioned on; only the router's draws are random.

use super::law::Law;
use super::resalt::{Draws, Resalted, repetitions};
use super::score::UNIT;
use super::spend::Schedule;

/// Histories under the hypothesis: exactly where coins are independent, by
/// repeating the draw where they stick together.
#[derive(Debug, Clone)]
enum Histories {
    Exact(Law),
    Repeated(Resalted),
}

/// A test under way.
#[derive(Debug, Clone)]
pub struct Test {
    schedule: Schedule,
    histories: Histories,
    /// Variance of the score under the hypothesis as if all coins were
    /// independent, in units of score.
    v: f64,
    /// Coins since the last look.
    fresh: bool,
    stopped: bool,
    evidence: f64,
    standing: f64,
}

/// The draws of an outcome, where it sticks to others.
pub type Key<'a> = Option<&'a Draws>;

impl Test {
    /// A test at `risk`; `sticky` if coins come with keys.
    pub fn new(schedule: Schedule, risk: f64, sticky: bool) -> Self {
        let histories = if sticky {
            Histories::Repeated(Resalted::new(repetitions(risk)))
        } else {
            Histories::Exact(Law::default())
        };
        Self {
            schedule,
            histories,
            v: 0.0,
            fresh: false,
            stopped: false,
            evidence: 1.0,
            standing: 1.0,
        }
    }

    /// How many draws a key must have.
    pub fn repetitions(&self) -> usize {
        match &self.histories {
            Histories::Exact(_) => 0,
            Histories::Repeated(repeated) => repeated.len(),
        }
    }

    /// One more coin: with probability `p` it adds `score`, and `shows` says
    /// whether it did.
    pub fn toss(&mut self, key: Key<'_>, p: f64, score: i32, shows: bool) {
        if self.stopped || score == 0 || !(p > 0.0 && p < 1.0) {
            return;
        }
        match (&mut self.histories, key) {
            (Histories::Exact(law), _) => law.toss(p, score, shows),
            (Histories::Repeated(repeated), Some(draws)) => repeated.toss(draws, p, score, shows),
            // A sticky test gets keys for all its coins.
            (Histories::Repeated(_), None) => return,
        }
        let score = f64::from(score) / UNIT;
        self.v += score * score * p * (1.0 - p);
        self.fresh = true;
    }

    /// A look at the whole risk of `risk`, after a share of the plan.
    pub fn look(&mut self, risk: f64, plan: Option<f64>) {
        if self.stopped || !self.fresh {
            return;
        }
        self.fresh = false;
        let released = self.schedule.released(self.v, plan);
        if released <= 0.0 {
            return;
        }
        let (spent, tail) = match &self.histories {
            Histories::Exact(law) => (law.spent(), law.tail()),
            Histories::Repeated(repeated) => (repeated.spent(), repeated.tail()),
        };
        self.standing = ((spent + tail) / released).min(1.0);
        self.stopped = match &mut self.histories {
            Histories::Exact(law) => law.stop_top(risk * released),
            Histories::Repeated(repeated) => repeated.stop_top(risk * released),
        };
        self.evidence = self.evidence.min(self.standing);
        if self.stopped {
            self.evidence = self.evidence.min(risk);
        }
    }

    /// True once the observed history was among those taken away.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// The smallest risk at which the test would have stopped by now: valid
    /// whenever it is looked at.
    pub fn evidence(&self) -> f64 {
        self.evidence
    }

    /// The same from where the test stands now, not where it stood best; for
    /// forecasts only.
    pub fn standing(&self) -> f64 {
        self.standing
    }

    /// Risk spent so far.
    pub fn spent(&self) -> f64 {
        match &self.histories {
            Histories::Exact(law) => law.spent(),
            Histories::Repeated(repeated) => repeated.spent(),
        }
    }

    /// How much more the score varies than it would with independent coins (the
    /// design effect of sticky subjects); 1 where nothing sticks.
    pub fn design_effect(&self) -> f64 {
        match &self.histories {
            Histories::Repeated(repeated) if self.v > 0.0 => {
                (repeated.moments().1 / (UNIT * UNIT) / self.v).max(1.0)
            }
            _ => 1.0,
        }
    }
}
