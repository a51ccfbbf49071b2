//! Runs of whole suites, from recordings and from providers of the test's own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod early;
mod judges;
mod outside;
mod provider;
mod published;

use connect::provider::Recordings;
use domain::component::{Component, ComponentKind};
use domain::finding::{GateOutcome, Severity};
use domain::ids::{AppName, Digest, ReleaseId};
use domain::snapshot::ServedRelease;
use opsrepo::Files;
use provider::{Provider, completion};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidegate_evals::{
    EvalReport, How, Limits, Loaded, Options, Reason, Release, Releases, Results, SuiteReport,
    evaluate, junit, record, sarif,
};

fn app() -> AppName {
    "qa".parse().unwrap()
}

/// A release whose prompt is this version, with this model.
fn release(version: &str, model: Value) -> Release {
    let component = |kind: &str| -> Component {
        serde_json::from_value(json!({
            "name": kind, "version": version, "digest": Digest::of(version.as_bytes()),
        }))
        .unwrap()
    };
    let mut whole = json!({
        "provider_model": "m-1", "context_window": 8000, "tokenizer": "o200k_base",
        "price_input_per_million": 1.0, "price_output_per_million": 2.0,
    });
    whole["provider"] = model;
    let template = format!("{version}: {{{{ question }}}}");
    let prompt = json!({
        "messages": [{"kind": "template", "role": "user", "file": "user.j2", "template": template}],
        "partials": {}, "variables": {"question": {}},
    });
    Release {
        id: ReleaseId(Digest::of(version.as_bytes())),
        served: ServedRelease {
            app: app(),
            components: BTreeMap::from([
                (ComponentKind::Prompt, component("prompt")),
                (ComponentKind::Model, component("model")),
            ]),
            contents: BTreeMap::from([
                (ComponentKind::Prompt, prompt),
                (ComponentKind::Model, whole),
            ]),
        },
    }
}

fn replay(recordings: Digest) -> Value {
    json!({"kind": "replay", "key": "{{ question }}/{{ prompt.version }}", "recordings": [recordings]})
}

/// The suite `s` with these lines, asking about `q0`, `q1`, …
fn suite(yaml: &str, cases: usize) -> Arc<Loaded> {
    let lines: String = (0..cases)
        .map(|i| {
            let case = json!({
                "id": format!("c{i}"), "variables": {"question": format!("q{i}")},
                "expected": ["the red cat sat on the mat"],
            });
            format!("{case}\n")
        })
        .collect();
    let files = Files::from([
        (
            "apps/qa/evals/s.yaml".to_owned(),
            format!("apiVersion: tidegate/v1\ntitle: A suite\nfiles: [c.jsonl]\n{yaml}")
                .into_bytes(),
        ),
        ("apps/qa/evals/c.jsonl".to_owned(), lines.into_bytes()),
    ]);
    let (mut loaded, findings) = Loaded::all(&files, &app());
    assert_eq!(findings, [], "the suite reads");
    Arc::new(loaded.remove(0))
}

/// Recordings of two releases: `1.0.0` is production, `2.0.0` the candidate.
fn recorded(cases: usize, repeats: usize, say: impl Fn(&str, usize, usize) -> String) -> Releases {
    let mut text = String::new();
    for version in ["1.0.0", "2.0.0"] {
        for case in 0..cases {
            for repeat in 0..repeats {
                let mark = if repeat == 0 { String::new() } else { format!("#{repeat}") };
                let line = json!({
                    "model": "m-1", "key": format!("q{case}/{version}{mark}"),
                    "response": say(version, case, repeat), "latency_ms": 10 + case % 7,
                });
                text.push_str(&format!("{line}\n"));
            }
        }
    }
    let digest = Digest::of(text.as_bytes());
    let parsed = Arc::new(Recordings::parse(digest, text.as_bytes()).unwrap());
    Releases {
        candidate: release("2.0.0", replay(digest)),
        production: Some(release("1.0.0", replay(digest))),
        recordings: BTreeMap::from([(digest, parsed)]),
        of_app: Vec::new(),
        secrets: BTreeMap::new(),
        client: None,
        judges: BTreeMap::new(),
        beside: tidegate_evals::Beside::default(),
    }
}

