//! Judges against arithmetic by hand, resampling, and simulated coverage.

use super::calibrated::{Calibration, Split};
use super::*;
use crate::experiment::random::Random;
use domain::policy::HumanLabels;
use domain::units::{Ratio, Share};

fn policy(sensitivity: f64, specificity: f64, labelled: u64) -> Judge {
    Judge {
        sensitivity: Some(Ratio(sensitivity)),
        specificity: Some(Ratio(specificity)),
        labelled: Some(labelled),
        human: None,
    }
}

fn asked() -> HumanLabels {
    HumanLabels { name: None, share: Share::from_bp(500) }
}

fn people() -> Judge {
    Judge { sensitivity: None, specificity: None, labelled: None, human: Some(asked()) }
}

/// An arm of which the judge called so many bad.
fn judged(bad: u64, n: u64) -> Arm {
    let mut arm = Arm::default();
    (0..n).for_each(|i| arm.add(f64::from(u8::from(i < bad)), None));
    arm
}

fn near(a: f64, b: f64, by: f64) {
    assert!((a - b).abs() <= by, "{a} is not {b}");
}

#[test]
fn a_rate_is_corrected_as_by_hand() {
    // (0.23 + 0.9 − 1)/(0.8 + 0.9 − 1) = 0.13/0.7.
    let rate = judged(230, 1000).corrected(&policy(0.8, 0.9, 200), 0.95).unwrap();
    near(rate.value, 0.13 / 0.7, 1e-6);
    assert_eq!(rate.labels, 200);
    assert!(rate.low < 0.13 / 0.7 && rate.high > 0.13 / 0.7, "{rate:?}");
    // Fewer alarms than a good release would raise: nothing is bad.
    let none = judged(20, 1000).corrected(&policy(0.8, 0.9, 200), 0.95).unwrap();
    assert_eq!((none.value, none.low), (0.0, 0.0));
    assert!(none.high > 0.0);
    let all = judged(990, 1000).corrected(&policy(0.8, 0.9, 200), 0.95).unwrap();
    assert_eq!((all.value, all.high), (1.0, 1.0));
}

#[test]
fn the_interval_is_that_of_lang_and_reiczigel() {
    // Worked by hand for z² = 3.8415: 50 of 200 called bad, 45 of 50 bad ones
    // found, 88 of 100 good ones left alone.
    let (z2, z) = (3.841_458_820_694_124_f64, 1.959_963_984_540_054_f64);
    let n = 200.0 + z2;
    let p = (50.0 + z2 / 2.0) / n;
    let (se, sp) = (46.0 / 52.0, 89.0 / 102.0);
    let index = se + sp - 1.0;
    let rate = (p + sp - 1.0) / index;
    let (m, a) = (se * (1.0 - se) / 52.0, sp * (1.0 - sp) / 102.0);
    let shift = 2.0 * z2 * (rate * m - (1.0 - rate) * a);
    let error = (p * (1.0 - p) / n + rate * rate * m + (1.0 - rate).powi(2) * a).sqrt() / index;
    let calibration = Calibration {
        sensitivity: 0.9,
        specificity: 0.88,
        split: Split::Known { bad: 50, good: 100 },
    };
    let found = calibration.rate(&judged(50, 200), 0.95).unwrap();
    near(found.low, rate + shift - z * error, 1e-6);
    near(found.high, rate + shift + z * error, 1e-6);
}

#[test]
fn the_variance_is_that_of_resampling() {
    // Draw everything anew: answers, and the labels of both calibrations.
    let (bad, good, n) = (120_u32, 240_u32, 400_u32);
    let (se, sp, truth) = (0.85, 0.92, 0.25);
    let apparent = truth * se + (1.0 - truth) * (1.0 - sp);
    let mut random = Random::new(3, 0);
    let mut share =
        |p: f64, n: u32| -> f64 { (0..n).map(|_| random.toss(p)).sum::<f64>() / f64::from(n) };
    let drawn: Vec<f64> = (0..4000)
        .map(|_| {
            let (a, se, sp) = (share(apparent, n), share(se, bad), share(sp, good));
            (a + sp - 1.0) / (se + sp - 1.0)
        })
        .collect();
    let mean = drawn.iter().sum::<f64>() / 4000.0;
    let deviation = (drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 3999.0).sqrt();
    let calibration = Calibration {
        sensitivity: se,
        specificity: sp,
        split: Split::Known { bad: bad.into(), good: good.into() },
    };
    let called = (apparent * f64::from(n)).round() as u64;
    let found = calibration.rate(&judged(called, n.into()), 0.95).unwrap();
    let half = (found.high - found.low) / 2.0;
    near(half / 1.96 / deviation, 1.0, 0.1);
}

