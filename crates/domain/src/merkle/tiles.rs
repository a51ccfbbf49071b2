//! Tiles: how a log is published as files that never change (C2SP
//! `tlog-tiles`).
//!
//! A hash tile holds up to 256 hashes of one tree level, levels eight apart;
//! an entry tile holds the entries under the hash tile of level 0 with the same
//! index. A tile that is not full carries its width in its path, so that each
//! published file stays as it is for ever.

use super::tree::{Hash, Node};
use std::{fmt, str::FromStr};

/// Tree levels between two levels of tiles.
pub const TILE_HEIGHT: u8 = 8;
/// Hashes in a full tile.
pub const TILE_WIDTH: u16 = 256;
/// Highest tile level a log of 2^64 entries could have.
const MAX_TILE_LEVEL: u8 = 7;

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Hashes of the tree level `8 · level`.
    Hashes {
        /// The tile level, from 0.
        level: u8,
    },
    /// Entries, each after its length in two bytes.
    Entries,
}

/// One file of a published log. Its text form is its path below the log's
/// prefix, for example `tile/0/x001/x234/067` or `tile/entries/000.p/5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// What it holds.
    pub kind: TileKind,
    /// Its place, from 0.
    pub index: u64,
    /// How many it holds, 1 to [`TILE_WIDTH`].
    pub width: u16,
}

impl Tile {
    /// The subtrees whose hashes a hash tile is made of, in order; the leaves
    /// an entry tile belongs to.
    pub fn nodes(&self) -> Vec<Node> {
        let level = match self.kind {
            TileKind::Hashes { level } => level.saturating_mul(TILE_HEIGHT),
            TileKind::Entries => 0,
        };
        let first = self.index.saturating_mul(u64::from(TILE_WIDTH));
        (0..u64::from(self.width)).map(|i| Node { level, index: first.saturating_add(i) }).collect()
    }

    /// True if a log of this size has published this tile: its last hash is
    /// that of a complete subtree.
    pub fn exists_at(&self, size: u64) -> bool {
        let level = match self.kind {
            TileKind::Hashes { level } => u32::from(level) * u32::from(TILE_HEIGHT),
            TileKind::Entries => 0,
        };
        let complete = size.checked_shr(level).unwrap_or(0);
        self.index
            .checked_mul(u64::from(TILE_WIDTH))
            .and_then(|first| first.checked_add(u64::from(self.width)))
            .is_some_and(|end| end <= complete)
    }
}

/// Path of a hash tile; full with a width of 256.
pub fn tile_path(level: u8, index: u64, width: u16) -> String {
    Tile { kind: TileKind::Hashes { level }, index, width }.to_string()
}

/// Path of an entry tile; full with a width of 256.
pub fn entries_path(index: u64, width: u16) -> String {
    Tile { kind: TileKind::Entries, index, width }.to_string()
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes { level } => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        let digits = self.index.to_string();
        let groups = format!("{digits:0>width$}", width = digits.len().div_ceil(3) * 3);
        let last = groups.len() - 3;
        for start in (0..last).step_by(3) {
            write!(f, "x{}/", groups.get(start..start + 3).unwrap_or_default())?;
        }
        f.write_str(groups.get(last..).unwrap_or_default())?;
        if self.width < TILE_WIDTH { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl FromStr for Tile {
    type Err = crate::ids::InvalidId;
    fn from_str(path: &str) -> Result<Self, Self::Err> {
        parse(path)
            // One tile has one path: no leading zeros, no empty groups.
            .filter(|tile| tile.to_string() == path)
            .ok_or_else(|| crate::ids::InvalidId {
                given: path.to_owned(),
                wanted: "a tile of the log, such as `tile/0/x001/234` or `tile/entries/000.p/17`",
            })
    }
}

fn parse(path: &str) -> Option<Tile> {
    let (kind, rest) = path.strip_prefix("tile/")?.split_once('/')?;
    let kind = if kind == "entries" {
        TileKind::Entries
    } else {
        TileKind::Hashes { level: kind.parse().ok().filter(|l| *l <= MAX_TILE_LEVEL)? }
    };
    let (index, width) = match rest.split_once(".p/") {
        Some((index, width)) => {
            (index, width.parse().ok().filter(|w| (1..TILE_WIDTH).contains(w))?)
        }
        None => (rest, TILE_WIDTH),
    };
    let digits: String = index.chars().filter(|c| !matches!(c, 'x' | '/')).collect();
    Some(Tile { kind, index: digits.parse().ok()?, width })
}

/// Every tile of a log of this size, hashes and entries, partial ones included.
pub fn tiles(size: u64) -> impl Iterator<Item = Tile> {
    let hashes = (0..=MAX_TILE_LEVEL).map(|level| (TileKind::Hashes { level }, level));
    std::iter::once((TileKind::Entries, 0)).chain(hashes).flat_map(move |(kind, level)| {
        let count = size >> (u32::from(level) * u32::from(TILE_HEIGHT));
        let width = u64::from(TILE_WIDTH);
        (0..count.div_ceil(width)).map(move |index| {
            // At most 256 by `min`.
            let held = (count - index * width).min(width) as u16;
            Tile { kind, index, width: held }
        })
    })
}

/// The content of a hash tile.
pub fn tile_bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.concat()
}

/// A bundle of entries that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBundle {
    /// The length has two bytes.
    #[error(
        "an entry of {0} bytes does not fit into the log; the longest is 65535, so put larger evidence in by digest"
    )]
    TooLong(usize),
    /// An entry ends before its length.
    #[error("the bundle of entries is cut off at byte {0}")]
    Cut(usize),
}