async fn run(loaded: &Arc<Loaded>, releases: &Releases, how: &How) -> SuiteReport {
    evaluate(loaded.clone(), releases, how, &|_| {}).await
}

fn json_of(report: SuiteReport) -> String {
    EvalReport::new(app(), ReleaseId(Digest::of(b"c")), None, vec![report]).json().unwrap()
}

fn codes(report: &SuiteReport) -> Vec<&str> {
    report.findings.iter().map(|f| f.code.as_str()).collect()
}

const GOOD: &str = "the red cat sat on the mat";

#[tokio::test]
async fn the_same_inputs_give_the_same_bytes_whatever_comes_first() {
    let yaml = "repeats: 3\nchecks:\n  - contains: cat\npass: {at_least: 90%}\nscores:\n  - {metric: recall, not_worse_by: 0.1}\n  - {metric: rouge_l}\n";
    let loaded = suite(yaml, 60);
    let releases = recorded(60, 3, |version, case, repeat| match (version, case % 9, repeat) {
        ("2.0.0", 4, _) => "a cat".to_owned(),
        ("2.0.0", 5, 1) => "a dog".to_owned(),
        _ => GOOD.to_owned(),
    });
    let mut texts = Vec::new();
    for concurrency in [1, 3, 64] {
        let limits = Limits { concurrency, ..Limits::default() };
        let how = How { limits, ..How::default() };
        texts.push(json_of(run(&loaded, &releases, &how).await));
    }
    assert_eq!(texts[0], texts[1]);
    assert_eq!(texts[0], texts[2]);
    let report: EvalReport = serde_json::from_str(&texts[0]).unwrap();
    let report = &report.suites[0];
    assert_eq!((report.pass.asked, report.pass.kept, report.flickering), (180, 173, 7));
    assert_eq!(report.flicker[0].kept, 2);
    assert!(report.worse.iter().any(|w| w.reason == Reason::Omission && w.count == 14));
    let difference = report.scores[0].difference.unwrap();
    assert!(difference.low < difference.value && difference.value < 0.0);
}

#[tokio::test]
async fn a_release_whose_repeats_contradict_each_other_does_not_pass() {
    let yaml = "repeats: 4\nscores:\n  - {metric: consistency, at_least: 95%}\n";
    let releases = recorded(40, 4, |version, case, repeat| match (version, repeat) {
        ("2.0.0", 1) => format!("Order A-{case} was refunded with 90 euro."),
        ("2.0.0", 2) => format!("Order A-{case} was not refunded."),
        _ => format!("Order A-{case} was refunded with 40 euro."),
    });
    let report = run(&suite(yaml, 40), &releases, &How::default()).await;
    assert_eq!(codes(&report), ["score_low"], "{:?}", report.scores);
    let score = &report.scores[0];
    assert_eq!(score.production.unwrap().value, 1.0);
    assert!(score.candidate.value < 0.9 && score.difference.unwrap().high < 0.0, "{score:?}");
}

#[tokio::test]
async fn a_loss_is_judged_by_the_interval_of_the_paired_difference() {
    let yaml = "scores:\n  - {metric: recall, not_worse_by: 0.05}\n";
    // One case in ten forgets nearly everything: the mean loses 0.08.
    let lossy = |version: &str, case: usize, _: usize| {
        if version == "2.0.0" && case.is_multiple_of(10) {
            "the".to_owned()
        } else {
            GOOD.to_owned()
        }
    };
    let few = run(&suite(yaml, 20), &recorded(20, 1, lossy), &How::default()).await;
    assert_eq!(codes(&few), ["not_proven_as_good"]);
    let many = run(&suite(yaml, 400), &recorded(400, 1, lossy), &How::default()).await;
    assert_eq!(codes(&many), ["worse_than_production"], "{:?}", many.scores);
    assert_eq!(many.outcome, GateOutcome::Failed);
    // The very same answers are as good, however few they are.
    let same = recorded(3, 1, |_, _, _| GOOD.to_owned());
    let same = run(&suite(yaml, 3), &same, &How::default()).await;
    assert_eq!((codes(&same), same.outcome), (vec![], GateOutcome::Passed));
}

