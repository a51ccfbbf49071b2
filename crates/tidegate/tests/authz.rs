//! Who may call what: every route of the control port without a token, and
//! every write by every role. A permission that changes is a diff of a snapshot.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{APP, Tide, send};
use domain::people::Role;

/// Every route that is not public.
const ROUTES: &[(&str, &str)] = &[
    ("GET", "/api/v1/whoami"),
    ("GET", "/api/v1/git"),
    ("GET", "/api/v1/gateways"),
    ("GET", "/api/v1/apps"),
    ("GET", "/api/v1/apps/support-summary"),
    ("POST", "/api/v1/apps/support-summary/actions"),
    ("GET", "/api/v1/apps/support-summary/call"),
    ("GET", "/api/v1/apps/support-summary/try"),
    ("POST", "/api/v1/apps/support-summary/try"),
    ("POST", "/api/v1/apps/support-summary/danger"),
    ("GET", "/api/v1/apps/support-summary/plan"),
    ("POST", "/api/v1/apps/support-summary/plan"),
    ("GET", "/api/v1/changes"),
    ("POST", "/api/v1/changes"),
    ("GET", "/api/v1/changes/1"),
    ("PATCH", "/api/v1/changes/1"),
    ("GET", "/api/v1/changes/1/diff"),
    ("GET", "/api/v1/changes/1/checks"),
    ("GET", "/api/v1/policies"),
    ("GET", "/api/v1/changes/1/evals"),
    ("GET", "/api/v1/apps/support-summary/evaluation"),
    ("GET", "/api/v1/changes/1/evals/cases"),
    ("POST", "/api/v1/changes/1/evals/cases/mark"),
    ("GET", "/api/v1/changes/1/evals/marks"),
    ("GET", "/api/v1/changes/1/evidence"),
    ("GET", "/api/v1/changes/1/preview"),
    ("POST", "/api/v1/changes/1/preview"),
    ("DELETE", "/api/v1/changes/1/preview"),
    ("POST", "/api/v1/changes/1/approvals"),
    ("POST", "/api/v1/changes/1/withdraw"),
    ("POST", "/api/v1/changes/1/recheck"),
    ("GET", "/api/v1/rollouts"),
    ("GET", "/api/v1/rollouts/ro-1"),
    ("GET", "/api/v1/rollouts/ro-1/ticks"),
    ("GET", "/api/v1/rollouts/ro-1/outcomes"),
    ("GET", "/api/v1/rollouts/ro-1/sample"),
    ("POST", "/api/v1/rollouts/ro-1/actions"),
    ("GET", "/api/v1/experiments"),
    ("POST", "/api/v1/experiments"),
    ("GET", "/api/v1/experiments/ex-1"),
    ("POST", "/api/v1/experiments/ex-1/actions"),
    ("GET", "/api/v1/releases"),
    ("GET", "/api/v1/releases/rel-00000000"),
    ("GET", "/api/v1/releases/rel-00000000/evidence"),
    ("POST", "/api/v1/releases/rel-00000000/clear"),
    ("GET", "/api/v1/incidents"),
    ("GET", "/api/v1/incidents/inc-1"),
    ("POST", "/api/v1/incidents/inc-1/reason"),
    ("GET", "/api/v1/requests"),
    ("GET", "/api/v1/requests/req_aaaaaaaaaaaaaaaaaaaaaaaa/explain"),
    ("GET", "/api/v1/notifications/channels"),
    ("POST", "/api/v1/notifications/channels"),
    ("PUT", "/api/v1/notifications/channels/nc-1"),
    ("DELETE", "/api/v1/notifications/channels/nc-1"),
    ("POST", "/api/v1/notifications/channels/nc-1/test"),
    ("GET", "/api/v1/notifications/preview?event=paused&channel=slack"),
    ("GET", "/api/v1/notifications/deliveries"),
    ("POST", "/api/v1/notifications/deliveries/nd-1/redeliver"),
    ("GET", "/api/v1/notifications/preferences"),
    ("PUT", "/api/v1/notifications/preferences"),
    ("GET", "/api/v1/costs"),
    ("GET", "/api/v1/kpis"),
    ("GET", "/api/v1/kpis.csv"),
    ("GET", "/api/v1/people"),
    ("POST", "/api/v1/people"),
    ("PUT", "/api/v1/people/admin/password"),
    ("POST", "/api/v1/people/admin/sign-in-code"),
    ("DELETE", "/api/v1/people/admin/sign-on"),
    ("GET", "/api/v1/events?topics=apps"),
    ("GET", "/api/v1/inbox"),
    ("GET", "/api/v1/models"),
    ("GET", "/api/v1/drafts/support-summary"),
    ("PUT", "/api/v1/drafts/support-summary"),
    ("DELETE", "/api/v1/drafts/support-summary"),
    ("GET", "/api/v1/apps/support-summary/files"),
    ("POST", "/api/v1/apps/support-summary/check"),
    ("GET", "/api/v1/rollouts/ro-1/series"),
    ("GET", "/api/v1/session"),
    ("DELETE", "/api/v1/session"),
    ("POST", "/api/v1/session/as"),
    ("GET", "/api/v1/tokens"),
    ("POST", "/api/v1/tokens"),
    ("DELETE", "/api/v1/tokens/000000000000"),
    ("GET", "/api/v1/audit"),
    ("GET", "/api/v1/audit/verify"),
    ("GET", "/api/v1/audit/0/proof"),
    ("GET", "/log/tile/entries/000.p/1"),
    ("GET", "/git/ops.git/info/refs?service=git-upload-pack"),
    ("POST", "/git/ops.git/git-receive-pack"),
    ("GET", "/internal/v1/snapshot?after=0"),
    (
        "GET",
        "/internal/v1/blobs/sha256:0000000000000000000000000000000000000000000000000000000000000000",
    ),
    ("POST", "/internal/v1/telemetry"),
    ("POST", "/internal/v1/kills"),
];

