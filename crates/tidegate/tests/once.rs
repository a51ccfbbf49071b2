//! What the interface promises about writes and lists: a command sent twice is
//! done once, a token makes nothing that outlives it, every list ends, and what
//! was refused is in the log.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{APP, Tide, send};
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Answer = (u16, BTreeMap<String, String>, Value);

fn tide() -> Tide {
    let tide = Tide::start();
    tide.people(&[("ana", "editor"), ("omar", "operator")]);
    tide
}

fn ask(tide: &Tide, who: &str, method: &str, path: &str, key: &str, body: &Value) -> Answer {
    let mut headers = vec![("authorization", format!("Bearer {}", tide.token(who)))];
    if !key.is_empty() {
        headers.push(("idempotency-key", key.to_owned()));
    }
    send(method, &tide.control, path, &headers, &body.to_string())
}

fn actions(tide: &Tide, action: &str) -> Vec<Value> {
    let log = tide.run("admin", ["audit", "list", "--all", "-o", "json"]).ok().json();
    let all = log.as_array().unwrap().iter().map(|row| row["entry"].clone());
    all.filter(|entry| entry["action"] == action).collect()
}

#[test]
fn the_same_command_with_the_same_key_is_done_once() {
    let mut tide = tide();
    let path = format!("/api/v1/apps/{APP}/actions");
    let kill = json!({"kind": "kill", "reason": "because it is a test"});
    let first = ask(&tide, "omar", "POST", &path, "k-1", &kill);
    assert_eq!(first.0, 200, "{}", first.2);
    let again = ask(&tide, "omar", "POST", &path, "k-1", &kill);
    assert_eq!((again.0, &again.2), (200, &first.2), "the same answer");
    assert_eq!(again.1["idempotent-replayed"], "true");
    assert!(!first.1.contains_key("idempotent-replayed"));
    assert_eq!(actions(&tide, "incident.opened").len(), 1, "done once");

    // A key is for one command, and its owner's own.
    let unkill = json!({"kind": "unkill", "reason": "because it is a test"});
    let other = ask(&tide, "omar", "POST", &path, "k-1", &unkill);
    assert_eq!((other.0, &other.2["code"]), (422, &json!("idempotency_key_reused")));
    let elsewhere = ask(&tide, "omar", "POST", "/api/v1/changes", "k-1", &kill);
    assert_eq!(elsewhere.2["code"], "idempotency_key_reused");
    let admin = ask(&tide, "admin", "POST", &path, "k-1", &unkill);
    assert_eq!(admin.0, 200, "another's key is another key: {}", admin.2);

    // What was refused did nothing, and may be sent again.
    let bad = json!({"kind": "nothing"});
    for _ in 0..2 {
        let refused = ask(&tide, "omar", "POST", &path, "k-2", &bad);
        assert_eq!((refused.0, &refused.2["code"]), (422, &json!("unknown_action")));
    }
    assert_eq!(ask(&tide, "omar", "POST", &path, "k-2", &kill).0, 200);
    for bad in ["two words", "ä", &"x".repeat(129)] {
        let answer = ask(&tide, "omar", "POST", &path, bad, &kill);
        assert_eq!((answer.0, &answer.2["code"]), (422, &json!("bad_idempotency_key")), "{bad}");
    }
    // Without a sign-in there is nobody whose key it could be.
    let nobody = send("POST", &tide.control, &path, &[("idempotency-key", "k-1".to_owned())], "{}");
    assert_eq!(nobody.0, 401);

    // It is remembered over a restart; secrets are not.
    let token = json!({"person": "omar"});
    let made = ask(&tide, "omar", "POST", "/api/v1/tokens", "k-3", &token);
    assert_eq!(made.0, 201, "{}", made.2);
    tide.kill();
    tide.restart();
    let again = ask(&tide, "omar", "POST", &path, "k-1", &kill);
    assert_eq!((again.0, &again.2), (200, &first.2));
    let again = ask(&tide, "omar", "POST", "/api/v1/tokens", "k-3", &token);
    assert_eq!((again.0, &again.2["code"]), (409, &json!("answer_not_kept")));
    let secret = made.2["secret"].as_str().unwrap();
    let store: Vec<u8> = std::fs::read_dir(tide.data())
        .unwrap()
        .filter_map(|entry| std::fs::read(entry.unwrap().path()).ok())
        .flatten()
        .collect();
    let found = store.windows(secret.len()).any(|window| window == secret.as_bytes());
    assert!(!found, "a token's secret is nowhere on the disk");
}

