//! A z-test made for one look, taken at every look: what not to do.

use super::{Terms, Test};
use crate::law::normal_quantile;
use analysis::Outcome;
use domain::policy::Signal;

/// Outcomes of each arm before the first look counts.
const LEAST: f64 = 5.0;

/// Count, sum and sum of squares of one arm.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moments {
    n: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    /// Takes in a value.
    pub fn add(&mut self, value: f64) {
        self.n += 1.0;
        self.sum += value;
        self.squares += value * value;
    }

    /// How many.
    pub fn n(&self) -> f64 {
        self.n
    }

    /// Their mean.
    pub fn mean(&self) -> f64 {
        self.sum / self.n
    }

    /// Their variance.
    pub fn variance(&self) -> f64 {
        (self.squares / self.n - self.mean() * self.mean()).max(0.0)
    }
}

struct Peek {
    arms: [Moments; 2],
    boundary: f64,
}

/// Builds the test.
pub fn make(_signal: &Signal, terms: &Terms) -> Box<dyn Test> {
    Box::new(Peek { arms: [Moments::default(); 2], boundary: normal_quantile(1.0 - terms.risk) })
}

impl Test for Peek {
    fn add(&mut self, outcome: &Outcome, value: f64) {
        self.arms[usize::from(crate::law::is_candidate(outcome.side))].add(value);
    }

    fn stops(&mut self) -> bool {
        let [control, candidate] = &self.arms;
        if control.n() < LEAST || candidate.n() < LEAST {
            return false;
        }
        let error =
            (control.variance() / control.n() + candidate.variance() / candidate.n()).sqrt();
        error > 0.0 && (candidate.mean() - control.mean()) / error > self.boundary
    }
}
