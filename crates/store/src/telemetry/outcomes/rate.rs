//! A bound on outcomes per rollout, without favour.
//!
//! Tests need hundreds or thousands of outcomes, and each is kept, read and
//! tested one by one; a flood would only cost. Above the rate, half of all units
//! are left out, then half of the rest, and so on: whole units, chosen by their
//! own hash, whatever arm serves them. Under "the version makes no difference"
//! such a choice changes nothing, and each row says how many halvings it
//! survived. When the flood is over everybody is kept again.

use domain::units::{Span, Timestamp};

/// Outcomes kept per rollout and second, of answers and of feedback each, above
/// which units are left out: four million a day, more than tests ask for by
/// orders of magnitude.
pub const MAX_OUTCOMES_PER_SECOND: u64 = 50;

/// Over how long the rate is measured: a burst shorter than that is kept whole.
pub const RATE_WINDOW: Span = Span::from_secs(10);

/// Outcomes of one kind in the window under way and in the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rate {
    /// Number of the window.
    pub window: i64,
    /// Outcomes in it so far, also those left out.
    pub seen: u64,
    /// Outcomes in the window before.
    pub before: u64,
}

impl Rate {
    /// Counts one more; says how often the units are halved now.
    pub(super) fn count(&mut self, received: Timestamp) -> u32 {
        let window = received.0.div_euclid(RATE_WINDOW.millis());
        // A clock set back stays in the window it had reached.
        if window > self.window {
            self.before = if window == self.window.saturating_add(1) { self.seen } else { 0 };
            self.seen = 0;
            self.window = window;
        }
        self.seen = self.seen.saturating_add(1);
        let most = MAX_OUTCOMES_PER_SECOND * RATE_WINDOW.millis().unsigned_abs() / 1000;
        let flood = self.seen.max(self.before);
        (0..u64::BITS).find(|halvings| flood >> halvings <= most).unwrap_or(u64::BITS - 1)
    }
}

/// True if a unit stays after so many halvings. Nested: who stays after more
/// stays after fewer.
pub(super) fn stays(unit: u64, halvings: u32) -> bool {
    unit.leading_zeros() >= halvings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calm_rollout_keeps_everything_and_a_flood_is_halved_until_it_fits() {
        let mut rate = Rate::default();
        let mut kept = |per_second: i64, seconds: std::ops::Range<i64>| {
            let (mut kept, mut most) = (0_u64, 0);
            for second in seconds {
                for i in 0..per_second {
                    let halvings = rate.count(Timestamp(second * 1000 + i * 1000 / per_second));
                    let unit =
                        (second as u64 * 7919 + i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                    kept += u64::from(stays(unit, halvings));
                    most = most.max(halvings);
                }
            }
            (kept, most)
        };
        assert_eq!(kept(50, 0..100), (5_000, 0));
        let (first, halvings) = kept(1_600, 100..110);
        // 500 at the whole, and half of 500 at each doubling up to 16 000.
        assert!((1_500..2_100).contains(&first), "{first}");
        assert_eq!(halvings, 5);
        let (then, halvings) = kept(1_600, 110..200);
        assert!((4_050..4_950).contains(&then), "90 s at 50: {then}");
        assert_eq!(halvings, 5);
        kept(10, 200..210);
        assert_eq!(kept(10, 210..220), (100, 0), "the flood is over");
    }

    #[test]
    fn a_clock_set_back_opens_no_new_window() {
        let mut rate = Rate::default();
        rate.count(Timestamp(100_000));
        rate.count(Timestamp(20_000));
        assert_eq!(rate, Rate { window: 10, seen: 2, before: 0 });
    }

    #[test]
    fn who_stays_after_more_halvings_stays_after_fewer() {
        for unit in [0, 1, u64::MAX, 1 << 40, u64::MAX >> 3] {
            for halvings in 1..64 {
                assert!(!stays(unit, halvings) || stays(unit, halvings - 1));
            }
        }
    }
}
