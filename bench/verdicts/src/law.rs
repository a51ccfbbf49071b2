//! Laws of measurements: what control's answers measure, and the candidate's.

use analysis::Side;
use statrs::distribution::{Beta, Continuous, ContinuousCDF, Gamma, Normal};

/// How one signal is distributed in both arms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Law {
    /// 0 or 1 with this rate; the candidate's is `times` as high.
    Rate {
        /// Control's rate.
        p: f64,
        /// The candidate's, relative to it.
        times: f64,
    },
    /// Lognormal around a median; the candidate's numbers are `times` as high.
    Lognormal {
        /// Standard deviation of the logarithm.
        sigma: f64,
        /// The whole law moves.
        times: f64,
    },
    /// Lognormal, and above that quantile the candidate's logarithm is stretched
    /// so that its p95 is `times` control's. Below nothing changes.
    Tail {
        /// Standard deviation of the logarithm.
        sigma: f64,
        /// Where the harm begins, as a quantile below 0.95.
        above: f64,
        /// p95 against control's.
        times: f64,
    },
    /// Pareto with that tail index from 1 on; the candidate's is `times` as high.
    Pareto {
        /// Smaller is heavier; below 2 there is no variance.
        index: f64,
        /// The whole law moves.
        times: f64,
    },
    /// Gamma with mean 1; the candidate's numbers are `times` as high.
    Gamma {
        /// Shape.
        shape: f64,
        /// The whole law moves.
        times: f64,
    },
    /// Beta with that mean and pseudo-count; the candidate's mean is lower.
    Beta {
        /// Control's mean.
        mean: f64,
        /// Sum of both parameters.
        count: f64,
        /// By how much the candidate's mean is lower.
        by: f64,
    },
}

/// Median of simulated latencies in milliseconds. No rule may depend on it.
const MEDIAN_MS: f64 = 800.0;
/// Mean of simulated costs.
const COST: f64 = 0.003;
/// The normal quantiles of a table run from −this to this.
const REACH: f64 = 6.0;
/// Entries of a table per unit of normal quantile.
const FINE: f64 = 200.0;

fn standard() -> Normal {
    Normal::standard()
}

/// Upper tail of the standard normal law.
pub fn normal_tail(z: f64) -> f64 {
    standard().sf(z)
}

/// Quantile of the standard normal law.
pub fn normal_quantile(p: f64) -> f64 {
    standard().inverse_cdf(p)
}

impl Law {
    /// The same law without a difference between the arms.
    #[must_use]
    pub fn harmless(self) -> Self {
        match self {
            Self::Rate { p, .. } => Self::Rate { p, times: 1.0 },
            Self::Lognormal { sigma, .. } => Self::Lognormal { sigma, times: 1.0 },
            Self::Tail { sigma, above, .. } => Self::Tail { sigma, above, times: 1.0 },
            Self::Pareto { index, .. } => Self::Pareto { index, times: 1.0 },
            Self::Gamma { shape, .. } => Self::Gamma { shape, times: 1.0 },
            Self::Beta { mean, count, .. } => Self::Beta { mean, count, by: 0.0 },
        }
    }

    /// The value at a standard normal quantile `z`: the larger, the worse.
    pub fn value(&self, worse: bool, z: f64) -> f64 {
        let times = |t: f64| if worse { t } else { 1.0 };
        match *self {
            Self::Rate { p, times: t } => f64::from(u8::from(normal_tail(z) < p * times(t))),
            Self::Lognormal { sigma, times: t } => MEDIAN_MS * (sigma * z).exp() * times(t),
            Self::Tail { sigma, above, times: t } => {
                MEDIAN_MS * stretched(sigma, above, times(t), z).exp()
            }
            Self::Pareto { index, times: t } => {
                COST * times(t) * normal_tail(z).max(1e-12).powf(-1.0 / index)
            }
            Self::Gamma { shape, times: t } => Gamma::new(shape, shape)
                .map_or(0.0, |law| COST * times(t) * law.inverse_cdf(1.0 - normal_tail(z))),
            Self::Beta { mean, count, by } => {
                let mean = if worse { mean - by } else { mean };
                Beta::new(mean * count, (1.0 - mean) * count)
                    .map_or(0.0, |law| law.inverse_cdf(normal_tail(z)))
            }
        }
    }

    /// Density of the measurement on a scale that suits the law (logarithms for
    /// latencies), for integration over [`Law::range`]. Not for rates.
    pub fn density(&self, worse: bool, x: f64) -> f64 {
        let times = |t: f64| if worse { t } else { 1.0 };
        match *self {
            Self::Rate { .. } => 0.0,
            Self::Lognormal { sigma, times: t } => {
                standard().pdf((x - times(t).ln()) / sigma) / sigma
            }
            Self::Tail { sigma, above, times: t } => {
                let (from, stretch) = bend(sigma, above, times(t));
                let (at, by) =
                    if x <= from { (x, 1.0) } else { (from + (x - from) / stretch, stretch) };
                standard().pdf(at / sigma) / sigma / by
            }
            Self::Pareto { index, times: t } => {
                let above = x - times(t).ln();
                if above < 0.0 { 0.0 } else { index * (-index * above).exp() }
            }
            Self::Gamma { shape, times: t } => {
                Gamma::new(shape, shape / times(t)).map_or(0.0, |law| law.pdf(x))
            }
            Self::Beta { mean, count, by } => {
                let mean = if worse { mean - by } else { mean };
                Beta::new(mean * count, (1.0 - mean) * count).map_or(0.0, |law| law.pdf(x))
            }
        }
    }

