//! The one place where the system's clock is read; everything else is handed
//! the time.

use domain::units::{Clock, Timestamp};
use std::time::{SystemTime, UNIX_EPOCH};

/// The system's clock.
pub fn system() -> Clock {
    Clock::new(|| {
        #[expect(clippy::disallowed_methods, reason = "this is the clock all others are handed")]
        let now = SystemTime::now();
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    })
}
