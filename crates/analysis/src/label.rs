//! Who served the bad outcomes? The exact test on labels.
//!
//! If the version makes no difference, every outcome would have been the same
//! whichever arm had served it, and the arm of each bad outcome is a coin the
//! gateway itself tossed, with a known probability. So outcomes are taken as
//! given and only the labels are random: no model of traffic, seasons or
//! tenants is needed.
//!
//! Where events are frequent, the other outcomes tell as well: the score of a
//! history is the candidate's share of Σ (x − m), with x one for events and
//! zero for others, and m the share of events so far, to the nearest quarter.
//! Both arms enter m alike, so it does not know the labels; with rare events m
//! is zero and the score is the count of events.
//!
//! The test looks after every second that had an event, for as long as the
//! rollout lasts, and keeps its risk over all these looks. It carries the exact
//! law of the score among all histories that have not
//! stopped yet. At a look, histories with the highest scores are stopped as
//! long as their mass fits the risk released so far ([`Schedule`]); what does
//! not fit is carried over (Lan & DeMets 1983, made exact). If the observed
//! score is among them, the test stops.
//!
//! After [`EXACT_EVENTS`] the law grows too long; from there on a bet on the
//! same labels (Ville 1939), with a tenth of the risk set aside for it, goes on
//! for ever. With that many events the smaller share costs next to nothing.

/// Events for which the exact law is kept.
pub const EXACT_EVENTS: u64 = 2_000;
/// Outcomes for which it is kept where events are frequent.
pub const EXACT_OUTCOMES: u64 = 8_000;
/// Scores are in quarters.
const WHOLE: i64 = 4;
/// A score less likely than this is forgotten.
const FORGETTABLE: f64 = 1e-18;
/// Share of the risk that is set aside for the open-ended bet.
pub const BET_RESERVE: f64 = 0.1;
/// Ratios of candidate to control that the bet is spread over.
const RATIOS: [f64; 7] = [1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0];
/// Events by which half of the risk is released where there is no plan.
const HALF_SPENT_EVENTS: f64 = 8.0;
/// Share of the plan by which the spending bends (half is released by 12 %).
const PLAN_KNEE: f64 = 0.02;

/// How the risk is released over time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Schedule {
    /// By events: after 8·(2ʲ − 1) of them j/(j + 1) of the risk. Needs no
    /// plan, and leaves about as much for each doubling of the evidence.
    Events,
    /// By share of the planned requests: log(1 + u/0.02)/log 51.
    Planned {
        /// Requests expected over the whole rollout.
        requests: u64,
    },
}

impl Schedule {
    /// Share of the risk released after so many events and requests.
    pub fn released(self, events: u64, requests: u64) -> f64 {
        match self {
            Self::Events => {
                let doublings = (1.0 + events as f64 / HALF_SPENT_EVENTS).log2();
                doublings / (1.0 + doublings)
            }
            Self::Planned { requests: planned } => {
                let u = (requests as f64 / planned.max(1) as f64).min(1.0);
                (u / PLAN_KNEE).ln_1p() / (1.0 / PLAN_KNEE).ln_1p()
            }
        }
    }
}

/// Outcomes of one kind: how many the arms served, and the probability of the
/// candidate's label for each under the hypothesis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coins {
    /// Probability of the candidate's label.
    pub probability: f64,
    /// Outcomes the candidate served.
    pub candidate: u64,
    /// Outcomes control served.
    pub control: u64,
}

impl Coins {
    fn mirrored(self) -> Self {
        Self {
            probability: 1.0 - self.probability,
            candidate: self.control,
            control: self.candidate,
        }
    }

    fn with_ratio(self, ratio: f64) -> Self {
        let odds = self.probability * ratio;
        Self { probability: odds / (1.0 - self.probability + odds), ..self }
    }

    fn total(self) -> u64 {
        self.candidate.saturating_add(self.control)
    }
}

/// Outcomes of one second that were assigned alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Labels {
    /// The second in which they became known.
    pub second: i64,
    /// The events: the bad outcomes.
    pub events: Coins,
    /// All other outcomes.
    pub others: Coins,
    /// Requests seen up to and in this second, for [`Schedule::Planned`].
    pub requests: u64,
}

