//! A request that was answered badly becomes a case that every later change is
//! asked: recovered from what was kept, committed as a change, run by the gates.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{APP, Tide, wait_for};
use serde_json::{Value, json};

fn id_of(change: &Value) -> String {
    change["id"].as_str().unwrap().trim_start_matches("ch-").to_owned()
}

/// A request that was answered, once its record is there.
fn answered(tide: &Tide) -> String {
    let (status, headers, _) = tide.ask("ana", "user-1");
    assert_eq!(status, 200);
    let id = headers["x-tidegate-request-id"].clone();
    wait_for("the record", || (tide.run("ana", ["why", &id]).code == 0).then_some(()));
    id
}

fn gate(tide: &Tide, change: &str) -> Value {
    let report = tide.run("ana", ["change", "checks", change, "-o", "json"]).json();
    let gates = report["gates"].as_array().unwrap();
    gates.iter().find(|gate| gate["gate"] == "eval/danger").cloned().unwrap_or_default()
}

#[test]
fn a_bad_answer_is_never_given_again_unseen() {
    let tide = Tide::start();
    tide.people(&[("ana", "editor"), ("otto", "auditor"), ("priya", "approver")]);
    let request = answered(&tide);
    let why = "it leaves out the order number";
    // A change of its own: production still answers so, and the gate says it.
    let add = ["danger", "add", APP, "--request", &request, "--why", why, "--wait", "-o", "json"];
    let change = tide.run("ana", add).code(7).json();
    assert_eq!(change["state"], "needs_fixes", "{change}");
    let number = id_of(&change);
    tide.run("ana", ["change", "diff", &number]).ok().prints("danger.jsonl").prints(&request);
    let failed = gate(&tide, &number);
    assert_eq!(failed["outcome"], "failed", "{failed}");
    assert_eq!(failed["findings"][0]["code"], "checks_broken", "{failed}");

    // With a check production keeps, it goes through; the case asks what was asked.
    let kept = ["--contains", "charger", "--check", r#"{"length": {"at_most": 200}}"#];
    let add = ["danger", "add", APP, "--request", &request, "--why", why, "--wait", "-o", "json"];
    let change = tide.run("ana", add.iter().chain(&kept)).ok().json();
    let number = id_of(&change);
    assert_eq!(gate(&tide, &number)["outcome"], "passed");
    let diff = tide.run("ana", ["change", "diff", &number]).ok().stdout;
    let line = diff.lines().find_map(|line| line.strip_prefix("+{")).unwrap();
    let case: Value = serde_json::from_str(&format!("{{{line}")).unwrap();
    assert_eq!(case["id"], json!(request));
    assert_eq!(case["variables"]["ticket"], "T-1001");
    assert_eq!(case["variables"]["transcript"], "Customer: hello");

    // The same into a change that is open already, once.
    let again = ["danger", "add", APP, "--request", &request, "--change", &number];
    tide.run("ana", again.iter().chain(&kept)).code(7).says("has a case");
    let other = json!({"id": "by-hand", "variables": {"ticket": "T-1001", "transcript": "x"},
        "checks": [{"contains": "charger"}]});
    let file = tide.write("case.json", &other.to_string());
    let file = file.to_string_lossy();
    let more = ["danger", "add", APP, "--case", &file, "--change", &number, "--wait"];
    tide.run("ana", more).ok();
    let diff = tide.run("ana", ["change", "diff", &number]).ok().stdout;
    assert_eq!(diff.lines().filter(|line| line.starts_with("+{")).count(), 2, "{diff}");

    // What cannot be is said.
    tide.run("otto", ["danger", "add", APP, "--case", &file, "--why", why]).code(4);
    tide.run(
        "ana",
        ["danger", "add", APP, "--request", "req_aaaaaaaaaaaaaaaaaaaaaaaa", "--why", why],
    )
    .code(5);
    tide.run("ana", ["danger", "add", APP, "--case", &file]).code(2);
    let bad = ["--check", "{\"nice\": true}", "--why", why];
    tide.run("ana", ["danger", "add", APP, "--request", &request].iter().chain(&bad))
        .code(2)
        .says("is no check");
}
