//! The one form of ZIP archive that evidence comes in: entries stored as they
//! are, one after the other, nothing between, before or behind them.
//!
//! Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16. Every
//! unzip reads it. Ours reads nothing else: an archive that is not byte for byte
//! what [`write`] would make of its entries is refused, so there is nothing in
//! it that one reader sees and another does not, and a compressed entry that
//! grows without end cannot be said.

/// Largest archive, in bytes.
pub const MAX_ARCHIVE: usize = 64 << 20;
/// Most entries.
pub const MAX_ENTRIES: usize = 10_000;
/// Longest name of an entry, in bytes.
pub const MAX_NAME: usize = 160;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
/// Version of the format that stored entries need: 2.0.
const VERSION: u16 = 20;
/// 1980-01-01, the first day the format knows: no clock enters.
const DAY: u16 = 0x0021;
/// Length of a local header without its name.
const LOCAL_LEN: usize = 30;

/// One file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name: ASCII letters, digits, `.`, `_`, `-`, and `/` between folders.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl File {
    /// A file of this text.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

/// Why an archive is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadArchive {
    /// Over a limit.
    #[error("the archive has more than {limit} {what}")]
    TooLarge {
        /// Which limit.
        limit: usize,
        /// Of what.
        what: &'static str,
    },
    /// A name that could be a place outside the archive.
    #[error("entry {number} of the archive has a name that is not allowed: {name:?}")]
    Name {
        /// Its number, from 1.
        number: usize,
        /// The name.
        name: String,
    },
    /// Two entries of one name.
    #[error("the archive has two entries named `{0}`")]
    Twice(String),
    /// Compressed, encrypted, or with fields ours has not.
    #[error("entry {number} of the archive (`{name}`) is {problem}")]
    Entry {
        /// Its number, from 1.
        number: usize,
        /// Its name, as far as it can be read.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// It ends too early, or its directory does not fit its entries.
    #[error("the archive is cut, or its directory does not fit its {entries} entries")]
    Cut {
        /// Entries read before that.
        entries: usize,
    },
}

/// True if a name can only be a place inside the archive.
pub fn good_name(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    name.len() <= MAX_NAME && name.split('/').all(part)
}

/// The archive with these files, in this order.
///
/// # Errors
/// A name or a size out of bounds.
pub fn write(files: &[File]) -> Result<Vec<u8>, BadArchive> {
    let mut size = 0_usize;
    let mut seen = std::collections::BTreeSet::new();
    if files.len() > MAX_ENTRIES {
        return Err(BadArchive::TooLarge { limit: MAX_ENTRIES, what: "entries" });
    }
    for (at, file) in files.iter().enumerate() {
        if !good_name(&file.name) {
            return Err(BadArchive::Name { number: at + 1, name: file.name.clone() });
        }
        if !seen.insert(&file.name) {
            return Err(BadArchive::Twice(file.name.clone()));
        }
        size = size.saturating_add(file.bytes.len()).saturating_add(2 * file.name.len() + 76);
    }
    if size > MAX_ARCHIVE {
        return Err(BadArchive::TooLarge { limit: MAX_ARCHIVE, what: "bytes" });
    }
    let mut out = Vec::with_capacity(size + 22);
    let mut directory = Vec::new();
    for file in files {
        // Within MAX_ARCHIVE, so within 32 bits; and a name within 16.
        let offset = u32::try_from(out.len()).unwrap_or(u32::MAX);
        let common = common(file);
        out.extend(LOCAL.to_le_bytes());
        out.extend(&common);
        out.extend(file.name.as_bytes());
        out.extend(&file.bytes);
        directory.extend(CENTRAL.to_le_bytes());
        directory.extend(VERSION.to_le_bytes());
        directory.extend(&common);
        // Comment, disk, attributes: none.
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(file.name.as_bytes());
    }
    let start = u32::try_from(out.len()).unwrap_or(u32::MAX);
    let length = u32::try_from(directory.len()).unwrap_or(u32::MAX);
    let count = u16::try_from(files.len()).unwrap_or(u16::MAX);
    out.extend(directory);
    out.extend(END.to_le_bytes());
    out.extend([0; 4]);
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0; 2]);
    Ok(out)
}

