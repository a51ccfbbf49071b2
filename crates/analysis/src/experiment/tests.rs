//! Whole experiments: what is promised, over many simulated ones.

use super::simulate::{Setting, Truth, simulate};
use super::*;
use crate::experiment::random::Random;
use domain::experiment::Allocate;
use serde_json::{Value, json};

fn policy(change: Value) -> ExperimentPolicy {
    let mut policy = json!({
        "apiVersion": "tidegate/v1",
        "variants": [{"name": "today"}, {"name": "short"}, {"name": "friendly"}],
        "floor": "10%",
        "check_every": "1m",
        "reward": {"signal": "accepted", "kind": "rate"},
    });
    let (Value::Object(all), Value::Object(change)) = (&mut policy, change) else {
        panic!("objects only")
    };
    all.extend(change);
    serde_json::from_value(policy).unwrap()
}

fn experiment(change: Value) -> Experiment {
    let policy = policy(change);
    assert_eq!(policy.faults(), []);
    Experiment::new(policy)
}

fn rates(means: &[f64]) -> Vec<Truth> {
    means.iter().map(|mean| Truth { mean: *mean, deviation: 0.0, cost: 0.0 }).collect()
}

fn setting(requests: u64, runs: u64) -> Setting {
    Setting { requests, per_look: 100, runs, seed: 5 }
}

fn answer(variant: usize, shares: &[f64], values: Vec<(u16, f64)>) -> Answer {
    Answer {
        at: Timestamp(0),
        variant,
        shares: shares.to_vec(),
        unit: None,
        segment: None,
        failed: false,
        values,
        follows: None,
    }
}

/// A step for each batch of requests, drawn by the shares of the step before.
fn run(
    experiment: &Experiment,
    steps: u32,
    per_step: u32,
    seed: u64,
    mut draw: impl FnMut(&mut Random, usize, &mut Answer),
) -> (State, Vec<Allocation>, Report) {
    let mut random = Random::new(seed, 0);
    let mut state = State::start(experiment, Timestamp(0));
    let mut allocation = state.allocation();
    let (mut allocations, mut last) = (Vec::new(), None);
    for look in 0..steps {
        let answers: Vec<Answer> = (0..per_step)
            .map(|_| {
                let group = random.below(allocation.shares.len());
                let shares = &allocation.shares[group];
                let mut answer = answer(random.pick(shares), shares, Vec::new());
                answer.at = Timestamp(i64::from(look) * 60_000 + 1);
                let segments = experiment.policy().segments.len();
                answer.segment = (group < segments).then_some(group);
                let variant = answer.variant;
                draw(&mut random, variant, &mut answer);
                answer
            })
            .collect();
        let now = Timestamp(i64::from(look + 1) * 60_000);
        let (next, shares, report) = step(experiment, state, &answers, now);
        (state, allocation, last) = (next, shares.clone(), Some(report));
        allocations.push(shares);
    }
    (state, allocations, last.unwrap())
}

#[test]
fn without_a_difference_a_winner_is_found_no_more_often_than_stated() {
    // Of variants that are as good as each other any winner is luck, and is to
    // be found in at most 20 % of the runs. The hardest truth is two that are
    // best: each of them beats the third for good.
    let experiment = experiment(json!({"risk": {"wrong_winner": "20%"}}));
    for truth in [rates(&[0.3, 0.3, 0.3]), rates(&[0.1, 0.3, 0.3])] {
        for course in simulate(&experiment, &truth, setting(3_000, 100)).unwrap() {
            let found = course.runs - course.undecided;
            assert!(found <= 20, "{found} of 100: {course:?}");
        }
    }
}

#[test]
fn the_wrong_winner_is_rarer_than_stated_and_the_right_one_is_found() {
    let experiment = experiment(json!({}));
    for course in simulate(&experiment, &rates(&[0.2, 0.3, 0.22]), setting(10_000, 100)).unwrap() {
        assert!(course.wrong <= 5, "{course:?}");
        assert!(course.right >= 95, "{course:?}");
        assert_eq!(course.winners[1], course.right);
        assert!(course.median_requests < course.most_requests, "{course:?}");
    }
}

