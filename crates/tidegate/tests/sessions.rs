//! Signing in with a browser, and every way to get in that must not work:
//! planted sessions, other sites' pages, guesses, tokens of another kind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{APP, Tide, send};
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Answer = (u16, BTreeMap<String, String>, Value);

const PASSWORD: &str = "correct horse battery";

/// A browser: keeps its cookie, and shows the page's CSRF token when told to.
struct Browser<'a> {
    tide: &'a Tide,
    cookie: Option<String>,
    csrf: String,
}

impl<'a> Browser<'a> {
    fn new(tide: &'a Tide) -> Self {
        Self { tide, cookie: None, csrf: String::new() }
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let cookie = self.cookie.iter().map(|c| ("cookie", format!("tidegate_session={c}")));
        let own = headers.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let all: Vec<_> = cookie.chain(own).collect();
        send(method, &self.tide.control, path, &all, body)
    }

    fn write(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.ask(method, path, &[("x-tidegate-csrf", &self.csrf)], &body.to_string())
    }

    fn sign_in(&mut self, body: &Value) -> Answer {
        let answer = self.ask("POST", "/api/v1/session", &[], &body.to_string());
        if answer.0 == 200 {
            self.cookie = Some(secret_of(&answer));
            self.csrf = answer.2["csrf"].as_str().unwrap().to_owned();
        }
        answer
    }

    fn is_in(&self) -> bool {
        self.ask("GET", "/api/v1/session", &[], "").0 == 200
    }
}

/// The secret in a `Set-Cookie`.
fn secret_of(answer: &Answer) -> String {
    let set = &answer.1["set-cookie"];
    let pair = set.split(';').next().unwrap();
    pair.strip_prefix("tidegate_session=").expect("our cookie").to_owned()
}

fn tide() -> Tide {
    let tide = Tide::start();
    tide.people(&[("ana", "editor"), ("omar", "operator")]);
    tide
}

fn with_password(tide: &Tide, who: &str) {
    let auth = [("authorization", format!("Bearer {}", tide.token("admin")))];
    let path = format!("/api/v1/people/{who}/password");
    let body = json!({"password": PASSWORD}).to_string();
    assert_eq!(send("PUT", &tide.control, &path, &auth, &body).0, 204);
}

#[test]
fn a_browser_signs_in_by_each_way_and_out_again() {
    let tide = tide();
    with_password(&tide, "ana");
    let mut browser = Browser::new(&tide);
    assert_eq!(browser.ask("GET", "/api/v1/session", &[], "").2["code"], "not_signed_in");
    let answer = browser.sign_in(&json!({"token": tide.token("ana")}));
    assert_eq!(answer.0, 200, "{}", answer.2);
    assert_eq!(answer.2["person"]["id"], "ana");
    assert_eq!(answer.2["person"]["roles"], json!(["editor"]));
    assert_eq!(answer.2["demo"], false);
    let set = &answer.1["set-cookie"];
    for flag in ["; HttpOnly", "; SameSite=Lax", "; Path=/", "; Max-Age="] {
        assert!(set.contains(flag), "{set}");
    }
    assert!(!set.contains("Secure"), "this request came without TLS: {set}");
    assert_eq!(browser.ask("GET", "/api/v1/apps", &[], "").0, 200, "the cookie opens the API");
    let out = browser.write("DELETE", "/api/v1/session", &json!({}));
    assert_eq!(out.0, 204);
    assert!(out.1["set-cookie"].contains("Max-Age=0"), "{:?}", out.1);
    assert!(!browser.is_in(), "the server forgot it, not only the browser");

    let answer = browser.sign_in(&json!({"login": "ana", "password": PASSWORD}));
    assert_eq!((answer.0, &answer.2["person"]["id"]), (200, &json!("ana")));

    let link = tide.run("admin", ["person", "link", "omar"]).ok().stdout;
    let code = link.trim().split("signin?code=").nth(1).expect("a code");
    let mut other = Browser::new(&tide);
    let answer = other.sign_in(&json!({"code": code}));
    assert_eq!((answer.0, &answer.2["person"]["id"]), (200, &json!("omar")));
    let again = Browser::new(&tide).sign_in(&json!({"code": code}));
    assert_eq!(again.0, 401, "a code opens once");

    let entries = tide.run("admin", ["audit", "list", "-o", "json"]).ok().stdout;
    for action in ["session.opened", "session.closed", "session.code_made", "person.password_set"] {
        assert!(entries.contains(action), "{action} is not in the log");
    }
    assert!(entries.contains("127.0.0.1"), "where from is in the log");
    for written in ["person.added", "token.created"] {
        let log: Value = serde_json::from_str(&entries).unwrap();
        let rows = log.as_array().unwrap().iter().map(|row| &row["entry"]);
        let by = rows.filter(|e| e["action"] == written && e["actor"]["kind"] == "person");
        assert!(
            by.clone().count() > 0 && by.clone().all(|e| e["source"] == "127.0.0.1"),
            "{written}"
        );
    }
    for secret in [PASSWORD, code, &browser.csrf, browser.cookie.as_ref().unwrap()] {
        assert!(!entries.contains(secret), "no secret is in the log");
        assert!(!tide.log().contains(secret), "nor in the server's");
    }
}

