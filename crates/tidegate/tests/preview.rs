//! A change tried before any user sees it: made, asked as an OpenAI client asks,
//! spent, replaced, expired, ended with its change, and in no number of the app.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{APP, Tide, ask, send, wait_for};
use serde_json::{Value, json};

const CHEAP: &str = r#"{"model":"cheap-1","key":"T-1001","response":"Cheap, but an answer.","latency_ms":1}
"#;

fn cheap_model() -> String {
    format!(
        "apiVersion: tidegate/v1\nversion: 1.0.0\nprovider:\n  kind: replay\n  key: \"{{{{ ticket }}}}\"\n  recordings: [apps/{APP}/evals/recordings/cheap.jsonl]\nprovider_model: cheap-1\ncontext_window: 8192\ntokenizer: o200k_base\nprices: {{input_per_million: 0.05, output_per_million: 0.10}}\n"
    )
}

/// An installation with a second, cheaper model and a change that waits for its
/// approval; the change's number.
fn tide() -> (Tide, String) {
    let tide = Tide::start_with(&[
        (&format!("apps/{APP}/rollout.yaml"), common::QUICK_ROLLOUT),
        (&format!("apps/{APP}/evals/recordings/cheap.jsonl"), CHEAP),
        ("models/cheap.yaml", &cheap_model()),
    ]);
    tide.people(&[
        ("ana", "editor"),
        ("omar", "operator"),
        ("priya", "approver"),
        ("otto", "auditor"),
    ]);
    let change = propose(&tide, "Summarise in two sentences. Write in {{ language }}.");
    (tide, change)
}

fn propose(tide: &Tide, text: &str) -> String {
    let path = tide.write("prompt.j2", &format!("{text}\n{{% include \"facts-only.j2\" %}}\n"));
    let prompt = format!("@{}", path.display());
    let why = "readers want it shorter";
    let args = ["change", "create", "-a", APP, "--why", why, "--prompt", &prompt];
    let made = tide.run("ana", args.iter().chain(&["--wait", "-o", "json"])).json();
    made["id"].as_str().unwrap().trim_start_matches("ch-").to_owned()
}

fn preview(tide: &Tide, who: &str, change: &str, args: &[&str]) -> Value {
    tide.run(who, ["change", "preview", change, "-o", "json"].iter().chain(args)).ok().json()
}

/// Asks until the answer has this status; what it says.
fn until(tide: &Tide, token: &str, status: u16) -> Value {
    wait_for("the status", || {
        let (got, _, body) = ask(&tide.gateway, token, "u");
        (got == status).then_some(body)
    })
}

#[test]
fn a_change_is_tried_through_the_openai_api_and_leaves_the_apps_numbers_alone() {
    let (tide, change) = tide();
    let made = preview(&tide, "ana", &change, &["--hours", "2", "--tokens", "5000"]);
    let token = made["token"].as_str().unwrap().to_owned();
    let view = &made["preview"];
    let proposed = tide.run("ana", ["change", "get", &change, "-o", "json"]).ok().json();
    assert_eq!(view["release"], proposed["release"]);
    assert_eq!(view["base_url"], format!("{}/v1", tide.gateway));
    assert_eq!((&view["model"], &view["cap"]), (&json!(format!("app/{APP}")), &json!(5000)));
    assert_eq!((&view["current"], &view["swapped"]), (&json!(true), &json!(false)));

    // The token works when it is shown, from the change's release.
    let (status, headers, body) = ask(&tide.gateway, &token, "u");
    assert_eq!(status, 200, "{body}");
    assert_eq!(headers["x-tidegate-arm"], "preview");
    let release = view["release"].as_str().unwrap();
    assert!(release.contains(headers["x-tidegate-release"].trim_start_matches("rel-")));
    assert_eq!(body["object"], "chat.completion");
    let total = body["usage"]["total_tokens"].as_u64().unwrap();
    // Everybody else gets what is live, and not for any other app.
    assert_eq!(tide.ask("omar", "u").1["x-tidegate-arm"], "stable");

    // Recorded traffic goes through it as through any gateway.
    let lines = "{\"vars\": {\"ticket\": \"T-1001\", \"transcript\": \"Customer: hello\"}}\n";
    let file = tide.write("traffic.jsonl", &lines.repeat(5));
    let file = file.to_string_lossy();
    let replay = ["traffic", "replay", "-a", APP, "-f", &file, "--app-token", &token, "-o", "json"];
    let sent = tide.run("otto", replay).ok().json();
    assert_eq!(sent["sent"], 5, "{sent}");

    let shown = wait_for("the count", || {
        let shown = preview(&tide, "otto", &change, &["--show"]);
        (shown["requests"] == 6).then_some(shown)
    });
    assert!(shown["used"].as_u64().unwrap() >= 6 * total, "{shown}");
    // The log has them, as what they are; the app's numbers do not.
    let auth = [("authorization", format!("Bearer {}", tide.token("otto")))];
    let (_, _, log) = send("GET", &tide.control, "/api/v1/requests?arm=preview", &auth, "");
    let items = log["items"].as_array().unwrap();
    assert_eq!(items.len(), 6, "{log}");
    assert!(items.iter().all(|item| item["preview"] == json!(format!("ch-{change}"))), "{log}");
    let id = items[0]["id"].as_str().unwrap();
    tide.run("otto", ["why", id]).ok().prints("asked with the token of the preview of ch-");

    // Words about a preview's answer are no evidence.
    let said = json!({"request_id": id, "name": "rejected", "value": 1});
    let with = [("authorization", format!("Bearer {token}"))];
    let (refused, _, _) = common::post(&tide.gateway, "/v1/feedback", &with, &said);
    assert_eq!(refused, 403);

    // Stopping is at once, and the log says who.
    tide.run("omar", ["change", "preview", &change, "--stop"]).ok().prints("(stopped)");
    assert_eq!(ask(&tide.gateway, &token, "u").0, 401);
    let audit = tide.run("otto", ["audit", "list", "-o", "json"]).ok().stdout;
    for what in ["preview.started", "preview.ended"] {
        assert!(audit.contains(what), "{what} is not in {audit}");
    }
}

