//! `apps/<app>/evals/<name>.yaml`: what a release must prove, and the cases it
//! is asked (`*.jsonl`, one [`Case`] a line).
//!
//! ```yaml
//! apiVersion: tidegate/v1
//! title: Summaries keep what matters
//! files: [golden/summaries.jsonl]
//! checks:
//!   - length: {at_most: 120}
//!   - not_contains: ["as an AI"]
//! scores:
//!   - {metric: rouge_l, at_least: 0.3, not_worse_by: 0.02}
//! ```
//!
//! Cases are read as a stream: a million of them take no more memory than their
//! ids' hashes. No finding about a case quotes it, because it may hold what
//! people wrote.

mod cases;
mod rules;

pub use cases::{CaseIds, CaseReader};
pub(crate) use rules::is_cases_file;

use super::Fault;
use crate::yaml;
use domain::finding::Finding;
use domain::suite::Suite;

/// Reads a suite, YAML or JSON. `file` is how findings name it; all of them are
/// reported at once. What the suite names by path is not looked at.
pub fn parse(file: &str, bytes: &[u8]) -> (Option<Suite>, Vec<Finding>) {
    let reading = yaml::read::<Suite>(file, bytes);
    (reading.value, reading.findings)
}

/// A fault of a check as a fault of the file, `at` being the check's place.
pub(crate) fn locate(at: &str, fault: checks::score::Fault) -> Fault {
    let field =
        if fault.field.is_empty() { at.to_owned() } else { format!("{at}.{}", fault.field) };
    Fault::new(field, fault.code, fault.message, fault.mend).replace(fault.replacement.as_deref())
}

#[cfg(test)]
mod tests;