impl Labels {
    /// The same outcomes, asked whether *control* served too many events.
    #[must_use]
    pub fn mirrored(self) -> Self {
        Self { events: self.events.mirrored(), others: self.others.mirrored(), ..self }
    }

    /// The same outcomes under the hypothesis that the candidate's rate of
    /// events is `ratio` times control's. The labels of the others move the
    /// other way by an amount that depends on the rate itself; leaving them
    /// where they are errs on the safe side when a ratio above one is put to
    /// the test from above (see [`Self::mirrored`]).
    #[must_use]
    pub fn with_ratio(self, ratio: f64) -> Self {
        Self { events: self.events.with_ratio(ratio), ..self }
    }
}

/// What a test found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// Second of the first look at which the candidate had too many labels.
    pub stopped: Option<i64>,
    /// The smallest risk at which the test would have stopped by now: valid
    /// whenever looked at; the test has stopped exactly if it is at most the
    /// risk given.
    pub evidence: f64,
    /// The same from where the test stands now, not where it stood best; for
    /// forecasts only.
    pub standing: f64,
    /// Events counted.
    pub events: u64,
}

/// Does the candidate have more labels than the hypothesis allows, at this
/// risk over all looks? `labels` in the order of their seconds.
pub fn too_many(labels: &[Labels], risk: f64, schedule: Schedule) -> Finding {
    let mut test = Test::new(risk, schedule);
    for second in labels.chunk_by(|a, b| a.second == b.second) {
        // Every group is taken in: no short cut after the first.
        if second.iter().filter(|group| test.add(group)).count() > 0 {
            test.look(second.last().map_or(0, |group| group.requests));
        }
        if test.evidence <= risk {
            return test.finding(second.first().map(|group| group.second));
        }
    }
    test.finding(None)
}

struct Test {
    risk: f64,
    schedule: Schedule,
    law: Law,
    spent: f64,
    /// The observed score.
    observed: i64,
    events: u64,
    outcomes: u64,
    /// Logarithm of what each bet has become.
    bets: [f64; RATIOS.len()],
    evidence: f64,
    standing: f64,
}

impl Test {
    fn new(risk: f64, schedule: Schedule) -> Self {
        Self {
            risk,
            schedule,
            law: Law::start(),
            spent: 0.0,
            observed: 0,
            events: 0,
            outcomes: 0,
            bets: [0.0; RATIOS.len()],
            evidence: 1.0,
            standing: 1.0,
        }
    }

    fn finding(&self, stopped: Option<i64>) -> Finding {
        let Self { evidence, standing, events, .. } = *self;
        Finding { stopped, evidence, standing, events }
    }

    /// Takes in outcomes; true if any of them counts.
    fn add(&mut self, group: &Labels) -> bool {
        let p = group.events.probability;
        if !(p > 0.0 && p < 1.0) {
            return false;
        }
        let events = group.events.total();
        for (bet, ratio) in self.bets.iter_mut().zip(RATIOS) {
            let scale = (1.0 - p + p * ratio).ln();
            *bet += group.events.candidate as f64 * ratio.ln() - events as f64 * scale;
        }
        self.events = self.events.saturating_add(events);
        self.outcomes = self.outcomes.saturating_add(events).saturating_add(group.others.total());
        let quarters = self.centre();
        if self.is_exact() {
            self.toss(group.events, WHOLE - quarters);
            self.toss(group.others, -quarters);
        }
        events > 0 || (quarters > 0 && group.others.total() > 0)
    }

    fn is_exact(&self) -> bool {
        self.events <= EXACT_EVENTS && (self.centre() == 0 || self.outcomes <= EXACT_OUTCOMES)
    }

    /// The share of events among all outcomes, in quarters.
    fn centre(&self) -> i64 {
        (4.0 * self.events as f64 / self.outcomes.max(1) as f64).round() as i64
    }

    fn toss(&mut self, coins: Coins, score: i64) {
        if score != 0 {
            self.observed +=
                score.saturating_mul(i64::try_from(coins.candidate).unwrap_or(i64::MAX));
            (0..coins.total()).for_each(|_| self.law.toss(coins.probability, score));
        }
    }

