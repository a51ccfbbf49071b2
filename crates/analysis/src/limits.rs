//! Absolute limits: is the candidate's value beyond what the policy allows?
//!
//! Two kinds of rule. Without `sustained`, one look decides, so one look must
//! be sure: the limit is broken if the outcomes of the window would be a
//! thousand to one against a candidate that sits exactly on the limit. With
//! `sustained`, time does what certainty does otherwise: each look compares the
//! measured value itself, and the policy says how long it must stay beyond.
//! Either way there is no verdict below `min_samples`, and none without data.

use crate::betting::Sums;
use crate::cells::{Cell, CellKey};
use crate::measure::{Counts, Source, Values};
use crate::tails;
use crate::verdict::Window;
use domain::policy::{Signal, SignalKind, Statistic, Worse};
use domain::routing::Arm;
use domain::units::Timestamp;
use domain::verdict::ArmNumbers;

/// Probability with which one look may call a candidate that sits exactly on
/// its limit beyond it.
pub const LIMIT_RISK: f64 = 1e-3;

/// What one look said about a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limited {
    /// The candidate's outcomes in the window.
    pub numbers: ArmNumbers,
    /// Beyond the limit, as surely as the rule asks.
    pub over: bool,
    /// The measured value respects the limit.
    pub within: bool,
}

/// The candidate's cells that a limit looks at: those of its window, or those
/// of the step. Until the step has outcomes of its own, those before it stand:
/// a label that was given once per input may not come again.
fn watched<'a>(
    signal: &Signal,
    cells: impl Iterator<Item = (&'a CellKey, &'a Cell)>,
    window: &Window,
    now: Timestamp,
) -> Vec<&'a Cell> {
    let (source, from) =
        (Source::of(signal), signal.window.map(|span| now.0.saturating_sub(span.millis())));
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    for (key, cell) in cells {
        if key.second > now.second() || !matches!(key.arm, Arm::Candidate | Arm::Shadow) {
            continue;
        }
        let within = match from {
            Some(from) => key.second.saturating_mul(1000) > from,
            None => key.step == window.step,
        };
        if within { inside.push(cell) } else { outside.push(cell) }
    }
    let any = inside.iter().any(|cell| source.measured(signal.kind, cell) > 0);
    if any || from.is_some() { inside } else { outside }
}

/// One look at an absolute limit.
pub(crate) fn look<'a>(
    signal: &Signal,
    limit: f64,
    cells: impl Iterator<Item = (&'a CellKey, &'a Cell)>,
    window: &Window,
    now: Timestamp,
) -> Limited {
    let source = Source::of(signal);
    let cells = watched(signal, cells, window, now).into_iter();
    let judged = match signal.kind {
        SignalKind::Rate => rate(source, limit, signal.worse, cells),
        SignalKind::Score => score(source, limit, signal.worse, cells),
        SignalKind::Latency | SignalKind::Amount => value(signal, limit, cells),
    };
    let enough = judged.numbers.n >= signal.min_samples.max(1);
    let beyond = judged.numbers.n > 0 && !judged.within;
    let over = enough && beyond && (signal.sustained.is_some() || judged.p <= LIMIT_RISK);
    Limited { numbers: judged.numbers, over, within: judged.within }
}

struct Judged {
    numbers: ArmNumbers,
    within: bool,
    /// How likely outcomes so far beyond the limit would be on the limit.
    p: f64,
}

fn respects(value: Option<f64>, limit: f64, worse: Worse) -> bool {
    value.is_some_and(|value| match worse {
        Worse::Higher => value <= limit,
        Worse::Lower => value >= limit,
    })
}

fn rate<'a>(
    source: Source<'_>,
    limit: f64,
    worse: Worse,
    cells: impl Iterator<Item = &'a Cell>,
) -> Judged {
    let mut counts = Counts::default();
    cells.for_each(|cell| counts.merge(source.counts(cell)));
    let p = match worse {
        Worse::Higher => tails::upper(counts.ones, counts.n, limit),
        Worse::Lower => tails::lower(counts.ones, counts.n, limit),
    };
    let numbers = crate::verdict::rate_numbers(counts, worse);
    Judged { numbers, within: respects(numbers.value, limit, worse), p }
}

fn score<'a>(
    source: Source<'_>,
    limit: f64,
    worse: Worse,
    cells: impl Iterator<Item = &'a Cell>,
) -> Judged {
    let mut sums = Sums::default();
    cells.for_each(|cell| sums.merge(source.sums(cell)));
    let numbers = ArmNumbers { n: sums.n as u64, value: sums.mean(), bad: None };
    let variance = sums.mean().map_or(0.0, |mean| (sums.sum_sq / sums.n - mean * mean).max(0.0));
    Judged {
        numbers,
        within: respects(numbers.value, limit, worse),
        p: of_mean(numbers, variance, limit),
    }
}

/// Tail of the mean by the normal law, roughly: only ever asked whether it is
/// below [`LIMIT_RISK`].
fn of_mean(numbers: ArmNumbers, variance: f64, limit: f64) -> f64 {
    let Some(value) = numbers.value else { return 1.0 };
    let error = (variance / numbers.n as f64).sqrt();
    if (value - limit).abs() >= tails::normal_quantile(LIMIT_RISK) * error { 0.0 } else { 1.0 }
}

fn value<'a>(signal: &Signal, limit: f64, cells: impl Iterator<Item = &'a Cell>) -> Judged {
    let source = Source::of(signal);
    let mut values = Values::default();
    cells.for_each(|cell| source.add_values(cell, &mut values));
    let numbers = crate::verdict::value_numbers(signal, &values);
    let quantile = match signal.kind {
        SignalKind::Latency => signal.statistic.and_then(Statistic::quantile),
        _ => None,
    };
    let Some(q) = quantile else {
        let variance = values.sketch.moments().map_or(0.0, |(_, variance)| variance);
        let p = of_mean(numbers, variance, limit);
        return Judged { numbers, within: respects(numbers.value, limit, signal.worse), p };
    };
    let n = values.n();
    let below = values.sketch.rank(limit);
    let p = match signal.worse {
        Worse::Higher => tails::upper(n.saturating_sub(below), n, 1.0 - q),
        Worse::Lower => tails::upper(below, n, q),
    };
    Judged { numbers, within: respects(values.quantile(q), limit, signal.worse), p }
}
