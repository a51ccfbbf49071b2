//! A live experiment with the real binary: three variants over recordings, one
//! clearly best and one broken, from the reviewed file to the kill switch.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{APP, Tide, post};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Users who come in one round.
const ROUND: usize = 40;
/// Rounds before giving up: several times what the evidence takes.
const MAX_ROUNDS: usize = 60;

const TONE: &str = "\
apiVersion: tidegate/v1
variants: [{name: today}, {name: short, prompt: short}, {name: broken, model: broken}]
floor: 10%
check_every: 1s
min_requests: 15
reward: {signal: accepted, kind: rate}
guards:
  - {name: error, kind: rate, worse: higher, notice: {by: 0.2}, action: rollback}
risk: {wrong_winner: 5%, false_drop: 1%}
";

fn model(key: &str) -> String {
    format!(
        "apiVersion: tidegate/v1\nversion: 1.0.0\nprovider: {{kind: replay, key: '{key}', recordings: [apps/{APP}/evals/recordings/starter.jsonl]}}\nprovider_model: starter-1\ncontext_window: 8192\ntokenizer: o200k_base\nprices: {{input_per_million: 0.15, output_per_million: 0.60}}\n"
    )
}

/// The variant that answers this user.
fn variant(tide: &Tide, user: &str) -> String {
    let (_, headers, _) = tide.ask("omar", user);
    headers["x-tidegate-variant"].clone()
}

/// New users come, each asks once and says what they think of the answer.
fn visitors(tide: &Tide, round: usize) {
    let token = tide.token("omar");
    for i in 0..ROUND {
        let user = format!("user-{round}-{i}");
        let (_, headers, _) = tide.ask("omar", &user);
        let variant = headers["x-tidegate-variant"].clone();
        let accepted = match variant.as_str() {
            "short" => i % 10 != 0,
            "broken" => false,
            _ => i % 5 == 0,
        };
        let said = json!({
            "request_id": headers["x-tidegate-request-id"],
            "name": "accepted", "value": u8::from(accepted),
        });
        let auth = [("authorization", format!("Bearer {token}"))];
        let (status, _, body) = post(&tide.gateway, "/v1/feedback", &auth, &said);
        assert!((200..300).contains(&status), "{status}: {body}");
    }
}

fn experiment(tide: &Tide) -> Value {
    tide.run("ana", ["experiment", "get", APP, "-o", "json"]).ok().json()
}

fn named<'v>(view: &'v Value, name: &str) -> &'v Value {
    view["variants"].as_array().unwrap().iter().find(|v| v["name"] == name).unwrap()
}

/// `33.34%` as 33.34.
fn share(view: &Value, name: &str) -> f64 {
    let text = named(view, name)["shares"][0].as_str().unwrap();
    text.trim_end_matches('%').parse().unwrap()
}

/// Ana's file, which Priya approves.
fn reviewed(tide: &Tide) {
    let prompt = "apiVersion: tidegate/v1\nversion: 1.0.0\nchangelog: first\nmessages:\n  - {role: user, template: user.j2}\n";
    let files = [
        (format!("apps/{APP}/experiments/tone.yaml"), tide.write("tone.yaml", TONE)),
        (format!("apps/{APP}/prompts/short/prompt.yaml"), tide.write("prompt.yaml", prompt)),
        (
            format!("apps/{APP}/prompts/short/user.j2"),
            tide.write(
                "user.j2",
                "In five words, in {{ language }}: {{ ticket }} {{ transcript }}\n",
            ),
        ),
        ("models/broken.yaml".to_owned(), tide.write("broken.yaml", &model("nowhere"))),
    ];
    let mut args: Vec<String> = ["change", "create", "-a", APP, "--why", "which tone works best?"]
        .map(str::to_owned)
        .to_vec();
    for (path, local) in files {
        args.extend(["--file".to_owned(), format!("{path}=@{}", local.display())]);
    }
    args.extend(["--wait", "-o", "json"].map(str::to_owned));
    let change = tide.run("ana", &args).ok().json();
    assert_eq!(change["state"], "needs_approval", "{change}");
    let id = change["id"].as_str().unwrap();
    tide.run("priya", ["change", "approve", id, "--wait"]).ok();
    assert_eq!(tide.run("ana", ["change", "get", id, "-o", "json"]).ok().json()["state"], "live");
}

