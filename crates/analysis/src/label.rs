//! Who served the bad outcomes? The exact test on labels.
//!
//! If the version makes no difference, every outcome would have been the same
//! whichever arm had served it, and the arm of each bad outcome is a coin the
//! gateway itself tossed, with a known probability. So outcomes are taken as
//! given and only the labels are random: no model of traffic, seasons or
//! tenants is needed.
//!
//! The test looks after every second that had an event, for as long as the
//! rollout lasts, and keeps its risk over all these looks. It carries the exact
//! law of the number of candidate labels among all histories that have not
//! stopped yet. At a look, histories with the highest counts are stopped as
//! long as their mass fits the risk released so far ([`Schedule`]); what does
//! not fit is carried over (Lan & DeMets 1983, made exact). If the observed
//! count is among them, the test stops.
//!
//! After [`EXACT_EVENTS`] the law grows too long; from there on a bet on the
//! same labels (Ville 1939), with a tenth of the risk set aside for it, goes on
//! for ever. With that many events the smaller share costs next to nothing.

/// Events for which the exact law is kept.
pub const EXACT_EVENTS: u64 = 2_000;
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

/// Events of one second that share one probability of the candidate's label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Labels {
    /// The second in which they became known.
    pub second: i64,
    /// Probability of the candidate's label for each, under the hypothesis.
    pub probability: f64,
    /// Events the candidate served.
    pub candidate: u64,
    /// Events control served.
    pub control: u64,
    /// Requests seen up to and in this second, for [`Schedule::Planned`].
    pub requests: u64,
}

impl Labels {
    /// The same events, asked whether *control* served too many.
    #[must_use]
    pub fn mirrored(self) -> Self {
        Self {
            probability: 1.0 - self.probability,
            candidate: self.control,
            control: self.candidate,
            ..self
        }
    }

    /// The same events under the hypothesis that the candidate's rate is
    /// `ratio` times control's.
    #[must_use]
    pub fn with_ratio(self, ratio: f64) -> Self {
        let odds = self.probability * ratio;
        Self { probability: odds / (1.0 - self.probability + odds), ..self }
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
            let stopped = second.first().map(|group| group.second);
            return Finding { stopped, evidence: test.evidence, events: test.events };
        }
    }
    Finding { stopped: None, evidence: test.evidence, events: test.events }
}

struct Test {
    risk: f64,
    schedule: Schedule,
    /// Probability of each number of labels among histories not stopped yet.
    going: Vec<f64>,
    spent: f64,
    observed: u64,
    events: u64,
    /// Logarithm of what each bet has become.
    bets: [f64; RATIOS.len()],
    evidence: f64,
}

impl Test {
    fn new(risk: f64, schedule: Schedule) -> Self {
        Self {
            risk,
            schedule,
            going: vec![1.0],
            spent: 0.0,
            observed: 0,
            events: 0,
            bets: [0.0; RATIOS.len()],
            evidence: 1.0,
        }
    }

    /// Takes in events; true if there were any that say something.
    fn add(&mut self, group: &Labels) -> bool {
        let p = group.probability;
        let events = group.candidate.saturating_add(group.control);
        if events == 0 || !(p > 0.0 && p < 1.0) {
            return false;
        }
        for (bet, ratio) in self.bets.iter_mut().zip(RATIOS) {
            let scale = (1.0 - p + p * ratio).ln();
            *bet += group.candidate as f64 * ratio.ln() - events as f64 * scale;
        }
        self.events = self.events.saturating_add(events);
        if self.events <= EXACT_EVENTS {
            self.observed = self.observed.saturating_add(group.candidate);
            (0..events).for_each(|_| convolve(&mut self.going, p));
        }
        true
    }

    fn look(&mut self, requests: u64) {
        let best = self.bets.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mean = self.bets.iter().map(|bet| (bet - best).exp()).sum::<f64>() / RATIOS.len() as f64;
        let by_bet = (-(best + mean.ln())).exp() / BET_RESERVE;
        self.evidence = self.evidence.min(by_bet);
        if self.events > EXACT_EVENTS {
            return;
        }
        let released = (1.0 - BET_RESERVE) * self.schedule.released(self.events, requests);
        let at_least = usize::try_from(self.observed).unwrap_or(usize::MAX);
        let tail: f64 = self.going.iter().skip(at_least).sum();
        if released > 0.0 {
            self.evidence = self.evidence.min((self.spent + tail) / released);
        }
        while let Some(top) = self.going.last().copied() {
            if self.spent + top > self.risk * released {
                break;
            }
            self.spent += top;
            self.going.pop();
        }
    }
}

/// One more event: a label with probability `p`.
fn convolve(law: &mut Vec<f64>, p: f64) {
    law.push(0.0);
    let mut below = 0.0;
    for mass in law.iter_mut() {
        let here = *mass;
        *mass = here * (1.0 - p) + below * p;
        below = here;
    }
}

/// The ratio of rates under which as many candidate labels would be expected
/// as there were; infinite if control has none, nothing without events.
pub fn estimated_ratio(labels: &[Labels]) -> Option<f64> {
    let candidate: u64 = labels.iter().map(|group| group.candidate).sum();
    let control: u64 = labels.iter().map(|group| group.control).sum();
    match (candidate, control) {
        (0, 0) => return None,
        (0, _) => return Some(0.0),
        (_, 0) => return Some(f64::INFINITY),
        _ => {}
    }
    let expected = |ratio: f64| -> f64 {
        labels
            .iter()
            .map(|group| (group.candidate + group.control) as f64 * group.with_ratio(ratio).probability)
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
