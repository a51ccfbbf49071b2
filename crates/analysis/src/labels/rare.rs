//! Are bad answers shown to be rare, whatever control does?
//!
//! Where neither arm has bad answers, labels say nothing: no ratio can be
//! measured. But a candidate whose own rate is shown to be below the notice
//! (`by`), or below [`NEGLIGIBLE_RATE`], is not worse by what matters.
//!
//! A bet against "the rate is at least `bound`" (Ville 1939): the wealth is
//! multiplied by the likelihood ratio of a lower rate, averaged over a few.

use domain::policy::{Notice, Signal};

/// A rate that is shown to be lower than this is not worse than any control,
/// unless the signal's own `limit` is lower still: where bad answers are so
/// rare, ratios cannot be measured in any sensible time.
pub const NEGLIGIBLE_RATE: f64 = 0.005;

/// Lower rates that are betted on, as shares of the bound.
const LOWER: [f64; 4] = [0.0, 0.1, 0.3, 0.6];

/// The bet on a rate below a bound.
#[derive(Debug, Clone, Copy)]
pub struct Rare {
    bound: f64,
    logs: [f64; LOWER.len()],
    best: f64,
}

impl Rare {
    /// The bet that a signal's notice asks for.
    pub fn new(signal: &Signal, notice: Notice) -> Self {
        let bound = match notice {
            Notice::By(by) => by.0,
            Notice::Times(_) => {
                signal.limit.map_or(NEGLIGIBLE_RATE, |limit| limit.0.min(NEGLIGIBLE_RATE))
            }
        };
        Self { bound: bound.clamp(1e-6, 0.999), logs: [0.0; LOWER.len()], best: 1.0 }
    }

    /// Takes in an answer of the candidate.
    pub fn add(&mut self, bad: bool) {
        for (log, lower) in self.logs.iter_mut().zip(LOWER) {
            let rate = self.bound * lower;
            *log += match bad {
                true => lower.ln(),
                false => ((1.0 - rate) / (1.0 - self.bound)).ln(),
            };
        }
        let wealth = self.logs.iter().map(|log| log.exp()).sum::<f64>() / LOWER.len() as f64;
        self.best = self.best.min(1.0 / wealth.max(1e-300));
    }

    /// For forecasts: nats that one answer of a candidate with this rate adds on
    /// average, and nats that averaging several bets costs beforehand.
    pub fn growth(&self, rate: f64) -> (f64, f64) {
        let of = |lower: f64| {
            let good = ((1.0 - self.bound * lower) / (1.0 - self.bound)).ln();
            let bad = if rate > 0.0 { rate * lower.max(1e-12).ln() } else { 0.0 };
            bad + (1.0 - rate) * good
        };
        let best = LOWER.map(of).into_iter().fold(0.0, f64::max);
        (best, (LOWER.len() as f64).ln())
    }

    /// The smallest risk at which the rate has been shown to be below the bound.
    pub fn evidence(&self) -> f64 {
        self.best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_histories_on_the_bound_together_keep_the_risk() {
        // Every history of 14 answers at the bound itself, by hand.
        let fresh = Rare { bound: 0.4, logs: [0.0; LOWER.len()], best: 1.0 };
        let risk = 0.1;
        let mut shown = 0.0;
        for history in 0..1_u32 << 14 {
            let mut rare = fresh;
            (0..14).for_each(|i| rare.add(history >> i & 1 == 1));
            let bad = f64::from(history.count_ones());
            if rare.evidence() <= risk {
                shown += 0.4_f64.powf(bad) * 0.6_f64.powf(14.0 - bad);
            }
        }
        assert!(shown <= risk && shown > 0.01, "{shown}");
    }

    #[test]
    fn without_bad_answers_it_takes_a_few_over_the_bound() {
        let mut rare = Rare { bound: 0.05, logs: [0.0; LOWER.len()], best: 1.0 };
        (0..110).for_each(|_| rare.add(false));
        assert!(rare.evidence() < 0.02);
        rare.add(true);
        assert!(rare.evidence() < 0.02, "what was shown stays shown");
    }
}
