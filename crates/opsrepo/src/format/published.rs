//! The published JSON Schemas (`docs/schemas/`) say what the formats say: every
//! shipped file keeps its schema, and both know the same keys.

use super::app::AppFile;
use super::judge::JudgeSpec;
use super::model::ModelFile;
use super::prices::PricesFile;
use super::prompt::PromptFile;
use super::release::ReleaseFile;
use crate::Files;
use checks::score::Schema;
use domain::recording::Recording;
use domain::suite::{Case, Suite};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn published(name: &str) -> Value {
    let path = root().join("docs/schemas").join(format!("{name}.json"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The schema of a file of an ops repo, by its path.
fn schema_of(path: &str) -> Option<&'static str> {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["apps", _, "app.yaml"] => Some("app"),
        ["apps", _, "release.yaml"] => Some("release"),
        ["apps", _, "prompts", _, "prompt.yaml"] => Some("prompt"),
        ["apps", _, "evals", "judges", file] if file.ends_with(".yaml") => Some("judge"),
        ["apps", _, "evals", "recordings", file] if file.ends_with(".jsonl") => Some("recording"),
        ["apps", _, "evals", file] if file.ends_with(".yaml") => Some("suite"),
        ["apps", _, "evals", .., file] if file.ends_with(".jsonl") => Some("case"),
        ["prices.yaml"] => Some("prices"),
        ["models", file] if file.ends_with(".yaml") => Some("model"),
        _ => None,
    }
}

/// Every document of a file: one of YAML, one a line of JSONL.
fn documents(path: &str, bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).unwrap();
    if path.ends_with(".jsonl") {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    } else {
        vec![serde_saphyr::from_str(text).unwrap()]
    }
}

fn collect(folder: &Path, base: &Path, files: &mut Files) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, base, files);
        } else {
            let name = path.strip_prefix(base).unwrap().to_string_lossy().replace('\\', "/");
            files.insert(name, fs::read(&path).unwrap());
        }
    }
}

#[test]
fn every_shipped_file_keeps_its_published_schema() {
    let base = root().join("examples/support-summary/ops");
    let mut example = Files::new();
    collect(&base, &base, &mut example);
    let starter = crate::scaffold::starter(&"support-summary".parse().unwrap());
    let mut seen = BTreeSet::new();
    for (path, bytes) in example.iter().chain(&starter) {
        let Some(name) = schema_of(path) else { continue };
        let schema = Schema::new(&published(name)).unwrap();
        for document in documents(path, bytes) {
            assert_eq!(schema.broken_by(&document), None, "{path}: {document:#}");
            seen.insert(name);
        }
    }
    let wanted = ["app", "case", "model", "prompt", "recording", "release", "suite"];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), wanted);
}

#[test]
fn a_suite_with_everything_in_it_keeps_its_schema_and_a_wrong_one_does_not() {
    let schema = Schema::new(&published("suite")).unwrap();
    let whole = fs::read(root().join("fuzz/seeds/suite/whole")).unwrap();
    let (suite, findings) = super::suite::parse("apps/a/evals/whole.yaml", &whole);
    assert_eq!((suite.is_some(), findings), (true, vec![]));
    let document = documents("whole.yaml", &whole).remove(0);
    assert_eq!(schema.broken_by(&document), None, "{document:#}");
    for (field, value) in [
        ("chekcs", json!([])),
        ("checks", json!([{"contains": "a", "equals": "b"}])),
        ("checks", json!([{"json_path": {"exists": true}}])),
        ("scores", json!([{"metric": "rouge3"}])),
        ("repeats", json!(0)),
        ("pass", json!({"at_least": "most"})),
        ("apiVersion", json!("tidegate/v2")),
    ] {
        let mut wrong = document.clone();
        wrong[field] = value;
        assert!(schema.broken_by(&wrong).is_some(), "{field}: {wrong:#}");
    }
    let judge = "apiVersion: tidegate/v1\nversion: 1.0.0\nmodel: m\nrubric: be good\nscale: {low: 1, high: 10}\nvotes: 2\nagreement: 80%\n";
    assert!(super::judge::judge("j.yaml", judge.as_bytes()).is_ok());
    let of_judge = Schema::new(&published("judge")).unwrap();
    assert_eq!(of_judge.broken_by(&documents("j.yaml", judge.as_bytes())[0]), None);
}

/// The keys a type reads, from what it says of one it does not know.
fn keys<T: DeserializeOwned>() -> BTreeSet<String> {
    let said = match serde_json::from_value::<T>(json!({"no such key": 1})) {
        Ok(_) => panic!("it reads anything"),
        Err(error) => error.to_string(),
    };
    let (_, expected) = said.split_once("expected").unwrap();
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn schemas_and_parsers_know_the_same_keys() {
    let table = [
        ("app", keys::<AppFile>()),
        ("case", keys::<Case>()),
        ("judge", keys::<JudgeSpec>()),
        ("model", keys::<ModelFile>()),
        ("prices", keys::<PricesFile>()),
        ("prompt", keys::<PromptFile>()),
        ("recording", keys::<Recording>()),
        ("release", keys::<ReleaseFile>()),
        ("suite", keys::<Suite>()),
    ];
    for (name, read) in table {
        let schema = published(name);
        let said: BTreeSet<String> =
            schema["properties"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(said, read, "docs/schemas/{name}.json");
    }
    let suite = published("suite");
    let checks = suite["$defs"]["check"]["properties"].as_object().unwrap();
    for check in checks.keys() {
        let unknown = serde_json::from_value::<domain::suite::Check>(json!({check: null}));
        let said = unknown.err().map(|e| e.to_string()).unwrap_or_default();
        assert!(!said.contains("unknown variant"), "`{check}`: {said}");
    }
    assert_eq!(suite["$defs"]["case"]["properties"], published("case")["properties"]);
    let said = serde_json::from_value::<domain::suite::Check>(json!({"no such check": 1}));
    let said = said.err().map(|e| e.to_string()).unwrap_or_default();
    let read = said.split('`').skip(3).step_by(2).count();
    assert_eq!(checks.len(), read, "every check is in the schema: {said}");
}
