//! What answers cost, by day, app, release and arm. Kept for ever.

use super::name_of;
use crate::object::{signed, unsigned};
use crate::{Store, StoreError};
use analysis::{Cell, CellKey};
use domain::ids::{AppName, ReleaseId};
use domain::routing::Arm;
use domain::telemetry::RequestRecord;
use serde::{Deserialize, Serialize};
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

/// Seconds of a day.
const DAY: i64 = 86_400;
/// The word for answers somebody asked for while writing a change.
pub const TRY: &str = "try";

/// What one app's answers of one kind cost on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    /// The day in UTC, counted from 1970-01-01.
    pub day: i64,
    /// The app.
    pub app: AppName,
    /// The release that answered.
    pub release: ReleaseId,
    /// How its answers count: the word of an [`Arm`], or [`TRY`].
    pub arm: String,
    /// Answers.
    pub requests: u64,
    /// Tokens of the prompts.
    pub prompt_tokens: u64,
    /// Tokens of the answers.
    pub completion_tokens: u64,
    /// Cost in billionths of a US dollar.
    pub cost_nano_usd: u64,
}

/// Counts what a cell counted.
pub(super) async fn count(
    connection: &mut SqliteConnection,
    key: &CellKey,
    cell: &Cell,
) -> Result<(), StoreError> {
    if cell.n == 0 {
        // Feedback about an answer that was counted when it was given.
        return Ok(());
    }
    let spend = Spend {
        day: key.second.div_euclid(DAY),
        app: key.app.clone(),
        release: key.release,
        arm: key.arm.key().to_owned(),
        requests: cell.n,
        prompt_tokens: cell.prompt_tokens,
        completion_tokens: cell.completion_tokens,
        cost_nano_usd: cell.cost_nano_usd,
    };
    add(connection, &spend).await
}

/// Counts an answer of a preview, which no cell counts.
pub(super) async fn count_preview(
    connection: &mut SqliteConnection,
    record: &RequestRecord,
) -> Result<(), StoreError> {
    if record.arm != Arm::Preview {
        return Ok(());
    }
    let spend = Spend {
        day: record.at.second().div_euclid(DAY),
        app: record.app.clone(),
        release: record.release,
        arm: record.arm.key().to_owned(),
        requests: 1,
        prompt_tokens: record.prompt_tokens,
        completion_tokens: record.completion_tokens,
        cost_nano_usd: record.cost_nano_usd,
    };
    add(connection, &spend).await
}

async fn add(connection: &mut SqliteConnection, spend: &Spend) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO spend (day, app, release, arm, requests, prompt_tokens, completion_tokens,
             cost_nano_usd) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (day, app, release, arm) DO UPDATE SET
             requests = requests + excluded.requests,
             prompt_tokens = prompt_tokens + excluded.prompt_tokens,
             completion_tokens = completion_tokens + excluded.completion_tokens,
             cost_nano_usd = cost_nano_usd + excluded.cost_nano_usd",
    )
    .bind(spend.day)
    .bind(spend.app.as_str())
    .bind(spend.release.to_string())
    .bind(&spend.arm)
    .bind(signed(spend.requests, "a number of answers")?)
    .bind(signed(spend.prompt_tokens, "a number of tokens")?)
    .bind(signed(spend.completion_tokens, "a number of tokens")?)
    .bind(signed(spend.cost_nano_usd, "a cost")?)
    .execute(connection)
    .await?;
    Ok(())
}

impl Store {
    /// Adds to what was spent.
    ///
    /// # Errors
    /// The store's.
    pub async fn add_spend(&self, spend: &Spend) -> Result<(), StoreError> {
        let mut writing = self.telemetry.write().await?;
        add(writing.connection(), spend).await?;
        writing.commit().await
    }

    /// What was spent on days in `[from, until)`, by one app or by all, in order
    /// of days.
    ///
    /// # Errors
    /// The store's.
    pub async fn spend(
        &self,
        app: Option<&AppName>,
        from: i64,
        until: i64,
    ) -> Result<Vec<Spend>, StoreError> {
        let mut sql = QueryBuilder::<Sqlite>::new("SELECT * FROM spend WHERE day >= ");
        sql.push_bind(from).push(" AND day < ").push_bind(until);
        if let Some(app) = app {
            sql.push(" AND app = ").push_bind(app.as_str().to_owned());
        }
        sql.push(" ORDER BY day, app, release, arm");
        let rows = sql.build().fetch_all(self.telemetry.readers()).await?;
        rows.iter()
            .map(|row| {
                Ok(Spend {
                    day: row.try_get("day")?,
                    app: name_of("spend", row.try_get("app")?)?,
                    release: name_of("spend", row.try_get("release")?)?,
                    arm: row.try_get("arm")?,
                    requests: unsigned(row.try_get("requests")?, "a number of answers")?,
                    prompt_tokens: unsigned(row.try_get("prompt_tokens")?, "a number of tokens")?,
                    completion_tokens: unsigned(
                        row.try_get("completion_tokens")?,
                        "a number of tokens",
                    )?,
                    cost_nano_usd: unsigned(row.try_get("cost_nano_usd")?, "a cost")?,
                })
            })
            .collect()
    }
}
