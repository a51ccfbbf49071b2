//! Hashes, complete subtrees and the growing edge of a log.

use sha2::{Digest as _, Sha256};

/// A hash of the tree: SHA-256.
pub type Hash = [u8; 32];

/// The hash of an entry. The prefix keeps a leaf from being taken for a node.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new_with_prefix([0]).chain_update(entry).finalize().into()
}

/// The hash of two subtrees side by side.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new_with_prefix([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of a log without entries: the hash of nothing.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The root over all leaf hashes at hand. For long logs use an [`Edge`].
pub fn root(leaves: &[Hash]) -> Hash {
    let mut edge = Edge::default();
    for leaf in leaves {
        edge.append(*leaf);
    }
    edge.root()
}

/// The place of a complete subtree: at `level`, the one that covers the leaves
/// `[index · 2^level, (index + 1) · 2^level)`. Level 0 are the leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// Height of the subtree; it covers 2^level leaves.
    pub level: u8,
    /// Its place among the subtrees of that height, from the left.
    pub index: u64,
}

/// Complete subtrees that together cover the leaves `[low, high)`, largest
/// (leftmost) first. `low` must be a multiple of the range's size rounded up to
/// a power of two, as it is for every range a proof needs.
pub(super) fn cover(low: u64, high: u64) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut at = low;
    while at < high {
        let level = (high - at).ilog2();
        // `ilog2` of a 64-bit number is below 64.
        nodes.push(Node { level: level as u8, index: at >> level });
        at += 1 << level;
    }
    nodes
}

/// Joins the hashes of [`cover`] into the hash of the range.
pub(super) fn join(hashes: &[Hash]) -> Option<Hash> {
    hashes.iter().rev().copied().reduce(|right, left| node_hash(&left, &right))
}

/// The right edge of a log: all that is needed to append to it and to know its
/// root. One hash per complete subtree, largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    hashes: Vec<Hash>,
}

impl Edge {
    /// The subtrees whose hashes make up the edge of a log of this size, in the
    /// order in which [`Edge::from_hashes`] wants them.
    pub fn nodes(size: u64) -> Vec<Node> {
        cover(0, size)
    }

    /// The edge from stored hashes; none if there are not as many as
    /// [`Edge::nodes`] names.
    pub fn from_hashes(size: u64, hashes: Vec<Hash>) -> Option<Self> {
        (hashes.len() == size.count_ones() as usize).then_some(Self { size, hashes })
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root.
    pub fn root(&self) -> Hash {
        join(&self.hashes).unwrap_or_else(empty_root)
    }

    /// Appends a leaf and returns the subtrees it completes, the leaf first:
    /// exactly the rows a store must add.
    pub fn append(&mut self, leaf: Hash) -> Vec<(Node, Hash)> {
        let mut node = Node { level: 0, index: self.size };
        let mut hash = leaf;
        let mut completed = vec![(node, hash)];
        while node.index & 1 == 1 {
            let Some(left) = self.hashes.pop() else { break };
            hash = node_hash(&left, &hash);
            node = Node { level: node.level + 1, index: node.index >> 1 };
            completed.push((node, hash));
        }
        self.hashes.push(hash);
        self.size += 1;
        completed
    }
}
