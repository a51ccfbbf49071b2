//! Tests of the engine as a whole.

use super::*;
use crate::labels::resalt::mix;
use crate::outcome::Side;
use domain::verdict::{Outcome as Judged, Reason};
use proptest::prelude::*;
use serde_json::{Value, json};

const PLACE: Place = Place { step: 0, exposed: true };

fn policy(signals: Value) -> RolloutPolicy {
    serde_json::from_value(json!({
        "apiVersion": "tidegate/v1",
        "check_every": 60,
        "planned": {"duration": "72h", "requests": 4000},
        "risk": {"false_stop": 0.05, "false_promote": 0.10},
        "signals": signals,
    }))
    .unwrap()
}

fn errors() -> Value {
    json!({"name": "error", "kind": "rate", "notice": {"times": 2}, "action": "rollback"})
}

fn latency(statistic: &str) -> Value {
    json!({"name": "latency_ms", "kind": "latency", "statistic": statistic,
           "notice": {"times": 1.2}, "action": "rollback"})
}

fn quality() -> Value {
    json!({"name": "quality", "kind": "score", "range": [0, 1], "worse": "lower",
           "notice": {"by": 0.05}, "action": "pause"})
}

/// Numbers in (0, 1) by position, from a seed.
fn uniform(seed: u64, i: u64, which: u64) -> f64 {
    (mix(seed ^ mix(i ^ (which << 56))) >> 11) as f64 / (1_u64 << 53) as f64
}

/// One answer every ten seconds; `bad` is the rate of either arm.
fn rollout(seed: u64, n: u64, share: f64, bad: [f64; 2]) -> Vec<Outcome> {
    let one = |i: u64| {
        let candidate = uniform(seed, i, 1) < share;
        let rate = bad[usize::from(candidate)];
        let event = f64::from(u8::from(uniform(seed, i, 2) < rate));
        let slow = 800.0 * (1.0 + event) * (0.5 + uniform(seed, i, 3));
        Outcome {
            at: Timestamp(i as i64 * 10_000),
            side: if candidate { Side::Candidate } else { Side::Baseline },
            share,
            unit: None,
            pair: None,
            input: None,
            segment: None,
            answer: None,
            step: 0,
            failed: false,
            values: vec![(0, event), (1, slow), (2, 0.8 - 0.4 * event)],
        }
    };
    (0..n).map(one).collect()
}

/// Asks at every look of the grid; the first failure, and the last verdicts.
fn run(policy: &RolloutPolicy, outcomes: &[Outcome]) -> (Option<(i64, String)>, Vec<Verdict>) {
    let mut engine = Engine::new(policy, Timestamp(0), policy.risk.false_stop.0);
    let mut failed = None;
    let mut rest = outcomes.iter().peekable();
    let end = outcomes.last().map_or(0, |last| last.at.0) / 60_000 + 1;
    let mut verdicts = Vec::new();
    for minute in 0..=end {
        let now = Timestamp(minute * 60_000);
        while let Some(outcome) = rest.next_if(|outcome| outcome.at <= now) {
            engine.add(outcome);
        }
        verdicts = engine.look(now, &PLACE);
        let fails = |verdict: &&Verdict| verdict.outcome == Judged::Fail;
        if let (None, Some(verdict)) = (&failed, verdicts.iter().find(fails)) {
            failed = Some((minute, verdict.signal.clone()));
        }
    }
    (failed, verdicts)
}

fn all() -> RolloutPolicy {
    policy(json!([errors(), latency("p95"), quality()]))
}

#[test]
fn harm_is_found_and_named_with_its_numbers() {
    let (failed, verdicts) = run(&all(), &rollout(1, 3000, 0.2, [0.03, 0.2]));
    let (minute, _) = failed.expect("a sevenfold error rate");
    assert!(minute < 120, "{minute}");
    let error = &verdicts[0];
    assert_eq!((error.outcome, error.reason), (Judged::Fail, Reason::WorseThanControl));
    let (low, high) = error.interval.unwrap();
    assert!((0.0..0.17).contains(&low) && high > 0.17, "{low} {high}");
    assert!(error.evidence.unwrap() <= error.boundary.unwrap());
    assert!(error.candidate.value.unwrap() > 4.0 * error.control.value.unwrap());
}

