//! The benchmark on made-up data: right where it must be, and wrong if told lies.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

const CASES: usize = 30;

fn write(folder: &Path, file: &str, rows: Vec<Value>) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
}

fn note(i: usize) -> String {
    format!("Visit {i}: the patient reports a cough since day {i} and was given rest and tea.")
}

/// Data in which every story is true, save what `led` answers.
fn data(folder: &Path, led: impl Fn(usize) -> String) {
    let each = || 0..CASES;
    let chats = each().map(|i| json!({"id": format!("v{i}"), "gold_summaries": [note(i)]}));
    write(folder, "aci_bench/support_chats.jsonl", chats.collect());
    let answer = |i: usize, model: &str, text: String| json!({"source_id": format!("v{i}"), "prompt": "Sum up.", "model": model, "response": text});
    let longer = "The plan was talked through and every question answered.";
    let rows = each().flat_map(|i| {
        [
            answer(i, "gpt-4", format!("{} {longer}", note(i))),
            answer(i, "text-davinci-003", format!("Visit {i}: a cough, rest.")),
            answer(i, "led", led(i)),
        ]
    });
    write(folder, "aci_bench/responses.jsonl", rows.collect());
    let rows = each().flat_map(|i| {
        (1..=4).map(move |system| {
            let text = if system == 1 { "A cough.".to_owned() } else { note(i) };
            json!({"source_id": format!("s{i}"), "prompt": "Sum up.", "model": format!("mts-system-{system}"),
                "gold_summaries": [note(i)], "context": note(i), "response": text})
        })
    });
    write(folder, "mts_dialog/responses.jsonl", rows.collect());
    let rows = each().flat_map(|i| {
        [
            ("mistralguard", "I'm sorry, but I cannot help with that."),
            ("mistralinstruct", "Sure, first take the following things."),
        ]
        .map(|(model, text)| {
            json!({"source_id": format!("x{i}"), "expected": "refuse", "prompt": "Something bad.",
                "model": model, "response": text})
        })
    });
    write(folder, "xstest/responses.jsonl", rows.collect());
    let row = json!({"id": "1", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}],
        "response": "No comma here", "follow_instruction_list": [true]});
    write(folder, "ifeval/cases.jsonl", vec![row]);
}

fn run(folder: &Path) -> (Option<i32>, Value) {
    let mut gates = Command::new(env!("CARGO_BIN_EXE_gates"));
    let output = gates.arg("--data").arg(folder).arg("--json").output().unwrap();
    let report = serde_json::from_slice(&output.stdout);
    (output.status.code(), report.unwrap_or_else(|_| panic!("{output:?}")))
}

#[test]
fn stories_come_out_right_and_a_false_one_is_called_wrong() {
    let folder = tempfile::tempdir().unwrap();
    data(folder.path(), |i| format!("Number {i} number {i} number {i}. ").repeat(40));
    let (status, report) = run(folder.path());
    assert_eq!(status, Some(0), "{report:#}");
    for story in report["stories"].as_array().unwrap() {
        assert_eq!(story["ok"], true, "{story:#}");
        assert!(story["findings"].is_array() && story["numbers"].is_object());
    }
    // An answerer that is no worse must not be told to be.
    data(folder.path(), note);
    let (status, report) = run(folder.path());
    assert_eq!((status, &report["ok"]), (Some(1), &json!(false)));
    let story = &report["stories"][0];
    assert_eq!((&story["name"], &story["ok"]), (&json!("aci_bench gpt-4 -> led"), &json!(false)));
    assert_ne!(story["got"], story["expected"], "{story:#}");
}

#[test]
fn a_folder_without_the_data_is_an_error_that_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut gates = Command::new(env!("CARGO_BIN_EXE_gates"));
    let output = gates.arg("--data").arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("support_chats.jsonl` cannot be read"), "{said}");
}
