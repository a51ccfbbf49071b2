//! Growing the log inside a transaction.

use crate::StoreError;
use crate::object::{signed, unsigned};
use crate::tx::Leaf;
use domain::merkle::{Edge, Hash, Node, empty_root, leaf_hash};
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use std::collections::BTreeMap;
use std::ops::Range;

/// The log after a transaction.
pub(crate) struct Grown {
    pub(crate) entries: Range<u64>,
    pub(crate) size: u64,
    pub(crate) root: Hash,
}

/// Appends the entries and the hashes they complete, and moves size and root.
pub(crate) async fn append(
    connection: &mut SqliteConnection,
    leaves: &[Leaf],
) -> Result<Grown, StoreError> {
    let (size, root) = state(&mut *connection).await?;
    if leaves.is_empty() {
        return Ok(Grown { entries: size..size, size, root });
    }
    let mut edge = edge(&mut *connection, size).await?;
    if edge.root() != root {
        return Err(StoreError::Corrupt("the audit log's hashes do not give its root".to_owned()));
    }
    for leaf in leaves {
        entry(connection, edge.size(), leaf).await?;
        for (node, hash) in edge.append(leaf_hash(&leaf.bytes)) {
            sqlx::query("INSERT INTO log_hashes (level, idx, hash) VALUES (?, ?, ?)")
                .bind(node.level)
                .bind(signed(node.index, "a place in the audit log")?)
                .bind(hash.as_slice())
                .execute(&mut *connection)
                .await?;
        }
    }
    let (grown, root) = (edge.size(), edge.root());
    sqlx::query(
        "INSERT INTO log_state (one, size, root) VALUES (1, ?, ?)
         ON CONFLICT (one) DO UPDATE SET size = excluded.size, root = excluded.root",
    )
    .bind(signed(grown, "the size of the audit log")?)
    .bind(root.as_slice())
    .execute(connection)
    .await?;
    Ok(Grown { entries: size..grown, size: grown, root })
}

async fn entry(
    connection: &mut SqliteConnection,
    index: u64,
    leaf: &Leaf,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO log_entries (idx, at, actor, action, object, app, entry)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(signed(index, "a place in the audit log")?)
    .bind(leaf.at.0)
    .bind(&leaf.actor)
    .bind(&leaf.action)
    .bind(&leaf.object)
    .bind(&leaf.app)
    .bind(leaf.bytes.as_slice())
    .execute(connection)
    .await?;
    Ok(())
}

/// Size and root as the last transaction left them.
pub(crate) async fn state<'e>(
    executor: impl sqlx::Executor<'e, Database = Sqlite>,
) -> Result<(u64, Hash), StoreError> {
    let row = sqlx::query("SELECT size, root FROM log_state WHERE one = 1")
        .fetch_optional(executor)
        .await?;
    match row {
        None => Ok((0, empty_root())),
        Some(row) => Ok((
            unsigned(row.try_get("size")?, "the size of the audit log")?,
            hash(row.try_get("root")?)?,
        )),
    }
}

/// The right edge of the log at a size it has reached.
pub(crate) async fn edge(
    executor: impl sqlx::Executor<'_, Database = Sqlite>,
    size: u64,
) -> Result<Edge, StoreError> {
    let nodes = Edge::nodes(size);
    let found = hashes(executor, &nodes).await?;
    let hashes = nodes.iter().filter_map(|node| found.get(node).copied()).collect();
    Edge::from_hashes(size, hashes).ok_or_else(missing)
}

pub(crate) fn missing() -> StoreError {
    StoreError::Corrupt("hashes of the audit log are missing".to_owned())
}

/// Stored hashes of complete subtrees, by place.
pub(crate) async fn hashes(
    executor: impl sqlx::Executor<'_, Database = Sqlite>,
    nodes: &[Node],
) -> Result<BTreeMap<Node, Hash>, StoreError> {
    if nodes.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut sql = QueryBuilder::<Sqlite>::new("SELECT level, idx, hash FROM log_hashes WHERE ");
    let mut places = sql.separated(" OR ");
    for node in nodes {
        places.push("(level = ").push_bind_unseparated(node.level);
        places.push_unseparated(" AND idx = ");
        places.push_bind_unseparated(signed(node.index, "a place in the audit log")?);
        places.push_unseparated(")");
    }
    let rows = sql.build().fetch_all(executor).await?;
    rows.iter()
        .map(|row| {
            let index = unsigned(row.try_get("idx")?, "a place in the audit log")?;
            Ok((Node { level: row.try_get("level")?, index }, hash(row.try_get("hash")?)?))
        })
        .collect()
}

pub(crate) fn hash(bytes: &[u8]) -> Result<Hash, StoreError> {
    bytes
        .try_into()
        .map_err(|_| StoreError::Corrupt("a hash of the audit log has the wrong length".to_owned()))
}
