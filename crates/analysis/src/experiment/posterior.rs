//! What is believed of a variant's mean reward, on the scale of [0, 1].
//!
//! Rewards of 0 and 1: a beta distribution. Any others: normal with mean and
//! variance unknown, so the mean follows Student's distribution (normal–inverse-
//! gamma; formulas of Murphy 2007). Both start from next to nothing: one answer
//! of either kind, or one answer in the middle.
//!
//! With segments, a variant's posterior in one of them starts from what it did
//! in the others (partial pooling). What is carried over is its effect, the
//! difference to the mean of all variants in the same segment, as levels differ
//! between segments for reasons that have nothing to do with variants. How much
//! it counts follows from how much effects differ between segments beyond
//! chance, by the method of moments (DerSimonian & Laird 1986; empirical Bayes:
//! Efron & Morris 1975): not at all differing, the others count like answers of
//! its own; much, they count for nothing.

use statrs::function::beta::ln_beta;
use statrs::function::gamma::ln_gamma;

/// Count, sum and sum of squares of rewards in [0, 1].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rewards {
    /// Rewards seen.
    pub n: f64,
    /// Their sum.
    pub sum: f64,
    /// The sum of their squares.
    pub sum_sq: f64,
}

impl Rewards {
    /// Takes in one.
    pub fn add(&mut self, reward: f64) {
        self.n += 1.0;
        self.sum += reward;
        self.sum_sq += reward * reward;
    }

    /// Their mean.
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0.0).then(|| self.sum / self.n)
    }

    /// Their variance, softened by one answer at either end so that it is never
    /// nothing.
    pub fn variance(&self) -> f64 {
        let n = self.n + 2.0;
        let mean = (self.sum + 1.0) / n;
        ((self.sum_sq + 1.0) / n - mean * mean).max(1e-9)
    }
}

/// What is known beforehand: this mean, with the weight of so many rewards of
/// this variance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prior {
    /// The mean.
    pub mean: f64,
    /// How many rewards it counts for.
    pub weight: f64,
    /// The variance of one reward.
    pub variance: f64,
}

/// Next to nothing is known.
pub const FLAT: Prior = Prior { mean: 0.5, weight: 0.0, variance: 1.0 / 12.0 };

/// A belief about a mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Posterior {
    /// Of a rate.
    Beta {
        /// Ones, counted from one.
        a: f64,
        /// Zeros, counted from one.
        b: f64,
    },
    /// Of any other mean: Student's distribution.
    Student {
        /// Its centre.
        centre: f64,
        /// Its scale.
        scale: f64,
        /// Its degrees of freedom.
        freedom: f64,
    },
}

impl Posterior {
    /// After these rewards, which are 0 or 1 (`binary`) or anything between.
    pub fn of(rewards: &Rewards, prior: Prior, binary: bool) -> Self {
        if binary {
            return Self::Beta {
                a: 1.0 + prior.weight * prior.mean + rewards.sum,
                b: 1.0 + prior.weight * (1.0 - prior.mean) + (rewards.n - rewards.sum).max(0.0),
            };
        }
        // Weight of the mean, shape and rate of the variance before any reward.
        let (weight, shape) = (1.0 + prior.weight, 1.0);
        let start = (FLAT.mean + prior.weight * prior.mean) / weight;
        let n = rewards.n;
        let mean = rewards.mean().unwrap_or(start);
        let around = (rewards.sum_sq - n * mean * mean).max(0.0);
        let after = weight + n;
        let shift = weight * n * (mean - start).powi(2) / (2.0 * after);
        let (a, b) = (shape + n / 2.0, shape * prior.variance + around / 2.0 + shift);
        Self::Student {
            centre: (weight * start + n * mean) / after,
            scale: (b / (a * after)).sqrt(),
            freedom: 2.0 * a,
        }
    }

    /// The mean that is believed.
    pub fn mean(&self) -> f64 {
        match self {
            Self::Beta { a, b } => a / (a + b),
            Self::Student { centre, .. } => *centre,
        }
    }

    /// Its width: a standard deviation, or the scale.
    pub fn width(&self) -> f64 {
        match self {
            Self::Beta { a, b } => (a * b / ((a + b).powi(2) * (a + b + 1.0))).sqrt(),
            Self::Student { scale, .. } => *scale,
        }
    }

