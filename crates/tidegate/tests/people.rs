//! Who may do what, two people at once, git from outside, and how commands end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{APP, Tide, post, send};
use serde_json::json;

const PEOPLE: [(&str, &str); 5] = [
    ("ana", "editor"),
    ("priya", "approver"),
    ("sam", "approver"),
    ("omar", "operator"),
    ("olga", "operator"),
];

fn tide() -> Tide {
    let tide = Tide::start();
    tide.people(&PEOPLE);
    tide
}

fn propose(tide: &Tide, who: &str, text: &str) -> serde_json::Value {
    let path = tide.write(
        "prompt.j2",
        &format!("{text} Write in {{{{ language }}}}.\n{{% include \"facts-only.j2\" %}}\n"),
    );
    let prompt = format!("@{}", path.display());
    tide.run(
        who,
        [
            "change",
            "create",
            "-a",
            APP,
            "--why",
            "our readers asked for it",
            "--prompt",
            &prompt,
            "--wait",
            "-o",
            "json",
        ],
    )
    .ok()
    .json()
}

#[test]
fn nobody_approves_their_own_change_and_roles_are_kept() {
    let tide = tide();
    let change = propose(&tide, "priya", "Summarise in one sentence.");
    let id = change["id"].as_str().unwrap();
    tide.run("priya", ["change", "approve", id])
        .code(4)
        .says("someone else must approve it")
        .says("(own_change)");
    tide.run("ana", ["change", "approve", id]).code(4).says("not an approver");
    tide.run("ana", ["kill", APP, "--yes"]).code(4).says("takes the role");
    tide.run("omar", ["token", "create", "--person", "priya"]).code(4);
    tide.run("omar", ["person", "add", "eve", "--role", "admin"]).code(4);
    tide.run_as(None, ["app", "list"]).code(4).says("tidegate login");
    // Each refusal names the request, and the problem is there for programs.
    let refused = tide.run("ana", ["change", "approve", id, "-o", "json"]).code(4);
    let problem: serde_json::Value = serde_json::from_str(&refused.stderr).unwrap();
    assert!(problem["request_id"].as_str().unwrap().starts_with("req_"), "{problem}");
    assert_eq!(problem["status"], 403);
    tide.run("sam", ["change", "approve", id]).ok();
}

#[test]
fn an_approval_of_other_content_is_refused() {
    let tide = tide();
    let change = propose(&tide, "ana", "Summarise in one sentence.");
    let (id, seen) =
        (change["id"].as_str().unwrap(), change["content"].as_str().unwrap().to_owned());
    let path = tide.write("other.j2", "Answer in {{ language }} only.\n");
    let prompt = format!("@{}", path.display());
    let now = tide
        .run("ana", ["change", "update", id, "--prompt", &prompt, "--wait", "-o", "json"])
        .ok()
        .json();
    assert_ne!(now["content"], json!(seen));
    let refused = tide.run("priya", ["change", "approve", id, "--content", &seen]);
    assert!(matches!(refused.code, 6 | 7), "{refused:?}");
    refused.says("changed since");
    tide.run("priya", ["change", "approve", id]).ok();
}

#[test]
fn the_second_of_two_operators_gets_a_conflict() {
    let tide = tide();
    let change = propose(&tide, "ana", "Summarise in one sentence.");
    tide.run("priya", ["change", "approve", change["id"].as_str().unwrap(), "--wait"]).ok();
    let seen = tide.run("omar", ["rollout", "get", APP, "-o", "json"]).ok().json();
    let generation = seen["generation"].to_string();
    // Both looked at the same state; the first to act wins.
    tide.run("omar", ["rollout", "pause", APP]).ok();
    let second = tide.run("olga", ["rollout", "resume", APP, "--if-match", &generation]).code(6);
    let after = tide.run("olga", ["rollout", "get", APP, "-o", "json"]).ok().json();
    assert_eq!(after["phase"]["name"], "paused", "the second must change nothing: {second:?}");
    // Looking again is enough.
    tide.run("olga", ["rollout", "resume", APP]).ok();
    // Going back needs no look.
    tide.run("olga", ["rollback", APP, "--yes"]).ok();
}

