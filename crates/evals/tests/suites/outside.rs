//! What others say of answers: embeddings, classifiers and judges; asked,
//! recorded and replayed.

use super::judges::{careful, grader, releases_by};
use super::provider::{Answer, Provider, completion};
use super::{GOOD, codes, json_of, recorded, run, suite};
use connect::provider::Recordings;
use domain::classifier::Classifier;
use domain::finding::GateOutcome;
use domain::ids::Digest;
use domain::snapshot::ModelContent;
use serde_json::{Value, json};
use std::sync::Arc;
use tidegate_evals::{How, Recorder, Releases, SuiteReport};

/// Vectors that count cats, dogs and texts.
fn vectors(body: &str) -> Answer {
    let asked: Value = serde_json::from_str(body).unwrap();
    let texts = asked["input"].as_array().unwrap().iter().map(|t| t.as_str().unwrap().to_owned());
    let data: Vec<Value> = texts
        .enumerate()
        .map(|(i, text)| {
            let n = |word: &str| text.matches(word).count() as f64;
            json!({"index": i, "embedding": [n("cat"), n("dog"), 0.1]})
        })
        .collect();
    (200, Vec::new(), json!({"data": data, "usage": {"prompt_tokens": 30}}).to_string())
}

/// Half of the candidate's answers are about a dog.
fn releases(provider: &Provider, cases: usize) -> Releases {
    let mut releases = recorded(cases, 2, |version, case, _| {
        if version == "2.0.0" && case % 2 == 0 { "a dog".to_owned() } else { GOOD.to_owned() }
    });
    let model: ModelContent = serde_json::from_value(json!({
        "provider": {"kind": "openai", "base_url": provider.url()}, "provider_model": "vectors-1",
        "context_window": 8000, "tokenizer": "o200k_base",
        "price_input_per_million": 1.0, "price_output_per_million": 0.0,
    }))
    .unwrap();
    releases.beside.models.insert("vectors".to_owned(), model);
    let url = format!("{}/moderations", provider.url());
    releases.beside.classifiers.insert("house".to_owned(), classifier(&url));
    releases.client = Some(connect::http::Client::new());
    releases
}

fn classifier(url: &str) -> Classifier {
    serde_json::from_value(json!({"url": url})).unwrap()
}

const NEAR: &str = "repeats: 2\nconfidence: 90%\nscores:\n  - {metric: similarity, embeddings: vectors, not_worse_by: 0.05}\nchecks:\n  - similarity: {at_least: 50%, embeddings: vectors}\npass: {at_least: 0%}\n";

/// Runs a suite once with a recorder; the file it makes.
async fn record(yaml: &str, cases: usize, releases: &mut Releases, file: &str) -> String {
    let recorder = Arc::new(Recorder::new(file.as_bytes(), false, "2026-01-02"));
    releases.beside.recorder = Some(Arc::clone(&recorder));
    run(&suite(yaml, cases), releases, &How::default()).await;
    releases.beside.recorder = None;
    recorder.recorded().jsonl().unwrap()
}

/// Replays a suite without anybody to ask.
async fn replay(yaml: &str, cases: usize, releases: &mut Releases, file: &str) -> SuiteReport {
    let digest = Digest::of(file.as_bytes());
    releases.of_app = vec![Arc::new(Recordings::parse(digest, file.as_bytes()).unwrap())];
    releases.client = None;
    let report = run(&suite(yaml, cases), releases, &How::default()).await;
    super::published::check(report.clone());
    report
}

#[tokio::test]
async fn vectors_of_an_endpoint_measure_how_near_answers_are() {
    let provider = Provider::start(|_, body| vectors(body)).await;
    let folder = tempfile::tempdir().unwrap();
    let how = How { journal: Some(folder.path().to_owned()), ..How::default() };
    let releases = releases(&provider, 30);
    let paid = suite(&format!("tier: paid\ntoken_cap: 100000\n{NEAR}"), 30);
    let report = run(&paid, &releases, &how).await;
    super::published::check(report.clone());
    assert_eq!(codes(&report), ["worse_than_production"], "{:?}", report.findings);
    let score = &report.scores[0];
    assert!((score.production.unwrap().value - 1.0).abs() < 1e-9, "{score:?}");
    // (1, 0, 0.1) and (0, 1, 0.1) have a cosine of 0.01 / 1.01.
    let half = f64::midpoint(1.0, 0.01 / 1.01);
    assert!((score.candidate.value - half).abs() < 1e-9, "{score:?}");
    assert_eq!((report.pass.kept, report.pass.asked), (30, 60));
    let broken = &report.broken[0].checks[0];
    assert_eq!(broken.0, "similarity");
    assert!(broken.2.contains("0.010") && broken.2.contains("0.500"), "{}", broken.2);
    // Both repeats and the reference of a case are one request; those of equal
    // texts are paid for once.
    let calls = provider.calls();
    assert!(calls <= 60, "{calls}");
    let again = run(&paid, &releases, &how).await;
    assert_eq!((again, provider.calls()), (report, calls), "nothing is paid for twice");
}