#[test]
fn https_makes_the_cookie_secure() {
    let mut tide = tide();
    let token = json!({"token": tide.token("ana")}).to_string();
    let proxied = [("x-forwarded-proto", "https".to_owned())];
    let answer = send("POST", &tide.control, "/api/v1/session", &proxied, &token);
    assert!(answer.1["set-cookie"].ends_with("; Secure"), "{:?}", answer.1);
    tide.stop();
    tide.restart_with(&["--public-url", "https://tide.example"]);
    let answer = send("POST", &tide.control, "/api/v1/session", &[], &token);
    assert!(answer.1["set-cookie"].ends_with("; Secure"), "{:?}", answer.1);
}

#[test]
fn a_planted_session_is_worth_nothing_after_sign_in() {
    let tide = tide();
    // The attacker's own session, planted in the victim's browser.
    let mut attacker = Browser::new(&tide);
    attacker.sign_in(&json!({"token": tide.token("omar")}));
    let planted = attacker.cookie.clone();
    let mut victim = Browser::new(&tide);
    victim.cookie = planted.clone();
    victim.sign_in(&json!({"token": tide.token("ana")}));
    assert_ne!(victim.cookie, planted, "signing in makes a new secret");
    assert!(!attacker.is_in(), "and ends the one the browser came with");
    // A value nobody ever handed out does not become a session.
    let mut victim = Browser::new(&tide);
    victim.cookie = Some("tgs_0123".to_owned());
    victim.sign_in(&json!({"token": tide.token("ana")}));
    let mut attacker = Browser::new(&tide);
    attacker.cookie = Some("tgs_0123".to_owned());
    assert!(!attacker.is_in());
}

#[test]
fn pages_of_other_sites_write_nothing() {
    let tide = tide();
    let mut browser = Browser::new(&tide);
    browser.sign_in(&json!({"token": tide.token("omar")}));
    let kill = json!({"kind": "kill", "reason": "because it is a test"}).to_string();
    let path = format!("/api/v1/apps/{APP}/actions");
    let own = tide.control.clone();
    let csrf = browser.csrf.clone();
    let mut other = Browser::new(&tide);
    other.sign_in(&json!({"token": tide.token("omar")}));
    for (headers, code) in [
        (vec![], "csrf"),
        (vec![("x-tidegate-csrf", "")], "csrf"),
        (vec![("x-tidegate-csrf", "0000")], "csrf"),
        (vec![("x-tidegate-csrf", other.csrf.as_str())], "csrf"),
        (vec![("origin", own.as_str())], "csrf"),
        (
            vec![("x-tidegate-csrf", csrf.as_str()), ("origin", "https://evil.example")],
            "foreign_origin",
        ),
        (vec![("x-tidegate-csrf", csrf.as_str()), ("origin", "null")], "foreign_origin"),
        (
            vec![("x-tidegate-csrf", csrf.as_str()), ("sec-fetch-site", "cross-site")],
            "foreign_origin",
        ),
    ] {
        let (status, _, body) = browser.ask("POST", &path, &headers, &kill);
        assert_eq!((status, &body["code"]), (403, &json!(code)), "{headers:?}: {body}");
        assert!(body["request_id"].as_str().unwrap().starts_with("req_"));
    }
    // The emergency form too.
    let form = format!("app={APP}&kind=kill&csrf=0000");
    let typed = [("content-type", "application/x-www-form-urlencoded")];
    let (status, _, body) = form_post(&browser, "/emergency/act", &typed, &form);
    assert_eq!(status, 403, "{body}");
    let app = tide.run("omar", ["app", "get", APP, "-o", "json"]).ok().json();
    assert_eq!(app["killed"], Value::Null, "nobody threw the switch");
    // Signing in from another site's form is no way to plant a session either.
    let body = json!({"token": tide.token("omar")}).to_string();
    let evil = [("origin", "https://evil.example")];
    assert_eq!(browser.ask("POST", "/api/v1/session", &evil, &body).0, 403);
    // With both, the page may.
    let good = [("x-tidegate-csrf", csrf.as_str()), ("origin", own.as_str())];
    assert_eq!(browser.ask("POST", &path, &good, &kill).0, 200);
}

