//! Signing in by an OpenID provider: a certified one, and one that cheats.
//!
//! `cargo xtask test` fetches the provider; without it, `npm ci --ignore-scripts`
//! in `tests/oidc` does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{Tide, send};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where people reach Tidegate, as the providers were told.
const PUBLIC: &str = "http://tidegate.localhost";
const SECRET: &str = "a secret only these two know";

/// The providers; they end with the test.
struct Providers {
    child: Child,
    good: String,
    evil: String,
}

impl Drop for Providers {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn providers() -> Providers {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oidc");
    assert!(
        folder.join("node_modules/oidc-provider").is_dir(),
        "the OpenID provider is missing: run `npm ci --ignore-scripts` in {}",
        folder.display()
    );
    let redirects =
        ["company", "create", "evil"].map(|id| format!("{PUBLIC}/signin/{id}/callback"));
    let mut child = Command::new("node")
        .arg("provider.mjs")
        .args([&redirects.join(","), SECRET])
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("node runs");
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    // The provider warns before it says where it listens, and talks on later: a
    // pipe nobody reads would end it.
    let line = out.find(|line| line.starts_with('{'));
    std::thread::spawn(move || out.count());
    let told: Value = serde_json::from_str(&line.expect("the providers start")).unwrap();
    let url = |name: &str| told[name].as_str().unwrap().to_owned();
    Providers { good: url("good"), evil: url("evil"), child }
}

/// An installation with `ana`, `priya` and `admin`, and these providers.
fn tide(providers: &Providers) -> Tide {
    let mut tide = Tide::init(&[]);
    tide.write("secret", &format!("{SECRET}\n"));
    let file = format!(
        "apiVersion: tidegate/v1
providers:
  - {{id: company, name: Example Ltd, issuer: \"{0}\", client_id: tidegate, client_secret_file: secret}}
  - id: create
    name: Groups
    issuer: {0}
    client_id: tidegate
    client_secret_file: secret
    create: true
    roles: {{prompt-editors: [editor], release-managers: [approver, operator]}}
  - {{id: evil, name: Evil, issuer: \"{1}\", client_id: tidegate, client_secret_file: secret}}
",
        providers.good, providers.evil
    );
    let file = tide.write("sign-on.yaml", &file);
    let file = file.to_string_lossy().into_owned();
    tide.restart_with(&["--public-url", PUBLIC, "--sign-on-file", &file]);
    tide.people(&[("ana", "editor"), ("priya", "approver")]);
    tide
}

type Answer = (u16, BTreeMap<String, String>, Value);

/// A browser: cookies by host, and it goes where it is sent.
struct Browser<'a> {
    tide: &'a Tide,
    jar: BTreeMap<String, BTreeMap<String, String>>,
    headers: Vec<(&'static str, String)>,
}

impl<'a> Browser<'a> {
    /// Who signs in at the provider.
    fn of(tide: &'a Tide, login: &str) -> Self {
        let headers = vec![("x-login", login.to_owned()), ("accept", "text/html".to_owned())];
        Self { tide, jar: BTreeMap::new(), headers }
    }

    fn get(&mut self, url: &str) -> Answer {
        self.ask("GET", url, &[], "")
    }

    fn ask(
        &mut self,
        method: &str,
        url: &str,
        headers: &[(&'static str, String)],
        body: &str,
    ) -> Answer {
        let rest = url.strip_prefix("http://").expect("an absolute address");
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let ours = url.starts_with(PUBLIC);
        let base = if ours { self.tide.control.clone() } else { format!("http://{host}") };
        let cookies = self.jar.entry(host.to_owned()).or_default();
        let line: Vec<_> = cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let mut all = self.headers.clone();
        all.extend(headers.iter().cloned());
        if !line.is_empty() {
            all.push(("cookie", line.join("; ")));
        }
        // What a program reads is set below by hand; several cookies at once are
        // several lines, which the helper would fold into one.
        let answer = send(method, &base, &format!("/{path}"), &all, body);
        for set in answer.1.get("set-cookie").iter().flat_map(|all| all.split('\n')) {
            let pair = set.split(';').next().unwrap_or_default();
            let Some((name, value)) = pair.split_once('=') else { continue };
            if value.is_empty() || set.contains("Max-Age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// Goes where it is sent, until it stays or comes back to our callback.
    fn until_callback(&mut self, start: &str) -> String {
        let mut url = start.to_owned();
        for _ in 0..12 {
            let answer = self.get(&url);
            assert!((300..400).contains(&answer.0), "{url}: {} {}", answer.0, answer.2);
            let location = &answer.1["location"];
            let host: String = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
            url = if location.starts_with('/') { host + location } else { location.clone() };
            if url.starts_with(PUBLIC) && url.contains("/callback") {
                return url;
            }
        }
        panic!("it goes round and round");
    }

    /// The whole way in.
    fn sign_on(&mut self, provider: &str) -> Answer {
        let callback = self.until_callback(&format!("{PUBLIC}/signin/{provider}?to=/changes/7"));
        self.get(&callback)
    }

    fn session(&mut self) -> Answer {
        self.get(&format!("{PUBLIC}/api/v1/session"))
    }

    fn own(&self, name: &str) -> Option<String> {
        self.jar.get("tidegate.localhost")?.get(name).cloned()
    }
}

fn actions(tide: &Tide, action: &str) -> Vec<Value> {
    let log = tide.run("admin", ["audit", "list", "-o", "json"]).ok().json();
    let all = log.as_array().unwrap().iter().map(|row| row["entry"].clone());
    all.filter(|entry| entry["action"] == action).collect()
}

#[test]
fn people_sign_on_and_out_by_a_certified_provider() {
    let providers = providers();
    let tide = tide(&providers);
    let (_, _, offered) = send("GET", &tide.control, "/api/v1/session/providers", &[], "");
    assert_eq!(
        offered["items"][0],
        json!({"id": "company", "name": "Example Ltd", "url": "signin/company"})
    );

    let mut ana = Browser::of(&tide, "ana");
    let answer = ana.sign_on("company");
    assert_eq!((answer.0, answer.1["location"].as_str()), (303, "/changes/7"), "{}", answer.2);
    let session = ana.session();
    assert_eq!((session.0, &session.2["person"]["id"]), (200, &json!("ana")), "{}", session.2);
    let by = &session.2["provider"];
    assert_eq!((&by["id"], &by["name"]), (&json!("company"), &json!("Example Ltd")));
    assert!(by["sign_out"].as_str().unwrap().starts_with(&providers.good), "{by}");
    assert_eq!(ana.own("tidegate_sign_on"), None, "what was kept for the way is gone");
    let csrf = session.2["csrf"].as_str().unwrap().to_owned();
    let out =
        ana.ask("DELETE", &format!("{PUBLIC}/api/v1/session"), &[("x-tidegate-csrf", csrf)], "");
    assert_eq!((out.0, ana.session().0), (204, 401));

    // Bound to the account: the same address, verified, of somebody else.
    let other = Browser::of(&tide, "ana-again").sign_on("company");
    assert_eq!(other.0, 401);
    assert!(other.2.to_string().contains("another account"), "{}", other.2);
    // An address nobody verified is no address.
    let mallory = Browser::of(&tide, "mallory").sign_on("company");
    assert_eq!(mallory.0, 401);
    assert!(mallory.2.to_string().contains("verified"), "{}", mallory.2);
    // Whoever is not known stays outside, and reads what to do.
    let nina = Browser::of(&tide, "nina").sign_on("company");
    assert_eq!(nina.0, 401);
    assert!(nina.2.to_string().contains("ask an admin"), "{}", nina.2);
    // What the provider says is shown, and only shown.
    let mut cancelled = Browser::of(&tide, "nobody");
    let said = cancelled.sign_on("company");
    assert!(said.2.to_string().contains("&lt;b&gt;pressed"), "{}", said.2);
    assert!(cancelled.own("tidegate_session").is_none());

    let refused = actions(&tide, "session.refused");
    assert_eq!(refused.len(), 1, "one kind, told once: {refused:?}");
    assert_eq!(
        refused[0]["details"],
        json!({"what": "sign in by company", "code": "sign_on_refused"})
    );
    assert_eq!(refused[0]["source"], "127.0.0.1");
    assert_eq!(actions(&tide, "person.linked").len(), 1);

    tide.run("admin", ["person", "unlink", "ana"]).ok();
    assert_eq!(Browser::of(&tide, "ana-again").sign_on("company").0, 303, "an admin may forget it");
}

#[test]
fn groups_give_roles_and_new_people_come_by_them() {
    let providers = providers();
    let tide = tide(&providers);
    let roles = |browser: &mut Browser<'_>| browser.session().2["person"]["roles"].clone();
    let mut nina = Browser::of(&tide, "nina");
    assert_eq!(nina.sign_on("create").0, 303);
    assert_eq!(nina.session().2["person"]["name"], "Nina New");
    assert_eq!(roles(&mut nina), json!(["editor"]));
    let mut priya = Browser::of(&tide, "priya");
    assert_eq!(priya.sign_on("create").0, 303);
    assert_eq!(roles(&mut priya), json!(["approver", "operator"]), "as her groups say");
    let otto = Browser::of(&tide, "otto").sign_on("create");
    assert_eq!(otto.0, 401);
    assert!(otto.2.to_string().contains("none of your groups"), "{}", otto.2);
    // A name that is taken is nobody's way into that account.
    let mut root = Browser::of(&tide, "root");
    assert_eq!(root.sign_on("create").0, 303);
    assert_eq!(root.session().2["person"]["id"], "admin-2");
    let people = tide.run("admin", ["person", "list", "-o", "json"]).ok().json();
    let admin = people.as_array().unwrap().iter().find(|p| p["name"] == "admin").unwrap();
    assert!(admin["roles"].to_string().contains("admin"), "{admin}");
    assert!(!people.to_string().contains("otto"));
}

#[test]
fn nobody_comes_in_by_an_answer_that_is_not_theirs() {
    let providers = providers();
    let tide = tide(&providers);
    let start = format!("{PUBLIC}/signin/company");
    let refused = |answer: &Answer| {
        assert_eq!(answer.0, 401, "{}", answer.2);
        assert!(!answer.1.get("set-cookie").is_some_and(|set| set.contains("tidegate_session=")));
    };

    // Login CSRF: the attacker's answer, sent by the victim's browser.
    let mut attacker = Browser::of(&tide, "priya");
    let theirs = attacker.until_callback(&start);
    let mut victim = Browser::of(&tide, "ana");
    refused(&victim.get(&theirs));
    let own = victim.until_callback(&start);
    refused(&victim.get(&theirs));

    // A state that was changed, and one that is missing.
    let mut other = Browser::of(&tide, "ana");
    let good = other.until_callback(&start);
    refused(&other.get(&good.replace("state=", "state=x")));
    let again = other.until_callback(&start);
    refused(&other.get(&again.replace("state=", "nothing=")));
    refused(&victim.get(&own));

    // The code of one browser in the answer of another: the verifier is not its own.
    let mut first = Browser::of(&tide, "priya");
    let stolen = first.until_callback(&start);
    let mut second = Browser::of(&tide, "ana");
    let mine = second.until_callback(&start);
    let part = |url: &str, name: &str| {
        let query = url.split_once('?').unwrap().1.to_owned();
        query
            .split('&')
            .find_map(|p| p.strip_prefix(&format!("{name}=")).map(str::to_owned))
            .unwrap()
    };
    let mixed = mine.replace(&part(&mine, "code"), &part(&stolen, "code"));
    refused(&second.get(&mixed));

    // An answer that was used opens nothing again, cookie and all.
    let mut browser = Browser::of(&tide, "ana");
    let callback = browser.until_callback(&start);
    let kept = browser.jar["tidegate.localhost"]["tidegate_sign_on"].clone();
    assert_eq!(browser.get(&callback).0, 303);
    let mut replay = Browser::of(&tide, "ana");
    replay
        .jar
        .entry("tidegate.localhost".to_owned())
        .or_default()
        .insert("tidegate_sign_on".to_owned(), kept);
    refused(&replay.get(&callback));

    // The answer of one provider at the door of another.
    let mut mixed_up = Browser::of(&tide, "ana");
    let callback = mixed_up.until_callback(&start);
    refused(&mixed_up.get(&callback.replace("/company/", "/create/")));

    // Session fixation: what was planted before is not what opens.
    let mut fixed = Browser::of(&tide, "ana");
    let planted = format!("tgs_{}", "0".repeat(64));
    fixed
        .jar
        .entry("tidegate.localhost".to_owned())
        .or_default()
        .insert("tidegate_session".to_owned(), planted.clone());
    assert_eq!(fixed.sign_on("company").0, 303);
    assert_ne!(fixed.own("tidegate_session"), Some(planted));
    let before = fixed.own("tidegate_session").unwrap();
    assert_eq!(fixed.sign_on("company").0, 303);
    let mut old = Browser::of(&tide, "ana");
    old.jar
        .entry("tidegate.localhost".to_owned())
        .or_default()
        .insert("tidegate_session".to_owned(), before);
    assert_eq!(old.session().0, 401, "the session before has ended");

    // Nobody is sent to another site.
    let mut open = Browser::of(&tide, "ana");
    let callback = open.until_callback(&format!("{start}?to=https://evil.example/"));
    assert_eq!(open.get(&callback).1["location"], "/");
}

#[test]
fn tokens_that_are_not_right_open_nothing() {
    let providers = providers();
    let tide = tide(&providers);
    let by = |mode: &str| {
        let mut browser = Browser::of(&tide, "ana");
        browser.headers.push(("x-mode", mode.to_owned()));
        let answer = browser.sign_on("evil");
        (answer.0, browser.session().0, answer.2.to_string())
    };
    assert_eq!(by("fine").0, 303, "what follows fails for what it says");
    for (mode, why) in [
        ("expired", "expired"),
        ("none", "not believed"),
        ("hs256", "not believed"),
        ("key", "signature"),
        ("nonce", "nonce"),
        ("audience", "another client"),
        ("party", "another client"),
        ("issuer", "another issuer"),
        ("mixup", "another issuer"),
        ("silent", "no issuer"),
    ] {
        let (status, session, said) = by(mode);
        assert_eq!((status, session), (401, 401), "{mode}: {said}");
        assert!(said.contains(why), "{mode}: {said}");
    }
}
