//! Which variant's mean reward is higher? Bets that stay honest under any
//! number of looks, and under shares that follow the rewards seen so far.
//!
//! For a pair (a, b) and a reward r in [0, 1] of an answer that variant v gave,
//! let X = (1[v = a]/πₐ − 1[v = b]/π_b)(r − m), with π the probabilities with
//! which this very answer was assigned and m a centre known before (the running
//! mean of all rewards). Whatever π followed from, X has mean μₐ − μ_b given the
//! past, so with W = (X − δ)/c, where c bounds |X − δ|, `exp(ηW − ψ(η)W²)` with
//! ψ(η) = −ln(1 − η) − η has mean at most one while μₐ − μ_b ≤ δ (Fan, Grama &
//! Liu 2015; inverse weights: Howard, Ramdas, McAuliffe & Sekhon 2021,
//! Waudby-Smith, Wu, Ramdas, Karampatziakis & Mineiro 2022). The product over
//! answers, averaged over a few η, exceeds 1/α with probability at most α, ever
//! (Ville 1939). All δ share five sums, so the interval for μₐ − μ_b is the same
//! test turned round and cannot disagree with a verdict.
//!
//! If every variant's mean moves with the hour, that is no matter as long as
//! their order stays: each answer is compared with what the others would have
//! got at the same moment.

/// Steepness of the bets.
const ETAS: [f64; 9] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9];
/// Steps in which the ends of an interval are looked for.
const STEPS: u32 = 500;

/// What is kept of a pair: sums of X/c, X²/c², 1/c, X/c², 1/c².
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Duel {
    x: f64,
    xx: f64,
    one: f64,
    x_sq: f64,
    one_sq: f64,
}

impl Duel {
    fn add(&mut self, x: f64, bound: f64) {
        let scale = 1.0 / bound;
        self.x += x * scale;
        self.xx += x * x * scale * scale;
        self.one += scale;
        self.x_sq += x * scale * scale;
        self.one_sq += scale * scale;
    }

    /// The same pair the other way round.
    fn mirrored(self) -> Self {
        Self { x: -self.x, x_sq: -self.x_sq, ..self }
    }

    /// Logarithm of what the bets on μₐ − μ_b > δ have become, |δ| ≤ 1.
    fn log_bet(&self, delta: f64) -> f64 {
        let sum = self.x - delta * self.one;
        let squares = (self.xx - 2.0 * delta * self.x_sq + delta * delta * self.one_sq).max(0.0);
        let logs = ETAS.map(|eta| eta * sum - (-(-eta).ln_1p() - eta) * squares);
        let best = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        best + (logs.iter().map(|log| (log - best).exp()).sum::<f64>() / ETAS.len() as f64).ln()
    }

    /// The largest δ with all below it rejected at this risk; −1 if none is.
    fn above(&self, risk: f64) -> f64 {
        let rejected = |delta: f64| self.log_bet(delta) >= -risk.ln();
        let at = |step: u32| 2.0 * f64::from(step) / f64::from(STEPS) - 1.0;
        let steps = (0..STEPS).take_while(|step| rejected(at(*step))).count();
        let Some(last) = u32::try_from(steps).ok().and_then(|steps| steps.checked_sub(1)) else {
            return -1.0;
        };
        let (mut low, mut high) = (at(last), at(last + 1));
        for _ in 0..30 {
            let middle = (low + high) / 2.0;
            if rejected(middle) { low = middle } else { high = middle }
        }
        low
    }
}

/// The difference of two mean rewards, on the scale of [0, 1].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// The weighted mean of X: unbiased, however traffic was divided.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The bets between all pairs of some variants.
#[derive(Debug, Clone, PartialEq)]
pub struct Bets {
    variants: usize,
    /// Pairs (0, 1), (0, 2), …, (1, 2), ….
    duels: Vec<Duel>,
    rewards: f64,
    sum: f64,
}

impl Bets {
    /// Nothing seen yet.
    pub fn new(variants: usize) -> Self {
        let pairs = variants * variants.saturating_sub(1) / 2;
        Self { variants, duels: vec![Duel::default(); pairs], rewards: 0.0, sum: 0.0 }
    }

    /// Takes in one reward in [0, 1] of this variant, with the probabilities of
    /// all variants for this answer. A pair of which one had no chance is not
    /// compared by it.
    pub fn add(&mut self, variant: usize, shares: &[f64], reward: f64) {
        let centre = (self.sum + 0.5) / (self.rewards + 1.0);
        let mut duels = self.duels.iter_mut();
        for (a, first) in shares.iter().enumerate().take(self.variants) {
            for (b, second) in shares.iter().enumerate().take(self.variants).skip(a + 1) {
                let Some(duel) = duels.next() else { return };
                let least = first.min(*second);
                if !(least > 0.0 && first + second <= 1.0 + 1e-9) {
                    continue;
                }
                let x = match variant {
                    v if v == a => (reward - centre) / first,
                    v if v == b => (centre - reward) / second,
                    _ => 0.0,
                };
                duel.add(x, centre.max(1.0 - centre) / least + 1.0);
            }
        }
        self.rewards += 1.0;
        self.sum += reward;
    }

