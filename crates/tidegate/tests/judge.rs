//! A judge with known errors, from outside: what `backtest` says of it, and what
//! it refuses.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Output};

/// Runs the binary on this policy and one trace: what it said, and the verdict
/// if it gave one.
fn backtest(policy: &Value, trace: &str) -> (Output, Option<Value>) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("traces")).unwrap();
    fs::write(dir.path().join("policy.json"), policy.to_string()).unwrap();
    fs::write(dir.path().join("traces/one.jsonl"), trace).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TIDEGATE_") {
            command.env_remove(name);
        }
    }
    let output = command
        .env("HOME", dir.path())
        .current_dir(dir.path())
        .args([
            "backtest",
            "--policy",
            "policy.json",
            "--traces",
            "traces",
            "--out",
            "verdict.jsonl",
        ])
        .output()
        .unwrap();
    let verdict = fs::read(dir.path().join("verdict.jsonl")).ok();
    (output, verdict.and_then(|text| serde_json::from_slice(&text).ok()))
}

fn policy(judge: Value) -> Value {
    json!({
        "apiVersion": "tidegate/v1",
        "planned": {"duration": "48h", "requests": 4000, "share": "50%"},
        "signals": [{"name": "unhelpful", "kind": "rate", "notice": {"by": "3%"},
            "judge": judge, "action": "pause"}],
    })
}

/// 400 answers of either arm; the judge calls 23 % of them bad.
fn trace() -> String {
    let mut lines = String::new();
    for i in 0..800_u32 {
        let arm = if i % 2 == 0 { "baseline" } else { "candidate" };
        let line = json!({"t": i, "arm": arm, "metrics": {"unhelpful": (i / 2) % 100 < 23}});
        writeln!(lines, "{line}").unwrap();
    }
    lines
}

#[test]
fn evidence_holds_what_people_would_have_measured() {
    let known = json!({"sensitivity": "80%", "specificity": "90%", "labelled": 300});
    let (output, verdict) = backtest(&policy(known), &trace());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let verdict = verdict.unwrap();
    let evidence = &verdict["evidence"][0];
    assert_eq!(evidence["candidate"]["value"], json!(0.23));
    let corrected = &evidence["corrected"];
    assert_eq!(corrected["labels"], json!(300));
    for arm in ["control", "candidate"] {
        // (0.23 + 0.9 − 1)/(0.8 + 0.9 − 1)
        let of = |what: &str| corrected[arm][what].as_f64().unwrap();
        assert!((of("value") - 0.13 / 0.7).abs() < 1e-4, "{corrected}");
        assert!(of("low") > 0.08 && of("low") < 0.15, "{corrected}");
        assert!(of("high") > 0.22 && of("high") < 0.30, "{corrected}");
    }
    let difference = |what: &str| corrected["difference"][what].as_f64().unwrap();
    assert_eq!(difference("value"), 0.0);
    // 1.96 standard errors of the judge's difference, over 0.7.
    let half = 1.96 * (2.0 * 0.23 * 0.77 / 400.0_f64).sqrt() / 0.7;
    assert!((difference("high") - half).abs() < 0.01 && difference("low") == -difference("high"));
}

#[test]
fn without_a_judge_nothing_is_corrected() {
    let (_, verdict) = backtest(&policy(Value::Null), &trace());
    assert_eq!(verdict.unwrap()["evidence"][0].get("corrected"), None);
}

#[test]
fn labels_of_people_are_refused_as_long_as_they_do_nothing() {
    let (output, _) = backtest(&policy(json!({"human": "reviewed"})), &trace());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("signals[0].judge.human") && said.contains("not supported"), "{said}");
}