#[tokio::test]
async fn what_was_measured_once_is_replayed_for_ever_without_a_text_or_a_vector() {
    let provider = Provider::start(|_, body| vectors(body)).await;
    let mut releases = releases(&provider, 30);
    let file = record(NEAR, 30, &mut releases, "").await;
    assert!(!file.contains("cat") && !file.contains("dog"), "{file}");
    let line: Value = serde_json::from_str(file.lines().next().unwrap()).unwrap();
    assert_eq!((&line["model"], &line["asked"]["on"]), (&json!("vectors-1"), &json!("2026-01-02")));
    assert_eq!(file.lines().count(), 2, "two pairs of texts there are");
    let calls = provider.calls();
    assert_eq!(record(NEAR, 30, &mut releases, &file).await, file);
    assert_eq!(provider.calls(), calls, "what is recorded is not asked again");
    let first = replay(NEAR, 30, &mut releases, &file).await;
    assert_eq!(codes(&first), ["worse_than_production"]);
    let second = replay(NEAR, 30, &mut releases, &file).await;
    assert_eq!(json_of(first), json_of(second));
    assert_eq!(provider.calls(), calls, "a replay asks nobody");

    // What was never said is an error with its key, not a number.
    let half: String = file.lines().take(1).map(|line| format!("{line}\n")).collect();
    let report = replay(NEAR, 30, &mut releases, &half).await;
    assert_eq!(report.outcome, GateOutcome::Failed);
    let missing = report.findings.iter().find(|f| f.code == "no_recording").expect("it is told");
    assert!(missing.message.contains("key `eval/similarity@"), "{}", missing.message);
    assert!(missing.mend.contains("eval record"), "{}", missing.mend);
    // And a changed number is none that was measured.
    let wrong = file.replace("\"response\":\"0.", "\"response\":\"9.");
    let report = replay(NEAR, 30, &mut releases, &wrong).await;
    assert!(codes(&report).contains(&"answer_malformed"), "{:?}", report.findings);
}

#[tokio::test]
async fn malformed_vectors_are_an_error_and_never_a_similarity() {
    for data in [
        json!([]),
        json!([{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}]),
        json!([{"index": 0, "embedding": [null]}, {"index": 1, "embedding": [1.0]}]),
        json!([{"index": 0, "embedding": []}, {"index": 1, "embedding": []}]),
    ] {
        let body = json!({"data": data}).to_string();
        let provider = Provider::start(move |_, _| (200, Vec::new(), body.clone())).await;
        // Both answers to a case are alike, and are not the reference.
        let mut releases = releases(&provider, 4);
        let beside = std::mem::take(&mut releases.beside);
        let mut releases = recorded(4, 1, |_, _, _| "a dog".to_owned());
        releases.beside = beside;
        releases.client = Some(connect::http::Client::new());
        let yaml = "tier: paid\ntoken_cap: 100000\nscores:\n  - {metric: similarity, embeddings: vectors, at_least: 0%}\n";
        let report = run(&suite(yaml, 4), &releases, &How::default()).await;
        assert_eq!(report.outcome, GateOutcome::Failed);
        assert!(codes(&report).contains(&"answer_malformed"), "{:?}", report.findings);
        assert_eq!(report.scores[0].cases, 0, "nothing was measured");
    }
}

#[tokio::test]
async fn embeddings_keep_to_the_pauses_and_caps_of_answers() {
    // "Later" twice, then vectors.
    let provider = Provider::start(|call, body| match call {
        0 | 1 => (429, vec![("retry-after", "0")], "{}".to_owned()),
        _ => vectors(body),
    })
    .await;
    let releases = releases(&provider, 4);
    let report = run(
        &suite(&format!("tier: paid\ntoken_cap: 100000\n{NEAR}"), 4),
        &releases,
        &How::default(),
    )
    .await;
    assert_eq!(report.scores[0].cases, 4, "{:?}", report.findings);
    let capped = suite(&format!("tier: paid\ntoken_cap: 5\n{NEAR}"), 4);
    let report = run(&capped, &releases, &How::default()).await;
    assert!(codes(&report).contains(&"token_cap"), "{:?}", report.findings);
}

#[tokio::test]
async fn without_a_model_words_are_compared_and_nobody_is_asked() {
    let provider = Provider::start(|_, _| panic!("nobody is asked")).await;
    let releases = releases(&provider, 30);
    let yaml = "tier: paid\ntoken_cap: 100000\nchecks:\n  - similarity: {at_least: 90%}\npass: {at_least: 0%}\nscores:\n  - {metric: similarity}\n";
    let report = run(&suite(yaml, 30), &releases, &How::default()).await;
    assert_eq!((report.pass.kept, report.pass.asked), (15, 30), "{:?}", report.findings);
    assert!((report.scores[0].production.unwrap().value - 1.0).abs() < 1e-9);
    assert_eq!(provider.calls(), 0);
    let unknown = "scores:\n  - {metric: similarity, embeddings: nobody}\n";
    let report = run(&suite(unknown, 1), &releases, &How::default()).await;
    assert_eq!(codes(&report), ["release_unusable"], "{:?}", report.findings);
}

