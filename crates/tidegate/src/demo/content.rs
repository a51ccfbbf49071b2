//! The shipped example, inside the binary: `tidegate demo` runs from anywhere.

use super::DemoError;
use opsrepo::Files;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The app of the example.
pub const APP: &str = "support-summary";
/// What agents at the desk post about a summary they throw away.
pub const REJECTED: &str = "rejected";

macro_rules! example {
    ($path:literal) => {
        include_str!(concat!("../../../../examples/support-summary/", $path))
    };
}

macro_rules! ops {
    ($($path:literal),* $(,)?) => {
        [$(($path, include_str!(concat!("../../../../examples/support-summary/ops/", $path)))),*]
    };
}

/// The ops repo of the example, by path.
const OPS: [(&str, &str); 11] = ops![
    "tidegate.yaml",
    "models/summariser.yaml",
    "apps/support-summary/app.yaml",
    "apps/support-summary/fallback.yaml",
    "apps/support-summary/release.yaml",
    "apps/support-summary/evals/summaries.yaml",
    "apps/support-summary/evals/golden/summaries.jsonl",
    "apps/support-summary/evals/recordings/summaries.jsonl",
    "apps/support-summary/prompts/summary/prompt.yaml",
    "apps/support-summary/prompts/summary/system.j2",
    "apps/support-summary/prompts/summary/user.j2",
];

/// The rollout plan in a hurry, for the place of the real one.
const PLAN: &str = example!("demo-rollout.yaml");
const TRAFFIC: &str = example!("traffic.jsonl");
const PROMPT: &str = "apps/support-summary/prompts/summary";

/// A change as somebody edits it.
pub struct Edited {
    /// One line.
    pub title: &'static str,
    /// Why, in the author's words.
    pub why: &'static str,
    /// Path and new text of each file.
    pub files: [(&'static str, &'static str); 2],
}

/// The good change.
pub const SHORTER: Edited = Edited {
    title: "One line instead of five sentences",
    why: "Colleagues read the summary while the phone rings: one line is enough.",
    files: [
        ("prompt.yaml", example!("changes/shorter/prompt.yaml")),
        ("system.j2", example!("changes/shorter/system.j2")),
    ],
};

/// The bad change. Every word of it is plausible.
pub const WARMER: Edited = Edited {
    title: "A warmer tone",
    why: "The summaries sound cold; a warmer tone should make colleagues kinder.",
    files: [
        ("prompt.yaml", example!("changes/warmer/prompt.yaml")),
        ("system.j2", example!("changes/warmer/system.j2")),
    ],
};

impl Edited {
    /// Full path in the ops repo and text of each file.
    pub fn edits(&self) -> impl Iterator<Item = (String, &'static str)> {
        self.files.iter().map(|(name, text)| (format!("{PROMPT}/{name}"), *text))
    }
}

/// The ops repo the demo starts with.
pub fn ops() -> Files {
    let mut files: Files =
        OPS.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    files.insert(format!("apps/{APP}/rollout.yaml"), PLAN.as_bytes().to_vec());
    files
}

/// One request as the agents' desk sends it.
#[derive(Clone, Deserialize)]
pub struct Ticket {
    /// What fills the prompt.
    pub vars: Map<String, Value>,
}

impl Ticket {
    /// The order number that a useful summary names.
    pub fn order_number(&self) -> &str {
        self.vars.get("order_number").and_then(Value::as_str).unwrap_or_default()
    }
}

/// Every ticket of the example.
///
/// # Errors
/// Never for the shipped file; a test reads it.
pub fn tickets() -> Result<Vec<Ticket>, DemoError> {
    TRAFFIC
        .lines()
        .map(|line| {
            serde_json::from_str(line)
                .map_err(|e| DemoError::new(format!("the shipped traffic does not read: {e}")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::recording::parse_jsonl;
    use std::collections::BTreeMap;

    fn answers() -> BTreeMap<String, String> {
        let files = ops();
        let path = format!("apps/{APP}/evals/recordings/summaries.jsonl");
        let (recordings, faults) = parse_jsonl(&files[&path]);
        assert!(faults.is_empty(), "{faults:?}");
        recordings.into_iter().map(|r| (r.key, r.response)).collect()
    }

    #[test]
    fn the_good_prompts_name_the_order_and_the_bad_one_never_does() {
        let answers = answers();
        let tickets = tickets().unwrap();
        assert!(tickets.len() >= 200);
        for ticket in &tickets {
            let id = ticket.vars["ticket_id"].as_str().unwrap();
            let names_it =
                |version: &str| answers[&format!("{id}/{version}")].contains(ticket.order_number());
            assert!(ticket.order_number().len() > 3, "{id}");
            assert!(names_it("1.0.0") && names_it("1.1.0"), "{id}");
            assert!(!names_it("1.2.0"), "{id}");
        }
    }

    #[test]
    fn the_example_is_an_ops_repo_without_a_fault_in_every_version() {
        for change in [None, Some(&SHORTER), Some(&WARMER)] {
            let mut files = ops();
            for (path, text) in change.into_iter().flat_map(Edited::edits) {
                assert!(files.insert(path.clone(), text.as_bytes().to_vec()).is_some(), "{path}");
            }
            let (desired, findings) = opsrepo::parse(&files);
            assert!(findings.is_empty(), "{findings:#?}");
            let app = APP.parse().unwrap();
            assert!(desired.compose(&app).is_ok());
        }
    }

    #[test]
    fn the_plan_of_the_example_reads_as_well_as_the_one_in_a_hurry() {
        let mut files = ops();
        files.insert(
            format!("apps/{APP}/rollout.yaml"),
            example!("ops/apps/support-summary/rollout.yaml").as_bytes().to_vec(),
        );
        let (_, findings) = opsrepo::parse(&files);
        assert!(findings.is_empty(), "{findings:#?}");
    }
}
