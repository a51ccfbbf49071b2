//! What is still to be spent, from what was: sums and ratios of observations
//! that are yet to come, with the range in which they would lie.
//!
//! Observations are taken as independent and alike (days of an app's traffic,
//! requests of a suite). The range is a prediction interval: it has the spread
//! of the new observations in it and that of the mean they are foretold by
//! (Student's t; Hahn and Meeker, *Statistical Intervals*, 1991, chapter 4).

use crate::compare::paired::student_reach;

/// Fewest observations that tell a range.
pub const FEWEST: usize = 3;

/// A forecast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// The estimate.
    pub value: f64,
    /// Where it would lie; absent with fewer than [`FEWEST`] observations.
    pub range: Option<(f64, f64)>,
}

/// New observations of one kind: how many, and the ones that were seen, each
/// as it would be if it came again.
#[derive(Debug, Clone, PartialEq)]
pub struct Ahead {
    /// How many are to come.
    pub count: f64,
    /// One for each observation, in the same order in every kind.
    pub seen: Vec<f64>,
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0)
}

/// The sum of what is to come: of every kind its count. Negative sums are none:
/// ranges end at zero.
pub fn sum(kinds: &[Ahead], confidence: f64) -> Option<Forecast> {
    let n = kinds.first()?.seen.len();
    if n == 0 || kinds.iter().any(|kind| kind.seen.len() != n) {
        return None;
    }
    // What all that is to come would be, if each new one were like this one.
    let whole: Vec<f64> = (0..n)
        .map(|i| kinds.iter().map(|k| k.count * k.seen.get(i).copied().unwrap_or(0.0)).sum())
        .collect();
    let value = mean(&whole);
    let range = (n >= FEWEST)
        .then(|| {
            let new: f64 = kinds.iter().map(|kind| kind.count * variance(&kind.seen)).sum();
            let error = (new + variance(&whole) / n as f64).sqrt();
            let by = student_reach(n as f64 - 1.0, confidence)? * error;
            by.is_finite().then(|| ((value - by).max(0.0), value + by))
        })
        .flatten();
    Some(Forecast { value, range })
}

/// The ratio of two sums of `ahead` new observations, by linearisation (Cochran
/// 1977, 2.11). None where the lower sum is nothing.
pub fn ratio(upper: &[f64], lower: &[f64], ahead: f64, confidence: f64) -> Option<Forecast> {
    let n = upper.len().min(lower.len());
    let below: f64 = lower.iter().take(n).sum();
    if n == 0 || below <= 0.0 || ahead <= 0.0 {
        return None;
    }
    let value = upper.iter().take(n).sum::<f64>() / below;
    let range = (n >= FEWEST)
        .then(|| {
            let rest: Vec<f64> = upper.iter().zip(lower).map(|(u, l)| u - value * l).collect();
            let error = (variance(&rest) * (1.0 / ahead + 1.0 / n as f64)).sqrt();
            let by = student_reach(n as f64 - 1.0, confidence)? * error / (below / n as f64);
            by.is_finite().then(|| ((value - by).max(0.0), value + by))
        })
        .flatten();
    Some(Forecast { value, range })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(count: f64, seen: &[f64]) -> Ahead {
        Ahead { count, seen: seen.to_vec() }
    }

    #[test]
    fn a_month_is_thirty_days_and_its_range_holds_new_ones() {
        assert_eq!(sum(&[], 0.95), None);
        assert_eq!(sum(&[days(30.0, &[])], 0.95), None);
        let one = sum(&[days(30.0, &[2.0])], 0.95).unwrap();
        assert_eq!((one.value, one.range), (60.0, None));
        let same = sum(&[days(30.0, &[2.0; 7])], 0.95).unwrap();
        assert_eq!((same.value, same.range), (60.0, Some((60.0, 60.0))));
        let spread = sum(&[days(30.0, &[1.0, 2.0, 3.0, 2.0, 1.0, 3.0, 2.0])], 0.95).unwrap();
        let (low, high) = spread.range.unwrap();
        // t(6) = 2.4469; s² = 2/3; 30 + 900/7 = 158.571.
        let by = 2.446_911_8 * (2.0_f64 / 3.0 * (30.0 + 900.0 / 7.0)).sqrt();
        assert!((low - (60.0 - by)).abs() < 1e-3 && (high - (60.0 + by)).abs() < 1e-3);
        assert_eq!(sum(&[days(30.0, &[0.0, 0.0, 9.0])], 0.95).unwrap().range.unwrap().0, 0.0);
    }

    #[test]
    fn kinds_of_days_add_up_as_if_they_were_one_where_they_are_alike() {
        let seen = [1.0, 2.0, 3.0, 2.0, 1.0, 3.0, 2.0];
        let whole = sum(&[days(30.0, &seen)], 0.95).unwrap();
        let parts = sum(&[days(12.0, &seen), days(18.0, &seen)], 0.95).unwrap();
        assert!((whole.value - parts.value).abs() < 1e-9);
        assert!((whole.range.unwrap().1 - parts.range.unwrap().1).abs() < 1e-9);
        let dearer: Vec<f64> = seen.iter().map(|v| v * 10.0).collect();
        let rising = sum(&[days(12.0, &seen), days(18.0, &dearer)], 0.95).unwrap();
        assert!((rising.value - (24.0 + 360.0)).abs() < 1e-9, "{rising:?}");
        assert_eq!(sum(&[days(1.0, &[1.0]), days(1.0, &[])], 0.95), None);
    }

    #[test]
    fn nineteen_of_twenty_new_months_lie_in_the_range() {
        use crate::experiment::random::Random;
        let mut random = Random::new(7, 1);
        let (mut held, runs) = (0, 2000);
        for _ in 0..runs {
            // Between 0 and 4, unlike a normal one.
            let mut day = || random.below(401) as f64 / 100.0;
            let seen: Vec<f64> = (0..7).map(|_| day()).collect();
            let truth: f64 = (0..30).map(|_| day()).sum();
            let (low, high) = sum(&[days(30.0, &seen)], 0.95).unwrap().range.unwrap();
            held += i32::from(low <= truth && truth <= high);
        }
        let share = f64::from(held) / f64::from(runs);
        assert!((0.93..0.97).contains(&share), "{share}");
    }

    #[test]
    fn a_ratio_is_that_of_the_sums() {
        let upper = [10.0, 40.0, 90.0];
        let lower = [1.0, 4.0, 9.0];
        let all = ratio(&upper, &lower, 30.0, 0.95).unwrap();
        assert_eq!((all.value, all.range), (10.0, Some((10.0, 10.0))));
        assert_eq!(ratio(&[1.0], &[0.0], 30.0, 0.95), None);
        assert_eq!(ratio(&[1.0], &[2.0], 30.0, 0.95).unwrap().range, None);
    }
}
