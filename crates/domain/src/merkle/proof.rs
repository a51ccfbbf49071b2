//! Proofs that an entry is in a log, and that a log only grew.

use super::tree::{Hash, Node, cover, join, node_hash};

/// A proof asked for that no such log can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotProvable {
    /// The log is not that long.
    #[error("entry {index} is not in a log of {size}")]
    NoSuchEntry {
        /// Asked for.
        index: u64,
        /// Length of the log.
        size: u64,
    },
    /// A log cannot have shrunk.
    #[error("a log of {old} cannot have grown to {new}")]
    Shrunk {
        /// Earlier length.
        old: u64,
        /// Later length.
        new: u64,
    },
}

/// The leaves `[low, high)` whose hash is one element of a proof.
type Range = (u64, u64);

/// Where a tree over `[low, high)` is split: its left part is the largest power
/// of two smaller than the whole.
fn split(low: u64, high: u64) -> u64 {
    low + (1 << (high - low - 1).ilog2())
}

fn inclusion_ranges(index: u64, size: u64) -> Result<Vec<Range>, NotProvable> {
    if index >= size {
        return Err(NotProvable::NoSuchEntry { index, size });
    }
    let (mut low, mut high) = (0, size);
    let mut ranges = Vec::new();
    while high - low > 1 {
        let middle = split(low, high);
        if index < middle {
            ranges.push((middle, high));
            high = middle;
        } else {
            ranges.push((low, middle));
            low = middle;
        }
    }
    ranges.reverse();
    Ok(ranges)
}

fn consistency_ranges(old: u64, new: u64) -> Result<Vec<Range>, NotProvable> {
    if old > new {
        return Err(NotProvable::Shrunk { old, new });
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut low, mut high) = (0, new);
    let mut ranges = Vec::new();
    while old != high {
        let middle = split(low, high);
        if old <= middle {
            ranges.push((middle, high));
            high = middle;
        } else {
            ranges.push((low, middle));
            low = middle;
        }
    }
    // The verifier knows the old root; it needs this part only if it is not
    // the whole old tree.
    if low != 0 {
        ranges.push((low, high));
    }
    ranges.reverse();
    Ok(ranges)
}

fn nodes_of(ranges: &[Range]) -> Vec<Node> {
    ranges.iter().flat_map(|(low, high)| cover(*low, *high)).collect()
}

fn hashes_of<E>(
    ranges: &[Range],
    mut hash: impl FnMut(Node) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let mut proof = Vec::with_capacity(ranges.len());
    for (low, high) in ranges {
        let parts = cover(*low, *high).into_iter().map(&mut hash).collect::<Result<Vec<_>, E>>()?;
        proof.extend(join(&parts));
    }
    Ok(proof)
}

/// The subtrees whose hashes [`inclusion_proof`] will ask for.
///
/// # Errors
/// [`NotProvable::NoSuchEntry`].
pub fn inclusion_nodes(index: u64, size: u64) -> Result<Vec<Node>, NotProvable> {
    inclusion_ranges(index, size).map(|ranges| nodes_of(&ranges))
}

/// The proof that leaf `index` is in the log of `size`, from leaf to root.
///
/// # Errors
/// [`NotProvable`], or what the source of hashes says.
pub fn inclusion_proof<E: From<NotProvable>>(
    index: u64,
    size: u64,
    hash: impl FnMut(Node) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    hashes_of(&inclusion_ranges(index, size)?, hash)
}

/// The subtrees whose hashes [`consistency_proof`] will ask for.
///
/// # Errors
/// [`NotProvable::Shrunk`].
pub fn consistency_nodes(old: u64, new: u64) -> Result<Vec<Node>, NotProvable> {
    consistency_ranges(old, new).map(|ranges| nodes_of(&ranges))
}

/// The proof that the log of `old` is the beginning of the log of `new`.
///
/// # Errors
/// [`NotProvable`], or what the source of hashes says.
pub fn consistency_proof<E: From<NotProvable>>(
    old: u64,
    new: u64,
    hash: impl FnMut(Node) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    hashes_of(&consistency_ranges(old, new)?, hash)
}

/// The walk from a leaf to the root that both verifications share (RFC 9162
/// section 2.1.3.2, steps 3 and 4): `place` is the subtree looked at, `last` the
/// rightmost one of its level.
struct Climb {
    place: u64,
    last: u64,
}

impl Climb {
    fn up(&mut self) {
        self.place >>= 1;
        self.last >>= 1;
    }

    /// Climbs one hash of the proof, past the levels on which the subtree has
    /// no neighbour; true if that hash stands to the left.
    fn climb(&mut self) -> bool {
        let left = self.place & 1 == 1 || self.place == self.last;
        if left {
            while self.place & 1 == 0 && self.place != 0 {
                self.up();
            }
        }
        self.up();
        left
    }
}

