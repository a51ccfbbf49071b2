//! From answers to verdicts: what the numbers of a rollout say, at a stated risk.
//!
//! Everything here is pure: cells, policy and time in, verdict out. The same
//! input gives the same verdict on every machine and in every order of arrival,
//! because cells hold integers only and all sums run in a fixed order.
//!
//! - [`sketch`]: one distribution as mergeable integer counts,
//! - [`cells`]: what gateways count per second, and the batches they ship,
//! - [`verdict()`]: one signal, one moment; [`observe()`]: all of them,
//! - [`label`]: who served the bad outcomes, exactly; [`betting`]: whose mean
//!   is higher, always valid; [`limits`]: absolute limits,
//! - [`power`]: what a rollout could detect, before it starts.
//!
//! A verdict is a function of all cells known at its time. Nothing is carried
//! from look to look, so a restart, a second controller or a replay says the
//! same, and looking more often costs no risk.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")
)]

pub mod backtest;
pub mod betting;
pub mod cells;
mod compare;
pub mod engine;
mod events;
pub mod experiment;
pub mod floor;
pub mod gauge;
pub mod judge;
pub mod label;
pub mod labels;
pub mod limits;
mod measure;
mod observe;
pub mod outcome;
pub mod power;
mod series;
pub mod sketch;
pub mod tails;
mod verdict;
pub mod watch;

pub use cells::{Batch, Cell, CellKey, Cells, Event, FeedbackCell};
pub use compare::NEGLIGIBLE_RATE;
pub use engine::{Engine, Place};
pub use observe::{Answered, observe};
pub use outcome::{Outcome, Side};
pub use sketch::Sketch;
pub use verdict::{UNUSABLE_SHARE, Window, verdict};
