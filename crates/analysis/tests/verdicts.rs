//! One signal, one moment: numbers in, verdict out.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use domain::policy::RolloutPolicy;
use domain::routing::Arm;
use domain::units::Timestamp;
use domain::verdict::Outcome::{Fail, Hold, Inconclusive, NoData, Pass};
use domain::verdict::Reason::{
    NotWorse, Nothing, OverLimit, TooFew, Undecided, Unusable, WorseThanControl,
};
use support::{Trace, key, policy};
use tidegate_analysis::{Window, verdict};

const RISK: &str = r#"{"false_stop":0.01,"false_promote":0.05}"#;

fn labels_policy(signal: &str) -> RolloutPolicy {
    policy(&format!(r#"[{{"name":"bad","action":"rollback",{signal}}}]"#), RISK)
}

#[test]
fn labels_on_eighty_answers_each() {
    // Bad and all answers of control and of the candidate.
    for (control, candidate, outcome) in [
        ((1, 83), (28, 85), Fail),
        ((4, 77), (28, 85), Fail),
        ((2, 91), (59, 91), Fail),
        ((28, 85), (1, 83), Pass),
        ((24, 85), (4, 77), Pass),
        ((24, 85), (18, 79), Hold),
        ((18, 79), (24, 85), Hold),
    ] {
        for times in [1.1, 1.25] {
            let policy = labels_policy(&format!(r#""kind":"rate","notice":{{"times":{times}}}"#));
            for share in [0.5, 0.0] {
                let mut trace = Trace::labels("bad", control, candidate, share);
                if share == 0.0 {
                    trace = as_mirror(&trace);
                }
                let told = trace.verdict(&policy, 0, 100);
                assert_eq!(
                    told.outcome, outcome,
                    "{control:?} {candidate:?} times {times}: {told:?}"
                );
                assert_eq!(told.evidence.unwrap() <= told.boundary.unwrap(), outcome == Fail);
            }
        }
    }
}

/// The same labels, the candidate's given to mirrored copies.
fn as_mirror(trace: &Trace) -> Trace {
    let moved = trace.cells().into_iter().map(|(mut key, cell)| {
        if key.arm == Arm::Candidate {
            key.arm = Arm::Shadow;
        }
        (key, cell)
    });
    Trace(moved.collect())
}

#[test]
fn rates_where_fewer_is_worse() {
    for (signal, control, candidate, outcome) in [
        (r#""kind":"rate","worse":"lower","notice":{"by":0.05}"#, (90, 100), (30, 100), Fail),
        (r#""kind":"rate","worse":"lower","notice":{"times":0.9}"#, (90, 100), (30, 100), Fail),
        (r#""kind":"rate","worse":"lower","notice":{"by":0.1}"#, (300, 400), (380, 400), Pass),
        (r#""kind":"rate","worse":"lower","notice":{"times":0.9}"#, (300, 400), (380, 400), Pass),
        (r#""kind":"rate","worse":"lower","notice":{"by":0.05}"#, (60, 80), (58, 80), Hold),
        (r#""kind":"rate","worse":"lower","limit":0.8"#, (90, 100), (30, 100), Fail),
        (r#""kind":"rate","worse":"lower","limit":0.8"#, (90, 100), (85, 100), Pass),
    ] {
        let told =
            Trace::labels("bad", control, candidate, 0.5).verdict(&labels_policy(signal), 0, 500);
        assert_eq!(told.outcome, outcome, "{signal}: {told:?}");
        assert_eq!(
            told.candidate.bad,
            Some(candidate.1 - candidate.0),
            "the others are the bad ones"
        );
    }
}

#[test]
fn absolute_limits() {
    let rule = |extra: &str| labels_policy(&format!(r#""kind":"rate","limit":"5%"{extra}"#));
    for (extra, bad, n, outcome, reason) in [
        ("", 0, 100, Pass, NotWorse),
        ("", 6, 100, Hold, Undecided),
        ("", 14, 100, Fail, OverLimit),
        ("", 5, 10, Hold, TooFew),
        (r#","min_samples":5"#, 5, 10, Fail, OverLimit),
        (r#","sustained":{"checks":3}"#, 6, 100, Fail, OverLimit),
        (r#","sustained":{"checks":3}"#, 5, 100, Pass, NotWorse),
        (r#","sustained":{"for":"10m"}"#, 1, 10, Hold, TooFew),
    ] {
        let told = Trace::labels("bad", (0, 1), (bad, n), 0.5).verdict(&rule(extra), 0, 200);
        assert_eq!((told.outcome, told.reason), (outcome, reason), "{extra} {bad}/{n}: {told:?}");
        assert_eq!(told.limit, Some(0.05));
    }
}

#[test]
fn a_window_forgets_and_an_empty_one_is_no_data() {
    let policy = labels_policy(r#""kind":"rate","limit":"5%","window":"60s""#);
    let trace = Trace::labels("bad", (0, 1), (40, 40), 0.5);
    let at = |second: i64| {
        let window = Window { step: 0, exposed: true };
        verdict(&policy, &policy.signals[0], &trace.cells(), &window, Timestamp(second * 1000))
    };
    assert_eq!((at(45).outcome, at(45).reason), (Fail, OverLimit));
    assert_eq!(at(45).candidate.n, 40);
    assert_eq!((at(79).reason, at(79).candidate.n), (OverLimit, 20), "seconds 20 to 39");
    assert_eq!((at(80).outcome, at(80).reason), (Hold, TooFew), "19 are too few for the limit");
    assert_eq!((at(200).outcome, at(200).reason), (NoData, Nothing));
}

#[test]
fn without_a_window_a_limit_looks_at_the_step() {
    let policy = labels_policy(r#""kind":"rate","limit":"5%""#);
    let mut trace = Trace::labels("bad", (0, 1), (40, 40), 0.5);
    for second in 100..140 {
        let cell = trace.0.entry(key(Arm::Candidate, 1, 0.5, second));
        cell.add_feedback("bad", 0.0);
    }
    let at = |step| {
        let window = Window { step, exposed: true };
        verdict(&policy, &policy.signals[0], &trace.cells(), &window, Timestamp(150_000)).outcome
    };
    assert_eq!((at(0), at(1)), (Fail, Pass));
    assert_eq!(at(2), Fail, "a step without outcomes of its own: those before it stand");
}

#[test]
fn missing_and_unusable_numbers_never_pass() {
    let notice = r#""kind":"rate","notice":{"times":1.5}"#;
    let none = Trace::default();
    let other = Trace::labels("else", (0, 50), (0, 50), 0.5);
    let alone = Trace::labels("bad", (0, 0), (0, 50), 0.5);
    let mut odd = Trace::labels("bad", (20, 50), (0, 50), 0.5);
    for (value, second) in [(f64::NAN, 3), (f64::INFINITY, 4)] {
        odd.label(Arm::Candidate, 0.5, second, "bad", value);
    }
    let mut only_odd = Trace::default();
    only_odd.label(Arm::Candidate, 0.5, 3, "bad", f64::NAN);
    let mut halves = Trace::labels("bad", (20, 50), (0, 50), 0.5);
    halves.label(Arm::Candidate, 0.5, 3, "bad", 0.5);
    halves.label(Arm::Candidate, 0.5, 3, "bad", 2.0);
    let few = Trace::labels("bad", (2, 30), (0, 12), 0.5);
    for (name, trace, outcome, reason) in [
        ("none", &none, NoData, Nothing),
        ("another signal's", &other, NoData, Nothing),
        ("no control", &alone, Inconclusive, Unusable),
        ("not numbers", &odd, Inconclusive, Unusable),
        ("only not numbers", &only_odd, Inconclusive, Unusable),
        ("neither 0 nor 1", &halves, Inconclusive, Unusable),
        ("few", &few, Hold, TooFew),
    ] {
        let told = trace.verdict(&labels_policy(notice), 0, 60);
        assert_eq!((told.outcome, told.reason), (outcome, reason), "{name}: {told:?}");
    }
    let limit = labels_policy(r#""kind":"rate","limit":0.1"#);
    assert_eq!(
        few.verdict(&limit, 0, 60).needed,
        Some(8),
        "`min_samples` is all a limit waits for"
    );
    assert!(few.verdict(&labels_policy(notice), 0, 60).needed > Some(8));
}

#[test]
fn a_failure_stands_beside_unusable_numbers() {
    let mut trace = Trace::labels("bad", (1, 80), (40, 80), 0.5);
    for second in 0..20 {
        trace.label(Arm::Candidate, 0.5, second, "bad", f64::NAN);
    }
    let told = trace.verdict(&labels_policy(r#""kind":"rate","notice":{"times":1.5}"#), 0, 100);
    assert_eq!((told.outcome, told.reason), (Fail, WorseThanControl));
}

#[test]
fn old_numbers_do_not_pass_while_the_candidate_is_exposed() {
    let policy = labels_policy(r#""kind":"rate","notice":{"times":1.25}"#);
    let trace = Trace::labels("bad", (28, 85), (1, 83), 0.5);
    let at = |second: i64, exposed| {
        let window = Window { step: 0, exposed };
        verdict(&policy, &policy.signals[0], &trace.cells(), &window, Timestamp(second * 1000))
            .outcome
    };
    assert_eq!(at(100, true), Pass);
    assert_eq!(at(1_800 + 90, true), NoData, "silent for longer than `missing.hold_for`");
    assert_eq!(at(1_800 + 90, false), Pass);
}

#[test]
fn a_signal_whose_kind_its_numbers_cannot_have_is_unusable() {
    let policy = policy(
        r#"[{"name":"latency_ms","kind":"rate","notice":{"times":2},"action":"pause"}]"#,
        RISK,
    );
    let mut trace = Trace::default();
    for second in 0..100 {
        trace.answer(Arm::Control, 0.5, second, true, 100.0, 0.0);
        trace.answer(Arm::Candidate, 0.5, second, true, 100.0, 0.0);
    }
    let told = trace.verdict(&policy, 0, 100);
    assert_eq!((told.outcome, told.reason), (Inconclusive, Unusable));
}

/// 400 answers of each arm: latencies 100..200 ms, scaled; cost 1 cent, scaled.
fn two_arms(latency: f64, cost: f64, errors_every: i64) -> Trace {
    let mut trace = Trace::default();
    for second in 0..400 {
        let base = 100.0 + (second * 37 % 100) as f64;
        trace.answer(Arm::Control, 0.5, second, true, base, 0.01);
        let ok = errors_every == 0 || second % errors_every != 0;
        trace.answer(Arm::Candidate, 0.5, second, ok, base * latency, 0.01 * cost);
    }
    trace
}

#[test]
fn latencies_and_amounts() {
    let latency = |statistic: &str| {
        format!(
            r#"[{{"name":"latency_ms","kind":"latency","statistic":"{statistic}","notice":{{"times":1.3}},"action":"rollback"}}]"#
        )
    };
    let cost =
        r#"[{"name":"cost","kind":"amount","notice":{"times":1.15},"action":"pause"}]"#.to_owned();
    for (signal, trace, outcome) in [
        (latency("p95"), two_arms(1.8, 1.0, 0), Fail),
        (latency("p50"), two_arms(1.8, 1.0, 0), Fail),
        (latency("p95"), two_arms(1.0, 1.0, 0), Pass),
        (latency("mean"), two_arms(1.0, 1.0, 0), Pass),
        // Errors return fast; they count as the slowest answers all the same.
        (latency("p95"), two_arms(0.5, 1.0, 5), Fail),
        (cost.clone(), two_arms(1.0, 1.5, 0), Fail),
        (cost.clone(), two_arms(1.0, 1.0, 0), Pass),
        (cost.clone(), two_arms(1.0, 0.5, 0), Pass),
    ] {
        let told = trace.verdict(&policy(&signal, RISK), 0, 400);
        assert_eq!(told.outcome, outcome, "{signal}: {told:?}");
    }
}

#[test]
fn a_few_huge_bills_do_not_move_the_verdict_on_amounts() {
    let policy = policy(
        r#"[{"name":"cost","kind":"amount","notice":{"times":1.15},"action":"pause"}]"#,
        RISK,
    );
    let mut trace = two_arms(1.0, 1.0, 0);
    trace.answer(Arm::Candidate, 0.5, 200, true, 100.0, 5_000.0);
    assert_eq!(trace.verdict(&policy, 0, 400).outcome, Pass);
}

#[test]
fn limits_on_latencies_amounts_and_scores() {
    let one = |signal: &str| policy(&format!("[{{{signal},\"action\":\"rollback\"}}]"), RISK);
    let p95 = r#""name":"latency_ms","kind":"latency","statistic":"p95""#;
    for (signal, outcome) in [
        (format!(r#"{p95},"limit":150"#), Fail),
        (format!(r#"{p95},"limit":250"#), Pass),
        (r#""name":"cost","kind":"amount","limit":0.004"#.to_owned(), Fail),
        (r#""name":"cost","kind":"amount","limit":0.02"#.to_owned(), Pass),
        (
            r#""name":"csat","kind":"score","range":[1,5],"worse":"lower","limit":4.2"#.to_owned(),
            Fail,
        ),
        (
            r#""name":"csat","kind":"score","range":[1,5],"worse":"lower","limit":3.2"#.to_owned(),
            Pass,
        ),
    ] {
        let mut trace = two_arms(1.0, 1.0, 0);
        for second in 0..100 {
            trace
                .cell(Arm::Candidate, 0.5, second)
                .add_feedback("csat", [3.0, 4.0][second as usize % 2]);
        }
        let told = trace.verdict(&one(&signal), 0, 400);
        assert_eq!(told.outcome, outcome, "{signal}: {told:?}");
    }
}

#[test]
fn scores() {
    let policy = policy(
        r#"[{"name":"quality","kind":"score","range":[0,1],"worse":"lower","notice":{"by":0.1},"action":"pause"}]"#,
        RISK,
    );
    let judged = |candidate: f64, n: i64| {
        let mut trace = Trace::default();
        for second in 0..n {
            let wobble = [-0.1, 0.0, 0.1][second as usize % 3];
            trace.label(Arm::Control, 0.5, second, "quality", 0.8 + wobble);
            trace.label(Arm::Candidate, 0.5, second, "quality", candidate + wobble);
        }
        trace.verdict(&policy, 0, n)
    };
    assert_eq!(judged(0.6, 300).outcome, Fail);
    assert_eq!(judged(0.8, 600).outcome, Pass);
    assert_eq!(judged(0.72, 100).outcome, Hold);
    assert_eq!(judged(3.0, 100).outcome, Inconclusive, "outside its range");
}

#[test]
fn several_signals_share_the_risk_of_a_false_stop() {
    let policy = policy(
        r#"[{"name":"bad","kind":"rate","notice":{"times":2},"action":"rollback"},
            {"name":"error","kind":"rate","notice":{"times":2},"action":"rollback"},
            {"name":"fallback","kind":"rate","limit":0.5,"action":"notify"}]"#,
        RISK,
    );
    let told = Trace::labels("bad", (3, 80), (5, 80), 0.5).verdict(&policy, 0, 100);
    assert_eq!(told.boundary, Some(0.005));
}

#[test]
fn mirrored_copies_that_were_shed_do_not_make_a_candidate_look_better() {
    // Of 200 originals with 40 bad answers only 50 copies were answered, with
    // 10 bad answers: the same rate, a quarter of the count.
    let mut trace = as_mirror(&Trace::labels("bad", (40, 200), (10, 50), 0.0));
    let policy = labels_policy(r#""kind":"rate","notice":{"times":1.1}"#);
    assert_eq!(trace.verdict(&policy, 0, 300).outcome, Hold);
    trace = as_mirror(&Trace::labels("bad", (40, 200), (2, 200), 0.0));
    assert_eq!(trace.verdict(&policy, 0, 300).outcome, Pass);
}

#[test]
fn the_order_of_cells_does_not_matter_and_the_future_is_not_seen() {
    let policy = labels_policy(r#""kind":"rate","notice":{"times":1.5}"#);
    let trace = Trace::labels("bad", (4, 80), (30, 80), 0.5);
    let window = Window { step: 0, exposed: true };
    let mut cells = trace.cells();
    let before = verdict(&policy, &policy.signals[0], &cells, &window, Timestamp(40_000));
    cells.reverse();
    assert_eq!(verdict(&policy, &policy.signals[0], &cells, &window, Timestamp(40_000)), before);
    cells.retain(|(key, _)| key.second <= 40);
    assert_eq!(verdict(&policy, &policy.signals[0], &cells, &window, Timestamp(40_000)), before);
}
