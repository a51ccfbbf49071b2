//! Policies of a team, with the real binary: a denial that names its policy and
//! how to satisfy it, an approval that a policy asks for, a change that would
//! weaken what it is judged by, and the team's own examples.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{APP, Ran, Tide};
use serde_json::Value;
use std::path::Path;

const PEOPLE: [(&str, &str); 5] = [
    ("ana", "editor"),
    ("priya", "approver"),
    ("lea", "approver,auditor"),
    ("fin", "finance"),
    ("bot", "agent"),
];

/// On top of the starter's policies.
const TEAM: &str = r#"
@id("retention-is-named")
@because("readers must know how long summaries are kept")
@satisfy("add `retention` to `labels` in app.yaml")
forbid (principal, action == Action::"release", resource)
unless { resource.hasTag("retention") };

@id("auditors-stay-out")
@because("who audits does not decide")
@satisfy("ask an approver who is no auditor")
forbid (principal in Role::"auditor", action == Action::"approve", resource);
"#;

fn tide() -> Tide {
    let tide = Tide::start_with(&[("policies/team.cedar", TEAM)]);
    tide.people(&PEOPLE);
    tide
}

/// A file of the ops repo as it was at the start.
fn original(tide: &Tide, path: &str) -> String {
    std::fs::read_to_string(tide.path("ops").join(path)).unwrap()
}

/// Sends a change of these files and waits for its checks.
fn send(tide: &Tide, who: &str, verb: &[&str], files: &[(&str, &str)]) -> Ran {
    let files: Vec<String> = files
        .iter()
        .enumerate()
        .map(|(i, (path, text))| {
            let local = tide.write(&format!("edit-{i}"), text);
            if text.is_empty() {
                format!("--file={path}=")
            } else {
                format!("--file={path}=@{}", local.display())
            }
        })
        .collect();
    let usual = ["--wait", "-o", "json"].map(str::to_owned);
    let verb = verb.iter().map(|v| (*v).to_owned());
    tide.run(who, verb.chain(files).chain(usual))
}

fn create(tide: &Tide, who: &str, files: &[(&str, &str)]) -> Ran {
    let why = "--why=our readers asked for it";
    send(tide, who, &["change", "create", "-a", APP, why], files)
}

fn findings<'a>(change: &'a Value, code: &str) -> Vec<&'a Value> {
    let gates = change["report"]["gates"].as_array().unwrap();
    let all = gates.iter().flat_map(|gate| gate["findings"].as_array().unwrap());
    all.filter(|finding| finding["code"] == code).collect()
}

/// Whose yes is missing, and which policy asks.
fn missing(change: &Value) -> Vec<(&str, u64, Option<&str>)> {
    let needs = change["missing"].as_array().unwrap().iter();
    needs
        .map(|n| {
            let role = n["role"].as_str().unwrap();
            (role, n["count"].as_u64().unwrap(), n["policy"].as_str())
        })
        .collect()
}

fn labelled(tide: &Tide) -> String {
    let path = format!("apps/{APP}/app.yaml");
    original(tide, &path).replace("  team: support", "  team: support\n  retention: 30d")
}

/// The starter's model at a hundred times its price.
fn dear(tide: &Tide) -> String {
    original(tide, "models/recorded.yaml").replace("version: 1.0.0", "version: 1.1.0").replace(
        "input_per_million: 0.15, output_per_million: 0.60",
        "input_per_million: 15, output_per_million: 60",
    )
}

