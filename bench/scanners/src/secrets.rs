//! Secrets: a text has one or has none.

use crate::data::{Folder, text};
use crate::score::{Counts, short};
use checks::secrets;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Precision, recall and F1 over texts, and by rule of the label's source.
pub fn measure(folder: &Folder, errors: usize) -> Result<Value, String> {
    let mut all = Counts::default();
    let mut by_rule: BTreeMap<String, Counts> = BTreeMap::new();
    let mut shown = 0;
    for row in folder.rows("secrets/cases.jsonl", true)? {
        let wrapped = text(&row, "text_b64");
        let bytes = decode(wrapped)
            .ok_or_else(|| format!("`text_b64` of `{}` is not base 64", text(&row, "id")))?;
        let content = String::from_utf8_lossy(&bytes);
        let is = row.get("is_secret").and_then(Value::as_bool).unwrap_or(false);
        let found = !secrets::scan(&content).is_empty();
        let counts = Counts {
            right: u32::from(is && found),
            wrong: u32::from(!is && found),
            missed: u32::from(is && !found),
        };
        if is != found && shown < errors {
            shown += 1;
            eprintln!(
                "{} {}: {}",
                if is { "missed" } else { "wrong" },
                text(&row, "rule"),
                short(&content)
            );
        }
        all.add(counts);
        by_rule.entry(text(&row, "rule").to_owned()).or_default().add(counts);
    }
    let mut result = all.json();
    let rules: BTreeMap<String, Value> =
        by_rule.into_iter().map(|(rule, counts)| (rule, counts.json())).collect();
    if let Some(map) = result.as_object_mut() {
        map.insert("by_rule".to_owned(), json!(rules));
    }
    Ok(result)
}

/// Base 64 in the usual alphabet.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut bits, mut count) = (0_u32, 0_u32);
    for b in text.trim_end_matches('=').bytes() {
        let value = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0x00ff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(out)
}
