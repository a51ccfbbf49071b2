//! The floor nobody can pass: what one answer of the candidate can tell at most.
//!
//! Evidence comes from who served an outcome. If the candidate's outcomes follow
//! another law than control's, an outcome says something about the arm that gave
//! it; how much is the information between arm and outcome,
//! `Σ [w·c·ln(c/m) + (1−w)·b·ln(b/m)]` with the candidate's share w, the laws c
//! and b and their mixture `m = w·c + (1−w)·b`. Divided by w it is what one
//! *candidate* answer brings, good outcomes and bad ones together. A test that
//! stops a harmless candidate with probability α at most needs on average
//! `ln(1/α)` of it (Wald 1945; Lorden 1971 for tests without an end).
//!
//! Units are nats. Laws are families with one level and one spread; what real
//! numbers follow is never exactly one of them, so plans are forecasts, while
//! the tests themselves need no law at all.

/// Points a continuous law is laid out on. The integrands are smooth and vanish
/// at both ends, where equal steps converge faster than any power of the step:
/// 240 points give six digits.
const POINTS: usize = 240;
/// Where a law counts as ended: e⁻⁴⁰ of its highest density.
const DEPTH: f64 = 40.0;
/// Spreads of score laws lie between these concentrations (a + b of the beta
/// law): from "nearly always 0 or 1" to "nearly always the mean".
const CONCENTRATION: (f64, f64) = (0.05, 1e5);

/// How outcomes under control are spread. What is worse is always larger here,
/// except for a score, whose mean falls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Law {
    /// Bad with this probability.
    Rate {
        /// In (0, 1).
        bad: f64,
    },
    /// Log-normal; effects multiply.
    Latency {
        /// Standard deviation of the logarithm.
        log_sd: f64,
    },
    /// Log-normal, and only what lies above the pooled quantile speaks, with its
    /// place there: who gave the slow answers, and how slow.
    Tail {
        /// Standard deviation of the logarithm.
        log_sd: f64,
        /// The quantile, for example 0.95.
        quantile: f64,
    },
    /// Gamma; effects multiply.
    Amount {
        /// Shape of the gamma law: one over the squared coefficient of variation.
        shape: f64,
    },
    /// Beta on [0, 1], larger is better; an effect lowers the mean.
    Score {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        sd: f64,
    },
}

impl Law {
    /// Nats that one answer of a candidate worse by `size` brings at most, when
    /// the candidate gives this share of the compared answers. `size` is the
    /// factor on the bad rate, the latency or the amount, and the fall of the
    /// mean for a score. 0 where nothing can be told.
    pub fn information(&self, size: f64, share: f64) -> f64 {
        if !(0.0..1.0).contains(&share) || !size.is_finite() {
            return 0.0;
        }
        let Some(laws) = self.laws(size) else { return 0.0 };
        let cells: Vec<(f64, f64)> = match self {
            Self::Tail { quantile, .. } => top(&laws, share, 1.0 - quantile),
            _ => laws,
        };
        nats(&cells, share)
    }

    /// Nats that one mirrored pair brings: both arms answered the same input,
    /// and their outcomes are correlated by `rho`, because some inputs are
    /// harder than others.
    ///
    /// Rates: only pairs whose answers differ speak, and under "no difference"
    /// each is a fair coin. Everything else: a sign-flip test of differences,
    /// whose variance is 1 − rho of that of two strangers.
    pub fn pair_information(&self, size: f64, rho: f64) -> f64 {
        let rho = rho.clamp(0.0, 0.99);
        let Self::Rate { bad } = *self else {
            return self.information(size, 0.5) / (1.0 - rho);
        };
        let worse = bad * size;
        if !is_chance(bad) || !is_chance(worse) {
            return 0.0;
        }
        let spread = (bad * (1.0 - bad) * worse * (1.0 - worse)).sqrt();
        let both = (bad * worse + rho * spread).clamp((bad + worse - 1.0).max(0.0), bad.min(worse));
        let (only_candidate, only_control) = (worse - both, bad - both);
        let differ = only_candidate + only_control;
        if differ <= 0.0 { 0.0 } else { differ * coin(only_candidate / differ, 0.5) }
    }

