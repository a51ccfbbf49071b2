//! Reads the data folder, whole or a half of it.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

/// Longest line that is read, in bytes.
const MAX_LINE: usize = 16 * 1024 * 1024;

/// Which rows are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// All.
    Both,
    /// Those the detectors were developed on.
    Develop,
    /// The others.
    Report,
}

impl Half {
    /// By its name on the command line.
    pub fn named(name: &str) -> Result<Self, String> {
        match name {
            "develop" => Ok(Self::Develop),
            "report" => Ok(Self::Report),
            _ => Err(format!("there is no half `{name}`; there is develop, report")),
        }
    }

    /// By the lowest bit of the first byte of the id's SHA-256.
    fn has(self, id: &str) -> bool {
        let even = Sha256::digest(id.as_bytes()).first().is_some_and(|b| b % 2 == 0);
        match self {
            Self::Both => true,
            Self::Develop => even,
            Self::Report => !even,
        }
    }
}

/// The data folder.
pub struct Folder {
    pub path: PathBuf,
    pub half: Half,
}

impl Folder {
    /// The rows of a file; none if the file is not there and need not be.
    pub fn rows(&self, name: &str, needed: bool) -> Result<Vec<Value>, String> {
        let path = self.path.join(name);
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(_) if !needed => return Ok(Vec::new()),
            Err(why) => return Err(format!("`{}` cannot be read: {why}", path.display())),
        };
        let mut rows = Vec::new();
        for (number, line) in BufReader::new(file).lines().enumerate() {
            let at = || format!("`{}`, line {}", path.display(), number + 1);
            let line = line.map_err(|e| format!("{}: {e}", at()))?;
            if line.len() > MAX_LINE {
                return Err(format!("{}: longer than {MAX_LINE} bytes", at()));
            }
            if line.trim().is_empty() {
                continue;
            }
            let row: Value = serde_json::from_str(&line).map_err(|e| format!("{}: {e}", at()))?;
            let id = ["id", "source_id", "text"].iter().find_map(|k| row.get(*k)?.as_str());
            if self.half.has(id.unwrap_or_default()) {
                rows.push(row);
            }
        }
        Ok(rows)
    }
}

/// A text field, or nothing.
pub fn text<'v>(row: &'v Value, key: &str) -> &'v str {
    row.get(key).and_then(Value::as_str).unwrap_or("")
}
