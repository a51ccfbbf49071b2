//! Judges in the engine, by simulated answers whose truth is known.

use super::MAX_CHOSEN;
use crate::engine::{Engine, Place};
use crate::labels::resalt::mix;
use crate::outcome::{Label, Outcome, Side};
use domain::policy::RolloutPolicy;
use domain::units::Timestamp;
use domain::verdict::{Estimate, Verdict};
use serde_json::{Value, json};

const SENSITIVITY: f64 = 0.85;
const SPECIFICITY: f64 = 0.94;
/// True shares of bad answers: control's and the candidate's.
const TRUTH: [f64; 2] = [0.10, 0.16];

fn judge(sensitivity: f64, specificity: f64, labelled: u64) -> Value {
    json!({"sensitivity": sensitivity, "specificity": specificity, "labelled": labelled})
}

fn policy(worse: &str, judge: Value) -> RolloutPolicy {
    serde_json::from_value(json!({
        "apiVersion": "tidegate/v1",
        "signals": [{"name": "unhelpful", "kind": "rate", "worse": worse, "judge": judge,
            "notice": {"by": 0.03}, "action": "pause"}],
    }))
    .unwrap()
}

/// Numbers in (0, 1) by position, from a seed.
fn uniform(seed: u64, i: u64, which: u64) -> f64 {
    (mix(seed ^ mix(i ^ (which << 56))) >> 11) as f64 / (1_u64 << 53) as f64
}

/// What a judge with these errors says of answers that are as bad as the
/// truth has it.
fn rollout(seed: u64, n: u64) -> Vec<Outcome> {
    let one = |i: u64| {
        let candidate = uniform(seed, i, 1) < 0.5;
        let bad = uniform(seed, i, 2) < TRUTH[usize::from(candidate)];
        let called = if bad { SENSITIVITY } else { 1.0 - SPECIFICITY };
        let value = f64::from(u8::from(uniform(seed, i, 3) < called));
        Outcome {
            at: Timestamp(i as i64 * 1000),
            side: if candidate { Side::Candidate } else { Side::Baseline },
            share: 0.5,
            unit: None,
            pair: None,
            input: None,
            segment: None,
            answer: None,
            step: 0,
            failed: false,
            values: vec![(0, value)],
        }
    };
    (0..n).map(one).collect()
}

fn verdict(policy: &RolloutPolicy, outcomes: &[Outcome]) -> Verdict {
    let mut engine = Engine::new(policy, Timestamp(0), policy.risk.false_stop.0);
    outcomes.iter().for_each(|outcome| engine.add(outcome));
    let end = outcomes.last().map_or(Timestamp(0), |last| last.at);
    engine.look(end, &Place { step: 0, exposed: true }).remove(0)
}

fn covers(found: Estimate, truth: f64) -> bool {
    found.low <= truth && truth <= found.high
}

#[test]
fn a_corrected_rate_is_near_the_truth_where_the_judges_is_not() {
    let policy = policy("higher", judge(SENSITIVITY, SPECIFICITY, 2000));
    let verdict = verdict(&policy, &rollout(1, 20_000));
    let found = verdict.corrected.unwrap();
    assert_eq!(found.labels, 2000);
    let control = found.control.unwrap();
    for (said, found, truth) in [
        (verdict.control.value, control, TRUTH[0]),
        (verdict.candidate.value, found.candidate, TRUTH[1]),
    ] {
        assert!(said.unwrap() > truth + 0.02, "the judge says {said:?}, it is {truth}");
        assert!((found.value - truth).abs() < 0.015, "{found:?}, it is {truth}");
        assert!(covers(found, truth), "{found:?}, it is {truth}");
    }
    let difference = found.difference.unwrap();
    assert!((difference.value - (found.candidate.value - control.value)).abs() < 1e-9);
    assert!(covers(difference, TRUTH[1] - TRUTH[0]), "{difference:?}");
}

#[test]
fn intervals_cover_the_truth_when_the_judge_is_estimated_too() {
    let (mut rates, mut differences, runs) = (0_u32, 0_u32, 300_u32);
    for run in 0..u64::from(runs) {
        // Measured on 60 bad answers and on 60 good ones.
        let share = |p: f64, which| {
            let right = (0..60).filter(|i| uniform(run, *i, which) < p).count();
            right as f64 / 60.0
        };
        let measured = judge(share(SENSITIVITY, 8), share(SPECIFICITY, 9), 120);
        let verdict = verdict(&policy("higher", measured), &rollout(run, 1000));
        let found = verdict.corrected.unwrap();
        rates += u32::from(covers(found.candidate, TRUTH[1]));
        let difference = found.difference.unwrap();
        differences += u32::from(covers(difference, TRUTH[1] - TRUTH[0]));
    }
    // 95 % are 285; fewer than 275 has a chance below one in two hundred.
    assert!(rates >= 275 && differences >= 275, "{rates} {differences} of {runs}");
}

