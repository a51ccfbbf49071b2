//! Brings a file to the schema this version knows, one transaction per step.
//!
//! A file is never opened by a version that does not know its schema: a newer
//! one may mean something else by the same column.

use crate::db::Db;
use crate::error::{OpenError, StoreError};
use std::path::Path;

/// The steps of one file, oldest first; the version is the place plus one.
pub(crate) type Migrations = &'static [&'static str];

/// Of `state.db`.
pub(crate) const STATE: Migrations = &[
    include_str!("../migrations/state/0001_state.sql"),
    include_str!("../migrations/state/0002_token_owners.sql"),
    include_str!("../migrations/state/0003_app_states.sql"),
];

/// Of `telemetry.db`.
pub(crate) const TELEMETRY: Migrations = &[
    include_str!("../migrations/telemetry/0001_telemetry.sql"),
    include_str!("../migrations/telemetry/0002_outcomes.sql"),
    include_str!("../migrations/telemetry/0003_external.sql"),
    include_str!("../migrations/telemetry/0004_answers.sql"),
    include_str!("../migrations/telemetry/0005_experiments.sql"),
    include_str!("../migrations/telemetry/0006_schema_failures.sql"),
    include_str!("../migrations/telemetry/0007_spend.sql"),
];

/// What is found in a file before anything is done to it.
enum Found {
    Empty,
    Version(i64),
    Foreign,
}

pub(crate) async fn migrate(db: &Db, file: &Path, steps: &[&'static str]) -> Result<(), OpenError> {
    let file = || file.to_path_buf();
    let unusable = |problem| OpenError::State { file: file(), problem };
    let version = match found(db).await.map_err(unusable)? {
        Found::Empty => 0,
        Found::Version(version) => version,
        Found::Foreign => return Err(OpenError::Foreign { file: file() }),
    };
    let known = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    if version > known {
        return Err(OpenError::Newer { file: file(), found: version, known });
    }
    for (version, sql) in (1..).zip(steps).skip(usize::try_from(version).unwrap_or(usize::MAX)) {
        apply(db, version, sql).await.map_err(|problem| OpenError::Migration {
            file: file(),
            version,
            problem,
        })?;
    }
    Ok(())
}

async fn found(db: &Db) -> Result<Found, StoreError> {
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'")
            .fetch_all(db.readers())
            .await?;
    if tables.is_empty() {
        return Ok(Found::Empty);
    }
    if !tables.iter().any(|table| table == "tidegate_schema") {
        return Ok(Found::Foreign);
    }
    let version: Option<i64> = sqlx::query_scalar("SELECT MAX(version) FROM tidegate_schema")
        .fetch_one(db.readers())
        .await?;
    Ok(Found::Version(version.unwrap_or(0)))
}

async fn apply(db: &Db, version: i64, sql: &'static str) -> Result<(), StoreError> {
    let mut writing = db.write().await?;
    let connection = writing.connection();
    sqlx::query("CREATE TABLE IF NOT EXISTS tidegate_schema (version INTEGER PRIMARY KEY)")
        .execute(&mut *connection)
        .await?;
    sqlx::raw_sql(sql).execute(&mut *connection).await?;
    sqlx::query("INSERT INTO tidegate_schema (version) VALUES (?)")
        .bind(version)
        .execute(&mut *connection)
        .await?;
    writing.commit().await
}
