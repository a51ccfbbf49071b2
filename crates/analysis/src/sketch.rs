//! A distribution of non-negative numbers as integer counts in log-spaced buckets.
//!
//! What must stay true: merging is exactly associative and commutative, so ten
//! gateways that ship in any order give the sketch one gateway would have
//! given, to the bit. That rules out everything that rounds while merging
//! (t-digest, KLL) and everything that adds floats; and it rules out `ln`,
//! whose last digit differs between machines. A bucket is therefore a piece of
//! a number's own bit pattern: its exponent and the first six bits of its
//! mantissa. Each octave has 64 equal buckets, the middle of a bucket is within
//! 1/128 (0.8 %) of everything in it, and larger numbers never land in lower
//! buckets.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::collections::BTreeMap;

/// No answer of a sketch is further from the truth than this share of it.
pub const RELATIVE_ERROR: f64 = 0.01;
/// Bits of the mantissa that name a bucket.
const MANTISSA_BITS: u32 = 6;
const SHIFT: u32 = 52 - MANTISSA_BITS;
/// Bucket of the smallest normal number.
const FIRST: u32 = 1 << MANTISSA_BITS;
/// Bucket of the largest finite number.
const LAST: u32 = (0x7fe << MANTISSA_BITS) | ((1 << MANTISSA_BITS) - 1);

/// A value that is not a number was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a measurement is not a number")]
pub struct NotANumber;

/// Counts of non-negative numbers, to 1 % of each number's size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sketch {
    zeros: u64,
    buckets: BTreeMap<u32, u64>,
}

/// The place of a number among the buckets; ordered as the numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(u32);

impl Bucket {
    /// Where `value` is counted. Zero and everything below it is the lowest
    /// bucket; infinity is the highest; nothing for NaN.
    pub fn of(value: f64) -> Option<Self> {
        if value.is_nan() {
            None
        } else if value <= 0.0 {
            Some(Self(0))
        } else if value < f64::MIN_POSITIVE {
            Some(Self(FIRST))
        } else if value.is_infinite() {
            Some(Self(LAST))
        } else {
            // At most 0x7fe_3f after the shift: fits easily.
            Some(Self((value.to_bits() >> SHIFT) as u32))
        }
    }

    /// The middle of the bucket.
    pub fn value(self) -> f64 {
        if self.0 == 0 {
            return 0.0;
        }
        let low = f64::from_bits(u64::from(self.0) << SHIFT);
        let half =
            f64::from_bits(u64::from(self.0 >> MANTISSA_BITS) << 52) / f64::from(FIRST) / 2.0;
        low + half
    }
}

impl Sketch {
    /// Counts one number. Negative counts as zero, infinity as the largest.
    ///
    /// # Errors
    /// Refuses NaN; the sketch is as it was.
    pub fn add(&mut self, value: f64) -> Result<(), NotANumber> {
        let bucket = Bucket::of(value).ok_or(NotANumber)?;
        self.count_in(bucket, 1);
        Ok(())
    }

    /// Counts one number several times; NaN is not counted.
    pub(crate) fn add_times(&mut self, value: f64, times: u64) {
        if let Some(bucket) = Bucket::of(value) {
            self.count_in(bucket, times);
        }
    }

    fn count_in(&mut self, bucket: Bucket, times: u64) {
        let slot =
            if bucket.0 == 0 { &mut self.zeros } else { self.buckets.entry(bucket.0).or_default() };
        *slot = slot.saturating_add(times);
    }

    /// Adds everything another sketch counted.
    pub fn merge(&mut self, other: &Sketch) {
        for (bucket, times) in other.iter() {
            self.count_in(bucket, times);
        }
    }

    /// Numbers counted.
    pub fn count(&self) -> u64 {
        self.iter().fold(0, |sum, (_, times)| sum.saturating_add(times))
    }

    /// True if nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.zeros == 0 && self.buckets.is_empty()
    }

    /// Buckets with a count, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = (Bucket, u64)> + '_ {
        let zeros = (self.zeros > 0).then_some((Bucket(0), self.zeros));
        zeros.into_iter().chain(self.buckets.iter().map(|(index, times)| (Bucket(*index), *times)))
    }

    /// The number that a share `q` of all lies at or below, for `q` in [0, 1];
    /// nothing if nothing was counted.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        self.quantile_bucket(q).map(Bucket::value)
    }

    /// The bucket of [`Self::quantile`].
    pub fn quantile_bucket(&self, q: f64) -> Option<Bucket> {
        let n = self.count();
        if n == 0 || q.is_nan() {
            return None;
        }
        let wanted = ((q.clamp(0.0, 1.0) * n as f64).ceil() as u64).clamp(1, n);
        let mut below = 0_u64;
        self.iter()
            .find(|(_, times)| {
                below = below.saturating_add(*times);
                below >= wanted
            })
            .map(|(bucket, _)| bucket)
    }

    /// How many were at most `value`, to the bucket.
    pub fn rank(&self, value: f64) -> u64 {
        Bucket::of(value).map_or(0, |bucket| self.count().saturating_sub(self.above(bucket)))
    }

    /// How many lie in buckets above this one.
    pub fn above(&self, bucket: Bucket) -> u64 {
        self.iter()
            .filter(|(b, _)| *b > bucket)
            .fold(0, |sum, (_, times)| sum.saturating_add(times))
    }

    /// The smallest number, to 1 %.
    pub fn min(&self) -> Option<f64> {
        self.iter().next().map(|(bucket, _)| bucket.value())
    }

    /// The largest number, to 1 %.
    pub fn max(&self) -> Option<f64> {
        self.iter().last().map(|(bucket, _)| bucket.value())
    }

    /// The sum, to 1 %. Computed when asked, in the order of the buckets, so
    /// that it does not depend on the order of arrival.
    pub fn sum(&self) -> f64 {
        self.iter().map(|(bucket, times)| bucket.value() * times as f64).sum()
    }

    /// The mean, to 1 %.
    pub fn mean(&self) -> Option<f64> {
        let n = self.count();
        (n > 0).then(|| self.sum() / n as f64)
    }

    /// Mean and variance, from the middles of the buckets.
    pub fn moments(&self) -> Option<(f64, f64)> {
        let mean = self.mean()?;
        let n = self.count() as f64;
        let squares: f64 =
            self.iter().map(|(bucket, times)| (bucket.value() - mean).powi(2) * times as f64).sum();
        Some((mean, squares / n))
    }
}

