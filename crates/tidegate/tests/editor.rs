//! What the page for proposing asks the server: files, checks while typing,
//! models, drafts, what waits for whom, and charts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{APP, Tide, send, wait_for};
use serde_json::{Value, json};

fn tide() -> Tide {
    let tide = Tide::start();
    tide.people(&[("ana", "editor"), ("priya", "approver"), ("irina", "auditor")]);
    tide
}

fn ask(tide: &Tide, who: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    ask_if(tide, who, method, path, body, None)
}

fn ask_if(
    tide: &Tide,
    who: &str,
    method: &str,
    path: &str,
    body: &Value,
    version: Option<u64>,
) -> (u16, Value) {
    let mut headers = vec![("authorization", format!("Bearer {}", tide.token(who)))];
    headers.extend(version.map(|version| ("if-match", format!("\"{version}\""))));
    let (status, _, body) =
        send(method, &tide.control, &format!("/api/v1/{path}"), &headers, &body.to_string());
    (status, body)
}

fn get(tide: &Tide, who: &str, path: &str) -> Value {
    let (status, body) = ask(tide, who, "GET", path, &json!({}));
    assert_eq!(status, 200, "{path}: {body}");
    body
}

/// A template of the app: its path and text.
fn template(files: &Value) -> (String, String) {
    let prompts = files["files"].as_array().unwrap().iter();
    let file = prompts.clone().find(|f| f["kind"] == "prompt").expect("a template");
    (file["path"].as_str().unwrap().to_owned(), file["text"].as_str().unwrap().to_owned())
}

#[test]
fn edits_are_checked_while_they_are_typed_and_nothing_is_kept() {
    let tide = tide();
    let files = get(&tide, "ana", &format!("apps/{APP}/files"));
    let (path, text) = template(&files);
    assert!(path.starts_with(&format!("apps/{APP}/prompts/")), "{path}");
    for kind in ["prompt_settings", "params", "model", "plan", "app"] {
        let found = files["files"].as_array().unwrap().iter().any(|f| f["kind"] == kind);
        assert!(found, "no {kind} among the files");
    }
    let base = files["base"].as_str().unwrap();
    let check = format!("apps/{APP}/check");
    let same = json!({"files": {&path: &text}, "base": base});
    let (status, said) = ask(&tide, "ana", "POST", &check, &same);
    assert_eq!(
        (status, &said["can_send"]),
        (200, &json!(false)),
        "there is nothing to send: {said}"
    );

    let wrong = json!({"files": {&path: format!("{text}\nWrite in {{{{ languge }}}}.\n")}, "bump": "patch"});
    let (_, said) = ask(&tide, "ana", "POST", &check, &wrong);
    assert_eq!(said["can_send"], false);
    let found = said["findings"].as_array().unwrap().iter();
    let found = found.clone().find(|f| f["code"] == "unknown_variable").expect("it is found");
    assert_eq!(found["path"], json!(path));
    let line = text.lines().count() as u64 + 2;
    let line = if text.ends_with('\n') { line } else { line - 1 };
    assert!(found["line"].as_u64().unwrap().abs_diff(line) <= 1, "{found}, not line {line}");
    assert!(found["column"].as_u64().unwrap() > 1 && found["end_column"].is_u64(), "{found}");
    assert_eq!(found["replacement"], "language", "with a mend to click: {found}");
    assert_eq!(found["severity"], "error");

    let secret = json!({"files": {&path: format!("{text}\nMail ana.ruiz@acme.com about it.\n")}, "bump": "patch"});
    let (_, said) = ask(&tide, "ana", "POST", &check, &secret);
    assert_eq!(said["can_send"], false, "{said}");

    let longer = json!({"files": {&path: format!("{text}\nBe brief and be kind, whatever was said.\n")}, "bump": "patch", "base": base});
    let (_, said) = ask(&tide, "ana", "POST", &check, &longer);
    assert_eq!(said["can_send"], true, "{said}");
    let (now, new) = (&said["tokens"]["now"], &said["tokens"]["new"]);
    assert!(new.as_u64() > now.as_u64(), "{said}");
    assert_eq!(said["base_moved"], false);
    assert_eq!(said["who"].as_array().unwrap().len(), 1, "{said}");
    assert!(said["who"][0].as_str().unwrap().contains("priya"), "{said}");
    assert!(said["cost"]["how"].as_str().unwrap().contains("24 hours"), "{said}");
    assert_eq!(said["cost"]["per_month"]["new"], Value::Null, "no traffic, no forecast");

    assert_eq!(get(&tide, "ana", "changes")["items"], json!([]), "nothing was stored");
    assert_eq!(get(&tide, "ana", &format!("apps/{APP}/files"))["base"], json!(base));
    for (body, code) in [
        (json!({"base": "no commit"}), "bad_base"),
        (json!({"bump": "huge"}), "bad_bump"),
        (json!({"file": {}}), "bad_body"),
    ] {
        let (status, said) = ask(&tide, "ana", "POST", &check, &body);
        assert_eq!((status, &said["code"]), (422, &json!(code)), "{said}");
    }
    assert_eq!(ask(&tide, "irina", "POST", &check, &longer).0, 403);
    assert_eq!(ask(&tide, "ana", "POST", "apps/nothing/check", &longer).0, 404);
}

