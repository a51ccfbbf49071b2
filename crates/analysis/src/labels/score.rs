//! What an outcome scores in the tests on labels.
//!
//! Higher is worse. Scores are integers, [`UNIT`] to one, and label-blind: they
//! know the outcome and what was known before it, never who served it.

use super::ranks::{Sample, normal_score};
use domain::policy::{Notice, Signal, SignalKind, Statistic, Worse};

/// Scores are counted in sixteenths.
pub const UNIT: f64 = 16.0;
/// Standardised values beyond this are cut.
const MAX_DEVIATION: f64 = 4.0;
/// Outcomes that stand in for what is known before the first: towards rare.
const PRIOR_OUTCOMES: f64 = 8.0;
/// From this quantile on a statistic asks about the slow half only.
const TAIL_QUANTILE: f64 = 0.9;
/// Most segments that are ranked by themselves; the others are ranked together.
pub const MAX_SEGMENTS: usize = 16;

/// A score as an integer.
fn units(score: f64) -> i32 {
    // Scores are cut far below the limits of `i32`.
    (score * UNIT).round() as i32
}

/// A value turned so that higher is worse: for rates 1 is bad and 0 is not.
pub fn badness(kind: SignalKind, worse: Worse, value: f64) -> f64 {
    match (kind, worse) {
        (_, Worse::Higher) => value,
        (SignalKind::Rate, Worse::Lower) => 1.0 - value,
        (_, Worse::Lower) => -value,
    }
}

/// Share of events among the outcomes so far.
#[derive(Debug, Clone, Copy, Default)]
struct Events {
    events: f64,
    outcomes: f64,
}

impl Events {
    fn share(self) -> f64 {
        self.events / (self.outcomes + PRIOR_OUTCOMES)
    }

    /// The share if it is somewhat higher than seen so far: one event and one
    /// standard error more.
    fn cautious(self) -> f64 {
        let n = self.outcomes + PRIOR_OUTCOMES;
        let share = ((self.events + 1.0) / n).min(1.0);
        (share + (share * (1.0 - share) / n).sqrt()).min(1.0)
    }

    fn add(&mut self, event: bool) {
        self.events += f64::from(u8::from(event));
        self.outcomes += 1.0;
    }
}

/// One of something for each segment, so that segments may differ in level
/// without adding noise.
#[derive(Debug, Clone, Default)]
struct PerSegment<T> {
    segments: Vec<(u64, T)>,
    others: T,
}

impl<T: Default> PerSegment<T> {
    fn of(&self, segment: Option<u64>) -> &T {
        let known = segment.and_then(|of| self.segments.iter().find(|(name, _)| *name == of));
        known.map_or(&self.others, |(_, found)| found)
    }

    fn entry(&mut self, segment: Option<u64>) -> &mut T {
        let Some(segment) = segment else { return &mut self.others };
        let known = self.segments.iter().position(|(name, _)| *name == segment);
        let at = known.unwrap_or(self.segments.len());
        if known.is_none() && at < MAX_SEGMENTS {
            self.segments.push((segment, T::default()));
        }
        match self.segments.get_mut(at) {
            Some((_, found)) => found,
            None => &mut self.others,
        }
    }
}

/// Scores of a signal for "is the candidate worse at all?": events less their
/// usual share, or scores of the rank among the outcomes so far.
#[derive(Debug, Clone)]
pub struct Scorer {
    how: How,
}

#[derive(Debug, Clone)]
enum How {
    Rate(PerSegment<Events>),
    /// Normal scores (van der Waerden): best against a shift of a normal law,
    /// close to best against that of any law in use here.
    Rank(PerSegment<Sample>),
    /// Scores that grow faster than the normal score and see the slow half only,
    /// for questions about high quantiles.
    SlowHalf(PerSegment<Sample>),
}

/// `z + z²` above the median, nothing below, brought to mean zero and variance
/// one: E = φ(0) + 1/2, E² = 2 + 4·φ(0), with φ the normal density.
fn slow_half(rank: f64) -> f64 {
    const MEAN: f64 = 0.898_942_280_401_432_7;
    const DEVIATION: f64 = 1.669_632_3;
    let z = normal_score(rank).clamp(0.0, MAX_DEVIATION);
    (z + z * z - MEAN) / DEVIATION
}

impl Scorer {
    /// How outcomes of this signal score.
    pub fn new(signal: &Signal) -> Self {
        let quantile = signal.statistic.and_then(Statistic::quantile);
        let slow = signal.worse == Worse::Higher && quantile.is_some_and(|q| q >= TAIL_QUANTILE);
        let how = match signal.kind {
            SignalKind::Rate => How::Rate(PerSegment::default()),
            SignalKind::Latency if slow => How::SlowHalf(PerSegment::default()),
            _ => How::Rank(PerSegment::default()),
        };
        Self { how }
    }

