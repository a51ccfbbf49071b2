//! What the router would have drawn with other salts.
//!
//! Where requests of one subject stick together, labels are not independent
//! and no law can be carried forward. But the router's draw can be repeated:
//! for each of many other salts every subject falls anew, monotone in the share
//! as in the router itself. Under "no difference" the observed history and the
//! repeated ones are exchangeable, so looks may take the highest of them away,
//! as many as the released risk allows (analysis by re-randomisation: Fisher
//! 1935; Lan & DeMets 1983 for the spending).

/// Fewest and most repetitions.
const REPETITIONS: (f64, f64) = (999.0, 9999.0);
/// Repetitions per unit of risk: so many may be taken away over the rollout.
const STOPPABLE: f64 = 20.0;

/// How many repetitions a risk asks for.
pub fn repetitions(risk: f64) -> usize {
    // Between 999 and 9999: no loss.
    (STOPPABLE / risk).clamp(REPETITIONS.0, REPETITIONS.1) as usize
}

/// Where a subject falls under each other salt: the draws of one key, kept
/// between signals of one outcome.
#[derive(Debug, Clone, Default)]
pub struct Draws {
    key: Option<u64>,
    /// Uniform over all of `i32`, shifted so that comparisons are signed.
    draws: Vec<i32>,
}

impl Draws {
    /// Draws for a key; at least `n`.
    pub fn of(&mut self, key: u64, n: usize) {
        if self.key == Some(key) && self.draws.len() >= n {
            return;
        }
        self.key = Some(key);
        let pairs = n.div_ceil(2);
        self.draws.resize(pairs * 2, 0);
        // Plain enough for the compiler to do several at once.
        let mut salt = 0_u64;
        let (pairs, _) = self.draws.as_chunks_mut::<2>();
        for two in pairs {
            salt = salt.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let hash = mix(key ^ salt);
            *two = [(hash >> 32) as u32 as i32, hash as u32 as i32];
        }
    }
}

/// The finalizer of splitmix64 (Steele, Lea & Flood 2014).
pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Scores of the observed history and of the repeated ones.
#[derive(Debug, Clone)]
pub struct Resalted {
    sums: Vec<i32>,
    /// False once taken away.
    alive: Vec<bool>,
    removed: usize,
    observed: i32,
    /// No sum is further from zero than this.
    furthest: u32,
}

impl Resalted {
    /// So many repetitions, all at zero.
    pub fn new(repetitions: usize) -> Self {
        Self {
            sums: vec![0; repetitions],
            alive: vec![true; repetitions],
            removed: 0,
            observed: 0,
            furthest: 0,
        }
    }

    /// How many repetitions there are.
    pub fn len(&self) -> usize {
        self.sums.len()
    }

    /// True if there are none, which never is.
    pub fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    /// One outcome of a subject: every history in which it falls to the
    /// candidate gains `score`. Sums that would no longer fit stay as they are,
    /// in all histories alike: at sixteen units a score after 20 million.
    pub fn toss(&mut self, draws: &Draws, p: f64, score: i32, shows: bool) {
        if score == 0 || !(p > 0.0 && p < 1.0) {
            return;
        }
        // The share of all i32 that lies below the threshold is p.
        let threshold = (p * 4_294_967_296.0) as i64 + i64::from(i32::MIN);
        let threshold = i32::try_from(threshold).unwrap_or(i32::MAX);
        let histories = self.sums.iter_mut().zip(&draws.draws);
        self.furthest = self.furthest.saturating_add(score.unsigned_abs());
        if i32::try_from(self.furthest).is_ok() {
            // Nothing can overflow, so that several are added at once.
            for (sum, draw) in histories {
                let falls = -i32::from(*draw < threshold);
                *sum = sum.wrapping_add(score & falls);
            }
        } else {
            for (sum, draw) in histories {
                *sum = sum.saturating_add(if *draw < threshold { score } else { 0 });
            }
        }
        if shows {
            self.observed = self.observed.saturating_add(score);
        }
    }

    /// Share of the histories that are left, the observed one among them, whose
    /// score is at least the observed: of all there ever were.
    pub fn tail(&self) -> f64 {
        let higher = self
            .sums
            .iter()
            .zip(&self.alive)
            .filter(|(sum, alive)| **alive && **sum >= self.observed)
            .count();
        (higher + 1) as f64 / (self.len() + 1) as f64
    }