#[test]
fn shares_that_follow_the_rewards_lose_less_and_keep_the_floor() {
    let experiment = experiment(json!({"min_requests": 50}));
    let truth = rates(&[0.2, 0.26, 0.1]);
    let courses = simulate(&experiment, &truth, setting(6_000, 60)).unwrap();
    let [fixed, thompson] = courses.as_slice() else { panic!("two ways") };
    assert_eq!((fixed.allocate, thompson.allocate), (Allocate::Fixed, Allocate::Thompson));
    assert!(thompson.regret < 0.8 * fixed.regret, "{courses:?}");
    assert!(thompson.best_share > fixed.best_share + 0.1, "{courses:?}");
    assert!(thompson.least_share >= 0.1 - 1e-12, "{courses:?}");
}

#[test]
fn as_good_as_each_other_is_an_end_too() {
    let experiment = experiment(json!({
        "variants": [{"name": "a"}, {"name": "b"}], "floor": null, "notice": "6%",
    }));
    for course in simulate(&experiment, &rates(&[0.3, 0.3]), setting(12_000, 60)).unwrap() {
        assert!(course.right >= 55, "{course:?}");
        assert_eq!(course.wrong, 0, "{course:?}");
    }
}

#[test]
fn a_dear_variant_loses_although_it_is_liked() {
    let dear = |price: f64| {
        experiment(json!({
            "variants": [{"name": "small"}, {"name": "large"}], "floor": null,
            "reward": {
                "signal": "csat", "kind": "score", "range": [1, 5],
                "cost": {"signal": "cost", "price": price, "at_most": 0.02},
            },
        }))
    };
    let truth = [
        Truth { mean: 3.8, deviation: 0.9, cost: 0.001 },
        Truth { mean: 4.2, deviation: 0.9, cost: 0.011 },
    ];
    for (price, winner) in [(1.0, 1), (100.0, 0)] {
        for course in simulate(&dear(price), &truth, setting(4_000, 30)).unwrap() {
            assert!(course.winners[winner] >= 28, "{price}: {course:?}");
        }
    }
    assert_eq!(simulate(&dear(1.0), &truth[..1], setting(100, 1)), None);
}

#[test]
fn names_and_order_of_variants_make_no_difference() {
    let there = experiment(json!({}));
    let back = experiment(json!({
        "variants": [{"name": "friendly"}, {"name": "short"}, {"name": "today"}],
        "control": "today",
    }));
    let draw = |reverse: bool| {
        move |random: &mut Random, variant: usize, answer: &mut Answer| {
            // The pick is turned round afterwards: both see the same requests.
            let real = if reverse { 2 - variant } else { variant };
            answer.values = vec![(0, random.toss([0.2, 0.24, 0.15][real]))];
        }
    };
    let mut random = Random::new(8, 8);
    let (mut a, mut b) = (State::start(&there, Timestamp(0)), State::start(&back, Timestamp(0)));
    for look in 0..20 {
        let shares = a.allocation().shares[0].clone();
        for _ in 0..100 {
            let variant = random.pick(&shares);
            let mut one = answer(variant, &shares, Vec::new());
            draw(false)(&mut random, variant, &mut one);
            let mirrored: Vec<f64> = shares.iter().rev().copied().collect();
            let other = answer(2 - variant, &mirrored, one.values.clone());
            a.add(&there, &one);
            b.add(&back, &other);
        }
        let now = Timestamp(look * 60_000);
        a.look(&there, now);
        b.look(&back, now);
        let (one, other) = (a.allocation(), b.allocation());
        for (x, y) in one.shares[0].iter().zip(other.shares[0].iter().rev()) {
            assert!((x - y).abs() < 1e-9, "{one:?} {other:?}");
        }
    }
    let (one, other) = (a.report(&there, Timestamp(0)), b.report(&back, Timestamp(0)));
    for (x, y) in one.overall.variants.iter().zip(other.overall.variants.iter().rev()) {
        assert_eq!(x.name, y.name);
        assert!((x.evidence - y.evidence).abs() < 1e-9 && (x.share - y.share).abs() < 1e-9);
    }
}