#[test]
fn a_pushed_branch_becomes_a_change_and_main_is_closed() {
    let tide = tide();
    let ops = tide.clone_ops("ana");
    tide.git(&ops, &["switch", "-q", "-c", "shorter"]).ok();
    let dir = ops.join(format!("apps/{APP}/prompts/summary"));
    std::fs::write(dir.join("system.j2"), "Summarise in {{ language }}.\n").unwrap();
    let yaml = std::fs::read_to_string(dir.join("prompt.yaml")).unwrap();
    std::fs::write(dir.join("prompt.yaml"), yaml.replace("version: 1.0.0", "version: 1.1.0"))
        .unwrap();
    tide.git(&ops, &["commit", "-qam", "Ask for less\n\nReaders asked for shorter summaries."])
        .ok();
    tide.git(&ops, &["push", "origin", "shorter"]).ok();
    let list = tide.run("ana", ["change", "list", "-o", "json"]).ok().json();
    assert_eq!(list[0]["branch"], "shorter", "{list}");
    assert_eq!(list[0]["author"], "ana");
    let id = list[0]["id"].as_str().unwrap();
    tide.run("ana", ["change", "checks", id, "--wait"]).ok();
    tide.run("ana", ["change", "approve", id]).code(4);

    let refused = tide.git(&ops, &["push", "origin", "shorter:main"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    refused.says("main");
    // The author is who the token says: a stranger's name on a commit is refused.
    tide.git(&ops, &["switch", "-q", "-c", "forged"]).ok();
    std::fs::write(dir.join("system.j2"), "Forged for {{ language }}.\n").unwrap();
    tide.git(
        &ops,
        &["-c", "user.email=priya@example.com", "commit", "-qam", "Forge it, as another"],
    )
    .ok();
    let forged = tide.git(&ops, &["push", "origin", "forged"]);
    if forged.code == 0 {
        // Accepted pushes still belong to the token's person.
        let list = tide.run("ana", ["change", "list", "-o", "json"]).ok().json();
        assert_eq!(list[0]["author"], "ana", "{list}");
    }
    // Without a token there is nothing to clone.
    let host = tide.control.trim_start_matches("http://").to_owned();
    let stranger = tide
        .git(&tide.path("."), &["clone", "-q", &format!("http://x:wrong@{host}/git/ops.git"), "x"]);
    assert_ne!(stranger.code, 0);
}

#[test]
fn a_working_copy_sends_what_differs() {
    let tide = tide();
    let ops = tide.clone_ops("ana");
    std::fs::write(
        ops.join(format!("apps/{APP}/prompts/summary/system.j2")),
        "Only in {{ language }}.\n",
    )
    .unwrap();
    let from = ops.to_string_lossy().into_owned();
    let change = tide
        .run(
            "ana",
            [
                "change",
                "create",
                "-a",
                APP,
                "--why",
                "our readers asked for it",
                "--from",
                &from,
                "--wait",
                "-o",
                "json",
            ],
        )
        .ok()
        .json();
    let diff = tide.run("ana", ["change", "diff", change["id"].as_str().unwrap()]).ok();
    let files: Vec<_> = diff.stdout.lines().filter(|l| l.starts_with("diff --git")).collect();
    assert_eq!(files.len(), 2, "the template and its version: {files:?}");
}

#[test]
fn failed_checks_end_with_7_and_say_where() {
    let tide = tide();
    let path = tide.write("typo.j2", "Write in {{ langauge }}.\n");
    let prompt = format!("@{}", path.display());
    let made = tide.run(
        "ana",
        [
            "change",
            "create",
            "-a",
            APP,
            "--why",
            "our readers asked for it",
            "--prompt",
            &prompt,
            "--wait",
            "-o",
            "json",
        ],
    );
    let change = made.code(7).json();
    let id = change["id"].as_str().unwrap();
    tide.run("ana", ["change", "checks", id])
        .code(7)
        .prints("system.j2:1:")
        .prints("`langauge`")
        .prints("language");
    tide.run("priya", ["change", "approve", id]).code(7);
    tide.run("ana", ["change", "withdraw", id]).code(2);
    tide.run("ana", ["change", "withdraw", id, "--yes"]).ok();
}

#[test]
fn a_change_that_cannot_be_merged_after_its_yes_ends_with_7() {
    let tide = tide();
    let first = propose(&tide, "ana", "Summarise in one sentence.");
    let second = propose(&tide, "ana", "Summarise in two sentences.");
    let yes = ["change", "approve", first["id"].as_str().unwrap(), "--wait"];
    tide.run("priya", yes).ok().says("Next: tidegate rollout watch");
    let why = "the first is wanted now, for this test";
    tide.run("priya", ["rollout", "promote", APP, "--yes", "--reason", why]).ok();
    tide.run("priya", ["rollout", "watch", APP, "--plain"]).ok();
    tide.run("priya", ["rollout", "get", APP]).ok().prints("\tpromoted\n");
    let refused = tide
        .run("priya", ["change", "approve", second["id"].as_str().unwrap(), "--wait"])
        .code(7)
        .says("could not be merged")
        .says("(base_moved)");
    assert!(!refused.stderr.contains("Next:"), "{refused:?}");
}

#[test]
fn lists_say_that_there_are_more() {
    let tide = tide();
    let cut = tide.run("ana", ["audit", "list", "--limit", "2"]).ok().says("2 shown").says("--all");
    assert_eq!(cut.stdout.lines().count(), 2);
    let all = tide.run("ana", ["audit", "list", "--all"]).ok();
    assert!(all.stdout.lines().count() > 2 && !all.stderr.contains("shown"), "{all:?}");
    tide.run("ana", ["audit", "list", "--all", "--limit", "2"]).code(2);
    tide.run("ana", ["change", "list", "--state", "foo"]).code(2).says("needs_approval");
}

#[test]
fn tokens_are_for_somebody_or_something_that_exists() {
    let tide = tide();
    for flag in ["--person", "--app", "--gateway"] {
        tide.run("admin", ["token", "create"]).code(2).says(flag);
    }
    tide.run("admin", ["token", "create", "--app", "nope"]).code(5).says("no app `nope`");
    tide.run("admin", ["token", "create", "--app", APP]).ok();
    // A gateway's no is shown as it is; a token the server does not know is told
    // how to do without it.
    let gateway = tide.gateway.clone();
    let said = ["feedback", "req_aaaaaaaaaaaaaaaaaaaaaaaa", "--name", "ok", "--value", "1"];
    tide.run_as(None, said.iter().copied().chain(["--gateway", &gateway, "--token", "tgk_wrong"]))
        .code(4)
        .says("the token is not known")
        .says("fix:");
    tide.run_as(None, said.iter().copied().chain(["--token", "tgk_wrong"]))
        .code(4)
        .says("--gateway");
}

#[test]
fn a_snippet_holds_what_the_app_asks_for() {
    let tide = tide();
    let code = tide.run("ana", ["app", "snippet", APP, "--lang", "curl"]).ok();
    let body = code.stdout.split_once("-d '").unwrap().1.trim_end().strip_suffix('\'').unwrap();
    let body: serde_json::Value = serde_json::from_str(&body.replace(r"'\''", "'")).unwrap();
    let auth = [("authorization", format!("Bearer {}", tide.token("ana")))];
    let (status, _, answer) = post(&tide.gateway, "/v1/chat/completions", &auth, &body);
    assert_eq!(status, 200, "as it is printed it is answered: {body} {answer}");
}

#[test]
fn commands_end_with_the_status_that_is_documented() {
    let tide = tide();
    tide.run("ana", ["change", "get", "999"]).code(5).says("no change `ch-999`");
    tide.run("ana", ["app", "get", "nothing"]).code(5);
    tide.run("ana", ["release", "get", "rel-00000000"]).code(5);
    tide.run("ana", ["app", "get", "Not A Name"]).code(2);
    tide.run("ana", ["chnage", "list"]).code(2).says("change");
    tide.run("ana", ["change", "create", "-a", APP, "--why", "x"]).code(2).says("--prompt");
    tide.run("ana", ["--token", "x", "app", "list"]).code(2).says("TIDEGATE_TOKEN_FILE");
    tide.run("ana", ["help", "exit-codes"]).ok().prints("verification failed");
    tide.run("ana", ["completion", "bash"]).ok().prints("tidegate");
    tide.run("ana", ["--server", "http://127.0.0.1:1", "app", "list"])
        .code(1)
        .says("cannot reach the server");
    let release = tide.run("ana", ["app", "get", APP, "-o", "json"]).json()["production"]
        .as_str()
        .unwrap()
        .to_owned();
    tide.run("ana", ["release", "verify", &release]).ok().says("verifies");
    tide.run("ana", ["release", "get", &release["sha256:".len()..][..12]]).ok().prints(&release);
}

#[test]
fn a_tampered_log_is_found_and_the_entry_is_named() {
    let mut tide = tide();
    let key = tide.run("ana", ["whoami", "-o", "json"]).ok().json()["log_key"]
        .as_str()
        .unwrap()
        .to_owned();
    tide.run("ana", ["audit", "verify"]).ok();
    let listed =
        tide.run("ana", ["audit", "list", "--object", "person/omar", "-o", "json"]).ok().json();
    let index = listed[0]["index"].as_u64().unwrap();
    assert_eq!(tide.stop(), Some(0), "{}", tide.log());
    let data = tide.data();
    let text = data.to_string_lossy().into_owned();
    tide.run("ana", ["audit", "verify", "--vkey", &key, "--data", &text]).ok();
    tamper(&data.join("state.db"));
    let found = tide.run("ana", ["audit", "verify", "--vkey", &key, "--data", &text]).code(11);
    found.says(&format!("entry {index} was altered"));
    // Another key is another installation's.
    let other = "tidegate.localhost+f1863b52+AVaG3OCQ8VX3v8jbB/bvqCWUXyjR+GYfNvZUUiO5EkIo";
    tide.run("ana", ["audit", "verify", "--vkey", other, "--data", &text]).code(11);
}

/// Changes one letter of an entry where it lies (and in every stale copy of its
/// page), as somebody with the disk could.
fn tamper(db: &std::path::Path) {
    let mut bytes = std::fs::read(db).unwrap();
    let needle = br#""object":"person/omar""#;
    let places: Vec<usize> = bytes
        .windows(needle.len())
        .enumerate()
        .filter(|(_, w)| w == needle)
        .map(|(i, _)| i)
        .collect();
    assert!(!places.is_empty(), "the entry is in the file");
    for at in places {
        bytes[at + needle.len() - 2] = b't';
    }
    std::fs::write(db, bytes).unwrap();
}

#[test]
fn the_api_speaks_problem_documents_and_keeps_browsers_of_others_out() {
    let tide = tide();
    let token = format!("Bearer {}", tide.token("omar"));
    let auth = [("authorization", token.clone())];
    for (method, path, body, status) in [
        ("GET", "/api/v1/nothing", "", 404),
        ("PUT", "/api/v1/apps", "", 405),
        ("POST", "/api/v1/changes", "{", 422),
        ("POST", "/api/v1/changes", r#"{"app": "x", "why": "y", "other": 1}"#, 422),
        ("GET", "/api/v1/changes?limit=many", "", 422),
        ("GET", "/api/v1/changes/forty", "", 422),
        ("GET", "/api/v1/changes?state=foo", "", 422),
        ("GET", "/api/v1/changes?other=1", "", 422),
        ("POST", "/api/v1/tokens", "{}", 422),
        ("GET", "/log/tile/0/xyz", "", 404),
    ] {
        let (got, headers, document) = send(method, &tide.control, path, &auth, body);
        assert_eq!(got, status, "{method} {path}: {document}");
        assert_eq!(headers["content-type"], "application/problem+json", "{method} {path}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(
            document["request_id"].as_str(),
            headers.get("x-request-id").map(String::as_str)
        );
        let detail = document["detail"].as_str().unwrap_or_default();
        let leaks = ["struct ", "deserialize", "u32", "digit found"].map(|w| detail.contains(w));
        assert!(!detail.is_empty() && leaks == [false; 4], "{document}");
    }
    let kill = json!({"kind": "kill"});
    let path = format!("/api/v1/apps/{APP}/actions");
    let stale = [auth[0].clone(), ("if-match", "\"99\"".to_owned())];
    assert_eq!(post(&tide.control, &path, &stale, &kill).0, 412);
    let foreign = [auth[0].clone(), ("origin", "https://evil.example".to_owned())];
    assert_eq!(post(&tide.control, &path, &foreign, &kill).0, 403);
    assert_eq!(send("GET", &tide.control, "/api/v1/apps", &[], "").0, 401);
    // A person's token does not open the gateways' door.
    assert_eq!(send("GET", &tide.control, "/internal/v1/snapshot", &auth, "").0, 403);
    assert_eq!(send("GET", &tide.control, "/readyz", &[], "").0, 200);
    let (_, _, metrics) = send("GET", &tide.control, "/metrics", &[], "");
    assert!(
        metrics
            .as_str()
            .unwrap()
            .contains("tidegate_control_requests_total{method=\"POST\",status=\"4xx\"}")
    );
}
