//! The outbox: what has to be done in the world because of the state.
//!
//! An effect is enqueued by the transaction that makes it necessary and done
//! by the transaction that records its outcome. Between the two it is carried
//! out at least once, so whoever does it looks at the world first.

use crate::error::{CommitError, StoreError};
use crate::object::MAX_PAGE;
use crate::{NewEffect, Store};
use domain::units::Timestamp;
use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use std::fmt;

/// Longest error text kept with an effect, in characters.
const MAX_ERROR: usize = 2000;

/// An effect in the outbox.
#[derive(Clone, PartialEq)]
pub struct Effect {
    /// Its number; effects are done in this order where nothing delays them.
    pub id: i64,
    /// Its idempotency key.
    pub key: String,
    /// What to do.
    pub kind: String,
    /// What is needed to do it.
    pub payload: Value,
    /// Not before this moment.
    pub not_before: Timestamp,
    /// How often it failed.
    pub attempts: u32,
    /// Why it failed last.
    pub error: Option<String>,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When it was done; none while it is pending.
    pub done_at: Option<Timestamp>,
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Effect")
            .field("id", &self.id)
            .field("key", &self.key)
            .field("kind", &self.kind)
            .field("attempts", &self.attempts)
            .field("done_at", &self.done_at)
            .finish_non_exhaustive()
    }
}

const COLUMNS: &str =
    "SELECT id, key, kind, payload, not_before, attempts, error, created_at, done_at FROM effects";

fn read(row: &SqliteRow) -> Result<Effect, StoreError> {
    let id: i64 = row.try_get("id")?;
    let payload: &str = row.try_get("payload")?;
    Ok(Effect {
        id,
        key: row.try_get("key")?,
        kind: row.try_get("kind")?,
        payload: serde_json::from_str(payload)
            .map_err(|error| StoreError::not_json(format!("effect {id}"), &error))?,
        not_before: Timestamp(row.try_get("not_before")?),
        attempts: row.try_get("attempts")?,
        error: row.try_get("error")?,
        created_at: Timestamp(row.try_get("created_at")?),
        done_at: row.try_get::<Option<i64>, _>("done_at")?.map(Timestamp),
    })
}

/// One if it is new.
pub(crate) async fn enqueue(
    connection: &mut SqliteConnection,
    effect: &NewEffect,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "INSERT INTO effects (key, kind, payload, not_before, created_at) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (key) DO NOTHING",
    )
    .bind(&effect.key)
    .bind(&effect.kind)
    .bind(effect.payload.to_string())
    .bind(effect.not_before.0)
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

pub(crate) async fn done(
    connection: &mut SqliteConnection,
    id: i64,
    now: Timestamp,
) -> Result<(), CommitError> {
    let updated = sqlx::query(
        "UPDATE effects SET done_at = ?, error = NULL WHERE id = ? AND done_at IS NULL",
    )
    .bind(now.0)
    .bind(id)
    .execute(connection)
    .await?;
    if updated.rows_affected() == 1 { Ok(()) } else { Err(CommitError::EffectNotPending { id }) }
}

impl Store {
    /// Effects of a kind to be done now, in the order they were enqueued; at most
    /// [`MAX_PAGE`](crate::MAX_PAGE) at a time.
    ///
    /// # Errors
    /// The store's.
    pub async fn due_effects(
        &self,
        kind: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Effect>, StoreError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "{COLUMNS} WHERE done_at IS NULL AND not_before <= ? AND kind = ? ORDER BY id LIMIT ?"
        )))
        .bind(now.0)
        .bind(kind)
        .bind(i64::from(limit.min(MAX_PAGE)))
        .fetch_all(self.state.readers())
        .await?;
        rows.iter().map(read).collect()
    }

    /// When the next pending effect of a kind is due, for a timer.
    ///
    /// # Errors
    /// The store's.
    pub async fn next_effect_at(&self, kind: &str) -> Result<Option<Timestamp>, StoreError> {
        let of_kind = "SELECT MIN(not_before) FROM effects WHERE done_at IS NULL AND kind = ?";
        let at: Option<i64> =
            sqlx::query_scalar(of_kind).bind(kind).fetch_one(self.state.readers()).await?;
        Ok(at.map(Timestamp))
    }

    /// The effect with this key, pending or done.
    ///
    /// # Errors
    /// The store's.
    pub async fn effect(&self, key: &str) -> Result<Option<Effect>, StoreError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE key = ?")))
            .bind(key)
            .fetch_optional(self.state.readers())
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// Puts a pending effect off after a failure and counts the attempt. Nothing
    /// happens if it is done by now.
    ///
    /// # Errors
    /// The store's.
    pub async fn effect_failed(
        &self,
        id: i64,
        retry_at: Timestamp,
        error: &str,
    ) -> Result<(), StoreError> {
        let error: String = error.chars().take(MAX_ERROR).collect();
        let mut writing = self.state.write().await?;
        sqlx::query(
            "UPDATE effects SET attempts = attempts + 1, not_before = ?, error = ?
             WHERE id = ? AND done_at IS NULL",
        )
        .bind(retry_at.0)
        .bind(error)
        .bind(id)
        .execute(writing.connection())
        .await?;
        writing.commit().await
    }
}