    /// The score of a value of [`badness`].
    pub fn score(&self, bad: f64, segment: Option<u64>) -> i32 {
        match &self.how {
            How::Rate(events) => units(bad) - units(events.of(segment).share()),
            How::Rank(samples) => units(normal_score(samples.of(segment).rank(bad))),
            How::SlowHalf(samples) => units(slow_half(samples.of(segment).rank(bad))),
        }
    }

    /// How much worse one answer to an input is than the other.
    pub fn difference(&self, bad: f64, other: f64, segment: Option<u64>) -> i32 {
        self.score(bad, segment) - self.score(other, segment)
    }

    /// Takes in a value of [`badness`], after it was scored.
    pub fn learn(&mut self, bad: f64, segment: Option<u64>) {
        match &mut self.how {
            How::Rate(events) => events.entry(segment).add(bad > 0.0),
            How::Rank(samples) | How::SlowHalf(samples) => samples.entry(segment).add(bad),
        }
    }
}

/// One coin of a test on labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coin {
    /// Probability of the candidate's label under the hypothesis.
    pub p: f64,
    /// What the candidate's label adds.
    pub score: i32,
}

/// Scores of a signal for "is the candidate not worse by `notice`?": the harm
/// that would matter is taken off the candidate's outcomes, or put into the
/// probabilities of the labels, and the test asks whether the candidate has too
/// *few* bad outcomes left.
#[derive(Debug, Clone)]
pub struct NotWorse {
    kind: SignalKind,
    notice: Notice,
    worse: Worse,
    how: Margin,
}

#[derive(Debug, Clone)]
enum Margin {
    Rate(PerSegment<Events>),
    /// Outcomes beyond a quantile of all outcomes so far.
    Beyond {
        samples: PerSegment<Sample>,
        quantile: f64,
    },
    Rank(PerSegment<Sample>),
    Mean(PerSegment<Moments>),
}

/// Running mean and sum of squared deviations (Welford 1962).
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    n: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// The value in standard deviations from the mean so far.
    fn deviation(self, value: f64) -> f64 {
        let sd = (self.squares / self.n.max(1.0)).sqrt();
        let deviation = if sd > 0.0 { (value - self.mean) / sd } else { 0.0 };
        deviation.clamp(-MAX_DEVIATION, MAX_DEVIATION)
    }

    fn add(&mut self, value: f64) {
        self.n += 1.0;
        let away = value - self.mean;
        self.mean += away / self.n;
        self.squares += away * (value - self.mean);
    }
}

impl NotWorse {
    /// How outcomes of this signal score against its notice.
    pub fn new(signal: &Signal, notice: Notice) -> Self {
        let quantile = signal.statistic.and_then(Statistic::quantile);
        let how = match (signal.kind, quantile) {
            (SignalKind::Rate, _) => Margin::Rate(PerSegment::default()),
            (SignalKind::Score, _) => Margin::Mean(PerSegment::default()),
            (SignalKind::Latency, Some(quantile)) => {
                Margin::Beyond { samples: PerSegment::default(), quantile }
            }
            _ => Margin::Rank(PerSegment::default()),
        };
        Self { kind: signal.kind, notice, worse: signal.worse, how }
    }

    /// True if labels are tested as they are, with other probabilities.
    pub fn is_rate(&self) -> bool {
        matches!(self.how, Margin::Rate(_))
    }

    /// The badness of an answer, with the harm that would matter taken
    /// off if the candidate served it.
    pub fn forgiven(&self, value: f64, candidate: bool) -> f64 {
        if !candidate || self.is_rate() || value.is_infinite() {
            return badness(self.kind, self.worse, value);
        }
        let forgiven = match self.notice {
            Notice::Times(times) => value / times,
            Notice::By(by) => match self.worse {
                Worse::Higher => value - by.0,
                Worse::Lower => value + by.0,
            },
        };
        badness(self.kind, self.worse, forgiven)
    }

    /// The coin of one outcome that went to the candidate with probability
    /// `share`.
    pub fn coin(&self, forgiven: f64, share: f64, segment: Option<u64>) -> Coin {
        let score = match &self.how {
            Margin::Rate(events) => {
                return self.rate_coin(*events.of(segment), forgiven > 0.0, share);
            }
            Margin::Beyond { samples, quantile } => {
                let beyond = samples.of(segment).rank(forgiven) > *quantile;
                units(f64::from(u8::from(beyond))) - units(1.0 - quantile)
            }
            Margin::Rank(samples) => units(normal_score(samples.of(segment).rank(forgiven))),
            Margin::Mean(moments) => units(moments.of(segment).deviation(forgiven)),
        };
        Coin { p: share, score: -score }
    }

