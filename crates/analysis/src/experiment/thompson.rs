//! How to divide traffic: each variant in proportion to how probably it is the
//! best one (Thompson 1933; Russo, Van Roy, Kazerouni, Osband & Wen 2018).
//!
//! The probabilities are integrals, P(v best) = ∫ fᵥ ∏ F_w, and are computed as
//! such: nothing is drawn, so the same rewards give the same shares everywhere.
//! A share of the traffic is the router's probability, hence drawing a variant
//! by these shares is drawing from the posteriors.
//!
//! Every variant that is not dropped keeps a floor: inverse weights stay
//! bounded, guards go on seeing it, and one that had bad luck at the beginning
//! can come back.

use super::posterior::Posterior;

/// How probably each has the largest mean; all zero for none.
pub fn probably_best(posteriors: &[Posterior]) -> Vec<f64> {
    let mut nodes = Vec::new();
    posteriors.iter().for_each(|posterior| posterior.nodes(&mut nodes));
    nodes.sort_by(f64::total_cmp);
    nodes.dedup();
    let curves: Vec<Curve> =
        posteriors.iter().map(|posterior| Curve::of(posterior, &nodes)).collect();
    let mut best: Vec<f64> = (0..curves.len())
        .map(|v| {
            nodes
                .windows(2)
                .enumerate()
                .map(|(i, _)| curves[v].mass(i) * others(&curves, v, i))
                .sum()
        })
        .collect();
    let total: f64 = best.iter().sum();
    if total > 0.0 {
        best.iter_mut().for_each(|p| *p /= total);
    }
    best
}

/// A distribution function at the nodes.
struct Curve {
    below: Vec<f64>,
}

impl Curve {
    fn of(posterior: &Posterior, nodes: &[f64]) -> Self {
        let mut below = Vec::with_capacity(nodes.len());
        let (mut sum, mut last) = (0.0, None);
        let at = posterior.density();
        for x in nodes {
            let density = at(*x);
            if let Some((before, then)) = last {
                let step: f64 = x - before;
                sum += step * (density + then) / 2.0;
            }
            below.push(sum);
            last = Some((*x, density));
        }
        if sum > 0.0 {
            below.iter_mut().for_each(|p| *p /= sum);
        }
        Self { below }
    }

    fn at(&self, i: usize) -> f64 {
        self.below.get(i).copied().unwrap_or(1.0)
    }

    /// Probability of the interval between node `i` and the next.
    fn mass(&self, i: usize) -> f64 {
        self.at(i + 1) - self.at(i)
    }
}

/// Probability that all others are below a value somewhere in this interval:
/// Simpson's rule, with distribution functions that are straight inside it.
fn others(curves: &[Curve], v: usize, i: usize) -> f64 {
    let product = |at: fn(f64, f64) -> f64| -> f64 {
        let all = curves.iter().enumerate().filter(|(w, _)| *w != v);
        all.map(|(_, curve)| at(curve.at(i), curve.at(i + 1))).product()
    };
    (product(|low, _| low)
        + 4.0 * product(|low, high| (low + high) / 2.0)
        + product(|_, high| high))
        / 6.0
}

