//! Judges that can be trusted, and judges that cannot.

use super::provider::{Provider, completion};
use super::{GOOD, app, codes, recorded, run, suite};
use domain::finding::{GateOutcome, Severity};
use opsrepo::Files;
use serde_json::{Value, json};
use tidegate_evals::{How, Releases, SuiteReport, read_judges};

/// Grades by the answers it is shown: the text after `First answer: ` and after
/// `Second answer: `.
pub(super) fn grader(body: &str, grade: impl Fn(&str) -> f64) -> Value {
    let asked: Value = serde_json::from_str(body).unwrap();
    let text = asked["messages"][1]["content"].as_str().unwrap();
    let (_, answers) = text.split_once("First answer: ").unwrap();
    match answers.split_once("Second answer: ") {
        Some((first, second)) => json!({"first": grade(first), "second": grade(second)}),
        None => json!({"first": grade(answers)}),
    }
}

pub(super) fn careful(answer: &str) -> f64 {
    if answer.contains("red cat") { 9.0 } else { 1.0 }
}

/// Recorded answers of two releases, graded by a judge at this provider.
fn releases(provider: &Provider, labelled: usize, cases: usize) -> Releases {
    releases_by(provider, labelled, cases, "Names the cat.")
}

/// The same, by a judge with this rubric.
pub(super) fn releases_by(
    provider: &Provider,
    labelled: usize,
    cases: usize,
    rubric: &str,
) -> Releases {
    let judge = format!(
        "apiVersion: tidegate/v1\nversion: 1.0.0\nmodel: grader\nrubric: {rubric}\n\
         scale: {{low: 1, high: 10}}\nvotes: 2\nlabelled: judges/l.jsonl\n"
    );
    let model = format!(
        "apiVersion: tidegate/v1\nversion: 1.0.0\nprovider: {{kind: openai, base_url: \"{}\"}}\n\
         provider_model: grader-2026-01-01\ncontext_window: 8000\ntokenizer: o200k_base\n\
         prices: {{input_per_million: 1, output_per_million: 1}}\n",
        provider.url()
    );
    let lines: String = (0..labelled)
        .map(|i| {
            let (answer, label) = if i % 2 == 0 { (GOOD, 1.0) } else { ("a dog", 0.0) };
            format!("{}\n", json!({"input": format!("q{i}"), "answer": answer, "label": label}))
        })
        .collect();
    let files = Files::from([
        ("apps/qa/evals/judges/cats.yaml".to_owned(), judge.as_bytes().to_vec()),
        ("apps/qa/evals/judges/l.jsonl".to_owned(), lines.into_bytes()),
        ("models/grader.yaml".to_owned(), model.into_bytes()),
    ]);
    let (desired, _) = opsrepo::parse(&files);
    let (judges, findings) = read_judges(&files, &desired, &app());
    assert_eq!(findings, []);
    let mut releases = recorded(cases, 1, |version, case, _| {
        if version == "2.0.0" && case % 2 == 0 { "a dog".to_owned() } else { GOOD.to_owned() }
    });
    releases.client = Some(connect::http::Client::new());
    releases.judges = judges;
    releases
}

const RULE: &str = "tier: paid\ntoken_cap: 10000000\nscores:\n  - {metric: judge, judge: cats, not_worse_by: 0.05}\n";

async fn judged(provider: Provider, labelled: usize) -> SuiteReport {
    judged_beside(provider, labelled, "").await
}

async fn judged_beside(provider: Provider, labelled: usize, more: &str) -> SuiteReport {
    let releases = releases(&provider, labelled, 30);
    let report = run(&suite(&format!("{RULE}{more}"), 30), &releases, &How::default()).await;
    super::published::check(report.clone());
    report
}

#[tokio::test]
async fn a_calibrated_judge_is_a_gate_and_sees_both_answers_blind() {
    let provider = Provider::start(|_, body| {
        assert!(!body.contains("production") && !body.contains("candidate"), "it is blind");
        completion(&grader(body, careful).to_string())
    })
    .await;
    let report = judged(provider, 20).await;
    assert_eq!(codes(&report), ["worse_than_production"], "{:?}", report.findings);
    let judge = &report.judges[0];
    assert!(judge.calibrated && judge.rewarded_junk.is_empty(), "{judge:?}");
    assert_eq!(judge.agreement.unwrap().kappa, Some(1.0));
    let score = &report.scores[0];
    // 8/9 for a good answer, 0 for a bad one; half of the candidate's are bad.
    assert!((score.production.unwrap().value - 8.0 / 9.0).abs() < 1e-9);
    assert!((score.difference.unwrap().value + 4.0 / 9.0).abs() < 1e-9);
}

#[tokio::test]
async fn a_judge_that_prefers_the_first_place_is_evened_out() {
    let first = |body: &str| {
        let mut grades = grader(body, |_| 5.0);
        grades["first"] = json!(9.0);
        grades
    };
    let provider = Provider::start(move |_, body| completion(&first(body).to_string())).await;
    let report = judged(provider, 20).await;
    let difference = report.scores[0].difference.unwrap();
    assert!(difference.value.abs() < 1e-9, "two votes, two orders: {difference:?}");
}

#[tokio::test]
async fn a_judge_that_rewards_junk_is_no_gate() {
    let provider = Provider::start(|_, body| completion(&grader(body, |_| 10.0).to_string())).await;
    let report = judged(provider, 20).await;
    assert_eq!(report.outcome, GateOutcome::Failed);
    assert!(codes(&report).contains(&"judge_rewards_junk"), "{:?}", codes(&report));
    assert_eq!(report.judges[0].rewarded_junk.len(), 5);
}

#[tokio::test]
async fn an_uncalibrated_judge_can_only_warn() {
    let provider = Provider::start(|_, body| completion(&grader(body, careful).to_string())).await;
    let report = judged_beside(provider, 6, "checks:\n  - length: {at_most: 90}\n").await;
    assert_eq!(report.outcome, GateOutcome::Warned, "{:?}", report.findings);
    assert_eq!(codes(&report), ["worse_than_production", "judge_not_calibrated"]);
    assert!(report.findings.iter().all(|f| f.severity == Severity::Warning));
}

#[tokio::test]
async fn an_uncalibrated_judge_passes_no_suite_that_rests_on_it_alone() {
    // It knows every kind of junk it is probed with, and likes all else.
    let naive = |answer: &str| {
        let known = ["the answer is", "Lighthouses", "rubric", "\"\""];
        if known.iter().any(|junk| answer.contains(junk)) { 1.0 } else { 10.0 }
    };
    let provider =
        Provider::start(move |_, body| completion(&grader(body, naive).to_string())).await;
    let report = judged(provider, 0).await;
    assert_eq!(report.judges[0].rewarded_junk, Vec::<String>::new());
    assert_eq!(report.outcome, GateOutcome::Failed, "{:?}", report.findings);
    assert!(codes(&report).contains(&"judge_not_calibrated"), "{:?}", codes(&report));
}

#[tokio::test]
async fn a_malformed_grade_is_an_error_and_never_a_number() {
    let provider = Provider::start(|_, body| {
        // Well behaved while it is probed, careless on what counts.
        let two = body.contains("Second answer");
        let text = if two { "I would say 8".to_owned() } else { grader(body, careful).to_string() };
        completion(&text)
    })
    .await;
    let report = judged(provider, 20).await;
    assert_eq!(report.outcome, GateOutcome::Failed);
    assert!(codes(&report).contains(&"judge_malformed"), "{:?}", codes(&report));
    assert_eq!(report.scores[0].cases, 0, "no default stands in");
}
