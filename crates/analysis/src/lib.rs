//! From answers to verdicts: what the numbers of a rollout say, at a stated risk.
//!
//! Everything here is pure: outcomes, policy and time in, verdicts out. The same
//! outcomes in the order in which they became known give the same verdicts at
//! the same times, on every machine; looking more often costs no risk.
//!
//! - [`outcome`]: one answer as the tests see it,
//! - [`engine`]: all tests of one rollout; [`observe()`]: what the rollout
//!   machine is told; [`backtest`]: the same on recorded traffic,
//! - [`labels`]: sequential tests that lean on the router's own draw,
//! - [`watch`] and [`gauge`]: absolute limits of outcomes and external numbers,
//! - [`judge`]: what a judge's numbers mean once people checked a sample,
//! - [`experiment`]: more than two variants,
//! - [`compare`]: what an evaluation suite proves, beside production,
//! - [`floor`] and [`power`]: what a rollout could detect, before it starts,
//! - [`forecast`]: what is still to be spent, from what was,
//! - [`cells`] and [`sketch`]: what gateways count per second,
//! - [`spend`]: what a month will cost.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")
)]

pub mod backtest;
pub mod cells;
pub mod compare;
pub mod engine;
pub mod experiment;
pub mod floor;
pub mod forecast;
pub mod gauge;
pub mod judge;
pub mod labels;
mod observe;
pub mod outcome;
pub mod power;
pub mod sketch;
pub mod spend;
#[cfg(test)]
mod tails;
pub mod watch;

pub use cells::{Batch, Cell, CellKey, Cells, Event, FeedbackCell};
pub use engine::{Engine, Place};
pub use observe::{Answered, observe};
pub use outcome::{Label, Outcome, Side};
pub use sketch::Sketch;
