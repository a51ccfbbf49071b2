//! The installation's secrets: a key that signs, one that hashes, one
//! that seals. Files in the
//! data directory, readable by the owner only, made once by `init`.

use crate::problem::{Problem, ProblemKind};
use domain::keys::SecretKey;
use domain::note::SigningKey;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// What signs and what hashes.
pub struct Keys {
    /// Signs manifests and snapshots.
    pub secret: SecretKey,
    /// The same key under the log's name: signs checkpoints.
    pub log: SigningKey,
    /// Keys the hashes of subjects and tenants, so that they cannot be guessed
    /// from outside.
    pub hashing: [u8; 32],
    /// Seals secrets that are kept in the database.
    pub sealing: [u8; 32],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

const SIGNING: &str = "signing.pem";
const HASHING: &str = "hashing.key";
const SEALING: &str = "sealing.key";

impl Keys {
    /// Reads the keys below `dir/keys`, or makes them if there are none.
    ///
    /// # Errors
    /// A file that cannot be read or written, or holds no key.
    pub fn open(dir: &Path, origin: &str) -> Result<Self, Problem> {
        let dir = dir.join("keys");
        fs::create_dir_all(&dir).map_err(|e| failed(&dir, &e))?;
        let secret = signing(&dir.join(SIGNING))?;
        let again = signing(&dir.join(SIGNING))?;
        let log = SigningKey::new(origin, again).map_err(|e| bad(&dir, &e.to_string()))?;
        Ok(Self {
            secret,
            log,
            hashing: bytes(&dir.join(HASHING))?,
            sealing: bytes(&dir.join(SEALING))?,
        })
    }
}

fn signing(path: &Path) -> Result<SecretKey, Problem> {
    if !path.exists() {
        let pem = SecretKey::from_random(random(path)?)
            .to_pem()
            .map_err(|e| bad(path, &e.to_string()))?;
        write(path, &pem)?;
    }
    let text = fs::read_to_string(path).map_err(|e| failed(path, &e))?;
    SecretKey::from_pem(&text).map_err(|e| bad(path, &e.to_string()))
}

fn bytes(path: &Path) -> Result<[u8; 32], Problem> {
    if !path.exists() {
        write(path, &hex::encode(random(path)?))?;
    }
    let text = fs::read_to_string(path).map_err(|e| failed(path, &e))?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim(), &mut bytes)
        .map_err(|_| bad(path, "it does not hold 64 hexadecimal digits"))?;
    Ok(bytes)
}

fn random(path: &Path) -> Result<[u8; 32], Problem> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| failed(path, &std::io::Error::other(e.to_string())))?;
    Ok(bytes)
}

/// Writes aside and renames into place, so that a crash never leaves half a key.
fn write(path: &Path, text: &str) -> Result<(), Problem> {
    let aside = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&aside)?;
        writeln!(file, "{}", text.trim_end())?;
        file.sync_all()?;
        fs::rename(&aside, path)
    };
    write().map_err(|e| failed(path, &e))
}

fn bad(path: &Path, problem: &str) -> Problem {
    Problem::new(
        ProblemKind::Failed,
        "bad_key_file",
        format!("`{}` cannot be used as a key: {problem}", path.display()),
        "restore the file from a backup: with another key, old signatures no longer verify",
    )
}

fn failed(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(
        ProblemKind::Failed,
        "key_file",
        format!("`{}` cannot be used: {error}", path.display()),
        "check that the data directory exists, has room and belongs to the user who runs Tidegate",
    )
}