#[tokio::test]
async fn the_share_of_kept_answers_is_held_against_productions() {
    let yaml = "checks:\n  - contains: cat\npass: {at_least: 40%, not_worse_by: 5%}\n";
    // The candidate loses a third; the other way round a third is gained.
    let say = |loser: &'static str| {
        recorded(90, 1, move |version, case, _| {
            let lost = version == loser && case.is_multiple_of(3);
            if lost { "a dog".to_owned() } else { GOOD.to_owned() }
        })
    };
    let lost = run(&suite(yaml, 90), &say("2.0.0"), &How::default()).await;
    assert_eq!(codes(&lost), ["worse_than_production"], "{:?}", lost.findings);
    assert_eq!(
        lost.findings[0].place.as_ref().unwrap().field.as_deref(),
        Some("pass.not_worse_by")
    );
    let difference = lost.pass.difference.unwrap();
    assert!((difference.value + 1.0 / 3.0).abs() < 1e-9 && difference.high < -0.2);
    let gained = run(&suite(yaml, 90), &say("1.0.0"), &How::default()).await;
    assert_eq!((codes(&gained), gained.outcome), (vec![], GateOutcome::Passed));
}

#[tokio::test]
async fn an_empty_answer_fails_and_is_listed_first() {
    let releases = recorded(12, 1, |version, case, _| {
        if version == "2.0.0" && case == 3 { "  ".to_owned() } else { GOOD.to_owned() }
    });
    let report = run(&suite("", 12), &releases, &How::default()).await;
    assert_eq!(codes(&report), ["checks_broken"]);
    assert_eq!(report.worse[0].reason, Reason::Empty);
    assert_eq!(report.failing, ["c3"]);
    assert_eq!(
        report.worse[0].cases[0].example.as_ref().unwrap().production.as_deref(),
        Some(GOOD)
    );
    assert_eq!(report.discordant.unwrap().lost, 1);
}

#[tokio::test]
async fn a_missing_recording_is_an_error_that_names_the_key() {
    let report =
        run(&suite("", 5), &recorded(4, 1, |_, _, _| GOOD.to_owned()), &How::default()).await;
    assert_eq!(codes(&report), ["no_recording", "no_recording"]);
    let (ours, theirs) = (&report.findings[0], &report.findings[1]);
    assert!(ours.message.contains("key `q4/2.0.0`"), "{}", ours.message);
    assert_eq!((ours.severity, theirs.severity), (Severity::Error, Severity::Warning));
    assert_eq!(report.failing, ["c4"]);
    assert_eq!((report.pass.asked, report.pass.kept), (4, 4));
}

#[tokio::test]
async fn dearer_answers_ask_for_the_finance_approval_and_do_not_fail() {
    let releases =
        recorded(
            10,
            1,
            |version, _, _| {
                if version == "2.0.0" { GOOD.repeat(5) } else { GOOD.to_owned() }
            },
        );
    let yaml = "cost: {tokens: 15%, money: 15%, p95_ms: 1000}\n";
    let report = run(&suite(yaml, 10), &releases, &How::default()).await;
    assert_eq!(report.outcome, GateOutcome::Warned, "{:?}", report.findings);
    assert_eq!(codes(&report), ["cost_above_limit", "cost_above_limit"]);
    assert_eq!(report.approvals.len(), 2);
    assert!(report.approvals[0].reason.contains("15 % is the limit"), "{:?}", report.approvals);
    assert_eq!(report.cost.candidate.p95_ms, Some(16));
    let slow = run(&suite("cost: {p95_ms: 15}\n", 10), &releases, &How::default()).await;
    assert_eq!((codes(&slow), slow.outcome), (vec!["slow"], GateOutcome::Failed));
}