#[test]
fn the_same_answers_give_the_same_report() {
    let experiment = experiment(json!({"secondary": ["csat"]}));
    let csat = experiment.metric("csat").unwrap();
    let once = || {
        run(&experiment, 6, 60, 3, |random, variant, answer| {
            answer.values = vec![(0, random.toss(0.3)), (csat, 3.0 + variant as f64)];
        })
        .2
    };
    let report = once();
    assert_eq!(report, once());
    let friendly = report.secondary[0].variants[2].unwrap();
    assert_eq!((friendly.value, friendly.interval), (5.0, None), "all alike, bounds unknown");
    let today = report.overall.variants[0].reward.unwrap();
    let (low, high) = today.interval.unwrap();
    assert!(low < today.value && today.value < high && low >= 0.0, "{today:?}");
}

#[test]
fn nothing_is_said_or_moved_below_the_minimum_traffic() {
    let experiment = experiment(json!({"min_requests": 400}));
    let draw = |random: &mut Random, variant: usize, answer: &mut Answer| {
        answer.values = vec![(0, random.toss([0.05, 0.9, 0.05][variant]))];
    };
    let (_, allocations, report) = run(&experiment, 10, 100, 4, draw);
    assert!(matches!(report.overall.verdict, Verdict::TooFew { needed } if needed < 400));
    assert!(allocations.iter().all(|a| a.shares == [vec![1.0 / 3.0; 3]]), "{allocations:?}");
    let (state, allocations, report) = run(&experiment, 20, 100, 4, draw);
    assert!(
        matches!(report.overall.verdict, Verdict::Winner { ref variant, .. } if variant == "short")
    );
    assert_eq!(state.winner().map(|(variant, _)| variant), Some(1));
    assert!(allocations.last().unwrap().shares[0][1] > 0.75);
}

#[test]
fn wrong_shares_end_all_trust() {
    let experiment = experiment(json!({}));
    let (_, allocations, report) = run(&experiment, 30, 100, 4, |random, variant, answer| {
        answer.values = vec![(0, random.toss([0.1, 0.9, 0.1][variant]))];
        // Half of what one variant answers is recorded as another's.
        if variant == 2 && random.uniform() < 0.5 {
            answer.variant = 1;
        }
    });
    assert_eq!(report.overall.verdict, Verdict::WrongShares);
    assert!(report.shares.alarm && report.shares.evidence < 1e-3, "{:?}", report.shares);
    let last = allocations.last().unwrap();
    assert_eq!(Some(last), allocations.get(28), "shares stay where they are");
}