fn tide() -> Tide {
    let release = "apiVersion: tidegate/v1\nversion: 1.0.0\nprompt: summary\nmodel: quick\nparameters: {temperature: 0, max_tokens: 200}\n";
    let tide = Tide::start_with(&[
        (&format!("apps/{APP}/rollout.yaml"), common::QUICK_ROLLOUT),
        (&format!("apps/{APP}/release.yaml"), release),
        ("models/quick.yaml", &model("{{ ticket }}")),
    ]);
    tide.people(&[("ana", "editor"), ("priya", "approver"), ("omar", "operator")]);
    tide
}

#[test]
fn a_winner_is_named_a_broken_variant_dropped_and_kill_puts_everyone_back() {
    let mut tide = tide();
    tide.run("omar", ["experiment", "start", APP, "tone", "--yes"]).code(5).says("tone.yaml");
    reviewed(&tide);
    tide.run("ana", ["experiment", "start", APP, "tone", "--yes"]).code(4);
    tide.run("omar", ["experiment", "start", APP, "tone", "--yes"]).ok().prints("running");
    tide.run("omar", ["experiment", "start", APP, "tone", "--yes"]).code(7).says("under way");
    let begun = experiment(&tide);
    assert!((share(&begun, "short") - 33.33).abs() < 0.02, "{begun}");

    // Sticky: nobody but a user of the broken variant, which may be dropped at
    // any look, gets another one.
    let users: Vec<String> = (0..40).map(|i| format!("regular-{i}")).collect();
    let first: Vec<String> = users.iter().map(|user| variant(&tide, user)).collect();
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 3, "{first:?}");
    for (user, before) in users.iter().zip(&first) {
        assert!(before == "broken" || variant(&tide, user) == *before, "{user}: {before}");
    }

    let mut rounds = 0..MAX_ROUNDS;
    visitors(&tide, rounds.next().unwrap());
    visitors(&tide, rounds.next().unwrap());
    // A restart in the middle changes nothing.
    assert_eq!(tide.stop(), Some(0), "{}", tide.log());
    tide.restart();
    assert_eq!(experiment(&tide)["started_at"], begun["started_at"]);

    let end = loop {
        let seen = experiment(&tide);
        let dropped = named(&seen, "broken")["dropped"] == "error";
        if seen["phase"]["name"] == "won" && dropped {
            break seen;
        }
        let round = rounds.next().unwrap_or_else(|| panic!("no end: {seen:#}"));
        visitors(&tide, round);
    };
    assert_eq!(end["phase"]["variant"], "short");
    assert_eq!(share(&end, "broken"), 0.0);
    assert!(share(&end, "short") > 50.0, "{end}");
    tide.run("ana", ["experiment", "watch", APP]).code(0).prints("won by short");
    // Whoever moved went to the winner, but those of the broken one.
    for (user, before) in users.iter().zip(&first) {
        let now = variant(&tide, user);
        let may = now == *before || now == "short" || before == "broken";
        assert!(may && now != "broken", "{user} went from {before} to {now}");
    }
    let incidents = tide.run("ana", ["incident", "list", "-o", "json"]).ok().json();
    assert_eq!(incidents[0]["kind"], "variant_dropped", "{incidents}");

    // Killed by a power cut, the server says the same as before.
    tide.kill();
    tide.restart();
    let again = experiment(&tide);
    for key in ["phase", "variants", "report", "looked_at", "decided_at"] {
        assert_eq!(again[key], end[key], "{key}");
    }

    let app = tide.run("ana", ["app", "get", APP, "-o", "json"]).ok().json();
    tide.run("omar", ["kill", APP, "--yes", "--reason", "enough of this"]).ok();
    let (_, headers, _) = tide.ask("omar", "regular-1");
    assert_ne!(headers["x-tidegate-fallback"], "none", "{headers:?}");
    let unkill = ["unkill", APP, "--yes", "--reason", "it was only a drill"];
    tide.run("omar", unkill).ok();
    for user in &users {
        let (status, headers, _) = tide.ask("omar", user);
        assert_eq!((status, headers["x-tidegate-arm"].as_str()), (200, "stable"));
        assert!(!headers.contains_key("x-tidegate-experiment"), "{headers:?}");
    }
    assert_eq!(experiment(&tide)["phase"], json!({"name": "ended", "how": "killed"}));
    let after = tide.run("ana", ["app", "get", APP, "-o", "json"]).ok().json();
    assert_eq!(after["production"], app["production"], "nothing was promoted");
    let audit = tide.run("ana", ["audit", "list", "--all", "-o", "json"]).ok().stdout;
    for action in ["started", "divided", "variant_dropped", "won", "ended"] {
        assert!(audit.contains(&format!("experiment.{action}")), "{action}: {audit}");
    }
    tide.run("ana", ["audit", "verify"]).ok();
}