    fn look(&mut self, requests: u64) {
        let best = self.bets.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mean =
            self.bets.iter().map(|bet| (bet - best).exp()).sum::<f64>() / RATIOS.len() as f64;
        self.standing = (-(best + mean.ln())).exp() / BET_RESERVE;
        if self.is_exact() {
            self.look_at_law(requests);
        }
        self.evidence = self.evidence.min(self.standing);
    }

    fn look_at_law(&mut self, requests: u64) {
        let released = (1.0 - BET_RESERVE) * self.schedule.released(self.events, requests);
        if released > 0.0 {
            self.standing =
                self.standing.min((self.spent + self.law.tail(self.observed)) / released);
        }
        self.spent += self.law.stop_top(self.risk * released - self.spent);
        self.spent += self.law.forget_bottom();
    }
}

/// Probability of each score among the histories that have not stopped yet.
struct Law {
    /// The score of the first entry.
    lowest: i64,
    mass: Vec<f64>,
}

impl Law {
    fn start() -> Self {
        Self { lowest: 0, mass: vec![1.0] }
    }

    /// One more coin: with probability `p` the score changes by `score`.
    fn toss(&mut self, p: f64, score: i64) {
        let gap = usize::try_from(score.unsigned_abs()).unwrap_or(0);
        let n = self.mass.len();
        self.mass.resize(n + gap, 0.0);
        if score > 0 {
            for i in (0..n + gap).rev() {
                let from = if i >= gap { self.mass[i - gap] } else { 0.0 };
                self.mass[i] = self.mass[i] * (1.0 - p) + from * p;
            }
        } else {
            // Entries now stand for scores lower by the gap.
            self.lowest += score;
            for i in (0..n + gap).rev() {
                let stay = if i >= gap { self.mass[i - gap] } else { 0.0 };
                self.mass[i] = stay * (1.0 - p) + self.mass[i] * p;
            }
        }
    }

    /// Probability of this score or more.
    fn tail(&self, score: i64) -> f64 {
        let below = usize::try_from(score.saturating_sub(self.lowest)).unwrap_or(0);
        self.mass.iter().skip(below).sum()
    }

    /// Stops the highest scores that fit `room`; their probability.
    fn stop_top(&mut self, room: f64) -> f64 {
        let mut stopped = 0.0;
        while let Some(top) = self.mass.last().copied() {
            if stopped + top > room {
                break;
            }
            stopped += top;
            self.mass.pop();
        }
        stopped
    }

    /// Forgets the lowest scores where they are next to impossible; their
    /// probability, which the caller counts as spent.
    fn forget_bottom(&mut self) -> f64 {
        let few = self.mass.iter().take_while(|mass| **mass < FORGETTABLE).count();
        let gone: f64 = self.mass.drain(..few).sum();
        self.lowest += few as i64;
        gone
    }
}

/// The ratio of rates under which as many candidate labels would be expected
/// as there were; infinite if control has none, nothing without events.
pub fn estimated_ratio(labels: &[Labels]) -> Option<f64> {
    let total = |side: fn(&Coins) -> u64| {
        labels.iter().fold(0_u64, |sum, group| sum.saturating_add(side(&group.events)))
    };
    let (candidate, control) = (total(|coins| coins.candidate), total(|coins| coins.control));
    match (candidate, control) {
        (0, 0) => return None,
        (0, _) => return Some(0.0),
        (_, 0) => return Some(f64::INFINITY),
        _ => {}
    }
    let expected = |ratio: f64| -> f64 {
        labels
            .iter()
            .map(|group| group.events.total() as f64 * group.events.with_ratio(ratio).probability)
            .sum()
    };
    // Expected labels grow with the ratio: halve the interval on a log scale.
    let (mut low, mut high) = (1e-9_f64.ln(), 1e9_f64.ln());
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if expected(middle.exp()) < candidate as f64 { low = middle } else { high = middle }
    }
    Some(((low + high) / 2.0).exp())
}

#[cfg(test)]
mod tests;