    /// Nats that one answer of a *harmless* candidate brings against the claim
    /// that it is worse by `size`: what shows that it may be promoted.
    ///
    /// Control's true level is not known, so the claim may put both arms where
    /// it suits it best: the candidate off by 1 − w of the effect one way,
    /// control by w the other. For rates the bad answers alone are asked, as the
    /// test does: the arm's odds under the claim then hang on `size` alone.
    pub fn reassurance(&self, size: f64, share: f64) -> f64 {
        if !is_chance(share) || !size.is_finite() || size <= 0.0 {
            return 0.0;
        }
        let by_label = |bad: f64, ratio: f64| {
            let odds = share * ratio;
            bad * coin(share, odds / (1.0 - share + odds)) / share
        };
        match *self {
            Self::Rate { bad } => by_label(bad, size),
            Self::Tail { quantile, .. } => {
                let Some(laws) = self.laws(size) else { return 0.0 };
                let (b, c) = top(&laws, share, 1.0 - quantile)
                    .iter()
                    .fold((0.0, 0.0), |sum, cell| (sum.0 + cell.0, sum.1 + cell.1));
                if b > 0.0 { by_label(1.0 - quantile, c / b) } else { 0.0 }
            }
            _ => {
                let (candidate, control) = match self {
                    Self::Score { .. } => (size * (1.0 - share), -size * share),
                    _ => (size.powf(1.0 - share), size.powf(-share)),
                };
                let apart = |shifted| self.laws(shifted).map_or(0.0, |cells| away(&cells));
                (share * apart(candidate) + (1.0 - share) * apart(control)) / share
            }
        }
    }

    /// Both laws as probabilities of the same cells, in the order of the values:
    /// control's first. None if the law cannot be.
    fn laws(&self, size: f64) -> Option<Vec<(f64, f64)>> {
        match *self {
            Self::Rate { bad } => {
                let worse = bad * size;
                (is_chance(bad) && is_chance(worse))
                    .then(|| vec![(1.0 - bad, 1.0 - worse), (bad, worse)])
            }
            Self::Latency { log_sd } | Self::Tail { log_sd, .. } => {
                let shift = size.ln() / log_sd;
                (log_sd > 0.0 && shift.is_finite()).then(|| {
                    lay_out(&|z| -0.5 * z * z, &|z| -0.5 * (z - shift).powi(2), (0.0, shift))
                })
            }
            Self::Amount { shape } => {
                // In ln x the gamma law is smooth for every shape.
                let shift = size.ln();
                (shape > 0.0 && shape.is_finite() && shift.is_finite()).then(|| {
                    let law = move |y: f64| shape * y - y.exp();
                    lay_out(&law, &move |y| law(y - shift), (shape.ln(), shape.ln() + shift))
                })
            }
            Self::Score { mean, sd } => {
                let worse = mean - size;
                let spread = mean * (1.0 - mean) / (sd * sd) - 1.0;
                if !is_chance(mean) || !is_chance(worse) || spread.is_nan() {
                    return None;
                }
                let k = spread.clamp(CONCENTRATION.0, CONCENTRATION.1);
                // In logits the beta law is smooth for every shape, and the cells
                // run from good to bad as the other laws do.
                let law = |m: f64| {
                    move |y: f64| -k * m * y.exp().ln_1p() - k * (1.0 - m) * (-y).exp().ln_1p()
                };
                let mode = |m: f64| ((1.0 - m) / m).ln();
                Some(lay_out(&law(mean), &law(worse), (mode(mean), mode(worse))))
            }
        }
    }
}