#[test]
fn a_harmless_candidate_passes_every_signal_by_evidence() {
    let (failed, verdicts) = run(&all(), &rollout(2, 4000, 0.5, [0.05, 0.05]));
    assert_eq!(failed, None);
    for verdict in &verdicts {
        assert_eq!(verdict.outcome, Judged::Pass, "{verdict:?}");
    }
}

#[test]
fn without_a_bad_answer_a_candidate_passes_too() {
    let (_, verdicts) = run(&all(), &rollout(3, 3000, 0.5, [0.0, 0.0]));
    assert_eq!(verdicts[0].outcome, Judged::Pass, "{:?}", verdicts[0]);
    let (low, high) = verdicts[0].interval.unwrap();
    assert!(low < 0.0 && high > 0.0, "no bad answers are no certainty");
}

#[test]
fn a_better_candidate_never_stops() {
    for seed in 0..20 {
        let (failed, _) = run(&all(), &rollout(seed, 1500, 0.3, [0.2, 0.05]));
        assert_eq!(failed, None, "seed {seed}");
    }
}

#[test]
fn nothing_measured_silence_and_odd_numbers_are_verdicts_of_their_own() {
    let policy = all();
    let mut engine = Engine::new(&policy, Timestamp(0), 0.05);
    let of = |engine: &mut Engine, at| engine.look(Timestamp(at), &PLACE)[0].clone();
    let verdict = of(&mut engine, 60_000);
    assert_eq!((verdict.outcome, verdict.reason), (Judged::NoData, Reason::Nothing));
    let mut outcomes = rollout(4, 400, 0.5, [0.1, 0.1]);
    for outcome in &outcomes {
        engine.add(outcome);
    }
    let verdict = of(&mut engine, 4_000_000);
    assert_eq!(verdict.outcome, Judged::Hold);
    // The candidate falls silent while control goes on.
    for (i, outcome) in outcomes.iter_mut().take(40).enumerate() {
        outcome.side = Side::Baseline;
        outcome.at = Timestamp(4_000_000 + i as i64);
        engine.add(outcome);
    }
    let verdict = of(&mut engine, 4_060_000);
    assert_eq!((verdict.outcome, verdict.reason), (Judged::NoData, Reason::Stale));
    let mut engine = Engine::new(&policy, Timestamp(0), 0.05);
    for mut outcome in rollout(5, 400, 0.5, [0.1, 0.1]) {
        outcome.values[0].1 = f64::NAN;
        engine.add(&outcome);
    }
    let verdict = of(&mut engine, 4_000_000);
    assert_eq!((verdict.outcome, verdict.reason), (Judged::Inconclusive, Reason::Unusable));
}

#[test]
fn failed_answers_are_the_slowest() {
    let policy = policy(json!([latency("p95")]));
    let mut outcomes = rollout(6, 2500, 0.3, [0.0, 0.0]);
    for (i, outcome) in outcomes.iter_mut().enumerate() {
        outcome.failed = outcome.side == Side::Candidate && i % 4 == 0;
        // They fail fast.
        outcome.values = vec![(0, if outcome.failed { 5.0 } else { outcome.values[1].1 })];
    }
    let (failed, verdicts) = run(&policy, &outcomes);
    assert!(failed.is_some(), "{verdicts:?}");
}

