//! What the command line says of itself, and how it fails without a server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

use std::process::{Command, Output};

fn tidegate(args: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("TIDEGATE_") || name == "COLUMNS" {
            command.env_remove(name);
        }
    }
    command.env("HOME", home.path()).current_dir(home.path()).args(args).output().unwrap()
}

fn out(args: &[&str]) -> String {
    String::from_utf8(tidegate(args).stdout).unwrap()
}

#[test]
fn help_texts() {
    for topic in [
        &["help"] as &[&str],
        &["help", "change"],
        &["help", "change", "create"],
        &["help", "rollout"],
        &["help", "serve"],
        &["help", "traffic", "replay"],
        &["help", "exit-codes"],
        &["help", "environment"],
        &["help", "words"],
    ] {
        insta::assert_snapshot!(topic.join("-"), out(topic));
    }
}

#[test]
fn failures_say_why_and_how_to_mend() {
    for (name, args) in [
        ("no-server", &["--server", "http://127.0.0.1:1", "status"] as &[&str]),
        ("no-data", &["serve"]),
        ("bad-address", &["--server", "not an address", "status"]),
        ("unknown-command", &["rolout", "list"]),
        ("unknown-topic", &["help", "wrods"]),
        ("bad-change", &["change", "get", "forty"]),
        ("nothing-to-do", &["change", "create", "-a", "qa", "--why", "because of it"]),
        ("faults-at-once", &["serve", "--role", "gateway", "--look-every", "0"]),
    ] {
        let output = tidegate(args);
        let code = output.status.code().unwrap_or(-1);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.stdout.is_empty(), "talk goes to standard error: {args:?}");
        insta::assert_snapshot!(format!("fails-{name}"), format!("{said}(status {code})"));
    }
}

#[test]
fn failures_are_documents_where_json_is_asked_for() {
    let output = tidegate(&["--server", "http://127.0.0.1:1", "status", "-o", "json"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((output.status.code(), document["exit"].as_u64()), (Some(1), Some(1)));
    let output = tidegate(&["rolout", "-o", "json"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(document["exit"], 2);
}