#[test]
fn a_calibration_that_missed_nothing_is_not_taken_for_perfect() {
    let arm = judged(100, 1000);
    let wide = arm.corrected(&policy(1.0, 1.0, 20), 0.95).unwrap();
    let narrow = arm.corrected(&policy(1.0, 1.0, 20_000), 0.95).unwrap();
    assert!(wide.high - wide.low > 2.0 * (narrow.high - narrow.low), "{wide:?} {narrow:?}");
}

#[test]
fn a_judge_that_says_too_little_corrects_nothing() {
    let arm = judged(10, 100);
    for (judge, why) in [
        (policy(0.5, 0.5, 100), "a coin"),
        (policy(0.2, 0.3, 100), "worse than a coin"),
        (policy(f64::NAN, 0.9, 100), "no number"),
        (policy(0.9, 1.1, 100), "no share"),
        (policy(0.9, 0.9, 0), "never calibrated"),
        (Judge { labelled: None, ..policy(0.9, 0.9, 1) }, "nobody knows on how many"),
        (people(), "nobody labelled"),
    ] {
        assert_eq!(arm.corrected(&judge, 0.95), None, "{why}");
    }
    let mut graded = arm;
    graded.add(0.4, None);
    assert_eq!(graded.corrected(&policy(0.9, 0.9, 100), 0.95), None, "a share of what?");
    for level in [0.0, 1.0, f64::NAN] {
        assert_eq!(arm.corrected(&policy(0.9, 0.9, 100), level), None);
    }
    assert_eq!(Arm::default().corrected(&policy(0.9, 0.9, 100), 0.95), None);
}

#[test]
fn coverage_of_corrected_rates_is_what_is_stated() {
    for (truth, se, sp, n, bad, good) in [
        (0.05, 0.9, 0.95, 500, 40, 200),
        (0.3, 0.8, 0.8, 300, 100, 100),
        (0.01, 0.95, 0.99, 2000, 50, 50),
        (0.6, 0.7, 0.9, 200, 60, 40),
    ] {
        let mut covered = 0;
        let runs: u32 = 1000;
        for run in 0..runs {
            let mut random = Random::new(11, run.into());
            let mut count =
                |p: f64, n: u64| (0..n).map(|_| random.toss(p)).sum::<f64>().round() as u64;
            let called = count(truth * se + (1.0 - truth) * (1.0 - sp), n);
            let calibration = Calibration {
                sensitivity: count(se, bad) as f64 / bad as f64,
                specificity: count(sp, good) as f64 / good as f64,
                split: Split::Known { bad, good },
            };
            let found = calibration.rate(&judged(called, n), 0.95).unwrap();
            covered += u32::from(found.low <= truth && truth <= found.high);
        }
        assert!(covered * 1000 >= 935 * runs, "{covered} of {runs} at {truth}");
    }
}

/// A judge that agrees with people on all but a share of the answers.
fn labelled(random: &mut Random, truth: f64, wrong: f64, n: u64, labels: u64) -> Arm {
    let mut arm = Arm::default();
    for i in 0..n {
        let y = random.toss(truth);
        let f = if random.uniform() < wrong { 1.0 - y } else { y };
        arm.add(f, (i < labels).then_some(y));
    }
    arm
}

