//! Stopping early: what it spares, and what it never leaves out.

use super::provider::{Provider, completion};
use super::{GOOD, json_of, live, recorded, run, suite};
use domain::finding::GateOutcome;
use serde_json::Value;
use tidegate_evals::{How, Limits, Options, SuiteReport};

fn early(concurrency: usize) -> How {
    let options = Options { stop_early: true, ..Options::default() };
    let limits = Limits { concurrency, ..Limits::default() };
    How { options, limits, ..How::default() }
}

#[tokio::test]
async fn between_repeats_all_cases_are_asked_and_the_rest_is_spared() {
    let yaml = "tier: paid\ntoken_cap: 1000000\nrepeats: 5\nchecks:\n  - contains: red cat\npass: {at_least: 80%}\n";
    let mut seen = Vec::new();
    for concurrency in [1, 16] {
        let provider = Provider::start(|_, _| completion(GOOD)).await;
        let report = run(&suite(yaml, 60), &live(&provider), &early(concurrency)).await;
        super::published::check(report.clone());
        assert_eq!(report.outcome, GateOutcome::Passed, "{:?}", report.findings);
        assert!(report.stopped_early);
        assert_eq!((report.repeats, report.planned_repeats), (1, Some(5)));
        assert_eq!((report.cases, report.not_reached, provider.calls()), (60, 0, 60));
        let said = "every rule was decided after 1 of 5 repeats";
        assert!(report.summary.contains(said), "{}", report.summary);
        // How long an answer took is the machine's, not the answer's.
        let mut report = report;
        report.cost.candidate.p95_ms = None;
        seen.push(json_of(report));
    }
    assert_eq!(seen[0], seen[1]);
}

/// A report without the texts of single cases.
fn numbers(report: SuiteReport) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|name, _| name != "example");
                fields.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value: Value = serde_json::from_str(&json_of(report)).unwrap();
    strip(&mut value);
    value
}

#[tokio::test]
async fn what_is_not_decided_is_asked_to_the_end_and_says_the_same() {
    let yaml = "repeats: 3\nchecks:\n  - contains: red cat\npass: {at_least: 70%, not_worse_by: 20%}\nscores:\n  - {metric: f1, not_worse_by: 0.2}\n";
    let releases = recorded(40, 3, |version, case, repeat| {
        // Kept four times in five, never twice the same way.
        let bad = (case * 7 + repeat * 3 + version.len()) % 5 == 0;
        if bad && version == "2.0.0" { "a dog".to_owned() } else { GOOD.to_owned() }
    });
    let loaded = suite(yaml, 40);
    let whole = run(&loaded, &releases, &How::default()).await;
    let rounds = run(&loaded, &releases, &early(8)).await;
    assert!(!rounds.stopped_early, "{}", rounds.summary);
    assert_eq!((rounds.repeats, rounds.planned_repeats), (3, None));
    assert!(rounds.flickering > 0);
    assert_eq!(numbers(rounds), numbers(whole));
}

#[tokio::test]
async fn a_lost_rule_ends_it_and_a_held_one_waits_for_the_others() {
    let one_bad = |version: &str, case: usize, _: usize| {
        if version == "2.0.0" && case == 7 { "a dog".to_owned() } else { GOOD.to_owned() }
    };
    let releases = recorded(30, 4, one_bad);
    let strict = suite("repeats: 4\nchecks:\n  - contains: red cat\n", 30);
    let report = run(&strict, &releases, &early(8)).await;
    assert_eq!((report.outcome, report.repeats), (GateOutcome::Failed, 1));
    assert_eq!(report.failing, ["c7"]);

    // Kept checks are decided at once; whether it is as good as production is not.
    let open = "repeats: 4\nchecks:\n  - contains: red cat\npass: {at_least: 60%}\nscores:\n  - {metric: f1, not_worse_by: 0.000001}\n";
    let report = run(&suite(open, 30), &releases, &early(8)).await;
    assert_eq!((report.stopped_early, report.repeats), (false, 4), "{}", report.summary);

    // One measure is far below what is asked: no more need be paid for.
    let lost = "repeats: 4\npass: {at_least: 60%}\nscores:\n  - {metric: f1, at_least: 0.3}\n";
    let far = recorded(30, 4, |_, case, _| format!("dogs {case}"));
    let report = run(&suite(lost, 30), &far, &early(8)).await;
    assert_eq!((report.outcome, report.repeats), (GateOutcome::Failed, 1), "{}", report.summary);
    // Between cases, too: measures count there as well.
    let once = lost.replace("repeats: 4", "repeats: 1");
    let many = recorded(400, 1, |_, case, _| format!("dogs {case}"));
    let report = run(&suite(&once, 400), &many, &early(8)).await;
    assert!(report.stopped_early && report.cases < 400, "{}", report.summary);
    assert!(report.summary.contains(&format!("after {} of 400 cases", report.cases)));
}

#[tokio::test]
async fn what_failed_in_production_is_always_all_asked() {
    let releases = recorded(30, 3, |_, case, _| if case == 0 { "a dog" } else { GOOD }.to_owned());
    let danger = suite("kind: danger\nrepeats: 3\nchecks:\n  - contains: red cat\n", 30);
    let report = run(&danger, &releases, &early(8)).await;
    assert_eq!((report.repeats, report.cases, report.stopped_early), (3, 30, false));
}