#[test]
fn drafts_are_private_and_two_windows_do_not_overwrite_each_other() {
    let tide = tide();
    let path = format!("drafts/{APP}");
    assert_eq!(ask(&tide, "ana", "GET", &path, &json!({})).1["code"], "no_such_draft");
    let first = json!({"files": {"apps/a/x.j2": "one"}, "why": "because", "plan": "step"});
    let (status, saved) = ask(&tide, "ana", "PUT", &path, &first);
    assert_eq!((status, &saved["version"]), (200, &json!(1)), "{saved}");
    assert!(saved["saved_at"].is_number());
    let second = json!({"files": {"apps/a/x.j2": "two", "apps/a/y.j2": null}});
    assert_eq!(ask_if(&tide, "ana", "PUT", &path, &second, Some(1)).0, 200);
    let (status, said) = ask_if(&tide, "ana", "PUT", &path, &first, Some(1));
    assert_eq!((status, &said["code"]), (412, &json!("changed_meanwhile")));
    let kept = get(&tide, "ana", &path);
    assert_eq!((&kept["files"], &kept["version"]), (&second["files"], &json!(2)));
    assert_eq!(ask(&tide, "priya", "GET", &path, &json!({})).0, 404, "ana's is ana's");
    assert_eq!(ask(&tide, "irina", "PUT", &path, &first).0, 403);
    let large = json!({"files": {"apps/a/x.j2": "x".repeat(1 << 20)}});
    assert_eq!(ask(&tide, "ana", "PUT", &path, &large).1["code"], "too_large");
    assert_eq!(ask_if(&tide, "ana", "DELETE", &path, &json!({}), Some(1)).0, 412);
    assert_eq!(ask(&tide, "ana", "DELETE", &path, &json!({})).0, 204);
    assert_eq!(ask(&tide, "ana", "GET", &path, &json!({})).0, 404);
    assert_eq!(ask(&tide, "ana", "DELETE", &path, &json!({})).0, 204, "twice is as good");
}

#[test]
fn models_say_what_a_request_of_this_app_costs_and_whether_they_may_be_used() {
    let tide = tide();
    let models = get(&tide, "ana", &format!("models?app={APP}"));
    let models = models["items"].as_array().unwrap();
    let current: Vec<_> = models.iter().filter(|m| m["current"] == true).collect();
    assert_eq!(current.len(), 1, "{models:?}");
    assert!(current[0]["context"].as_u64().unwrap() > 0);
    assert_eq!(current[0]["allowed"], true);
    assert_eq!(current[0]["p50_ms"], Value::Null, "nothing was measured, so nothing is said");
    assert!(current[0]["price_per_1000"].is_number(), "{:?}", current[0]);
    assert_eq!(get(&tide, "ana", "models")["items"][0]["price_per_1000"], Value::Null);
    assert_eq!(ask(&tide, "ana", "GET", "models?app=nothing", &json!({})).0, 404);
}

#[test]
fn what_waits_for_whom_and_the_charts_of_a_rollout() {
    let tide = tide();
    let (path, text) = template(&get(&tide, "ana", &format!("apps/{APP}/files")));
    let change = json!({
        "app": APP, "why": "our readers asked for it", "bump": "patch",
        "edits": [{"path": path, "content": format!("{text}\nBe brief.\n")}],
    });
    assert_eq!(ask(&tide, "ana", "POST", "changes", &change).0, 201);
    let waiting = wait_for("the question to priya", || {
        let inbox = get(&tide, "priya", "inbox");
        inbox["items"].as_array().unwrap().first().cloned()
    });
    assert_eq!((&waiting["kind"], &waiting["app"]), (&json!("approve"), &json!(APP)));
    assert!(waiting["text"].as_str().unwrap().contains("ana"), "{waiting}");
    assert!(waiting["url"].as_str().unwrap().ends_with("/changes/1"), "{waiting}");
    for other in ["ana", "irina", "admin"] {
        let inbox = get(&tide, other, "inbox");
        let asked = inbox["items"].as_array().unwrap().iter().any(|i| i["kind"] == "approve");
        assert_eq!(asked, other == "admin", "{other}: {inbox}");
    }
    tide.run("priya", ["change", "approve", "1", "--wait"]).ok();
    assert_eq!(get(&tide, "priya", "inbox")["items"], json!([]));

    let series = wait_for("a look", || {
        let series = get(&tide, "ana", "rollouts/ro-1/series?points=5");
        let points = series["signals"][0]["points"].as_array()?.len();
        (points == 5).then_some(series)
    });
    let signals = series["signals"].as_array().unwrap();
    assert_eq!(signals.len(), 2, "as many as the plan watches: {series}");
    let error = &signals[0];
    assert_eq!((&error["key"], &error["label"]), (&json!("error"), &json!("Errors")));
    assert_eq!((&error["unit"], &error["better"]), (&json!("share"), &json!("lower")));
    assert_eq!((&error["limit"], &error["need"]), (&json!(0.5), &json!(10)));
    let points = error["points"].as_array().unwrap();
    assert!(points.iter().all(|p| p["candidate"].is_null()), "no answer came, so none is drawn");
    let times: Vec<_> = points.iter().map(|p| p["at"].as_i64().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(
        get(&tide, "ana", "rollouts/ro-1/series")["signals"][0]["points"]
            .as_array()
            .is_some_and(|points| points.len() <= 240)
    );
    assert_eq!(ask(&tide, "ana", "GET", "rollouts/ro-99/series", &json!({})).0, 404);
}
