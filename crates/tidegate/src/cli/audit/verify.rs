//! The verification itself: every entry is hashed, every published hash is
//! compared with one recomputed, and the root with the signed checkpoint.
//!
//! What must stay true: the only thing taken on trust is the key. A log that
//! was verified before may only have grown.

use super::source::Source;
use crate::cli::context::Verified;
use crate::cli::failure::{Exit, Failure};
use domain::audit::Entry;
use domain::merkle::{
    Edge, Hash, Node, TILE_HEIGHT, TILE_WIDTH, Tile, TileKind, leaf_hash, parse_entry_bundle, tiles,
};
use domain::note::{VerifyingKey, open_checkpoint};
use domain::units::Timestamp;
use std::collections::BTreeMap;

/// A log that held.
#[derive(Debug)]
pub struct Whole {
    /// Entries under the signed checkpoint.
    pub entries: u64,
    /// Entries after it, whose hashes held too.
    pub unsigned: u64,
    /// Root of the signed entries.
    pub root: Hash,
    /// Name of the log.
    pub origin: String,
    /// When the last entry was made.
    pub last_at: Option<Timestamp>,
}

impl Whole {
    /// The root in hexadecimal.
    pub fn root_hex(&self) -> String {
        hex::encode(self.root)
    }
}

/// Verifies a whole log.
///
/// # Errors
/// With [`Exit::NotVerified`], naming the entry; or what reading it said.
pub async fn verify(
    source: &Source,
    key: &VerifyingKey,
    before: Option<&Verified>,
) -> Result<Whole, Failure> {
    let note = source.checkpoint().await?;
    let checkpoint = open_checkpoint(&note, key.name(), std::slice::from_ref(key))
        .map_err(|e| broken("the checkpoint does not verify", e.to_string()))?;
    let length = source.length(checkpoint.size).await?;
    if length < checkpoint.size {
        return Err(broken(
            &format!(
                "the log is cut off: {length} entries are left of {} that were signed",
                checkpoint.size
            ),
            format!("entry {length} is the first that is missing"),
        ));
    }
    let mut tree = Tree::new(before.map(|b| b.size), checkpoint.size);
    for tile in tiles(length).filter(|t| t.kind == TileKind::Entries) {
        let bundle = source.tile(&tile).await?;
        let hashes = source.tile(&Tile { kind: TileKind::Hashes { level: 0 }, ..tile }).await?;
        tree.take(&tile, &bundle, &hashes)?;
    }
    for tile in tiles(length) {
        if matches!(tile.kind, TileKind::Hashes { level } if level > 0) {
            tree.compare(&tile, &source.tile(&tile).await?)?;
        }
    }
    if let Some(before) = before {
        only_grown(before, checkpoint.size, tree.before)?;
    }
    let root = tree.signed.unwrap_or_else(domain::merkle::empty_root);
    if root != checkpoint.root {
        return Err(broken(
            "the entries do not lead to the signed checkpoint",
            format!(
                "their root is {}, the signed one {}",
                hex::encode(root),
                hex::encode(checkpoint.root)
            ),
        ));
    }
    Ok(Whole {
        entries: checkpoint.size,
        unsigned: length - checkpoint.size,
        root,
        origin: checkpoint.origin,
        last_at: tree.last_at,
    })
}

fn only_grown(before: &Verified, size: u64, root: Option<Hash>) -> Result<(), Failure> {
    if size < before.size {
        return Err(broken(
            &format!(
                "the log has shrunk: it had {} entries when it was last verified, now {size}",
                before.size
            ),
            "entries were removed, or the server was restored from an older copy".to_owned(),
        ));
    }
    let root = root.unwrap_or_else(domain::merkle::empty_root);
    if hex::encode(root) != before.root {
        return Err(broken(
            &format!("the first {} entries are not the ones verified before", before.size),
            "history was rewritten since then".to_owned(),
        ));
    }
    Ok(())
}

/// The tree as recomputed from entries alone.
struct Tree {
    edge: Edge,
    /// Recomputed hashes that higher tiles publish.
    published: BTreeMap<Node, Hash>,
    size_before: Option<u64>,
    size_signed: u64,
    /// Root when the log was as long as last time.
    before: Option<Hash>,
    /// Root when the log was as long as the checkpoint says.
    signed: Option<Hash>,
    last_at: Option<Timestamp>,
}

impl Tree {
    fn new(size_before: Option<u64>, size_signed: u64) -> Self {
        Self {
            edge: Edge::default(),
            published: BTreeMap::new(),
            size_before,
            size_signed,
            before: None,
            signed: None,
            last_at: None,
        }
    }

    /// Takes the entries of a bundle, comparing each with its published hash.
    fn take(&mut self, tile: &Tile, bundle: &[u8], hashes: &[u8]) -> Result<(), Failure> {
        let first = tile.index.saturating_mul(u64::from(TILE_WIDTH));
        let entries = parse_entry_bundle(bundle)
            .map_err(|e| broken(&format!("`{tile}` is damaged"), e.to_string()))?;
        let (published, rest) = hashes.as_chunks::<32>();
        if entries.len() != usize::from(tile.width)
            || published.len() != entries.len()
            || !rest.is_empty()
        {
            return Err(broken(
                &format!("`{tile}` holds {} entries and {} hashes", entries.len(), published.len()),
                format!("it should hold {}, from entry {first} on", tile.width),
            ));
        }
        for ((index, entry), published) in (first..).zip(&entries).zip(published) {
            self.append(index, entry, published)?;
        }
        Ok(())
    }

