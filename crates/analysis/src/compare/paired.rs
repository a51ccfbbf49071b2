//! The mean difference of two releases on the same cases.
//!
//! Each case gives one number: the mean of the candidate's repeats less the
//! mean of production's. That is all of the clustering: cases are independent,
//! repeats within one are not, and their mean carries what they say.

use super::{Interval, Method};
use crate::experiment::bootstrap;
use crate::experiment::random::Random;
use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// Differences up to which all subsets are taken.
pub const TINY: usize = 12;
/// Stream of the bootstrap's random numbers.
const STREAM: u64 = 0x636f_6d70;

/// The interval of the mean difference. `differences` lie in [−1, 1], one for
/// each case.
///
/// | cases | interval |
/// | --- | --- |
/// | up to 12 | all means of subsets (Hartigan, JASA 64, 1969): exact for differences that are symmetric around their centre; fewer than 6 at 95 % say nothing |
/// | up to 500 | bootstrap, bias-corrected and accelerated (Efron, JASA 82, 1987) |
/// | more | Student's t |
///
/// Differences that are all alike would give no width: then it is as wide as
/// what `n` alike cases can hide, see [`super::share::zero_bound`].
pub fn mean_difference(differences: &[f64], confidence: f64, seed: u64) -> Interval {
    let n = differences.len();
    let value = if n == 0 { 0.0 } else { differences.iter().sum::<f64>() / n as f64 };
    let with = |(low, high): (f64, f64), method| Interval {
        value,
        low: low.max(-1.0),
        high: high.min(1.0),
        method,
    };
    let too_few = with((-1.0, 1.0), Method::TooFew);
    let random = || Random::new(seed, STREAM);
    let Some(first) = differences.first() else { return too_few };
    if differences.iter().all(|d| d == first) {
        return bootstrap::mean(differences, confidence, (-1.0, 1.0), random())
            .map_or(too_few, |ends| with(ends, Method::AllAlike));
    }
    if n <= TINY {
        return subset_means(differences, confidence)
            .map_or(too_few, |ends| with(ends, Method::SubsetMeans));
    }
    if n <= bootstrap::FEW {
        return bootstrap::mean(differences, confidence, (-1.0, 1.0), random())
            .map_or(too_few, |ends| with(ends, Method::Bca));
    }
    student(differences, value, confidence).map_or(too_few, |ends| with(ends, Method::Student))
}

/// Hartigan's typical values: the centre of `n` symmetric values is equally
/// likely in each of the 2ⁿ intervals between the sorted means of all subsets.
fn subset_means(values: &[f64], confidence: f64) -> Option<(f64, f64)> {
    let subsets = 1_usize << values.len();
    let mut means: Vec<f64> = (1..subsets)
        .map(|set| {
            let of = || values.iter().enumerate().filter(|(i, _)| set >> i & 1 == 1);
            of().map(|(_, v)| v).sum::<f64>() / of().count() as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    // So many of the 2ⁿ intervals may be given up at either end.
    let given_up = ((1.0 - confidence) / 2.0 * subsets as f64 + 1e-9).floor() as usize;
    let low = means.get(given_up.checked_sub(1)?)?;
    let high = means.get(means.len().checked_sub(given_up)?)?;
    Some((*low, *high))
}

fn student(values: &[f64], mean: f64, confidence: f64) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let reach = student_reach(n - 1.0, confidence)? * (variance / n).sqrt();
    Some((mean - reach, mean + reach))
}

/// How many standard errors an interval of this confidence reaches, for an
/// error that was estimated with so many degrees of freedom.
pub fn student_reach(freedom: f64, confidence: f64) -> Option<f64> {
    let t = StudentsT::new(0.0, 1.0, freedom).ok()?;
    Some(t.inverse_cdf(1.0 - (1.0 - confidence) / 2.0))
}

/// The interval of a mean of scores in [0, 1], one for each case.
pub fn mean_score(scores: &[f64], confidence: f64, seed: u64) -> Interval {
    // A mean is a difference from zero; only its range is narrower.
    let of = mean_difference(scores, confidence, seed);
    let alike = of.method == Method::AllAlike;
    if !alike {
        return Interval { low: of.low.max(0.0), high: of.high.min(1.0), ..of };
    }
    let ends = bootstrap::mean(scores, confidence, (0.0, 1.0), Random::new(seed, STREAM));
    ends.map_or(of, |(low, high)| Interval { low, high, ..of })
}