#[test]
fn a_powered_mean_is_that_of_its_formula() {
    // Twelve labels, eight others; everything by hand.
    let human = [1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 1, 1].map(f64::from);
    let judge = [0.9, 0.2, 0.7, 0.8, 0.1, 0.9, 0.4, 0.6, 1.0, 0.3, 0.8, 0.5];
    let rest = [0.2, 0.4, 0.9, 0.6, 0.1, 0.8, 0.3, 0.7];
    let mut arm = Arm::default();
    human.iter().zip(judge).for_each(|(y, f)| arm.add(f, Some(*y)));
    rest.iter().for_each(|f| arm.add(*f, None));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (y, f, g) = (mean(&human), mean(&judge), mean(&rest));
    let cov = human.iter().zip(judge).map(|(a, b)| (a - y) * (b - f)).sum::<f64>() / 11.0;
    let all: Vec<f64> = judge.iter().chain(&rest).copied().collect();
    let var = all.iter().map(|x| (x - mean(&all)).powi(2)).sum::<f64>() / 19.0;
    let lambda = (cov / ((1.0 + 12.0 / 8.0) * var)).clamp(0.0, 1.0);
    let found = powered::mean(&arm, 0.95).unwrap();
    near(found.lambda, lambda, 1e-4);
    near(found.value, y + lambda * (g - f), 1e-4);
    let residuals: Vec<f64> = human.iter().zip(judge).map(|(y, f)| y - lambda * f).collect();
    let spread = residuals.iter().map(|e| (e - mean(&residuals)).powi(2)).sum::<f64>() / 10.0;
    let rest_var = rest.iter().map(|x| (x - g).powi(2)).sum::<f64>() / 7.0;
    near(found.error.powi(2), spread / 12.0 + lambda * lambda * rest_var / 8.0, 1e-6);
}

#[test]
fn a_worthless_judge_leaves_the_plain_mean_of_the_labels() {
    let mut arm = Arm::default();
    for i in 0..40 {
        // What the judge says has nothing to do with what people say.
        arm.add(f64::from(i / 2 % 2), Some(f64::from(i % 2)));
    }
    (0..1000).for_each(|i| arm.add(f64::from(i % 10 / 9), None));
    let found = powered::mean(&arm, 0.95).unwrap();
    assert_eq!((found.lambda, found.saved, found.value), (0.0, 0, 0.5));
    // Scores, so that no labels are added: Student's interval of forty.
    let mut scores = Arm::default();
    (0..40).for_each(|i| scores.add(3.0, Some(1.0 + f64::from(i % 5))));
    let found = powered::mean(&scores, 0.95).unwrap();
    let deviation = (80.0_f64 / 39.0).sqrt();
    near(found.value, 3.0, 1e-9);
    near(found.high - 3.0, 2.022_690_9 * deviation / 40.0_f64.sqrt(), 1e-4);
}

#[test]
fn a_good_judge_saves_labels_and_says_how_many() {
    let mut random = Random::new(5, 0);
    let arm = labelled(&mut random, 0.3, 0.05, 20_000, 200);
    let found = powered::mean(&arm, 0.95).unwrap();
    assert!(found.lambda > 0.8, "{found:?}");
    assert!(found.saved > 400, "{found:?}");
    let plain = labelled(&mut random, 0.3, 0.5, 20_000, 200);
    assert!(powered::mean(&plain, 0.95).unwrap().saved < 20);
}

#[test]
fn coverage_of_powered_means_is_what_is_stated() {
    for (truth, wrong, labels) in
        [(0.3, 0.05, 50), (0.05, 0.02, 100), (0.02, 0.1, 50), (0.5, 0.5, 30), (0.1, 0.0, 40)]
    {
        let (mut covered, runs) = (0_u32, 1000_u32);
        for run in 0..runs {
            let arm = labelled(&mut Random::new(21, run.into()), truth, wrong, 1000, labels);
            let found = powered::mean(&arm, 0.95).unwrap();
            covered += u32::from(found.low <= truth && truth <= found.high);
        }
        assert!(covered * 1000 >= 935 * runs, "{covered} of {runs} at {truth} {wrong} {labels}");
    }
}

#[test]
fn ten_labels_of_nothing_bad_are_no_proof() {
    let mut arm = Arm::default();
    (0..10).for_each(|_| arm.add(0.0, Some(0.0)));
    (0..1000).for_each(|_| arm.add(0.0, None));
    let found = powered::mean(&arm, 0.95).unwrap();
    assert_eq!((found.value, found.low), (0.0, 0.0));
    assert!(found.high > 0.2, "{found:?}");
    // On a scale that is not known there is nothing to say.
    let mut same = Arm::default();
    (0..10).for_each(|_| same.add(4.0, Some(4.0)));
    assert_eq!(powered::mean(&same, 0.95), None);
}

