//! How many retries a provider may be asked for, whoever asks.
//!
//! Every call pays in a little, every retry costs more: in the long run at most
//! one call in five is a retry, however many callers each have retries left.
//! Counted in calls, not in time, so an idle provider keeps what it had and a
//! test needs no clock. One atomic number: no lock on the request path.

use std::sync::atomic::{AtomicU32, Ordering};

/// Price of a retry, in calls.
const PRICE: u32 = 5;
/// Most that is saved up: this many retries in a burst.
const FULL: u32 = PRICE * 20;

/// What is saved up.
#[derive(Debug)]
pub struct RetryBudget(AtomicU32);

impl Default for RetryBudget {
    fn default() -> Self {
        Self(AtomicU32::new(FULL))
    }
}

impl RetryBudget {
    /// A call was made.
    pub fn deposit(&self) {
        // Full already is as good as paid in.
        let _full = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < FULL).then(|| n + 1));
    }

    /// True if a retry is affordable; then it is paid.
    pub fn withdraw(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(PRICE)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_stay_a_small_share_of_calls() {
        let budget = RetryBudget::default();
        let mut retries = 0;
        for _ in 0..10_000 {
            budget.deposit();
            retries += u32::from(budget.withdraw());
        }
        assert!((2_000..=2_020).contains(&retries), "{retries}");
    }
}
