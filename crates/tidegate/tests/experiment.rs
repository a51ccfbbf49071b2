//! Experiments from the command line: recorded outcomes in, what to do out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

const POLICY: &str = "apiVersion: tidegate/v1
variants: [{name: today}, {name: short}, {name: friendly}]
floor: 10%
min_requests: 50
reward: {signal: accepted, kind: rate}
guards:
  - {name: error, kind: rate, notice: {times: 2}, action: rollback}
";

fn tidegate(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TIDEGATE_") {
            command.env_remove(name);
        }
    }
    command.env("HOME", folder).current_dir(folder).args(args).output().unwrap()
}

/// Outcomes in which of every hundred so many are accepted and so many fail, by
/// variant in turn.
fn outcomes(n: u64, accepted: [u64; 3], failed: [u64; 3]) -> String {
    let names = ["today", "short", "friendly"];
    (0..n).fold(String::new(), |mut lines, i| {
        let v = (i % 3) as usize;
        // Spread evenly over each hundred: 37 and 100 have no common factor.
        let place = i / 3 * 37 % 100;
        let line = json!({
            "t": i * 9, "variant": names[v],
            "metrics": {
                "accepted": u8::from(place < accepted[v]),
                "error": u8::from((place + 50) % 100 < failed[v]),
            },
        });
        writeln!(lines, "{line}").unwrap();
        lines
    })
}

fn report(policy: &str, data: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("e.yaml"), policy).unwrap();
    std::fs::write(folder.path().join("o.jsonl"), data).unwrap();
    let args = ["experiment", "run", "--policy", "e.yaml", "--data", "o.jsonl", "-o", "json"];
    let output = tidegate(folder.path(), &args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_winner_is_told_in_words_and_numbers() {
    let said = report(POLICY, &outcomes(6_000, [20, 45, 25], [1, 1, 1]));
    let winner = &said["report"]["overall"]["verdict"]["winner"];
    assert_eq!(winner["variant"], "short");
    let hours = winner["t"].as_f64().unwrap() / 3600.0;
    assert!(hours < 15.0 && hours.fract() == 0.0, "a look of the grid: {hours}");
    let summary = said["summary"].as_str().unwrap();
    assert!(summary.starts_with("End it with `short`: it is the best variant"), "{summary}");
    let variants = said["report"]["overall"]["variants"].as_array().unwrap();
    let shares: Vec<f64> = variants.iter().map(|v| v["share"].as_f64().unwrap()).collect();
    assert!(shares[1] > 0.79 && shares[0] >= 0.1 && shares[2] >= 0.1, "{shares:?}");
    assert_eq!(variants[0]["against_control"], Value::Null);
}

#[test]
fn harm_drops_a_variant_and_lost_answers_end_trust() {
    let said = report(POLICY, &outcomes(3_000, [20, 20, 20], [1, 1, 40]));
    let guards = said["report"]["guards"].as_array().unwrap();
    assert_eq!(guards[1]["variant"], "friendly");
    assert_eq!(guards[1]["dropped"]["guard"], "error");
    assert_eq!(said["report"]["overall"]["variants"][2]["share"], 0.0);
    // Every other answer of one variant was lost.
    let all = outcomes(3_000, [20, 45, 20], [1, 1, 1]);
    let kept: String = all
        .lines()
        .enumerate()
        .filter(|(i, _)| i % 6 != 1)
        .map(|(_, line)| format!("{line}\n"))
        .collect();
    let said = report(POLICY, &kept);
    assert_eq!(said["report"]["overall"]["verdict"], "wrong_shares");
    let summary = said["summary"].as_str().unwrap();
    assert!(summary.contains("`short` 500 where 833 were due"), "{summary}");
}

#[test]
fn a_cut_recording_says_what_it_said_then() {
    let all = outcomes(6_000, [20, 45, 25], [1, 1, 1]);
    let whole = report(POLICY, &all);
    let winner = &whole["report"]["overall"]["verdict"]["winner"];
    let t = winner["t"].as_f64().unwrap() as u64;
    let known: String = all.lines().take((t / 9 + 1) as usize).map(|l| format!("{l}\n")).collect();
    let cut = report(POLICY, &known);
    assert_eq!(&cut["report"]["overall"]["verdict"]["winner"], winner);
    assert_eq!(cut["report"]["t"], winner["t"]);
}

#[test]
fn an_assumed_truth_is_run_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("e.yaml"), POLICY).unwrap();
    let truth = "today=20%,short=45%,friendly=25%";
    let args = ["experiment", "simulate", "--policy", "e.yaml", "--truth", truth, "--runs", "20"];
    let output = tidegate(folder.path(), &[&args[..], &["-o", "json"]].concat());
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let courses = said["courses"].as_array().unwrap();
    assert_eq!(courses.iter().map(|c| &c["allocate"]).collect::<Vec<_>>(), ["fixed", "thompson"]);
    assert!(courses.iter().all(|c| c["right"].as_u64() >= Some(19)), "{said}");
    let rows = String::from_utf8(tidegate(folder.path(), &args).stdout).unwrap();
    assert_eq!(rows.lines().map(|l| l.split('\t').count()).collect::<Vec<_>>(), [8, 8]);
}

#[test]
fn failures_say_what_where_and_how_to_mend() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("e.yaml", POLICY);
    write("typo.yaml", &POLICY.replace("floor", "flor").replace("{name: short}", "{nam: short}"));
    write("few.yaml", &POLICY.replace(", {name: short}, {name: friendly}", ""));
    write("empty.jsonl", "\n");
    write("odd.jsonl", "{\"t\": 1, \"variant\": \"long\", \"metrics\": {}}\n");
    let line = |t: u32| format!("{{\"t\": {t}, \"variant\": \"today\", \"metrics\": {{}}}}\n");
    write("back.jsonl", &(line(5) + &line(4)));
    let said: Vec<String> = [
        &["run", "--policy", "typo.yaml", "--data", "odd.jsonl"] as &[&str],
        &["run", "--policy", "few.yaml", "--data", "odd.jsonl"],
        &["run", "--policy", "e.yaml", "--data", "empty.jsonl"],
        &["run", "--policy", "e.yaml", "--data", "odd.jsonl"],
        &["run", "--policy", "e.yaml", "--data", "back.jsonl"],
        &["run", "--policy", "e.yaml", "--data", "none.jsonl"],
        &["simulate", "--policy", "e.yaml", "--truth", "today=20%"],
        &["simulate", "--policy", "e.yaml", "--truth", "today=20%,long=1"],
        &["simulate", "--policy", "e.yaml", "--truth", "today=20%,short=3,friendly=1%"],
    ]
    .iter()
    .map(|args| {
        let output = tidegate(folder.path(), &[&["experiment"], *args].concat());
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    })
    .collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn bytes_that_are_no_text_are_named_by_their_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("e.yaml"), POLICY).unwrap();
    std::fs::write(folder.path().join("odd.jsonl"), b"\n\xff\xfe\n").unwrap();
    let output = tidegate(
        folder.path(),
        &["experiment", "run", "--policy", "e.yaml", "--data", "odd.jsonl"],
    );
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("`odd.jsonl` line 2: it is not text"), "{said}");
}