    /// The density, with what does not depend on x computed once.
    pub fn density(&self) -> impl Fn(f64) -> f64 + use<> {
        let posterior = *self;
        let norm = match posterior {
            Self::Beta { a, b } => -ln_beta(a, b),
            Self::Student { scale, freedom, .. } => {
                ln_gamma((freedom + 1.0) / 2.0)
                    - ln_gamma(freedom / 2.0)
                    - (freedom * std::f64::consts::PI).ln() / 2.0
                    - scale.ln()
            }
        };
        move |x| match posterior {
            Self::Beta { a, b } if x > 0.0 && x < 1.0 => {
                (norm + (a - 1.0) * x.ln() + (b - 1.0) * (-x).ln_1p()).exp()
            }
            Self::Beta { .. } => 0.0,
            Self::Student { centre, scale, freedom } => {
                let t = (x - centre) / scale;
                (norm - (freedom + 1.0) / 2.0 * (t * t / freedom).ln_1p()).exp()
            }
        }
    }

    /// Where the density is to be looked at.
    pub fn nodes(&self, into: &mut Vec<f64>) {
        let (mean, width) = (self.mean(), self.width());
        let near = (-80..=80).map(|step| f64::from(step) / 10.0);
        let far = [9.0, 10.0, 12.0, 15.0, 20.0, 30.0, 50.0, 100.0, 300.0];
        let all = near.chain(far).chain(far.map(|z| -z)).map(|z| mean + z * width);
        match self {
            Self::Beta { .. } => {
                into.extend(all.filter(|x| *x > 0.0 && *x < 1.0));
                into.extend([0.0, 1.0]);
            }
            Self::Student { .. } => into.extend(all),
        }
    }
}

/// What each variant's posterior in each segment starts from. `rewards[s][v]`;
/// the answer has the same shape.
pub fn pooled(rewards: &[Vec<Rewards>]) -> Vec<Vec<Prior>> {
    let cells: Vec<Vec<Option<Effect>>> = rewards.iter().map(|segment| effects(segment)).collect();
    let between = between(&cells);
    rewards
        .iter()
        .enumerate()
        .map(|(s, segment)| {
            let level = level(segment);
            (0..segment.len()).map(|v| prior(&cells, s, v, between, level)).collect()
        })
        .collect()
}

/// A variant's effect in a segment: its mean less that of all variants there.
#[derive(Clone, Copy)]
struct Effect {
    value: f64,
    /// Variance of the value, by chance.
    chance: f64,
    /// Variance of one reward.
    each: f64,
}

/// Mean of the variants' means.
fn level(segment: &[Rewards]) -> Option<f64> {
    let means: Vec<f64> = segment.iter().filter_map(Rewards::mean).collect();
    (!means.is_empty()).then(|| means.iter().sum::<f64>() / means.len() as f64)
}

/// Effects of a segment; none of variants without rewards, or without others.
fn effects(segment: &[Rewards]) -> Vec<Option<Effect>> {
    let known = segment.iter().filter(|rewards| rewards.n > 0.0).count();
    let level = level(segment).filter(|_| known > 1);
    segment
        .iter()
        .map(|rewards| {
            let each = rewards.variance();
            let value = rewards.mean()? - level?;
            Some(Effect { value, chance: each / rewards.n, each })
        })
        .collect()
}

/// Variance of effects between segments beyond chance.
fn between(cells: &[Vec<Option<Effect>>]) -> f64 {
    let variants = cells.first().map_or(0, Vec::len);
    let (mut excess, mut weight) = (0.0, 0.0);
    for v in 0..variants {
        let column: Vec<Effect> =
            cells.iter().filter_map(|segment| segment.get(v).copied().flatten()).collect();
        let w: f64 = column.iter().map(|e| 1.0 / e.chance).sum();
        if column.len() < 2 {
            continue;
        }
        let mean = column.iter().map(|e| e.value / e.chance).sum::<f64>() / w;
        let q: f64 = column.iter().map(|e| (e.value - mean).powi(2) / e.chance).sum();
        // Effects of a segment add up to nothing: one variant in so many is
        // no news.
        let news = (variants as f64 - 1.0) / variants as f64;
        excess += q - (column.len() as f64 - 1.0) * news;
        weight += w - column.iter().map(|e| e.chance.powi(-2)).sum::<f64>() / w;
    }
    if weight > 0.0 { (excess / weight).max(0.0) } else { 0.0 }
}

