//! What gateways measured: cells, request records, feedback, and the outcomes
//! that tests see.
//!
//! Gateways ship batches at least once; [`ingest`](crate::Store::ingest) makes
//! that exactly once, in one transaction per batch. Cells of all gateways merge
//! into one per key: what people see per second. What verdicts are made of are
//! the [`outcomes`] of single answers, in the order in which they became known.
//!
//! All of this may be lost without harm to the state, and all of it is pruned.

mod cells;
mod external;
mod feedback;
mod ingest;
pub(crate) mod outcomes;
mod requests;
mod spend;
mod statements;

pub use cells::DayUse;
pub use external::MAX_EXTERNAL_SAMPLES;
pub use feedback::{FEEDBACK_PATIENCE, MAX_WAITING_FEEDBACK};
pub use ingest::Ingested;
pub use outcomes::{
    DrawnOutcome, KnownOutcome, LOOK_LAG, MAX_OUTCOMES_PER_SECOND, Measured, OutcomePlace,
    RATE_WINDOW, SLACK,
};
pub use requests::{PreviewUsage, RequestQuery};
pub use spend::{Spend, TRY};
pub use statements::{JudgedAnswer, Statement, StatementQuery};

use crate::StoreError;
use crate::object::signed;
use domain::ids::RolloutId;
use domain::routing::Arm;

/// Rows deleted in one transaction when pruning, so that ingest never waits
/// long for its turn.
const PRUNE_CHUNK: i64 = 5000;

/// A rollout as a column that is never NULL.
fn rollout_column(rollout: Option<RolloutId>) -> Result<i64, StoreError> {
    rollout.map_or(Ok(-1), |id| signed(id.0, "the number of a rollout"))
}

/// The rollout of a column.
fn rollout_of(column: i64) -> Option<RolloutId> {
    u64::try_from(column).ok().map(RolloutId)
}

/// The arm of a column.
fn arm_of(key: &str) -> Result<Arm, StoreError> {
    [Arm::Stable, Arm::Control, Arm::Candidate, Arm::Shadow, Arm::Variant, Arm::Preview]
        .into_iter()
        .find(|arm| arm.key() == key)
        .ok_or_else(|| StoreError::unreadable("arm", format!("`{key}` is none")))
}

/// The value of a typed name in a column.
fn name_of<T: std::str::FromStr<Err = domain::ids::InvalidId>>(
    what: &str,
    text: &str,
) -> Result<T, StoreError> {
    text.parse().map_err(|e: domain::ids::InvalidId| StoreError::unreadable(what, e))
}
