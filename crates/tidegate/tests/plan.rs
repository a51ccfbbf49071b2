//! `rollout plan`: what a plan can detect, without a server, from the app's own
//! traffic, and for a policy that is nowhere yet.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]
#![allow(clippy::disallowed_methods, reason = "a test waits for another process")]

mod common;

use common::{APP, Tide, post, wait_for};
use serde_json::{Value, json};

const POLICY: &str = "\
apiVersion: tidegate/v1
planned: {duration: 10d, requests: 10000}
steps:
  - weight: {share: 5%, hold: 2d}
  - weight: {share: 25%, hold: 2d}
  - promote: {}
signals:
  - {name: error, kind: rate, notice: {times: 2}, action: rollback}
  - {name: rejected, kind: rate, notice: {times: 3}, action: pause}
";

#[test]
fn without_a_server_the_file_and_the_traffic_say_it_all() {
    let tide = Tide::init(&[]);
    let file = tide.write("rollout.yaml", POLICY).to_string_lossy().into_owned();
    let plan = |args: &[&str]| {
        let usual = ["rollout", "plan", "--policy", &file];
        tide.run_as(None, usual.iter().chain(args))
    };
    let said = plan(&["--requests-per-day", "40"]).ok();
    for words in [
        "At 40 requests a day this plan can only see a difference larger than:",
        "With a share of 50% instead of 5%",
        "200 mirrored pairs would already see",
        "tidegate backtest",
        "`error` of today's version: assumed to be 2%.",
    ] {
        assert!(said.stdout.contains(words), "{words:?} is not in\n{}", said.stdout);
    }
    let report = plan(&["--requests-per-day", "40", "-o", "json"]).ok().json();
    assert_eq!(report["basis"]["from"], "given");
    let times = |report: &Value, signal: usize| {
        report["signals"][signal]["detectable"]["times"].as_f64().unwrap_or(f64::INFINITY)
    };
    // Without a number, the plan's own expectation: 1000 a day see more than 40.
    let planned = plan(&["-o", "json"]).ok().json();
    assert_eq!(
        (&planned["basis"]["from"], &planned["requests_per_day"]),
        (&"planned".into(), &1000.0.into())
    );
    assert!(times(&planned, 0) < times(&report, 0), "{report} {planned}");

    let bad = tide.write("bad.yaml", &POLICY.replace("times: 3", "times: 1"));
    tide.run_as(
        None,
        ["rollout", "plan", "--requests-per-day", "1", "--policy", &bad.to_string_lossy()],
    )
    .code(2)
    .says("signals[1].notice.times");
    tide.run_as(None, ["rollout", "plan"]).code(2).says("--app");
    plan(&["--requests-per-day", "NaN"]).code(2).says("cannot be");
}

#[test]
fn a_server_fills_in_what_it_has_measured() {
    let tide = Tide::start_with(&[(&format!("apps/{APP}/rollout.yaml"), POLICY)]);
    tide.people(&[("ana", "editor"), ("omar", "operator")]);
    let plan = |args: &[&str]| {
        let usual = ["rollout", "plan", "--app", APP, "-o", "json"];
        tide.run("ana", usual.iter().chain(args))
    };
    let before = plan(&[]).ok().json();
    assert_eq!(before["basis"]["from"], "planned");
    assert_eq!(before["signals"][0]["assumed"], true);

    let lines: String = (0..80)
        .map(|n| {
            let line = json!({
                "vars": {"ticket": "T-1001", "transcript": format!("Customer: q {n}")},
                "feedback": {"rejected": {"starter-1": u8::from(n % 8 == 0)}},
            });
            format!("{line}\n")
        })
        .collect();
    tide.traffic("omar", &lines, &["--rate", "200"]);
    // Gateways ship in batches; the last of them says when all is known.
    let measured = wait_for("a measured plan", || {
        let report = plan(&[]).ok().json();
        let known = |i: usize| report["signals"][i]["baseline"]["answers"].as_u64().unwrap_or(0);
        (known(0) >= 80 && known(1) >= 80).then_some(report)
    });
    assert_eq!(measured["basis"]["from"], "measured");
    assert_eq!(measured["basis"]["answers"], 80);
    assert_eq!(measured["signals"][1]["assumed"], false);
    let rejected = measured["signals"][1]["baseline"]["level"].as_f64().unwrap();
    assert!((rejected - 10.5 / 81.0).abs() < 1e-9, "{measured}");
    assert_eq!(measured["signals"][1]["baseline"]["coverage"], 1.0);

    // A policy that is nowhere yet, on the same traffic; and one that is wrong.
    let file = tide.write("other.yaml", &POLICY.replace("25%", "50%"));
    let tried = plan(&["--policy", &file.to_string_lossy()]).ok().json();
    assert_eq!(tried["basis"]["from"], "measured");
    assert_eq!(tried["steps"][1]["weight"], "50%");
    let headers = [("authorization", format!("Bearer {}", tide.token("ana")))];
    let path = format!("/api/v1/apps/{APP}/plan");
    let wrong = json!({"policy": {"apiVersion": "tidegate/v1", "signals": []}});
    let (status, _, said) = post(&tide.control, &path, &headers, &wrong);
    assert_eq!(
        (status, &said["code"], &said["fields"][0]),
        (422, &"bad_policy".into(), &"signals".into())
    );
    let (status, _, said) = post(&tide.control, &path, &headers, &json!({"requests_per_day": -1}));
    assert_eq!((status, &said["code"]), (422, &"bad_traffic".into()));
    tide.run("ana", ["rollout", "plan", "--app", "nobody"]).code(5);

    // Whoever proposes a change is told what its plan can see.
    let prompt = tide.write("prompt.j2", "Summarise kindly. Write in {{ language }}.\n");
    let prompt = format!("@{}", prompt.display());
    let why = "our readers asked for it";
    tide.run("ana", ["change", "create", "-a", APP, "--why", why, "--prompt", &prompt, "--wait"])
        .ok()
        .prints("plan\tAt ");
    plan(&["--change", "1"]).ok();
}
