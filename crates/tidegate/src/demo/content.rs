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
    files.insert(RECORDINGS.to_owned(), with_answers_to_any_text().into_bytes());
    // Two answers of a later change are too long; the suite lets so few pass.
    files.entry(SUITE.to_owned()).or_default().extend_from_slice(SUITE_BOUND.as_bytes());
    files.extend(sister(SLOWS, SLOWS_PLAN, |recording, long| {
        if long {
            recording.insert("latency_ms".to_owned(), 1_400.into());
        }
    }));
    files.extend(sister(COSTS, COSTS_PLAN, |recording, _| {
        recording.insert("completion_tokens".to_owned(), 290.into());
    }));
    files
}

/// The app whose new version is slow on long chats.
pub const SLOWS: &str = "refund-letters";
/// The app whose new version costs more than its plan allows.
pub const COSTS: &str = "call-notes";
const SUITE: &str = "apps/support-summary/evals/summaries.yaml";
const SUITE_BOUND: &str = "pass: {at_least: 90%, point: true}\n";

const SLOWS_PLAN: &str = "\
apiVersion: tidegate/v1
subject: user
check_every: 1s
planned: {duration: 20m, requests: 7200}
risk: {false_stop: 1%, false_promote: 10%}
steps:
  - weight: {share: 30%, hold: 15m}
  - promote: {}
signals:
  - {name: error, kind: rate, worse: higher, limit: 20%, min_samples: 20, action: rollback}
  - {name: latency_ms, kind: latency, statistic: p95, worse: higher, limit: 800, sustained: {for: 15s}, min_samples: 20, action: rollback}
missing: {hold_for: 2m, then: pause}
after_rollback: {cool_down: 5m, restore: immediate}
";

const COSTS_PLAN: &str = "\
apiVersion: tidegate/v1
subject: user
check_every: 1s
planned: {duration: 20m, requests: 7200}
risk: {false_stop: 1%, false_promote: 10%}
steps:
  - weight: {share: 30%, hold: 10m}
  - promote: {}
signals:
  - {name: error, kind: rate, worse: higher, limit: 20%, min_samples: 20, action: rollback}
  - {name: cost, kind: amount, worse: higher, limit: 0.00015, min_samples: 20, action: require_approval}
missing: {hold_for: 2m, then: pause}
after_rollback: {cool_down: 5m, restore: immediate}
";

/// Another app made of the example's parts, with a model and a plan of its own;
/// `alter` sees the answers of its next version, and whether they are to long
/// chats.
fn sister(app: &str, plan: &str, alter: impl Fn(&mut Map<String, Value>, bool)) -> Files {
    let long: Vec<String> = tickets()
        .unwrap_or_default()
        .iter()
        .filter(|ticket| ticket.is_long())
        .filter_map(|ticket| Some(ticket.vars.get("ticket_id")?.as_str()?.to_owned()))
        .collect();
    let named = |text: &str| {
        text.replace(APP, app)
            .replace("model: summariser", &format!("model: {app}"))
            .replace("recorded-summariser", &format!("recorded-{app}"))
    };
    let mut files = Files::new();
    for (path, text) in OPS.iter().filter(|(path, _)| *path != "tidegate.yaml") {
        let path = path.replace(APP, app).replace("summariser", app);
        let text = if path.ends_with("recordings/summaries.jsonl") {
            altered(text, &named, &long, &alter)
        } else {
            named(text)
        };
        files.insert(path, text.into_bytes());
    }
    files.insert(format!("apps/{app}/rollout.yaml"), plan.as_bytes().to_vec());
    files
}