/// True if the proof shows that `leaf` is entry `index` of the log of `size`
/// with this root.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let mut climb = Climb { place: index, last: size - 1 };
    let mut hash = *leaf;
    for other in proof {
        if climb.last == 0 {
            return false;
        }
        hash = if climb.climb() { node_hash(other, &hash) } else { node_hash(&hash, other) };
    }
    climb.last == 0 && hash == *root
}

/// True if the proof shows that the log of `old` entries with `old_root` is the
/// beginning of the log of `new` entries with `new_root`.
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> bool {
    if old > new {
        return false;
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    if old == 0 {
        return proof.is_empty() && *old_root == super::empty_root();
    }
    let (start, rest) = if old.is_power_of_two() {
        (old_root, proof)
    } else {
        let Some((first, rest)) = proof.split_first() else { return false };
        (first, rest)
    };
    let mut climb = Climb { place: old - 1, last: new - 1 };
    while climb.place & 1 == 1 {
        climb.up();
    }
    let (mut small, mut large) = (*start, *start);
    for other in rest {
        if climb.last == 0 {
            return false;
        }
        if climb.climb() {
            small = node_hash(other, &small);
            large = node_hash(other, &large);
        } else {
            large = node_hash(&large, other);
        }
    }
    climb.last == 0 && small == *old_root && large == *new_root
}

#[cfg(test)]
mod tests {
    use super::super::{Edge, empty_root, leaf_hash, root};
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use tlog_tiles::{
        Hash as TheirHash, HashReader, check_record, check_tree, prove_record, prove_tree,
        record_hash, split_stored_hash_index, tree_hash,
    };

    /// A log of the entries "0", "1", …: every complete subtree, and the root
    /// at every size.
    struct Log {
        nodes: BTreeMap<Node, Hash>,
        roots: Vec<Hash>,
    }

    impl Log {
        fn of(size: u64) -> Self {
            let mut edge = Edge::default();
            let mut log = Log { nodes: BTreeMap::new(), roots: vec![edge.root()] };
            for i in 0..size {
                log.nodes.extend(edge.append(leaf_hash(i.to_string().as_bytes())));
                log.roots.push(edge.root());
            }
            log
        }

        fn hash(&self, node: Node) -> Result<Hash, NotProvable> {
            Ok(self.nodes[&node])
        }

        fn inclusion(&self, index: u64, size: u64) -> Vec<Hash> {
            inclusion_proof(index, size, |n| self.hash(n)).unwrap()
        }

        fn consistency(&self, old: u64, new: u64) -> Vec<Hash> {
            consistency_proof(old, new, |n| self.hash(n)).unwrap()
        }
    }

    impl HashReader for Log {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<TheirHash>, tlog_tiles::Error> {
            Ok(indexes
                .iter()
                .map(|i| {
                    let (level, index) = split_stored_hash_index(*i);
                    TheirHash(self.nodes[&Node { level, index }])
                })
                .collect())
        }
    }

    #[test]
    fn roots_are_those_of_the_published_vectors() {
        let log = Log::of(300);
        assert_eq!(root(&[]), empty_root());
        for (size, want) in [
            (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (1, "db3426e878068d28d269b6c87172322ce5372b65756d0789001d34835f601c03"),
            (3, "725d5230db68f557470dc35f1d8865813acd7ebb07ad152774141decbae71327"),
            (257, "1eda049a4351d86f76252bd7ec0b7746ad75b7fa0316ad5f541dbda458a312c4"),
            (300, "84e13ec1e037155ae619757599b2cd21ada5a565e0fd9b3139c0c3c6c1b8ada9"),
        ] {
            assert_eq!(hex::encode(log.roots[size]), want, "root of {size}");
        }
    }

    #[test]
    fn every_inclusion_is_proven_as_the_other_implementation_proves_it() {
        let log = Log::of(70);
        for size in 1..=70_u64 {
            let top = log.roots[size as usize];
            assert_eq!(tree_hash(size, &log).unwrap().0, top, "root of {size}");
            for index in 0..size {
                let ours = log.inclusion(index, size);
                let theirs = prove_record(size, index, &log).unwrap();
                assert_eq!(ours, theirs.iter().map(|h| h.0).collect::<Vec<_>>(), "{index}/{size}");
                let leaf = leaf_hash(index.to_string().as_bytes());
                assert_eq!(leaf, record_hash(index.to_string().as_bytes()).0);
                assert!(verify_inclusion(&leaf, index, size, &ours, &top), "{index}/{size}");
                check_record(&theirs, size, TheirHash(top), index, TheirHash(leaf)).unwrap();
            }
        }
    }

    #[test]
    fn every_growth_is_proven_as_the_other_implementation_proves_it() {
        let log = Log::of(70);
        for new in 0..=70_u64 {
            for old in 0..=new {
                let ours = log.consistency(old, new);
                let (a, b) = (log.roots[old as usize], log.roots[new as usize]);
                assert!(verify_consistency(old, &a, new, &b, &ours), "{old}→{new}");
                if old > 0 {
                    let theirs = prove_tree(new, old, &log).unwrap();
                    assert_eq!(ours, theirs.iter().map(|h| h.0).collect::<Vec<_>>(), "{old}→{new}");
                    check_tree(&theirs, new, TheirHash(b), old, TheirHash(a)).unwrap();
                }
            }
        }
    }

    #[test]
    fn the_nodes_named_beforehand_are_the_nodes_asked_for() {
        let log = Log::of(100);
        for (index, size) in [(0, 1), (5, 7), (63, 64), (64, 65), (12, 100)] {
            let mut asked = Vec::new();
            inclusion_proof(index, size, |n| {
                asked.push(n);
                log.hash(n)
            })
            .unwrap();
            assert_eq!(asked, inclusion_nodes(index, size).unwrap());
        }
        assert_eq!(inclusion_nodes(7, 7), Err(NotProvable::NoSuchEntry { index: 7, size: 7 }));
        assert_eq!(consistency_nodes(8, 7), Err(NotProvable::Shrunk { old: 8, new: 7 }));
    }

    #[test]
    fn an_edge_is_restored_from_the_nodes_it_names() {
        let log = Log::of(300);
        for size in [0_u64, 1, 2, 3, 255, 256, 257, 300] {
            let hashes: Vec<_> = Edge::nodes(size).iter().map(|n| log.nodes[n]).collect();
            let edge = Edge::from_hashes(size, hashes.clone()).unwrap();
            assert_eq!(edge.root(), log.roots[size as usize]);
            if let Some((_, fewer)) = hashes.split_last() {
                assert_eq!(Edge::from_hashes(size, fewer.to_vec()), None);
            }
        }
    }

    proptest! {
        /// Any flipped bit, other index, other size or other length is refused.
        #[test]
        fn a_bent_inclusion_proof_is_refused(size in 2_u64..200, pick: u64, at: usize, bit in 0_u8..8) {
            let log = Log::of(size);
            let index = pick % size;
            let leaf = leaf_hash(index.to_string().as_bytes());
            let top = log.roots[size as usize];
            let proof = log.inclusion(index, size);
            let mut bent = proof.clone();
            let place = at % bent.len();
            bent[place][at % 32] ^= 1 << bit;
            prop_assert!(!verify_inclusion(&leaf, index, size, &bent, &top));
            prop_assert!(!verify_inclusion(&leaf, (index + 1) % size, size, &proof, &top));
            prop_assert!(!verify_inclusion(&leaf, index, size, &proof[1..], &top));
            let mut longer = proof.clone();
            longer.push(top);
            prop_assert!(!verify_inclusion(&leaf, index, size, &longer, &top));
        }

        #[test]
        fn a_rewritten_past_is_refused(new in 3_u64..200, pick: u64, at: usize, bit in 0_u8..8) {
            let old = 1 + pick % (new - 1);
            let log = Log::of(new);
            let (a, b) = (log.roots[old as usize], log.roots[new as usize]);
            let proof = log.consistency(old, new);
            let mut other = a;
            other[at % 32] ^= 1 << bit;
            prop_assert!(!verify_consistency(old, &other, new, &b, &proof));
            prop_assert!(!verify_consistency(new, &b, old, &a, &proof));
            let mut bent = proof.clone();
            let place = at % bent.len();
            bent[place][at % 32] ^= 1 << bit;
            prop_assert!(!verify_consistency(old, &a, new, &b, &bent));
            prop_assert!(!verify_consistency(old, &a, new, &b, &proof[1..]));
        }

        /// Numbers from outside never panic.
        #[test]
        fn any_numbers_are_answered(a: u64, b: u64, proof in proptest::collection::vec(any::<[u8; 32]>(), 0..70)) {
            let h = [0; 32];
            prop_assert!(!verify_inclusion(&h, a, b, &proof, &h));
            prop_assert!(!verify_consistency(a, &h, b, &h, &proof) || (a == b && proof.is_empty()));
            prop_assert_eq!(inclusion_nodes(a, b).is_ok(), a < b);
            prop_assert_eq!(consistency_nodes(a, b).is_ok(), a <= b);
        }
    }
}
