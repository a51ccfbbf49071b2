//! The metadata of single answers: for `why`, for lists, for samples.

use super::rollout_column;
use crate::object::{Cursor, DEFAULT_PAGE, MAX_PAGE, Page, unsigned};
use crate::{Store, StoreError};
use domain::ids::{AppName, ChangeId, ReleaseId, RequestId, RolloutId};
use domain::routing::Arm;
use domain::telemetry::RequestRecord;
use domain::units::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

/// Which requests, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestQuery {
    /// Of this app.
    pub app: Option<AppName>,
    /// Answered by this release.
    pub release: Option<ReleaseId>,
    /// By this arm.
    pub arm: Option<Arm>,
    /// Under this rollout.
    pub rollout: Option<RolloutId>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// At most so many, up to [`MAX_PAGE`].
    pub limit: u32,
    /// Only what comes after this place.
    pub cursor: Option<Cursor>,
}

impl Default for RequestQuery {
    fn default() -> Self {
        Self {
            app: None,
            release: None,
            arm: None,
            rollout: None,
            since: None,
            limit: DEFAULT_PAGE,
            cursor: None,
        }
    }
}

impl RequestQuery {
    pub(crate) fn sql(&self, before: &str) -> Result<QueryBuilder<Sqlite>, StoreError> {
        let mut sql = QueryBuilder::new(before);
        sql.push("SELECT seq, record FROM requests WHERE 1 = 1");
        if let Some(app) = &self.app {
            sql.push(" AND app = ").push_bind(app.as_str().to_owned());
        }
        if let Some(release) = &self.release {
            sql.push(" AND release = ").push_bind(release.to_string());
        }
        if let Some(rollout) = self.rollout {
            sql.push(" AND rollout = ").push_bind(rollout_column(Some(rollout))?);
        }
        if let Some(arm) = self.arm {
            sql.push(" AND arm = ").push_bind(arm.key());
        }
        if let Some(since) = self.since {
            sql.push(" AND at >= ").push_bind(since.0);
        }
        if let Some(cursor) = self.cursor {
            sql.push(" AND seq < ").push_bind(cursor.0);
        }
        sql.push(" ORDER BY seq DESC LIMIT ").push_bind(i64::from(self.page_size()) + 1);
        Ok(sql)
    }

    fn page_size(&self) -> u32 {
        self.limit.clamp(1, MAX_PAGE)
    }
}

/// What a preview spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewUsage {
    /// Answers, failed ones included.
    pub requests: u64,
    /// Tokens of their prompts and answers.
    pub tokens: u64,
}

/// One if it is new.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    record: &RequestRecord,
) -> Result<u64, StoreError> {
    let json =
        serde_json::to_string(record).map_err(|e| StoreError::not_json("request record", &e))?;
    let done = sqlx::query(
        "INSERT INTO requests (id, arm, at, app, release, rollout, subject, record)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id, arm) DO NOTHING",
    )
    .bind(record.id.as_str())
    .bind(record.arm.key())
    .bind(record.at.0)
    .bind(record.app.as_str())
    .bind(record.release.to_string())
    .bind(rollout_column(record.rollout)?)
    .bind(&record.subject)
    .bind(json)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

fn parse(text: &str) -> Result<RequestRecord, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::not_json("request record", &e))
}

impl Store {
    /// What is known of one request: the answer that was served, then the
    /// mirrored one, as far as there are any.
    ///
    /// # Errors
    /// The store's.
    pub async fn request(&self, id: &RequestId) -> Result<Vec<RequestRecord>, StoreError> {
        let records: Vec<String> = sqlx::query_scalar(
            "SELECT record FROM requests WHERE id = ? ORDER BY arm = 'shadow', seq",
        )
        .bind(id.as_str())
        .fetch_all(self.telemetry.readers())
        .await?;
        records.iter().map(|text| parse(text)).collect()
    }

    /// A page of requests, newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn requests(&self, query: &RequestQuery) -> Result<Page<RequestRecord>, StoreError> {
        let rows = query.sql("")?.build().fetch_all(self.telemetry.readers()).await?;
        let rows = rows
            .iter()
            .map(|row| Ok((row.try_get("seq")?, parse(row.try_get("record")?)?)))
            .collect::<Result<Vec<_>, StoreError>>()?;
        Ok(Page::cut(rows, query.page_size()))
    }

    /// What the preview of a change answered since this moment.
    ///
    /// # Errors
    /// The store's.
    pub async fn preview_usage(
        &self,
        app: &AppName,
        release: &ReleaseId,
        change: ChangeId,
        since: Timestamp,
    ) -> Result<PreviewUsage, StoreError> {
        // By app and release, for which there is an index: only a preview's
        // requests, or nearly, are looked into.
        let row = sqlx::query(
            "SELECT COUNT(*) AS requests, COALESCE(SUM(
                 json_extract(record, '$.prompt_tokens')
                 + json_extract(record, '$.completion_tokens')), 0) AS tokens
             FROM requests WHERE app = ? AND release = ? AND arm = 'preview' AND at >= ?
             AND json_extract(record, '$.preview') = ?",
        )
        .bind(app.as_str())
        .bind(release.to_string())
        .bind(since.0)
        .bind(change.to_string())
        .fetch_one(self.telemetry.readers())
        .await?;
        Ok(PreviewUsage {
            requests: unsigned(row.try_get("requests")?, "a count")?,
            tokens: unsigned(row.try_get("tokens")?, "a number of tokens")?,
        })
    }

    /// Forgets records from before this moment, and what was said about them
    /// before it; says how many records went.
    ///
    /// # Errors
    /// The store's.
    pub async fn prune_requests(&self, before: Timestamp) -> Result<u64, StoreError> {
        let gone = self
            .prune(
                "DELETE FROM requests WHERE seq IN (SELECT seq FROM requests WHERE at < ? LIMIT ?)",
                before.0,
            )
            .await?;
        self.prune(
            "DELETE FROM feedback WHERE seq IN (SELECT seq FROM feedback WHERE at < ? LIMIT ?)",
            before.0,
        )
        .await?;
        self.prune(
            "DELETE FROM shipped WHERE rowid IN (SELECT rowid FROM shipped WHERE at < ? LIMIT ?)",
            before.0,
        )
        .await?;
        Ok(gone)
    }
}
