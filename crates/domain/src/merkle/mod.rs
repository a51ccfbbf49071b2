//! The arithmetic of the audit log: a Merkle tree as in RFC 9162 (the one of
//! RFC 6962), and its tiles as in C2SP `tlog-tiles`.
//!
//! Nothing here keeps a tree. A log of any length is appended to by knowing
//! only its [`Edge`] (one hash per bit of its size), and proofs are made from
//! the hashes of complete subtrees, asked for by their place ([`Node`]). Who
//! stores them, and how, is the caller's business; because the places needed
//! are known beforehand ([`inclusion_nodes`], [`consistency_nodes`],
//! [`Edge::nodes`]), a store can fetch them in one query.
//!
//! What must stay true:
//! - a complete subtree never changes once it exists: its hash may be stored;
//! - verification takes nothing on trust but the two roots.

mod proof;
mod tiles;
mod tree;

pub use proof::{
    NotProvable, consistency_nodes, consistency_proof, inclusion_nodes, inclusion_proof,
    verify_consistency, verify_inclusion,
};
pub use tiles::{
    BadBundle, TILE_HEIGHT, TILE_WIDTH, Tile, TileKind, entries_path, entry_bundle,
    parse_entry_bundle, tile_bytes, tile_path, tiles,
};
pub use tree::{Edge, Hash, Node, empty_root, leaf_hash, node_hash, root};