    /// Takes the highest histories away, those with equal scores together, as
    /// long as all that were ever taken away fit `allowed`. True if the observed
    /// one is among them.
    pub fn stop_top(&mut self, allowed: f64) -> bool {
        let all = (allowed * (self.len() + 1) as f64 + 1e-9) as usize;
        let mut room = all.saturating_sub(self.removed);
        while room > 0 {
            let left = || self.sums.iter().zip(&self.alive).filter(|(_, alive)| **alive);
            let highest = left().map(|(sum, _)| *sum).max();
            let top = highest.map_or(self.observed, |sum| sum.max(self.observed));
            let alike = left().filter(|(sum, _)| **sum == top).count();
            let ours = usize::from(self.observed == top);
            if alike + ours > room {
                return false;
            }
            if ours == 1 {
                // Gone with those that look like it: this is what it cost.
                self.removed += alike + ours;
                return true;
            }
            for (sum, alive) in self.sums.iter().zip(&mut self.alive) {
                *alive = *alive && *sum != top;
            }
            self.removed += alike;
            room -= alike;
        }
        false
    }

    /// Share of the histories that were taken away.
    pub fn spent(&self) -> f64 {
        self.removed as f64 / (self.len() + 1) as f64
    }

    /// Mean and variance of the score over all repetitions.
    pub fn moments(&self) -> (f64, f64) {
        let n = self.len().max(1) as f64;
        let mean = self.sums.iter().map(|sum| f64::from(*sum)).sum::<f64>() / n;
        let square = self.sums.iter().map(|sum| (f64::from(*sum) - mean).powi(2)).sum::<f64>();
        (mean, square / n)
    }

    /// The observed score.
    pub fn observed(&self) -> f64 {
        f64::from(self.observed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_uniform_and_sticky() {
        let mut draws = Draws::default();
        let mut all = Resalted::new(999);
        let mut variance = 0.0;
        for unit in 0..4000_u64 {
            draws.of(mix(unit), 999);
            let p = 0.05 + 0.9 * (unit % 7) as f64 / 7.0;
            // Two outcomes of one subject: their scores go together.
            all.toss(&draws, p, 2, false);
            all.toss(&draws, p, 1, false);
            variance += 9.0 * p * (1.0 - p);
        }
        let expected: f64 =
            (0..4000).map(|unit| 3.0 * (0.05 + 0.9 * f64::from(unit % 7) / 7.0)).sum();
        let (mean, spread) = all.moments();
        assert!((mean - expected).abs() < 4.0 * (variance / 999.0).sqrt(), "{mean} {expected}");
        assert!((spread / variance - 1.0).abs() < 0.25, "{spread} {variance}");
    }

    #[test]
    fn sums_that_no_longer_fit_stay_at_the_end() {
        let mut draws = Draws::default();
        let mut all = Resalted::new(999);
        let mut by_hand = vec![0_i32; 999];
        for unit in 0..60_u64 {
            draws.of(mix(unit), 999);
            let score = if unit % 9 == 4 { i32::MIN / 50 } else { i32::MAX / 20 };
            all.toss(&draws, 0.7, score, true);
            let threshold = (0.7 * 4_294_967_296.0) as i64 + i64::from(i32::MIN);
            for (sum, draw) in by_hand.iter_mut().zip(&draws.draws) {
                let falls = i64::from(*draw) < threshold;
                *sum = sum.saturating_add(if falls { score } else { 0 });
            }
            assert_eq!(all.sums, by_hand, "after {unit}");
        }
        assert_eq!(all.observed, i32::MAX);
        assert!(by_hand.contains(&i32::MAX));
    }

    #[test]
    fn growing_shares_move_subjects_one_way() {
        let mut draws = Draws::default();
        for unit in 0..100_u64 {
            draws.of(mix(unit), 999);
            let falls = |p: f64| {
                let mut one = Resalted::new(999);
                one.toss(&draws, p, 1, false);
                one.sums
            };
            assert!(falls(0.2).iter().zip(falls(0.3)).all(|(small, large)| *small <= large));
        }
    }

    #[test]
    fn equal_scores_stop_together_or_not_at_all() {
        let mut all = Resalted::new(999);
        assert!(!all.stop_top(0.5), "nothing was measured, all are alike");
        assert_eq!(all.spent(), 0.0);
        let mut draws = Draws::default();
        for unit in 0..12 {
            draws.of(mix(unit), 999);
            all.toss(&draws, 0.5, 1, true);
        }
        // Twelve of twelve: one history in 4096.
        assert!(all.tail() < 0.005);
        assert!(all.stop_top(0.005));
    }
}
