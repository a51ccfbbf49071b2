//! The nouns of Tidegate and the decisions that need no world.
//!
//! Everything here is plain data and pure functions: the same input gives the
//! same output on every machine. There is no async, no I/O, no logging, no
//! clock and no randomness in this crate; time and ids are arguments.
//!
//! The pure hearts that live here:
//! - [`manifest`]: components → release id,
//! - [`routing`]: snapshot + facts → who answers,
//! - [`rollout`]: state + observation + now → next state, actions, report,
//! - [`merkle`] and [`note`]: the audit log's arithmetic.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")
)]

pub mod approval;
pub mod audit;
pub mod bom;
pub mod change;
pub mod classifier;
pub mod component;
pub mod dsse;
pub mod evidence;
pub mod experiment;
pub mod external;
pub mod facts;
pub mod fallback;
pub mod feature;
pub mod finding;
pub mod forge;
pub mod ids;
pub mod incident;
pub mod jcs;
pub mod keys;
pub mod kpi;
pub mod manifest;
pub mod merkle;
pub mod note;
pub mod notice;
pub mod people;
pub mod policy;
pub mod price;
pub mod recording;
pub mod rollout;
pub mod routing;
pub mod sentence;
pub mod snapshot;
pub mod suite;
pub mod telemetry;
pub mod tlog_proof;
pub mod units;
pub mod verdict;
