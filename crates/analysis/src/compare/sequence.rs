//! An interval that holds at every look, so that asking may stop as soon as a
//! rule is decided.
//!
//! The predictable plug-in empirical Bernstein confidence sequence (Waudby-Smith
//! and Ramdas, "Estimating means of bounded random variables by betting", JRSS B
//! 86, 2024, theorem 2): for independent values in [0, 1], the chance that the
//! true mean ever leaves the interval, at any of infinitely many looks, is at
//! most 1 − confidence. Stopping when it pleases costs nothing.

use super::{Interval, Method};

/// Largest bet.
const MOST: f64 = 0.5;

/// The sequence so far. Values must come in an order that does not depend on
/// them: a shuffle by seed.
#[derive(Debug, Clone, PartialEq)]
pub struct Sequence {
    confidence: f64,
    count: f64,
    sum: f64,
    /// Sum of squared distances from the mean known at each time.
    squares: f64,
    bets: f64,
    weighted: f64,
    cost: f64,
    low: f64,
    high: f64,
}

impl Sequence {
    /// An empty one.
    pub fn new(confidence: f64) -> Self {
        Self {
            confidence,
            count: 0.0,
            sum: 0.0,
            squares: 0.0,
            bets: 0.0,
            weighted: 0.0,
            cost: 0.0,
            low: 0.0,
            high: 1.0,
        }
    }

    /// Adds a value; what is outside [0, 1] counts as the nearer end.
    pub fn push(&mut self, value: f64) {
        let value = if value.is_nan() { 0.5 } else { value.clamp(0.0, 1.0) };
        let risk = (2.0 / (1.0 - self.confidence)).ln();
        // Mean and variance of what came before: the bet may not know `value`.
        let before = (0.5 + self.sum) / (self.count + 1.0);
        let variance = (0.25 + self.squares) / (self.count + 1.0);
        self.count += 1.0;
        let bet = (2.0 * risk / (variance * self.count * self.count.ln_1p())).sqrt().min(MOST);
        self.sum += value;
        self.bets += bet;
        self.weighted += bet * value;
        let psi = (-(-bet).ln_1p() - bet) / 4.0;
        self.cost += 4.0 * (value - before).powi(2) * psi;
        let mean = (0.5 + self.sum) / (self.count + 1.0);
        self.squares += (value - mean).powi(2);
        let (centre, reach) = (self.weighted / self.bets, (risk + self.cost) / self.bets);
        // What was excluded once stays excluded.
        self.low = self.low.max(centre - reach).min(1.0);
        self.high = self.high.min(centre + reach).max(0.0);
    }

    /// The interval now.
    pub fn interval(&self) -> Interval {
        let value = if self.count > 0.0 { self.sum / self.count } else { 0.5 };
        Interval { value, low: self.low, high: self.high, method: Method::EmpiricalBernstein }
    }
}