#[test]
fn sticky_subjects_are_one_coin() {
    // Forty subjects who differ from each other and ask a hundred times each:
    // by requests there would be overwhelming evidence for chance differences.
    let policy = policy(json!([errors()]));
    let mut stopped = 0;
    for seed in 0..60 {
        let mut outcomes = rollout(seed, 4000, 0.5, [0.0, 0.0]);
        for (i, outcome) in outcomes.iter_mut().enumerate() {
            let unit = mix((seed << 8) | (i as u64 % 40));
            let candidate = uniform(seed, unit, 7) < 0.5;
            outcome.unit = Some(unit);
            outcome.side = if candidate { Side::Candidate } else { Side::Baseline };
            let own = uniform(seed, unit, 8).powi(3);
            outcome.values = vec![(0, f64::from(u8::from(uniform(seed, i as u64, 9) < own)))];
        }
        stopped += u32::from(run(&policy, &outcomes).0.is_some());
    }
    // 5 % of 60 are 3; more than 9 has a chance below one in a thousand.
    assert!(stopped <= 9, "{stopped}");
}

#[test]
fn pairs_need_fewer_inputs_and_repeated_inputs_are_no_new_evidence() {
    let policy = policy(json!([errors()]));
    let pairs = |repeats: u64| -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for i in 0..1200_u64 {
            let input = if repeats > 0 { i % repeats } else { i };
            // Hard inputs are hard for both; the candidate fails some more.
            let hard = uniform(11, input, 1) < 0.05;
            let worse = uniform(11, input, 2) < 0.04;
            for side in [Side::Baseline, Side::Candidate] {
                let bad = hard || (worse && side == Side::Candidate);
                outcomes.push(Outcome {
                    at: Timestamp(i as i64 * 10_000),
                    side,
                    share: 0.0,
                    unit: None,
                    pair: Some(i),
                    input: Some(input),
                    segment: None,
                    answer: None,
                    step: 0,
                    failed: false,
                    values: vec![(0, f64::from(u8::from(bad)))],
                });
            }
        }
        outcomes
    };
    let (failed, _) = run(&policy, &pairs(0));
    assert!(failed.unwrap().0 < 60, "a dozen pairs that all differ one way");
    // Four inputs on which the candidate fails, asked again and again.
    let few = (0..30).filter(|i| uniform(11, *i, 2) < 0.04 && uniform(11, *i, 1) >= 0.05).count();
    assert!(few <= 4, "{few}");
    assert_eq!(run(&policy, &pairs(30)).0, None);
}

