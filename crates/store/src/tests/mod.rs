//! The store against real SQLite in temporary directories.

mod audit;
mod commit;
mod external;
mod feedback;
mod kill;
mod model;
mod open;
mod outbox;
mod outcomes;
mod pages;
mod telemetry;

use crate::{CommitError, Committed, Index, Kind, Store, Tx};
use domain::audit::{Actor, Entry};
use domain::units::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tempfile::TempDir;

/// A store of its own; the directory goes with it.
struct Home {
    store: Store,
    directory: TempDir,
}

impl Home {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).await.unwrap();
        Self { store, directory }
    }
}

/// A document for tests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Doc {
    n: u64,
}

const NOW: Timestamp = Timestamp(1_750_000_000_000);

fn entry(action: &str, object: &str) -> Entry {
    Entry {
        api_version: "tidegate/v1".to_owned(),
        at: NOW,
        actor: Actor::System,
        action: action.to_owned(),
        object: object.to_owned(),
        app: None,
        reason: None,
        source: None,
        details: Value::Null,
    }
}

/// Commits a transaction that creates one document and says so.
async fn create(store: &Store, id: &str, n: u64) -> Result<Committed, CommitError> {
    let mut tx = Tx::new(NOW);
    tx.create(Kind::Meta, id, &Doc { n }, Index::none()).audit(entry("meta.created", id));
    store.commit(tx).await
}

async fn doc(store: &Store, id: &str) -> Option<(u64, u64)> {
    let found = store.get::<Doc>(Kind::Meta, id).await.unwrap();
    found.map(|found| (found.generation.0, found.doc.n))
}

/// The plan SQLite makes of a statement, one step per line.
async fn plan(
    pool: &sqlx::sqlite::SqlitePool,
    mut explained: sqlx::QueryBuilder<sqlx::Sqlite>,
) -> String {
    use sqlx::Row;
    let rows = explained.build().fetch_all(pool).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>("detail")).collect::<Vec<_>>().join("\n")
}
