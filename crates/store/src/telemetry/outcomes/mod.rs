//! Outcomes: what the tests of a rollout see, in the order in which it became
//! known.
//!
//! What must stay true:
//! - nothing is ever added at or before a moment that has been judged. A look
//!   first writes down how far it judges ([`Store::judge_until`]) and then reads;
//!   writers queue, so whatever is added after that is known later. A replay,
//!   a restart and a second reader therefore see the sequence the first look saw;
//! - an outcome is known when its answer ended or its feedback arrived at the
//!   gateway, if it came in within [`SLACK`] of that, whoever delivered it:
//!   ten gateways make the sequence that one would. What comes later counts as
//!   known when it came;
//! - selection knows no arms: what is left out of a flood is chosen by a hash of
//!   the unit ([`rate`]), what is left out as repeated by the input alone.
//!
//! Outcomes of an experiment lie in the same sequence of tables under its own
//! number, and say which variant was drawn with which probabilities. There a
//! subject, not an input, is a piece of evidence: each request speaks for itself.

mod derive;
mod rate;
mod read;

pub(super) use derive::{Intake, share};
pub use rate::{MAX_OUTCOMES_PER_SECOND, RATE_WINDOW};
pub use read::OutcomePlace;
#[cfg(test)]
pub(crate) use read::sql;

use crate::object::signed;
use crate::telemetry::rollout_column;
use crate::{Store, StoreError};
use analysis::Side;
use domain::ids::RolloutId;
use domain::units::{Share, Span, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::Row;

/// How late an outcome may come in and still be known from when it happened:
/// four times as long as gateways gather before they ship.
pub const SLACK: Span = Span::from_secs(1);

/// How far behind the clock a look judges: [`SLACK`], and as much again for
/// batches that are being written while the look begins. Without it, more
/// outcomes would be known only from their arrival; nothing would be lost.
pub const LOOK_LAG: Span = Span::from_secs(2);

/// What became known about one answer at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownOutcome {
    /// When, and which of those of the same moment.
    pub place: OutcomePlace,
    /// Who served it.
    pub side: Side,
    /// The probability with which it could have been the candidate's.
    pub share: Share,
    /// The step of the plan.
    pub step: u32,
    /// Hash of the subject.
    pub unit: u64,
    /// Hash of the request that both arms answered.
    pub pair: Option<u64>,
    /// Hash of the input.
    pub input: u64,
    /// Hash of the tenant.
    pub segment: Option<u64>,
    /// Hash of the request id; none in outcomes kept before there was one.
    pub answer: Option<u64>,
    /// One of 2 to this power units was kept when it came in.
    pub halvings: u32,
    /// Under an experiment: what was drawn.
    pub drawn: Option<DrawnOutcome>,
    /// What was measured.
    pub measured: Measured,
}

/// What was drawn for an answer under an experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrawnOutcome {
    /// The variant that answered, by its place in the policy.
    pub variant: u8,
    /// The segment, by its place in the policy; none for everybody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<u8>,
    /// The probability of each variant for this answer.
    pub shares: Vec<Share>,
    /// What the answer cost, in billionths of a US dollar: a reward posted
    /// later is compared less what it cost.
    pub cost_nano_usd: u64,
}

/// What was measured of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Measured {
    /// By the gateway, when it ended.
    Answer {
        /// It failed.
        failed: bool,
        /// It came from the fallback.
        fallback: bool,
        /// From arrival to the last byte, in microseconds; to the failure, if it
        /// failed.
        latency_us: u64,
        /// From arrival to the first byte, in microseconds.
        ttft_us: u64,
        /// Cost in billionths of a US dollar.
        cost_nano_usd: u64,
        /// Tokens of the answer; none of one that failed.
        output_tokens: Option<u64>,
        /// Not what the app's schema wants; none where that was not checked.
        schema_failed: Option<bool>,
    },
    /// By whoever posted it, later.
    Feedback {
        /// Name of the signal.
        name: String,
        /// The number; NaN if it was none.
        value: f64,
    },
}

/// The 64 bits of a hash as SQLite keeps them.
fn column(hash: u64) -> i64 {
    hash as i64
}

/// A hash as it was.
fn hash_of(column: i64) -> u64 {
    column as u64
}

impl Store {
    /// Closes the past of a rollout for a look at `now`, and says up to when:
    /// no outcome will be added at or before that moment. It moves on as fast
    /// as the clock and [`LOOK_LAG`] behind it; when the clock was set back it
    /// keeps what it had and goes on from there, so that no look waits until
    /// the clock has caught up.
    ///
    /// # Errors
    /// The store's.
    pub async fn judge_until(
        &self,
        rollout: RolloutId,
        now: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let id = rollout_column(Some(rollout))?;
        let lagging = now.0.saturating_sub(LOOK_LAG.millis());
        let mut writing = self.telemetry.write().await?;
        let row = sqlx::query("SELECT until, at FROM judged WHERE rollout = ?")
            .bind(id)
            .fetch_optional(writing.connection())
            .await?;
        let (until, changed) = match row {
            None => (lagging, true),
            Some(row) => {
                let (until, at): (i64, i64) = (row.try_get("until")?, row.try_get("at")?);
                let passed = now.0.saturating_sub(at).max(0);
                (lagging.max(until.saturating_add(passed)), at != now.0)
            }
        };
        if !changed {
            writing.roll_back().await?;
            return Ok(Timestamp(until));
        }
        sqlx::query(
            "INSERT INTO judged (rollout, until, at) VALUES (?, ?, ?)
             ON CONFLICT (rollout) DO UPDATE SET until = excluded.until, at = excluded.at",
        )
        .bind(id)
        .bind(until)
        .bind(now.0)
        .execute(writing.connection())
        .await?;
        writing.commit().await?;
        Ok(Timestamp(until))
    }

    /// Forgets every outcome of a rollout; says how many went.
    ///
    /// # Errors
    /// The store's.
    pub async fn forget_outcomes(&self, rollout: RolloutId) -> Result<u64, StoreError> {
        let id = signed(rollout.0, "the number of a rollout")?;
        let some: Option<i64> = sqlx::query_scalar("SELECT 1 FROM judged WHERE rollout = ?")
            .bind(id)
            .fetch_optional(self.telemetry.readers())
            .await?;
        if some.is_none() {
            return Ok(0);
        }
        let gone = self
            .prune(
                "DELETE FROM outcomes WHERE (rollout, known, id) IN
                 (SELECT rollout, known, id FROM outcomes WHERE rollout = ? LIMIT ?)",
                id,
            )
            .await?;
        let mut writing = self.telemetry.write().await?;
        for sql in
            ["DELETE FROM outcome_rates WHERE rollout = ?", "DELETE FROM judged WHERE rollout = ?"]
        {
            sqlx::query(sql).bind(id).execute(writing.connection()).await?;
        }
        writing.commit().await?;
        Ok(gone)
    }
}
