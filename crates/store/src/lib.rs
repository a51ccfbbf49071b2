//! What was observed and decided, kept durably.
//!
//! One concrete [`Store`] over a directory with two SQLite files:
//! - `state.db`: objects, outbox, audit log, blobs. `synchronous=FULL`: what was
//!   acknowledged survives a power cut.
//! - `telemetry.db`: cells, request records, feedback. `synchronous=NORMAL`: a
//!   power cut may take the last moments of it. It is a file of its own for
//!   three reasons: the stream of measurements must not queue before a rollback
//!   for the only writer; its loss or damage must not touch the state; and it
//!   is pruned, while the audit log only grows.
//!
//! There is one way to write state: put a [`Tx`] together, [`Store::commit`] it.
//! Objects, audit entries with their Merkle hashes, effects and blobs of one
//! command become durable together or not at all. Nothing here knows a rule of
//! the trade; whoever decides reads first and names the generations it read.
//!
//! What must stay true:
//! - the audit log is append-only, and its size and root are stored by the
//!   transaction that grew it: a checkpoint signs only what is durable;
//! - a number from [`Store::allocate`] is never given twice, whatever happens;
//! - time is an argument; the store has no clock;
//! - all SQL of Tidegate is in this crate.
//!
//! Why one type instead of a trait per table: there is one implementation at a
//! time, and a command touches several tables in one transaction anyway.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")
)]

mod audit;
mod blob;
mod commit;
mod db;
mod effect;
mod error;
mod migrate;
mod object;
mod open;
mod telemetry;
#[cfg(test)]
mod tests;
mod tx;

pub use audit::{AuditQuery, Checkpoint, LogEntry};
pub use commit::{Committed, Touched, TouchedObject};
pub use effect::Effect;
pub use error::{CommitError, LogError, OpenError, StoreError};
pub use object::{Cursor, DEFAULT_PAGE, Index, Kind, MAX_PAGE, Page, Query, Versioned};
pub use open::{Claim, Store};
pub use telemetry::{
    DayUse, DrawnOutcome, FEEDBACK_PATIENCE, Ingested, JudgedAnswer, KnownOutcome, LOOK_LAG,
    MAX_EXTERNAL_SAMPLES, MAX_OUTCOMES_PER_SECOND, MAX_WAITING_FEEDBACK, Measured, OutcomePlace,
    PreviewUsage, RATE_WINDOW, RequestQuery, SLACK, Spend, Statement, StatementQuery, TRY,
};
pub use tx::{NewEffect, Tx};
