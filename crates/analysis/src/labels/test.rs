//! One sequential test on labels, over all looks of a rollout.
//!
//! What must stay true: the probability that the test ever stops under its
//! hypothesis is at most its risk, whatever the looks, the traffic and the
//! outcomes. Outcomes are conditioned on; only the router's draws are random.
//!
//! A candidate may turn bad late. When most of the plan is over a second score
//! begins at zero, at a small part of the risk, so that what was good before
//! does not hide what is bad now.

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

impl Histories {
    fn new(repetitions: Option<usize>) -> Self {
        match repetitions {
            Some(n) => Self::Repeated(Resalted::new(n)),
            None => Self::Exact(Law::default()),
        }
    }

    fn spent(&self) -> f64 {
        match self {
            Self::Exact(law) => law.spent(),
            Self::Repeated(repeated) => repeated.spent(),
        }
    }

    fn tail(&self) -> f64 {
        match self {
            Self::Exact(law) => law.tail(),
            Self::Repeated(repeated) => repeated.tail(),
        }
    }
}

/// A score that began at some time, and its histories.
#[derive(Debug, Clone)]
struct Run {
    histories: Histories,
    /// Variance of the score under the hypothesis as if all coins were
    /// independent, in units of score.
    v: f64,
    standing: f64,
    /// Chance of a score as high as the observed, at the last look alone.
    tail: f64,
}

impl Run {
    fn new(repetitions: Option<usize>) -> Self {
        Self { histories: Histories::new(repetitions), v: 0.0, standing: 1.0, tail: 1.0 }
    }

    fn toss(&mut self, key: Key<'_>, p: f64, score: i32, shows: bool) {
        match (&mut self.histories, key) {
            (Histories::Exact(law), _) => law.toss(p, score, shows),
            (Histories::Repeated(repeated), Some(draws)) => repeated.toss(draws, p, score, shows),
            // A sticky test gets keys for all its coins.
            (Histories::Repeated(_), None) => return,
        }
        let score = f64::from(score) / UNIT;
        self.v += score * score * p * (1.0 - p);
    }

    /// A look at the risk released; true if the observed history stops.
    fn look(&mut self, risk: f64, released: f64) -> bool {
        if released <= 0.0 {
            return false;
        }
        self.tail = self.histories.tail();
        self.standing = ((self.histories.spent() + self.tail) / released).min(1.0);
        match &mut self.histories {
            Histories::Exact(law) => law.stop_top(risk * released),
            Histories::Repeated(repeated) => repeated.stop_top(risk * released),
        }
    }
}

/// Share of the plan at which the second score begins, and its share of the
/// risk.
const SECOND: (f64, f64) = (0.6, 0.03);

/// A test under way.
#[derive(Debug, Clone)]
pub struct Test {
    schedule: Schedule,
    repetitions: Option<usize>,
    first: Run,
    second: Option<Run>,
    second_spent: f64,
    late_evidence: f64,
    watches_late: bool,
    /// The second score is over.
    closed: bool,
    /// Coins since the last look.
    fresh: bool,
    stopped: bool,
    evidence: f64,
}

/// The draws of an outcome, where it sticks to others.
pub type Key<'a> = Option<&'a Draws>;

impl Test {
    /// A test at `risk`; `sticky` if coins come with keys; `watches_late` if it
    /// looks for what begins late, too.
    pub fn new(schedule: Schedule, risk: f64, sticky: bool, watches_late: bool) -> Self {
        let repetitions = sticky.then(|| repetitions(risk));
        Self {
            schedule,
            repetitions,
            first: Run::new(repetitions),
            second: None,
            second_spent: 0.0,
            late_evidence: 1.0,
            watches_late,
            closed: false,
            fresh: false,
            stopped: false,
            evidence: 1.0,
        }
    }

    /// How many draws a key must have.
    pub fn repetitions(&self) -> usize {
        self.repetitions.unwrap_or(0)
    }

    /// One more coin: with probability `p` it adds `score`, and `shows` says
    /// whether it did.
    pub fn toss(&mut self, key: Key<'_>, p: f64, score: i32, shows: bool) {
        if self.stopped || score == 0 || !(p > 0.0 && p < 1.0) {
            return;
        }
        self.first.toss(key, p, score, shows);
        if let Some(second) = &mut self.second {
            second.toss(key, p, score, shows);
        }
        self.fresh = true;
    }

    /// A look at the whole risk of `risk`, after a share of the plan.
    pub fn look(&mut self, risk: f64, plan: Option<f64>) {
        if self.stopped || !self.fresh {
            return;
        }
        self.fresh = false;
        let done = plan.unwrap_or(0.0);
        let (begins, part) = if self.watches_late && plan.is_some() { SECOND } else { (2.0, 0.0) };
        if let Some(second) = &mut self.second {
            let done = (done - begins) / (1.0 - begins);
            let released = part * self.schedule.released(second.v, Some(done));
            self.stopped |= second.look(risk, released);
            self.second_spent = second.histories.spent();
            self.late_evidence = self.late_evidence.min(second.standing);
        } else if done >= begins && !self.closed {
            self.second = Some(Run::new(self.repetitions));
        }
        if done >= 1.0 {
            // The plan is over: the first may use what the second left.
            self.closed = true;
            self.second = None;
        }
        let most = if self.closed { 1.0 - self.second_spent / risk } else { 1.0 - part };
        let released = self.schedule.released(self.first.v, plan).min(most);
        self.stopped |= self.first.look(risk, released);
        self.evidence = self.evidence.min(self.first.standing).min(self.late_evidence);
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
        let second = self.second.as_ref().map_or(1.0, |second| second.standing);
        self.first.standing.min(second)
    }

    /// Chance of a score as high as the observed at the last look, had it been
    /// the only one. Says where the numbers lean, and proves nothing.
    pub fn leaning(&self) -> f64 {
        self.first.tail
    }

    /// Risk spent so far.
    pub fn spent(&self) -> f64 {
        self.first.histories.spent() + self.second_spent
    }

    /// How much more the score varies than it would with independent coins (the
    /// design effect of sticky subjects); 1 where nothing sticks.
    pub fn design_effect(&self) -> f64 {
        match &self.first.histories {
            Histories::Repeated(repeated) if self.first.v > 0.0 => {
                (repeated.moments().1 / (UNIT * UNIT) / self.first.v).max(1.0)
            }
            _ => 1.0,
        }
    }
}