#[test]
fn many_at_once_with_one_key_are_done_once() {
    let tide = tide();
    let body = json!({"person": "omar", "note": "once"});
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let ask = || ask(&tide, "omar", "POST", "/api/v1/tokens", "race", &body);
        let all: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let done = answers.iter().filter(|answer| answer.0 == 201).count();
    assert_eq!(done, 1, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.0 != 201) {
        let code = answer.2["code"].as_str().unwrap();
        assert!(matches!(code, "in_flight" | "answer_not_kept"), "{answer:?}");
        assert!(code != "in_flight" || answer.1["retry-after"] == "1");
    }
    assert_eq!(
        actions(&tide, "token.created").iter().filter(|e| e["details"]["note"] == "once").count(),
        1
    );
}

#[test]
fn tokens_make_nothing_that_outlives_them() {
    let tide = tide();
    let make = |who: &str, body: Value| ask(&tide, who, "POST", "/api/v1/tokens", "", &body);
    let long = make("ana", json!({"person": "ana", "lifetime": "366d"}));
    assert_eq!((long.0, &long.2["code"]), (422, &json!("lifetime_too_long")), "{}", long.2);
    let made = make("ana", json!({"person": "ana", "lifetime": "1h"}));
    assert_eq!(made.0, 201, "{}", made.2);
    let short = made.2["secret"].as_str().unwrap().to_owned();
    let ends = made.2["token"]["expires_at"].as_i64().unwrap();
    std::fs::write(tide.token_file("short"), &short).unwrap();

    let longer = make("short", json!({"person": "ana", "lifetime": "2h"}));
    assert_eq!((longer.0, &longer.2["code"]), (403, &json!("token_cannot_breed")));
    let child = make("short", json!({"person": "ana"}));
    assert_eq!(child.0, 201, "{}", child.2);
    assert!(child.2["token"]["expires_at"].as_i64().unwrap() <= ends);
    for wider in [json!({"person": "admin"}), json!({"gateway": true}), json!({"apps": [APP]})] {
        assert_eq!(make("short", wider).0, 403, "what its owner may not do");
    }

    // A link the token makes, and what is opened with it, end with the token.
    let sign_in =
        |body: &Value| send("POST", &tide.control, "/api/v1/session", &[], &body.to_string());
    let code = ask(&tide, "short", "POST", "/api/v1/people/ana/sign-in-code", "", &json!({}));
    let by_code = sign_in(&json!({"code": code.2["code"]}));
    assert_eq!(by_code.0, 200, "{}", by_code.2);
    assert!(by_code.2["expires_at"].as_i64().unwrap() <= ends);
    let cookie = by_code.1["set-cookie"].split(';').next().unwrap().to_owned();
    let headers = [
        ("cookie", cookie.clone()),
        ("x-tidegate-csrf", by_code.2["csrf"].as_str().unwrap().to_owned()),
    ];
    let password = json!({"password": "correct horse battery"}).to_string();
    let path = "/api/v1/people/ana/password";
    for answer in [
        send("PUT", &tide.control, path, &headers, &password),
        ask(&tide, "short", "PUT", path, "", &json!({"password": "correct horse battery"})),
    ] {
        assert_eq!(
            (answer.0, &answer.2["code"]),
            (403, &json!("token_cannot_breed")),
            "{}",
            answer.2
        );
    }
    let more = json!({"person": "ana", "lifetime": "2h"}).to_string();
    let by_session = send("POST", &tide.control, "/api/v1/tokens", &headers, &more);
    assert_eq!(by_session.2["code"], "token_cannot_breed", "not by way of a session either");

    // With a link of an admin's the account is one's own.
    let link = ask(&tide, "admin", "POST", "/api/v1/people/ana/sign-in-code", "", &json!({}));
    let own = sign_in(&json!({"code": link.2["code"]}));
    let own_cookie = own.1["set-cookie"].split(';').next().unwrap().to_owned();
    let own =
        [("cookie", own_cookie), ("x-tidegate-csrf", own.2["csrf"].as_str().unwrap().to_owned())];
    assert_eq!(send("PUT", &tide.control, path, &own, &password).0, 204);

    let id = made.2["token"]["id"].as_str().unwrap();
    tide.run("admin", ["token", "revoke", id, "--yes"]).ok();
    let gone = send("GET", &tide.control, "/api/v1/session", &[("cookie", cookie)], "");
    assert_eq!(gone.0, 401, "revoked, it takes along what its link opened");
}

