//! What `login` remembers: servers, tokens, and the key each server's audit log
//! was first seen with. The key is pinned so that a server that swaps its log
//! for another is found out.

use super::failure::{Exit, Failure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The remembered servers.
#[derive(Default, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    /// The server of the last `login`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// By address.
    #[serde(default)]
    pub servers: BTreeMap<String, Known>,
}

/// What is known of one server.
#[derive(Default, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// Token to act with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The verifier key of its audit log, as first seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_key: Option<String>,
    /// The log as last verified: it may only have grown since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
}

/// A log as it was when it was last verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verified {
    /// Number of entries.
    pub size: u64,
    /// Root over them, in hexadecimal.
    pub root: String,
}

/// The file the contexts live in.
#[derive(Debug, Clone)]
pub struct ContextFile(PathBuf);

impl ContextFile {
    /// The given file, or the usual one in the person's home.
    pub fn at(given: Option<&Path>) -> Self {
        Self(given.map(Path::to_owned).unwrap_or_else(|| {
            let home = std::env::home_dir().unwrap_or_else(|| PathBuf::from("."));
            home.join(".config/tidegate/contexts.json")
        }))
    }

    /// Reads it; a file that is not there holds nothing.
    pub fn load(&self) -> Result<Contexts, Failure> {
        let text = match fs::read_to_string(&self.0) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Contexts::default()),
            Err(e) => return Err(self.unusable(&e.to_string())),
        };
        serde_json::from_str(&text).map_err(|e| self.unusable(&e.to_string()))
    }

    /// Writes it aside and renames it into place, readable by the owner only.
    pub fn save(&self, contexts: &Contexts) -> Result<(), Failure> {
        let text =
            serde_json::to_string_pretty(contexts).map_err(|e| self.unusable(&e.to_string()))?;
        let write = || -> std::io::Result<()> {
            if let Some(dir) = self.0.parent() {
                fs::create_dir_all(dir)?;
            }
            let aside = self.0.with_extension(format!("new-{}", std::process::id()));
            let mut options = fs::OpenOptions::new();
            options.write(true).create(true).truncate(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(&aside)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&aside, &self.0)
        };
        write().map_err(|e| self.unusable(&e.to_string()))
    }

    fn unusable(&self, why: &str) -> Failure {
        Failure::new(Exit::Failed, format!("`{}` cannot be used", self.0.display()))
            .why(why)
            .fix("mend or delete it and sign in again with `tidegate login`; TIDEGATE_CONFIG names another file")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_read_back_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/contexts.json");
        let file = ContextFile::at(Some(&path));
        assert!(file.load().unwrap().servers.is_empty());
        let mut contexts = Contexts { current: Some("http://a".to_owned()), ..Contexts::default() };
        contexts.servers.insert(
            "http://a".to_owned(),
            Known { token: Some("t".to_owned()), ..Known::default() },
        );
        file.save(&contexts).unwrap();
        assert_eq!(file.load().unwrap().servers["http://a"].token.as_deref(), Some("t"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("contexts.json");
        fs::write(&path, "{").unwrap();
        let failure = ContextFile::at(Some(&path)).load().err().unwrap();
        assert!(failure.error.contains("contexts.json"), "{}", failure.error);
    }
}
