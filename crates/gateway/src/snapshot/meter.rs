//! What the token of a preview has spent on this gateway.
//!
//! Carried over from snapshot to snapshot, like a compiled release. What control
//! knows of all gateways arrives with each snapshot, so a restarted gateway does
//! not begin at nothing and several do not spend the cap several times.
//!
//! An answer is paid for when it is known: what is under way when the cap is
//! reached is finished. Until then it counts with the size of its request, so
//! that many sent at once do not all see an unspent cap.

use domain::ids::Digest;
use domain::snapshot::Grant;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of text a token is taken for where nobody counted: the usual rule of
/// thumb.
const BYTES_PER_TOKEN: usize = 4;

/// Tokens spent with one token of a preview.
#[derive(Debug, Default)]
pub struct Meter(AtomicU64);

impl Meter {
    /// Tokens spent, as far as this gateway knows.
    pub fn used(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, tokens: u64) {
        // The closure always has a next value.
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| Some(n.saturating_add(tokens)))
            .unwrap_or_default();
    }

    fn take_back(&self, tokens: u64) {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| Some(n.saturating_sub(tokens)))
            .unwrap_or_default();
    }

    fn at_least(&self, tokens: u64) {
        self.0.fetch_max(tokens, Ordering::Relaxed);
    }
}

/// What one request is taken for until its answer is known.
#[derive(Debug)]
pub(crate) struct Tab {
    meter: Arc<Meter>,
    taken_for: u64,
}

impl Tab {
    /// Opens one for a request of so many bytes.
    pub(crate) fn open(meter: &Arc<Meter>, bytes: usize) -> Self {
        let taken_for = tokens_of(bytes);
        meter.add(taken_for);
        Self { meter: meter.clone(), taken_for }
    }

    /// Pays what it really was.
    pub(crate) fn settle(self, tokens: u64) {
        self.meter.add(tokens);
        self.meter.take_back(self.taken_for);
    }
}

/// Tokens of a text nobody counted.
pub(crate) fn tokens_of(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u64::MAX)
}

/// The meters of a snapshot: those of before, no lower than control says.
pub(super) fn meters(
    tokens: &HashMap<Digest, Grant>,
    last: Option<&HashMap<Digest, Arc<Meter>>>,
) -> HashMap<Digest, Arc<Meter>> {
    let of = |(token, grant): (&Digest, &Grant)| {
        let preview = grant.preview.as_ref()?;
        let meter = last.and_then(|last| last.get(token)).cloned().unwrap_or_default();
        meter.at_least(preview.used);
        Some((*token, meter))
    };
    tokens.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_under_way_count_until_they_are_paid() {
        let meter = Arc::new(Meter::default());
        let (one, two) = (Tab::open(&meter, 400), Tab::open(&meter, 7));
        assert_eq!(meter.used(), 102);
        one.settle(30);
        assert_eq!(meter.used(), 32);
        two.settle(0);
        assert_eq!(meter.used(), 30);
        meter.at_least(20);
        assert_eq!(meter.used(), 30, "what control knows is never more than what was spent here");
        meter.at_least(50);
        assert_eq!(meter.used(), 50);
    }
}