/// A form as browsers send it; `send` itself says JSON.
fn form_post(browser: &Browser<'_>, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    use std::io::{Read as _, Write as _};
    let host = browser.tide.control.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    let cookie = browser.cookie.as_deref().unwrap_or_default();
    let extra: String = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
         cookie: tidegate_session={cookie}\r\ncontent-length: {}\r\n{extra}\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let headers = head.lines().filter_map(|l| l.split_once(": "));
    let headers = headers.map(|(n, v)| (n.to_lowercase(), v.to_owned())).collect();
    (status, headers, Value::String(body.to_owned()))
}

#[test]
fn guesses_are_slowed_down_and_tell_nothing() {
    let tide = tide();
    with_password(&tide, "ana");
    let guess = |login: &str, password: &str| {
        let body = json!({"login": login, "password": password});
        let (status, headers, answer) = Browser::new(&tide).sign_in(&body);
        (status, headers, answer)
    };
    let known = guess("ana", "wrong horse battery");
    let unknown = guess("nobody-here", "wrong horse battery");
    let said = |answer: &Answer| (answer.0, answer.2["code"].clone(), answer.2["detail"].clone());
    assert_eq!(said(&known), said(&unknown), "which names there are is not told");
    assert_eq!((known.0, &known.2["code"]), (401, &json!("sign_in_failed")));
    let stopped = (0..30).map(|_| guess("ana", "wrong horse battery")).find(|a| a.0 == 429);
    let stopped = stopped.expect("guessing is stopped");
    assert_eq!(stopped.2["code"], "too_many_tries");
    assert!(stopped.1["retry-after"].parse::<u64>().unwrap() <= 900, "{:?}", stopped.1);
    let right = guess("ana", PASSWORD);
    assert_eq!(right.0, 429, "the right one too, or the stop would tell");
    let token = Browser::new(&tide).sign_in(&json!({"token": tide.token("ana")}));
    assert_eq!(token.0, 200, "nobody is locked out: a token still opens");
}

#[test]
fn a_session_ends_with_its_token_its_person_and_its_password() {
    let tide = tide();
    with_password(&tide, "ana");
    let secret = tide.token("ana");
    let mut by_token = Browser::new(&tide);
    by_token.sign_in(&json!({"token": secret}));
    let mut by_password = Browser::new(&tide);
    by_password.sign_in(&json!({"login": "ana", "password": PASSWORD}));
    assert!(by_token.is_in() && by_password.is_in());

    let id = tide.run("ana", ["token", "list", "-o", "json"]).ok().json()[0]["id"].clone();
    tide.run("admin", ["token", "revoke", id.as_str().unwrap(), "--yes"]).ok();
    assert!(!by_token.is_in(), "a revoked token takes its sessions along");
    assert!(by_password.is_in());

    let mut second = Browser::new(&tide);
    second.sign_in(&json!({"login": "ana", "password": PASSWORD}));
    let path = "/api/v1/people/ana/password";
    let new = "another horse staple";
    let wrong = second.write("PUT", path, &json!({"password": new}));
    assert_eq!((wrong.0, &wrong.2["code"]), (403, &json!("wrong_password")), "{}", wrong.2);
    let weak = second.write("PUT", path, &json!({"current": PASSWORD, "password": "short"}));
    assert_eq!((weak.0, &weak.2["fields"]), (422, &json!(["password"])));
    let done = second.write("PUT", path, &json!({"current": PASSWORD, "password": new}));
    assert_eq!(done.0, 204);
    assert!(second.is_in(), "the page that changed it stays");
    assert!(!by_password.is_in(), "every other one ends");
    let other = second.write("PUT", "/api/v1/people/omar/password", &json!({"password": new}));
    assert_eq!(other.0, 403, "only an admin sets another's");

    // Roles are read at each request, not at sign-in.
    tide.run("admin", ["person", "add", "ana", "--role", "auditor"]).ok();
    let change = json!({"app": APP, "why": "because it is a test", "edits": []});
    assert_eq!(second.write("POST", "/api/v1/changes", &change).0, 403);
}

#[test]
fn tokens_of_programs_and_gateways_open_no_session() {
    let tide = tide();
    let app = tide.run("admin", ["token", "create", "--app", APP]).ok().stdout;
    let gateway = tide.run("admin", ["token", "create", "--gateway"]).ok().stdout;
    for secret in [app.trim(), gateway.trim(), "tgp_wrong"] {
        let answer = Browser::new(&tide).sign_in(&json!({"token": secret}));
        assert_eq!((answer.0, &answer.2["code"]), (401, &json!("sign_in_failed")));
        assert!(!answer.1.contains_key("set-cookie"));
    }
    // A session is no token: not on the API, not at the gateway's door.
    let mut browser = Browser::new(&tide);
    browser.sign_in(&json!({"token": tide.token("omar")}));
    let secret = browser.cookie.clone().unwrap();
    let bearer = [("authorization", format!("Bearer {secret}"))];
    assert_eq!(send("GET", &tide.control, "/api/v1/apps", &bearer, "").0, 401);
    assert_eq!(browser.ask("GET", "/internal/v1/snapshot?after=0", &[], "").0, 401);
    // Only a demo lets somebody be another, and only with the page's token.
    let be = browser.write("POST", "/api/v1/session/as", &json!({"person": "admin"}));
    assert_eq!((be.0, &be.2["code"]), (403, &json!("demo_only")));
}