fn is_chance(p: f64) -> bool {
    p > 0.0 && p < 1.0
}

/// Information between arm and outcome, per candidate answer; at share 0 the
/// limit, where control is known.
fn nats(cells: &[(f64, f64)], share: f64) -> f64 {
    if share == 0.0 {
        return cells.iter().map(|&(b, c)| term(c, b) - (c - b)).sum::<f64>().max(0.0);
    }
    let sum: f64 = cells
        .iter()
        .map(|&(b, c)| {
            let mixed = share * c + (1.0 - share) * b;
            share * term(c, mixed) + (1.0 - share) * term(b, mixed)
        })
        .sum();
    (sum / share).max(0.0)
}

/// Kullback–Leibler divergence of the second law from the first.
fn away(cells: &[(f64, f64)]) -> f64 {
    cells.iter().map(|&(b, c)| term(b, c)).sum::<f64>().max(0.0)
}

/// The same of two coins.
fn coin(p: f64, q: f64) -> f64 {
    (term(p, q) + term(1.0 - p, 1.0 - q)).max(0.0)
}

/// `p·ln(p/q)`, 0 at p = 0.
fn term(p: f64, q: f64) -> f64 {
    if p <= 0.0 { 0.0 } else { p * (p / q.max(f64::MIN_POSITIVE)).ln() }
}

/// The cells that make up the worst `tail` of the pooled outcomes; the one on
/// the border in part.
fn top(cells: &[(f64, f64)], share: f64, tail: f64) -> Vec<(f64, f64)> {
    let mut left = tail;
    let mut taken = Vec::new();
    for &(b, c) in cells.iter().rev() {
        let mass = share * c + (1.0 - share) * b;
        let part = if mass > left { left / mass } else { 1.0 };
        taken.push((b * part, c * part));
        left -= mass;
        if left <= 0.0 {
            break;
        }
    }
    taken
}

/// Two densities, given as logarithms up to a constant with their modes, as
/// probabilities of common cells.
fn lay_out(
    control: &dyn Fn(f64) -> f64,
    candidate: &dyn Fn(f64) -> f64,
    modes: (f64, f64),
) -> Vec<(f64, f64)> {
    let low = reach(control, modes.0, -1.0).min(reach(candidate, modes.1, -1.0));
    let high = reach(control, modes.0, 1.0).max(reach(candidate, modes.1, 1.0));
    let step = (high - low) / POINTS as f64;
    let points = |law: &dyn Fn(f64) -> f64, mode: f64| {
        let peak = law(mode);
        let raw: Vec<f64> =
            (0..POINTS).map(|i| (law(low + (i as f64 + 0.5) * step) - peak).exp()).collect();
        let sum: f64 = raw.iter().sum();
        raw.into_iter().map(move |mass| mass / sum).collect::<Vec<f64>>()
    };
    points(control, modes.0).into_iter().zip(points(candidate, modes.1)).collect()
}

