//! Finding entries by who, what, on what, for which app and when.

use super::{LogEntry, read};
use crate::object::{Cursor, DEFAULT_PAGE, MAX_PAGE, Page};
use crate::tx::actor_key;
use crate::{Store, StoreError};
use domain::audit::Actor;
use domain::ids::AppName;
use domain::units::Timestamp;
use sqlx::{QueryBuilder, Row, Sqlite};

/// Which entries; newest first unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditQuery {
    /// Concerning this app.
    pub app: Option<AppName>,
    /// By this actor.
    pub actor: Option<Actor>,
    /// Of this action, in full.
    pub action: Option<String>,
    /// On this object, in full.
    pub object: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// Oldest first instead of newest first.
    pub oldest_first: bool,
    /// At most so many, up to [`MAX_PAGE`].
    pub limit: u32,
    /// Only what comes after this place.
    pub cursor: Option<Cursor>,
}

impl Default for AuditQuery {
    fn default() -> Self {
        Self {
            app: None,
            actor: None,
            action: None,
            object: None,
            since: None,
            until: None,
            oldest_first: false,
            limit: DEFAULT_PAGE,
            cursor: None,
        }
    }
}

impl AuditQuery {
    pub(crate) fn sql(&self, before: &str) -> QueryBuilder<Sqlite> {
        let mut sql = QueryBuilder::new(before);
        sql.push("SELECT idx, entry FROM log_entries WHERE 1 = 1");
        let words = [
            (" AND app = ", self.app.as_ref().map(|app| app.as_str().to_owned())),
            (" AND actor = ", self.actor.as_ref().map(actor_key)),
            (" AND action = ", self.action.clone()),
            (" AND object = ", self.object.clone()),
        ];
        for (condition, value) in words {
            if let Some(value) = value {
                sql.push(condition).push_bind(value);
            }
        }
        if let Some(since) = self.since {
            sql.push(" AND at >= ").push_bind(since.0);
        }
        if let Some(until) = self.until {
            sql.push(" AND at < ").push_bind(until.0);
        }
        if let Some(cursor) = self.cursor {
            sql.push(if self.oldest_first { " AND idx > " } else { " AND idx < " });
            sql.push_bind(cursor.0);
        }
        sql.push(if self.oldest_first { " ORDER BY idx" } else { " ORDER BY idx DESC" });
        sql.push(" LIMIT ").push_bind(i64::from(self.page_size()) + 1);
        sql
    }

    fn page_size(&self) -> u32 {
        self.limit.clamp(1, MAX_PAGE)
    }
}

impl Store {
    /// A page of audit entries.
    ///
    /// # Errors
    /// The store's.
    pub async fn audit(&self, query: &AuditQuery) -> Result<Page<LogEntry>, StoreError> {
        let rows = query.sql("").build().fetch_all(self.state.readers()).await?;
        let rows = rows
            .iter()
            .map(|row| Ok((row.try_get("idx")?, read(row)?)))
            .collect::<Result<Vec<_>, StoreError>>()?;
        Ok(Page::cut(rows, query.page_size()))
    }
}