#[test]
fn in_a_demo_one_looks_through_the_eyes_of_others() {
    let mut tide = tide();
    tide.stop();
    tide.restart_with(&["--demo"]);
    let mut browser = Browser::new(&tide);
    browser.sign_in(&json!({"token": tide.token("ana")}));
    let before = Browser { tide: &tide, cookie: browser.cookie.clone(), csrf: String::new() };
    assert_eq!(
        browser.ask("POST", "/api/v1/session/as", &[], r#"{"person": "omar"}"#).2["code"],
        "csrf"
    );
    let answer = browser.write("POST", "/api/v1/session/as", &json!({"person": "omar"}));
    assert_eq!((answer.0, &answer.2["person"]["id"]), (200, &json!("omar")));
    assert_eq!(answer.2["demo"], true);
    assert_ne!(Some(secret_of(&answer)), browser.cookie);
    assert!(!before.is_in(), "one session at a time");
}

#[test]
fn the_built_in_page_stops_harm_without_a_script() {
    let tide = tide();
    let html = [("accept", "text/html")];
    let mut browser = Browser::new(&tide);
    let (status, headers, page) = browser.ask("GET", "/emergency?code=%3Cscript%3E", &html, "");
    let page = page.as_str().unwrap();
    assert_eq!(status, 200);
    assert!(page.contains("Sign in") && !page.contains("<script"), "{page}");
    assert!(headers["content-security-policy"].starts_with("default-src 'none'"));
    let typed = [("content-type", "application/x-www-form-urlencoded")];
    let wrong = form_post(&browser, "/emergency/signin", &typed, "token=tgp_wrong");
    assert_eq!(wrong.0, 401);
    let form = format!("token={}", tide.token("omar"));
    let answer = form_post(&browser, "/emergency/signin", &typed, &form);
    assert_eq!((answer.0, answer.1["location"].as_str()), (303, "/emergency"));
    browser.cookie = Some(secret_of(&answer));
    let page = browser.ask("GET", "/emergency", &html, "").2;
    let page = page.as_str().unwrap();
    assert!(page.contains(APP) && page.contains("Kill switch") && !page.contains("<script"));
    let csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let body = format!("csrf={csrf}&app={APP}&kind=kill&reason=%3Cscript%3Ealert(1)%3C/script%3E");
    let own = [typed[0], ("origin", tide.control.as_str())];
    let (status, _, page) = form_post(&browser, "/emergency/act", &own, &body);
    assert_eq!(status, 200, "{page}");
    assert!(!page.as_str().unwrap().contains("<script"), "{page}");
    let app = tide.run("omar", ["app", "get", APP, "-o", "json"]).ok().json();
    assert!(app["killed"].is_number() || app["killed"].is_string(), "{app}");
    let other =
        form_post(&browser, "/emergency/act", &own, &format!("csrf={csrf}&app={APP}&kind=unkill"));
    assert_eq!(other.0, 422, "it stops, and starts nothing");
    let out = form_post(&browser, "/emergency/signout", &own, &format!("csrf={csrf}"));
    assert_eq!(out.0, 303);
    assert!(!browser.is_in());
}

#[test]
fn programs_get_problems_where_people_get_pages() {
    let tide = tide();
    for path in ["/api/v1/nothing", "/assets/gone.js", "/git/x", "/v1/x"] {
        let (status, headers, body) =
            send("GET", &tide.control, path, &[("accept", "text/html".to_owned())], "");
        assert_eq!(status, 404, "{path}");
        assert_eq!(headers["content-type"], "application/problem+json", "{path}: {body}");
    }
    let (status, headers, body) =
        send("GET", &tide.control, "/changes/41", &[("accept", "text/html".to_owned())], "");
    assert_eq!(status, 200, "{body}");
    assert!(headers["content-type"].starts_with("text/html"));
    assert!(headers["content-security-policy"].contains("frame-ancestors 'none'"));
    assert_eq!(headers["x-content-type-options"], "nosniff");
    let index = send("GET", &tide.control, "/index.html", &[], "");
    assert_eq!(index.0, 404, "never as a file, without nonce");
}