/// The content of an entry tile.
///
/// # Errors
/// [`BadBundle::TooLong`].
pub fn entry_bundle<B: AsRef<[u8]>>(entries: &[B]) -> Result<Vec<u8>, BadBundle> {
    let mut bundle = Vec::new();
    for entry in entries.iter().map(AsRef::as_ref) {
        let length = u16::try_from(entry.len()).map_err(|_| BadBundle::TooLong(entry.len()))?;
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    Ok(bundle)
}

/// The entries of a bundle.
///
/// # Errors
/// [`BadBundle::Cut`].
pub fn parse_entry_bundle(bundle: &[u8]) -> Result<Vec<&[u8]>, BadBundle> {
    let mut entries = Vec::new();
    let mut rest = bundle;
    while !rest.is_empty() {
        let cut = || BadBundle::Cut(bundle.len() - rest.len());
        let (length, after) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, after) = after.split_at_checked(length).ok_or_else(cut)?;
        entries.push(entry);
        rest = after;
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        for (tile, path) in [
            (tile_path(0, 1_234_067, 256), "tile/0/x001/x234/067"),
            (tile_path(1, 0, 256), "tile/1/000"),
            (tile_path(2, 0, 1), "tile/2/000.p/1"),
            (entries_path(273, 112), "tile/entries/273.p/112"),
            (entries_path(1000, 256), "tile/entries/x001/000"),
        ] {
            assert_eq!(tile, path);
            assert_eq!(path.parse::<Tile>().unwrap().to_string(), path);
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for path in [
            "",
            "tile",
            "tile/0",
            "tile/0/",
            "tile/00/000",
            "tile/8/000",
            "tile/0/0",
            "tile/0/0000",
            "tile/0/x000/001",
            "tile/0/001/001",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/",
            "tile/0/+00",
            "tile/0/000.p/+1",
            "/tile/0/000",
            "tile/0/../000",
            "tile/data/000",
            "tile/0/x999/x999/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert!(path.parse::<Tile>().is_err(), "{path}");
        }
    }

    /// Size 70 000: level 0 has 273 full tiles and one of 112, level 1 one full
    /// and one of 17, level 2 one of 1.
    #[test]
    fn a_log_of_70000_has_the_tiles_of_the_specification() {
        let count = |kind| {
            let all: Vec<_> = tiles(70_000).filter(|t| t.kind == kind).collect();
            (all.iter().filter(|t| t.width == TILE_WIDTH).count(), all.last().map(|t| t.width))
        };
        assert_eq!(count(TileKind::Hashes { level: 0 }), (273, Some(112)));
        assert_eq!(count(TileKind::Hashes { level: 1 }), (1, Some(17)));
        assert_eq!(count(TileKind::Hashes { level: 2 }), (0, Some(1)));
        assert_eq!(count(TileKind::Hashes { level: 3 }), (0, None));
        assert_eq!(count(TileKind::Entries), (273, Some(112)));
        assert!(tiles(70_000).all(|t| t.exists_at(70_000)));
        assert_eq!(tiles(0).count(), 0);
    }

    #[test]
    fn bundles_read_back_and_cuts_are_found() {
        let entries: Vec<&[u8]> = vec![b"one", b"", b"three"];
        let bundle = entry_bundle(&entries).unwrap();
        assert_eq!(bundle, b"\0\x03one\0\0\0\x05three");
        assert_eq!(parse_entry_bundle(&bundle).unwrap(), entries);
        assert_eq!(parse_entry_bundle(&bundle[..bundle.len() - 1]), Err(BadBundle::Cut(7)));
        assert_eq!(parse_entry_bundle(b"\0"), Err(BadBundle::Cut(0)));
        assert_eq!(entry_bundle(&[vec![0; 65_536]]), Err(BadBundle::TooLong(65_536)));
        assert!(entry_bundle(&[vec![0; 65_535]]).is_ok());
    }

    proptest! {
        #[test]
        fn paths_read_back_and_agree_with_the_other_implementation(
            level in 0_u8..8, index in 0_u64..1 << 56, width in 1_u16..=256,
        ) {
            let path = tile_path(level, index, width);
            let tile: Tile = path.parse().unwrap();
            prop_assert_eq!(tile, Tile { kind: TileKind::Hashes { level }, index, width });
            let theirs = tlog_tiles::Tile::new(8, level, index, u32::from(width), false);
            // Theirs is the path of the Go checksum database, which names the height first.
            prop_assert_eq!(theirs.path().replacen("tile/8/", "tile/", 1), path);
        }

        #[test]
        fn any_path_is_answered(path in "(tile/)?[0-9a-z./+x-]{0,40}") {
            if let Ok(tile) = path.parse::<Tile>() {
                prop_assert_eq!(tile.to_string(), path);
                prop_assert!(!tile.exists_at(0));
                prop_assert_eq!(tile.nodes().len(), usize::from(tile.width));
            }
        }

        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(entries) = parse_entry_bundle(&bytes) {
                prop_assert_eq!(entry_bundle(&entries).unwrap(), bytes);
            }
        }
    }
}
