//! Judges a text or a record: one set of functions for gates (before traffic)
//! and guardrails (during traffic).
//!
//! - [`template`]: the one prompt engine, used by the linter and by gateways,
//! - [`lint`]: variables and syntax of prompt templates,
//! - [`tokens`]: how long a prompt is, and whether it fits its model,
//! - [`version`]: whether a change raised the version it had to raise,
//! - [`secrets`], [`pii`]: what must not be in a prompt or in a log,
//! - [`scan`]: the detectors of all that, and of attacks, hidden text and forbidden terms,
//! - [`redact`]: the same detectors, replacing instead of reporting,
//! - [`score`]: checks and measures of single answers,
//! - [`model_entry`]: what a model must bring along,
//! - [`policy`]: a team's own rules, written in Cedar,
//! - [`gate`]: all of it as gates with results, and the tier runner.
//!
//! Everything here is pure: the same input gives the same findings on every
//! machine. There is no I/O, no clock, no logging and no randomness, and
//! nothing that can be panicked by what a user wrote.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")
)]

pub mod features;
mod finding;
pub mod gate;
pub mod lint;
pub mod model_entry;
pub mod pii;
pub mod policy;
pub mod redact;
pub mod scan;
pub mod score;
pub mod secrets;
pub mod source;
mod suggest;
pub mod template;
pub mod tokens;
pub mod version;
