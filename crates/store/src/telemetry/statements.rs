//! What was said about answers, one statement each: for `why` and for the
//! samples of an incident.

use super::{arm_of, name_of, rollout_column, rollout_of};
use crate::object::{Cursor, DEFAULT_PAGE, MAX_PAGE, Page};
use crate::{Store, StoreError};
use domain::ids::{RequestId, RolloutId};
use domain::routing::Arm;
use domain::units::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};
use std::fmt;

/// One piece of feedback with the answer it was counted for.
#[derive(Clone, PartialEq)]
pub struct Statement {
    /// The request.
    pub request: RequestId,
    /// The arm that answered.
    pub arm: Arm,
    /// The rollout it was answered under.
    pub rollout: Option<RolloutId>,
    /// Name of the signal.
    pub name: String,
    /// The number; none if it was not one.
    pub value: Option<f64>,
    /// In words, redacted.
    pub comment: Option<String>,
    /// When it became known.
    pub at: Timestamp,
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Statement({} of {} by {})", self.name, self.request, self.arm.key())
    }
}

/// Which statements, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementQuery {
    /// About this request.
    pub request: Option<RequestId>,
    /// About answers under this rollout.
    pub rollout: Option<RolloutId>,
    /// By this arm.
    pub arm: Option<Arm>,
    /// With this name.
    pub name: Option<String>,
    /// At most so many, up to [`MAX_PAGE`].
    pub limit: u32,
    /// Only what comes after this place.
    pub cursor: Option<Cursor>,
}

impl Default for StatementQuery {
    fn default() -> Self {
        Self {
            request: None,
            rollout: None,
            arm: None,
            name: None,
            limit: DEFAULT_PAGE,
            cursor: None,
        }
    }
}

impl StatementQuery {
    /// Everything said about this request.
    pub fn about(request: &RequestId) -> Self {
        Self { request: Some(request.clone()), ..Self::default() }
    }

    fn sql(&self) -> Result<QueryBuilder<Sqlite>, StoreError> {
        let mut sql = QueryBuilder::new(
            "SELECT seq, rollout, arm, name, id, at, value, comment FROM feedback WHERE 1 = 1",
        );
        if let Some(request) = &self.request {
            sql.push(" AND id = ").push_bind(request.as_str().to_owned());
        }
        if let Some(rollout) = self.rollout {
            sql.push(" AND rollout = ").push_bind(rollout_column(Some(rollout))?);
        }
        if let Some(arm) = self.arm {
            sql.push(" AND arm = ").push_bind(arm.key());
        }
        if let Some(name) = &self.name {
            sql.push(" AND name = ").push_bind(name.clone());
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

fn read(row: &SqliteRow) -> Result<Statement, StoreError> {
    Ok(Statement {
        request: name_of("feedback", row.try_get("id")?)?,
        arm: arm_of(row.try_get("arm")?)?,
        rollout: rollout_of(row.try_get("rollout")?),
        name: row.try_get("name")?,
        value: row.try_get("value")?,
        comment: row.try_get("comment")?,
        at: Timestamp(row.try_get("at")?),
    })
}

impl Store {
    /// A page of what was said, newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn statements(&self, query: &StatementQuery) -> Result<Page<Statement>, StoreError> {
        let rows = query.sql()?.build().fetch_all(self.telemetry.readers()).await?;
        let rows = rows
            .iter()
            .map(|row| Ok((row.try_get("seq")?, read(row)?)))
            .collect::<Result<Vec<_>, StoreError>>()?;
        Ok(Page::cut(rows, query.page_size()))
    }
}
