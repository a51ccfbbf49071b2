//! Traffic that is not as anybody would wish: ties, wrong plans, late words, odd
//! times, subjects that show up late, rare events, and pairs in any order.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

use domain::policy::RolloutPolicy;
use domain::units::Timestamp;
use domain::verdict::{Outcome as Said, Reason, Verdict};
use serde_json::{Value, json};
use tidegate_analysis::backtest::{Action, Backtest};
use tidegate_analysis::{Engine, Outcome, Place, Side};

const PLACE: Place = Place { step: 0, exposed: true };
const MINUTE: i64 = 60_000;

/// Most false stops in 80 rollouts at 5 %: more have a chance below 1 in 500.
const MOST_OF_80: usize = 10;

fn policy(requests: u64, signals: Value) -> RolloutPolicy {
    serde_json::from_value(json!({
        "apiVersion": "tidegate/v1",
        "planned": {"duration": "72h", "requests": requests},
        "risk": {"false_stop": 0.05, "false_promote": 0.10},
        "signals": signals,
    }))
    .unwrap()
}

fn errors(notice: Value) -> Value {
    json!({"name": "error", "kind": "rate", "notice": notice, "action": "rollback"})
}

fn quality() -> Value {
    json!({"name": "quality", "kind": "score", "range": [0, 1], "worse": "lower",
           "notice": {"by": 0.05}, "action": "pause"})
}