/// What both headers of an entry say, from `version needed` to the length of the
/// extra field.
fn common(file: &File) -> Vec<u8> {
    let size = u32::try_from(file.bytes.len()).unwrap_or(u32::MAX);
    let name = u16::try_from(file.name.len()).unwrap_or(u16::MAX);
    let mut out = Vec::with_capacity(26);
    out.extend(VERSION.to_le_bytes());
    out.extend([0; 6]); // flags, method, time
    out.extend(DAY.to_le_bytes());
    out.extend(crc32(&file.bytes).to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(name.to_le_bytes());
    out.extend([0; 2]);
    out
}

/// The files of an archive that [`write`] made.
///
/// # Errors
/// [`BadArchive`], for anything else.
pub fn read(bytes: &[u8]) -> Result<Vec<File>, BadArchive> {
    if bytes.len() > MAX_ARCHIVE {
        return Err(BadArchive::TooLarge { limit: MAX_ARCHIVE, what: "bytes" });
    }
    let mut files: Vec<File> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let mut at = 0_usize;
    while number32(bytes, at) == Some(LOCAL) {
        if files.len() == MAX_ENTRIES {
            return Err(BadArchive::TooLarge { limit: MAX_ENTRIES, what: "entries" });
        }
        let cut = || BadArchive::Cut { entries: files.len() };
        let number = files.len() + 1;
        let name_len = usize::from(number16(bytes, at + 26).ok_or_else(cut)?);
        let size = number32(bytes, at + 18).ok_or_else(cut)?;
        let size = usize::try_from(size).map_err(|_| cut())?;
        let name_at = at + LOCAL_LEN;
        let raw = bytes.get(name_at..name_at + name_len).ok_or_else(cut)?;
        let name = String::from_utf8_lossy(raw).into_owned();
        if name.as_bytes() != raw || !good_name(&name) {
            return Err(BadArchive::Name { number, name });
        }
        if !seen.insert(name.clone()) {
            return Err(BadArchive::Twice(name));
        }
        let wrong = |problem| BadArchive::Entry { number, name: name.clone(), problem };
        if number16(bytes, at + 8) != Some(0) {
            return Err(wrong("compressed: only stored entries are read, as they were sent"));
        }
        let from = name_at + name_len;
        let content = bytes.get(from..from.saturating_add(size)).ok_or_else(cut)?;
        let file = File { name: name.clone(), bytes: content.to_vec() };
        if number32(bytes, at + 14) != Some(crc32(content)) {
            return Err(wrong("damaged: its checksum does not fit its content"));
        }
        if bytes.get(at + 4..name_at) != Some(common(&file).as_slice()) {
            return Err(wrong("not as it was sent: its header has other fields"));
        }
        files.push(file);
        at = from + size;
    }
    // What follows is the directory, and it follows from the entries.
    let whole = write(&files)?;
    if whole != bytes {
        return Err(BadArchive::Cut { entries: files.len() });
    }
    Ok(files)
}

fn number16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes)
}

fn number32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

/// CRC-32 as in ISO 3309 and ITU-T V.42 (polynomial 0xEDB88320, reflected).
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    !bytes.iter().fold(!0_u32, |crc, byte| {
        let index = usize::from(crc.to_le_bytes().first().copied().unwrap_or_default() ^ byte);
        TABLE.get(index).copied().unwrap_or_default() ^ (crc >> 8)
    })
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Vec<File> {
        vec![File::new("a.txt", "one"), File::new("b/c.json", "{}"), File::new("d", "")]
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn what_was_written_reads_back_and_nothing_else_does() {
        let bytes = write(&sample()).unwrap();
        assert_eq!(read(&bytes).unwrap(), sample());
        for at in 0..bytes.len() {
            let mut bent = bytes.clone();
            bent[at] ^= 1;
            // A name or a byte may be another good one with another checksum:
            // never without the checksum telling.
            assert!(read(&bent).is_err_and(|e| !e.to_string().is_empty()), "byte {at}");
        }
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).is_err(), "cut at {end}");
        }
        let longer = [bytes.as_slice(), b"x"].concat();
        assert!(read(&longer).is_err());
    }

    #[test]
    fn names_stay_inside() {
        for bad in ["", "/a", "a/", "../a", "a/../b", "a//b", ".", "a\\b", "C:x", "ä", "a b", "a\0"]
        {
            assert!(!good_name(bad), "{bad:?}");
            let file = File::new(bad, "");
            assert!(matches!(write(&[file]), Err(BadArchive::Name { number: 1, .. })), "{bad:?}");
        }
        assert!(good_name("change/ch-41/cases.jsonl") && good_name("..a"));
        assert!(!good_name(&"a".repeat(MAX_NAME + 1)));
        let twice = [File::new("a", ""), File::new("a", "")];
        assert_eq!(write(&twice), Err(BadArchive::Twice("a".to_owned())));
    }

    /// An archive whose entry says that it is deflated, and one that says it is
    /// larger than the archive.
    #[test]
    fn bombs_are_refused_by_their_headers() {
        let mut deflated = write(&sample()).unwrap();
        deflated[8] = 8;
        let said = read(&deflated).unwrap_err().to_string();
        assert!(said.contains("a.txt") && said.contains("compressed"), "{said}");
        let mut huge = write(&sample()).unwrap();
        huge[18..22].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(read(&huge), Err(BadArchive::Cut { entries: 0 }));
        assert!(matches!(
            read(&vec![0; MAX_ARCHIVE + 1]),
            Err(BadArchive::TooLarge { what: "bytes", .. })
        ));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(&bytes).is_err());
            let local = [&LOCAL.to_le_bytes()[..], &bytes].concat();
            prop_assert!(read(&local).is_err());
        }
    }
}