#[test]
fn a_harmful_variant_is_dropped_and_the_rest_goes_on() {
    let experiment = experiment(json!({
        "guards": [{"name": "error", "kind": "rate", "notice": {"times": 2}, "action": "rollback"}],
        "risk": {"false_drop": "2%"},
    }));
    let error = experiment.metric("error").unwrap();
    let (state, allocations, report) = run(&experiment, 60, 100, 6, |random, variant, answer| {
        let liked = random.toss([0.2, 0.3, 0.9][variant]);
        let bad = random.toss([0.02, 0.02, 0.3][variant]);
        answer.failed = bad == 1.0;
        answer.values = vec![(0, liked), (error, bad)];
    });
    let guards = &report.guards[1];
    assert_eq!(guards.variant, "friendly");
    let drop = guards.dropped.as_ref().expect("thirty in a hundred fail");
    assert_eq!(drop.guard, "error");
    assert_eq!(report.guards[0].dropped, None);
    let last = &allocations.last().unwrap().shares[0];
    assert_eq!(last[2], 0.0);
    assert!((last.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    // The best of those that are left wins, however much the other was liked.
    assert_eq!(state.winner().map(|(variant, _)| variant), Some(1));
    assert!(!report.shares.alarm, "a share of none is a share like any other");
}

#[test]
fn with_every_variant_dropped_only_control_is_left() {
    let experiment = experiment(json!({
        "variants": [{"name": "a"}, {"name": "b"}], "floor": null,
        "guards": [{"name": "error", "kind": "rate", "notice": {"times": 2}, "action": "rollback"}],
    }));
    let error = experiment.metric("error").unwrap();
    let (_, allocations, report) = run(&experiment, 30, 100, 6, |random, variant, answer| {
        answer.values = vec![(0, 1.0), (error, random.toss([0.01, 0.5][variant]))];
    });
    assert_eq!(report.overall.verdict, Verdict::OnlyControl);
    assert_eq!(allocations.last().unwrap().shares[0], [1.0, 0.0]);
}

#[test]
fn segments_have_winners_of_their_own() {
    let experiment = experiment(json!({
        "variants": [{"name": "a"}, {"name": "b"}], "floor": null, "segments": ["web", "phone"],
    }));
    // `b` is better on the phone and worse on the web; everybody else likes both.
    let (state, allocations, report) = run(&experiment, 120, 100, 9, |random, variant, answer| {
        let means = match answer.segment {
            Some(0) => [0.6, 0.4],
            Some(_) => [0.2, 0.4],
            None => [0.5, 0.5],
        };
        answer.values = vec![(0, random.toss(means[variant]))];
    });
    let names: Vec<Option<&str>> = report.segments.iter().map(|s| s.segment.as_deref()).collect();
    assert_eq!(names, [Some("web"), Some("phone"), None]);
    let won = |i: usize| match &report.segments[i].verdict {
        Verdict::Winner { variant, .. } => Some(variant.clone()),
        _ => None,
    };
    assert_eq!((won(0), won(1), won(2)), (Some("a".into()), Some("b".into()), None));
    assert_eq!(state.winner(), None, "over all, neither is better");
    let last = &allocations.last().unwrap().shares;
    assert!(last[0][0] > 0.7 && last[1][1] > 0.7, "{last:?}");
}

#[test]
fn a_thin_segment_learns_from_the_others() {
    let experiment = experiment(json!({
        "variants": [{"name": "a"}, {"name": "b"}], "floor": null,
        "segments": ["web", "phone", "tablet"], "min_requests": 100,
    }));
    let mut random = Random::new(2, 2);
    let mut state = State::start(&experiment, Timestamp(0));
    for i in 0..6_000 {
        // Nineteen of twenty requests are not from a tablet.
        let segment = if i % 20 == 0 { 2 } else { i % 2 };
        let variant = random.below(2);
        let mean = [0.2, 0.5, 0.4][segment] + [0.0, 0.06][variant];
        let mut one = answer(variant, &[0.5, 0.5], vec![(0, random.toss(mean))]);
        one.segment = Some(segment);
        state.add(&experiment, &one);
    }
    state.look(&experiment, Timestamp(1));
    let report = state.report(&experiment, Timestamp(1));
    let tablet = &report.segments[2];
    assert!(tablet.variants[1].probably_best > 0.9, "{tablet:?}");
    assert!(!matches!(tablet.verdict, Verdict::Winner { .. }), "a belief is no verdict");
}

#[test]
fn a_unit_counts_once() {
    let experiment = experiment(json!({"variants": [{"name": "a"}, {"name": "b"}], "floor": null}));
    // Forty loyal users, each asks a hundred times; nothing differs, but by luck
    // the happy ones are with one variant.
    let mut state = State::start(&experiment, Timestamp(0));
    for i in 0..4_000 {
        let unit = i % 40;
        let variant = unit % 2;
        let mut one = answer(variant, &[0.5, 0.5], vec![(0, f64::from(u8::from(unit % 5 != 0)))]);
        one.unit = Some(unit as u64);
        state.add(&experiment, &one);
    }
    state.look(&experiment, Timestamp(1));
    let report = state.report(&experiment, Timestamp(1));
    assert_eq!((report.counts.rewards, report.counts.repeated), (40, 3_960));
    assert_eq!(report.shares.seen, [20, 20]);
    assert!(matches!(report.overall.verdict, Verdict::TooFew { .. }));
}

#[test]
fn what_makes_no_sense_is_counted_and_harms_nothing() {
    let experiment = experiment(json!({"variants": [{"name": "a"}, {"name": "b"}], "floor": null}));
    let mut state = State::start(&experiment, Timestamp(0));
    for one in [
        answer(0, &[0.5], vec![(0, 1.0)]),
        answer(7, &[0.5, 0.5], vec![(0, 1.0)]),
        answer(0, &[0.5, 0.1], vec![(0, 1.0)]),
        answer(0, &[f64::NAN, 0.5], vec![(0, 1.0)]),
        answer(0, &[2.0, -1.0], vec![(0, 1.0)]),
    ] {
        state.add(&experiment, &one);
    }
    assert_eq!(state.counts.unusable, 5);
    state.add(&experiment, &answer(0, &[0.5, 0.5], vec![(0, f64::NAN)]));
    state.add(&experiment, &answer(0, &[0.5, 0.5], vec![(9, 1.0)]));
    state.add(&experiment, &answer(1, &[0.5, 0.5], vec![(0, f64::INFINITY)]));
    assert_eq!((state.counts.without_reward, state.counts.rewards, state.counts.cut), (2, 1, 1));
    state.look(&experiment, Timestamp(1));
    let report = state.report(&experiment, Timestamp(1));
    assert!(serde_json::to_string(&report).is_ok());
    // A policy nobody checked still gives no panic.
    let broken = Experiment::new(ExperimentPolicy { variants: Vec::new(), ..policy(json!({})) });
    let mut state = State::start(&broken, Timestamp(0));
    state.add(&broken, &answer(0, &[], vec![(0, 1.0)]));
    state.look(&broken, Timestamp(1));
    assert!(state.report(&broken, Timestamp(1)).overall.variants.is_empty());
}

/// A reward that is posted later is the same evidence as one that is known with
/// the answer, and an answer without one is told.
#[test]
fn a_later_word_completes_its_answer() {
    let policy = || {
        experiment(json!({
            "variants": [{"name": "a"}, {"name": "b"}],
            "reward": {
                "signal": "accepted", "kind": "rate",
                "cost": {"signal": "cost", "price": 20, "at_most": 0.01},
            },
        }))
    };
    let experiment = policy();
    let (accepted, cost) = (PRIMARY, experiment.metric("cost").unwrap());
    let mut whole = State::start(&experiment, Timestamp(0));
    let mut parted = whole.clone();
    for i in 0..50_u64 {
        let (variant, said) = ((i % 2) as usize, f64::from(u8::from(i % 3 == 0)));
        let given = |values, follows| Answer {
            unit: Some(i),
            follows,
            ..answer(variant, &[0.5, 0.5], values)
        };
        whole.add(&experiment, &given(vec![(accepted, said), (cost, 0.002)], None));
        parted.add(&experiment, &given(vec![(cost, 0.002)], None));
        if i < 49 {
            parted.add(&experiment, &given(vec![(accepted, said)], Some(0.002)));
        }
    }
    let told = |state: &State| state.report(&experiment, Timestamp(1)).counts;
    assert_eq!((told(&parted).answers, told(&parted).rewards), (50, 49));
    assert_eq!((told(&parted).without_reward, told(&parted).repeated), (1, 0));
    parted.add(
        &experiment,
        &Answer {
            unit: Some(49),
            follows: Some(0.002),
            ..answer(1, &[0.5, 0.5], vec![(accepted, 0.0)])
        },
    );
    for state in [&mut whole, &mut parted] {
        state.look(&experiment, Timestamp(1));
    }
    assert_eq!(told(&whole), told(&parted));
    let report = |state: &State| state.report(&experiment, Timestamp(1)).overall;
    assert_eq!(report(&whole), report(&parted));
}