/// What the other segments say of variant `v` in segment `s`.
fn prior(
    cells: &[Vec<Option<Effect>>],
    s: usize,
    v: usize,
    between: f64,
    level: Option<f64>,
) -> Prior {
    let others: Vec<Effect> = cells
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != s)
        .filter_map(|(_, segment)| segment.get(v).copied().flatten())
        .collect();
    let Some(level) = level.filter(|_| !others.is_empty()) else { return FLAT };
    let weights: f64 = others.iter().map(|e| 1.0 / (e.chance + between)).sum();
    let effect = others.iter().map(|e| e.value / (e.chance + between)).sum::<f64>() / weights;
    let each = others.iter().map(|e| e.each).sum::<f64>() / others.len() as f64;
    Prior {
        mean: (level + effect).clamp(0.001, 0.999),
        // As many rewards as would be as uncertain.
        weight: each / (between + 1.0 / weights),
        variance: each,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewards(n: u32, ones: u32) -> Rewards {
        Rewards { n: n.into(), sum: ones.into(), sum_sq: ones.into() }
    }

    #[test]
    fn densities_integrate_to_one_with_their_mean() {
        for posterior in [
            Posterior::of(&rewards(20, 3), FLAT, true),
            Posterior::of(&rewards(0, 0), FLAT, true),
            Posterior::of(&Rewards { n: 12.0, sum: 7.0, sum_sq: 5.0 }, FLAT, false),
        ] {
            let (low, high) = match posterior {
                Posterior::Beta { .. } => (0.0, 1.0),
                Posterior::Student { .. } => (-20.0, 20.0),
            };
            let step = (high - low) / 400_000.0;
            let (mut mass, mut mean) = (0.0, 0.0);
            let density = posterior.density();
            for i in 0..400_000 {
                let x = low + (f64::from(i) + 0.5) * step;
                mass += density(x) * step;
                mean += x * density(x) * step;
            }
            assert!((mass - 1.0).abs() < 1e-4, "{mass}");
            assert!((mean - posterior.mean()).abs() < 1e-4, "{mean}");
        }
    }

    #[test]
    fn a_mean_with_unknown_variance_is_as_by_hand() {
        // Five rewards, sum 3, squares 2: mean 0.6, spread 0.2. With one answer
        // at ½ before: mean 3.5/6, b = 1/12 + 0.1 + 5·0.01/12.
        let rewards = Rewards { n: 5.0, sum: 3.0, sum_sq: 2.0 };
        let Posterior::Student { centre, scale, freedom } = Posterior::of(&rewards, FLAT, false)
        else {
            panic!("not a rate")
        };
        let b: f64 = 1.0 / 12.0 + 0.1 + 0.05 / 12.0;
        assert!((centre - 3.5 / 6.0).abs() < 1e-12);
        assert!((scale - (b / (3.5 * 6.0)).sqrt()).abs() < 1e-12);
        assert_eq!(freedom, 7.0);
    }

    #[test]
    fn segments_that_agree_lend_each_other_all_they_have() {
        // Two variants ten points apart everywhere, levels far apart.
        let segment = |low: u32| vec![rewards(1000, low), rewards(1000, low + 100)];
        let priors = pooled(&[segment(100), segment(400), segment(700)]);
        let third = priors[2][1];
        assert!((third.mean - (0.75 + 0.05)).abs() < 1e-3, "{third:?}");
        assert!(third.weight > 1200.0, "{third:?}");
    }

    #[test]
    fn segments_that_differ_lend_next_to_nothing() {
        let priors = pooled(&[
            vec![rewards(1000, 100), rewards(1000, 300)],
            vec![rewards(1000, 300), rewards(1000, 100)],
            vec![rewards(1000, 100), rewards(1000, 300)],
        ]);
        assert!(priors[0][0].weight < 40.0, "{:?}", priors[0][0]);
        // Who is alone has nobody to learn from.
        assert_eq!(pooled(&[vec![rewards(10, 1), rewards(10, 2)]])[0][1], FLAT);
        assert_eq!(pooled(&[vec![Rewards::default(); 2], vec![Rewards::default(); 2]])[1][0], FLAT);
    }
}
