//! `eval record` with the real binary: a judge, an embeddings endpoint and a
//! classifier on loopback are asked once; then nobody is there any more, and
//! suites still say what they say.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::copy;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Answers as the three APIs do; counts what it was asked.
fn server() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut path, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                    break;
                }
                if path.is_empty() {
                    path = line.split(' ').nth(1).unwrap().to_owned();
                }
                let (name, value) = line.split_once(':').unwrap_or((&line, ""));
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let answer = match path.as_str() {
                "/v1/embeddings" => vectors(&body),
                "/v1/moderations" => json!({"results": [{"flagged": false, "categories": {}}]}),
                "/v1/chat/completions" => grade(&body),
                other => panic!("nobody asked for {other}"),
            }
            .to_string();
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json";
            write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len()).ok();
        }
    });
    (url, asked)
}

/// By how often the letters a to z are in a text: like texts, like vectors.
fn vectors(body: &Value) -> Value {
    let vector = |text: &str| -> Vec<f64> {
        ('a'..='z').map(|c| text.matches(c).count() as f64 + 0.01).collect()
    };
    let texts = body["input"].as_array().unwrap().iter().enumerate();
    let data: Vec<Value> = texts
        .map(|(i, text)| json!({"index": i, "embedding": vector(text.as_str().unwrap())}))
        .collect();
    json!({"data": data})
}

/// Good is what names a customer.
fn grade(body: &Value) -> Value {
    let asked = body["messages"][1]["content"].as_str().unwrap();
    let (_, answer) = asked.split_once("First answer: ").unwrap();
    let known = ["Amara", "Hiro", "named"].iter().any(|name| answer.contains(name));
    let text = json!({"first": if known { 9 } else { 1 }}).to_string();
    json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]})
}

/// The example with a suite that asks others, who are at this address.
fn checkout(home: &Path, url: &str) -> PathBuf {
    let repo = home.join("ops");
    let example: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "../../examples/support-summary/ops"].iter().collect();
    copy(&example, &repo);
    let evals = repo.join("apps/support-summary/evals");
    let golden = std::fs::read_to_string(evals.join("golden/summaries.jsonl")).unwrap();
    let cases: String = golden
        .lines()
        .take(2)
        .map(|line| {
            let mut case: Value = serde_json::from_str(line).unwrap();
            let name = case["variables"]["customer"].as_str().unwrap().to_owned();
            case["expected"] = json!([format!("{name} asks for a replacement of the order.")]);
            format!("{case}\n")
        })
        .collect();
    let labelled: String = (0..20)
        .map(|i| {
            let (answer, label) = if i % 2 == 0 { ("named", 1) } else { ("nothing", 0) };
            format!("{}\n", json!({"input": format!("q{i}"), "answer": answer, "label": label}))
        })
        .collect();
    let write = |path: PathBuf, text: &str| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(evals.join("golden/words.jsonl"), &cases);
    write(evals.join("judges/labelled.jsonl"), &labelled);
    write(
        evals.join("judges/names.yaml"),
        "apiVersion: tidegate/v1\nversion: 1.0.0\nmodel: grader\nrubric: Names the customer.\nscale: {low: 1, high: 10}\nvotes: 2\nlabelled: judges/labelled.jsonl\nagreement: 80%\n",
    );
    write(
        evals.join("words.yaml"),
        "apiVersion: tidegate/v1\ntitle: Others find nothing wrong\nfiles: [golden/words.jsonl]\nchecks:\n  - moderation: house\n  - similarity: {at_least: 30%, embeddings: vectors}\nscores:\n  - {metric: similarity, embeddings: vectors}\n  - {metric: judge, judge: names}\n",
    );
    for (name, tokenizer) in [("grader", "cl100k_base"), ("vectors", "o200k_base")] {
        let model = format!(
            "apiVersion: tidegate/v1\nversion: 1.0.0\nprovider: {{kind: openai, base_url: \"{url}/v1\"}}\nprovider_model: {name}-2026-01-01\ncontext_window: 8000\ntokenizer: {tokenizer}\nprices: {{input_per_million: 1, output_per_million: 1}}\n"
        );
        write(repo.join(format!("models/{name}.yaml")), &model);
    }
    let settings = std::fs::read_to_string(repo.join("tidegate.yaml")).unwrap();
    let classifier = format!("\nclassifiers:\n  house: {{url: \"{url}/v1/moderations\"}}\n");
    write(repo.join("tidegate.yaml"), &format!("{settings}{classifier}"));
    repo
}

