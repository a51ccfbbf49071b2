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

/// The same judge, and people who label every chosen answer: they find bad what
/// the judge called bad, but for one in three of it.
fn labelled(share: f64, order: impl Fn(&str, &str) -> String) -> String {
    let mut lines = String::new();
    for i in 0..800_u32 {
        let arm = if i % 2 == 0 { "baseline" } else { "candidate" };
        let bad = (i / 2) % 100 < 23;
        let id = format!("req_{i}");
        let hash = u64::from_str_radix(&sha256(&id)[..16], 16).unwrap();
        // Labels on others, always `bad`: they must not be used.
        let chosen = (hash as f64) < share * 2.0_f64.powi(64);
        let found = if chosen { bad && i % 3 > 0 } else { true };
        let said = json!({"t": i, "arm": arm, "answer": id, "metrics": {"unhelpful": bad}});
        let label =
            json!({"t": i, "arm": arm, "answer": id, "metrics": {"unhelpful.human": found}});
        lines.push_str(&order(&said.to_string(), &label.to_string()));
    }
    lines
}

fn sha256(text: &str) -> String {
    domain::ids::Digest::of(text.as_bytes()).as_bytes().iter().fold(String::new(), |mut all, b| {
        write!(all, "{b:02x}").unwrap();
        all
    })
}

#[test]
fn labels_of_people_correct_the_judge_and_decide_nothing() {
    let policy_asking = policy(json!({"human": {"share": 0.5}}));
    let (output, asked) =
        backtest(&policy_asking, &labelled(0.5, |said, label| format!("{said}\n{label}\n")));
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let asked = asked.unwrap();
    let evidence = &asked["evidence"][0];
    let (labels, corrected) = (&evidence["labels"], &evidence["corrected"]);
    assert_eq!(labels["name"], "unhelpful.human");
    assert_eq!(labels["candidate"]["judged"], 400);
    let chosen = labels["candidate"]["chosen"].as_u64().unwrap();
    assert!((150..250).contains(&chosen), "{labels}");
    assert_eq!(labels["candidate"]["labelled"], chosen, "{labels}");
    assert_eq!(labels["unused"], 800 - chosen - labels["control"]["chosen"].as_u64().unwrap());
    assert_eq!((&corrected["by_people"], &corrected["labels"]), (&json!(true), &json!(chosen)));
    let value = corrected["candidate"]["value"].as_f64().unwrap();
    // Two thirds of 23 %.
    assert!((0.12..0.19).contains(&value), "{corrected}");
    assert!(corrected["difference"]["low"].as_f64().unwrap() < 0.0, "{corrected}");

    // The same without labels: nothing but what is shown differs.
    let (_, plain) = backtest(&policy(Value::Null), &trace());
    let mut bare = asked.clone();
    for key in ["labels", "corrected"] {
        bare["evidence"][0].as_object_mut().unwrap().remove(key);
    }
    let same = |verdict: &Value, key: &str| verdict[key].clone();
    for key in ["decision", "n_candidate", "n_baseline", "evidence"] {
        assert_eq!(same(&bare, key), same(&plain.clone().unwrap(), key), "{key}");
    }

    // Labels that come first, and all of them after the last look.
    let (_, first) =
        backtest(&policy_asking, &labelled(0.5, |said, label| format!("{label}\n{said}\n")));
    assert_eq!(first.unwrap(), asked);
    let all = labelled(0.5, |said, _| format!("{said}\n"));
    let late = labelled(0.5, |_, label| format!("{label}\n"));
    let late: String = late
        .lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            line["t"] = json!(90_000);
            format!("{line}\n")
        })
        .collect();
    let (_, late) = backtest(&policy_asking, &format!("{all}{late}"));
    assert_eq!(late.unwrap(), asked);
}

#[test]
fn too_few_labels_are_said_so() {
    let (_, verdict) = backtest(
        &policy(json!({"human": {"share": 0.01}})),
        &labelled(0.01, |said, label| format!("{said}\n{label}\n")),
    );
    let verdict = verdict.unwrap();
    let evidence = &verdict["evidence"][0];
    assert_eq!(evidence.get("corrected"), None, "{evidence}");
    let of = &evidence["labels"]["candidate"];
    let (labelled, wanted) = (of["labelled"].as_u64().unwrap(), of["wanted"].as_u64().unwrap());
    assert!(wanted > 0 && labelled + wanted == 10, "{of}");
}

#[test]
fn a_label_without_its_answer_is_not_used() {
    let line = |i: u32, metrics: Value| {
        let arm = if i.is_multiple_of(2) { "baseline" } else { "candidate" };
        format!("{}\n", json!({"t": i, "arm": arm, "metrics": metrics}))
    };
    let both = |i| line(i, json!({"unhelpful": i % 5 == 0, "unhelpful.human": 1}));
    let (_, verdict) =
        backtest(&policy(json!({"human": {"share": 1}})), &(0..400).map(both).collect::<String>());
    let verdict = verdict.unwrap();
    let labels = &verdict["evidence"][0]["labels"];
    assert_eq!(
        (&labels["candidate"]["labelled"], &labels["candidate"]["judged"]),
        (&json!(0), &json!(200))
    );
}