#[test]
fn refusals_are_in_the_log_and_a_flood_does_not_fill_it() {
    let mut tide = tide();
    let path = format!("/api/v1/apps/{APP}/actions");
    for _ in 0..40 {
        assert_eq!(ask(&tide, "ana", "POST", &path, "", &json!({"kind": "kill"})).0, 403);
        let wrong = json!({"login": "ana", "password": "not this one"}).to_string();
        assert!(matches!(send("POST", &tide.control, "/api/v1/session", &[], &wrong).0, 401 | 429));
    }
    let written = actions(&tide, "write.refused");
    assert_eq!(written.len(), 1, "{written:?}");
    assert_eq!(written[0]["actor"], json!({"kind": "person", "name": "ana"}));
    assert_eq!(written[0]["source"], "127.0.0.1");
    assert_eq!(
        written[0]["details"],
        json!({"what": "POST /api/v1/apps/{app}/actions", "code": "not_allowed"})
    );
    let codes: Vec<_> =
        actions(&tide, "session.refused").iter().map(|e| e["details"]["code"].clone()).collect();
    assert_eq!(codes.len(), 2, "one kind each: {codes:?}");
    assert!(codes.contains(&json!("sign_in_failed")) && codes.contains(&json!("too_many_tries")));
    // The rest is told when the window ends, or the server.
    tide.stop();
    tide.restart();
    let more: Vec<_> =
        actions(&tide, "write.refused").iter().map(|e| e["details"]["more"].clone()).collect();
    assert!(more.contains(&json!(39)), "{more:?}");
}

#[test]
fn every_list_is_cut_into_pages_and_read_to_its_end() {
    let tide = tide();
    tide.people(&[("p1", "auditor"), ("p2", "auditor"), ("p3", "auditor")]);
    for (path, at_least) in
        [("people", 6), ("tokens", 6), ("apps", 1), ("models", 1), ("gateways", 1), ("inbox", 0)]
    {
        let whole = ask(&tide, "admin", "GET", &format!("/api/v1/{path}"), "", &json!({}));
        let whole = whole.2["items"].as_array().unwrap().clone();
        assert!(whole.len() >= at_least, "{path}: {whole:?}");
        let (mut read, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = ask(
                &tide,
                "admin",
                "GET",
                &format!("/api/v1/{path}?limit=2{cursor}"),
                "",
                &json!({}),
            );
            assert_eq!(page.0, 200, "{path}: {}", page.2);
            let items = page.2["items"].as_array().unwrap();
            assert!(items.len() <= 2, "{path}");
            read.extend(items.iter().cloned());
            let Some(next) = page.2["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let names = |rows: &[Value]| {
            rows.iter().map(|r| (r["name"].clone(), r["id"].clone())).collect::<Vec<_>>()
        };
        assert_eq!(names(&read), names(&whole), "{path}");
        let bad = ask(&tide, "admin", "GET", &format!("/api/v1/{path}?cursor=x"), "", &json!({}));
        assert_eq!(bad.0, 422, "{path}: {}", bad.2);
    }
    let own = ask(&tide, "p1", "GET", "/api/v1/tokens?limit=1", "", &json!({}));
    let items = own.2["items"].as_array().unwrap();
    assert_eq!(
        (items.len(), &items[0]["person"]),
        (1, &json!("p1")),
        "others' tokens are not shown"
    );
    assert_eq!(own.2.get("next"), None);
}