/// Every write, with a body that reads.
const WRITES: &[(&str, &str, &str)] = &[
    ("propose", "/api/v1/changes", r#"{"app": "nothing", "why": "because it is a test"}"#),
    ("check edits", "/api/v1/apps/support-summary/check", "{}"),
    ("try edits", "/api/v1/apps/support-summary/try", "{}"),
    ("add a danger case", "/api/v1/apps/support-summary/danger", "{}"),
    (
        "mark a case",
        "/api/v1/changes/1/evals/cases/mark",
        r#"{"suite": "s", "case": "c", "mark": "not_worse", "reason": "because it is a test"}"#,
    ),
    ("preview a change", "/api/v1/changes/1/preview", r#"{"hours": 0}"#),
    ("roll back", "/api/v1/apps/support-summary/actions", r#"{"kind": "rollback"}"#),
    (
        "unkill",
        "/api/v1/apps/support-summary/actions",
        r#"{"kind": "unkill", "reason": "because it is a test"}"#,
    ),
    ("kill", "/api/v1/apps/support-summary/actions", r#"{"kind": "kill"}"#),
    ("pause a rollout", "/api/v1/rollouts/ro-1/actions", r#"{"kind": "pause"}"#),
    (
        "promote early",
        "/api/v1/rollouts/ro-1/actions",
        r#"{"kind": "promote", "reason": "because it is a test"}"#,
    ),
    (
        "start an experiment",
        "/api/v1/experiments",
        r#"{"app": "support-summary", "name": "nothing"}"#,
    ),
    ("stop an experiment", "/api/v1/experiments/ex-99/actions", r#"{"kind": "stop"}"#),
    (
        "clear a release",
        "/api/v1/releases/rel-00000000/clear",
        r#"{"reason": "because it is a test"}"#,
    ),
    ("give a reason", "/api/v1/incidents/inc-99/reason", r#"{"reason": "because it is a test"}"#),
    ("add a person", "/api/v1/people", r#"{"name": "eve", "roles": ["auditor"]}"#),
    ("let another sign in", "/api/v1/people/admin/sign-in-code", "{}"),
    (
        "make a channel",
        "/api/v1/notifications/channels",
        r#"{"kind": "slack", "name": "x", "url": "https://hooks.example.com/"}"#,
    ),
    ("test a channel", "/api/v1/notifications/channels/nc-99/test", "{}"),
    ("send a message again", "/api/v1/notifications/deliveries/nd-99/redeliver", "{}"),
    ("make a token for another", "/api/v1/tokens", r#"{"person": "admin"}"#),
    ("make a token for a gateway", "/api/v1/tokens", r#"{"gateway": true}"#),
];

#[test]
fn without_a_token_nothing_but_the_log_and_health_is_served() {
    let tide = Tide::start();
    for (method, path) in ROUTES {
        for auth in [None, Some("Bearer tgp_wrong"), Some("Basic eDp3cm9uZw==")] {
            let headers: Vec<_> =
                auth.map(|a| ("authorization", a.to_owned())).into_iter().collect();
            let (status, headers, body) = send(method, &tide.control, path, &headers, "{}");
            assert_eq!(status, 401, "{method} {path}: {body}");
            // Git must know to ask for a password, a browser must not.
            let ask = if path.starts_with("/git/") { "Basic" } else { "Bearer" };
            assert!(headers["www-authenticate"].starts_with(ask), "{method} {path}");
        }
    }
    for path in
        ["/healthz", "/readyz", "/metrics", "/log/checkpoint", "/log/vkey", "/log/tile/0/000.p/1"]
    {
        assert_eq!(send("GET", &tide.control, path, &[], "").0, 200, "{path}");
    }
}

#[test]
fn what_each_role_may() {
    let tide = Tide::start();
    let prompt = tide.write("prompt.j2", "Summarise in {{ language }}.\n");
    let prompt = format!("@{}", prompt.display());
    let why = "because it is a test";
    tide.people(&[("ana", "editor"), ("priya", "approver")]);
    tide.run("ana", ["change", "create", "-a", APP, "--why", why, "--prompt", &prompt, "--wait"])
        .ok();
    tide.run("priya", ["change", "approve", "1", "--wait"]).ok();
    let mut table = format!("{:<28}", "");
    for role in Role::ALL {
        tide.people(&[(&format!("p-{role}"), role.key())]);
        table.push_str(&format!("{:<10}", role.key()));
    }
    for (what, path, body) in WRITES {
        table.push_str(&format!("\n{what:<28}"));
        for role in Role::ALL {
            let token = tide.token(&format!("p-{role}"));
            let auth = [("authorization", format!("Bearer {token}"))];
            let (status, _, _) = send("POST", &tide.control, path, &auth, body);
            table.push_str(&format!("{:<10}", if status == 403 { "no" } else { "may" }));
        }
    }
    let table: Vec<_> = table.lines().map(str::trim_end).collect();
    insta::assert_snapshot!(table.join("\n"));
    assert_eq!(tide.run("admin", ["app", "list"]).ok().stdout.split('\t').next(), Some(APP));
}