/// SplitMix64, by position: the same everywhere.
fn uniform(seed: u64, i: u64, which: u64) -> f64 {
    let mut z = seed
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(i.wrapping_mul(0xD1B5_4A32_D192_ED03))
        .wrapping_add(which.wrapping_mul(0x8CB9_2BA7_2F3D_8DD7));
    for factor in [0xBF58_476D_1CE4_E5B9_u64, 0x94D0_49BB_1331_11EB] {
        z = (z ^ (z >> 30)).wrapping_mul(factor);
    }
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// One answer every ten seconds, half of them the candidate's; `value` is of an
/// answer by its number and whether it is the candidate's.
fn rollout(seed: u64, n: u64, value: impl Fn(u64, bool) -> f64) -> Vec<Outcome> {
    let one = |i: u64| {
        let candidate = uniform(seed, i, 1) < 0.5;
        Outcome {
            at: Timestamp(i as i64 * 10_000),
            side: if candidate { Side::Candidate } else { Side::Baseline },
            share: 0.5,
            unit: None,
            pair: None,
            input: None,
            segment: None,
            answer: None,
            step: 0,
            failed: false,
            values: vec![(0, value(i, candidate))],
        }
    };
    (0..n).map(one).collect()
}

/// Whole subjects are drawn: `of` says whose an answer is.
fn stick(seed: u64, outcomes: &mut [Outcome], of: impl Fn(u64) -> Option<u64>) {
    for (i, outcome) in (0_u64..).zip(outcomes) {
        let Some(subject) = of(i) else { continue };
        let candidate = uniform(seed, subject, 2) < 0.5;
        outcome.side = if candidate { Side::Candidate } else { Side::Baseline };
        outcome.unit = Some((uniform(seed, subject, 3) * 2.0_f64.powi(53)) as u64);
    }
}

fn toss(p: f64, u: f64) -> f64 {
    f64::from(u8::from(u < p))
}

/// Asks every minute; the minute of the first verdict like this, and the last
/// verdict.
fn first(policy: &RolloutPolicy, outcomes: &[Outcome], wanted: Said) -> (Option<i64>, Verdict) {
    let mut engine = Engine::new(policy, Timestamp(0), policy.risk.false_stop.0);
    let mut rest = outcomes.iter().peekable();
    let end = outcomes.last().map_or(0, |last| last.at.0) / MINUTE + 1;
    let (mut found, mut last) = (None, None);
    for minute in 0..=end {
        let now = Timestamp(minute * MINUTE);
        while let Some(outcome) = rest.next_if(|outcome| outcome.at <= now) {
            engine.add(outcome);
        }
        let verdict = engine.look(now, &PLACE).remove(0);
        if found.is_none() && verdict.outcome == wanted {
            found = Some(minute);
        }
        last = Some(verdict);
    }
    (found, last.unwrap())
}

fn stops(policy: &RolloutPolicy, runs: u64, make: impl Fn(u64) -> Vec<Outcome>) -> usize {
    (0..runs).filter(|run| first(policy, &make(*run), Said::Fail).0.is_some()).count()
}

fn passes(policy: &RolloutPolicy, runs: u64, make: impl Fn(u64) -> Vec<Outcome>) -> usize {
    (0..runs).filter(|run| first(policy, &make(*run), Said::Pass).0.is_some()).count()
}

#[test]
fn a_breaker_is_told_between_looks_and_only_where_it_stops_something() {
    let limited = |action: &str| json!({"name": "error", "kind": "rate", "limit": 0.05, "sustained": {"checks": 9}, "action": action});
    let bad = rollout(1, 400, |_, candidate| f64::from(u8::from(candidate)));
    for (signal, can) in [
        (limited("rollback"), true),
        (limited("notify"), false),
        (errors(json!({"times": 2})), false),
    ] {
        let policy = policy(4000, json!([signal]));
        let mut engine = Engine::new(&policy, Timestamp(0), 0.05);
        assert_eq!(engine.can_break(), can, "{signal}");
        let mut answers = 0;
        for outcome in &bad {
            engine.add(outcome);
            answers += u32::from(outcome.side == Side::Candidate);
            // Five bad answers in a row are enough at the start.
            assert_eq!(engine.broken().count(), usize::from(can && answers >= 5), "{answers}");
        }
        let verdict = engine.look(bad.last().unwrap().at, &PLACE).remove(0);
        assert_eq!(verdict.reason == Reason::Breaker, signal["limit"].is_number(), "{verdict:?}");
    }
    // Only the candidate's answers count.
    let policy = policy(4000, json!([limited("rollback")]));
    let mut engine = Engine::new(&policy, Timestamp(0), 0.05);
    for outcome in rollout(1, 400, |_, candidate| f64::from(u8::from(!candidate))) {
        engine.add(&outcome);
    }
    assert_eq!(engine.broken().count(), 0);
}

#[test]
fn tied_scores_neither_stop_nor_hide_harm() {
    let policy = policy(1500, json!([quality()]));
    let graded = |seed: u64, worse: f64| {
        rollout(seed, 1500, move |i, candidate| {
            let u = uniform(seed, i, 4) - if candidate { worse } else { 0.0 };
            if u < 0.2 {
                0.0
            } else if u < 0.5 {
                0.5
            } else {
                1.0
            }
        })
    };
    let stopped = stops(&policy, 80, |seed| graded(seed, 0.0));
    assert!(stopped <= MOST_OF_80, "{stopped}");
    assert_eq!(stops(&policy, 10, |seed| graded(seed, 0.3)), 10);
    // All alike: there is nothing to say, for ever.
    let (failed, verdict) = first(&policy, &rollout(3, 1500, |_, _| 0.75), Said::Fail);
    assert_eq!((failed, verdict.candidate.value), (None, Some(0.75)));
    assert!(verdict.evidence.unwrap() > 0.5, "{verdict:?}");
}

#[test]
fn a_plan_that_is_wrong_tenfold_keeps_the_promise() {
    for planned in [150, 15_000] {
        let policy = policy(planned, json!([errors(json!({"times": 2})), quality()]));
        let make = |seed: u64| {
            let mut outcomes = rollout(seed, 1500, |i, _| toss(0.1, uniform(seed, i, 4)));
            for (i, outcome) in (0_u64..).zip(&mut outcomes) {
                outcome.values.push((1, uniform(seed, i, 5)));
            }
            outcomes
        };
        let failing = |seed: &u64| {
            let outcomes = make(*seed);
            let mut engine = Engine::new(&policy, Timestamp(0), 0.05);
            let mut rest = outcomes.iter().peekable();
            (0..=250).any(|minute| {
                let now = Timestamp(minute * MINUTE);
                while let Some(outcome) = rest.next_if(|outcome| outcome.at <= now) {
                    engine.add(outcome);
                }
                engine.look(now, &PLACE).iter().any(|verdict| verdict.outcome == Said::Fail)
            })
        };
        let stopped = (0..80).filter(failing).count();
        assert!(stopped <= MOST_OF_80, "{stopped} at {planned} planned");
        // And harm is found, sooner or later.
        let worse = |seed: u64| {
            rollout(seed, 1500, move |i, c| toss(if c { 0.4 } else { 0.1 }, uniform(seed, i, 4)))
        };
        assert_eq!(stops(&policy, 10, worse), 10, "at {planned} planned");
    }
}

#[test]
fn words_that_come_late_count_when_they_come() {
    let policy = policy(1500, json!([errors(json!({"times": 2}))]));
    // Bad news takes hours, good news seconds; in order of arrival.
    let late = |seed: u64, worse: f64| {
        let mut outcomes = rollout(seed, 1500, move |i, candidate| {
            toss(if candidate { worse } else { 0.1 }, uniform(seed, i, 4))
        });
        for (i, outcome) in (0_u64..).zip(&mut outcomes) {
            let wait = if outcome.values[0].1 > 0.0 { 7_200_000.0 } else { 5_000.0 };
            outcome.at = Timestamp(outcome.at.0 + (uniform(seed, i, 5) * wait) as i64);
        }
        outcomes.sort_by_key(|outcome| outcome.at);
        outcomes
    };
    let stopped = stops(&policy, 80, |seed| late(seed, 0.1));
    assert!(stopped <= MOST_OF_80, "{stopped}");
    assert_eq!(stops(&policy, 10, |seed| late(seed, 0.5)), 10);
    // What has not come yet is not seen: all bad ones after an hour.
    let mut outcomes = late(1, 0.5);
    for outcome in outcomes.iter_mut().filter(|outcome| outcome.values[0].1 > 0.0) {
        outcome.at = outcome.at.max(Timestamp(3_600_000));
    }
    outcomes.sort_by_key(|outcome| outcome.at);
    let (found, _) = first(&policy, &outcomes, Said::Fail);
    assert!(found.unwrap() >= 60, "{found:?}");
}

#[test]
fn odd_times_change_neither_sense_nor_grid() {
    let policy = policy(2000, json!([errors(json!({"times": 2}))]));
    let decide = |outcomes: &[Outcome]| {
        let mut test = Backtest::new(&policy);
        outcomes.iter().for_each(|outcome| drop(test.push(outcome).cloned()));
        test.finish()
    };
    let harm = |i: u64, c: bool| toss(if c { 0.5 } else { 0.05 }, uniform(2, i, 4));
    let usual = rollout(2, 1500, harm);
    let decided = decide(&usual);
    assert_eq!((decided.action, decided.at.unwrap().0 % MINUTE), (Action::Rollback, 0));
    // All at one moment: one look, which has seen everything.
    for moment in [0, 1, MINUTE, 12_345] {
        let mut at_once = usual.clone();
        at_once.iter_mut().for_each(|outcome| outcome.at = Timestamp(moment));
        let decided = decide(&at_once);
        let look = (moment + MINUTE - 1) / MINUTE * MINUTE;
        assert_eq!((decided.action, decided.at.unwrap().0), (Action::Rollback, look.max(MINUTE)));
        assert_eq!(decided.seen.candidate + decided.seen.baseline, 1500);
    }
    // A millisecond beyond a look is seen by the next one only.
    let mut beyond = usual.clone();
    beyond
        .iter_mut()
        .for_each(|outcome| outcome.at = Timestamp(outcome.at.0 / MINUTE * MINUTE + 1));
    let later = decide(&beyond).at.unwrap();
    let mut on = usual.clone();
    on.iter_mut().for_each(|outcome| outcome.at = Timestamp(outcome.at.0 / MINUTE * MINUTE));
    let on = decide(&on).at.unwrap();
    assert_eq!(later.0 - on.0, MINUTE);
    // Ten years of silence in the middle decide nothing; harm before is not
    // found after.
    let mut gap = usual;
    let decided = decided.at.unwrap();
    gap.iter_mut()
        .filter(|outcome| outcome.at > decided)
        .for_each(|outcome| outcome.at = Timestamp(outcome.at.0 + 315_360_000_000));
    assert_eq!(decide(&gap).at, Some(decided));
    let mut calm = rollout(5, 1500, |i, _| toss(0.05, uniform(5, i, 4)));
    calm.iter_mut()
        .skip(700)
        .for_each(|outcome| outcome.at = Timestamp(outcome.at.0 + 315_360_000_000));
    assert_ne!(decide(&calm).action, Action::Rollback);
}

#[test]
fn a_subject_that_shows_from_the_second_line_on_sticks() {
    // Forty subjects who differ and ask forty times each. Taken one by one, chance
    // differences between them would be overwhelming evidence.
    let policy = policy(1600, json!([errors(json!({"times": 2}))]));
    let make = |seed: u64, from: u64| {
        // Lines before `from` do not say whose they are.
        let own = move |i: u64| uniform(seed, i % 40, 6).powi(3);
        let mut outcomes = rollout(seed, 1600, |i, _| toss(own(i), uniform(seed, i, 4)));
        stick(seed, &mut outcomes, |i| (i >= from).then_some(i % 40));
        outcomes
    };
    let stopped = stops(&policy, 80, |seed| make(seed, 1));
    assert!(stopped <= MOST_OF_80, "{stopped}");
    let unnamed = stops(&policy, 80, |seed| {
        let mut outcomes = make(seed, 0);
        outcomes.iter_mut().for_each(|outcome| outcome.unit = None);
        outcomes
    });
    assert!(unnamed > 2 * MOST_OF_80, "without names this must stop: {unnamed}");
    let worse = |seed: u64| {
        let mut outcomes = rollout(seed, 1600, |_, _| 0.0);
        stick(seed, &mut outcomes, |i| (i >= 1).then_some(i % 400));
        for (i, outcome) in (0_u64..).zip(&mut outcomes) {
            let rate = if outcome.side == Side::Candidate { 0.4 } else { 0.05 };
            outcome.values[0].1 = toss(rate, uniform(seed, i, 4));
        }
        outcomes
    };
    assert_eq!(stops(&policy, 10, worse), 10);
}

#[test]
fn rare_events_of_sticky_subjects_stay_within_the_risks() {
    let policy = policy(4000, json!([errors(json!({"times": 3}))]));
    let make = |seed: u64, rates: [f64; 2]| {
        let mut outcomes = rollout(seed, 4000, |_, _| 0.0);
        stick(seed, &mut outcomes, |i| Some(i / 4 % 200));
        for (i, outcome) in (0_u64..).zip(&mut outcomes) {
            let rate = rates[usize::from(outcome.side == Side::Candidate)];
            outcome.values[0].1 = toss(rate, uniform(seed, i, 4));
        }
        outcomes
    };
    let stopped = stops(&policy, 60, |seed| make(seed, [0.004, 0.004]));
    assert!(stopped <= 8, "{stopped}");
    assert!(stops(&policy, 10, |seed| make(seed, [0.004, 0.08])) >= 9);
    // Worse by the notice: promoted once in ten at most, 6 of 60.
    let passed = passes(&policy, 60, |seed| make(seed, [0.01, 0.03]));
    assert!(passed <= 12, "{passed}");
}

#[test]
fn an_absolute_notice_holds_whatever_the_rate_turns_out_to_be() {
    let policy = policy(3000, json!([errors(json!({"by": 0.04}))]));
    for rate in [0.01, 0.1, 0.5] {
        let make = |seed: u64, worse: f64| {
            rollout(seed, 3000, move |i, candidate| {
                toss(rate + if candidate { worse } else { 0.0 }, uniform(seed, i, 4))
            })
        };
        let passed = passes(&policy, 60, |seed| make(seed, 0.04));
        // 10 % of 60 are 6; more than 12 has a chance below 1 in 100.
        assert!(passed <= 12, "{passed} at {rate}");
        let stopped = stops(&policy, 60, |seed| make(seed, 0.0));
        assert!(stopped <= 8, "{stopped} at {rate}");
    }
    let harmless = |seed: u64| rollout(seed, 3000, move |i, _| toss(0.02, uniform(seed, i, 4)));
    assert!(passes(&policy, 20, harmless) >= 16);
}

#[test]
fn pair_lines_come_in_any_order() {
    let policy = policy(2000, json!([errors(json!({"times": 2})), quality()]));
    let pairs = |order: fn(u64) -> bool| {
        let mut outcomes = Vec::new();
        for i in 0..600_u64 {
            let hard = uniform(9, i, 1) < 0.1;
            let both = [Side::Baseline, Side::Candidate].map(|side| {
                let fails = hard || (side == Side::Candidate && uniform(9, i, 2) < 0.03);
                let mut outcome = rollout(9, 1, |_, _| f64::from(u8::from(fails))).remove(0);
                (outcome.at, outcome.side) = (Timestamp(i as i64 * 10_000), side);
                (outcome.pair, outcome.share) = (Some(i), 0.0);
                let which = 3 + u64::from(side == Side::Candidate);
                outcome.values.push((1, uniform(9, i, which)));
                outcome
            });
            let [baseline, candidate] = both;
            match order(i) {
                true => outcomes.extend([candidate, baseline]),
                false => outcomes.extend([baseline, candidate]),
            }
        }
        outcomes
    };
    let verdicts = |outcomes: &[Outcome]| {
        let mut engine = Engine::new(&policy, Timestamp(0), 0.05);
        outcomes.iter().for_each(|outcome| engine.add(outcome));
        engine.look(Timestamp(700 * 10_000), &PLACE)
    };
    let usual = verdicts(&pairs(|_| false));
    assert!(usual[0].evidence.unwrap() < 0.05, "pairs are evidence: {usual:?}");
    assert_eq!(verdicts(&pairs(|_| true)), usual);
    assert_eq!(verdicts(&pairs(|i| i.is_multiple_of(2))), usual);
}