#[test]
fn a_preview_ends_at_its_cap_its_time_and_with_its_change() {
    let (tide, change) = tide();
    // The cap: refused in OpenAI's shape, with what raises it.
    let made = preview(&tide, "ana", &change, &["--tokens", "150", "--model", "cheap"]);
    let token = made["token"].as_str().unwrap().to_owned();
    assert_eq!(made["preview"]["answered_by"], "cheap@1.0.0");
    assert_eq!(made["preview"]["swapped"], true);
    let (_, _, cheap) = ask(&tide.gateway, &token, "u");
    assert_eq!(cheap["choices"][0]["message"]["content"], "Cheap, but an answer.");
    let refused = until(&tide, &token, 429);
    assert_eq!(refused["error"]["type"], "insufficient_quota");
    assert_eq!(refused["error"]["code"], "preview_cap_reached");
    let hint = refused["error"]["tidegate"]["hint"].as_str().unwrap();
    assert!(hint.contains(&format!("tidegate change preview {change} --tokens 300")), "{hint}");
    // The same after a restart: control knows what was spent.
    let used = |shown: &Value| shown["used"].as_u64().unwrap() >= 150;
    wait_for("the count", || used(&preview(&tide, "ana", &change, &["--show"])).then_some(()));
    let mut tide = tide;
    tide.stop();
    tide.restart();
    until(&tide, &token, 429);

    // Another takes its place; its time is over soon.
    let short = preview(&tide, "ana", &change, &["--hours", "0.0005"]);
    assert_eq!(ask(&tide.gateway, &token, "u").0, 401, "replaced");
    let expired = until(&tide, short["token"].as_str().unwrap(), 401);
    assert_eq!(expired["error"]["code"], "invalid_api_key");
    let over = wait_for("the end", || {
        let shown = preview(&tide, "ana", &change, &["--show"]);
        (shown["active"] == false).then_some(shown)
    });
    assert_eq!(over["ended"]["why"], "expired");

    // Withdrawn: nothing is left to try.
    let last = preview(&tide, "ana", &change, &[]);
    assert_eq!(ask(&tide.gateway, last["token"].as_str().unwrap(), "u").0, 200);
    tide.run("ana", ["change", "withdraw", &change, "--yes"]).ok();
    until(&tide, last["token"].as_str().unwrap(), 401);
    let shown = preview(&tide, "ana", &change, &["--show"]);
    assert_eq!(shown["ended"]["why"], "withdrawn");
    tide.run("ana", ["change", "preview", &change]).code(7).says("it is withdrawn");

    // Merged: it is the rollout's from then on.
    let other = propose(&tide, "Summarise in three sentences. Write in {{ language }}.");
    let made = preview(&tide, "ana", &other, &[]);
    tide.run("priya", ["change", "approve", &other, "--wait"]).ok();
    until(&tide, made["token"].as_str().unwrap(), 401);
    let shown = preview(&tide, "ana", &other, &["--show"]);
    assert_eq!(shown["ended"]["why"], "rolling_out");
}

#[test]
fn who_may_try_a_change_and_which() {
    let (tide, change) = tide();
    for who in ["priya", "otto"] {
        tide.run(who, ["change", "preview", &change]).code(4);
        tide.run(who, ["change", "preview", &change, "--stop"]).code(4);
    }
    tide.run("otto", ["change", "preview", &change, "--show"]).code(5).says("has no preview");
    tide.run("omar", ["change", "preview", &change, "--model", "nothing"])
        .code(2)
        .says("has no model `nothing`")
        .says("cheap");
    tide.run("ana", ["change", "preview", &change, "--hours", "169"]).code(2).says("168 hours");
    tide.run("ana", ["change", "preview", &change, "--tokens", "0"]).code(2).says("10000000");
    // What failed its static checks is not run anywhere.
    let broken = propose(&tide, "Summarise for {{ nobody }}. Write in {{ language }}.");
    tide.run("ana", ["change", "preview", &broken])
        .code(7)
        .says("Variables and syntax of the prompt");
}