#[test]
fn where_lower_is_worse_the_same_answers_are_mirrored() {
    let known = judge(SENSITIVITY, SPECIFICITY, 500);
    let mut outcomes = rollout(3, 2000);
    let bad = verdict(&policy("higher", known.clone()), &outcomes).corrected.unwrap();
    for outcome in &mut outcomes {
        outcome.values[0].1 = 1.0 - outcome.values[0].1;
    }
    let good = verdict(&policy("lower", known), &outcomes).corrected.unwrap();
    let mirrored = |found: Estimate, of: f64| Estimate {
        value: of - found.value,
        low: of - found.high,
        high: of - found.low,
    };
    assert_eq!(good.candidate, mirrored(bad.candidate, 1.0));
    assert_eq!(good.control.unwrap(), mirrored(bad.control.unwrap(), 1.0));
    assert_eq!(good.difference.unwrap(), mirrored(bad.difference.unwrap(), 0.0));
}

#[test]
fn answers_of_the_same_subjects_are_worth_less() {
    let policy = policy("higher", judge(SENSITIVITY, SPECIFICITY, 100_000));
    let mut outcomes = rollout(4, 4000);
    for (i, outcome) in (0_u64..).zip(&mut outcomes) {
        let subject = i % 200;
        // Whole subjects get one version and are content or not.
        let candidate = uniform(4, subject, 5) < 0.5;
        outcome.side = if candidate { Side::Candidate } else { Side::Baseline };
        outcome.values[0].1 = f64::from(u8::from(uniform(4, subject, 6) < 0.2));
    }
    let width = |outcomes: &[Outcome]| {
        let found = verdict(&policy, outcomes).corrected.unwrap().candidate;
        (found.value, found.high - found.low)
    };
    let (alone, narrow) = width(&outcomes);
    for (i, outcome) in (0_u64..).zip(&mut outcomes) {
        outcome.unit = Some(mix(i % 200));
    }
    let (sticky, wide) = width(&outcomes);
    assert!((sticky - alone).abs() < 0.01, "{sticky} {alone}");
    // Twenty answers each: √20 = 4.5 times as wide.
    assert!(wide > 3.0 * narrow && wide < 6.0 * narrow, "{wide} {narrow}");
}

#[test]
fn the_correction_decides_nothing_and_needs_a_judge() {
    let outcomes = rollout(5, 3000);
    let with = verdict(&policy("higher", judge(0.7, 0.8, 50)), &outcomes);
    let without = verdict(&policy("higher", Value::Null), &outcomes);
    assert!(with.corrected.is_some());
    assert_eq!(without.corrected, None);
    assert_eq!(Verdict { corrected: None, ..with }, without);
    // Nothing of the candidate yet, nothing of control yet.
    let of = |side| -> Vec<Outcome> {
        outcomes.iter().filter(|outcome| outcome.side == side).cloned().collect()
    };
    let known = policy("higher", judge(0.7, 0.8, 50));
    assert_eq!(verdict(&known, &of(Side::Baseline)).corrected, None);
    let alone = verdict(&known, &of(Side::Candidate)).corrected.unwrap();
    assert_eq!((alone.control, alone.difference), (None, None));
}

/// What people say of the same answers: the truth, for the answers chosen at
/// this share, and the opposite of it for some that are not.
fn labels(seed: u64, n: u64, share: f64) -> Vec<Label> {
    let one = |i: u64| {
        let candidate = uniform(seed, i, 1) < 0.5;
        let bad = uniform(seed, i, 2) < TRUTH[usize::from(candidate)];
        let answer = mix(seed ^ mix(i));
        let chosen = (answer as f64) < share * 2.0_f64.powi(64);
        (chosen || i.is_multiple_of(3)).then(|| Label {
            side: if candidate { Side::Candidate } else { Side::Baseline },
            answer,
            signal: 0,
            value: f64::from(u8::from(bad == chosen)),
        })
    };
    (0..n).filter_map(one).collect()
}

