//! Lines of the recorded data.

use crate::Failed;
use serde::de::DeserializeOwned;
use std::path::Path;

/// All rows of a JSONL file.
pub(crate) fn rows<T: DeserializeOwned>(folder: &Path, file: &str) -> Result<Vec<T>, Failed> {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path)
        .map_err(|e| format!("`{}` cannot be read: {e}", path.display()))?;
    (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(number, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|e| format!("{}:{number}: {e}", path.display()))
        })
        .collect()
}
