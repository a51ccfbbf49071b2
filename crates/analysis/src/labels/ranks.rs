//! Where an outcome ranks among those known before it, and normal scores.
//!
//! Ranks are label-blind and predictable: computed from the outcomes of both
//! arms that were known before, so tests on labels stay exact whatever the
//! sample below leaves out.

/// Most values kept; beyond, every second one in order of arrival is dropped and
/// only every second new one is taken in, again and again.
pub const MAX_SAMPLE: usize = 2048;
/// Normal scores beyond this are cut, so that a few huge values stay few.
pub const MAX_SCORE: f64 = 6.0;

/// A sorted sample of the outcomes so far.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Values in order, each with its number of arrival.
    sorted: Vec<(f64, u64)>,
    /// Values offered so far.
    seen: u64,
    /// Every `1 << sparse`-th value is kept.
    sparse: u32,
}

impl Sample {
    /// The rank of a value among those so far, in (0, 1): ties count half.
    /// Infinity is the highest. One half while nothing is known.
    pub fn rank(&self, value: f64) -> f64 {
        let below = self.sorted.partition_point(|(v, _)| *v < value);
        let not_above = self.sorted.partition_point(|(v, _)| *v <= value);
        let middle = (below + not_above) as f64 / 2.0;
        (middle + 0.5) / (self.sorted.len() + 1) as f64
    }

    /// Takes in a value that is a number or infinite.
    pub fn add(&mut self, value: f64) {
        let number = self.seen;
        self.seen = self.seen.saturating_add(1);
        if !number.is_multiple_of(1 << self.sparse) {
            return;
        }
        let at = self.sorted.partition_point(|(v, _)| *v <= value);
        self.sorted.insert(at, (value, number));
        if self.sorted.len() >= MAX_SAMPLE {
            self.sparse += 1;
            let every = 1 << self.sparse;
            self.sorted.retain(|(_, number)| number.is_multiple_of(every));
        }
    }

    /// How many values were offered.
    pub fn seen(&self) -> u64 {
        self.seen
    }
}

/// The standard normal quantile by the rational approximation of P. Acklam
/// (2003), relative error below 1.2e-9; `p` in (0, 1).
pub fn normal_score(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] = [
        7.784_695_709_041_462e-3,
        3.224_671_290_700_398e-1,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
    ];
    let tail = |q: f64| {
        (((((C[0] * q + C[1]) * q + C[2]) * q + C[3]) * q + C[4]) * q + C[5])
            / ((((D[0] * q + D[1]) * q + D[2]) * q + D[3]) * q + 1.0)
    };
    let score = if p < 0.024_25 {
        tail((-2.0 * p.ln()).sqrt())
    } else if p > 0.975_75 {
        -tail((-2.0 * (1.0 - p).ln()).sqrt())
    } else {
        let q = p - 0.5;
        let r = q * q;
        (((((A[0] * r + A[1]) * r + A[2]) * r + A[3]) * r + A[4]) * r + A[5]) * q
            / (((((B[0] * r + B[1]) * r + B[2]) * r + B[3]) * r + B[4]) * r + 1.0)
    };
    score.clamp(-MAX_SCORE, MAX_SCORE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::distribution::{ContinuousCDF, Normal};

    #[test]
    fn normal_scores_agree_with_the_quantile_function() {
        let normal = Normal::standard();
        for i in 1..2000 {
            let p = f64::from(i) / 2000.0;
            assert!((normal_score(p) - normal.inverse_cdf(p)).abs() < 1e-7, "{p}");
        }
        assert_eq!(normal_score(1e-300), -MAX_SCORE);
    }

    #[test]
    fn a_thinned_sample_still_ranks() {
        let mut sample = Sample::default();
        assert_eq!(sample.rank(3.0), 0.5);
        // A permutation of 0..100 003.
        (0..100_003_u64).for_each(|i| sample.add((i * 7919 % 100_003) as f64));
        assert!(sample.sorted.len() < MAX_SAMPLE && sample.seen() == 100_003);
        for tenth in 1..10 {
            let rank = sample.rank(10_000.3 * f64::from(tenth));
            assert!((rank - f64::from(tenth) / 10.0).abs() < 0.02, "{tenth} {rank}");
        }
        sample.add(f64::INFINITY);
        assert!(sample.rank(f64::INFINITY) > 0.99);
    }
}