/// Stored and sent as sorted pairs of bucket and count; zero is bucket 0.
impl Serialize for Sketch {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.iter().map(|(bucket, times)| (bucket.0, times)))
    }
}

impl<'de> Deserialize<'de> for Sketch {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let pairs = Vec::<(u32, u64)>::deserialize(d)?;
        let mut sketch = Sketch::default();
        let (mut last, mut total) = (None, 0_u64);
        for (index, times) in pairs {
            if index != 0 && !(FIRST..=LAST).contains(&index) {
                return Err(D::Error::custom(format_args!(
                    "bucket {index} of a sketch does not exist"
                )));
            }
            if last.is_some_and(|last| last >= index) {
                return Err(D::Error::custom("buckets of a sketch must be sorted and named once"));
            }
            if times == 0 {
                return Err(D::Error::custom("a bucket of a sketch must not be empty"));
            }
            total = total
                .checked_add(times)
                .ok_or_else(|| D::Error::custom("a sketch counts more than fits 64 bits"))?;
            last = Some(index);
            sketch.count_in(Bucket(index), times);
        }
        Ok(sketch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[f64]) -> Sketch {
        let mut sketch = Sketch::default();
        for value in values {
            sketch.add(*value).unwrap();
        }
        sketch
    }

    fn merged(a: &Sketch, b: &Sketch) -> Sketch {
        let mut sum = a.clone();
        sum.merge(b);
        sum
    }

    fn values() -> impl Strategy<Value = Vec<f64>> {
        proptest::collection::vec(
            prop_oneof![Just(0.0), 1e-9..1e-3, 1e-3..10.0, 10.0..1e6, 1e6..1e300_f64, -5.0..0.0],
            1..80,
        )
    }

    proptest! {
        #[test]
        fn merging_is_associative_and_commutative(a in values(), b in values(), c in values()) {
            let (sa, sb, sc) = (of(&a), of(&b), of(&c));
            prop_assert_eq!(merged(&sa, &sb), merged(&sb, &sa));
            prop_assert_eq!(merged(&merged(&sa, &sb), &sc), merged(&sa, &merged(&sb, &sc)));
            let all: Vec<f64> = a.into_iter().chain(b).chain(c).collect();
            prop_assert_eq!(of(&all), merged(&merged(&sa, &sb), &sc));
        }

        #[test]
        fn quantiles_are_within_one_percent(mut v in values(), q in 0.0..=1.0_f64) {
            let sketch = of(&v);
            v.iter_mut().for_each(|x| *x = x.max(0.0));
            v.sort_by(f64::total_cmp);
            let rank = ((q * v.len() as f64).ceil() as usize).clamp(1, v.len());
            let (truth, told) = (v[rank - 1], sketch.quantile(q).unwrap());
            prop_assert!((told - truth).abs() <= RELATIVE_ERROR * truth, "{} for {}", told, truth);
            prop_assert!(sketch.rank(truth) >= rank as u64);
            let (sum, exact) = (sketch.sum(), v.iter().sum::<f64>());
            prop_assert!((sum - exact).abs() <= RELATIVE_ERROR * exact);
        }

        #[test]
        fn the_stored_form_reads_back(v in values()) {
            let sketch = of(&v);
            let text = serde_json::to_string(&sketch).unwrap();
            prop_assert_eq!(serde_json::from_str::<Sketch>(&text).unwrap(), sketch);
        }

        #[test]
        fn what_is_read_is_sound_or_refused(pairs in proptest::collection::vec((any::<u32>(), any::<u64>()), 0..6)) {
            let text = serde_json::to_string(&pairs).unwrap();
            if let Ok(sketch) = serde_json::from_str::<Sketch>(&text) {
                prop_assert_eq!(serde_json::to_string(&sketch).unwrap(), text);
                prop_assert!(sketch.quantile(0.5).is_none_or(f64::is_finite));
                let twice = merged(&sketch, &sketch);
                prop_assert!(twice.count() >= sketch.count());
            }
        }
    }

    #[test]
    fn odd_numbers_have_a_place() {
        let mut sketch = of(&[-1.0, 0.0, f64::INFINITY, f64::MAX, f64::MIN_POSITIVE / 2.0]);
        assert_eq!(sketch.add(f64::NAN), Err(NotANumber));
        assert_eq!(sketch.count(), 5);
        assert_eq!(sketch.rank(0.0), 2);
        assert_eq!(sketch.min(), Some(0.0));
        assert!(sketch.max().unwrap().is_finite());
    }

    #[test]
    fn broken_forms_are_refused() {
        for text in [
            "[[5,1]]",
            "[[70,0]]",
            "[[80,1],[70,1]]",
            "[[70,1],[70,1]]",
            "[[999999,1]]",
            "[[70,-1]]",
            "[[70,18446744073709551615],[71,1]]",
            "{}",
            "[70]",
        ] {
            assert!(serde_json::from_str::<Sketch>(text).is_err(), "{text}");
        }
        assert_eq!(serde_json::from_str::<Sketch>("[]").unwrap(), Sketch::default());
    }
}
