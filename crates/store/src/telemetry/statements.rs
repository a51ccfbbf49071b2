//! What was said about answers, one statement each: for `why` and for the
//! samples of an incident.

use super::{arm_of, name_of, rollout_column, rollout_of};
use crate::object::{Cursor, DEFAULT_PAGE, MAX_PAGE, Page};
use crate::{Store, StoreError};
use domain::ids::{AppName, RequestId, RolloutId};
use domain::routing::Arm;
use domain::units::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};
use std::collections::BTreeSet;
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

/// An answer that was judged under a name, the way tests see it: the first word on
/// its input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedAnswer {
    /// The request.
    pub request: RequestId,
    /// The mirrored answer to it.
    pub shadow: bool,
    /// When the word became known.
    pub at: Timestamp,
    /// People have labelled it.
    pub labelled: bool,
    /// Its place in the list.
    pub place: Cursor,
}

/// Whether a word is the first of its side on its input: stable and control are
/// one side, and so are the candidate and the mirror.
const FIRST_OF_ITS_SIDE: &str = "NOT EXISTS (SELECT 1 FROM feedback e
     WHERE e.rollout = f.rollout AND e.name = f.name AND e.unit = f.unit AND e.seq < f.seq
     AND e.arm = CASE f.arm WHEN 'stable' THEN 'control' WHEN 'control' THEN 'stable'
                            WHEN 'candidate' THEN 'shadow' ELSE 'candidate' END)";

impl Store {
    /// Answers of a rollout that were judged under `name`, oldest first, and
    /// whether people have labelled them under `label`; at most `limit`, up to
    /// [`MAX_PAGE`], from right after `after` on.
    ///
    /// # Errors
    /// The store's.
    pub async fn judged_answers(
        &self,
        rollout: RolloutId,
        (name, label): (&str, &str),
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Vec<JudgedAnswer>, StoreError> {
        let mut sql = QueryBuilder::new(
            "SELECT f.seq, f.id, f.arm, f.at, EXISTS (SELECT 1 FROM feedback l
                 WHERE l.rollout = f.rollout AND l.arm = f.arm AND l.unit = f.unit AND l.name = ",
        );
        sql.push_bind(label)
            .push(") AS labelled FROM feedback f WHERE f.rollout = ")
            .push_bind(rollout_column(Some(rollout))?)
            .push(" AND f.name = ")
            .push_bind(name)
            .push(" AND f.value IS NOT NULL AND f.seq > ")
            .push_bind(after.map_or(0, |cursor| cursor.0))
            .push(" AND ")
            .push(FIRST_OF_ITS_SIDE)
            .push(" ORDER BY f.seq LIMIT ")
            .push_bind(i64::from(limit.clamp(1, MAX_PAGE)));
        let rows = sql.build().fetch_all(self.telemetry.readers()).await?;
        let read = |row: &SqliteRow| {
            Ok(JudgedAnswer {
                request: name_of("feedback", row.try_get("id")?)?,
                shadow: arm_of(row.try_get("arm")?)? == Arm::Shadow,
                at: Timestamp(row.try_get("at")?),
                labelled: row.try_get("labelled")?,
                place: Cursor(row.try_get("seq")?),
            })
        };
        rows.iter().map(read).collect()
    }

    /// Which of these names somebody used since `since` to say something about an
    /// answer of this app.
    ///
    /// # Errors
    /// The store's.
    pub async fn feedback_heard(
        &self,
        app: &AppName,
        names: &[&str],
        since: Timestamp,
    ) -> Result<BTreeSet<String>, StoreError> {
        let mut heard = BTreeSet::new();
        for name in names {
            let found: Option<i64> = sqlx::query_scalar(
                "SELECT 1 FROM feedback f JOIN requests r ON r.id = f.id
                 WHERE f.name = ? AND f.at >= ? AND r.app = ? LIMIT 1",
            )
            .bind(*name)
            .bind(since.0)
            .bind(app.as_str())
            .fetch_optional(self.telemetry.readers())
            .await?;
            if found.is_some() {
                heard.insert((*name).to_owned());
            }
        }
        Ok(heard)
    }

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
