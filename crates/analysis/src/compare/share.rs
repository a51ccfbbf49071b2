//! Shares: of answers that keep their checks, of attacks that got through.

use super::{Interval, Method};
use statrs::distribution::{ContinuousCDF as _, StudentsT};
use statrs::function::beta::beta_reg;

/// Halvings of a search in (0, 1): more than a double's digits.
const HALVINGS: usize = 80;

/// The interval of Clopper and Pearson (Biometrika 26, 1934) for `kept` of
/// `asked` independent trials: never covers less than `confidence`. `asked`
/// need not be whole, see [`clustered`].
pub fn clopper_pearson(kept: f64, asked: f64, confidence: f64) -> Interval {
    if asked <= 0.0 {
        return Interval { value: 0.0, low: 0.0, high: 1.0, method: Method::TooFew };
    }
    let out = (1.0 - confidence) / 2.0;
    let low = if kept <= 0.0 { 0.0 } else { beta_quantile(out, kept, asked - kept + 1.0) };
    let high = if kept >= asked { 1.0 } else { beta_quantile(1.0 - out, kept + 1.0, asked - kept) };
    Interval { value: kept / asked, low, high, method: Method::ClopperPearson }
}

/// Quantile of the beta distribution by bisection of its distribution function.
fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if beta_reg(a, b, middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The interval for a share over cases that were asked several times: `(kept,
/// asked)` of each case. Korn and Graubard (Survey Methodology 24, 1998):
/// Clopper and Pearson's with as many trials as independent ones would need for
/// the same variance between cases. Never more than were asked, and where cases
/// do not vary, one for each case.
pub fn clustered(cases: &[(u32, u32)], confidence: f64) -> Interval {
    let asked: f64 = cases.iter().map(|(_, asked)| f64::from(*asked)).sum();
    let kept: f64 = cases.iter().map(|(kept, _)| f64::from(*kept)).sum();
    let clusters = cases.iter().filter(|(_, asked)| *asked > 0).count() as f64;
    if asked <= 0.0 {
        return clopper_pearson(0.0, 0.0, confidence);
    }
    if cases.iter().all(|(_, asked)| *asked <= 1) {
        return clopper_pearson(kept, asked, confidence);
    }
    let share = kept / asked;
    let effective = if kept <= 0.0 || kept >= asked || clusters < 2.0 {
        clusters
    } else {
        // Linearised variance of a ratio of two sums over clusters.
        let spread: f64 = cases
            .iter()
            .map(|(kept, asked)| (f64::from(*kept) - share * f64::from(*asked)).powi(2))
            .sum();
        let variance = spread * clusters / (clusters - 1.0) / (asked * asked);
        if variance <= 0.0 { clusters } else { (share * (1.0 - share) / variance).min(asked) }
    };
    // The variance itself is estimated from few clusters: as many degrees of
    // freedom as a t has (the adjustment of the paper, equation 3).
    let adjusted =
        effective * degrees(clusters - 1.0, confidence) / degrees(asked - 1.0, confidence);
    let trials = adjusted.clamp(1.0_f64.min(asked), asked);
    Interval { method: Method::KornGraubard, ..clopper_pearson(share * trials, trials, confidence) }
}

/// Inverse square of the t quantile; 1 stands in where there is no t.
fn degrees(freedom: f64, confidence: f64) -> f64 {
    let p = 1.0 - (1.0 - confidence) / 2.0;
    match StudentsT::new(0.0, 1.0, freedom.max(1.0)) {
        Ok(t) => t.inverse_cdf(p).powi(-2),
        Err(_) => 1.0,
    }
}

/// The largest share that stays hidden behind zero hits in `n` independent
/// cases, at this confidence: 1 − (1 − confidence)^(1/n). About 3/n at 95 %, the
/// "rule of three" (Hanley and Lippman-Hand, JAMA 249, 1983).
pub fn zero_bound(n: u64, confidence: f64) -> f64 {
    if n == 0 { 1.0 } else { 1.0 - (1.0 - confidence).powf(1.0 / n as f64) }
}

/// How many cases without a hit prove that the share is below `bound`.
pub fn zero_sample(bound: f64, confidence: f64) -> u64 {
    if !(bound > 0.0 && bound < 1.0 && confidence > 0.0 && confidence < 1.0) {
        return u64::MAX;
    }
    let n = ((1.0 - confidence).ln() / (-bound).ln_1p()).ceil();
    // Rounding in the logarithms may ask for one too few.
    let n = n as u64;
    if zero_bound(n, confidence) > bound { n.saturating_add(1) } else { n }
}