#[test]
fn a_denial_names_the_policy_and_once_satisfied_finance_is_asked() {
    let tide = tide();
    let (app, model) = (format!("apps/{APP}/app.yaml"), "models/recorded.yaml");

    // Denied, with the policy's name, its place and what to do.
    let change = create(&tide, "ana", &[(model, &dear(&tide))]).code(7).json();
    assert_eq!(change["state"], "needs_fixes");
    let denied = findings(&change, "policy_denied");
    assert_eq!(denied.len(), 1, "{change}");
    assert_eq!(denied[0]["message"], "policy `retention-is-named` forbids this release");
    assert_eq!(denied[0]["mend"], "add `retention` to `labels` in app.yaml");
    assert_eq!(denied[0]["place"]["file"], "policies/team.cedar");
    assert_eq!(denied[0]["place"]["line"], 2);
    let id = change["id"].as_str().unwrap().to_owned();
    tide.run("ana", ["change", "checks", &id]).code(7).prints("retention-is-named");

    // Satisfied, it passes; a hundred times the price asks for finance.
    let change = send(&tide, "ana", &["change", "update", &id], &[(&app, &labelled(&tide))]).ok();
    let change = change.json();
    assert_eq!(change["state"], "needs_approval", "{change}");
    let cost = "cost-spike-needs-finance";
    assert_eq!(missing(&change), [("approver", 1, None), ("finance", 1, Some(cost))]);
    assert!(change["facts"]["cost"]["change_percent"].as_i64().unwrap() > 1000, "{change}");
    tide.run("ana", ["change", "get", &id]).ok().prints(cost);

    // The core stays: authors never approve. A policy adds: auditors do not.
    tide.run("ana", ["change", "approve", &id]).code(4);
    tide.run("lea", ["change", "approve", &id])
        .code(4)
        .says("auditors-stay-out")
        .says("no auditor");
    tide.run("priya", ["change", "approve", &id]).ok();
    let waiting = tide.run("ana", ["change", "get", &id, "-o", "json"]).ok().json();
    assert_eq!(missing(&waiting), [("finance", 1, Some(cost))]);
    assert_eq!(waiting["state"], "needs_approval");
    let done = tide.run("fin", ["change", "approve", &id, "--wait", "-o", "json"]).ok().json();
    assert_eq!((done["state"].as_str(), missing(&done).len()), (Some("rolling_out"), 0), "{done}");
}

#[test]
fn finance_is_not_asked_about_what_costs_nothing_more_and_agents_need_two() {
    let tide = tide();
    let app = format!("apps/{APP}/app.yaml");
    let prompt = format!("apps/{APP}/prompts/summary/system.j2");
    let text = format!("{}\nBe brief.\n", original(&tide, &prompt));
    let change = create(&tide, "bot", &[(&prompt, &text)]).code(7).json();
    assert_eq!(findings(&change, "policy_denied").len(), 1, "{change}");

    // A program may not touch what it is judged by: app.yaml holds approvals.
    let id = change["id"].as_str().unwrap().to_owned();
    let change =
        send(&tide, "bot", &["change", "update", &id], &[(&app, &labelled(&tide))]).code(7).json();
    let said: Vec<_> =
        findings(&change, "policy_denied").iter().map(|f| f["message"].clone()).collect();
    assert_eq!(said, ["policy `agents-leave-the-rules-alone` forbids `bot` proposing this"]);

    let change = create(&tide, "ana", &[(&app, &labelled(&tide)), (&prompt, &text)]).ok().json();
    let id = change["id"].as_str().unwrap().to_owned();
    assert_eq!(missing(&change), [("approver", 1, None)]);
    tide.run("fin", ["change", "approve", &id]).code(4).says("asks nothing of that role");
    tide.run("bot", ["change", "approve", &id]).code(4);
}

#[test]
fn weakening_a_policy_does_not_help_the_change_that_does_it() {
    let tide = tide();
    let (app, model) = (format!("apps/{APP}/app.yaml"), "models/recorded.yaml");
    // Something to decide differently about.
    create(&tide, "ana", &[(&app, &labelled(&tide)), (model, &dear(&tide))]).ok();

    let rules = original(&tide, "policies/releases.cedar");
    let weaker = rules.replace("> 50", "> 100000");
    assert_ne!(weaker, rules);
    let edits =
        [("policies/team.cedar", ""), ("policies/releases.cedar", &weaker), (model, &dear(&tide))];
    let change = create(&tide, "ana", &edits).code(7).json();
    let said: Vec<_> =
        findings(&change, "policy_denied").iter().map(|f| f["message"].clone()).collect();
    assert_eq!(said, ["policy `retention-is-named` forbids this release (as it is on `main`)"]);
    let asked: Vec<_> =
        change["requirements"].as_array().unwrap().iter().map(|r| r["role"].clone()).collect();
    assert_eq!(asked, ["approver", "finance"], "{change}");
    // The team's own examples are run, and past changes are looked at.
    let broken = findings(&change, "policy_example_failed");
    assert_eq!(broken.len(), 1, "{change}");
    assert!(broken[0]["message"].as_str().unwrap().contains("twice the cost needs finance"));
    let differ = findings(&change, "decided_differently");
    let message = differ[0]["message"].as_str().unwrap();
    assert!(message.contains("1 would have been decided differently"), "{message}");
    assert!(message.contains("needs finance:1 → allowed"), "{message}");

    // A policy that does not read stops its change, with a place.
    let broken = format!("{TEAM}\n@id(\"x\") forbid (principal;\n");
    let change =
        create(&tide, "ana", &[("policies/team.cedar", &broken), (&app, &labelled(&tide))])
            .code(7)
            .json();
    let faults = findings(&change, "bad_cedar");
    assert_eq!(faults[0]["place"]["line"], broken.lines().count(), "{change}");
}