fn named(seed: u64, mut outcomes: Vec<Outcome>) -> Vec<Outcome> {
    for (i, outcome) in (0_u64..).zip(&mut outcomes) {
        outcome.answer = Some(mix(seed ^ mix(i)));
    }
    outcomes
}

fn asked(share: f64) -> Value {
    json!({"human": {"share": share}})
}

fn verdict_with(policy: &RolloutPolicy, outcomes: &[Outcome], labels: &[Label]) -> Verdict {
    let mut engine = Engine::new(policy, Timestamp(0), policy.risk.false_stop.0);
    outcomes.iter().for_each(|outcome| engine.add(outcome));
    labels.iter().for_each(|label| engine.label(label));
    let end = outcomes.last().map_or(Timestamp(0), |last| last.at);
    engine.look(end, &Place { step: 0, exposed: true }).remove(0)
}

#[test]
fn labels_on_a_random_sample_give_the_truth_where_the_judge_errs() {
    let policy = policy("higher", asked(0.1));
    let outcomes = named(7, rollout(7, 20_000));
    let verdict = verdict_with(&policy, &outcomes, &labels(7, 20_000, 0.1));
    let found = verdict.corrected.unwrap();
    let control = found.control.unwrap();
    for (said, found, truth) in [
        (verdict.control.value, control, TRUTH[0]),
        (verdict.candidate.value, found.candidate, TRUTH[1]),
    ] {
        assert!(said.unwrap() > truth + 0.02, "the judge says {said:?}, it is {truth}");
        assert!((found.value - truth).abs() < 0.025, "{found:?}, it is {truth}");
        assert!(covers(found, truth), "{found:?}, it is {truth}");
    }
    assert!(covers(found.difference.unwrap(), TRUTH[1] - TRUTH[0]), "{found:?}");
    let labels = verdict.labels.unwrap();
    assert_eq!((labels.name.as_str(), labels.share), ("unhelpful.human", 0.1));
    assert_eq!(labels.control.judged + labels.candidate.judged, 20_000);
    assert_eq!(labels.candidate.judged, verdict.candidate.n);
    let of = labels.candidate;
    assert!((850..1150).contains(&of.chosen), "{of:?}");
    assert_eq!((of.labelled, of.wanted, found.labels), (of.chosen, 0, of.chosen));
    // A third of the others were labelled too, the wrong way round.
    assert!(labels.unused > 5500, "{labels:?}");
    assert!(found.by_people);
}

#[test]
fn intervals_by_people_cover_the_truth() {
    let (mut rates, mut differences, runs) = (0_u32, 0_u32, 300_u32);
    let policy = policy("higher", asked(0.1));
    for run in 0..u64::from(runs) {
        let outcomes = named(run, rollout(run, 1000));
        let found = verdict_with(&policy, &outcomes, &labels(run, 1000, 0.1));
        let found = found.corrected.unwrap();
        rates += u32::from(covers(found.candidate, TRUTH[1]));
        differences += u32::from(covers(found.difference.unwrap(), TRUTH[1] - TRUTH[0]));
    }
    assert!(rates >= 275 && differences >= 275, "{rates} {differences} of {runs}");
}

#[test]
fn labels_decide_nothing_in_any_order_and_come_before_or_after_the_judge() {
    let with = policy("higher", asked(0.1));
    let outcomes = named(8, rollout(8, 4000));
    let said = labels(8, 4000, 0.1);
    let after = verdict_with(&with, &outcomes, &said);
    let alone = verdict_with(&policy("higher", Value::Null), &outcomes, &said);
    assert!(after.corrected.is_some());
    assert_eq!(Verdict { corrected: None, labels: None, ..after.clone() }, alone);
    let mut backwards = said.clone();
    backwards.reverse();
    let mut engine = Engine::new(&with, Timestamp(0), 0.01);
    backwards.iter().for_each(|label| engine.label(label));
    outcomes.iter().for_each(|outcome| engine.add(outcome));
    let end = outcomes.last().unwrap().at;
    assert_eq!(engine.look(end, &Place { step: 0, exposed: true }), std::slice::from_ref(&after));
    // The first word on an answer stands; what is no number says nothing.
    for label in &said {
        engine.label(&Label { value: 1.0 - label.value, ..*label });
    }
    engine.label(&Label { value: 0.4, ..said[0] });
    let again = engine.look(end, &Place { step: 0, exposed: true }).remove(0);
    assert_eq!(again.corrected, after.corrected);
    assert_eq!(again.labels.unwrap().candidate, after.labels.unwrap().candidate);
}

