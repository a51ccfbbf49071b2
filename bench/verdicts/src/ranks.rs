//! Pooled ranks so far, turned into normal scores: predictable, robust, and the
//! same whatever the unit.

use crate::law::normal_quantile;

/// Largest score of an amount, in standard deviations.
const CLIP: f64 = 6.0;

/// All values so far in blocks of sorted runs (square-root decomposition).
#[derive(Debug, Clone, Default)]
pub struct Ranks {
    blocks: Vec<Vec<f64>>,
    n: usize,
}

/// A block is split when it grows beyond this.
const BLOCK: usize = 1024;

impl Ranks {
    /// The normal score of a value among those before it, which it then joins.
    /// With `upper_only`, 0 unless it lies above the running median.
    pub fn score(&mut self, value: f64, upper_only: bool) -> f64 {
        let (below, equal) = self.insert(value);
        let n = (self.n - 1) as f64;
        let p = (below as f64 + 0.5 * equal as f64 + 0.5) / (n + 1.0);
        if upper_only && p <= 0.5 { 0.0 } else { normal_quantile(p).clamp(-CLIP, CLIP) }
    }

    /// Puts it in and tells how many before it were smaller, and how many equal.
    fn insert(&mut self, value: f64) -> (usize, usize) {
        self.n += 1;
        if self.blocks.is_empty() {
            self.blocks.push(vec![value]);
            return (0, 0);
        }
        let last = self.blocks.len() - 1;
        let ends_below = |b: &Vec<f64>| b.last().is_some_and(|x| *x < value);
        let home = self.blocks.partition_point(ends_below).min(last);
        let before: usize = self.blocks[..home].iter().map(Vec::len).sum();
        let block = &self.blocks[home];
        let low = block.partition_point(|x| *x < value);
        let high = block.partition_point(|x| *x <= value);
        let mut equal = high - low;
        if high == block.len() {
            // A run of equal values may go on in the next blocks.
            for next in &self.blocks[home + 1..] {
                let more = next.partition_point(|x| *x <= value);
                equal += more;
                if more < next.len() {
                    break;
                }
            }
        }
        let block = &mut self.blocks[home];
        block.insert(low, value);
        if block.len() > BLOCK {
            let upper = block.split_off(BLOCK / 2);
            self.blocks.insert(home + 1, upper);
        }
        (before + low, equal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn ranks_agree_with_counting() {
        let mut rng = Rng::new(3, 3);
        let mut ranks = Ranks::default();
        let mut seen: Vec<f64> = Vec::new();
        for _ in 0..5000 {
            let value = (rng.uniform() * 700.0).floor();
            let below = seen.iter().filter(|x| **x < value).count();
            let equal = seen.iter().filter(|x| **x == value).count();
            assert_eq!(ranks.insert(value), (below, equal));
            seen.push(value);
        }
    }
}
