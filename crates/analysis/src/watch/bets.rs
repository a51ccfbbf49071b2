//! A bet that the mean is above a bound, honest over any number of looks.
//!
//! Outcomes y in [0, 1]; the claim under test is that each, given those before
//! it, has a mean of at most m. For λ in [0, 1/m] the factor 1 + λ(y − m) is
//! never negative and has a mean of at most one under the claim, so a product
//! of such factors passes 1/α with probability at most α, ever, however often
//! one looks (Ville 1939; bounded means: Waudby-Smith & Ramdas 2023). For y in
//! {0, 1} a factor is the likelihood ratio of a rate q to the rate m.
//!
//! Two averages keep that promise and buy speed. Over λ: nobody knows how bad
//! it is. Over the moment the bet begins: a candidate that was good for a day
//! and then broke would otherwise have to win back a day of losses. A bet that
//! begins at outcome t is paid from a purse of one; octave j of outcomes gets
//! 1/((j+1)(j+2)) of the half that is not staked at once. One number per λ
//! holds all of its beginnings: R ← (R + stake) · factor.
//!
//! Only sums, products and quotients: every machine gets the same bits.

/// Odds ratios to the bound that the bets are made for, beside one for half way
/// to 100 %.
pub(super) const ODDS: [f64; 8] = [1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0];

/// Bounds below this count as this: with a bound of zero one outcome above it
/// is proof, and a factor must stay a number.
const LEAST_BOUND: f64 = 1e-9;

/// A bet gains no more beyond this, so that it can also lose again.
const MOST: f64 = 1e6;

/// Outcomes in the first octave of beginnings.
const OCTAVE: u64 = 32;

/// All bets against one bound.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bets {
    bound: f64,
    risk: f64,
    /// Steepness λ and what its bets have become.
    bets: Vec<(f64, f64)>,
    /// What is not staked yet.
    purse: f64,
    taken: u64,
    sure: bool,
    /// The flattest bet, begun anew whenever it has nothing left to lose.
    run: f64,
}

impl Bets {
    /// Bets for rates at these odds ratios to `bound`. A bound that nothing
    /// can pass, or that is no number, yields bets that never win.
    pub(super) fn at_odds(bound: f64, odds: &[f64], risk: f64) -> Self {
        let m = bound.max(LEAST_BOUND);
        let rates = odds.iter().map(|r| m * r / (1.0 - m + m * r));
        // Odds to next to nothing are next to nothing.
        Self::at_rates(bound, rates.chain([m + 0.5 * (1.0 - m)]), risk)
    }

    /// Bets for these rates, all above `bound`.
    pub(super) fn at_rates(bound: f64, rates: impl Iterator<Item = f64>, risk: f64) -> Self {
        let bound = if bound.is_nan() { 1.0 } else { bound.max(LEAST_BOUND) };
        let some = bound < 1.0;
        let steepness = |q: f64| (q - bound) / (bound * (1.0 - bound));
        let mut bets: Vec<_> = rates.filter(|_| some).map(|q| (steepness(q), 0.0)).collect();
        let each = 0.5 / bets.len().max(1) as f64;
        bets.iter_mut().for_each(|bet| bet.1 = each);
        Self { bound, risk, bets, purse: 0.5, taken: 0, sure: false, run: 1.0 }
    }

    /// Takes in one outcome; beyond [0, 1] it counts as the nearer end.
    pub(super) fn take(&mut self, y: f64) {
        let stake = self.stake();
        self.purse = (self.purse - stake).max(0.0);
        self.taken = self.taken.saturating_add(1);
        let gain = y.clamp(0.0, 1.0) - self.bound;
        let each = stake / self.bets.len().max(1) as f64;
        for (steepness, worth) in &mut self.bets {
            let factor = (1.0 + *steepness * gain).max(0.0);
            *worth = ((*worth + each) * factor).min(MOST);
        }
        let flattest = self.bets.iter().map(|(steepness, _)| *steepness).reduce(f64::min);
        self.run = (self.run * (1.0 + flattest.unwrap_or(0.0) * gain)).clamp(1.0, MOST);
        let worth = self.worth();
        self.sure = worth * self.risk >= 1.0 || (self.sure && worth >= 1.0 && self.is_in_a_run());
    }

    /// What is staked on bets that begin with the next outcome.
    fn stake(&self) -> f64 {
        let octave = (self.taken / OCTAVE).saturating_add(1).ilog2();
        let j = f64::from(octave);
        let outcomes = OCTAVE as f64 * f64::from(octave).exp2();
        0.5 / ((j + 1.0) * (j + 2.0)) / outcomes
    }

    /// What one has become: more than 1/α with probability at most α, ever,
    /// while the claim holds.
    pub(super) fn worth(&self) -> f64 {
        self.purse + self.bets.iter().map(|(_, worth)| worth).sum::<f64>()
    }

