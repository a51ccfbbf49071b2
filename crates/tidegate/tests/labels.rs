//! People label a sample of what a judge judged, through the real binary: the list
//! of chosen answers, the feedback endpoint, what the verdict says, a restart in
//! the middle, and the same from the recording.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{APP, Tide, post};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A plan that goes on until it is stopped. Half of what the judge judges is for
/// people to label.
const PLAN: &str = "\
apiVersion: tidegate/v1
check_every: 100ms
planned: {duration: 7d, requests: 100000}
steps:
  - weight: {share: 50%, min_requests: 100000}
  - promote: {}
signals:
  - {name: unhelpful, kind: rate, notice: {by: 30%}, judge: {human: {share: 50%}}, action: notify}
after_rollback: {cool_down: 1s}
";

/// How many subjects ask, each something of their own.
const ASKED: usize = 160;

/// What the last look said, and when it was.
fn last_look(tide: &Tide) -> (Value, i64) {
    let rollout = tide.run("ana", ["rollout", "get", APP, "-o", "json"]).ok().json();
    let report = &rollout["report"];
    (report["signals"][0]["verdict"].clone(), report["at"].as_i64().unwrap_or_default())
}

/// Asks until a look after `since` has said something like this; the server looks
/// by itself, ten times a second.
fn verdict_after(tide: &Tide, since: i64, seen: impl Fn(&Value) -> bool) -> (Value, i64) {
    for _ in 0..2000 {
        let (verdict, at) = last_look(tide);
        if at > since && seen(&verdict) {
            return (verdict, at);
        }
    }
    panic!("not seen: {:?}", last_look(tide));
}

fn say(tide: &Tide, request: &str, name: &str, value: f64) {
    let auth = [("authorization", format!("Bearer {}", tide.token("ana")))];
    let body = json!({"request_id": request, "name": name, "value": value});
    let (status, _, answer) = post(&tide.gateway, "/v1/feedback", &auth, &body);
    assert_eq!(status, 202, "{answer}");
}

fn ask(tide: &Tide, n: usize) -> String {
    let headers = [
        ("authorization", format!("Bearer {}", tide.token("ana"))),
        ("x-tidegate-subject", format!("subject-{n}")),
    ];
    let body = json!({
        "model": format!("app/{APP}"), "messages": [],
        "tidegate": {"vars": {"ticket": "T-1001", "transcript": format!("Customer: hello {n}")}},
    });
    let (status, headers, answer) = post(&tide.gateway, "/v1/chat/completions", &headers, &body);
    assert_eq!(status, 200, "{answer}");
    headers["x-request-id"].clone()
}