#[test]
fn risk_of_a_signal_that_ended_passes_on_and_the_sum_stays() {
    let policy = all();
    let mut engine = Engine::new(&policy, Timestamp(0), 0.05);
    let mut outcomes = rollout(8, 3000, 0.5, [0.05, 0.05]);
    for outcome in outcomes.iter_mut().skip(200) {
        // The judge ran at the beginning only.
        outcome.values.truncate(2);
    }
    let mut most = 0.0_f64;
    for outcome in &outcomes {
        engine.add(outcome);
        let sum: f64 = engine.signals.iter().map(SignalState::risk).sum();
        assert!((sum - 0.05).abs() < 1e-12, "{sum}");
        most = most.max(engine.signals[0].risk());
    }
    assert!(most > 0.02, "{most}");
    assert!(engine.spent() <= 0.05);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_restart_in_the_middle_changes_nothing(seed in 0..1000_u64, cut in 1..1400_usize) {
        let outcomes = rollout(seed, 1500, 0.3, [0.1, 0.18]);
        let policy = all();
        let mut whole = Engine::new(&policy, Timestamp(0), 0.05);
        let mut again = Engine::new(&policy, Timestamp(0), 0.05);
        outcomes.iter().take(cut).for_each(|outcome| whole.add(outcome));
        // Looks in between, on and off the grid, change nothing.
        let last = outcomes[cut - 1].at;
        let on_grid = Timestamp(last.0 / 60_000 * 60_000);
        whole.look(on_grid, &PLACE);
        outcomes.iter().skip(cut).for_each(|outcome| whole.add(outcome));
        outcomes.iter().for_each(|outcome| again.add(outcome));
        let end = Timestamp(1500 * 10_000);
        prop_assert_eq!(whole.look(end, &PLACE), again.look(end, &PLACE));
    }

    #[test]
    fn scaling_units_changes_nothing(seed in 0..1000_u64) {
        let outcomes = rollout(seed, 1200, 0.3, [0.05, 0.25]);
        // A power of two scales without rounding; seconds for milliseconds may
        // round, but never change an order.
        for scale in [1024.0, 0.001] {
            let scaled: Vec<Outcome> = outcomes
                .iter()
                .map(|outcome| {
                    let mut scaled = outcome.clone();
                    scaled.values[1].1 *= scale;
                    scaled
                })
                .collect();
            for statistic in ["p95", "mean"] {
                let policy = policy(json!([errors(), latency(statistic)]));
                let (failed, verdicts) = run(&policy, &outcomes);
                let (also, others) = run(&policy, &scaled);
                prop_assert_eq!(failed, also);
                let outcome = |verdict: &Verdict| verdict.outcome;
                prop_assert_eq!(
                    verdicts.iter().map(outcome).collect::<Vec<_>>(),
                    others.iter().map(outcome).collect::<Vec<_>>()
                );
            }
        }
    }

    #[test]
    fn relabelling_the_arms_mirrors_the_evidence(seed in 0..1000_u64) {
        // With a share of one half, "candidate worse" on the one side is
        // "candidate better" on the other: never do both fail.
        let outcomes = rollout(seed, 1500, 0.5, [0.05, 0.2]);
        let mirrored: Vec<Outcome> = outcomes
            .iter()
            .map(|outcome| Outcome {
                side: match outcome.side {
                    Side::Baseline => Side::Candidate,
                    Side::Candidate => Side::Baseline,
                },
                ..outcome.clone()
            })
            .collect();
        let policy = policy(json!([errors()]));
        let (failed, verdicts) = run(&policy, &outcomes);
        let (mirror, others) = run(&policy, &mirrored);
        prop_assert!(failed.is_some() && mirror.is_none());
        prop_assert_eq!(verdicts[0].control, others[0].candidate);
        prop_assert_eq!(verdicts[0].candidate, others[0].control);
        let (low, high) = others[0].interval.unwrap();
        prop_assert!(low < 0.0 && high < 0.05, "{} {}", low, high);
    }

    #[test]
    fn what_comes_after_a_verdict_never_changes_it(seed in 0..1000_u64) {
        let mut outcomes = rollout(seed, 800, 0.4, [0.03, 0.3]);
        let policy = all();
        let (failed, _) = run(&policy, &outcomes);
        prop_assert!(failed.is_some());
        let good = rollout(seed + 1, 2000, 0.4, [0.3, 0.0]);
        let later = outcomes.last().map_or(0, |last| last.at.0) + 10_000;
        outcomes.extend(good.into_iter().map(|mut outcome| {
            outcome.at = Timestamp(outcome.at.0 + later);
            outcome
        }));
        let (also, verdicts) = run(&policy, &outcomes);
        prop_assert_eq!(&failed, &also);
        prop_assert!(verdicts.iter().any(|verdict| verdict.outcome == Judged::Fail));
    }

    #[test]
    fn hostile_outcomes_never_panic(
        lines in proptest::collection::vec(
            (any::<i64>(), any::<bool>(), any::<f64>(), proptest::option::of(any::<u64>()),
             proptest::option::of(0..3_u64), proptest::option::of(0..40_u64), any::<bool>(),
             proptest::collection::vec((0..4_u16, any::<f64>()), 0..4)), 0..200),
    ) {
        let policy = all();
        let mut engine = Engine::new(&policy, Timestamp(i64::MIN), 0.05);
        for (at, candidate, share, unit, pair, segment, failed, values) in lines {
            let side = if candidate { Side::Candidate } else { Side::Baseline };
            let at = Timestamp(at);
            engine.add(&Outcome {
                at, side, share, unit, pair, input: unit, segment, answer: None, step: 0, failed, values,
            });
            let verdicts = engine.look(at, &PLACE);
            prop_assert_eq!(verdicts.len(), 3);
        }
        prop_assert!(engine.spent() <= 0.05 + 1e-9);
    }
}
