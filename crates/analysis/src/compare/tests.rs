//! Against published values, brute force and simulation.

use super::paired::{mean_difference, mean_score};
use super::repeats::{Discordant, flickers};
use super::sequence::Sequence;
use super::share::{clopper_pearson, clustered, zero_bound, zero_sample};
use super::{Interval, Method};
use crate::experiment::random::Random;

fn close(got: f64, want: f64, within: f64) {
    assert!((got - want).abs() <= within, "{got} is not {want}");
}

#[test]
fn clopper_and_pearson_agree_with_their_closed_form_and_with_tables() {
    // The last two: Newcombe (Statistics in Medicine 17, 1998), table I.
    for (kept, asked, low, high) in [
        (5.0, 10.0, 0.1871, 0.8129),
        (1.0, 20.0, 0.0013, 0.2487),
        (81.0, 263.0, 0.2527, 0.3676),
        (15.0, 148.0, 0.0578, 0.1617),
    ] {
        let got = clopper_pearson(kept, asked, 0.95);
        close(got.low, low, 6e-5);
        close(got.high, high, 6e-5);
    }
    // None of n: 1 − 0.025^(1/n).
    close(clopper_pearson(0.0, 10.0, 0.95).high, 1.0 - 0.025_f64.powf(0.1), 1e-9);
    assert_eq!(clopper_pearson(10.0, 10.0, 0.95).high, 1.0);
    assert_eq!(clopper_pearson(0.0, 0.0, 0.95).method, Method::TooFew);
}

/// C(n, k) pᵏ (1 − p)ⁿ⁻ᵏ by multiplication alone.
fn binomial(n: u32, k: u32, p: f64) -> f64 {
    let choose = (0..k).fold(1.0, |c, i| c * f64::from(n - i) / f64::from(i + 1));
    choose * p.powi(k as i32) * (1.0 - p).powi((n - k) as i32)
}

#[test]
fn the_interval_of_a_share_covers_what_it_says_whatever_the_share() {
    for n in [7_u32, 20, 41] {
        for step in 1..100 {
            let p = f64::from(step) / 100.0;
            let covered: f64 = (0..=n)
                .filter(|k| {
                    let i = clopper_pearson(f64::from(*k), f64::from(n), 0.9);
                    i.low <= p && p <= i.high
                })
                .map(|k| binomial(n, k, p))
                .sum();
            assert!(covered >= 0.9 - 1e-9, "n {n}, p {p}: {covered}");
        }
    }
}

#[test]
fn repeats_of_one_case_are_no_more_cases() {
    // Ten cases whose five repeats all agree: as good as ten, not as fifty.
    let sure = [vec![(5, 5); 8], vec![(0, 5); 2]].concat();
    let ten = clopper_pearson(8.0, 10.0, 0.95);
    let got = clustered(&sure, 0.95);
    assert_eq!((got.value, got.method), (0.8, Method::KornGraubard));
    assert!(got.low <= ten.low && got.high >= ten.high, "{got:?} {ten:?}");
    // Repeats that disagree as coins do: nearly as good as fifty.
    let coins = [(3, 5), (2, 5), (2, 5), (3, 5), (3, 5), (2, 5), (1, 5), (4, 5), (3, 5), (2, 5)];
    let fifty = clopper_pearson(25.0, 50.0, 0.95);
    let got = clustered(&coins, 0.95);
    assert!(got.high - got.low >= fifty.high - fifty.low - 1e-9);
    assert!(got.high - got.low < ten.high - ten.low);
    // All kept: one case each.
    close(clustered(&[(5, 5); 30], 0.95).low, clopper_pearson(30.0, 30.0, 0.95).low, 0.03);
    // One repeat: Clopper and Pearson's own.
    assert_eq!(clustered(&[(1, 1), (0, 1), (1, 1)], 0.95), clopper_pearson(2.0, 3.0, 0.95));
}

#[test]
fn clustered_shares_are_covered_in_simulation() {
    let mut random = Random::new(7, 1);
    let (mut covered, runs) = (0, 600);
    for _ in 0..runs {
        // Each case has a rate of its own, 0.7 on average.
        let cases: Vec<(u32, u32)> = (0..40)
            .map(|_| {
                let rate = if random.uniform() < 0.5 { 0.95 } else { 0.45 };
                ((0..4).filter(|_| random.uniform() < rate).count() as u32, 4)
            })
            .collect();
        let i = clustered(&cases, 0.95);
        covered += u32::from(i.low <= 0.7 && 0.7 <= i.high);
    }
    // 95 % of 600 is 570; four standard deviations below is 549.
    assert!(covered >= 549, "{covered} of {runs}");
}

#[test]
fn zero_hits_prove_what_the_rule_of_three_says() {
    close(zero_bound(59, 0.95), 0.0495, 1e-4);
    close(zero_bound(300, 0.95), 3.0 / 300.0, 1e-4);
    assert_eq!((zero_sample(0.05, 0.95), zero_sample(0.01, 0.95)), (59, 299));
    assert_eq!((zero_sample(0.001, 0.95), zero_sample(0.01, 0.99)), (2995, 459));
    assert_eq!((zero_bound(0, 0.95), zero_sample(0.0, 0.95)), (1.0, u64::MAX));
    for n in 1..2000 {
        let bound = zero_bound(n, 0.95);
        assert!((1.0 - bound).powf(n as f64) <= 0.05 + 1e-9);
        assert!(zero_sample(bound + 1e-12, 0.95) <= n, "{n}");
    }
}

