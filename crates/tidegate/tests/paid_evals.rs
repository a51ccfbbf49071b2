//! Suites that cost money, asked by the server itself: a real provider on
//! loopback, with the binary in between.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{APP, Tide, send, wait_for};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Cases of each suite.
const CASES: usize = 6;

/// What the provider was asked, and whether it keeps silent.
#[derive(Default)]
struct Provider {
    url: String,
    /// Keys and prompts, in the order of arrival.
    asked: Mutex<Vec<(String, String)>>,
    /// Answers given before it falls silent.
    answers: AtomicUsize,
    bad: AtomicBool,
}

impl Provider {
    fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let answers = AtomicUsize::new(usize::MAX);
        let provider = Arc::new(Self { url, answers, ..Self::default() });
        let own = Arc::clone(&provider);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let own = Arc::clone(&own);
                std::thread::spawn(move || own.serve(&stream.unwrap()));
            }
        });
        provider
    }

    fn serve(&self, mut stream: &TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        loop {
            let (mut key, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    return;
                }
                if line == "\r\n" {
                    break;
                }
                let (name, value) = line.split_once(':').unwrap_or((&line, ""));
                match name.to_lowercase().as_str() {
                    "authorization" => key = value.trim().to_owned(),
                    "content-length" => length = value.trim().parse().unwrap(),
                    _ => {}
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            self.asked.lock().unwrap().push((key, body["messages"].to_string()));
            let left = self.answers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                Some(left.saturating_sub(1))
            });
            if left == Ok(0) {
                // Silent for as long as the other side waits.
                while reader.read_line(&mut String::new()).unwrap_or(0) > 0 {}
                return;
            }
            let text = if self.bad.load(Ordering::SeqCst) { "Who knows." } else { "The order." };
            let answer = json!({
                "id": "c", "object": "chat.completion", "created": 1, "model": body["model"],
                "choices": [{"index": 0, "finish_reason": "stop",
                    "message": {"role": "assistant", "content": text}}],
                "usage": {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100},
            })
            .to_string();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json";
            write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len()).ok();
        }
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn model(url: &str) -> String {
    format!(
        "apiVersion: tidegate/v1\nversion: 1.0.0\nprovider:\n  kind: openai\n  base_url: {url}\n  key_env: LOOPBACK_KEY\nprovider_model: small-2026-01-15\ncontext_window: 8192\ntokenizer: o200k_base\nprices: {{input_per_million: 0.15, output_per_million: 0.60}}\n"
    )
}

fn starter(path: &str) -> String {
    String::from_utf8(opsrepo::scaffold::starter(&APP.parse().unwrap())[path].clone()).unwrap()
}

/// An app with a suite of this tier, on a server that may spend.
fn tide(provider: &Provider, tier: &str, evals: &str) -> Tide {
    let cases: String = (0..CASES)
        .map(|n| {
            let line = json!({"id": format!("case-{n}"), "variables": {"ticket": format!("T-{n}"), "transcript": "Where is it?"}});
            format!("{line}\n")
        })
        .collect();
    let suite = format!(
        "apiVersion: tidegate/v1\ntitle: It names the order\ntier: {tier}\ntoken_cap: 100000\nfiles: [asked.jsonl]\nchecks:\n  - contains: order\n"
    );
    let settings = format!("{}\nevals: {evals}\n", starter("tidegate.yaml"));
    let files = [
        (format!("apps/{APP}/rollout.yaml"), common::QUICK_ROLLOUT.to_owned()),
        (format!("apps/{APP}/evals/asked.yaml"), suite),
        (format!("apps/{APP}/evals/asked.jsonl"), cases),
        ("models/live.yaml".to_owned(), model(&provider.url)),
        ("tidegate.yaml".to_owned(), settings),
    ];
    let files: Vec<_> = files.iter().map(|(p, c)| (p.as_str(), c.as_str())).collect();
    let mut tide = Tide::init(&files);
    tide.restart_env(&[("LOOPBACK_KEY", "sk-loopback")]);
    tide.people(&[("ana", "editor"), ("otto", "auditor")]);
    tide
}