#[test]
fn differences_cover_the_truth_and_share_the_judge() {
    let (mut powered, mut calibrated, runs) = (0_u32, 0_u32, 600_u32);
    for run in 0..runs {
        let mut random = Random::new(31, run.into());
        let a = labelled(&mut random, 0.3, 0.1, 800, 80);
        let b = labelled(&mut random, 0.2, 0.1, 800, 80);
        let found = difference(&a, &b, &people(), 0.95).unwrap();
        powered += u32::from(found.low <= 0.1 && 0.1 <= found.high);
        let mut rate = |n: u32| (0..n).map(|_| random.toss(0.9)).sum::<f64>() / f64::from(n);
        let found = difference(&a, &b, &policy(rate(50), rate(50), 100), 0.95).unwrap();
        calibrated += u32::from(found.low <= 0.1 && 0.1 <= found.high);
    }
    assert!(powered * 1000 >= 935 * runs && calibrated * 1000 >= 935 * runs);
    // The same arm twice differs by nothing, however little is known of the judge.
    let arm = judged(30, 100);
    let same = difference(&arm, &arm, &policy(0.7, 0.7, 10), 0.95).unwrap();
    assert_eq!(same.value, 0.0);
    near(same.low, -same.high, 1e-9);
}

#[test]
fn one_arm_with_labels_and_one_without_are_compared_by_the_calibration() {
    let judge = Judge { human: Some(asked()), ..policy(0.9, 0.9, 100) };
    let a = labelled(&mut Random::new(1, 1), 0.3, 0.1, 500, 60);
    let found = difference(&a, &judged(150, 500), &judge, 0.95).unwrap();
    assert_eq!(found.labels, 100);
    assert_eq!(a.corrected(&judge, 0.95).unwrap().labels, 60);
}

#[test]
fn too_few_labels_correct_nothing() {
    let arm = |labels| labelled(&mut Random::new(2, 2), 0.3, 0.1, 500, labels);
    assert_eq!(arm(FEW_LABELS - 1).corrected(&people(), 0.95), None);
    assert_eq!(arm(FEW_LABELS).corrected(&people(), 0.95).unwrap().labels, FEW_LABELS);
    let enough = arm(50);
    assert_eq!(difference(&enough, &arm(FEW_LABELS - 1), &people(), 0.95), None);
}

#[test]
fn labels_of_the_same_subjects_are_worth_less() {
    // Twenty answers of each of 200 subjects, all alike; half of them labelled.
    let mut arm = Arm::default();
    let mut random = Random::new(4, 4);
    for _ in 0..200 {
        let (y, wrong) = (random.toss(0.3), random.toss(0.2));
        let f = (y - wrong).abs();
        (0..20).for_each(|i| arm.add(f, (i % 2 == 0).then_some(y)));
    }
    let width = |arm: &Arm| {
        let found = powered::mean(arm, 0.95).unwrap();
        (found.value, found.high - found.low)
    };
    let ((alone, narrow), (sticky, wide)) = (width(&arm), width(&arm.worth(20.0)));
    near(sticky, alone, 0.01);
    // Ten labels of each subject, so √10 times as wide, a bit more for the rest.
    assert!(wide > 2.8 * narrow && wide < 4.5 * narrow, "{wide} {narrow}");
    // A subject with one labelled answer of many: labels are worth nearly all.
    let mut few = judged(300, 1000);
    (0..20).for_each(|i| few.add(f64::from(i % 2), Some(f64::from(i % 2))));
    assert_eq!(few.worth(5.0).labels(), 19);
    for odd in [f64::NAN, 0.5, 1.0] {
        assert_eq!(few.worth(odd), few);
    }
    assert_eq!(Arm::default().worth(7.0), Arm::default());
}

#[test]
fn arms_add_up_exactly_in_any_order() {
    let mut random = Random::new(9, 9);
    let answers: Vec<(f64, Option<f64>)> = (0..300)
        .map(|i| (random.uniform() * 5.0, (i % 7 == 0).then(|| random.uniform() * 5.0)))
        .collect();
    let whole = |range: std::ops::Range<usize>| {
        let mut arm = Arm::default();
        answers[range].iter().for_each(|(f, y)| arm.add(*f, *y));
        arm
    };
    let mut parts = whole(200..300);
    parts.merge(&whole(0..50));
    parts.merge(&whole(50..200));
    assert_eq!(parts, whole(0..300));
    let mut odd = parts;
    odd.add(f64::NAN, None);
    odd.add(0.0, Some(f64::NAN));
    assert_eq!(odd, parts);
    odd.add(f64::INFINITY, Some(f64::NEG_INFINITY));
    assert!(powered::mean(&odd, 0.95).unwrap().value.is_finite());
}