/// How far a density reaches from its mode in one direction.
fn reach(law: &dyn Fn(f64) -> f64, mode: f64, direction: f64) -> f64 {
    let end = law(mode) - DEPTH;
    let (mut near, mut far) = (0.0_f64, 1e-3_f64);
    while law(mode + direction * far) > end && far < 1e6 {
        (near, far) = (far, far * 2.0);
    }
    for _ in 0..20 {
        let middle = 0.5 * (near + far);
        if law(mode + direction * middle) > end { near = middle } else { far = middle }
    }
    mode + direction * far
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHARES: [f64; 6] = [0.0, 0.01, 0.05, 0.10, 0.25, 0.50];

    fn needed(law: Law, size: f64) -> Vec<f64> {
        SHARES.iter().map(|share| 20_f64.ln() / law.information(size, *share)).collect()
    }

    /// Published floors at a risk of 5 %: candidate answers, by share.
    #[test]
    fn floors_are_those_of_the_table() {
        let rate = |bad| Law::Rate { bad };
        for (law, size, published) in [
            (rate(0.01), 1.5, [2737, 2769, 2903, 3087, 3786, 5877]),
            (rate(0.01), 2.0, [765, 775, 817, 875, 1092, 1737]),
            (rate(0.01), 5.0, [73, 74, 80, 88, 117, 200]),
            (rate(0.05), 2.0, [145, 147, 155, 165, 206, 327]),
            (rate(0.10), 1.5, [245, 248, 259, 276, 337, 521]),
            (rate(0.10), 2.0, [67, 68, 72, 77, 95, 150]),
            (rate(0.10), 5.0, [6, 6, 6, 7, 9, 15]),
            // The spreads are those with which every column agrees.
            (Law::Latency { log_sd: 0.6 }, 1.2, [0, 66, 68, 72, 87, 131]),
            (Law::Amount { shape: 2.0 }, 1.15, [0, 148, 155, 165, 201, 309]),
            (Law::Score { mean: 0.84, sd: 0.122_2 }, 0.03, [0, 91, 95, 100, 119, 176]),
        ] {
            for (found, published) in needed(law, size).into_iter().zip(published) {
                if published > 0 {
                    let off = (found - f64::from(published)).abs();
                    assert!(off <= 0.6, "{found} instead of {published}: {law:?} {size}");
                }
            }
        }
    }

    /// The table does not say how its tail was spread; with the spread of its
    /// latency row all columns agree to 3 %.
    #[test]
    fn floors_of_a_tail_are_those_of_the_table_to_three_percent() {
        let found = needed(Law::Tail { log_sd: 0.6, quantile: 0.95 }, 1.5);
        for (found, published) in found[1..].iter().zip([34.0, 38.0, 44.0, 68.0, 146.0]) {
            assert!((found / published - 1.0).abs() < 0.03, "{found} instead of {published}");
        }
    }

    /// Two million labelled answers carry, one by one, what is claimed.
    #[test]
    fn information_is_the_drift_of_the_likelihood_ratio() {
        let (bad, size, share) = (0.1, 2.0, 0.3);
        let worse = bad * size;
        let mixed = |bad: f64, worse: f64| share * worse + (1.0 - share) * bad;
        let (mut sum, mut state) = (0.0, 42_u64);
        let mut coin = |p: f64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((state >> 11) as f64 / (1_u64 << 53) as f64) < p
        };
        let n = 2_000_000;
        for _ in 0..n {
            let candidate = coin(share);
            let is_bad = coin(if candidate { worse } else { bad });
            let (b, c) = if is_bad { (bad, worse) } else { (1.0 - bad, 1.0 - worse) };
            let chance = if candidate { c } else { b };
            sum += (chance / mixed(b, c)).ln();
        }
        let found = sum / f64::from(n) / share;
        let claimed = Law::Rate { bad }.information(size, share);
        assert!((found / claimed - 1.0).abs() < 0.03, "{found} against {claimed}");
    }

    #[test]
    fn pairs_on_one_input_are_stronger_the_harder_inputs_differ() {
        let score = Law::Score { mean: 0.8, sd: 0.1 };
        let alone = score.information(0.02, 0.5);
        assert!((score.pair_information(0.02, 0.0) / alone - 1.0).abs() < 1e-9);
        assert!((score.pair_information(0.02, 0.75) / alone - 4.0).abs() < 1e-9);
        let rate = Law::Rate { bad: 0.1 };
        let by_rho: Vec<f64> =
            [0.0, 0.3, 0.6].iter().map(|rho| rate.pair_information(2.0, *rho)).collect();
        assert!(by_rho[0] < by_rho[1] && by_rho[1] < by_rho[2], "{by_rho:?}");
        // Every input that is bad under control is bad under the candidate too:
        // only the candidate differs, and each such pair is a coin that always
        // falls on one side.
        let strongest = rate.pair_information(2.0, 0.99);
        assert!((strongest - 0.1 * 2_f64.ln()).abs() < 1e-12, "{strongest}");
    }

    #[test]
    fn reassurance_needs_about_as_much_as_detection() {
        for (law, size) in [
            (Law::Rate { bad: 0.05 }, 2.0),
            (Law::Latency { log_sd: 0.6 }, 1.2),
            (Law::Tail { log_sd: 0.6, quantile: 0.95 }, 1.5),
            (Law::Amount { shape: 2.0 }, 1.15),
            (Law::Score { mean: 0.84, sd: 0.12 }, 0.03),
        ] {
            let (worse, harmless) = (law.information(size, 0.5), law.reassurance(size, 0.5));
            let ratio = worse / harmless;
            assert!((0.5..3.5).contains(&ratio), "{ratio}: {law:?}");
        }
        // Both log-normal laws apart by half the effect each, exactly.
        let shift = 1.2_f64.ln() / 0.6;
        let exact = shift * shift * 0.25;
        let found = Law::Latency { log_sd: 0.6 }.reassurance(1.2, 0.5);
        assert!((found / exact - 1.0).abs() < 1e-6, "{found} {exact}");
    }

    #[test]
    fn what_cannot_be_tells_nothing() {
        for (law, size) in [
            (Law::Rate { bad: 0.5 }, 2.0),
            (Law::Rate { bad: 0.0 }, 2.0),
            (Law::Rate { bad: f64::NAN }, 2.0),
            (Law::Latency { log_sd: 0.0 }, 2.0),
            (Law::Latency { log_sd: 0.5 }, 0.0),
            (Law::Amount { shape: f64::INFINITY }, 1.5),
            (Law::Score { mean: 0.02, sd: 0.1 }, 0.03),
            (Law::Score { mean: 0.5, sd: f64::NAN }, 0.03),
            (Law::Tail { log_sd: f64::NAN, quantile: 0.95 }, 1.5),
        ] {
            assert_eq!(law.information(size, 0.5), 0.0, "{law:?}");
            assert_eq!(law.pair_information(size, 0.5), 0.0, "{law:?}");
        }
        let fine = Law::Rate { bad: 0.1 };
        for share in [1.0, -0.1, f64::NAN] {
            assert_eq!(fine.information(2.0, share), 0.0);
            assert_eq!(fine.reassurance(2.0, share), 0.0);
        }
    }

    proptest! {
        /// A larger effect is never harder to see, a larger share never makes
        /// one candidate answer say more, and nothing is negative or NaN.
        #[test]
        fn information_grows_with_the_effect_and_falls_with_the_share(
            bad in 0.001..0.3_f64, log_sd in 0.1..2.0_f64, shape in 0.2..20.0_f64,
            mean in 0.3..0.95_f64, spread in 0.02..0.9_f64, share in 0.01..0.6_f64,
            small in 0.01..0.5_f64,
        ) {
            let sd = spread * (mean * (1.0 - mean)).sqrt();
            let laws = [
                Law::Rate { bad }, Law::Latency { log_sd }, Law::Amount { shape },
                Law::Tail { log_sd, quantile: 0.95 }, Law::Score { mean, sd },
            ];
            for law in laws {
                let size = |part: f64| match law {
                    Law::Score { .. } => 0.25 * small * part,
                    _ => 1.0 + small * part,
                };
                let (less, more) = (law.information(size(1.0), share), law.information(size(2.0), share));
                prop_assert!(less >= 0.0 && more >= less, "{law:?}: {less} {more}");
                let rarer = law.information(size(2.0), share * 0.5);
                prop_assert!(rarer >= more * (1.0 - 1e-6), "{law:?}: {rarer} {more}");
                prop_assert!(law.reassurance(size(2.0), share) >= 0.0);
                prop_assert!(law.pair_information(size(2.0), 0.5) >= 0.0);
            }
        }
    }
}