fn write(dir: &Path, path: &str, text: &str) {
    std::fs::create_dir_all(dir.join(path).parent().unwrap()).unwrap();
    std::fs::write(dir.join(path), text).unwrap();
}

#[test]
fn policies_are_checked_and_tested_without_a_server() {
    let tide = Tide::init(&[]);
    let ops = tide.path("ops");
    let repo = ops.display().to_string();
    let local = |args: &[&str]| tide.run_as(None, args.iter().chain(&["--repo", &repo]));
    tide.run_as(None, ["policy", "schema"]).ok().prints("entity App");
    local(&["policy", "check"]).ok().prints("cost-spike-needs-finance").prints("finance:1");
    let all = local(&["policy", "test", "-o", "json"]).ok().json();
    assert!(all.as_array().unwrap().len() >= 10 && all[0]["passed"] == true, "{all}");

    // Red, with the difference, in the table and for build servers.
    let rules = original(&tide, "policies/releases.cedar");
    write(&ops, "policies/releases.cedar", &rules.replace("> 50", "> 500"));
    let junit = tide.path("junit.xml").display().to_string();
    local(&["policy", "test", "--junit", &junit])
        .code(7)
        .prints("requires: expected `finance:1`, got nothing")
        .says("1 of 10 examples fail");
    let xml = std::fs::read_to_string(&junit).unwrap();
    assert!(xml.contains("tests=\"10\" failures=\"1\""), "{xml}");

    // Faults have a place and a mend; nothing is tested before they are mended.
    write(&ops, "policies/releases.cedar", &rules.replace("change_percent > 50", "percent > 50"));
    local(&["policy", "check"]).code(7).says("policies/releases.cedar:").says("percent");
    local(&["policy", "test"]).code(7).says("policy check");
    write(&ops, "policies/releases.cedar", &rules);
    write(
        &ops,
        "policies/tests/more.yaml",
        "apiVersion: tidegate/v1\ncases:\n  - {name: a, expct: {decision: deny}}\n",
    );
    local(&["policy", "check"]).code(7).says("did you mean `expect`?");
    tide.run_as(None, ["policy", "check", "--repo", "/nowhere"]).code(2).says("--repo DIR");
}

const CALLS: &str = r#"
@id("only-admins-make-tokens-for-programs")
@because("a token in a script outlives the script")
@satisfy("use the page")
forbid (principal == Person::"otto", action == Action::"make_token", resource);

@id("omar-does-not-unkill")
@satisfy("ask another operator")
forbid (principal == Person::"omar", action == Action::"unkill", resource)
when { resource.name == "support-summary" };

@id("nobody-stops-anything")
@satisfy("this must not be possible to say")
forbid (principal, action in [Action::"promote", Action::"resume"], resource);
"#;

#[test]
fn policies_forbid_what_roles_allow_and_never_what_stops_harm() {
    let tide = Tide::start_with(&[("policies/calls.cedar", CALLS)]);
    tide.people(&[("omar", "operator"), ("otto", "admin"), ("olga", "operator")]);
    let refused = tide.run("otto", ["token", "create", "--person", "otto"]).code(4);
    refused
        .says("only-admins-make-tokens-for-programs")
        .says("outlives the script")
        .says("use the page");
    // Stopping is never asked about; starting again is.
    tide.run("omar", ["kill", APP, "--yes"]).ok();
    let why = "--reason=the provider is back again";
    tide.run("omar", ["unkill", APP, "--yes", why]).code(4).says("omar-does-not-unkill");
    tide.run("olga", ["unkill", APP, "--yes", why]).ok();
    tide.run("omar", ["rollback", APP, "--yes"]);
    let log = tide.run("admin", ["audit", "list", "-o", "json"]).ok().json();
    let refused: Vec<_> = log
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["entry"]["action"] == "write.refused")
        .map(|row| (row["entry"]["actor"]["name"].clone(), row["entry"]["details"].clone()))
        .collect();
    assert!(
        refused.contains(&(
            "omar".into(),
            serde_json::json!({"what": "POST /api/v1/apps/{app}/actions", "code": "policy_denied"})
        )),
        "{refused:?}"
    );
}
