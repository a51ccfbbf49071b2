//! A classifier outside, asked about the prompts a change edits: a real server on
//! loopback, with the binary in between.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{APP, Tide};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

/// A moderation server: flags texts with `nasty` in them, is silent on those with
/// `silent`, and tells what it was asked.
fn server() -> (String, mpsc::Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/moderations", listener.local_addr().unwrap());
    let (asked, received) = mpsc::channel();
    std::thread::spawn(move || {
        // Connections are kept, so that a silent one stays open.
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream: TcpStream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut key, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
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
            let text = body["input"].as_str().unwrap().to_owned();
            asked.send((key, body)).ok();
            if text.contains("silent") {
                open.push(stream);
                continue;
            }
            let flagged = text.contains("nasty");
            let answer = json!({"id": "m", "model": "m", "results": [{
                "flagged": flagged,
                "categories": {"harassment": flagged, "violence": false},
                "category_scores": {"harassment": if flagged { 0.97 } else { 0.01 }, "violence": 0.0},
            }]})
            .to_string();
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json";
            write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len()).ok();
        }
    });
    (url, received)
}

/// An app that names the classifier, and what `main` says of it.
fn tide(url: &str, failure: &str) -> Tide {
    let starter = opsrepo::scaffold::starter(&APP.parse().unwrap());
    let text = |path: &str| String::from_utf8(starter[path].clone()).unwrap();
    let app = format!("apps/{APP}/app.yaml");
    let settings = format!(
        "{}\nclassifiers:\n  moderation: {{url: \"{url}\", key_env: TIDEGATE_CLASSIFIER_KEY, timeout: 500ms, on_failure: {failure}}}\n",
        text("tidegate.yaml")
    );
    let named = format!("{}\nclassifier: moderation\n", text(&app));
    let mut tide = Tide::init(&[("tidegate.yaml", &settings), (&app, &named)]);
    tide.restart_env(&[("TIDEGATE_CLASSIFIER_KEY", "sk-loopback")]);
    tide.people(&[("ana", "editor")]);
    tide
}

/// Proposes a prompt; what became of it, and what the gate said.
fn propose(tide: &Tide, prompt: &str, more: &[&str]) -> (String, Value) {
    let prompt =
        format!("{prompt} Write in {{{{ language }}}}.\n{{% include \"facts-only.j2\" %}}\n");
    let prompt = format!("@{}", tide.write("prompt.j2", &prompt).display());
    let why = "readers want it so";
    let usual =
        ["change", "create", "-a", APP, "--why", why, "--prompt", &prompt, "--wait", "-o", "json"];
    let made = tide.run("ana", usual.iter().chain(more)).json();
    let id = made["id"].as_str().unwrap().to_owned();
    let report = tide.run("ana", ["change", "checks", &id, "-o", "json"]).json();
    let gates = report["gates"].as_array().unwrap();
    let gate = gates.iter().find(|gate| gate["gate"] == "classifier");
    (made["state"].as_str().unwrap().to_owned(), gate.cloned().unwrap_or_default())
}

#[test]
fn prompts_are_shown_to_the_classifier_that_main_names() {
    let (url, asked) = server();
    let tide = tide(&url, "warn");
    let (state, gate) = propose(&tide, "Summarise for mia.wong@example.com.", &[]);
    assert_eq!((state.as_str(), &gate["outcome"]), ("needs_approval", &json!("passed")), "{gate}");
    let (key, body) = asked.recv().unwrap();
    assert_eq!(key, "Bearer sk-loopback");
    let text = body["input"].as_str().unwrap();
    assert!(text.contains("Summarise for") && !text.contains("mia.wong"), "redacted: {text}");

    let (state, gate) = propose(&tide, "Be nasty to them.", &[]);
    assert_eq!((state.as_str(), &gate["outcome"]), ("needs_fixes", &json!("failed")), "{gate}");
    let found = &gate["findings"][0];
    assert_eq!(found["code"], "classifier_flagged");
    assert!(found["message"].as_str().unwrap().contains("harassment (0.97)"), "{found}");
    assert!(found["place"]["file"].as_str().unwrap().ends_with("system.j2"), "{found}");

    // No answer: a finding and never a hang; here people are only told.
    let (state, gate) = propose(&tide, "Be silent.", &[]);
    assert_eq!((state.as_str(), &gate["outcome"]), ("needs_approval", &json!("warned")), "{gate}");
    let found = &gate["findings"][0];
    assert_eq!(found["code"], "classifier_no_answer");
    assert!(found["message"].as_str().unwrap().contains("within 500ms"), "{found}");

    // A change cannot drop the classifier it is judged by, nor bring another.
    let app = format!("apps/{APP}/app.yaml");
    let written = std::fs::read_to_string(tide.path("ops").join(&app)).unwrap();
    let without = tide.write("app.yaml", &written.replace("classifier: moderation", ""));
    let edit = format!("{app}=@{}", without.display());
    let (_, gate) = propose(&tide, "Still nasty.", &["--file", &edit]);
    assert_eq!(gate["findings"][0]["code"], "classifier_flagged", "{gate}");
    let other =
        tide.write("app2.yaml", &written.replace("classifier: moderation", "classifier: mine"));
    let settings = std::fs::read_to_string(tide.path("ops/tidegate.yaml")).unwrap();
    let mine = tide.write("tidegate.yaml", &settings.replace("moderation:", "mine:"));
    let (edit, bring) =
        (format!("{app}=@{}", other.display()), format!("tidegate.yaml=@{}", mine.display()));
    let (_, gate) = propose(&tide, "Nice.", &["--file", &edit, "--file", &bring]);
    assert_eq!(gate["findings"][0]["code"], "classifier_unknown", "{gate}");

    // Where the static checks fail, nothing is sent.
    while asked.try_recv().is_ok() {}
    let (_, gate) = propose(&tide, "Be nasty to {{ nobody }}.", &[]);
    assert_eq!(gate["outcome"], "skipped", "{gate}");
    assert!(asked.try_recv().is_err(), "nothing is sent");
}

#[test]
fn a_classifier_that_must_answer_stops_the_change() {
    // Nobody listens: bound and dropped again.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tide = tide(&format!("http://{address}/"), "fail");
    let (state, gate) = propose(&tide, "Be kind.", &[]);
    assert_eq!((state.as_str(), &gate["outcome"]), ("needs_fixes", &json!("failed")), "{gate}");
    assert_eq!(gate["findings"][0]["code"], "classifier_no_answer", "{gate}");
}