fn altered(
    recorded: &str,
    named: &impl Fn(&str) -> String,
    long: &[String],
    alter: &impl Fn(&mut Map<String, Value>, bool),
) -> String {
    let mut all = String::new();
    for line in recorded.lines() {
        let Ok(mut recording) = serde_json::from_str::<Map<String, Value>>(line) else { continue };
        let key = recording.get("key").and_then(Value::as_str).unwrap_or_default().to_owned();
        match key.rsplit_once('/') {
            Some((ticket, ANY_TEXT)) => alter(&mut recording, long.iter().any(|l| l == ticket)),
            Some((_, "1.0.0")) => {}
            _ => continue,
        }
        all.push_str(&named(&Value::Object(recording).to_string()));
        all.push('\n');
    }
    all
}

/// The good change, for one of the other apps.
pub fn shorter(app: &str) -> Vec<(String, String)> {
    SHORTER.edits().map(|(path, text)| (path.replace(APP, app), text.to_owned())).collect()
}

/// A change that waits for people: two of its answers are too long.
pub struct Friendlier {
    /// One line.
    pub title: &'static str,
    /// Why.
    pub why: &'static str,
    /// Path and new text of each file.
    pub files: Vec<(String, String)>,
}

/// See [`Friendlier`].
pub fn friendlier() -> Friendlier {
    let mut files: Vec<(String, String)> =
        SHORTER.edits().map(|(path, text)| (path, text.to_owned())).collect();
    for (path, text) in &mut files {
        if path.ends_with("prompt.yaml") {
            *text = text.replace("version: 1.1.0", "version: 1.3.0");
        } else {
            text.push_str("Mention kindly what the customer has been through.\n");
        }
    }
    Friendlier {
        title: "Kinder words about what happened",
        why: "Colleagues pass the line on to customers, who read it as cold.",
        files,
    }
}

const RECORDINGS: &str = "apps/support-summary/evals/recordings/summaries.jsonl";
/// The version whose answers any text gets that nobody recorded.
const ANY_TEXT: &str = "1.1.0";

/// The recordings, and a line for each ticket that answers whatever version of
/// the prompt nobody recorded: who proposes a text of their own gets an answer.
fn with_answers_to_any_text() -> String {
    let recorded = OPS.iter().find(|(path, _)| *path == RECORDINGS).map_or("", |(_, text)| text);
    let mut all = recorded.to_owned();
    for line in recorded.lines() {
        let Ok(mut recording) = serde_json::from_str::<Map<String, Value>>(line) else { continue };
        let key = recording.get("key").and_then(Value::as_str).and_then(|k| k.rsplit_once('/'));
        let Some((ticket, _)) = key.filter(|(_, version)| *version == ANY_TEXT) else { continue };
        let ticket = ticket.to_owned();
        let key = format!("{ticket}/*");
        let too_long = TOO_LONG.contains(&ticket.as_str()).then(|| format!("{ticket}/1.3.0"));
        recording.insert("key".to_owned(), key.into());
        all.push_str(&Value::Object(recording.clone()).to_string());
        all.push('\n');
        if let Some(key) = too_long {
            let line = recording.get("response").and_then(Value::as_str).unwrap_or_default();
            let kind = "It has been a trying week for the customer, who asked politely twice. ";
            let response = format!("{line} {}", kind.repeat(8));
            recording.insert("key".to_owned(), key.into());
            recording.insert("response".to_owned(), response.trim_end().into());
            all.push_str(&Value::Object(recording).to_string());
            all.push('\n');
        }
    }
    all
}

/// The tickets on which [`friendlier`] says too much.
const TOO_LONG: [&str; 2] = ["t-007", "t-023"];

/// Bytes from which on a chat is a long one.
const LONG: usize = 350;

/// One request as the agents' desk sends it.
#[derive(Clone, Deserialize)]
pub struct Ticket {
    /// What fills the prompt.
    pub vars: Map<String, Value>,
}

impl Ticket {
    /// True for the longer half of the chats.
    pub fn is_long(&self) -> bool {
        self.vars.get("transcript").and_then(Value::as_str).is_some_and(|t| t.len() >= LONG)
    }

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
            for app in [APP, SLOWS, COSTS] {
                assert!(desired.compose(&app.parse().unwrap()).is_ok(), "{app}");
            }
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
