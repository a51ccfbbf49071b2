//! From answers to verdicts: what the numbers of a rollout say, at a stated risk.
//!
//! Everything here is pure: cells, policy and time in, verdict out. The same
//! input gives the same verdict on every machine and in every order of arrival,
//! because cells hold integers only and all sums run in a fixed order.
//!
//! - [`sketch`]: one distribution as mergeable integer counts,
//! - [`cells`]: what gateways count per second, and the batches they ship.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")
)]

pub mod cells;
pub mod sketch;

pub use cells::{Batch, Cell, CellKey, Event, FeedbackCell};
pub use sketch::Sketch;
