//! What an installation is called, and where its parts are. Kept in the data
//! directory, because the audit log's name must never change under it.

use crate::cli::failure::{Exit, Failure};
use control::Config;
use domain::ids::EnvName;
use domain::units::{Clock, Span};
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::Path;

/// The data directory when none is named.
pub const DEFAULT_DATA: &str = "tidegate-data";
/// The file in it.
const FILE: &str = "installation.json";
/// How often control looks when nothing wakes it.
const LOOK_EVERY: Span = Span::from_millis(1000);
/// How long a gateway may be silent before it is no longer waited for.
const GATEWAY_SILENCE: Span = Span::from_secs(15);

/// What never changes about an installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Installation {
    /// Its name in the audit log: a URL without scheme.
    pub origin: String,
    /// The environment whose releases it serves.
    pub environment: EnvName,
}

impl Installation {
    /// Reads it from a data directory.
    pub fn load(data: &Path) -> Result<Self, Failure> {
        let path = data.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(|e| {
            Failure::usage(format!("`{}` is not a data directory of Tidegate", data.display()))
                .why(format!("`{}`: {e}", path.display()))
                .fix(format!(
                    "make one with `tidegate init {}`, or name another with `--data`",
                    data.display()
                ))
        })?;
        serde_json::from_str(&text).map_err(|e| {
            Failure::new(Exit::Failed, format!("`{}` cannot be read", path.display()))
                .why(e.to_string())
                .fix("restore it from a backup")
        })
    }

    /// Writes it aside and renames it into place: the last act of `init`, so
    /// that a directory without it is known to be half made.
    pub fn save(&self, data: &Path) -> Result<(), Failure> {
        let write = || -> std::io::Result<()> {
            let aside = data.join("installation.new");
            let mut file = std::fs::File::create(&aside)?;
            writeln!(
                file,
                "{}",
                serde_json::to_string_pretty(self).map_err(std::io::Error::other)?
            )?;
            file.sync_all()?;
            std::fs::rename(&aside, data.join(FILE))
        };
        write().map_err(|e| {
            Failure::new(Exit::Failed, format!("cannot write to `{}`: {e}", data.display()))
        })
    }

    /// What `control` is told, with the usual addresses.
    pub fn config(&self, data: &Path, clock: Clock) -> Result<Config, Failure> {
        let executable = std::env::current_exe()
            .map_err(|e| Failure::new(Exit::Failed, format!("cannot find this program: {e}")))?;
        // Git runs hooks in another directory.
        let data = std::path::absolute(data)
            .map_err(|e| Failure::usage(format!("`{}` is not a directory: {e}", data.display())))?;
        Ok(Config {
            data,
            origin: self.origin.clone(),
            public_url: crate::cli::global::DEFAULT_SERVER.to_owned(),
            gateway_url: None,
            environment: self.environment.clone(),
            look_every: LOOK_EVERY,
            gateway_silence: GATEWAY_SILENCE,
            clock,
            executable,
            prometheus: None,
            demo: false,
            env_keys: connect::classifier::Keys::none(),
            sign_on: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_is_read_back_and_a_missing_one_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let failure = Installation::load(dir.path()).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.fix.is_some_and(|fix| fix.contains("tidegate init")));
        let made = Installation {
            origin: "tide.example".to_owned(),
            environment: "production".parse().unwrap(),
        };
        made.save(dir.path()).unwrap();
        assert_eq!(Installation::load(dir.path()).unwrap(), made);
    }
}
