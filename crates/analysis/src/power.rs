//! What could this rollout detect? Asked before it starts, so that nobody
//! waits for evidence that cannot come.
//!
//! A forecast takes the expected number of bad outcomes as given and asks the
//! exact law of their labels at the last look, at the risk released by then. It
//! leaves out what a rollout may gain by stopping earlier and by the good
//! outcomes where bad ones are frequent, so it errs towards more requests.

use crate::label::{BET_RESERVE, Schedule};
use crate::tails;

/// Probability with which harm should be found.
pub const POWER: f64 = 0.8;
/// Ratios beyond this are not looked for.
const MAX_RATIO: f64 = 1_000.0;
/// More candidate outcomes than this are "never".
const MAX_OUTCOMES: u64 = 1 << 30;

/// A rollout to be judged beforehand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Share of the compared requests that the candidate answers, in (0, 1).
    pub share: f64,
    /// Control's rate of bad outcomes, in (0, 1).
    pub baseline: f64,
    /// Risk of a false stop for this signal.
    pub risk: f64,
}

impl Plan {
    /// Probability that a candidate with `ratio` times control's rate is found
    /// by the time it has given `outcomes`.
    pub fn power(&self, outcomes: u64, ratio: f64) -> f64 {
        let usable = self.share > 0.0 && self.share < 1.0 && self.baseline > 0.0;
        if !usable || self.baseline * ratio > 1.0 || ratio.is_nan() || ratio < 0.0 {
            return 0.0;
        }
        let control = outcomes as f64 * (1.0 - self.share) / self.share;
        let events = ((outcomes as f64 * ratio + control) * self.baseline).round() as u64;
        let risk = self.risk * (1.0 - BET_RESERVE) * Schedule::Events.released(events, 0);
        let odds = self.share * ratio;
        let label = odds / (1.0 - self.share + odds);
        match fewest_labels(events, self.share, risk) {
            Some(labels) => tails::upper(labels, events, label),
            None => 0.0,
        }
    }

    /// The smallest ratio that is found with probability [`POWER`] by the time
    /// the candidate has given `outcomes`; none if even a candidate that is
    /// always bad would not be.
    pub fn detectable_ratio(&self, outcomes: u64) -> Option<f64> {
        let highest = (1.0 / self.baseline).min(MAX_RATIO);
        if self.power(outcomes, highest * (1.0 - 1e-9)) < POWER {
            return None;
        }
        let (mut low, mut high) = (1.0_f64, highest);
        for _ in 0..50 {
            let middle = (low * high).sqrt();
            if self.power(outcomes, middle) < POWER { low = middle } else { high = middle }
        }
        Some(high)
    }

    /// Outcomes of the candidate after which this ratio is found with
    /// probability [`POWER`]; none if it cannot be, for example because it is
    /// no harm at all.
    pub fn outcomes_for(&self, ratio: f64) -> Option<u64> {
        if ratio <= 1.0 {
            return None;
        }
        let mut high = 1_u64;
        while self.power(high, ratio) < POWER {
            high = high.checked_mul(2).filter(|outcomes| *outcomes <= MAX_OUTCOMES)?;
        }
        let mut low = high / 2;
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.power(middle, ratio) < POWER { low = middle } else { high = middle }
        }
        Some(high)
    }
}

/// The fewest labels among `events` whose tail fits the risk.
fn fewest_labels(events: u64, share: f64, risk: f64) -> Option<u64> {
    if events == 0 || tails::upper(events, events, share) > risk {
        return None;
    }
    let (mut low, mut high) = (0, events);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if tails::upper(middle, events, share) > risk { low = middle } else { high = middle }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forecasts_lie_above_what_no_test_can_beat_and_near_it() {
        // Candidate outcomes no test can do without on average (Wald's bound
        // at 5 %), by share, rate and ratio.
        for (share, baseline, ratio, floor) in [
            (0.5, 0.01, 2.0, 1737),
            (0.5, 0.1, 2.0, 150),
            (0.5, 0.1, 5.0, 15),
            (0.05, 0.01, 5.0, 80),
            (0.05, 0.05, 2.0, 155),
        ] {
            let needed = Plan { share, baseline, risk: 0.05 }.outcomes_for(ratio).unwrap();
            assert!(needed >= floor, "{needed} at {share} {baseline} {ratio}");
            assert!(needed <= 4 * floor, "{needed} at {share} {baseline} {ratio}");
        }
    }

    #[test]
    fn more_outcomes_detect_smaller_ratios() {
        let plan = Plan { share: 0.5, baseline: 0.02, risk: 0.01 };
        let ratios: Vec<Option<f64>> =
            [10, 200, 2_000, 20_000].map(|n| plan.detectable_ratio(n)).into();
        assert!(ratios[0].is_none_or(|ratio| ratio > 20.0), "{ratios:?}");
        assert!(
            ratios[1] > ratios[2] && ratios[2] > ratios[3] && ratios[3] > Some(1.0),
            "{ratios:?}"
        );
    }

    #[test]
    fn what_cannot_be_is_said_so() {
        let plan = Plan { share: 0.5, baseline: 0.1, risk: 0.01 };
        assert_eq!(plan.outcomes_for(1.0), None);
        assert_eq!(plan.outcomes_for(11.0), None, "a rate above one");
        assert_eq!(plan.detectable_ratio(0), None);
        for odd in [0.0, 1.0, f64::NAN] {
            assert_eq!(Plan { share: odd, ..plan }.outcomes_for(2.0), None);
            assert_eq!(Plan { baseline: odd, ..plan }.detectable_ratio(10), None);
        }
    }
}