    fn duel(&self, a: usize, b: usize) -> Option<Duel> {
        let (first, second) = (a.min(b), a.max(b));
        if first == second || second >= self.variants {
            return None;
        }
        let before = first * self.variants - first * (first + 1) / 2;
        let duel = *self.duels.get(before + second - first - 1)?;
        Some(if a < b { duel } else { duel.mirrored() })
    }

    /// The smallest risk at which "μₐ is at most `notice` below μ_b" is shown
    /// now; 1 if nothing is.
    pub fn not_below(&self, a: usize, b: usize, notice: f64) -> f64 {
        let log = self.duel(a, b).map_or(0.0, |duel| duel.log_bet(-notice.clamp(0.0, 1.0)));
        (-log).exp().min(1.0)
    }

    /// μₐ − μ_b, with an interval whose ends are each wrong with at most this
    /// risk at whatever look. None before the pair was compared.
    pub fn difference(&self, a: usize, b: usize, risk: f64) -> Option<Difference> {
        let duel = self.duel(a, b).filter(|duel| duel.one > 0.0)?;
        let value = (duel.x / duel.one).clamp(-1.0, 1.0);
        let (low, high) = (duel.above(risk), -duel.mirrored().above(risk));
        Some(Difference { value, low: low.min(value), high: high.max(value) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::*;

    #[test]
    fn the_bet_is_fair_over_all_assignments() {
        // Eight answers whose reward does not depend on the variant; shares
        // follow the rewards seen so far. The mean of what a bet becomes, over
        // all assignments, is at most one.
        let rewards = [0.0, 1.0, 1.0, 0.3, 0.0, 0.9, 0.2, 1.0];
        for (a, b) in [(0, 1), (1, 0), (0, 2), (2, 1)] {
            let mut expected = 0.0;
            for code in 0..3_usize.pow(8) {
                let (mut bets, mut chance, mut rest, mut first) = (Bets::new(3), 1.0, code, 0.0);
                for (i, reward) in rewards.iter().enumerate() {
                    let lead = if first > 0.5 { 0.6 } else { 0.2 };
                    let shares = [lead, (1.0 - lead) * 0.7, (1.0 - lead) * 0.3];
                    let variant = rest % 3;
                    rest /= 3;
                    chance *= shares[variant];
                    bets.add(variant, &shares, *reward);
                    first += if variant == 0 { reward / (i + 1) as f64 } else { 0.0 };
                }
                expected += chance * bets.duel(a, b).unwrap().log_bet(0.0).exp();
            }
            assert!(expected <= 1.0 + 1e-9, "{expected} for {a} and {b}");
        }
    }

    #[test]
    fn a_pair_is_found_and_seen_from_both_sides() {
        let mut bets = Bets::new(4);
        let mut random = Random::new(1, 0);
        for _ in 0..4000 {
            let variant = random.below(4);
            let reward = random.toss([0.2, 0.3, 0.2, 0.6][variant]);
            bets.add(variant, &[0.25; 4], reward);
        }
        for (a, b, truth) in [(0, 1, -0.1), (3, 2, 0.4), (0, 2, 0.0), (3, 1, 0.3)] {
            let there = bets.difference(a, b, 0.01).unwrap();
            let back = bets.difference(b, a, 0.01).unwrap();
            assert!(there.low < truth && truth < there.high, "{there:?}");
            assert!((there.value - truth).abs() < 0.06, "{there:?}");
            assert!((there.low + back.high).abs() < 1e-6 && (there.high + back.low).abs() < 1e-6);
            // The interval and the test say the same.
            assert_eq!(there.low > 0.0, bets.not_below(a, b, 0.0) <= 0.01, "{there:?}");
            assert_eq!(there.low > -0.05, bets.not_below(a, b, 0.05) <= 0.01, "{there:?}");
        }
        assert_eq!(bets.difference(1, 1, 0.01), None);
        assert_eq!(Bets::new(2).difference(0, 1, 0.01), None);
    }

    #[test]
    fn the_sums_of_a_pair_are_those_of_its_formula() {
        let mut bets = Bets::new(3);
        let seen = [(0, 0.5, 1.0), (2, 0.3, 0.0), (1, 0.2, 0.4), (0, 0.5, 0.2)];
        let shares = [0.5, 0.2, 0.3];
        let mut logs = [0.0; ETAS.len()];
        let (mut sum, mut n) = (0.5, 1.0);
        for (variant, share, reward) in seen {
            bets.add(variant, &shares, reward);
            let centre: f64 = sum / n;
            let sign = [1.0, 0.0, -1.0][variant];
            let x = sign * (reward - centre) / share;
            let w = (x + 0.1) / (centre.max(1.0 - centre) / 0.3 + 1.0);
            for (log, eta) in logs.iter_mut().zip(ETAS) {
                *log += eta * w - (-(1.0 - eta).ln() - eta) * w * w;
            }
            (sum, n) = (sum + reward, n + 1.0);
        }
        let mean = logs.iter().map(|log: &f64| log.exp()).sum::<f64>() / ETAS.len() as f64;
        let found = bets.duel(0, 2).unwrap().log_bet(-0.1);
        assert!((found - mean.ln()).abs() < 1e-12, "{found} {}", mean.ln());
    }
}