fn tidegate(home: &Path, repo: &Path, args: &[&str]) -> Output {
    let ran = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(args)
        .arg("--repo")
        .arg(repo)
        .env("HOME", home)
        .output();
    ran.expect("the binary runs")
}

fn said(ran: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr))
}

#[test]
fn those_who_judge_answers_are_asked_once_and_then_replayed() {
    let home = tempfile::tempdir().unwrap();
    let (url, asked) = server();
    let repo = checkout(home.path(), &url);
    let run = ["eval", "run", "--against", "none", "--suite", "words", "-o", "json"];
    let before = tidegate(home.path(), &repo, &run);
    assert_eq!(before.status.code(), Some(7), "{}", said(&before));
    assert!(said(&before).contains("eval record"), "{}", said(&before));
    assert_eq!(asked.load(Ordering::SeqCst), 0, "a recorded suite asks nobody");

    let record = ["eval", "record", "--suite", "words"];
    let recorded = tidegate(home.path(), &repo, &record);
    assert!(recorded.status.success(), "{}", said(&recorded));
    assert!(said(&recorded).contains("words about answers recorded"), "{}", said(&recorded));
    let calls = asked.load(Ordering::SeqCst);
    let file = repo.join("apps/support-summary/evals/recordings/words.jsonl");
    let kept = std::fs::read_to_string(&file).unwrap();
    let again = tidegate(home.path(), &repo, &record);
    assert!(said(&again).contains(": 0 words about answers recorded"), "{}", said(&again));
    assert_eq!(asked.load(Ordering::SeqCst), calls, "what is there is not asked again");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), kept);
    let valid = tidegate(home.path(), &repo, &["validate"]);
    assert!(valid.status.success(), "{}", said(&valid));

    let [first, second] = [0, 1].map(|_| tidegate(home.path(), &repo, &run));
    assert!(first.status.success(), "{}", said(&first));
    assert_eq!(first.stdout, second.stdout);
    assert_eq!(asked.load(Ordering::SeqCst), calls, "and nobody was asked");
    let report: Value = serde_json::from_slice(&first.stdout).unwrap();
    let suite = &report[0]["suites"][0];
    assert_eq!((&suite["outcome"], &suite["pass"]["kept"]), (&json!("passed"), &json!(2)));
    assert_eq!(suite["judges"][0]["calibrated"], true, "{suite}");
    assert!(suite["scores"][0]["candidate"]["value"].as_f64().unwrap() > 0.3, "{suite}");

    // A judge that changed is refused until it is recorded again.
    let judge = repo.join("apps/support-summary/evals/judges/names.yaml");
    let text = std::fs::read_to_string(&judge).unwrap();
    std::fs::write(&judge, text.replace("Names the customer.", "Names the customer twice."))
        .unwrap();
    let stale = tidegate(home.path(), &repo, &run);
    assert_eq!(stale.status.code(), Some(7), "{}", said(&stale));
    assert!(said(&stale).contains("stale"), "{}", said(&stale));

    // A name that is none is told with its place.
    let suite = repo.join("apps/support-summary/evals/words.yaml");
    let text = std::fs::read_to_string(&suite).unwrap();
    let wrong = text.replace("moderation: house", "moderation: hause");
    std::fs::write(&suite, wrong.replace("embeddings: vectors}\n  -", "embeddings: vektors}\n  -"))
        .unwrap();
    let refused = tidegate(home.path(), &repo, &["validate"]);
    assert!(!refused.status.success());
    for part in ["hause", "vektors", "did you mean"] {
        assert!(said(&refused).contains(part), "{part}: {}", said(&refused));
    }
}
