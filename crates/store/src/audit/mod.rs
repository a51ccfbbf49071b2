//! The audit log: what was appended, what it hashes to, and how to prove it.
//!
//! Entries are canonical bytes and the leaves of a Merkle tree. The hashes of
//! all complete subtrees are stored when they become complete and never change,
//! so every root, tile and proof of every size is read, not computed anew.
//! Entries, hashes, size and root are written by the transaction that changes
//! the state ([`append`]); triggers refuse to change or delete them.

pub(crate) mod append;
mod proof;
mod search;

use crate::object::{MAX_PAGE, signed, unsigned};
use crate::{LogError, Store, StoreError};
use append::hash;
use domain::audit::Entry;
use domain::merkle::{Hash, TILE_WIDTH, Tile, TileKind, entry_bundle, tile_bytes};
use domain::units::Timestamp;
pub use search::AuditQuery;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

/// An entry of the audit log in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its place, from 0.
    pub index: u64,
    /// Its canonical bytes: the leaf.
    pub bytes: Vec<u8>,
}

impl LogEntry {
    /// What the bytes say.
    ///
    /// # Errors
    /// An entry written by a version that knew more.
    pub fn entry(&self) -> Result<Entry, StoreError> {
        serde_json::from_slice(&self.bytes)
            .map_err(|e| StoreError::not_json(format!("audit entry {}", self.index), &e))
    }
}

/// A signed statement of how far the log went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Size of the log.
    pub size: u64,
    /// Its root at that size.
    pub root: Hash,
    /// The signed note.
    pub note: String,
    /// When it was saved.
    pub at: Timestamp,
}

fn read(row: &SqliteRow) -> Result<LogEntry, StoreError> {
    Ok(LogEntry {
        index: unsigned(row.try_get("idx")?, "a place in the audit log")?,
        bytes: row.try_get("entry")?,
    })
}

impl Store {
    /// Number of entries.
    ///
    /// # Errors
    /// The store's.
    pub async fn log_size(&self) -> Result<u64, StoreError> {
        Ok(append::state(self.state.readers()).await?.0)
    }

    /// Entries from this place on, in order; at most
    /// [`MAX_PAGE`](crate::MAX_PAGE) at a time.
    ///
    /// # Errors
    /// The store's.
    pub async fn log_entries(&self, from: u64, limit: u32) -> Result<Vec<LogEntry>, StoreError> {
        let rows =
            sqlx::query("SELECT idx, entry FROM log_entries WHERE idx >= ? ORDER BY idx LIMIT ?")
                .bind(signed(from, "a place in the audit log")?)
                .bind(i64::from(limit.min(MAX_PAGE)))
                .fetch_all(self.state.readers())
                .await?;
        rows.iter().map(read).collect()
    }

    /// A hash tile in the layout of tlog-tiles; none if the log has not got that
    /// far. `width` is 256 for a full tile.
    ///
    /// # Errors
    /// The store's.
    pub async fn log_tile(
        &self,
        level: u8,
        index: u64,
        width: u16,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let tile = Tile { kind: TileKind::Hashes { level }, index, width };
        if !self.has_tile(&tile).await? {
            return Ok(None);
        }
        let nodes = tile.nodes();
        let (Some(first), Some(last)) = (nodes.first(), nodes.last()) else { return Ok(None) };
        let rows: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT hash FROM log_hashes WHERE level = ? AND idx BETWEEN ? AND ? ORDER BY idx",
        )
        .bind(first.level)
        .bind(signed(first.index, "a place in the audit log")?)
        .bind(signed(last.index, "a place in the audit log")?)
        .fetch_all(self.state.readers())
        .await?;
        if rows.len() != nodes.len() {
            return Err(append::missing());
        }
        let hashes = rows.iter().map(|row| hash(row)).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(tile_bytes(&hashes)))
    }

    /// An entry bundle in the layout of tlog-tiles; none if the log has not got
    /// that far.
    ///
    /// # Errors
    /// The store's.
    pub async fn log_bundle(&self, index: u64, width: u16) -> Result<Option<Vec<u8>>, StoreError> {
        let tile = Tile { kind: TileKind::Entries, index, width };
        if !self.has_tile(&tile).await? {
            return Ok(None);
        }
        let from = index.saturating_mul(u64::from(TILE_WIDTH));
        let entries = self.log_entries(from, u32::from(width)).await?;
        let bytes: Vec<&[u8]> = entries.iter().map(|entry| entry.bytes.as_slice()).collect();
        entry_bundle(&bytes).map(Some).map_err(|e| StoreError::Corrupt(e.to_string()))
    }

    async fn has_tile(&self, tile: &Tile) -> Result<bool, StoreError> {
        let valid = (1..=TILE_WIDTH).contains(&tile.width);
        Ok(valid && tile.exists_at(self.log_size().await?))
    }

    /// Keeps a signed checkpoint. The root must be the log's own at that size;
    /// a checkpoint for a size already signed replaces the one before.
    ///
    /// # Errors
    /// [`LogError::NotThatLong`], [`LogError::OtherRoot`], or the store's.
    pub async fn save_checkpoint(
        &self,
        size: u64,
        root: &Hash,
        note: &str,
        now: Timestamp,
    ) -> Result<(), LogError> {
        if self.log_root(size).await? != *root {
            return Err(LogError::OtherRoot { size });
        }
        let mut writing = self.state.write().await?;
        sqlx::query(
            "INSERT INTO checkpoints (size, root, note, at) VALUES (?, ?, ?, ?)
             ON CONFLICT (size) DO UPDATE SET note = excluded.note, at = excluded.at",
        )
        .bind(signed(size, "the size of the audit log")?)
        .bind(root.as_slice())
        .bind(note)
        .bind(now.0)
        .execute(writing.connection())
        .await?;
        Ok(writing.commit().await?)
    }

    /// The checkpoint of the largest size, if one was saved.
    ///
    /// # Errors
    /// The store's.
    pub async fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        let row =
            sqlx::query("SELECT size, root, note, at FROM checkpoints ORDER BY size DESC LIMIT 1")
                .fetch_optional(self.state.readers())
                .await?;
        row.map(|row| {
            Ok(Checkpoint {
                size: unsigned(row.try_get("size")?, "the size of the audit log")?,
                root: hash(row.try_get("root")?)?,
                note: row.try_get("note")?,
                at: Timestamp(row.try_get("at")?),
            })
        })
        .transpose()
    }
}