#[test]
fn too_few_labels_are_said_and_answers_without_one_are_left_out() {
    let policy = policy("higher", asked(0.1));
    let outcomes = named(9, rollout(9, 2000));
    let all = labels(9, 2000, 0.1);
    let chosen: Vec<_> = all.iter().filter(|l| l.answer < u64::MAX / 10).copied().collect();
    let of = |side, n: usize| chosen.iter().filter(move |l| l.side == side).take(n).copied();
    let some: Vec<_> = of(Side::Candidate, 30).chain(of(Side::Baseline, 4)).collect();
    let verdict = verdict_with(&policy, &outcomes, &some);
    let (found, labels) = (verdict.corrected.unwrap(), verdict.labels.unwrap());
    assert_eq!((labels.candidate.labelled, labels.candidate.wanted), (30, 0));
    assert_eq!((labels.control.labelled, labels.control.wanted), (4, 6));
    assert_eq!((found.control, found.difference, found.labels), (None, None, 30));
    // Whatever the judge said of those that wait for a label changes nothing.
    let mut others = outcomes.clone();
    for outcome in &mut others {
        let waits = chosen.iter().any(|l| Some(l.answer) == outcome.answer)
            && !some.iter().any(|l| Some(l.answer) == outcome.answer);
        if waits {
            outcome.values[0].1 = 1.0;
        }
    }
    let again = verdict_with(&policy, &others, &some);
    assert_ne!(again.candidate, verdict.candidate);
    assert_eq!(again.corrected.unwrap().candidate, found.candidate);
}

#[test]
fn a_flood_of_chosen_answers_is_halved_and_stays_a_sample() {
    let policy = policy("higher", asked(1.0));
    let n = 3 * MAX_CHOSEN as u64;
    let outcomes = named(10, rollout(10, n));
    let verdict = verdict_with(&policy, &outcomes, &labels(10, n, 1.0));
    let (found, labels) = (verdict.corrected.unwrap(), verdict.labels.unwrap());
    assert_eq!(labels.share, 0.25);
    let [control, candidate] = [labels.control, labels.candidate];
    assert_eq!(control.judged + candidate.judged, n);
    assert_eq!(candidate.labelled, candidate.chosen);
    let chosen = control.chosen + candidate.chosen;
    assert!((7000..8000).contains(&chosen), "{chosen}");
    assert_eq!(labels.unused, n - chosen);
    assert!(covers(found.candidate, TRUTH[1]), "{found:?}");
}

#[test]
fn scores_stay_in_their_range_and_mirrors_are_mirrored() {
    let score: RolloutPolicy = serde_json::from_value(json!({
        "apiVersion": "tidegate/v1",
        "signals": [{"name": "tone", "kind": "score", "range": [1, 5], "worse": "lower",
            "judge": asked(0.5), "notice": {"by": 0.3}, "action": "pause"}],
    }))
    .unwrap();
    let mut outcomes = named(11, rollout(11, 600));
    let mut said = labels(11, 600, 0.5);
    for outcome in &mut outcomes {
        outcome.values[0].1 += 4.0;
    }
    said.iter_mut().for_each(|label| label.value = 4.5 + label.value / 2.0);
    let found = verdict_with(&score, &outcomes, &said).corrected.unwrap();
    assert!(found.candidate.value > 4.5 && found.candidate.high <= 5.0, "{found:?}");
    let outcomes = named(12, rollout(12, 2000));
    let said = labels(12, 2000, 0.3);
    let bad = verdict_with(&policy("higher", asked(0.3)), &outcomes, &said);
    let mut mirror = outcomes.clone();
    mirror.iter_mut().for_each(|outcome| outcome.values[0].1 = 1.0 - outcome.values[0].1);
    let mirrored: Vec<_> =
        said.iter().map(|label| Label { value: 1.0 - label.value, ..*label }).collect();
    let good = verdict_with(&policy("lower", asked(0.3)), &mirror, &mirrored);
    let (bad, good) = (bad.corrected.unwrap(), good.corrected.unwrap());
    assert_eq!(good.candidate.value, 1.0 - bad.candidate.value);
    assert_eq!(good.candidate.low, 1.0 - bad.candidate.high);
    assert_eq!(good.difference.unwrap().value, -bad.difference.unwrap().value);
}
