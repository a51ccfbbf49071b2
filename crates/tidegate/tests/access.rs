//! Every endpoint of the interface, asked without a sign-in and by every role.
//! What comes out is `docs/access.md`; a route without a row here fails. To
//! write the page anew: `TIDEGATE_WRITE_ACCESS=1 cargo test -p tidegate --test access`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{APP, Tide, send};
use domain::people::Role;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

const WHY: &str = "because it is a test";

/// The interface as it is served.
fn operations(tide: &Tide) -> Vec<(String, String, bool)> {
    let (status, _, document) = send("GET", &tide.control, "/api/v1/openapi.json", &[], "");
    assert_eq!(status, 200);
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let open = operation["security"] == json!([]);
            all.push((method.to_uppercase(), path.clone(), open));
        }
    }
    all.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
    all
}

/// A real address for a path with places in it.
fn address(path: &str) -> String {
    let id = match path.split('/').nth(3) {
        Some("changes") => "1",
        Some("rollouts") => "ro-1",
        Some("experiments") => "ex-99",
        Some("releases") => "rel-00000000",
        Some("incidents") => "inc-99",
        Some("requests") => "req_aaaaaaaaaaaaaaaaaaaaaaaa",
        Some("people") => "admin",
        _ => "000000000000",
    };
    path.replace("{app}", APP).replace("{id}", id).replace("{index}", "0")
}

/// What is sent for a write: what for, and a body that reads. Where what is sent
/// decides who may, there is a row for each.
fn samples(method: &str, path: &str, content: &str) -> Vec<(&'static str, Value)> {
    let act = |kind: &str| json!({"kind": kind, "reason": WHY});
    let one = |body: Value| vec![("", body)];
    match (method, path.trim_start_matches("/api/v1")) {
        ("GET" | "DELETE", _) => one(json!({})),
        ("PUT", "/drafts/{app}") => one(json!({"why": WHY})),
        ("POST", "/apps/{app}/actions") => one(act("nothing")),
        ("POST", "/apps/{app}/check" | "/apps/{app}/plan" | "/apps/{app}/try") => one(json!({})),
        ("POST", "/apps/{app}/danger") => {
            one(json!({"request": "req_aaaaaaaaaaaaaaaaaaaaaaaa", "why": WHY}))
        }
        ("POST", "/changes/{id}/evals/cases/mark") => vec![(
            "another's",
            json!({"suite": "s", "case": "c", "mark": "not_worse", "reason": WHY}),
        )],
        ("POST", "/changes/{id}/preview") => vec![("another's", json!({"hours": 1_000_000}))],
        ("POST", "/changes") => one(json!({"app": "nothing", "why": WHY})),
        ("PATCH", "/changes/{id}") => one(json!({"edits": []})),
        ("POST", "/changes/{id}/approvals") => {
            one(json!({"decision": "approve", "content": content}))
        }
        ("POST", "/changes/{id}/withdraw") => vec![("another's", json!({}))],
        ("POST", "/changes/{id}/recheck") => one(json!({})),
        ("POST", "/rollouts/{id}/actions") => vec![
            ("pause", act("pause")),
            ("resume", act("resume")),
            ("promote", act("promote")),
            ("roll back", act("rollback")),
        ],
        ("POST", "/experiments") => one(json!({"app": APP, "name": "nothing"})),
        ("POST", "/experiments/{id}/actions") => one(act("stop")),
        ("POST", "/releases/{id}/clear" | "/incidents/{id}/reason") => one(json!({"reason": WHY})),
        ("POST", "/people") => one(json!({"name": "eve", "roles": ["auditor"]})),
        ("PUT", "/people/{id}/password") => vec![("another's", json!({"password": "weak"}))],
        ("POST", "/people/{id}/sign-in-code") => vec![("another's", json!({}))],
        ("POST", "/tokens") => vec![
            ("another's", json!({"person": "admin"})),
            ("an app's", json!({"apps": [APP]})),
            ("a gateway's", json!({"gateway": true})),
        ],
        ("POST" | "PUT", path) if path.starts_with("/notifications/channels") => one(
            json!({"kind": "webhook", "name": "nothing", "url": "http://127.0.0.1:1/", "enabled": false}),
        ),
        ("POST", "/notifications/deliveries/{id}/redeliver") => one(json!({})),
        ("PUT", "/notifications/preferences") => vec![("own", json!({}))],
        ("POST", "/session" | "/session/as") => one(json!({})),
        _ => panic!("{method} {path} has no row in this test: say who may call it"),
    }
}

const HEAD: &str = "\
# Who may call what

Every endpoint of `/api/v1`, asked by every role, as the test
`crates/tidegate/tests/access.rs` found it on a running server; the test fails when this
page and the server differ. `yes` says that the role is enough: the call may still be
refused for what it asks, an author never approves their own change, and an agent never
decides. Roles add up. Everybody may use, set and end what is their own (sessions,
drafts, tokens, password), so the rows below ask for somebody else's. Without a sign-in
nothing is answered but what says *open*; *browser* is for the page's own session.

";

#[test]
fn every_endpoint_by_every_role_is_as_the_page_says() {
    let tide = Tide::start();
    tide.people(&[("ana", "editor"), ("priya", "approver")]);
    let prompt = tide.write("prompt.j2", "Summarise in {{ language }}.\n");
    let prompt = format!("@{}", prompt.display());
    tide.run("ana", ["change", "create", "-a", APP, "--why", WHY, "--prompt", &prompt, "--wait"])
        .ok();
    tide.run("priya", ["change", "approve", "1", "--wait"]).ok();
    let change = tide.run("ana", ["change", "get", "1", "-o", "json"]).ok().json();
    let content = change["content"].as_str().unwrap();
    for role in Role::ALL {
        tide.people(&[(&format!("p-{role}"), role.key())]);
    }
    let mut page = HEAD.to_owned();
    let roles: Vec<_> = Role::ALL.into_iter().map(Role::key).collect();
    writeln!(page, "| endpoint | | {} |", roles.join(" | ")).unwrap();
    writeln!(page, "| --- | --- |{}", " --- |".repeat(roles.len())).unwrap();
    for (method, path, open) in operations(&tide) {
        let address = address(&path);
        let browser = path.starts_with("/api/v1/session");
        if !open {
            let (status, _, body) = send(&method, &tide.control, &address, &[], "{}");
            assert_eq!(status, 401, "{method} {path} without a sign-in: {body}");
        }
        for (what, body) in samples(&method, &path, content) {
            let mut row = format!("| `{method} {path}` | {what} |");
            for role in Role::ALL {
                let token = tide.token(&format!("p-{role}"));
                let auth = [("authorization", format!("Bearer {token}"))];
                let answer = match (open, browser) {
                    (true, _) => "open",
                    (_, true) => "browser",
                    _ => match send(&method, &tide.control, &address, &auth, &body.to_string()).0 {
                        403 => "–",
                        status @ (401 | 405 | 500..) => panic!("{method} {path}: {status}"),
                        _ => "yes",
                    },
                };
                row.push_str(&format!(" {answer} |"));
            }
            writeln!(page, "{row}").unwrap();
        }
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/access.md");
    if std::env::var_os("TIDEGATE_WRITE_ACCESS").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    for (said, found) in committed.lines().zip(page.lines()) {
        assert_eq!(said, found, "docs/access.md says the first, the server does the second");
    }
    assert_eq!(committed.lines().count(), page.lines().count());
}
