//! Carrying out a [`Tx`]: all of it or nothing.

use crate::audit::append;
use crate::blob::insert;
use crate::db::Writing;
use crate::error::{CommitError, StoreError};
use crate::object::{Kind, signed, unsigned};
use crate::tx::{Document, NewEffect, Tx, What, Write};
use crate::{Store, effect};
use domain::ids::{AppName, Generation};
use domain::merkle::Hash;
use domain::units::Timestamp;
use sqlx::{Row, SqliteConnection};
use std::ops::Range;

/// What a transaction led to. It is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The objects written, with their new generations, in the order of the
    /// transaction; the last generation of those deleted.
    pub objects: Vec<(Kind, String, Generation)>,
    /// Places of the audit entries in the log.
    pub entries: Range<u64>,
    /// Size of the audit log.
    pub log_size: u64,
    /// Its root at that size.
    pub log_root: Hash,
    /// Effects that were not enqueued before.
    pub new_effects: u64,
}

/// What a commit wrote, for whoever shows the state: what moved, not what it is
/// now. Told after the commit, in the end also of one that may not have gone
/// through; looking again is never wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// The objects.
    pub objects: Vec<TouchedObject>,
    /// New size of the audit log, if it grew.
    pub log_size: Option<u64>,
}

/// One object that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TouchedObject {
    /// Its kind.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// Its new generation; the last one if it was deleted.
    pub generation: Option<Generation>,
    /// The app it belongs to; unknown of what was deleted.
    pub app: Option<AppName>,
    /// The object it belongs to; unknown of what was deleted.
    pub parent: Option<String>,
}

impl Committed {
    /// The new generation of an object of this transaction.
    pub fn generation(&self, kind: Kind, id: impl std::fmt::Display) -> Option<Generation> {
        let id = id.to_string();
        let written = self.objects.iter().rev().find(|(k, i, _)| *k == kind && *i == id);
        written.map(|(_, _, generation)| *generation)
    }
}

impl Store {
    /// Carries out a transaction. When this returns `Ok`, all of it is durable;
    /// on an error nothing of it happened, except for [`CommitError::Unknown`].
    ///
    /// # Errors
    /// [`CommitError::Conflict`] if a generation is not as expected.
    pub async fn commit(&self, tx: Tx) -> Result<Committed, CommitError> {
        if let Some(error) = tx.error {
            return Err(error);
        }
        let mut touched = touched(&tx);
        let mut writing = self.state.write().await?;
        match carry_out(writing.connection(), tx).await {
            Ok(committed) => {
                touched.log_size =
                    Some(committed.log_size).filter(|_| !committed.entries.is_empty());
                for object in &mut touched.objects {
                    object.generation = committed.generation(object.kind, &object.id);
                }
                // Told in any case: a caller may hang up while this is under way,
                // and the commit goes through all the same.
                let _told = Telling { store: self, touched };
                finish(writing).await?;
                Ok(committed)
            }
            Err(error @ CommitError::Store(_)) => Err(error),
            Err(error) => {
                writing.roll_back().await?;
                Err(error)
            }
        }
    }

    /// The next number of a sequence, from 1. Durable when returned: it is never
    /// given again, though a number may be lost.
    ///
    /// # Errors
    /// The store's.
    pub async fn allocate(&self, sequence: &str) -> Result<u64, StoreError> {
        let mut writing = self.state.write().await?;
        let value: i64 = sqlx::query_scalar(
            "INSERT INTO sequences (name, value) VALUES (?, 1)
             ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
        )
        .bind(sequence)
        .fetch_one(writing.connection())
        .await?;
        writing.commit().await?;
        unsigned(value, "a sequence")
    }
}

fn touched(tx: &Tx) -> Touched {
    let object = |write: &Write| {
        let index = match &write.what {
            What::Create(doc) | What::Update(_, doc) | What::Put(doc) => Some(&doc.index),
            What::Delete(_) => None,
            What::Check(_) => return None,
        };
        Some(TouchedObject {
            kind: write.kind,
            id: write.id.clone(),
            generation: None,
            app: index.and_then(|index| index.app.clone()),
            parent: index.and_then(|index| index.parent.clone()),
        })
    };
    Touched { objects: tx.writes.iter().filter_map(object).collect(), log_size: None }
}

/// Tells of a commit when dropped.
struct Telling<'a> {
    store: &'a Store,
    touched: Touched,
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        self.store.commits.send_modify(|n| *n = n.wrapping_add(1));
        if let Some(listener) = self.store.listener.get() {
            listener(&self.touched);
        }
    }
}

/// Only a full disk and a lock are sure to have left nothing behind.
async fn finish(writing: Writing) -> Result<(), CommitError> {
    writing.commit().await.map_err(|error| match error {
        StoreError::Full | StoreError::Busy(_) => CommitError::Store(error),
        other => CommitError::Unknown(other),
    })
}