#[tokio::test]
async fn a_decided_rule_stops_the_run_at_the_same_case_every_time() {
    let yaml = "checks:\n  - contains: cat\npass: {at_least: 80%}\n";
    let loaded = suite(yaml, 600);
    let releases = recorded(600, 1, |_, _, _| GOOD.to_owned());
    let mut ends = Vec::new();
    for concurrency in [1, 16] {
        let options = Options { stop_early: true, ..Options::default() };
        let limits = Limits { concurrency, ..Limits::default() };
        let report = run(&loaded, &releases, &How { options, limits, ..How::default() }).await;
        assert!(report.stopped_early && report.outcome == GateOutcome::Passed);
        ends.push(report.cases);
    }
    assert_eq!(ends[0], ends[1]);
    assert!(ends[0] < 200, "{ends:?}");
}

fn live(provider: &Provider) -> Releases {
    let model = json!({"kind": "openai", "base_url": provider.url()});
    Releases {
        candidate: release("2.0.0", model),
        production: None,
        recordings: BTreeMap::new(),
        of_app: Vec::new(),
        secrets: BTreeMap::new(),
        client: Some(connect::http::Client::new()),
        judges: BTreeMap::new(),
        beside: tidegate_evals::Beside::default(),
    }
}

#[tokio::test]
async fn what_was_paid_for_is_never_paid_for_again() {
    let provider = Provider::start(|_, _| completion(GOOD)).await;
    let folder = tempfile::tempdir().unwrap();
    // Each answer costs 20 tokens; the cap ends the first run on its way.
    let capped = suite("tier: paid\ntoken_cap: 6000\nrepeats: 2\n", 20);
    let limits = Limits { concurrency: 2, ..Limits::default() };
    let how = How { limits, journal: Some(folder.path().to_owned()), ..How::default() };
    let releases = live(&provider);
    let report = run(&capped, &releases, &how).await;
    assert_eq!(report.outcome, GateOutcome::Passed, "{:?}", report.findings);
    assert_eq!(provider.calls(), 40);
    let again = run(&capped, &releases, &how).await;
    assert_eq!(provider.calls(), 40, "the second run is free");
    assert_eq!(json_of(report), json_of(again));
}

#[tokio::test]
async fn the_token_cap_holds_and_the_next_run_goes_on() {
    let provider = Provider::start(|_, _| completion(GOOD)).await;
    let folder = tempfile::tempdir().unwrap();
    let loaded = suite("tier: paid\ntoken_cap: 1200\n", 30);
    let limits = Limits { concurrency: 4, ..Limits::default() };
    let how = How { limits, journal: Some(folder.path().to_owned()), ..How::default() };
    let releases = live(&provider);
    let report = run(&loaded, &releases, &how).await;
    assert!(codes(&report).contains(&"token_cap"), "{:?}", codes(&report));
    let first = provider.calls();
    // 1024 tokens are set aside for an answer: one at a time, 20 tokens each.
    assert!(first >= 1 && first as u64 * 20 <= 1200, "{first}");
    let report = run(&loaded, &releases, &how).await;
    assert!(report.cases > 0 && provider.calls() >= first);
    let kept = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap();
    let lines = std::fs::read_to_string(kept.path()).unwrap().lines().count();
    assert_eq!(lines, provider.calls(), "every answer is kept, none was asked twice");
}

#[tokio::test]
async fn a_provider_that_says_later_is_asked_later() {
    let provider = Provider::start(|n, _| match n {
        0 | 1 => (429, vec![("retry-after", "1")], "{}".to_owned()),
        _ => completion(GOOD),
    })
    .await;
    let limits = Limits { concurrency: 2, ..Limits::default() };
    let how = How { limits, ..How::default() };
    let report = run(&suite("tier: paid\ntoken_cap: 1000000\n", 4), &live(&provider), &how).await;
    assert_eq!(report.outcome, GateOutcome::Passed, "{:?}", report.findings);
    assert_eq!(provider.calls(), 6);
    let provider =
        Provider::start(|_, _| (429, vec![("retry-after", "3600")], "{}".to_owned())).await;
    let report = run(&suite("tier: paid\ntoken_cap: 1000000\n", 4), &live(&provider), &how).await;
    assert!(codes(&report).contains(&"rate_limited"), "{:?}", codes(&report));
}

