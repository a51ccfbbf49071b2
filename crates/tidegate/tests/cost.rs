//! What a change costs, with the real binary: the forecast on traffic that
//! gateways counted, finance asked by itself, and prices that change on a day.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests may panic, and prices hold on real days"
)]

mod common;

use analysis::{Batch, Cell, CellKey};
use common::{APP, Ran, Tide, copy, post, send};
use domain::ids::Generation;
use domain::routing::Arm;
use domain::units::{Share, Timestamp};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

const MODEL: &str = "models/recorded.yaml";
const DAY: i64 = 86_400;

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// So many days from today, as files write it.
fn in_days(days: i64) -> String {
    Timestamp((now() + days * DAY) * 1000).iso().chars().take(10).collect()
}

/// The provider's id of the starter's model.
fn starters_model() -> String {
    let starter = opsrepo::scaffold::starter(&APP.parse().unwrap());
    let file = String::from_utf8(starter[MODEL].clone()).unwrap();
    let line = file.lines().find_map(|line| line.strip_prefix("provider_model: "));
    line.unwrap().split('#').next().unwrap().trim().to_owned()
}

/// People, and no policy but those of who may change what.
fn tide(files: &[(&str, &str)]) -> Tide {
    let none = ("policies/releases.cedar", "// Nothing is asked by policy here.\n");
    let cases = (
        "policies/tests/releases.yaml",
        "apiVersion: tidegate/v1\ncases:\n  - {name: all is allowed, facts: {}, expect: {decision: allow}}\n",
    );
    let all: Vec<_> = [none, cases].into_iter().chain(files.iter().copied()).collect();
    let tide = Tide::start_with(&all);
    tide.people(&[("ana", "editor"), ("priya", "approver"), ("fin", "finance")]);
    tide
}

/// Seven whole days on which production answered a thousand requests each, as a
/// gateway tells of them.
fn a_week_of_traffic(tide: &Tide) {
    let app = tide.run("ana", ["app", "get", APP, "-o", "json"]).ok().json();
    let release = app["production"]["release"].as_str().or(app["production"].as_str());
    let release = release.unwrap_or_else(|| panic!("{app}")).parse().unwrap();
    let today = now().div_euclid(DAY);
    let cells = (1..=7)
        .map(|ago| {
            let key = CellKey {
                app: APP.parse().unwrap(),
                release,
                arm: Arm::Stable,
                rollout: None,
                step: 0,
                share: Share::from_bp(0),
                second: (today - ago) * DAY + 43_200,
            };
            // No two days are alike: a thousand requests of 400 and 100 tokens, about.
            let n = u64::try_from(970 + 10 * ago).unwrap();
            let cell =
                Cell { n, prompt_tokens: n * 400, completion_tokens: n * 100, ..Cell::default() };
            (key, cell)
        })
        .collect();
    let batch = Batch {
        gateway: "gw-test".parse().unwrap(),
        epoch: 1,
        seq: 1,
        serving: Generation(1),
        cells,
        records: Vec::new(),
        feedback: Vec::new(),
        dropped: 0,
    };
    let made = tide.run("admin", ["token", "create", "--gateway", "--note", "t"]).ok();
    let token = [("authorization", format!("Bearer {}", made.stdout.trim()))];
    let body = serde_json::to_value(&batch).unwrap();
    let (status, _, said) = post(&tide.control, "/internal/v1/telemetry", &token, &body);
    assert!((200..300).contains(&status), "{status} {said}");
}

fn original(tide: &Tide, path: &str) -> String {
    std::fs::read_to_string(tide.path("ops").join(path)).unwrap()
}

/// The starter's model at ten times its price.
fn dear(tide: &Tide) -> String {
    original(tide, MODEL).replace("version: 1.0.0", "version: 1.1.0").replace(
        "input_per_million: 0.15, output_per_million: 0.60",
        "input_per_million: 1.5, output_per_million: 6.0",
    )
}

fn propose(tide: &Tide, path: &str, text: &str) -> Ran {
    let mine = tide.write("edit", text);
    let file = format!("{path}=@{}", mine.display());
    let args = [
        "change",
        "create",
        "--app",
        APP,
        "--file",
        &file,
        "--why",
        "our readers asked for it",
        "--wait",
        "-o",
        "json",
    ];
    tide.run("ana", args)
}