async fn carry_out(connection: &mut SqliteConnection, tx: Tx) -> Result<Committed, CommitError> {
    let mut objects = Vec::with_capacity(tx.writes.len());
    for write in tx.writes {
        objects.extend(object(connection, write, tx.now).await?);
    }
    for (digest, bytes) in &tx.blobs {
        insert(connection, digest, bytes).await?;
    }
    for id in tx.done {
        effect::done(connection, id, tx.now).await?;
    }
    let new_effects = effects(connection, &tx.effects, tx.now).await?;
    let grown = append::append(connection, &tx.leaves).await?;
    Ok(Committed {
        objects,
        entries: grown.entries,
        log_size: grown.size,
        log_root: grown.root,
        new_effects,
    })
}

async fn effects(
    connection: &mut SqliteConnection,
    effects: &[NewEffect],
    now: Timestamp,
) -> Result<u64, StoreError> {
    let mut new = 0;
    for effect in effects {
        new += effect::enqueue(connection, effect, now).await?;
    }
    Ok(new)
}

async fn object(
    connection: &mut SqliteConnection,
    write: Write,
    now: Timestamp,
) -> Result<Option<(Kind, String, Generation)>, CommitError> {
    let Write { kind, id, what } = write;
    let actual = generation(connection, kind, &id).await?;
    let expected = match &what {
        What::Create(_) => None,
        What::Update(expected, _) | What::Delete(expected) => Some(*expected),
        What::Put(_) => actual,
        What::Check(expected) => *expected,
    };
    if expected != actual {
        return Err(CommitError::Conflict { kind, id, expected, actual });
    }
    let written = match (what, actual) {
        (What::Check(_), _) => return Ok(None),
        (What::Create(doc) | What::Update(_, doc) | What::Put(doc), Some(present)) => {
            update(connection, kind, &id, present.next(), doc, now).await?
        }
        (What::Create(doc) | What::Update(_, doc) | What::Put(doc), None) => {
            create(connection, kind, &id, doc, now).await?
        }
        (What::Delete(present), _) => delete(connection, kind, &id, present).await?,
    };
    Ok(Some((kind, id, written)))
}

async fn generation(
    connection: &mut SqliteConnection,
    kind: Kind,
    id: &str,
) -> Result<Option<Generation>, StoreError> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT generation FROM objects WHERE kind = ? AND id = ?")
            .bind(kind.key())
            .bind(id)
            .fetch_optional(connection)
            .await?;
    found.map(|number| unsigned(number, "a stored generation").map(Generation)).transpose()
}

async fn create(
    connection: &mut SqliteConnection,
    kind: Kind,
    id: &str,
    doc: Document,
    now: Timestamp,
) -> Result<Generation, StoreError> {
    let row = sqlx::query(
        "INSERT INTO objects (kind, id, generation, app, state, parent, created_at, updated_at, doc)
         VALUES (?1, ?2,
            COALESCE((SELECT generation FROM tombstones WHERE kind = ?1 AND id = ?2), 0) + 1,
            ?3, ?4, ?5, ?6, ?6, ?7)
         RETURNING generation",
    )
    .bind(kind.key())
    .bind(id)
    .bind(doc.index.app.map(String::from))
    .bind(doc.index.state)
    .bind(doc.index.parent)
    .bind(now.0)
    .bind(doc.json)
    .fetch_one(connection)
    .await?;
    unsigned(row.try_get(0)?, "a stored generation").map(Generation)
}

async fn update(
    connection: &mut SqliteConnection,
    kind: Kind,
    id: &str,
    next: Generation,
    doc: Document,
    now: Timestamp,
) -> Result<Generation, StoreError> {
    sqlx::query(
        "UPDATE objects SET generation = ?, app = ?, state = ?, parent = ?, updated_at = ?, doc = ?
         WHERE kind = ? AND id = ?",
    )
    .bind(signed(next.0, "a generation")?)
    .bind(doc.index.app.map(String::from))
    .bind(doc.index.state)
    .bind(doc.index.parent)
    .bind(now.0)
    .bind(doc.json)
    .bind(kind.key())
    .bind(id)
    .execute(connection)
    .await?;
    Ok(next)
}

async fn delete(
    connection: &mut SqliteConnection,
    kind: Kind,
    id: &str,
    present: Generation,
) -> Result<Generation, StoreError> {
    sqlx::query("DELETE FROM objects WHERE kind = ? AND id = ?")
        .bind(kind.key())
        .bind(id)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "INSERT INTO tombstones (kind, id, generation) VALUES (?, ?, ?)
         ON CONFLICT (kind, id) DO UPDATE SET generation = excluded.generation",
    )
    .bind(kind.key())
    .bind(id)
    .bind(signed(present.0, "a generation")?)
    .execute(connection)
    .await?;
    Ok(present)
}
