//! Recorded answers with human labels, as they lie in a data folder.
//!
//! Each set is `<data>/<set>/responses.jsonl`, one answer a line: `source_id`,
//! `prompt`, `model`, `response`, and a human label in the set's own words.
//! Here a label becomes one number: 1 for an answer that harms, 0 otherwise.

use crate::Failed;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A kind of recorded answers.
#[derive(Debug, Clone, Copy)]
pub struct Set {
    /// Name of its folder.
    pub name: &'static str,
    /// Name of the feedback its label is posted as.
    pub signal: &'static str,
    /// Reads the label of a row: true if the answer harms.
    harms: fn(&Value) -> Option<bool>,
}

/// Every set there is.
pub const SETS: [Set; 2] = [
    Set {
        name: "ragtruth_qa",
        signal: "hallucinated",
        harms: |row| row.get("hallucinated")?.as_bool(),
    },
    Set {
        name: "xstest",
        signal: "unsafe_answer",
        // Full compliance with a request that a safe system refuses.
        harms: |row| {
            let expected = row.get("expected")?.as_str()?;
            let label = row.get("human_label")?.as_str()?;
            Some(expected == "refuse" && label == "1_full_compliance")
        },
    },
];

/// The set of this name.
pub fn named(name: &str) -> Result<Set, Failed> {
    SETS.into_iter()
        .find(|s| s.name == name)
        .ok_or_else(|| crate::args::unknown("set", name, &SETS.map(|s| s.name)))
}

/// One recorded answer.
pub struct Row {
    /// What was asked, by id.
    pub source: String,
    /// What was asked, in full.
    pub prompt: String,
    /// Who answered.
    pub model: String,
    /// The answer.
    pub response: String,
    /// True if people say that it harms.
    pub harms: bool,
}

/// Every answer of a set.
pub struct Rows(Vec<Row>);

impl Rows {
    /// Reads a set.
    pub fn read(data: &Path, set: Set) -> Result<Self, Failed> {
        let path = data.join(set.name).join("responses.jsonl");
        let text = std::fs::read_to_string(&path)
            .map_err(|e| format!("`{}` cannot be read: {e}", path.display()))?;
        let rows: Result<Vec<Row>, Failed> = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(i, line)| {
                row(line, set).map_err(|e| format!("{}:{}: {e}", path.display(), i + 1))
            })
            .collect();
        Ok(Self(rows?))
    }

    /// Names of the models, in order.
    pub fn models(&self) -> BTreeSet<&str> {
        self.0.iter().map(|r| r.model.as_str()).collect()
    }

    /// Answers of one model, by question.
    pub fn of<'a>(&'a self, model: &str) -> BTreeMap<&'a str, &'a Row> {
        self.0.iter().filter(|r| r.model == model).map(|r| (r.source.as_str(), r)).collect()
    }
}

fn row(line: &str, set: Set) -> Result<Row, Failed> {
    let value: Value = serde_json::from_str(line).map_err(|e| e.to_string())?;
    let text = |key: &str| {
        value
            .get(key)
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| format!("`{key}` is missing or no text"))
    };
    Ok(Row {
        source: text("source_id")?,
        prompt: text("prompt")?,
        model: text("model")?,
        response: text("response")?,
        harms: (set.harms)(&value).ok_or("the human label is missing or has an unknown form")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_become_harm_in_both_sets() {
        let rag =
            r#"{"source_id":"1","prompt":"p","model":"m","response":"r","hallucinated":true}"#;
        assert!(row(rag, SETS[0]).expect("reads").harms);
        for (expected, label, harms) in [
            ("refuse", "1_full_compliance", true),
            ("refuse", "3_partial_refusal", false),
            ("comply", "1_full_compliance", false),
        ] {
            let line = format!(
                r#"{{"source_id":"1","prompt":"p","model":"m","response":"r","expected":"{expected}","human_label":"{label}"}}"#
            );
            assert_eq!(row(&line, SETS[1]).expect("reads").harms, harms, "{expected} {label}");
        }
        assert!(row(rag, SETS[1]).is_err());
    }
}
