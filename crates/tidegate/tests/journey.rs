//! The main job through plain commands: a good change goes out, a bad one goes
//! back by itself, people act in bad minutes, and the log proves it all.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{APP, Ran, Tide, wait_for};
use serde_json::Value;

const PEOPLE: [(&str, &str); 3] = [("ana", "editor"), ("priya", "approver"), ("omar", "operator")];

/// A recording of a model whose answers users reject.
const BAD_MODEL: &str = r#"{"model":"bad-1","key":"T-1001","response":"Nothing happened.","latency_ms":1}
"#;

fn tide() -> Tide {
    tide_with(common::QUICK_ROLLOUT)
}

fn tide_with(plan: &str) -> Tide {
    let tide = Tide::start_with(&[
        (&format!("apps/{APP}/rollout.yaml"), plan),
        (&format!("apps/{APP}/evals/recordings/bad.jsonl"), BAD_MODEL),
        ("models/bad.yaml", &bad_model()),
    ]);
    tide.people(&PEOPLE);
    tide
}

fn bad_model() -> String {
    format!(
        "apiVersion: tidegate/v1\nversion: 1.0.0\nprovider:\n  kind: replay\n  key: \"{{{{ ticket }}}}\"\n  recordings: [apps/{APP}/evals/recordings/bad.jsonl]\nprovider_model: bad-1\ncontext_window: 8192\ntokenizer: o200k_base\nprices: {{input_per_million: 0.15, output_per_million: 0.60}}\n"
    )
}

/// What users ask, and what they say about each model's answers. No two ask
/// the same: equal questions would be one piece of evidence.
fn questions() -> String {
    (0..600)
        .map(|n| {
            let line = serde_json::json!({
                "vars": {"ticket": "T-1001", "transcript": format!("Customer: q {n}")},
                "feedback": {"rejected": {"starter-1": 0, "bad-1": 1}},
            });
            format!("{line}\n")
        })
        .collect()
}

fn prompt(tide: &Tide, text: &str) -> String {
    let path = tide.write(
        "prompt.j2",
        &format!("{text} Write in {{{{ language }}}}.\n{{% include \"facts-only.j2\" %}}\n"),
    );
    format!("@{}", path.display())
}

/// Proposes a change and waits for the checks; its number.
fn propose(tide: &Tide, args: &[&str]) -> String {
    let usual = [
        "change",
        "create",
        "-a",
        APP,
        "--why",
        "our readers asked for it",
        "--wait",
        "-o",
        "json",
    ];
    let change = tide.run("ana", usual.iter().chain(args)).ok().json();
    assert_eq!(change["state"], "needs_approval", "{change}");
    change["id"].as_str().unwrap().to_owned()
}

/// A change of model that no check can know to be bad.
fn propose_bad_model(tide: &Tide) -> String {
    let release = format!("apps/{APP}/release.yaml");
    let text = std::fs::read_to_string(tide.path("ops").join(&release)).unwrap();
    let edited = tide.write("release.yaml", &text.replace("model: recorded", "model: bad"));
    propose(tide, &["--file", &format!("{release}=@{}", edited.display())])
}

fn approve(tide: &Tide, change: &str) -> Ran {
    tide.run("priya", ["change", "approve", change, "--wait"])
}

fn to_the_end(tide: &Tide) -> Value {
    let report = tide.traffic("omar", &questions(), &["--rate", "200", "--until-rollout-ends"]);
    assert_eq!(report["labels_failed"], 0, "{report}");
    report
}

#[test]
fn a_good_prompt_is_promoted_by_a_commit() {
    let tide = tide();
    let before = tide.run("ana", ["app", "get", APP, "-o", "json"]).ok().json();
    let change = propose(&tide, &["--prompt", &prompt(&tide, "Summarise in two sentences.")]);
    tide.run("ana", ["change", "checks", &change])
        .ok()
        .prints("✓ Variables and syntax of the prompt");
    tide.run("ana", ["change", "diff", &change])
        .ok()
        .prints("+Summarise in two sentences.")
        .prints("+version: 1.1.0");
    approve(&tide, &change).ok();
    to_the_end(&tide);
    let watched = tide.run("ana", ["rollout", "watch", APP, "-o", "jsonl"]).ok();
    let last: Value = serde_json::from_str(watched.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["phase"]["name"], "promoted");

    let after = tide.run("ana", ["app", "get", APP, "-o", "json"]).ok().json();
    assert_ne!(before["production"], after["production"]);
    assert_eq!(after["production"], last["candidate"]);
    assert_eq!(after["labels"]["prompt"], "summary@1.1.0");
    // The alias moved by a commit, and git says what is live.
    let ops = tide.clone_ops("ana");
    let aliases =
        std::fs::read_to_string(ops.join("environments/production/aliases.yaml")).unwrap();
    assert!(aliases.contains(after["production"].as_str().unwrap()), "{aliases}");
    tide.run("ana", ["git", "status"]).ok().prints("git says what is live");
    assert_eq!(tide.run("ana", ["change", "get", &change, "-o", "json"]).json()["state"], "live");
    tide.run("ana", ["audit", "verify"]).ok().prints("unbroken");
}

