//! Cells: merged when they come in, read by rollout or by app.

use super::{PRUNE_CHUNK, arm_of, name_of, rollout_column, rollout_of};
use crate::object::unsigned;
use crate::{Store, StoreError};
use analysis::{Cell, CellKey};
use domain::ids::{AppName, ReleaseId, RolloutId};
use domain::units::{Share, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

/// Adds what was counted to what is stored under the same key.
pub(super) async fn merge(
    connection: &mut SqliteConnection,
    key: &CellKey,
    cell: &Cell,
) -> Result<(), StoreError> {
    let stored: Option<String> = sqlx::query_scalar(
        "SELECT cell FROM cells WHERE rollout = ? AND second = ? AND app = ? AND release = ?
         AND arm = ? AND step = ? AND share = ?",
    )
    .bind(rollout_column(key.rollout)?)
    .bind(key.second)
    .bind(key.app.as_str())
    .bind(key.release.to_string())
    .bind(key.arm.key())
    .bind(i64::from(key.step))
    .bind(i64::from(key.share.bp()))
    .fetch_optional(&mut *connection)
    .await?;
    let json = match stored {
        Some(text) => {
            let mut merged = parse(&text)?;
            merged.merge(cell);
            serde_json::to_string(&merged)
        }
        None => serde_json::to_string(cell),
    };
    let json = json.map_err(|e| StoreError::not_json("cell", &e))?;
    sqlx::query(
        "INSERT INTO cells (rollout, second, app, release, arm, step, share, cell)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (rollout, second, app, release, arm, step, share)
         DO UPDATE SET cell = excluded.cell",
    )
    .bind(rollout_column(key.rollout)?)
    .bind(key.second)
    .bind(key.app.as_str())
    .bind(key.release.to_string())
    .bind(key.arm.key())
    .bind(i64::from(key.step))
    .bind(i64::from(key.share.bp()))
    .bind(json)
    .execute(connection)
    .await?;
    Ok(())
}

fn parse(text: &str) -> Result<Cell, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::not_json("cell", &e))
}

fn read(row: &SqliteRow) -> Result<(CellKey, Cell), StoreError> {
    let share: u16 = row.try_get("share")?;
    let key = CellKey {
        app: name_of("cell", row.try_get("app")?)?,
        release: name_of("cell", row.try_get("release")?)?,
        arm: arm_of(row.try_get("arm")?)?,
        rollout: rollout_of(row.try_get("rollout")?),
        step: row.try_get("step")?,
        share: Share::from_bp(share),
        second: row.try_get("second")?,
    };
    Ok((key, parse(row.try_get("cell")?)?))
}

/// What one release of an app used on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayUse {
    /// The day, counted from 1970-01-01 UTC.
    pub day: i64,
    /// The release that answered.
    pub release: ReleaseId,
    /// Answers.
    pub requests: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Tokens of the answers.
    pub answer_tokens: u64,
}

impl Store {
    /// What an app's users got in `[since, until)` (seconds), by day and release;
    /// mirrored copies and previews are left out. Summed by the database: a busy
    /// app has a cell for each second.
    ///
    /// # Errors
    /// The store's.
    pub async fn used_by_day(
        &self,
        app: &AppName,
        since: i64,
        until: i64,
    ) -> Result<Vec<DayUse>, StoreError> {
        let rows = sqlx::query(
            "SELECT second / 86400 AS day, release,
                 SUM(json_extract(cell, '$.n')) AS requests,
                 SUM(json_extract(cell, '$.prompt_tokens')) AS prompt_tokens,
                 SUM(json_extract(cell, '$.completion_tokens')) AS answer_tokens
             FROM cells WHERE app = ? AND second >= ? AND second < ?
             AND arm NOT IN ('shadow', 'preview')
             GROUP BY day, release ORDER BY day, release",
        )
        .bind(app.as_str())
        .bind(since)
        .bind(until)
        .fetch_all(self.telemetry.readers())
        .await?;
        rows.iter()
            .map(|row| {
                let number = |column| unsigned(row.try_get(column)?, "a sum of cells");
                Ok(DayUse {
                    day: row.try_get("day")?,
                    release: name_of("cell", row.try_get("release")?)?,
                    requests: number("requests")?,
                    prompt_tokens: number("prompt_tokens")?,
                    answer_tokens: number("answer_tokens")?,
                })
            })
            .collect()
    }

    /// Cells of a rollout whose second lies in `[since, until)`, in order of
    /// time.
    ///
    /// # Errors
    /// The store's.
    pub async fn cells(
        &self,
        rollout: RolloutId,
        since: i64,
        until: i64,
    ) -> Result<Vec<(CellKey, Cell)>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM cells WHERE rollout = ? AND second >= ? AND second < ?
             ORDER BY rollout, second, app, release, arm, step, share",
        )
        .bind(rollout_column(Some(rollout))?)
        .bind(since)
        .bind(until)
        .fetch_all(self.telemetry.readers())
        .await?;
        rows.iter().map(read).collect()
    }

    /// Cells of an app, in a rollout or not, whose second lies in
    /// `[since, until)`, in order of time.
    ///
    /// # Errors
    /// The store's.
    pub async fn app_cells(
        &self,
        app: &AppName,
        since: i64,
        until: i64,
    ) -> Result<Vec<(CellKey, Cell)>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM cells WHERE app = ? AND second >= ? AND second < ? ORDER BY second",
        )
        .bind(app.as_str())
        .bind(since)
        .bind(until)
        .fetch_all(self.telemetry.readers())
        .await?;
        rows.iter().map(read).collect()
    }

    /// Forgets cells from before this moment; says how many went.
    ///
    /// # Errors
    /// The store's.
    pub async fn prune_cells(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.prune(
            "DELETE FROM cells WHERE rowid IN (SELECT rowid FROM cells WHERE second < ? LIMIT ?)",
            before.second(),
        )
        .await
    }

    /// Deletes in chunks, one transaction each.
    pub(super) async fn prune(&self, sql: &'static str, before: i64) -> Result<u64, StoreError> {
        let mut gone = 0;
        loop {
            let mut writing = self.telemetry.write().await?;
            let chunk = sqlx::query(sql)
                .bind(before)
                .bind(PRUNE_CHUNK)
                .execute(writing.connection())
                .await?
                .rows_affected();
            writing.commit().await?;
            gone += chunk;
            if chunk == 0 {
                return Ok(gone);
            }
        }
    }
}
