//! The exact law of a score among all histories that have not stopped yet.
//!
//! Under "the version makes no difference" outcomes are given and only the
//! labels are random: coin `i` shows the candidate with the probability the
//! router drew it with. The score of a history is the sum of fixed integers
//! over the coins that show the candidate. This is the law of that sum (a
//! weighted Poisson binomial), carried forward coin by coin, from which looks
//! take away what they stop: Lan & DeMets (1983), made exact.
//!
//! The law is kept on a grid of at most [`MAX_BINS`] places. Where it outgrows
//! them, two places become one, for the law and for the observed history alike:
//! the observed place stays a function of the history, so the law stays exact.

/// Most places of the grid; a law and its scratch copy hold twice as many
/// numbers of eight bytes.
pub const MAX_BINS: usize = 4096;
/// A tail less likely than this is forgotten, and counted as spent: a history
/// in the upper one is stopped at the next look.
const FORGETTABLE: f64 = 1e-13;
/// Tails are looked for again when the law has grown by this factor.
const TRIM_AT: usize = 2;
/// Fewest places at which it is worth while.
const TRIM_FROM: usize = 256;

/// Probability of each score among the histories that have not stopped.
#[derive(Debug, Clone)]
pub struct Law {
    /// Place of the first entry.
    lowest: i64,
    /// Probability of each place from there on.
    mass: Vec<f64>,
    scratch: Vec<f64>,
    /// Place of the observed history.
    observed: i64,
    /// One place is `1 << coarse` units of score.
    coarse: u32,
    /// Probability that was taken away so far.
    spent: f64,
    /// Places at which tails are looked for.
    trim_at: usize,
}

impl Default for Law {
    fn default() -> Self {
        Self {
            lowest: 0,
            mass: vec![1.0],
            scratch: Vec::new(),
            observed: 0,
            coarse: 0,
            spent: 0.0,
            trim_at: TRIM_FROM,
        }
    }
}

impl Law {
    /// One more coin: with probability `p` it adds `score`; `shows` says whether
    /// it did. A coin whose side is certain, or without a score, says nothing.
    pub fn toss(&mut self, p: f64, score: i32, shows: bool) {
        let places = self.places(score);
        if places == 0 || !(p > 0.0 && p < 1.0) {
            return;
        }
        if shows {
            self.observed += places;
        }
        let gap = usize::try_from(places.unsigned_abs()).unwrap_or(0);
        let n = self.mass.len();
        // Which of the two copies is moved up: those that show, or the others.
        let (moved, stayed) = if places > 0 { (p, 1.0 - p) } else { (1.0 - p, p) };
        if places < 0 {
            self.lowest += places;
        }
        // One pass where both copies lie over each other.
        let both = n.saturating_sub(gap);
        self.scratch.clear();
        self.scratch.extend(self.mass[..n - both].iter().map(|mass| mass * stayed));
        self.scratch.resize(gap, 0.0);
        let pairs = self.mass[n - both..].iter().zip(&self.mass[..both]);
        self.scratch.extend(pairs.map(|(stays, moves)| stays * stayed + moves * moved));
        self.scratch.extend(self.mass[both..].iter().map(|mass| mass * moved));
        std::mem::swap(&mut self.mass, &mut self.scratch);
        if self.mass.len() > self.trim_at.min(MAX_BINS) {
            self.forget_bottom();
            self.forget_top();
            if self.mass.len() > MAX_BINS {
                self.halve();
            }
            self.trim_at = TRIM_FROM.max(self.mass.len() * TRIM_AT);
        }
    }

    /// The score in places, to the nearest; halves away from zero, so that
    /// better and worse are rounded alike.
    fn places(&self, score: i32) -> i64 {
        let half = (1_i64 << self.coarse) / 2;
        let size = (i64::from(score).abs() + half) >> self.coarse;
        if score < 0 { -size } else { size }
    }

    /// Probability of the observed score or a higher one, not yet stopped.
    pub fn tail(&self) -> f64 {
        let below = usize::try_from(self.observed.saturating_sub(self.lowest)).unwrap_or(0);
        self.mass.iter().skip(below).sum()
    }

    /// Stops the highest scores as long as all that was ever stopped fits
    /// `allowed`. True if the observed history is among them.
    pub fn stop_top(&mut self, allowed: f64) -> bool {
        while let Some(top) = self.mass.last().copied() {
            if self.spent + top > allowed {
                break;
            }
            self.spent += top;
            self.mass.pop();
        }
        self.forget_bottom();
        let above = usize::try_from(self.observed.saturating_sub(self.lowest)).unwrap_or(0);
        above >= self.mass.len()
    }

    /// Probability that was stopped so far.
    pub fn spent(&self) -> f64 {
        self.spent
    }