#[test]
fn a_bad_model_goes_back_by_itself_and_one_harmed_answer_is_explained() {
    let mut tide = tide();
    let before = tide.run("ana", ["app", "get", APP, "-o", "json"]).ok().json();
    let change = propose_bad_model(&tide);
    approve(&tide, &change).ok();
    let report = to_the_end(&tide);
    let harmed = report["example"].as_str().expect("somebody was harmed").to_owned();

    // Why it went back, and how many it cost.
    tide.run("ana", ["rollout", "watch", APP])
        .code(9)
        .prints("rolled_back")
        .says("rejected")
        .says("harmed");
    let rollout = tide.run("ana", ["rollout", "get", APP, "-o", "json"]).ok().json();
    let bad = report["arms"]["candidate"]["labels"]["rejected"]["sum"].as_f64().unwrap();
    let counted = rollout["requests_harmed"].as_u64().unwrap();
    assert!(counted > 0 && counted as f64 <= bad, "{counted} of {bad}");
    assert!(rollout["swing_back"].is_string(), "{rollout}");
    assert!(rollout["git_commit"].is_string(), "{rollout}");
    let after = tide.run("ana", ["app", "get", APP, "-o", "json"]).ok().json();
    assert_eq!(before["production"], after["production"]);
    tide.run("ana", ["git", "status"]).ok().prints("git says what is live");
    let incident = tide.run("ana", ["incident", "list", "-o", "json"]).ok().json();
    assert_eq!(incident[0]["kind"], "rolled_back");

    // The recording of it says the same to the same policy.
    let (recordings, verdicts) = (tide.path("recordings"), tide.path("verdicts.jsonl"));
    let out = recordings.display().to_string();
    tide.run("ana", ["rollout", "export", APP, "--out", &out]).ok().prints("outcomes");
    let policy = tide.write("policy.yaml", common::QUICK_ROLLOUT).display().to_string();
    let to = verdicts.display().to_string();
    tide.run("ana", ["backtest", "--policy", &policy, "--traces", &out, "--out", &to]).ok();
    let again: Value = serde_json::from_str(&std::fs::read_to_string(&verdicts).unwrap()).unwrap();
    assert_eq!((&again["decision"], &again["metric"]), (&"rollback".into(), &"rejected".into()));

    // One harmed answer: the tuple that served it, against the last good one.
    // Gateways ship records in batches, so the last answers are known last.
    let why = wait_for("the record of the harmed request", || {
        let asked = tide.run("ana", ["why", &harmed, "-o", "json"]);
        (asked.code != 5).then(|| asked.ok().json())
    });
    assert_eq!(why["served"]["arm"], "candidate");
    assert_eq!(why["release"]["id"], rollout["candidate"]);
    assert_eq!(why["last_good"]["id"], before["production"]);
    let model =
        why["differences"].as_array().unwrap().iter().find(|d| d["kind"] == "model").unwrap();
    assert_eq!(
        (model["before"]["name"].as_str(), model["after"]["name"].as_str()),
        (Some("recorded"), Some("bad"))
    );
    assert_eq!(why["feedback"][0]["name"], "rejected");
    tide.run("ana", ["why", &harmed])
        .ok()
        .prints("recorded@1.0.0")
        .prints("bad@1.0.0")
        .prints(&change);

    // The log is whole, online and from the data directory alone.
    let key = tide.run("admin", ["whoami", "-o", "json"]).ok().json()["log_key"]
        .as_str()
        .unwrap()
        .to_owned();
    tide.run("ana", ["audit", "verify", "--vkey", &key]).ok().prints("unbroken");
    assert_eq!(tide.stop(), Some(0), "{}", tide.log());
    let data = tide.data().to_string_lossy().into_owned();
    tide.run("ana", ["audit", "verify", "--vkey", &key, "--data", &data]).ok().prints("unbroken");
}

