//! Is the candidate's mean worse than control's? A bet that stays honest under
//! any number of looks.
//!
//! For each outcome x let W = ±(ℓ − π)(x − m)/c, where ℓ is 1 for the
//! candidate, π the probability of that, m a centre known before, and c large
//! enough that |W| ≤ 1. If both arms have the same mean, W has mean zero, and
//! `exp(ηW − ψ(η)W²)` with ψ(η) = −ln(1 − η) − η has mean at most one (Fan,
//! Grama & Liu 2015); the product over outcomes, averaged over a few η, exceeds
//! 1/α with probability at most α, ever (Ville 1939). It needs no more than
//! counts, sums and sums of squares per second, so it runs on merged cells, and
//! no assumption on shape, only on bounds.
//!
//! For "not worse by a margin" the same bet runs the other way on outcomes from
//! which the margin was taken off.

/// Steepness of the bets.
const ETAS: [f64; 7] = [0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 0.9];

/// Outcomes of one arm in one second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sums {
    /// Outcomes.
    pub n: f64,
    /// Their sum.
    pub sum: f64,
    /// The sum of their squares.
    pub sum_sq: f64,
}

impl Sums {
    /// Of `n` outcomes, `ones` are one and the others zero.
    pub fn of_ones(n: u64, ones: u64) -> Self {
        Self { n: n as f64, sum: ones as f64, sum_sq: ones as f64 }
    }

    /// Every outcome times `scale` plus `shift`.
    #[must_use]
    pub fn moved(self, scale: f64, shift: f64) -> Self {
        Self {
            n: self.n,
            sum: scale * self.sum + shift * self.n,
            sum_sq: scale * scale * self.sum_sq
                + 2.0 * scale * shift * self.sum
                + shift * shift * self.n,
        }
    }

    /// Adds outcomes.
    pub fn merge(&mut self, other: Self) {
        self.n += other.n;
        self.sum += other.sum;
        self.sum_sq += other.sum_sq;
    }

    /// Their mean.
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0.0).then(|| self.sum / self.n)
    }

    /// Sum and sum of squares of the outcomes minus `centre`.
    fn around(self, centre: f64) -> (f64, f64) {
        let moved = self.moved(1.0, -centre);
        (moved.sum, moved.sum_sq.max(0.0))
    }
}

/// Outcomes of both arms in one second, with one probability of the candidate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// The second.
    pub second: i64,
    /// Probability of the candidate.
    pub probability: f64,
    /// The candidate's outcomes.
    pub candidate: Sums,
    /// Control's outcomes.
    pub control: Sums,
}

/// What the bet has become.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bet {
    /// The smallest risk at which it would have stopped by now.
    pub evidence: f64,
    /// The same from where the bet stands now, not where it stood best.
    pub standing: f64,
}

/// Bets that the candidate's mean is higher than control's. All outcomes lie
/// in `[low, high]`; `pairs` in the order of their seconds. Bounds that are
/// none give no evidence.
pub fn higher(pairs: &[Pair], low: f64, high: f64) -> Bet {
    let mut bet = Bet { evidence: 1.0, standing: 1.0 };
    if !(low < high && (high - low).is_finite()) {
        return bet;
    }
    let mut seen = Sums::default();
    let mut logs = [0.0_f64; ETAS.len()];
    for second in pairs.chunk_by(|a, b| a.second == b.second) {
        let centre = seen.mean().unwrap_or((low + high) / 2.0).clamp(low, high);
        for pair in second {
            let p = pair.probability;
            if !(p > 0.0 && p < 1.0) {
                continue;
            }
            let (a, a2) = pair.candidate.around(centre);
            let (b, b2) = pair.control.around(centre);
            let bound = (high - low) * p.max(1.0 - p);
            let sum = ((1.0 - p) * a - p * b) / bound;
            let squares = ((1.0 - p).powi(2) * a2 + p.powi(2) * b2) / (bound * bound);
            for (log, eta) in logs.iter_mut().zip(ETAS) {
                *log += eta * sum - (-(-eta).ln_1p() - eta) * squares;
            }
            seen.merge(pair.candidate);
            seen.merge(pair.control);
        }
        let best = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mean = logs.iter().map(|log| (log - best).exp()).sum::<f64>() / ETAS.len() as f64;
        bet.standing = (-(best + mean.ln())).exp();
        bet.evidence = bet.evidence.min(bet.standing);
    }
    bet
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(second: i64, candidate: (u64, u64), control: (u64, u64)) -> Pair {
        Pair {
            second,
            probability: 0.5,
            candidate: Sums::of_ones(candidate.1, candidate.0),
            control: Sums::of_ones(control.1, control.0),
        }
    }

    #[test]
    fn a_higher_mean_is_found_and_an_equal_or_lower_one_is_not() {
        let run = |candidate, control| {
            higher(&(0..200).map(|s| pair(s, candidate, control)).collect::<Vec<_>>(), 0.0, 1.0)
        };
        assert!(run((4, 5), (2, 5)).evidence < 1e-6);
        assert!(run((3, 5), (3, 5)).evidence > 0.5);
        assert!(run((2, 5), (4, 5)).evidence > 0.5);
    }

    #[test]
    fn the_bet_is_fair_over_all_labellings() {
        // Ten scores, each with either label: the mean of what the bet becomes
        // is at most one, so evidence at the end is at most α with
        // probability at most α.
        let scores = [0.1, 0.9, 0.5, 0.4, 1.0, 0.0, 0.7, 0.7, 0.2, 0.95];
        for p in [0.5, 0.2, 0.85] {
            let mut expected = 0.0;
            for labels in 0..1_u32 << scores.len() {
                let mut chance = 1.0;
                let pairs: Vec<Pair> = scores
                    .iter()
                    .enumerate()
                    .map(|(i, x)| {
                        let candidate = labels >> i & 1 == 1;
                        chance *= if candidate { p } else { 1.0 - p };
                        let one = Sums { n: 1.0, sum: *x, sum_sq: x * x };
                        let (a, b) =
                            if candidate { (one, Sums::default()) } else { (Sums::default(), one) };
                        Pair { second: i as i64, probability: p, candidate: a, control: b }
                    })
                    .collect();
                expected += chance / higher(&pairs, 0.0, 1.0).standing;
            }
            assert!(expected <= 1.0 + 1e-9, "{expected} at {p}");
        }
    }

    #[test]
    fn moving_outcomes_moves_their_sums() {
        let sums = Sums { n: 2.0, sum: 1.5, sum_sq: 1.25 }.moved(-2.0, 1.0);
        // 1 and ½ become −1 and 0.
        assert_eq!((sums.n, sums.sum, sums.sum_sq), (2.0, -1.0, 1.0));
    }
}