const FLAGS: &str = "checks:\n  - moderation: house\n";

fn flags(body: &str) -> Answer {
    assert!(!body.contains("example.com"), "an address left the house: {body}");
    let flagged = body.contains("dog");
    let body = json!({"results": [{"flagged": flagged, "categories": {"animals": flagged},
        "category_scores": {"animals": 0.8}}]});
    (200, Vec::new(), body.to_string())
}

#[tokio::test]
async fn a_classifier_flags_answers_live_and_replayed_alike() {
    let provider = Provider::start(|_, body| flags(body)).await;
    let mut releases = releases(&provider, 10);
    let beside = std::mem::take(&mut releases.beside);
    let mut releases = recorded(10, 1, |version, case, _| match (version, case) {
        ("2.0.0", 3) => "a dog of ana@example.com".to_owned(),
        _ => format!("a cat of ana@example.com, case {case}"),
    });
    releases.beside = beside;
    releases.client = Some(connect::http::Client::new());
    let live = run(
        &suite(&format!("tier: paid\ntoken_cap: 100000\n{FLAGS}"), 10),
        &releases,
        &How::default(),
    )
    .await;
    assert_eq!((live.pass.kept, live.pass.asked), (9, 10), "{:?}", live.findings);
    let (check, times, reason) = &live.broken[0].checks[0];
    assert_eq!((live.broken[0].case.as_str(), check.as_str(), *times), ("c3", "moderation", 1));
    assert!(reason.contains("`house` flags it: animals"), "{reason}");

    let file = record(FLAGS, 10, &mut releases, "").await;
    assert!(!file.contains("cat of") && !file.contains("example.com"), "{file}");
    let calls = provider.calls();
    let replayed = replay(FLAGS, 10, &mut releases, &file).await;
    assert_eq!(replayed.broken, live.broken);
    assert_eq!(provider.calls(), calls);
    // Another limit is another question: what was said to the old one is refused.
    let house = releases.beside.classifiers.get_mut("house").unwrap();
    house.flag_at = Some(0.9);
    let report = replay(FLAGS, 10, &mut releases, &file).await;
    assert!(codes(&report).contains(&"stale_recording"), "{:?}", report.findings);
    let said = report.findings.iter().find(|f| f.code == "stale_recording").unwrap();
    assert!(said.message.contains("recorded on 2026-01-02"), "{}", said.message);
    // One that does not answer, or not in its form, is no pass.
    for body in ["{}", "<html>"] {
        let broken = Provider::start(move |_, _| (200, Vec::new(), body.to_owned())).await;
        let house = classifier(&broken.url());
        releases.beside.classifiers.insert("house".to_owned(), house);
        releases.client = Some(connect::http::Client::new());
        let paid = suite(&format!("tier: paid\ntoken_cap: 100000\n{FLAGS}"), 2);
        let report = run(&paid, &releases, &How::default()).await;
        assert_eq!(report.outcome, GateOutcome::Failed);
        assert!(codes(&report).contains(&"answer_malformed"), "{:?}", report.findings);
    }
}

const JUDGED: &str = "scores:\n  - {metric: judge, judge: cats, not_worse_by: 0.05}\n";

#[tokio::test]
async fn a_judge_is_recorded_once_and_gates_without_money_until_it_changes() {
    let provider = Provider::start(|_, body| completion(&grader(body, careful).to_string())).await;
    let mut releases = releases_by(&provider, 20, 30, "Names the cat.");
    let file = record(JUDGED, 30, &mut releases, "").await;
    let calls = provider.calls();
    assert_eq!(calls, 2 * 30 + 2 * 20 + 2 * 5, "two votes of each case, label and kind of junk");
    assert_eq!(record(JUDGED, 30, &mut releases, &file).await, file);
    assert_eq!(provider.calls(), calls);
    let report = replay(JUDGED, 30, &mut releases, &file).await;
    assert_eq!(codes(&report), ["worse_than_production"], "{:?}", report.findings);
    assert!(report.judges[0].calibrated, "{:?}", report.judges);
    assert_eq!(provider.calls(), calls, "a replay asks nobody");

    // Another rubric is another judge: what the old one said is refused.
    let judges = releases_by(&provider, 20, 30, "Names the cat and its mat.").judges;
    releases.judges = judges;
    let report = replay(JUDGED, 30, &mut releases, &file).await;
    assert_eq!(report.outcome, GateOutcome::Failed);
    assert!(codes(&report).contains(&"stale_recording"), "{:?}", report.findings);
    assert!(report.judges[0].error.contains("stale"), "{:?}", report.judges);
}
