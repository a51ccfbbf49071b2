//! A signal's outcomes as labelled events: bad answers, or answers beyond a
//! threshold.
//!
//! Latencies and amounts have no bad answers, only larger ones. An event is
//! then an outcome beyond a quantile of all outcomes of *both* arms so far: a
//! threshold that does not know the labels, so the exact test on labels holds,
//! and one that a few huge values cannot move. It is set once 40 outcomes are
//! known, for these too, and again at each doubling.

use crate::cells::Cell;
use crate::label::{Coins, Labels};
use crate::measure::{Counts, Source, Values};
use crate::series::{Group, Moment, Series};
use crate::sketch::{Bucket, Sketch};
use domain::policy::{Notice, Worse};

/// Outcomes of both arms before anything is counted as an event, where that
/// depends on the outcomes.
const FIRST_OUTCOMES: u64 = 40;

/// Zero-or-one outcomes of both arms in one moment.
fn counted(source: Source<'_>, cells: &[&Cell]) -> Counts {
    cells.iter().fold(Counts::default(), |mut sum, cell| {
        sum.merge(source.counts(cell));
        sum
    })
}

/// Events and others of both arms, each as (events, others).
fn labels(
    second: i64,
    requests: u64,
    p: f64,
    candidate: (u64, u64),
    control: (u64, u64),
) -> Labels {
    Labels {
        second,
        requests,
        events: Coins { probability: p, candidate: candidate.0, control: control.0 },
        others: Coins { probability: p, candidate: candidate.1, control: control.1 },
    }
}

/// Labels of the outcomes that were one, or of those that were zero.
pub(crate) fn rates(
    series: &Series<'_>,
    source: Source<'_>,
    ones: bool,
    probability: impl Fn(Group) -> f64,
) -> Vec<Labels> {
    let split = |cells: &[&Cell]| {
        let counts = counted(source, cells);
        let zeros = counts.n.saturating_sub(counts.ones);
        if ones { (counts.ones, zeros) } else { (zeros, counts.ones) }
    };
    let label = |moment: &Moment<'_>| {
        let p = probability(moment.group);
        labels(moment.second, moment.requests, p, split(&moment.candidate), split(&moment.control))
    };
    series.moments.iter().map(label).collect()
}

/// How the candidate's values are changed before they are compared: by the
/// margin it is granted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Granted(pub Notice, pub Worse);

impl Granted {
    fn apply(self, value: f64) -> f64 {
        match (self.0, self.1) {
            (Notice::Times(times), _) => value / times,
            (Notice::By(by), Worse::Higher) => value - by.0,
            (Notice::By(by), Worse::Lower) => value + by.0,
        }
    }

    fn sketch(self, sketch: &Sketch) -> Sketch {
        let mut moved = Sketch::default();
        for (bucket, times) in sketch.iter() {
            moved.add_times(self.apply(bucket.value()), times);
        }
        moved
    }
}

fn values(source: Source<'_>, cells: &[&Cell], granted: Option<Granted>) -> Values {
    let mut all = Values::default();
    cells.iter().for_each(|cell| source.add_values(cell, &mut all));
    if let Some(granted) = granted {
        all.sketch = granted.sketch(&all.sketch);
    }
    all
}

/// What counts as beyond.
#[derive(Debug, Clone, Copy)]
struct Threshold {
    bucket: Bucket,
    /// Whether the bucket itself lies beyond.
    inclusive: bool,
    worse: Worse,
}

impl Threshold {
    /// The bad end of the pooled outcomes that holds about a share `1 − q`.
    fn of(pooled: &Values, q: f64, worse: Worse) -> Option<Self> {
        let (n, finite) = (pooled.n() as f64, pooled.sketch.count() as f64);
        // Failed answers are events of their own; where they fill the bad end,
        // the threshold stays among the others, so that these count too.
        let rank = match worse {
            Worse::Higher => (q * n / finite).min((1.0 + q) / 2.0),
            Worse::Lower => (1.0 - q) * n / finite,
        };
        let bucket = pooled.sketch.quantile_bucket(rank)?;
        let strict = Self { bucket, inclusive: false, worse };
        let wide = Self { inclusive: true, ..strict };
        let miss = |t: Self| (t.count(pooled) as f64 - (1.0 - q) * n).abs();
        // Where many outcomes are equal, a strict threshold may catch nothing.
        let pick_wide = strict.count(pooled) == 0 || miss(wide) < miss(strict);
        Some(if pick_wide { wide } else { strict })
    }

    /// Outcomes beyond, and the others.
    fn split(self, values: &Values) -> (u64, u64) {
        let beyond = self.count(values);
        (beyond, values.n().saturating_sub(beyond))
    }

    fn count(self, values: &Values) -> u64 {
        let at_or_above = |include: bool| {
            values
                .sketch
                .iter()
                .filter(|(bucket, _)| *bucket > self.bucket || (include && *bucket == self.bucket))
                .fold(0_u64, |sum, (_, times)| sum.saturating_add(times))
        };
        let beyond = match self.worse {
            Worse::Higher => at_or_above(self.inclusive),
            Worse::Lower => values.sketch.count().saturating_sub(at_or_above(!self.inclusive)),
        };
        beyond.saturating_add(values.worst)
    }
}

/// Labels of the outcomes beyond the pooled quantile `q`.
pub(crate) fn beyond(
    series: &Series<'_>,
    source: Source<'_>,
    q: f64,
    worse: Worse,
    granted: Option<Granted>,
    probability: impl Fn(Group) -> f64,
) -> Vec<Labels> {
    let mut pooled = Values::default();
    let mut early = Vec::<(&Moment<'_>, Values, Values)>::new();
    let mut threshold: Option<Threshold> = None;
    let mut next = FIRST_OUTCOMES;
    let mut all = Vec::new();
    let event =
        |t: Threshold, second, moment: &Moment<'_>, candidate: &Values, control: &Values| {
            let p = probability(moment.group);
            labels(second, moment.requests, p, t.split(candidate), t.split(control))
        };
    for moment in &series.moments {
        let candidate = values(source, &moment.candidate, granted);
        let control = values(source, &moment.control, None);
        pooled.merge(&candidate);
        pooled.merge(&control);
        match threshold {
            Some(t) => all.push(event(t, moment.second, moment, &candidate, &control)),
            None => early.push((moment, candidate, control)),
        }
        if pooled.n() < next {
            continue;
        }
        next = pooled.n().saturating_mul(2);
        let first = threshold.is_none();
        threshold = Threshold::of(&pooled, q, worse).or(threshold);
        if let (true, Some(t)) = (first, threshold) {
            // Known only now: one look at all of them.
            all.extend(early.drain(..).map(|(m, a, b)| event(t, moment.second, m, &a, &b)));
        }
    }
    all
}
