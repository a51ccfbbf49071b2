//! `eval import`: tests of promptfoo become a suite that reads, and nothing is
//! overwritten.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

use std::path::Path;
use std::process::{Command, Output};

const CONFIG: &str = "\
description: Support answers
tests:
  - description: Names the order
    vars: {ticket_id: t-9, transcript: 'Ana: where is K1?'}
    assert:
      - {type: icontains, value: K1}
      - {type: javascript, value: 'true'}
";

fn import(folder: &Path, app: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["eval", "import", "--from", "promptfoo", "promptfooconfig.yaml"])
        .args(["--app", app, "--name", "smoke", "-o", "json"])
        .current_dir(folder)
        .output()
        .expect("the binary runs")
}

#[test]
fn promptfoos_tests_become_a_suite_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let app = "demo".parse().expect("a name");
    for (path, bytes) in opsrepo::scaffold::starter(&app) {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, bytes).expect("written");
    }
    std::fs::write(folder.path().join("promptfooconfig.yaml"), CONFIG).expect("written");

    let output = import(folder.path(), "demo");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("code is not taken over"), "{said}");
    let written: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(written["cases"], 1);
    let evals = folder.path().join("apps/demo/evals");
    let suite = std::fs::read(evals.join("smoke.yaml")).expect("the suite");
    let (suite, findings) = opsrepo::suite::parse("smoke.yaml", &suite);
    assert_eq!(findings, []);
    assert_eq!(suite.expect("a suite").files, ["golden/smoke.jsonl"]);
    let cases = std::fs::read_to_string(evals.join("golden/smoke.jsonl")).expect("the cases");
    assert!(cases.contains("\"id\":\"names-the-order\""), "{cases}");

    let again = import(folder.path(), "demo");
    assert_eq!(again.status.code(), Some(6));
    assert_eq!(import(folder.path(), "other").status.code(), Some(5));
}
