//! Numbers that look random and are a function of what they are for.
//!
//! Counter-based: the n-th number of a stream is a hash of seed, stream and n,
//! so that every machine draws the same, and drawing more for one thing moves
//! nothing else. The hash is the finaliser of SplitMix64 (Steele, Lea & Flood
//! 2014) over a Weyl sequence.

use std::f64::consts::TAU;

/// The golden ratio's fraction in 64 bits: the step of the Weyl sequence.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// One stream of numbers.
#[derive(Debug, Clone, Copy)]
pub struct Random {
    key: u64,
    counter: u64,
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Random {
    /// The stream of this number under this seed.
    pub fn new(seed: u64, stream: u64) -> Self {
        let key = mix(mix(seed.wrapping_add(STEP)) ^ stream.wrapping_mul(STEP).wrapping_add(1));
        Self { key, counter: 0 }
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(1);
        mix(self.key.wrapping_add(self.counter.wrapping_mul(STEP)))
    }

    /// Uniform in the open interval (0, 1).
    pub fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Uniform among 0, …, n − 1; 0 for none. The bias is below n/2⁶⁴.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// Standard normal (Box & Muller 1958).
    pub fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (TAU * self.uniform()).cos()
    }

    /// Gamma with this shape and scale 1 (Marsaglia & Tsang 2000).
    pub fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            return self.gamma(shape + 1.0) * self.uniform().powf(1.0 / shape);
        }
        let d = shape - 1.0 / 3.0;
        loop {
            let x = self.normal();
            let v = (1.0 + x / (9.0 * d).sqrt()).powi(3);
            if v > 0.0 && self.uniform().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }

    /// Beta with this mean and standard deviation; at its ends 0 or 1, as far
    /// as the deviation asks for that.
    pub fn beta(&mut self, mean: f64, deviation: f64) -> f64 {
        let strength = mean * (1.0 - mean) / (deviation * deviation) - 1.0;
        if !(strength > 1e-9 && strength < 1e12) {
            return if strength <= 1e-9 { self.toss(mean) } else { mean };
        }
        let a = self.gamma(mean * strength);
        let b = self.gamma((1.0 - mean) * strength);
        if a + b > 0.0 { a / (a + b) } else { self.toss(mean) }
    }

    /// 1 with this probability, else 0.
    pub fn toss(&mut self, probability: f64) -> f64 {
        f64::from(u8::from(self.uniform() < probability))
    }

    /// Which of these shares was drawn; the last one that is above 0 if they
    /// add up to less than 1.
    pub fn pick(&mut self, shares: &[f64]) -> usize {
        let mut left = self.uniform();
        let mut last = 0;
        for (i, share) in shares.iter().enumerate() {
            if *share > 0.0 {
                last = i;
                left -= share;
                if left < 0.0 {
                    return i;
                }
            }
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(draws: impl Iterator<Item = f64>) -> (f64, f64) {
        let all: Vec<f64> = draws.collect();
        let n = all.len() as f64;
        let mean = all.iter().sum::<f64>() / n;
        (mean, (all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt())
    }

    #[test]
    fn draws_have_the_moments_they_should_have() {
        let near = |(mean, deviation): (f64, f64), m: f64, d: f64| {
            assert!((mean - m).abs() < 0.01 && (deviation - d).abs() < 0.01, "{mean} {deviation}");
        };
        let n = 200_000;
        let mut random = Random::new(7, 1);
        near(moments((0..n).map(|_| random.uniform())), 0.5, (1.0_f64 / 12.0).sqrt());
        near(moments((0..n).map(|_| random.normal())), 0.0, 1.0);
        near(moments((0..n).map(|_| random.gamma(0.3))), 0.3, 0.3_f64.sqrt());
        near(moments((0..n).map(|_| random.beta(0.7, 0.2))), 0.7, 0.2);
        near(moments((0..n).map(|_| random.toss(0.2))), 0.2, 0.4);
        near(moments((0..n).map(|_| random.below(3) as f64)), 1.0, (2.0_f64 / 3.0).sqrt());
        near(moments((0..n).map(|_| random.pick(&[0.5, 0.0, 0.5]) as f64)), 1.0, 1.0);
    }

    #[test]
    fn streams_are_functions_of_seed_and_number() {
        let first = |seed, stream| Random::new(seed, stream).bits();
        assert_eq!(first(1, 2), first(1, 2));
        let all: std::collections::BTreeSet<u64> =
            (0..100).flat_map(|seed| (0..100).map(move |stream| first(seed, stream))).collect();
        assert_eq!(all.len(), 10_000);
    }
}