/// Shares in proportion to these probabilities, of which the variants that are
/// still `live` keep at least `floor`, and the others nothing.
pub fn shares(best: &[f64], live: &[bool], floor: f64) -> Vec<f64> {
    let count = live.iter().filter(|live| **live).count().max(1) as f64;
    let floor = floor.clamp(0.0, 1.0 / count);
    let mine = |v: usize| live.get(v).copied().unwrap_or(false);
    let total: f64 = best.iter().enumerate().filter(|(v, _)| mine(*v)).map(|(_, p)| p).sum();
    best.iter()
        .enumerate()
        .map(|(v, p)| match (mine(v), total > 0.0) {
            (false, _) => 0.0,
            (true, true) => floor + (1.0 - count * floor) * p / total,
            (true, false) => 1.0 / count,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::posterior::{FLAT, Rewards};
    use super::super::random::Random;
    use super::*;

    fn rate(n: u32, ones: u32) -> Posterior {
        let (n, sum) = (f64::from(n), f64::from(ones));
        Posterior::of(&Rewards { n, sum, sum_sq: sum }, FLAT, true)
    }

    /// P(B > A) for beta posteriors with whole parameters, as a finite sum:
    /// Σᵢ B(a + i, b + b′)/((b′ + i)·B(1 + i, b′)·B(a, b)) over i < a′.
    fn exactly_better(a: Posterior, b: Posterior) -> f64 {
        use statrs::function::beta::ln_beta;
        let (Posterior::Beta { a, b }, Posterior::Beta { a: other, b: rest }) = (a, b) else {
            panic!("rates only")
        };
        (0..other as u32)
            .map(|i| {
                let i = f64::from(i);
                (ln_beta(a + i, b + rest)
                    - (rest + i).ln()
                    - ln_beta(1.0 + i, rest)
                    - ln_beta(a, b))
                .exp()
            })
            .sum()
    }

    #[test]
    fn two_rates_are_compared_exactly() {
        for (a, b) in [
            (rate(100, 10), rate(100, 15)),
            (rate(0, 0), rate(5, 5)),
            (rate(5000, 50), rate(50, 1)),
            (rate(20_000, 400), rate(20_000, 460)),
            (rate(3, 0), rate(1000, 1)),
        ] {
            let found = probably_best(&[a, b]);
            let exact = exactly_better(a, b);
            assert!((found[1] - exact).abs() < 1e-3, "{found:?} {exact} {a:?} {b:?}");
        }
    }

    #[test]
    fn several_means_are_as_in_a_simulation() {
        let posterior = |n: f64, mean: f64, deviation: f64| {
            let sum_sq = n * (mean * mean + deviation * deviation);
            Posterior::of(&Rewards { n, sum: n * mean, sum_sq }, FLAT, false)
        };
        let all =
            [posterior(40.0, 0.5, 0.2), posterior(8.0, 0.45, 0.3), posterior(200.0, 0.53, 0.1)];
        let found = probably_best(&all);
        let mut random = Random::new(1, 1);
        let mut wins = [0_u32; 3];
        let runs: u32 = 100_000;
        for _ in 0..runs {
            let drawn = all.map(|p| match p {
                Posterior::Student { centre, scale, freedom } => {
                    let chi = 2.0 * random.gamma(freedom / 2.0);
                    centre + scale * random.normal() / (chi / freedom).sqrt()
                }
                Posterior::Beta { .. } => panic!("no rates here"),
            });
            let best = (0..3).max_by(|a, b| drawn[*a].total_cmp(&drawn[*b])).unwrap();
            wins[best] += 1;
        }
        for (p, n) in found.iter().zip(wins) {
            assert!((p - f64::from(n) / f64::from(runs)).abs() < 0.006, "{found:?} {wins:?}");
        }
    }

    #[test]
    fn order_of_the_variants_makes_no_difference() {
        let all = [rate(100, 10), rate(80, 12), rate(300, 29), rate(100, 10)];
        let there = probably_best(&all);
        let back = probably_best(&[all[3], all[2], all[1], all[0]]);
        for (a, b) in there.iter().zip(back.iter().rev()) {
            assert!((a - b).abs() < 1e-9, "{there:?} {back:?}");
        }
        assert!((there[0] - there[3]).abs() < 1e-12, "twins have equal chances");
        assert!((there.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_floor_is_kept_and_the_dropped_get_nothing() {
        let given = shares(&[0.98, 0.0, 0.02, 0.0], &[true, true, true, false], 0.1);
        assert_eq!(given[3], 0.0);
        assert!(given.iter().take(3).all(|share| *share >= 0.1 - 1e-12), "{given:?}");
        assert!((given.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        // A floor nobody can keep is an equal division.
        assert_eq!(shares(&[1.0, 0.0], &[true, true], 0.9), [0.5, 0.5]);
        assert_eq!(shares(&[0.0, 0.0], &[true, true], 0.1), [0.5, 0.5]);
        assert_eq!(shares(&[1.0, 0.0], &[false, true], 0.1), [0.0, 1.0]);
    }
}