    fn append(&mut self, index: u64, entry: &[u8], published: &Hash) -> Result<(), Failure> {
        let leaf = leaf_hash(entry);
        if leaf != *published {
            return Err(broken(
                &format!("entry {index} was altered"),
                format!(
                    "its hash is {}, the log says {}",
                    hex::encode(leaf),
                    hex::encode(published)
                ),
            ));
        }
        let read: Entry = serde_json::from_slice(entry)
            .map_err(|e| broken(&format!("entry {index} cannot be read"), e.to_string()))?;
        self.last_at = Some(read.at);
        let completed = self.edge.append(leaf);
        self.published.extend(
            completed
                .into_iter()
                .filter(|(node, _)| node.level > 0 && node.level % TILE_HEIGHT == 0),
        );
        let size = self.edge.size();
        if Some(size) == self.size_before {
            self.before = Some(self.edge.root());
        }
        if size == self.size_signed {
            self.signed = Some(self.edge.root());
        }
        Ok(())
    }

    /// Compares a higher hash tile with what the entries say.
    fn compare(&self, tile: &Tile, hashes: &[u8]) -> Result<(), Failure> {
        let (published, _) = hashes.as_chunks::<32>();
        for (node, given) in tile.nodes().iter().zip(published) {
            if self.published.get(node) != Some(given) {
                let first = node.index << node.level;
                return Err(broken(
                    &format!("`{tile}` does not follow from the entries"),
                    format!(
                        "the hash over the {} entries from {first} on differs",
                        1_u64 << node.level
                    ),
                ));
            }
        }
        Ok(())
    }
}

fn broken(what: &str, why: String) -> Failure {
    Failure::new(Exit::NotVerified, format!("the audit log is not whole: {what}"))
        .why(why)
        .fix("keep the data directory as it is and compare it with a backup; somebody may have tampered with it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::merkle::{entry_bundle, tile_bytes};
    use proptest::prelude::*;

    fn entry(n: u64) -> Vec<u8> {
        serde_json::to_vec(&serde_json::json!({
            "apiVersion": "tidegate/v1", "at": n, "actor": {"kind": "system"},
            "action": "test.happened", "object": format!("test/{n}"),
        }))
        .unwrap()
    }

    fn tile(width: u16) -> Tile {
        Tile { kind: TileKind::Entries, index: 0, width }
    }

    fn files(entries: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
        let hashes: Vec<Hash> = entries.iter().map(|e| leaf_hash(e)).collect();
        (entry_bundle(entries).unwrap(), tile_bytes(&hashes))
    }

    proptest! {
        /// Whichever entry is altered, that one is named.
        #[test]
        fn an_altered_entry_is_named(n in 1_u16..100, at in any::<prop::sample::Index>()) {
            let mut entries: Vec<_> = (0..u64::from(n)).map(entry).collect();
            let (bundle, hashes) = files(&entries);
            let mut whole = Tree::new(None, u64::from(n));
            prop_assert!(whole.take(&tile(n), &bundle, &hashes).is_ok());
            let victim = at.index(entries.len());
            entries[victim] = entry(1000);
            let (altered, _) = files(&entries);
            let failure = Tree::new(None, u64::from(n)).take(&tile(n), &altered, &hashes).unwrap_err();
            prop_assert_eq!(failure.exit, Exit::NotVerified);
            let named = format!("entry {victim} was altered");
            prop_assert!(failure.error.contains(&named), "{}", failure.error);
        }
    }

    #[test]
    fn a_higher_tile_that_does_not_follow_is_found() {
        let entries: Vec<_> = (0..256).map(entry).collect();
        let (bundle, hashes) = files(&entries);
        let mut tree = Tree::new(Some(100), 256);
        tree.take(&tile(256), &bundle, &hashes).unwrap();
        let upper = Tile { kind: TileKind::Hashes { level: 1 }, index: 0, width: 1 };
        assert!(tree.compare(&upper, &tree.edge.root()).is_ok());
        assert!(
            tree.compare(&upper, &[0; 32])
                .unwrap_err()
                .why
                .unwrap()
                .contains("256 entries from 0 on")
        );
        assert_eq!(
            tree.before,
            Some(domain::merkle::root(
                &entries[..100].iter().map(|e| leaf_hash(e)).collect::<Vec<_>>()
            ))
        );
    }

    #[test]
    fn a_log_may_only_have_grown() {
        let before = Verified { size: 5, root: hex::encode([1; 32]) };
        assert!(only_grown(&before, 4, None).unwrap_err().error.contains("shrunk"));
        assert!(
            only_grown(&before, 9, Some([2; 32])).unwrap_err().error.contains("first 5 entries")
        );
        assert!(only_grown(&before, 9, Some([1; 32])).is_ok());
    }
}