fn gate(change: &Value) -> &Value {
    let gates = change["report"]["gates"].as_array().unwrap().iter();
    gates.clone().find(|gate| gate["gate"] == "cost").unwrap_or_else(|| panic!("{change}"))
}

fn codes(gate: &Value) -> Vec<&str> {
    gate["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap()).collect()
}

fn missing(change: &Value) -> Vec<&str> {
    change["missing"].as_array().unwrap().iter().map(|n| n["role"].as_str().unwrap()).collect()
}

/// What is said while somebody types.
fn typed(tide: &Tide, path: &str, text: &str) -> Value {
    let token = [("authorization", format!("Bearer {}", tide.token("ana")))];
    let body = json!({"files": {path: text}, "bump": "patch"});
    let at = format!("/api/v1/apps/{APP}/check");
    let (status, _, said) = send("POST", &tide.control, &at, &token, &body.to_string());
    assert_eq!(status, 200, "{said}");
    said
}

#[test]
fn a_model_ten_times_dearer_asks_finance_by_itself_on_the_traffic_there_is() {
    let tide = tide(&[]);
    // Before anybody asked, the examples speak, and it is said.
    let said = typed(&tide, MODEL, &dear(&tide));
    assert_eq!(said["cost"]["per_month"]["new"], Value::Null, "{said}");
    assert!(said["cost"]["how"].as_str().unwrap().contains("examples"), "{said}");

    a_week_of_traffic(&tide);
    let said = typed(&tide, MODEL, &dear(&tide));
    // 400 tokens at 0.15 and 100 at 0.60 dollars a million, and ten times that.
    let number = |path: &str| said["cost"].pointer(path).and_then(Value::as_f64).unwrap();
    assert!((number("/per_request/now") - 0.000_12).abs() < 1e-9, "{said}");
    assert!((number("/per_request/new") - 0.001_2).abs() < 1e-9, "{said}");
    assert!((number("/per_month/now") - 0.12 * 30.3).abs() < 0.01, "{said}");
    let (low, month) = (number("/per_month/low"), number("/per_month/new"));
    assert!((month - 1.2 * 30.3).abs() < 0.1 && low < month, "{said}");
    assert!(month < number("/per_month/high"), "{said}");
    assert!(said["cost"]["how"].as_str().unwrap().contains("7 whole days"), "{said}");
    assert!(said["who"].to_string().contains("somebody of finance: admin or fin"), "{said}");
    assert!(said["findings"].to_string().contains("cost_spike"), "{said}");

    // As dear as production asks nobody.
    let prompt = format!("apps/{APP}/prompts/summary/system.j2");
    let text = format!("{}\nBe brief.\n", original(&tide, &prompt));
    let said = typed(&tide, &prompt, &text);
    assert!(!said["who"].to_string().contains("finance"), "{said}");

    let change = propose(&tide, MODEL, &dear(&tide)).ok().json();
    let cost = gate(&change);
    assert_eq!((cost["outcome"].as_str(), codes(cost)), (Some("warned"), vec!["cost_spike"]));
    let summary = cost["summary"].as_str().unwrap();
    assert!(summary.contains(&format!("30 days cost ${month:.2}")), "as it was typed: {summary}");
    assert!(summary.contains("production $3.6"), "{summary}");
    assert_eq!(missing(&change), ["approver", "finance"], "{change}");
    let id = change["id"].as_str().unwrap().to_owned();
    let waiting = tide.run("priya", ["change", "approve", &id, "-o", "json"]).ok().json();
    assert_eq!(waiting["state"], "needs_approval", "{waiting}");
    assert_eq!(missing(&waiting), ["finance"]);
    tide.run("fin", ["change", "approve", &id, "--wait"]).ok();
}

#[test]
fn a_price_that_changes_on_a_day_is_in_the_forecast_from_that_day_on() {
    let id = starters_model();
    let list = |spike: &str| {
        format!(
            "apiVersion: tidegate/v1\nprices:\n  {id}:\n    - {{from: 2020-01-01, input_per_million: 0.15, output_per_million: 0.60}}\n    - {{from: {}, input_per_million: 15, output_per_million: 60}}\n{spike}",
            in_days(10)
        )
    };
    let tide = tide(&[("prices.yaml", &list(""))]);
    a_week_of_traffic(&tide);
    // Ten days at the old price and twenty at a hundred times that; no spike,
    // because production gets dearer as well.
    let prompt = format!("apps/{APP}/prompts/summary/system.j2");
    let text = format!("{}\nBe brief.\n", original(&tide, &prompt));
    let change = propose(&tide, &prompt, &text).ok().json();
    assert_eq!(missing(&change), ["approver"], "{change}");
    assert_eq!(codes(gate(&change)), ["price_changes"], "{change}");
    let said = typed(&tide, &prompt, &text);
    let number = |path: &str| said["cost"].pointer(path).and_then(Value::as_f64).unwrap();
    let day = 0.12 * 1.01;
    assert!((number("/per_request/now") - 0.000_12).abs() < 1e-9, "today's price: {said}");
    let want = 10.0 * day + 20.0 * day * 100.0;
    assert!((number("/per_month/now") - want).abs() < 0.5, "{want}: {said}");

    // A change brings no cheaper price for what it is judged by, and a list that
    // does not read stops it, with the line.
    let free = format!(
        "apiVersion: tidegate/v1\nprices:\n  {id}:\n    - {{from: 2020-01-01, input_per_million: 0, output_per_million: 0}}\n"
    );
    let said = typed(&tide, "prices.yaml", &free);
    assert!((said["cost"]["per_month"]["new"].as_f64().unwrap() - want).abs() < 0.5, "{said}");
    let said = typed(&tide, "prices.yaml", &free.replace("2020-01-01", "2020-13-01"));
    assert_eq!(said["can_send"], false);
    let found = said["findings"].as_array().unwrap().iter().find(|f| f["code"] == "bad_date");
    let found = found.unwrap_or_else(|| panic!("{said}"));
    assert_eq!((&found["path"], &found["line"]), (&json!("prices.yaml"), &json!(4)));
}

#[test]
fn suites_count_money_by_the_same_list_on_the_day_they_are_told() {
    let home = tempfile::tempdir().unwrap();
    let repo = home.path().join("ops");
    let example: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "../../examples/support-summary/ops"].iter().collect();
    copy(&example, &repo);
    let run = |args: &[&str]| -> Value {
        let ran = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["eval", "run", "--against", "none", "-o", "json", "--suite", "summaries"])
            .args(["--requests-per-month", "100000", "--repo"])
            .arg(&repo)
            .args(args)
            .env("HOME", home.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        let all: Value = serde_json::from_str(&said)
            .unwrap_or_else(|e| panic!("{e}: {said}\n{}", String::from_utf8_lossy(&ran.stderr)));
        all[0]["suites"][0]["cost"].clone()
    };
    let plain = run(&[]);
    assert_eq!(plain["price"], Value::Null, "no list, no word of it: {plain}");
    let own = std::fs::read_to_string(repo.join("models/summariser.yaml")).unwrap();
    let line = own.lines().find(|line| line.starts_with("provider_model: ")).unwrap();
    let id = line.trim_start_matches("provider_model: ").trim();
    let list = format!(
        "apiVersion: tidegate/v1\nprices:\n  {id}:\n    - {{from: 2026-01-01, input_per_million: 0.15, output_per_million: 0.60}}\n    - {{from: 2026-06-01, input_per_million: 1.5, output_per_million: 6}}\n"
    );
    std::fs::write(repo.join("prices.yaml"), list).unwrap();
    let [before, after] = ["2026-04-01", "2026-07-01"].map(|day| run(&["--prices-on", day]));
    let usd = |cost: &Value| cost["month"]["usd"].as_f64().unwrap();
    assert!((usd(&before) - usd(&plain)).abs() < 1e-9, "{before} {plain}");
    assert!((usd(&after) / usd(&before) - 10.0).abs() < 1e-6, "{after} {before}");
    assert_eq!(after["price"]["output_per_million"], 6.0);
    // On May 22 ten of the thirty days are before the change.
    let between = run(&["--prices-on", "2026-05-22"]);
    assert!((usd(&between) / usd(&before) - 7.0).abs() < 1e-6, "{between}");
}