/// Proposes another model; returns the number of the change.
fn propose(tide: &Tide, model: &str, more: &[String], wait: bool) -> String {
    let release = starter(&format!("apps/{APP}/release.yaml"));
    let name = format!("release-{model}.yaml");
    let edited = release.replace("model: recorded", &format!("model: {model}"));
    let edit = format!("apps/{APP}/release.yaml=@{}", tide.write(&name, &edited).display());
    let why = "another model is cheaper";
    let mut args = vec!["change", "create", "-a", APP, "--why", why, "--file", &edit, "-o", "json"];
    args.extend(more.iter().map(String::as_str));
    if wait {
        args.push("--wait");
    }
    tide.run("ana", args).json()["id"].as_str().unwrap().to_owned()
}

fn get(tide: &Tide, path: &str) -> (u16, Value) {
    let auth = [("authorization", format!("Bearer {}", tide.token("otto")))];
    let (status, _, body) = send("GET", &tide.control, &format!("/api/v1/{path}"), &auth, "");
    (status, body)
}

fn paid(change: &Value) -> Value {
    let gates = change["report"]["gates"].as_array().cloned().unwrap_or_default();
    gates.into_iter().find(|gate| gate["gate"] == "eval/asked").unwrap_or_default()
}

#[test]
fn a_change_is_asked_for_money_once_and_a_kill_loses_nothing() {
    let provider = Provider::start();
    let mut tide =
        tide(&provider, "paid", "{tokens_per_day: 100000, concurrency: 1, timeout: 300s}");
    // It falls silent half-way, and the server dies while it waits.
    provider.answers.store(3, Ordering::SeqCst);
    let id = propose(&tide, "live", &[], false);
    wait_for("the fourth question", || (provider.count() == 4).then_some(()));
    let (_, change) = get(&tide, &format!("changes/{id}"));
    assert_eq!(change["state"], "checking", "{change}");
    assert_eq!(paid(&change)["outcome"], "skipped", "the report so far: {change}");
    tide.kill();
    provider.answers.store(usize::MAX, Ordering::SeqCst);
    tide.restart();
    let change = wait_for("its checks", || {
        let (_, change) = get(&tide, &format!("changes/{id}"));
        (change["state"] == "needs_approval").then_some(change)
    });
    assert_eq!(provider.count(), CASES + 1, "three were kept, and the fourth asked again");
    // Production has no recordings of these cases, which is told.
    assert_eq!(paid(&change)["outcome"], "warned", "{change}");
    assert_eq!(paid(&change)["tier"], "paid");
    let asked = provider.asked.lock().unwrap().clone();
    assert!(asked.iter().all(|(key, _)| key == "Bearer sk-loopback"), "{asked:?}");
    let (_, report) = get(&tide, &format!("changes/{id}/evals"));
    assert_eq!(
        (&report["suites"][0]["suite"], &report["suites"][0]["cases"]),
        (&json!("asked"), &json!(CASES))
    );
    let (_, cases) = get(&tide, &format!("changes/{id}/evals/cases?filter=all"));
    assert_eq!(cases["counts"]["all"], CASES, "{cases}");
    let (_, log) = get(&tide, "audit?action=change.evaluated");
    // Tokens of the three answers before the kill were told by no one.
    assert_eq!(log["items"][0]["entry"]["details"]["tokens"], 100 * (CASES - 3), "{log}");

    // Again is free, and decides the same.
    tide.run("ana", ["change", "recheck", &id]).ok();
    let again = wait_for("its checks", || {
        let (_, change) = get(&tide, &format!("changes/{id}"));
        (change["state"] == "needs_approval").then_some(change)
    });
    assert_eq!(provider.count(), CASES + 1);
    assert_eq!(again["report"]["gates"], change["report"]["gates"]);
}

#[test]
fn a_days_tokens_are_not_overspent_and_the_rest_waits() {
    let provider = Provider::start();
    // Each question sets its prompt and 200 tokens aside, and costs 100.
    let tide = tide(&provider, "paid", "{tokens_per_day: 600, concurrency: 1}");
    let id = propose(&tide, "live", &[], false);
    let change = wait_for("the line that says so", || {
        let (_, change) = get(&tide, &format!("changes/{id}"));
        let says = paid(&change)["summary"].as_str().unwrap_or_default().to_owned();
        says.starts_with("Waits: the 600 tokens").then_some(change)
    });
    assert_eq!(change["state"], "checking", "{change}");
    assert!((1..CASES).contains(&provider.count()), "{}", provider.count());
    tide.run("ana", ["change", "recheck", &id]).says("is being checked now");
    tide.run("ana", ["change", "withdraw", &id, "--yes"]).ok();
}