#[tokio::test]
async fn a_hung_provider_is_a_finding() {
    let provider = Provider::hung().await;
    let timeout = Duration::from_millis(50);
    let limits = Limits { concurrency: 2, timeout, attempts: 1, ..Limits::default() };
    let how = How { limits, ..How::default() };
    let report = run(&suite("tier: paid\ntoken_cap: 1000000\n", 100), &live(&provider), &how).await;
    assert_eq!(report.outcome, GateOutcome::Failed);
    assert!(codes(&report).contains(&"given_up"), "{:?}", codes(&report));
    assert!(codes(&report).contains(&"not_reached"), "it ends early");
}

#[tokio::test]
async fn recordings_replay_until_the_release_asks_something_else() {
    let provider =
        Provider::start(|_, _| completion("mail anna.schmidt@example.com, the cat sat")).await;
    let mut releases = live(&provider);
    let loaded = suite("checks:\n  - contains: cat\n", 3);
    let subject = releases.subject(&releases.candidate, domain::finding::Tier::Paid).unwrap();
    let asker = tidegate_evals::Asker::new(Limits::default(), None);
    let done = record(&loaded, &subject, &asker, b"", (1, false, "2026-11-21")).await;
    assert_eq!((done.new, done.kept, done.failed.len()), (3, 0, 0));
    let text = done.jsonl().unwrap();
    assert!(!text.contains("anna.schmidt"), "redacted before it is written: {text}");
    let again = record(&loaded, &subject, &asker, text.as_bytes(), (1, false, "2026-11-22")).await;
    assert_eq!((again.new, again.kept, again.jsonl().unwrap()), (0, 3, text.clone()));

    let files = Files::from([("apps/qa/evals/recordings/s.jsonl".to_owned(), text.into_bytes())]);
    releases.of_app = Releases::recordings_of(&files, &app());
    releases.client = None;
    let report = run(&loaded, &releases, &How::default()).await;
    assert_eq!(report.outcome, GateOutcome::Passed, "{:?}", report.findings);
    let asked = provider.calls();
    releases.candidate = release("3.0.0", json!({"kind": "openai", "base_url": provider.url()}));
    let report = run(&loaded, &releases, &How::default()).await;
    assert_eq!(codes(&report), ["stale_recording"]);
    assert!(report.findings[0].message.contains("the prompt of"), "{}", report.findings[0].message);
    assert_eq!(provider.calls(), asked, "replaying asks nobody");
}

#[tokio::test]
async fn findings_are_shown_where_machines_look() {
    let releases = recorded(12, 1, |version, case, _| {
        if version == "2.0.0" && case < 2 {
            "\u{1b}<dog> & \"cow\"".to_owned()
        } else {
            GOOD.to_owned()
        }
    });
    let report =
        run(&suite("checks:\n  - contains: <cat>\n", 12), &releases, &How::default()).await;
    let gates = [report.gate()];
    let results = [Results { name: "qa", gates: &gates }];
    let xml = junit(&results);
    assert!(xml.contains("failures=\"1\"") && xml.contains("&lt;cat&gt;"), "{xml}");
    assert!(!xml.contains('\u{1b}') && xml.matches("<testcase").count() == 1, "{xml}");
    published::junit_is_common(&xml);
    let sarif: Value = serde_json::from_str(&sarif(&results, "0.1.0").unwrap()).unwrap();
    published::sarif_is_official(&sarif);
    let run = &sarif["runs"][0];
    assert_eq!(run["results"][0]["ruleId"], "checks_broken");
    assert_eq!(run["tool"]["driver"]["rules"][0]["id"], "checks_broken");
    let uri = &run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(uri, "apps/qa/evals/s.yaml");
}
