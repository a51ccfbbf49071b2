//! Randomness that is the same everywhere: xoshiro256++ and the draws we need.
//!
//! Blackman & Vigna, "Scrambled linear pseudorandom number generators" (2021).
//! Each rollout has a stream of its own, so rollouts may run in any order.

/// One stream of random numbers.
#[derive(Debug, Clone)]
pub struct Rng {
    state: [u64; 4],
    spare: Option<f64>,
}

/// Mixes 64 bits (the finaliser of SplitMix64).
pub fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A number in [0, 1) from 64 mixed bits.
pub fn fraction(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// A text as a number (FNV-1a), to give each scenario streams of its own.
pub fn hash(text: &str) -> u64 {
    let step = |h: u64, b: &u8| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3);
    mix(text.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, step))
}

impl Rng {
    /// The stream of that number under that seed.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut x = mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)) ^ stream;
        let state = [0; 4].map(|_: u64| {
            x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mix(x)
        });
        Self { state, spare: None }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let out = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        out
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        fraction(self.bits())
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.uniform()).ln()
    }

    /// Standard normal (Marsaglia's polar method).
    pub fn normal(&mut self) -> f64 {
        if let Some(z) = self.spare.take() {
            return z;
        }
        loop {
            let (a, b) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let s = a * a + b * b;
            if s > 0.0 && s < 1.0 {
                let f = (-2.0 * s.ln() / s).sqrt();
                self.spare = Some(b * f);
                return a * f;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let draw = |seed, stream| Rng::new(seed, stream).bits();
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }

    #[test]
    fn draws_have_their_moments() {
        let mut rng = Rng::new(7, 0);
        let n = 200_000;
        let (mut e, mut z, mut zz, mut u) = (0.0, 0.0, 0.0, 0.0);
        for _ in 0..n {
            e += rng.exponential();
            let x = rng.normal();
            z += x;
            zz += x * x;
            u += rng.uniform();
        }
        let mean = |sum: f64| sum / f64::from(n);
        assert!((mean(e) - 1.0).abs() < 0.01);
        assert!(mean(z).abs() < 0.01);
        assert!((mean(zz) - 1.0).abs() < 0.02);
        assert!((mean(u) - 0.5).abs() < 0.005);
    }
}
