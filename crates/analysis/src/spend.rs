//! What a month will cost, from the days there were.
//!
//! Days are taken as draws from one distribution, which they are not quite:
//! weekends differ, and a change of release moves the mean. So the forecast
//! looks at no more than four weeks, and gives a range with its confidence, not
//! a number alone. The range is the prediction interval for the sum of `left`
//! more draws after `n` (Hahn and Meeker, *Statistical Intervals*, section 4.8):
//! mean · left ± t · s · √(left + left² / n).

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// Fewest whole days a forecast needs.
pub const MIN_DAYS: usize = 7;
/// Most days it looks at.
pub const MAX_DAYS: usize = 28;
/// Confidence of the range.
pub const CONFIDENCE: f64 = 0.8;

/// A forecast, in the unit of the days it came from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// What is most plausible for the whole month.
    pub value: f64,
    /// Lower end of the range: at least what was spent.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The whole month, given what was `spent` in it by now, the sums of whole days
/// that are over (oldest first), and how many days are `left`, today's rest
/// included. None with fewer than [`MIN_DAYS`] days.
pub fn month(spent: f64, days: &[f64], left: f64) -> Option<Forecast> {
    let days = days.get(days.len().saturating_sub(MAX_DAYS)..)?;
    if days.len() < MIN_DAYS {
        return None;
    }
    let n = days.len() as f64;
    let mean = days.iter().sum::<f64>() / n;
    let variance = days.iter().map(|day| (day - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let t = StudentsT::new(0.0, 1.0, n - 1.0).ok()?.inverse_cdf(0.5 + CONFIDENCE / 2.0);
    let half = t * (variance * (left + left * left / n)).sqrt();
    let value = spent + mean * left;
    Some(Forecast { value, low: (value - half).max(spent), high: value + half })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_is_needed_and_even_days_leave_no_doubt() {
        assert_eq!(month(3.0, &[1.0; 6], 10.0), None);
        let even = month(7.0, &[1.0; 7], 10.0).unwrap();
        assert_eq!((even.value, even.low, even.high), (17.0, 17.0, 17.0));
    }

    #[test]
    fn the_range_is_the_textbooks() {
        // n = 10, mean 5.5, s² = 9.1667, left = 4: t(9, 0.9) = 1.38303,
        // half = 1.38303 · √(9.16667 · 5.6) = 9.9089.
        let days: Vec<f64> = (1..=10).map(f64::from).collect();
        let range = month(55.0, &days, 4.0).unwrap();
        assert!((range.value - 77.0).abs() < 1e-9);
        assert!((range.high - 77.0 - 9.9089).abs() < 1e-3, "{range:?}");
        assert!((77.0 - range.low - 9.9089).abs() < 1e-3, "{range:?}");
    }

    #[test]
    fn it_never_promises_less_than_was_spent_and_looks_at_four_weeks() {
        let mut days = vec![1_000.0; 10];
        days.extend([1.0; 28]);
        assert_eq!(month(5.0, &days, 2.0).unwrap().value, 7.0);
        let wild = [0.0, 100.0, 0.0, 0.0, 90.0, 0.0, 0.0];
        assert_eq!(month(50.0, &wild, 1.0).unwrap().low, 50.0);
    }
}