#[test]
fn labels_on_chosen_answers_correct_the_judge_and_survive_a_restart() {
    let mut tide = Tide::start_with(&[(&format!("apps/{APP}/rollout.yaml"), PLAN)]);
    tide.people(&[("ana", "editor"), ("priya", "approver")]);
    let prompt = tide.write(
        "prompt.j2",
        "Summarise briefly in {{ language }}.\n{% include \"facts-only.j2\" %}\n",
    );
    let prompt = format!("@{}", prompt.display());
    let why = "our readers asked for it";
    tide.run("ana", ["change", "create", "-a", APP, "--why", why, "--prompt", &prompt, "--wait"])
        .ok();
    tide.run("priya", ["change", "approve", "1", "--wait"]).ok();

    // The judge finds half of the answers unhelpful.
    let requests: Vec<String> = (0..ASKED).map(|n| ask(&tide, n)).collect();
    for (n, request) in requests.iter().enumerate() {
        say(&tide, request, "unhelpful", f64::from(u8::from(n.is_multiple_of(2))));
    }
    let judged = |verdict: &Value| {
        let n = |arm: &str| verdict["labels"][arm]["judged"].as_u64().unwrap_or(0);
        usize::try_from(n("candidate") + n("control")).unwrap() == ASKED
    };
    let (before, _) = verdict_after(&tide, 0, judged);
    assert_eq!(before.get("corrected"), None, "{before}");
    assert_eq!(before["labels"]["candidate"]["wanted"], 10, "{before}");

    // The list holds what a hash of the request id chooses, and nobody's arm.
    let sample = |tide: &Tide, args: &[&str]| -> Vec<Value> {
        let usual = ["rollout", "sample", APP, "--all", "-o", "json"];
        let listed = tide.run("ana", usual.iter().chain(args)).ok().json();
        listed.as_array().unwrap().clone()
    };
    let listed = sample(&tide, &[]);
    let chosen: BTreeSet<String> =
        listed.iter().map(|item| item["request"].as_str().unwrap().to_owned()).collect();
    let by_hash = |id: &&String| domain::telemetry::answer_hash(id) < 1 << 63;
    assert_eq!(chosen, requests.iter().filter(by_hash).cloned().collect());
    assert!(listed.iter().all(|item| item.get("arm").is_none()), "{listed:?}");
    assert!(chosen.len() >= 25, "{}", chosen.len());

    // People find all of the chosen answers helpful, and all others unhelpful:
    // those must not be used.
    for request in &requests {
        let unhelpful = !chosen.contains(request);
        say(&tide, request, "unhelpful.human", f64::from(u8::from(unhelpful)));
    }
    let labelled = |verdict: &Value| {
        let n = |arm: &str| verdict["labels"][arm]["labelled"].as_u64().unwrap_or(0);
        usize::try_from(n("candidate") + n("control")).unwrap() == chosen.len()
            && verdict["labels"]["unused"] == ASKED - chosen.len()
    };
    let (after, at) = verdict_after(&tide, 0, labelled);
    assert_eq!(sample(&tide, &[]), Vec::<Value>::new(), "all are labelled");
    assert_eq!(sample(&tide, &["--labelled"]).len(), chosen.len());
    for arm in ["control", "candidate"] {
        // The judge's own number stands beside what people say.
        let said = after[arm]["value"].as_f64().unwrap();
        assert!(said > 0.2, "{after}");
        assert_eq!(after["corrected"][arm]["value"], 0.0, "{after}");
        assert!(after["corrected"][arm]["high"].as_f64().unwrap() < 0.5, "{after}");
    }
    assert_eq!(after["corrected"]["by_people"], true);
    assert_eq!(after["corrected"]["labels"], after["labels"]["candidate"]["labelled"]);

    // Killed and started again, it says the same to the last digit.
    tide.kill();
    tide.restart();
    let (again, _) = verdict_after(&tide, at, judged);
    assert_eq!(again, after);

    // And so does the recording of it.
    let recordings = tide.path("recordings").display().to_string();
    tide.run("ana", ["rollout", "export", APP, "--out", &recordings]).ok();
    let policy = tide.write("policy.yaml", PLAN).display().to_string();
    let out = tide.path("verdicts.jsonl");
    let to = out.display().to_string();
    tide.run("ana", ["backtest", "--policy", &policy, "--traces", &recordings, "--out", &to]).ok();
    let replayed: Value = serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
    for key in ["labels", "corrected", "control", "candidate"] {
        assert_eq!(replayed["evidence"][0][key], after[key], "{key}");
    }
}

#[test]
fn a_rollout_that_asks_nobody_says_so() {
    let tide = Tide::start();
    tide.people(&[("ana", "editor"), ("priya", "approver")]);
    let prompt = tide.write("prompt.j2", "Summarise in {{ language }}.\n");
    let prompt = format!("@{}", prompt.display());
    let why = "our readers asked for it";
    tide.run("ana", ["change", "create", "-a", APP, "--why", why, "--prompt", &prompt, "--wait"])
        .ok();
    tide.run("priya", ["change", "approve", "1", "--wait"]).ok();
    tide.run("ana", ["rollout", "sample", APP])
        .code(7)
        .says("no signal of ro-1 asks people for labels")
        .says("judge: {human: {share: 5%}}");
}