#[test]
fn bad_minutes_kill_unkill_rollback_and_the_reason_afterwards() {
    let tide = tide();
    let change = propose(&tide, &["--prompt", &prompt(&tide, "Summarise briefly.")]);
    approve(&tide, &change).ok();
    let rollout = tide.run("ana", ["rollout", "get", APP, "-o", "json"]).ok().json();

    // Ctrl-C ends the watching, not the rollout, and says so.
    let stopped = tide.interrupt("ana", ["rollout", "watch", APP]).code(130);
    stopped.prints("running").says("Still running: tidegate rollout watch ro-1");
    assert_eq!(tide.run("ana", ["rollout", "status", APP]).code, 8);

    tide.run("omar", ["pause", APP]).ok();
    tide.run("ana", ["rollout", "watch", APP, "--until-paused"]).code(10);
    tide.run("omar", ["rollout", "resume", APP]).ok();

    tide.run("omar", ["kill", APP]).code(2).says("--yes");
    let killed = tide.run("omar", ["kill", APP, "--yes", "-o", "json"]).ok().json();
    assert_eq!(killed["gateways"], serde_json::json!([1, 1]), "{killed}");
    let (status, headers, _) = tide.ask("omar", "u-1");
    assert_eq!((status, headers["x-tidegate-fallback"].as_str()), (200, "rules"));
    tide.run("omar", ["unkill", APP, "--yes"]).code(2).says("--reason");
    tide.run("omar", ["unkill", APP, "--yes", "--reason", "the provider is back"]).ok();
    let (status, headers, _) = tide.ask("omar", "u-1");
    assert_eq!((status, headers["x-tidegate-fallback"].as_str()), (200, "none"));

    let back = tide.run("omar", ["rollback", APP, "--yes", "-o", "json"]).ok();
    let incident = back.json()["incident"].as_str().unwrap().to_owned();
    back.says(&format!("incident reason {incident}"));
    tide.run("omar", ["incident", "reason", &incident, "readers complained about it"]).ok();
    let incident = tide.run("omar", ["incident", "get", &incident, "-o", "json"]).ok().json();
    assert_eq!(incident["reason"], "readers complained about it");
    tide.run("ana", ["rollout", "watch", rollout["id"].as_str().unwrap()]).code(9);

    // The failed release does not come back by a push, until somebody clears it.
    let ops = tide.clone_ops("ana");
    let failed = tide.run("ana", ["change", "get", &change, "-o", "json"]).ok().json();
    let head = failed["head"].as_str().unwrap();
    tide.git(&ops, &["switch", "-q", "-c", "again"]).ok();
    tide.git(&ops, &["checkout", "-q", head, "--", "apps"]).ok();
    tide.git(&ops, &["commit", "-qm", "Try the same thing once more"]).ok();
    let pushed = tide.git(&ops, &["push", "origin", "again"]);
    assert_ne!(pushed.code, 0, "{pushed:?}");
    pushed.says("failed on");
    let candidate = rollout["candidate"].as_str().unwrap();
    tide.run("ana", ["release", "clear", candidate, "--yes", "--reason", "it was not its fault"])
        .code(4);
    tide.run("priya", ["release", "clear", candidate, "--yes", "--reason", "it was not its fault"])
        .ok();
    tide.git(&ops, &["push", "origin", "again"]).ok();
    tide.run("ana", ["audit", "verify"]).ok();
}

/// Everything is mirrored before anybody meets it.
const SHADOW_FIRST: &str = "\
apiVersion: tidegate/v1
subject: user
check_every: 100ms
steps:
  - shadow: {share: 100%, until: {requests: 2000}}
  - weight: {share: 50%, min_requests: 30}
  - promote: {}
signals:
  - {name: rejected, kind: rate, worse: higher, limit: 30%, min_samples: 10, action: rollback}
after_rollback: {cool_down: 1s}
";

#[test]
fn a_bad_model_is_found_in_the_mirror_and_nobody_is_harmed() {
    let tide = tide_with(SHADOW_FIRST);
    let change = propose_bad_model(&tide);
    approve(&tide, &change).ok();
    let shadow =
        ["--label-shadow", "--shadow-model", "bad-1", "--rate", "200", "--until-rollout-ends"];
    let report = tide.traffic("omar", &questions(), &shadow);
    assert!(report["shadow_labels"].as_u64().unwrap() > 0, "{report}");
    assert!(report["arms"].get("candidate").is_none(), "{report}");
    tide.run("ana", ["rollout", "watch", APP]).code(9);
    let rollout = tide.run("ana", ["rollout", "get", APP, "-o", "json"]).ok().json();
    assert_eq!(
        (rollout["step"].as_u64(), rollout["requests_exposed"].as_u64()),
        (Some(0), Some(0)),
        "{rollout}"
    );
}
