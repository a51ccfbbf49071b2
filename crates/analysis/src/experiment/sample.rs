//! Values of one metric of one variant: sums for ever, the values themselves
//! while they are few.

use super::bootstrap::{self, FEW};
use super::random::Random;
use super::report::Estimate;
use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// Values seen.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sample {
    n: u64,
    /// Mean and sum of squares around it, updated value by value (Welford 1962).
    mean: f64,
    around: f64,
    few: Vec<f64>,
}

impl Sample {
    pub(super) fn add(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.n = self.n.saturating_add(1);
        let step = value - self.mean;
        self.mean += step / self.n as f64;
        self.around += step * (value - self.mean);
        if self.few.len() < FEW {
            self.few.push(value);
        } else if self.n > FEW as u64 {
            self.few = Vec::new();
        }
    }

    pub(super) fn n(&self) -> u64 {
        self.n
    }

    /// Their mean and its interval of this level, for one look.
    pub(super) fn estimate(
        &self,
        level: f64,
        bounds: (f64, f64),
        random: Random,
    ) -> Option<Estimate> {
        if self.n == 0 {
            return None;
        }
        let interval = if self.n <= FEW as u64 {
            bootstrap::mean(&self.few, level, bounds, random)
        } else {
            self.student(level, bounds)
        };
        Some(Estimate { n: self.n, value: self.mean, interval })
    }

    fn student(&self, level: f64, (low, high): (f64, f64)) -> Option<(f64, f64)> {
        let n = self.n as f64;
        let error = (self.around / (n - 1.0) / n).sqrt();
        let t = StudentsT::new(0.0, 1.0, n - 1.0).ok()?.inverse_cdf((1.0 + level) / 2.0);
        let half = if error > 0.0 { t * error } else { return None };
        Some(((self.mean - half).max(low), (self.mean + half).min(high)))
    }
}
