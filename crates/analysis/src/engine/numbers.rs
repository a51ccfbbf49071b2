//! The numbers of one arm, as people read them and as intervals need them.

use crate::sketch::Sketch;
use domain::policy::{Signal, SignalKind, Statistic, Worse};
use domain::verdict::ArmNumbers;

/// Outcomes of one arm.
#[derive(Debug, Clone, Default)]
pub(super) struct Arm {
    /// Outcomes, the failed ones included.
    pub n: u64,
    /// Outcomes that failed: worse than any number.
    pub worst: u64,
    ones: u64,
    sum: f64,
    values: Sketch,
    /// Sums of weights w, w², wx, w²x, w²x² with w one over the probability of
    /// having been served by this arm.
    weighted: [f64; 5],
}

impl Arm {
    /// Takes in a value that was drawn with this probability.
    pub(super) fn add(&mut self, kind: SignalKind, value: f64, probability: f64) {
        self.n = self.n.saturating_add(1);
        if value.is_infinite() {
            self.worst = self.worst.saturating_add(1);
            return;
        }
        self.ones = self.ones.saturating_add(u64::from(value == 1.0));
        self.sum += value;
        if matches!(kind, SignalKind::Latency | SignalKind::Amount) {
            // Only numbers get here, so nothing is refused.
            self.values.add(value).unwrap_or_default();
        }
        let w = 1.0 / probability.max(1e-4);
        for (sum, term) in self.weighted.iter_mut().zip([
            w,
            w * w,
            w * value,
            w * w * value,
            w * w * value * value,
        ]) {
            *sum += term;
        }
    }

    /// The mean over what both arms were drawn from, and the variance of that
    /// estimate (Hájek's ratio estimator).
    ///
    /// A rate without bad (or without good) answers has no spread to estimate;
    /// the spread of half an answer more of either stands in for it.
    pub(super) fn mean(&self, kind: SignalKind) -> Option<(f64, f64)> {
        let [w, ww, wx, wwx, wwxx] = self.weighted;
        let n = self.n - self.worst;
        if n < 2 || w <= 0.0 {
            return None;
        }
        let mean = wx / w;
        let squares = (wwxx - 2.0 * mean * wwx + mean * mean * ww).max(0.0);
        let (variance, n) = (squares / (w * w), n as f64);
        let variance = match kind {
            SignalKind::Rate => {
                let rate = (self.ones as f64 + 0.5) / (n + 1.0);
                variance.max(rate * (1.0 - rate) / n)
            }
            _ => variance * n / (n - 1.0),
        };
        Some((mean, variance))
    }

    /// The plain mean of values that were numbers.
    pub(super) fn plain_mean(&self) -> Option<f64> {
        let n = self.n - self.worst;
        (n > 0).then(|| self.sum / n as f64)
    }

    /// The quantile with failed answers at the top: infinite among them.
    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        let finite = self.values.count();
        let wanted = (q * self.n as f64).ceil().max(1.0);
        if self.n == 0 {
            None
        } else if wanted > finite as f64 {
            Some(f64::INFINITY)
        } else {
            self.values.quantile(wanted / finite as f64)
        }
    }

    /// As people read it. Where the quantile falls among failed answers, the
    /// slowest whole one stands for it: infinity cannot be shown.
    pub(super) fn numbers(&self, signal: &Signal) -> ArmNumbers {
        let bad = match (signal.kind, signal.worse) {
            (SignalKind::Rate, Worse::Higher) => Some(self.ones),
            (SignalKind::Rate, Worse::Lower) => Some(self.n.saturating_sub(self.ones)),
            _ => None,
        };
        let value = match quantile_of(signal) {
            Some(q) => self.quantile(q).and_then(|value| match value.is_finite() {
                true => Some(value),
                false => self.values.max(),
            }),
            None => self.plain_mean(),
        };
        ArmNumbers { n: self.n, value, bad }
    }
}

/// The quantile a signal asks about; none if it asks for the mean.
pub(super) fn quantile_of(signal: &Signal) -> Option<f64> {
    match signal.kind {
        SignalKind::Latency => signal.statistic.and_then(Statistic::quantile),
        _ => None,
    }
}
