//! Reading outcomes in order, only those that are new.

use super::{KnownOutcome, Measured, hash_of};
use crate::telemetry::rollout_column;
use crate::{Store, StoreError};
use analysis::Side;
use domain::ids::RolloutId;
use domain::units::{Share, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

/// The place of an outcome in the sequence of its rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutcomePlace {
    /// When it became known.
    pub known: Timestamp,
    /// Which of those of the same moment; compared as a signed number.
    pub id: i64,
}

pub(crate) fn sql(
    before: &str,
    rollout: RolloutId,
    after: Option<OutcomePlace>,
    until: Timestamp,
    limit: u32,
) -> Result<QueryBuilder<Sqlite>, StoreError> {
    let mut sql = QueryBuilder::new(before);
    sql.push("SELECT * FROM outcomes WHERE rollout = ")
        .push_bind(rollout_column(Some(rollout))?)
        .push(" AND known <= ")
        .push_bind(until.0);
    if let Some(after) = after {
        sql.push(" AND (known, id) > (")
            .push_bind(after.known.0)
            .push(", ")
            .push_bind(after.id)
            .push(")");
    }
    sql.push(" ORDER BY rollout, known, id LIMIT ").push_bind(i64::from(limit));
    Ok(sql)
}

fn read(row: &SqliteRow) -> Result<KnownOutcome, StoreError> {
    let share: u16 = row.try_get("share")?;
    let hash = |column: &str| row.try_get(column).map(hash_of);
    let maybe_hash = |column: &str| row.try_get::<Option<i64>, _>(column).map(|c| c.map(hash_of));
    let name: Option<String> = row.try_get("name")?;
    let measured = match name {
        Some(name) => {
            let value: Option<f64> = row.try_get("value")?;
            Measured::Feedback { name, value: value.unwrap_or(f64::NAN) }
        }
        None => Measured::Answer {
            failed: row.try_get("failed")?,
            fallback: row.try_get("fallback")?,
            latency_us: row.try_get::<i64, _>("latency_us")?.unsigned_abs(),
            ttft_us: row.try_get::<i64, _>("ttft_us")?.unsigned_abs(),
            cost_nano_usd: row.try_get::<i64, _>("cost_nano_usd")?.unsigned_abs(),
            output_tokens: row.try_get::<Option<i64>, _>("output_tokens")?.map(i64::unsigned_abs),
            schema_failed: row.try_get("schema_failed")?,
        },
    };
    let candidate: bool = row.try_get("candidate")?;
    Ok(KnownOutcome {
        place: OutcomePlace { known: Timestamp(row.try_get("known")?), id: row.try_get("id")? },
        side: if candidate { Side::Candidate } else { Side::Baseline },
        share: Share::from_bp(share),
        step: row.try_get("step")?,
        unit: hash("unit")?,
        pair: maybe_hash("pair")?,
        input: hash("input")?,
        segment: maybe_hash("segment")?,
        answer: maybe_hash("answer")?,
        halvings: row.try_get("halvings")?,
        drawn: row
            .try_get::<Option<&str>, _>("drawn")?
            .map(serde_json::from_str)
            .transpose()
            .map_err(|e| StoreError::not_json("what was drawn", &e))?,
        measured,
    })
}

impl Store {
    /// Outcomes of a rollout that became known up to and at `until`, from right
    /// after `after` on, at most `limit`, in order.
    ///
    /// # Errors
    /// The store's.
    pub async fn outcomes(
        &self,
        rollout: RolloutId,
        after: Option<OutcomePlace>,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<KnownOutcome>, StoreError> {
        let mut sql = sql("", rollout, after, until, limit)?;
        let rows = sql.build().fetch_all(self.telemetry.readers()).await?;
        rows.iter().map(read).collect()
    }
}