    /// Where the density is.
    pub fn range(&self) -> (f64, f64) {
        match *self {
            Self::Rate { .. } => (0.0, 1.0),
            Self::Lognormal { sigma, .. } => (-9.0 * sigma, 12.0 * sigma),
            Self::Tail { sigma, .. } => (-9.0 * sigma, 30.0 * sigma),
            Self::Pareto { index, .. } => (0.0, 40.0 / index),
            Self::Gamma { .. } => (1e-7, 40.0),
            Self::Beta { .. } => (1e-7, 1.0 - 1e-7),
        }
    }
}

/// Where the stretching begins on the log scale, and by how much it stretches.
fn bend(sigma: f64, above: f64, times: f64) -> (f64, f64) {
    let from = sigma * normal_quantile(above);
    let p95 = sigma * normal_quantile(0.95);
    (from, (p95 + times.ln() - from) / (p95 - from))
}

fn stretched(sigma: f64, above: f64, times: f64, z: f64) -> f64 {
    let (from, stretch) = bend(sigma, above, times);
    let x = sigma * z;
    if x <= from { x } else { from + (x - from) * stretch }
}

/// A law made fast: tables of quantiles.
#[derive(Debug, Clone)]
pub struct Sampler {
    law: Law,
    rates: [f64; 2],
    tables: [Vec<f64>; 2],
}

impl Sampler {
    /// Tabulates the law.
    pub fn new(law: Law) -> Self {
        let rates = match law {
            Law::Rate { p, times } => [p, p * times],
            _ => [0.0; 2],
        };
        let table = |worse: bool| -> Vec<f64> {
            if matches!(law, Law::Rate { .. }) {
                return Vec::new();
            }
            let n = (2.0 * REACH * FINE) as u32;
            (0..=n).map(|i| law.value(worse, f64::from(i) / FINE - REACH)).collect()
        };
        Self { law, rates, tables: [table(false), table(true)] }
    }

    /// True for a rate, which may be drawn by [`Sampler::bad`] alone.
    pub fn is_rate(&self) -> bool {
        matches!(self.law, Law::Rate { .. })
    }

    /// For a rate: bad or not, by a uniform draw; `level` is the logarithm of
    /// what multiplies the rate in both arms.
    pub fn bad(&self, worse: bool, level: f64, uniform: f64) -> f64 {
        let p = self.rates[usize::from(worse)];
        let p = if level == 0.0 { p } else { (p * level.exp()).min(0.95) };
        if uniform < p { 1.0 } else { 0.0 }
    }

    /// The value at a normal quantile; `level` moves both arms alike.
    pub fn value(&self, worse: bool, level: f64, z: f64) -> f64 {
        match self.law {
            Law::Rate { .. } => self.bad(worse, level, normal_tail(z)),
            Law::Beta { .. } => self.look_up(worse, z + level),
            _ if level == 0.0 => self.look_up(worse, z),
            _ => self.look_up(worse, z) * level.exp(),
        }
    }

    fn look_up(&self, worse: bool, z: f64) -> f64 {
        let table = &self.tables[usize::from(worse)];
        let last = table.len() - 1;
        let at = ((z + REACH) * FINE).clamp(0.0, last as f64 - 1e-6);
        let i = at as usize;
        let part = at - i as f64;
        table[i] + (table[i + 1] - table[i]) * part
    }
}

/// True for the candidate.
pub fn is_candidate(side: Side) -> bool {
    side == Side::Candidate
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn samples_have_the_stated_difference() {
        let mut rng = Rng::new(1, 1);
        let n = 100_000;
        let mut ratio = |law: Law| {
            let s = Sampler::new(law);
            let mut sums = [0.0, 0.0];
            for _ in 0..n {
                let z = rng.normal();
                sums[0] += s.value(false, 0.0, z) / f64::from(n);
                sums[1] += s.value(true, 0.0, z) / f64::from(n);
            }
            (sums[0], sums[1])
        };
        let (a, b) = ratio(Law::Gamma { shape: 2.0, times: 1.15 });
        assert!((b / a - 1.15).abs() < 1e-6 && (a / COST - 1.0).abs() < 0.02, "{a} {b}");
        let (a, b) = ratio(Law::Beta { mean: 0.85, count: 7.25, by: 0.03 });
        assert!((a - 0.85).abs() < 0.005 && (a - b - 0.03).abs() < 0.005, "{a} {b}");
        let (a, b) = ratio(Law::Rate { p: 0.05, times: 2.0 });
        assert!((a - 0.05).abs() < 0.004 && (b - 0.1).abs() < 0.005, "{a} {b}");
    }

    #[test]
    fn the_tail_law_changes_its_p95_and_not_its_median() {
        let law = Law::Tail { sigma: 0.6, above: 0.8, times: 1.5 };
        let p95 = normal_quantile(0.95);
        assert!((law.value(true, p95) / law.value(false, p95) - 1.5).abs() < 1e-9);
        assert_eq!(law.value(true, 0.0), law.value(false, 0.0));
    }
}
