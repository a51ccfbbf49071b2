//! One SQLite file: one writer, a few readers.
//!
//! SQLite lets one connection write at a time. Instead of letting writers meet
//! at the file and time out ("database is locked"), they queue for the only
//! writing connection, in order of arrival, and begin with `BEGIN IMMEDIATE`.
//! Readers have connections of their own and, thanks to the write-ahead log,
//! neither wait for the writer nor make it wait.
//!
//! What must stay true:
//! - a connection is used again only after its transaction ended well. After a
//!   full disk SQLite may have ended the transaction by itself, and a dropped
//!   future leaves one open; closing the connection rolls back in every case;
//! - readers cannot write (`query_only`).

use crate::error::StoreError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Connections that read. Reads are short; more would only compete for cores.
const READERS: u32 = 4;

/// How long a read queues for a connection before it is told so.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long SQLite itself waits for a lock of another process, such as a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(crate) struct Db {
    options: SqliteConnectOptions,
    writer: Arc<Mutex<Option<SqliteConnection>>>,
    readers: SqlitePool,
}

impl Db {
    /// Opens the file, making it if it is not there.
    pub(crate) async fn open(file: &Path, durable: SqliteSynchronous) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(durable)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let connection = options.connect().await?;
        let options = options.create_if_missing(false);
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(options.clone().pragma("query_only", "ON"));
        Ok(Self { options, writer: Arc::new(Mutex::new(Some(connection))), readers })
    }

    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// Waits for the turn to write and begins a transaction.
    pub(crate) async fn write(&self) -> Result<Writing, StoreError> {
        let mut turn = Arc::clone(&self.writer).lock_owned().await;
        let mut connection = match turn.take() {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await?;
        Ok(Writing { turn, connection })
    }

    /// Writes a whole, consistent copy of the file, as of now, to a place where
    /// there is none.
    pub(crate) async fn copy_to(&self, file: &Path) -> Result<(), StoreError> {
        // On a connection of its own: readers may not write, and the writer is
        // for transactions, in which SQLite copies nothing.
        let mut connection = self.options.connect().await?;
        sqlx::query("VACUUM INTO ?")
            .bind(file.to_string_lossy().into_owned())
            .execute(&mut connection)
            .await?;
        Ok(connection.close().await?)
    }

    /// Ends all connections and folds the write-ahead log into the file.
    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        self.readers.close().await;
        if let Some(connection) = self.writer.lock().await.take() {
            connection.close().await?;
        }
        Ok(())
    }
}

/// The turn to write. Dropped, it leaves nothing behind.
pub(crate) struct Writing {
    turn: OwnedMutexGuard<Option<SqliteConnection>>,
    connection: SqliteConnection,
}

impl Writing {
    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// Makes everything since the beginning durable.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        self.end("COMMIT").await
    }

    /// Takes everything back and keeps the connection for the next one.
    pub(crate) async fn roll_back(self) -> Result<(), StoreError> {
        self.end("ROLLBACK").await
    }

    async fn end(mut self, how: &'static str) -> Result<(), StoreError> {
        sqlx::query(how).execute(&mut self.connection).await?;
        *self.turn = Some(self.connection);
        Ok(())
    }
}
