//! The last snapshot on disk: `snapshot.json`, and `blobs/<hex>`.
//!
//! Written beside, synced, renamed, and the folder synced: after a crash there
//! is the old file or the new one, never half of one. Read back, nothing is
//! believed: the signature and the digests are checked again.

use bytes::Bytes;
use domain::ids::Digest;
use domain::snapshot::SignedSnapshot;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// What the disk did.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} `{path}`: {cause}")]
pub struct DiskError {
    what: &'static str,
    path: String,
    cause: io::Error,
}

impl DiskError {
    fn new(what: &'static str, path: &Path, cause: io::Error) -> Self {
        Self { what, path: path.display().to_string(), cause }
    }
}

/// A gateway's folder.
#[derive(Debug, Clone)]
pub struct Disk {
    dir: PathBuf,
}

impl Disk {
    /// Opens the folder; makes it if missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(dir: &Path) -> Result<Self, DiskError> {
        let blobs = dir.join("blobs");
        fs::create_dir_all(&blobs).map_err(|e| DiskError::new("make the folder", &blobs, e))?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// The kept snapshot; none if there never was one.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    pub fn snapshot(&self) -> Result<Option<SignedSnapshot>, DiskError> {
        let path = self.dir.join("snapshot.json");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(DiskError::new("read", &path, e)),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            DiskError::new("read", &path, io::Error::new(io::ErrorKind::InvalidData, e))
        })
    }

    /// Keeps a snapshot instead of the last one.
    ///
    /// # Errors
    /// When it cannot be written whole.
    pub fn keep_snapshot(&self, signed: &SignedSnapshot) -> Result<(), DiskError> {
        let path = self.dir.join("snapshot.json");
        let bytes = serde_json::to_vec(signed)
            .map_err(|e| DiskError::new("write", &path, io::Error::other(e)))?;
        replace(&path, &bytes)
    }

    /// A kept blob; none if it is missing or not what its name says.
    pub fn blob(&self, digest: &Digest) -> Option<Bytes> {
        let bytes = fs::read(self.blob_path(digest)).ok()?;
        (Digest::of(&bytes) == *digest).then(|| bytes.into())
    }

    /// Keeps a blob under its digest.
    ///
    /// # Errors
    /// When it cannot be written whole.
    pub fn keep_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), DiskError> {
        replace(&self.blob_path(digest), bytes)
    }

    /// Removes blobs no one needs. What cannot be removed stays; it is tried
    /// again with the next snapshot.
    pub fn forget_blobs_except(&self, needed: &BTreeSet<Digest>) {
        let names: BTreeSet<String> = needed.iter().map(Digest::hex).collect();
        let Ok(entries) = fs::read_dir(self.dir.join("blobs")) else { return };
        for entry in entries.flatten() {
            if !entry.file_name().to_str().is_some_and(|name| names.contains(name)) {
                fs::remove_file(entry.path()).unwrap_or_default();
            }
        }
    }

    /// The bytes of another file of the folder; none if it is missing.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    pub fn file(&self, name: &str) -> Result<Option<Vec<u8>>, DiskError> {
        let path = self.dir.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(DiskError::new("read", &path, e)),
        }
    }

    /// Replaces another file of the folder.
    ///
    /// # Errors
    /// When it cannot be written whole.
    pub fn keep_file(&self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        replace(&self.dir.join(name), bytes)
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.dir.join("blobs").join(digest.hex())
    }
}

fn replace(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let beside = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        match path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(|e| DiskError::new("write", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_that_is_not_what_its_name_says_does_not_exist() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path()).unwrap();
        let digest = Digest::of(b"true");
        disk.keep_blob(&digest, b"true").unwrap();
        assert_eq!(disk.blob(&digest).as_deref(), Some(b"true".as_slice()));
        fs::write(dir.path().join("blobs").join(digest.hex()), b"false").unwrap();
        assert_eq!(disk.blob(&digest), None);
    }

    #[test]
    fn unneeded_blobs_go_and_needed_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path()).unwrap();
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        disk.keep_blob(&a, b"a").unwrap();
        disk.keep_blob(&b, b"b").unwrap();
        disk.forget_blobs_except(&BTreeSet::from([a]));
        assert!(disk.blob(&a).is_some() && disk.blob(&b).is_none());
    }
}
