//! Where the difference between the arms lies, at every look.

use super::numbers::{Arm, quantile_of};
use domain::policy::{Notice, Signal, SignalKind, Worse};

/// Chance that an interval ever misses the truth.
pub(super) const MISSES: f64 = 0.05;
/// Outcomes for which intervals of means are tightest.
const TIGHT_AT: f64 = 500.0;
/// A difference smaller than this share of the notice stops nothing: it is real,
/// and it does not matter.
const MATTERS: f64 = 0.2;

/// Interval for candidate − control, valid at every look.
///
/// Means: the asymptotic confidence sequence of Waudby-Smith et al. (2024),
/// theorem 2.2, for inverse-probability weighted means, wider by the design
/// effect of sticky subjects. Quantiles: those of Howard & Ramdas (2022),
/// theorem 1 (the stitched bound), for each arm at half the risk.
pub(super) fn difference(
    signal: &Signal,
    candidate: &Arm,
    control: &Arm,
    design_effect: f64,
) -> Option<(f64, f64)> {
    match quantile_of(signal) {
        Some(q) => {
            let (low, high) = quantile_between(candidate, q, design_effect)?;
            let (control_low, control_high) = quantile_between(control, q, design_effect)?;
            let between = (low - control_high, high - control_low);
            (between.0.is_finite() && between.1.is_finite()).then_some(between)
        }
        None => {
            let ((mean, variance), (control_mean, control_variance)) =
                (candidate.mean(signal.kind)?, control.mean(signal.kind)?);
            let n = candidate.n.min(control.n) as f64 / design_effect;
            let error = ((variance + control_variance) * design_effect).sqrt();
            let width = error * factor(n);
            let difference = mean - control_mean;
            let most = match (signal.kind, signal.range) {
                (SignalKind::Rate, _) => 1.0,
                (SignalKind::Score, Some((low, high))) => high - low,
                _ => f64::INFINITY,
            };
            (width.is_finite() && width > 0.0)
                .then_some(((difference - width).max(-most), (difference + width).min(most)))
        }
    }
}

/// How many standard errors an interval of a mean is wide at `n` outcomes.
fn factor(n: f64) -> f64 {
    let half = -2.0 * MISSES.ln();
    let rho2 = (half + (half + 1.0).ln()) / TIGHT_AT;
    let grown = n * rho2 + 1.0;
    (2.0 * grown / (n * rho2) * (grown.sqrt() / MISSES).ln()).sqrt()
}

fn quantile_between(arm: &Arm, q: f64, design_effect: f64) -> Option<(f64, f64)> {
    let n = arm.n as f64 / design_effect;
    if n < 2.0 {
        return None;
    }
    let l = (1.4 * (2.1 * n).ln().ln().max(0.0) + (10.0 / (MISSES / 2.0)).ln()) / n;
    let wide = 1.5 * (q * (1.0 - q) * l).sqrt() + 0.8 * l;
    let low = if q - wide <= 0.0 { 0.0 } else { arm.quantile(q - wide)? };
    let high = if q + wide >= 1.0 { f64::INFINITY } else { arm.quantile(q + wide)? };
    Some((low, high))
}

/// An interval that says nothing the tests deny: a candidate that was shown
/// worse is not shown perhaps better, one that was shown not worse by `notice`
/// not perhaps worse by more.
pub(super) fn agreeing(
    signal: &Signal,
    (low, high): (f64, f64),
    worse: bool,
    not_worse: bool,
    control: Option<f64>,
) -> Option<(f64, f64)> {
    let (mut low, mut high) = (low, high);
    if worse {
        match signal.worse {
            Worse::Higher => low = low.max(0.0),
            Worse::Lower => high = high.min(0.0),
        }
    }
    if let (true, Some(notice)) = (not_worse, signal.notice) {
        let margin = match notice {
            Notice::By(by) => Some(by.0),
            Notice::Times(times) => control.map(|control| (control * (times - 1.0)).abs()),
        };
        // Without bad answers a ratio has no margin to show.
        if let Some(margin) = margin.filter(|margin| *margin > 0.0) {
            match signal.worse {
                Worse::Higher => high = high.min(margin),
                Worse::Lower => low = low.max(-margin),
            }
        }
    }
    (low <= high).then_some((low, high))
}

/// False if the difference is so far below the notice that it should stop
/// nothing. True where it cannot be told.
pub(super) fn matters(signal: &Signal, candidate: &Arm, control: &Arm) -> bool {
    let Some(notice) = signal.notice else { return true };
    let tailed = matches!(signal.kind, SignalKind::Latency | SignalKind::Amount);
    // A few huge values move means, not medians.
    let values = match quantile_of(signal).or(tailed.then_some(0.5)) {
        Some(q) => candidate.quantile(q).zip(control.quantile(q)),
        None => candidate.mean(signal.kind).zip(control.mean(signal.kind)).map(|(a, b)| (a.0, b.0)),
    };
    let Some((candidate, control)) = values else { return true };
    let part = match notice {
        Notice::Times(times) => (candidate / control).ln() / times.ln(),
        Notice::By(by) => match signal.worse {
            Worse::Higher => (candidate - control) / by.0,
            Worse::Lower => (control - candidate) / by.0,
        },
    };
    part.is_nan() || part >= MATTERS
}
