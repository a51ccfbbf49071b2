//! Suites of other tools, turned into ours. Pure: bytes in, files out.

mod promptfoo;

pub use promptfoo::promptfoo;

use domain::suite::{Case, Suite};

/// A suite that was made of another tool's file.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The suite; its cases are in the file it names.
    pub suite: Suite,
    /// Its cases.
    pub cases: Vec<Case>,
    /// What was left out or changed, one sentence each, in the order of the file.
    pub notes: Vec<String>,
}

impl Imported {
    /// The suite as JSON, which is YAML too, with a line end.
    pub fn suite_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(&self.suite).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The cases, one a line.
    pub fn cases_text(&self) -> String {
        let lines = self.cases.iter().filter_map(|case| serde_json::to_string(case).ok());
        lines.map(|line| line + "\n").collect()
    }
}