/// Two-sided p of the sign-flip test of "the centre is `centre`", by all flips.
fn sign_flip(values: &[f64], centre: f64) -> f64 {
    let shifted: Vec<f64> = values.iter().map(|v| v - centre).collect();
    let observed: f64 = shifted.iter().sum();
    let flips = 1_u32 << values.len();
    let (mut above, mut below) = (0, 0);
    for flip in 0..flips {
        let sum: f64 =
            shifted.iter().enumerate().map(|(i, v)| if flip >> i & 1 == 1 { -v } else { *v }).sum();
        above += u32::from(sum >= observed - 1e-12);
        below += u32::from(sum <= observed + 1e-12);
    }
    2.0 * f64::from(above.min(below)) / f64::from(flips)
}

#[test]
fn subset_means_are_what_the_sign_flip_test_does_not_reject() {
    let mut random = Random::new(3, 2);
    for n in [6, 8, 10] {
        let values: Vec<f64> = (0..n).map(|_| random.uniform() - 0.4).collect();
        let i = mean_difference(&values, 0.95, 0);
        assert_eq!(i.method, Method::SubsetMeans);
        for step in -100..=100 {
            let centre = f64::from(step) / 100.0 + 0.000_37;
            let inside = i.low < centre && centre < i.high;
            assert_eq!(sign_flip(&values, centre) > 0.05, inside, "n {n}, centre {centre}: {i:?}");
        }
    }
}

#[test]
fn five_differences_prove_nothing_at_95_percent() {
    let i = mean_difference(&[0.1, 0.2, 0.3, 0.1, 0.2], 0.95, 0);
    assert_eq!((i.low, i.high, i.method), (-1.0, 1.0, Method::TooFew));
    assert_eq!(mean_difference(&[], 0.95, 0).method, Method::TooFew);
}

#[test]
fn alike_differences_hide_what_zero_hits_hide() {
    let i = mean_difference(&[0.0; 40], 0.95, 0);
    assert_eq!((i.value, i.method), (0.0, Method::AllAlike));
    close(i.high, zero_bound(40, 0.975), 1e-12);
    close(i.low, -i.high, 1e-12);
    let i = mean_score(&[1.0; 40], 0.95, 0);
    assert_eq!((i.high, i.value), (1.0, 1.0));
    close(i.low, 1.0 - zero_bound(40, 0.975), 1e-12);
}

#[test]
fn paired_differences_are_covered_in_simulation() {
    for (n, runs) in [(30, 400), (700, 200)] {
        let mut random = Random::new(11, n);
        let mut covered = 0;
        for run in 0..runs {
            // Skewed: mostly nothing, sometimes a large loss. Mean −0.06.
            let values: Vec<f64> = (0..n)
                .map(|_| if random.uniform() < 0.2 { -0.6 * random.uniform() } else { 0.0 })
                .collect();
            let i = mean_difference(&values, 0.9, run);
            covered += u32::from(i.low <= -0.06 && -0.06 <= i.high);
        }
        let share = f64::from(covered) / f64::from(runs as u32);
        assert!(share > 0.83, "n {n}: {share}");
    }
}

#[test]
fn students_interval_is_the_textbooks() {
    // Differences 0.1 and 0.3 in turn: mean 0.2, s = 0.1·√(n/(n−1)).
    let values: Vec<f64> = (0..600).map(|i| if i % 2 == 0 { 0.1 } else { 0.3 }).collect();
    let i = mean_difference(&values, 0.95, 0);
    assert_eq!(i.method, Method::Student);
    close(i.value, 0.2, 1e-12);
    // t(599, 0.975) = 1.96393.
    close(i.high - 0.2, 1.963_93 * 0.1 / 599.0_f64.sqrt(), 1e-6);
}

#[test]
fn the_same_values_and_seed_give_the_same_interval() {
    let values: Vec<f64> = (0..60).map(|i| f64::from(i % 7) / 10.0 - 0.2).collect();
    assert_eq!(mean_difference(&values, 0.95, 5), mean_difference(&values, 0.95, 5));
}

#[test]
fn a_sequence_is_never_wrong_more_often_than_it_says() {
    let mut random = Random::new(5, 9);
    let (runs, mut wrong) = (400, 0);
    for _ in 0..runs {
        let mut sequence = Sequence::new(0.9);
        let mut ever = false;
        for _ in 0..400 {
            sequence.push(f64::from(u8::from(random.uniform() < 0.92)));
            let i = sequence.interval();
            ever |= i.low > 0.92 || i.high < 0.92;
        }
        wrong += u32::from(ever);
    }
    assert!(wrong <= 40 + 24, "{wrong} of {runs} were wrong at some look");
}

#[test]
fn a_sequence_decides_in_time() {
    let mut sequence = Sequence::new(0.95);
    let mut needed = 0;
    while sequence.interval().low < 0.9 && needed < 10_000 {
        sequence.push(1.0);
        needed += 1;
    }
    assert!((30..400).contains(&needed), "{needed} kept answers to be above 90 %");
    let Interval { low, high, .. } = sequence.interval();
    assert!(low <= high && high <= 1.0);
}

#[test]
fn discordant_pairs_are_counted_and_tested() {
    let pairs = [vec![(true, false); 9], vec![(false, true); 1], vec![(true, true); 30]].concat();
    let got = Discordant::of(pairs);
    assert_eq!((got.lost, got.gained), (9, 1));
    close(got.p, 22.0 / 1024.0, 1e-12);
    assert_eq!(Discordant::of([(true, true)]).p, 1.0);
    assert!(flickers(2, 5) && !flickers(5, 5) && !flickers(0, 5));
}