    /// True from the moment the bound was shown to be passed, at the stated
    /// risk over all outcomes there will ever be, until the winnings are lost
    /// again or the last outcomes no longer speak against the bound.
    pub(super) fn is_sure(&self) -> bool {
        self.sure
    }

    /// False if the last outcomes, however many, do not speak against the bound.
    /// While true, the mean of the outcomes since it was last false is above
    /// the bound (ln(1 + u) ≤ u), and so it is whenever the bets get sure (ln is
    /// concave: where a steep bet wins, a flatter one does).
    pub(super) fn is_in_a_run(&self) -> bool {
        self.run > 1.0
    }

    /// The chance of outcomes as telling as these on the bound, at most.
    pub(super) fn evidence(&self) -> f64 {
        (1.0 / self.worth()).min(1.0)
    }

    /// The risk these bets were made at.
    pub(super) fn risk(&self) -> f64 {
        self.risk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The chance of ever being sure within `n` outcomes at rate `p`, over all
    /// 2ⁿ sequences.
    fn ever_sure(bets: &Bets, p: f64, n: u32) -> f64 {
        if bets.is_sure() {
            return 1.0;
        }
        if n == 0 {
            return 0.0;
        }
        [(1.0, p), (0.0, 1.0 - p)]
            .into_iter()
            .map(|(y, chance)| {
                let mut next = bets.clone();
                next.take(y);
                chance * ever_sure(&next, p, n - 1)
            })
            .sum()
    }

    #[test]
    fn the_promise_holds_over_all_sequences() {
        let mut reached = 0;
        for p in [0.001, 0.01, 0.05, 0.1, 0.2, 0.5, 0.9] {
            for risk in [1e-3, 1e-2, 0.2] {
                let on = ever_sure(&Bets::at_odds(p, &ODDS, risk), p, 14);
                assert!(on <= risk, "{on} at {p}, {risk}");
                reached += u32::from(on > 0.0);
                let below = ever_sure(&Bets::at_odds(p, &ODDS, risk), p / 2.0, 12);
                assert!(below <= on.max(risk), "{below} below {p}");
            }
        }
        assert!(reached >= 14, "the promise was kept by never betting: {reached}");
    }

    #[test]
    fn the_mean_of_a_bet_is_at_most_one_at_any_time() {
        fn mean(bets: &Bets, p: f64, n: u32) -> f64 {
            if n == 0 {
                return bets.worth();
            }
            let after = |y: f64| {
                let mut next = bets.clone();
                next.take(y);
                mean(&next, p, n - 1)
            };
            p * after(1.0) + (1.0 - p) * after(0.0)
        }
        for p in [0.02, 0.3, 0.7] {
            for n in [1, 5, 12] {
                let fair = mean(&Bets::at_odds(p, &ODDS, 1e-3), p, n);
                // Less than one only where a bet has stopped gaining.
                assert!(fair <= 1.0 + 1e-9 && fair > 0.5, "{fair} after {n} at {p}");
            }
        }
    }

    #[test]
    fn the_purse_is_never_overspent() {
        let mut bets = Bets::at_odds(0.5, &[], 1e-3);
        let mut last = bets.purse;
        for _ in 0..100_000 {
            bets.take(0.0);
            assert!(bets.purse <= last && bets.purse > 0.0);
            last = bets.purse;
        }
        // Octaves 0 to 10 are spent: half of 1 − 1/12, and some of the next.
        assert!(last < 0.5 / 12.0 && last > 0.5 / 14.0, "{last}");
    }

    #[test]
    fn a_bound_that_cannot_be_passed_is_not_and_zero_is_passed_by_one() {
        for bound in [1.0, 7.0, f64::INFINITY, f64::NAN] {
            let mut bets = Bets::at_odds(bound, &ODDS, 1e-3);
            (0..10_000).for_each(|_| bets.take(1.0));
            assert!(!bets.is_sure());
        }
        for bound in [0.0, -1.0] {
            let mut bets = Bets::at_odds(bound, &ODDS, 1e-3);
            (0..1000).for_each(|_| bets.take(0.0));
            assert!(!bets.is_sure());
            bets.take(1.0);
            assert!(bets.is_sure());
        }
    }

    #[test]
    fn a_late_change_is_found_and_a_mended_one_forgotten() {
        let mut bets = Bets::at_odds(0.05, &ODDS, 1e-3);
        (0..20_000).for_each(|i| bets.take(f64::from(u8::from(i % 50 == 0))));
        assert!(!bets.is_sure(), "2 % is within 5 %");
        let late = (1..)
            .find(|i| {
                bets.take(f64::from(u8::from(i % 4 == 0)));
                bets.is_sure()
            })
            .unwrap();
        assert!(late < 120, "25 % took {late} outcomes");
        let mended = (1..)
            .find(|_| {
                bets.take(0.0);
                !bets.is_sure()
            })
            .unwrap();
        assert!(mended < 1000, "all good took {mended} outcomes");
    }
}
