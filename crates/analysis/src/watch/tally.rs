//! Outcomes of a stretch of time, added up.

use super::ruler::{Measured, Ruler};
use crate::sketch::Sketch;
use domain::policy::Worse;
use domain::verdict::ArmNumbers;

/// Means are compared with limits to this share of the limit: what sums of
/// binary fractions are off by must not decide.
const SLACK: f64 = 1e-9;

/// Counts of outcomes that can be added.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Tally {
    /// Outcomes, failed answers too.
    pub(super) n: u64,
    /// Bad ones, or beyond the limit.
    pub(super) bad: u64,
    /// Failed answers without a value.
    failed: u64,
    /// Sum of the values there are.
    sum: f64,
    /// The values, for quantiles alone.
    sketch: Sketch,
}

impl Tally {
    pub(super) fn add(&mut self, ruler: &Ruler, measured: Measured) {
        self.n = self.n.saturating_add(1);
        self.bad = self.bad.saturating_add(u64::from(measured.bad));
        let Some(value) = measured.value else {
            self.failed = self.failed.saturating_add(1);
            return;
        };
        self.sum += value;
        if ruler.quantile().is_some() {
            self.sketch.add_times(value, 1);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.n = self.n.saturating_add(other.n);
        self.bad = self.bad.saturating_add(other.bad);
        self.failed = self.failed.saturating_add(other.failed);
        self.sum += other.sum;
        self.sketch.merge(&other.sketch);
    }

    fn mean(&self) -> Option<f64> {
        let valued = self.n.saturating_sub(self.failed);
        (valued > 0).then(|| self.sum / valued as f64)
    }

    /// The quantile with failed answers at the bad end. Among them it has no
    /// number: the worst value there is, or the limit, stands for it.
    fn quantile(&self, q: f64, ruler: &Ruler) -> Option<f64> {
        let valued = self.n.saturating_sub(self.failed);
        let mut rank = (q * self.n as f64).ceil().max(1.0);
        if ruler.worse() == Worse::Lower {
            rank = (rank - self.failed as f64).max(1.0);
        }
        let value = self.sketch.quantile((rank / valued.max(1) as f64).min(1.0))?;
        // The sketch knows values to 1 %; with the limit (1, in its unit) each
        // was compared exactly.
        Some(match (self.respects(ruler), ruler.worse()) {
            (Some(true), Worse::Higher) | (Some(false), Worse::Lower) => value.min(1.0),
            (Some(false), Worse::Higher) | (Some(true), Worse::Lower) => value.max(1.0),
            (None, _) => value,
        })
    }

    /// What the limit asks: does the measured value respect it? Nothing
    /// without outcomes or without a limit.
    pub(super) fn respects(&self, ruler: &Ruler) -> Option<bool> {
        let limit = ruler.limit()?;
        if self.n == 0 {
            return None;
        }
        if let Some(q) = ruler.quantile() {
            // The value at the quantile's rank, failed answers at the bad end.
            let rank = (q * self.n as f64).ceil().max(1.0) as u64;
            return Some(match ruler.worse() {
                Worse::Higher => self.bad <= self.n.saturating_sub(rank),
                Worse::Lower => self.bad < rank,
            });
        }
        let slack = SLACK * limit.abs();
        Some(self.mean().is_some_and(|mean| match ruler.worse() {
            Worse::Higher => mean <= limit + slack,
            Worse::Lower => mean >= limit - slack,
        }))
    }

    /// As people see it, in the signal's own unit.
    pub(super) fn numbers(&self, ruler: &Ruler) -> ArmNumbers {
        let value = match ruler.quantile() {
            Some(q) => self.quantile(q, ruler),
            None => self.mean(),
        };
        ArmNumbers {
            n: self.n,
            value: value.map(|value| value * ruler.unit()),
            bad: ruler.is_rate().then_some(self.bad),
        }
    }
}