#[test]
fn no_key_goes_where_nobody_agreed_to() {
    let (provider, thief) = (Provider::start(), Provider::start());
    let tide = tide(&provider, "paid", "{tokens_per_day: 100000}");
    let mine = tide.write("mine.yaml", &model(&thief.url));
    let more = ["--file".to_owned(), format!("models/mine.yaml=@{}", mine.display())];
    let id = propose(&tide, "mine", &more, true);
    let (_, change) = get(&tide, &format!("changes/{id}"));
    assert_eq!(change["state"], "needs_fixes", "{change}");
    assert_eq!(paid(&change)["findings"][0]["code"], "new_address", "{change}");
    tide.run("ana", ["change", "preview", &id]).code(7).says("where no model in use is asked");
    // Nor by a model swapped into the preview of a harmless change.
    let harmless = propose(&tide, "live", &more, true);
    tide.run("ana", ["change", "preview", &harmless, "--model", "mine"])
        .code(7)
        .says("where no model in use is asked");
    assert_eq!(thief.count(), 0, "it was never asked");
}

#[test]
fn without_leave_nothing_is_spent() {
    let provider = Provider::start();
    let files = [(format!("apps/{APP}/evals/asked.yaml"), "apiVersion: tidegate/v1\ntitle: It names the order\ntier: paid\ntoken_cap: 9000\nfiles: [asked.jsonl]\nchecks:\n  - contains: order\n".to_owned()),
        (format!("apps/{APP}/evals/asked.jsonl"), "{\"id\": \"a\", \"variables\": {\"transcript\": \"x\"}}\n".to_owned()),
        ("models/live.yaml".to_owned(), model(&provider.url))];
    let files: Vec<_> = files.iter().map(|(p, c)| (p.as_str(), c.as_str())).collect();
    let tide = Tide::start_with(&files);
    tide.people(&[("ana", "editor"), ("otto", "auditor")]);
    // A change cannot give itself leave: what `main` says counts.
    let leave = format!("{}\nevals: {{tokens_per_day: 100000}}\n", starter("tidegate.yaml"));
    let more =
        ["--file".to_owned(), format!("tidegate.yaml=@{}", tide.write("t.yaml", &leave).display())];
    let id = propose(&tide, "live", &more, true);
    let (_, change) = get(&tide, &format!("changes/{id}"));
    assert_eq!(paid(&change)["outcome"], "skipped", "{change}");
    assert!(paid(&change)["summary"].as_str().unwrap().starts_with("Not asked here"), "{change}");
    assert_eq!(provider.count(), 0);
}

#[test]
fn what_serves_is_asked_by_the_clock() {
    let provider = Provider::start();
    provider.bad.store(true, Ordering::SeqCst);
    let tide = tide(&provider, "scheduled", "{tokens_per_day: 100000, every: 24h}");
    // The starter's own model answers from recordings; a suite asks what serves.
    let run = wait_for("the first run", || {
        let (status, run) = get(&tide, &format!("apps/{APP}/evaluation"));
        (status == 200 && run.get("ended_at").is_some()).then_some(run)
    });
    assert_eq!(run["outcome"], "failed", "no recording answers these cases: {run}");
    assert_eq!(run["measured"]["suites"][0]["suite"], "asked", "{run}");
    assert_eq!(run["measured"]["suites"][0]["tier"], "scheduled", "{run}");
    let auth = [("authorization", format!("Bearer {}", tide.token("admin")))];
    let (_, _, inbox) = send("GET", &tide.control, "/api/v1/inbox", &auth, "");
    let looks = inbox["items"].as_array().unwrap().iter().filter(|item| item["kind"] == "look");
    assert_eq!(looks.count(), 1, "{inbox}");
    let (_, log) = get(&tide, "audit?action=app.evaluated");
    assert_eq!(log["items"].as_array().unwrap().len(), 1, "once a day: {log}");
}