    /// A bad answer is the candidate's with the odds of the share times the
    /// ratio of the rates; both rates follow from the pooled one, which knows
    /// no labels.
    fn rate_coin(&self, events: Events, bad: bool, share: f64) -> Coin {
        let (control, candidate) = self.cautious_rates(events, share);
        let odds = if bad { candidate / control } else { (1.0 - candidate) / (1.0 - control) };
        let p = share * odds / (1.0 - share + share * odds);
        let score = units(f64::from(u8::from(bad))) - units(events.share());
        Coin { p, score: -score }
    }

    /// [`Self::rates`] as far as they are known from these events.
    ///
    /// A ratio of bad answers holds at every level. Other margins make a ratio
    /// that grows without bounds as control's rate goes to zero, so a rate that
    /// is hardly known is taken as higher and never as zero.
    fn cautious_rates(&self, events: Events, share: f64) -> (f64, f64) {
        if let (Notice::Times(_), Worse::Higher) = (self.notice, self.worse) {
            return self.rates(events.share(), share);
        }
        let (control, candidate) = self.rates(events.cautious(), share);
        let least = (1.0 / (events.outcomes + PRIOR_OUTCOMES)).min(0.5);
        let control = control.max(least);
        (control, candidate.max(self.worse_than(control)))
    }

    /// The candidate's rate of bad answers if it is worse than control's by
    /// just the notice.
    fn worse_than(&self, control: f64) -> f64 {
        let candidate = match (self.notice, self.worse) {
            (Notice::Times(times), Worse::Higher) => control * times,
            (Notice::Times(times), Worse::Lower) => 1.0 - times * (1.0 - control),
            (Notice::By(by), _) => control + by.0,
        };
        candidate.clamp(1e-6, 1.0 - 1e-6)
    }

    /// The coin of an answer of a subject that sticks to one arm, for rates.
    ///
    /// Answers of one subject are no coins of their own, so they are tested as
    /// scores, and the harm that would matter is taken off: of the candidate's
    /// bad answers only as many count as control would have had of them.
    /// `u`, uniform in [0, 1), says which.
    pub fn thinned_coin(
        &self,
        bad: bool,
        shows: bool,
        share: f64,
        segment: Option<u64>,
        u: f64,
    ) -> Coin {
        let Margin::Rate(events) = &self.how else { return Coin { p: share, score: 0 } };
        let (control, candidate) = self.cautious_rates(*events.of(segment), share);
        let counts = bad && (!shows || u * candidate < control);
        Coin { p: share, score: units(control) - units(f64::from(u8::from(counts))) }
    }

    /// Rates of bad answers if the candidate is worse by just the notice and
    /// both together have this rate.
    fn rates(&self, pooled: f64, share: f64) -> (f64, f64) {
        let control = match (self.notice, self.worse) {
            (Notice::Times(times), Worse::Higher) => pooled / (1.0 - share + share * times),
            (Notice::Times(times), Worse::Lower) => {
                // Candidate's good rate is `times` control's.
                (pooled - share * (1.0 - times)) / (1.0 - share + share * times)
            }
            (Notice::By(by), _) => pooled - share * by.0,
        };
        let control = control.clamp(1e-6, 1.0 - 1e-6);
        (control, self.worse_than(control))
    }

    /// The coin of two answers to one input, if they differ; `fewer` says
    /// whether the candidate's was the better one. For rates, `discordant` is
    /// the share of pairs that differ, as far as known.
    pub fn pair_coin(
        &self,
        candidate: f64,
        control: f64,
        discordant: f64,
        segment: Option<u64>,
    ) -> (Coin, bool) {
        if let Margin::Rate(events) = &self.how {
            let (low, high) = self.rates(events.of(segment).share(), 0.5);
            // Pairs in which only the candidate is bad, less those in which
            // only control is, are the difference of the rates.
            let worse = (0.5 + (high - low) / (2.0 * discordant.max(1e-9))).clamp(0.5, 1.0 - 1e-6);
            let differ = i32::from(candidate != control);
            return (Coin { p: 1.0 - worse, score: differ * units(1.0) }, candidate < control);
        }
        let score = |value| self.coin(value, 0.5, segment).score;
        let better = score(candidate) - score(control);
        (Coin { p: 0.5, score: better.abs() }, better > 0)
    }

    /// Takes in a value of [`Self::forgiven`], after its coin was made.
    pub fn learn(&mut self, forgiven: f64, segment: Option<u64>) {
        match &mut self.how {
            Margin::Rate(events) => events.entry(segment).add(forgiven > 0.0),
            Margin::Beyond { samples, .. } | Margin::Rank(samples) => {
                samples.entry(segment).add(forgiven);
            }
            Margin::Mean(moments) => moments.entry(segment).add(forgiven),
        }
    }
}