    /// Mean and variance of the score of the histories that have not stopped,
    /// in units of score; none if all have.
    pub fn moments(&self) -> Option<(f64, f64)> {
        let (mut total, mut mean, mut square) = (0.0, 0.0, 0.0);
        for (i, mass) in self.mass.iter().enumerate() {
            let place = (self.lowest + i as i64) as f64;
            total += mass;
            mean += mass * place;
            square += mass * place * place;
        }
        let unit = f64::from(1_u32 << self.coarse);
        (total > 0.0).then(|| {
            let mean = mean / total;
            (mean * unit, (square / total - mean * mean).max(0.0) * unit * unit)
        })
    }

    /// The observed score, in units.
    pub fn observed(&self) -> f64 {
        self.observed as f64 * f64::from(1_u32 << self.coarse)
    }

    fn forget_bottom(&mut self) {
        let mut gone = 0.0;
        let mut few = 0;
        // The observed place stays on the grid, so that a fall that goes on for
        // ever is still counted from where it is.
        let keep = usize::try_from(self.observed.saturating_sub(self.lowest)).unwrap_or(0);
        for mass in self.mass.iter().take(keep) {
            if gone + mass > FORGETTABLE {
                break;
            }
            gone += mass;
            few += 1;
        }
        if few > 0 {
            self.mass.drain(..few);
            self.lowest += few as i64;
            self.spent += gone;
        }
    }

    fn forget_top(&mut self) {
        let mut gone = 0.0;
        while let Some(top) = self.mass.last().copied().filter(|top| gone + top <= FORGETTABLE) {
            gone += top;
            self.mass.pop();
        }
        self.spent += gone;
    }

    /// Two places become one.
    fn halve(&mut self) {
        let first = self.lowest.div_euclid(2);
        let odd = usize::from(self.lowest.rem_euclid(2) == 1);
        let mut halved = vec![0.0; (self.mass.len() + odd).div_ceil(2)];
        for (i, mass) in self.mass.iter().enumerate() {
            if let Some(to) = halved.get_mut((i + odd) / 2) {
                *to += mass;
            }
        }
        self.mass = halved;
        self.lowest = first;
        self.observed = self.observed.div_euclid(2);
        self.coarse += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_law_is_that_of_all_histories_counted_one_by_one() {
        // Every history of eleven unequal coins, with looks that stop some.
        let coins: Vec<(f64, i32)> = (0..11)
            .map(|i| (0.05 + 0.08 * f64::from(i), [3, -2, 1, 7, 0, 2][i as usize % 6]))
            .collect();
        let allowed = |i: usize| 0.01 * (i + 1) as f64;
        let mut stopped_by_hand = 0.0;
        for history in 0..1_u32 << coins.len() {
            let mut law = Law::default();
            let mut probability = 1.0;
            for (i, (p, score)) in coins.iter().enumerate() {
                let shows = history >> i & 1 == 1;
                probability *= if shows { *p } else { 1.0 - p };
                law.toss(*p, *score, shows);
                if law.stop_top(allowed(i)) {
                    // What stops here stops for every continuation: add the
                    // whole branch once, through its first continuation.
                    if history >> (i + 1) == 0 {
                        stopped_by_hand += probability;
                    }
                    break;
                }
            }
        }
        let mut law = Law::default();
        for (i, (p, score)) in coins.iter().enumerate() {
            law.toss(*p, *score, false);
            law.stop_top(allowed(i));
        }
        assert!((law.spent() - stopped_by_hand).abs() < 1e-12, "{} {stopped_by_hand}", law.spent());
        assert!(law.spent() <= allowed(10) && law.spent() > 0.05);
    }

    #[test]
    fn a_coarse_grid_keeps_mean_and_variance() {
        let mut law = Law::default();
        let (mut mean, mut variance, mut observed) = (0.0, 0.0, 0.0);
        for i in 0..6000_u32 {
            let score = (i % 41) as i32 - 20;
            let shows = i % 3 == 0;
            law.toss(0.3, score, shows);
            mean += 0.3 * f64::from(score);
            variance += 0.21 * f64::from(score * score);
            observed += if shows { f64::from(score) } else { 0.0 };
        }
        let (m, v) = law.moments().unwrap();
        assert!(law.mass.len() <= MAX_BINS && law.coarse > 0);
        let sd = f64::sqrt(variance);
        // Halving takes the lower of two places: less than one place each time.
        assert!((m - mean).abs() < 0.1 * sd, "{m} {mean} {sd}");
        assert!((v / variance - 1.0).abs() < 0.05, "{v} {variance}");
        assert!((law.observed() - observed).abs() < 0.1 * sd, "{} {observed}", law.observed());
    }

    #[test]
    fn coins_that_say_nothing_change_nothing() {
        let mut law = Law::default();
        law.toss(0.0, 5, false);
        law.toss(1.0, 5, true);
        law.toss(f64::NAN, 5, true);
        law.toss(0.5, 0, true);
        assert_eq!((law.mass.len(), law.observed), (1, 0));
        assert!(!law.stop_top(0.5));
    }
}
