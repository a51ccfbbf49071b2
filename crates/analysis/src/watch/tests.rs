//! A watch as its users meet it: what it says about streams of outcomes, and
//! that it keeps its promises on candidates that sit exactly on their limits.

use super::*;
use domain::policy::Signal;
use domain::units::Span;
use proptest::prelude::*;
use serde_json::{Value, json};

fn signal(extra: Value) -> Signal {
    let mut all = json!({"name": "s", "kind": "rate", "min_samples": 1, "action": "rollback"});
    let (Some(all_keys), Value::Object(extra)) = (all.as_object_mut(), extra) else { panic!() };
    all_keys.extend(extra);
    serde_json::from_value(all).unwrap()
}

fn watch(extra: Value) -> Watch {
    Watch::new(&signal(extra))
}

fn second(second: i64) -> Timestamp {
    Timestamp(second * 1000)
}

/// Adds these outcomes, one a second from `start`, and looks after the last.
fn feed(watch: &mut Watch, start: i64, values: impl IntoIterator<Item = f64>) -> Watched {
    let mut now = start;
    for value in values {
        watch.add(second(now), 0, Reading::Number(value));
        now += 1;
    }
    watch.look(second(now), 0)
}

/// So many good ones of every bad one, for rates.
fn every(bad: usize, n: usize) -> impl Iterator<Item = f64> {
    (0..n).map(move |i| f64::from(u8::from(i % bad == 0)))
}

#[test]
fn a_limit_that_one_look_decides_is_sure() {
    let mut limit = watch(json!({"limit": 0.05}));
    let within = feed(&mut limit, 0, every(25, 100));
    assert_eq!((within.over, within.within), (None, true));
    assert_eq!(within.numbers, ArmNumbers { n: 100, value: Some(0.04), bad: Some(4) });
    // A bit over the limit for a short while is no proof.
    let unclear = feed(&mut watch(json!({"limit": 0.05})), 0, every(16, 100));
    assert_eq!((unclear.over, unclear.within), (None, false));
    let over = feed(&mut watch(json!({"limit": 0.05})), 0, every(5, 100));
    assert_eq!((over.over, over.within), (Some(Reason::OverLimit), false));
    assert!(over.evidence.unwrap() <= LIMIT_RISK && over.boundary == Some(LIMIT_RISK));
}

#[test]
fn a_change_after_days_shows_the_outcomes_that_prove_it() {
    let mut limit = watch(json!({"limit": 0.05}));
    feed(&mut limit, 0, every(50, 20_000));
    let over = feed(&mut limit, 20_000, every(4, 120));
    assert_eq!(over.over, Some(Reason::OverLimit));
    let value = over.numbers.value.unwrap();
    assert!(value > 0.2 && over.numbers.n < 200, "not the mean of all: {:?}", over.numbers);
    let mended = feed(&mut limit, 20_120, every(50, 2_000));
    assert_eq!(mended.over, None);
}

#[test]
fn where_time_decides_a_look_compares_the_value_itself() {
    let rule =
        json!({"limit": 0.05, "window": "5m", "sustained": {"checks": 3}, "min_samples": 20});
    let mut limit = watch(rule);
    assert_eq!(feed(&mut limit, 0, every(10, 19)).over, None, "19 of 20 samples");
    let over = feed(&mut limit, 19, every(10, 281));
    assert_eq!(over.over, Some(Reason::OverLimit));
    assert_eq!(over.evidence, None);
    let good = feed(&mut limit, 300, every(1000, 270));
    assert_eq!((good.over, good.within), (None, true));
    // All that was has left the window: nothing is said without outcomes.
    let empty = limit.look(second(2000), 0);
    assert_eq!((empty.over, empty.within, empty.numbers.n), (None, false, 0));
    assert_eq!(empty.last, Some(second(569)));
    // Exactly on the limit is within it.
    let on = feed(&mut watch(json!({"limit": 0.05, "sustained": {"checks": 1}})), 0, every(20, 60));
    assert_eq!((on.over, on.within), (None, true));
}

#[test]
fn without_a_window_the_step_under_way_counts_where_time_decides() {
    let mut limit = watch(json!({"limit": 0.05, "sustained": {"checks": 3}}));
    feed(&mut limit, 0, every(10, 100));
    assert_eq!(limit.look(second(101), 1).over, Some(Reason::OverLimit), "all there is");
    (0..100).for_each(|i| limit.add(second(200 + i), 1, Reading::Number(0.0)));
    let now = limit.look(second(400), 1);
    assert_eq!((now.over, now.numbers.n), (None, 100));
}

#[test]
fn a_window_forgives_what_is_over() {
    let mut limit = watch(json!({"limit": 0.05, "window": "10m"}));
    assert_eq!(feed(&mut limit, 0, every(5, 100)).over, Some(Reason::OverLimit));
    assert_eq!(limit.look(second(600), 0).over, Some(Reason::OverLimit));
    assert_eq!(limit.look(second(800), 0).over, None, "nothing in the window");
    assert_eq!(feed(&mut limit, 800, every(100, 200)).over, None);
}

#[test]
fn the_breaker_waits_for_nothing() {
    for rule in [
        json!({"limit": 0.05, "sustained": {"for": "1h"}, "min_samples": 500}),
        json!({"limit": 0.05, "window": "1d", "min_samples": 500}),
        json!({"limit": 0.95, "worse": "lower", "min_samples": 500}),
        json!({"burn": {"objective": 0.999}, "min_samples": 500}),
    ] {
        let good = if rule["worse"] == "lower" { 1.0 } else { 0.0 };
        let mut limit = watch(rule.clone());
        assert_eq!(feed(&mut limit, 0, vec![good; 50]).over, None);
        assert!(!limit.is_broken());
        let broken = feed(&mut limit, 50, vec![1.0 - good; 8]);
        assert_eq!(broken.over, Some(Reason::Breaker), "{rule}");
        assert!(limit.is_broken());
        assert!(broken.evidence.unwrap() <= BREAKER_RISK);
        assert!(broken.numbers.n <= 8 && broken.numbers.bad == Some(broken.numbers.n));
        let mended = feed(&mut limit, 58, vec![good; 400]);
        assert_ne!(mended.over, Some(Reason::Breaker));
    }
}

#[test]
fn without_a_limit_nothing_is_too_bad() {
    let mut compared = watch(json!({"notice": {"times": 2}}));
    let all_bad = feed(&mut compared, 0, vec![1.0; 500]);
    assert_eq!((all_bad.over, all_bad.within), (None, true));
}

#[test]
fn a_budget_burns_over_both_windows_or_not_at_all() {
    let rule = || watch(json!({"burn": {"objective": 0.99}, "min_samples": 20}));
    // A fifth bad for an hour: 20 times the budget.
    let burns = feed(&mut rule(), 0, every(5, 3600));
    assert_eq!(burns.over, Some(Reason::BudgetBurns));
    // The window has one piece more than an hour.
    assert_eq!(burns.numbers, ArmNumbers { n: 3600, value: Some(0.2), bad: Some(720) });
    // It went on for most of the hour and is over since ten minutes.
    let fast = json!({"objective": 0.99, "windows": [{"rate": 14.4, "long": "1h", "short": "5m"}]});
    let mut over = watch(json!({"burn": fast}));
    assert_eq!(feed(&mut over, 0, every(5, 3300)).over, Some(Reason::BudgetBurns));
    assert_eq!(feed(&mut over, 3300, vec![0.0; 310]).over, None, "the short window is clean");
    // Ten percent is slower than 14.4 times, and the slower rule sees it.
    assert_eq!(feed(&mut rule(), 0, every(10, 3600)).over, Some(Reason::BudgetBurns));
    // Within budget for days.
    let fine = feed(&mut rule(), 0, every(200, 100_000));
    assert_eq!((fine.over, fine.within), (None, true));
}

#[test]
fn two_errors_in_a_quiet_hour_do_not_burn_a_budget() {
    let rule = || watch(json!({"burn": {"objective": 0.999}, "min_samples": 20}));
    let mut quiet = rule();
    for i in 0..100 {
        let bad = f64::from(u8::from(i == 97 || i == 98));
        quiet.add(second(i * 36), 0, Reading::Number(bad));
    }
    // 2 % is 20 times the budget over the hour, and more over five minutes.
    assert_eq!(quiet.look(second(3600), 0).over, None);
    (100..110).for_each(|i| quiet.add(second(i * 36), 0, Reading::Number(1.0)));
    assert!(quiet.look(second(3960), 0).over.is_some());
    let one = watch(
        json!({"burn": {"objective": 0.99, "windows": [{"rate": 2, "long": "1h", "short": "5m"}]}}),
    );
    assert_eq!(feed(&mut one.clone(), 0, [vec![0.0; 40], vec![1.0]].concat()).over, None);
}

#[test]
fn quantiles_count_what_is_beyond_and_failures_are() {
    let rule = json!({"name": "latency_ms", "kind": "latency", "statistic": "p95", "limit": 2000});
    let mut fast = watch(rule.clone());
    let within = feed(&mut fast, 0, (0..400).map(|i| if i % 25 == 0 { 9000.0 } else { 800.0 }));
    assert_eq!((within.over, within.within), (None, true));
    assert!((within.numbers.value.unwrap() / 800.0 - 1.0).abs() < 0.01);
    let mut slow = watch(rule.clone());
    let over = feed(&mut slow, 0, (0..200).map(|i| if i % 5 == 0 { 2001.0 } else { 800.0 }));
    assert_eq!(over.over, Some(Reason::OverLimit));
    assert!(over.numbers.value.unwrap() > 2000.0, "{:?}", over.numbers);
    let mut failing = watch(rule);
    for i in 0..200 {
        let reading = if i % 5 == 0 { Reading::Worst } else { Reading::Number(800.0) };
        failing.add(second(i), 0, reading);
    }
    let over = failing.look(second(200), 0);
    assert_eq!((over.over, over.numbers.n), (Some(Reason::OverLimit), over.numbers.n));
    assert!(over.numbers.value.unwrap() >= 2000.0);
}

#[test]
fn a_mean_over_its_limit_is_found_and_one_absurd_bill_is_not_a_mean() {
    let rule = json!({"name": "cost", "kind": "amount", "limit": 0.004});
    let one = feed(&mut watch(rule.clone()), 0, [vec![0.003; 40], vec![4000.0]].concat());
    assert_eq!((one.over, one.within), (None, false));
    let over =
        feed(&mut watch(rule.clone()), 0, (0..400).map(|i| 0.002 + 0.0015 * f64::from(i % 5)));
    assert_eq!(over.over, Some(Reason::OverLimit), "0.005 against 0.004");
    // A mean of failed answers would be made up.
    let mut failed = watch(rule);
    (0..50).for_each(|i| failed.add(second(i), 0, Reading::Worst));
    let said = failed.look(second(60), 0);
    assert_eq!((said.over, said.within, said.numbers.value), (None, false, None));
    // Nothing can prove that a mean is too low; time can decide.
    let low = json!({"kind": "amount", "worse": "lower", "limit": 10});
    assert_eq!(feed(&mut watch(low.clone()), 0, vec![0.0; 5000]).over, None);
    let mut low = low;
    low["sustained"] = json!({"checks": 2});
    assert_eq!(feed(&mut watch(low), 0, vec![0.0; 50]).over, Some(Reason::OverLimit));
}

#[test]
fn scores_are_bet_on_within_their_range() {
    let rule = json!({"kind": "score", "range": [1, 5], "worse": "lower", "limit": 4.2});
    let fine = feed(&mut watch(rule.clone()), 0, (0..400).map(|i| f64::from(3 + i % 3) + 0.3));
    assert_eq!(fine.unusable, 133, "5.3 is no score from 1 to 5");
    let bad = feed(&mut watch(rule.clone()), 0, (0..600).map(|i| f64::from(3 + i % 3)));
    assert_eq!(bad.over, Some(Reason::OverLimit));
    assert!((bad.numbers.value.unwrap() - 4.0).abs() < 0.1);
    let good = feed(&mut watch(rule), 0, (0..4000).map(|i| f64::from(4 + i % 2)));
    assert_eq!((good.over, good.within), (None, true));
}

#[test]
fn what_is_no_number_is_counted_and_changes_nothing() {
    for (rule, odd) in [
        (json!({"limit": 0.05}), vec![f64::NAN, 0.5, f64::INFINITY, -1.0]),
        (
            json!({"kind": "score", "range": [0, 1], "limit": 0.5}),
            vec![f64::NAN, 1.5, -0.1, f64::NEG_INFINITY],
        ),
        (
            json!({"kind": "latency", "limit": 10}),
            vec![f64::NAN, -0.1, f64::INFINITY, f64::NEG_INFINITY],
        ),
    ] {
        let mut clean = watch(rule.clone());
        let mut dirty = clean.clone();
        feed(&mut clean, 0, every(7, 30));
        for i in 0..30 {
            let value = f64::from(u8::from(i % 7 == 0));
            dirty.add(second(i), 0, Reading::Number(value));
            odd.iter().for_each(|odd| dirty.add(second(i), 0, Reading::Number(*odd)));
        }
        let said = dirty.look(second(100), 0);
        assert_eq!(said.unusable, 120, "{rule}");
        assert_eq!(Watched { unusable: 0, ..said }, clean.look(second(100), 0), "{rule}");
    }
    let nothing = watch(json!({"limit": 0.05})).look(second(5), 0);
    assert_eq!((nothing.over, nothing.within, nothing.last), (None, false, None));
}

/// Chance of each reason ever being given within `n` outcomes at rate `p`.
fn ever(watch: &Watch, reason: Reason, p: f64, at: i64, n: u32) -> f64 {
    if n == 0 {
        return 0.0;
    }
    [(1.0, p), (0.0, 1.0 - p)]
        .into_iter()
        .map(|(value, chance)| {
            let mut next = watch.clone();
            next.add(second(at), 0, Reading::Number(value));
            // Everything that is over at a look, whichever rule speaks first.
            let said = next.look(second(at), 0).over == Some(reason);
            chance * if said { 1.0 } else { ever(&next, reason, p, at + 60, n - 1) }
        })
        .sum()
}

#[test]
fn on_the_limit_the_promises_hold_over_all_sequences() {
    for p in [0.01, 0.05, 0.2] {
        for rule in [json!({"limit": p}), json!({"limit": p, "window": "4m"})] {
            let over = ever(&watch(rule.clone()), Reason::OverLimit, p, 0, 12);
            assert!(over > 0.0 && over <= LIMIT_RISK, "{over}: {rule}");
            let broken = ever(&watch(rule.clone()), Reason::Breaker, p, 0, 12);
            assert!(broken > 0.0 && broken <= BREAKER_RISK, "{broken}: {rule}");
        }
        let burn = json!({"burn": {"objective": 1.0 - p, "windows": [{"rate": 2, "long": "1h", "short": "5m"}]}});
        let burns = ever(&watch(burn), Reason::BudgetBurns, p, 0, 12);
        assert!(burns > 0.0 && burns <= LIMIT_RISK, "{burns} at {p}");
    }
}

/// A generator of known seed (SplitMix64), uniform in [0, 1).
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as f64 / 2.0_f64.powi(64)
    }
}

/// How many of `rollouts` of three days, looked at every minute, are ever over.
fn alarms(rule: &Value, rollouts: u64, a_minute: f64, draw: impl Fn(&mut Seeded) -> f64) -> usize {
    (0..rollouts)
        .filter(|seed| {
            let mut random = Seeded(*seed);
            let mut watch = watch(rule.clone());
            (0..4320).any(|minute| {
                let mut due = a_minute;
                while random.next() < due {
                    watch.add(second(minute * 60), 0, Reading::Number(draw(&mut random)));
                    due -= 1.0;
                }
                watch.look(second(minute * 60), 0).over.is_some()
            })
        })
        .count()
}

/// A thousandth of 300 rollouts is a third of one; four would be one chance in
/// two thousand.
#[test]
fn three_days_on_the_limit_give_no_false_alarms() {
    let bernoulli = |p: f64| move |random: &mut Seeded| f64::from(u8::from(random.next() < p));
    // Mean one: a lognormal would do; a Pareto of shape 2 has no variance.
    let heavy = |random: &mut Seeded| 0.5 / (1.0 - random.next()).sqrt();
    for (rule, found) in [
        (json!({"limit": 0.05}), alarms(&json!({"limit": 0.05}), 300, 3.0, bernoulli(0.05))),
        (
            json!({"window": "5m"}),
            alarms(&json!({"limit": 0.05, "window": "5m"}), 100, 3.0, bernoulli(0.05)),
        ),
        (
            json!({"burn": 0.99}),
            alarms(
                &json!({"burn": {"objective": 0.99}, "min_samples": 20}),
                60,
                3.0,
                bernoulli(0.01),
            ),
        ),
        (
            json!({"p95": 19}),
            alarms(
                &json!({"kind": "latency", "statistic": "p95", "limit": 0.95}),
                100,
                1.0,
                Seeded::next,
            ),
        ),
        (
            json!({"score": 0.5}),
            alarms(
                &json!({"kind": "score", "range": [0, 1], "limit": 0.5}),
                300,
                3.0,
                Seeded::next,
            ),
        ),
        (json!({"mean": 1}), alarms(&json!({"kind": "amount", "limit": 1}), 300, 3.0, heavy)),
    ] {
        assert!(found < 4, "{found} false alarms: {rule}");
    }
}

#[test]
fn what_is_worse_by_half_is_found_in_three_days() {
    let draw = |random: &mut Seeded| f64::from(u8::from(random.next() < 0.075));
    let found = alarms(&json!({"limit": 0.05}), 40, 3.0, draw);
    assert_eq!(found, 40);
}

/// Rules of every kind, with the unit their values and limits come in.
fn rules() -> Vec<Value> {
    let mut rules = vec![
        json!({"limit": 0.1}),
        json!({"limit": 0.9, "worse": "lower"}),
        json!({"limit": 0.1, "burn": {"objective": 0.95, "windows": [{"rate": 2, "long": "20m", "short": "3m"}]}}),
        json!({"notice": {"times": 2}}),
        json!({"kind": "score", "range": [0, 8], "limit": 3}),
        json!({"kind": "score", "range": [0, 8], "limit": 5, "worse": "lower"}),
        json!({"kind": "latency", "limit": 4}),
        json!({"kind": "latency", "statistic": "p90", "limit": 4}),
        json!({"kind": "latency", "statistic": "p90", "limit": 4, "worse": "lower"}),
        json!({"kind": "amount", "limit": 4}),
        json!({"kind": "amount", "notice": {"times": 1.2}}),
    ];
    for i in 0..rules.len() {
        for extra in [json!({"window": "10m"}), json!({"sustained": {"checks": 2}})] {
            let mut rule = rules[i].clone();
            let (Value::Object(rule_keys), Value::Object(extra)) = (&mut rule, extra) else {
                panic!()
            };
            rule_keys.extend(extra);
            rules.push(rule);
        }
    }
    rules
}

fn readings() -> impl Strategy<Value = Vec<(i64, u32, Reading)>> {
    readings_below(f64::INFINITY)
}

/// Readings whose numbers, if they are numbers, are nearer to zero than `most`.
fn readings_below(most: f64) -> impl Strategy<Value = Vec<(i64, u32, Reading)>> {
    let any_number = any::<f64>().prop_map(move |v| if v.abs() > most { v % most } else { v });
    let reading = prop_oneof![
        8 => (0..=8).prop_map(|v| Reading::Number(f64::from(v))),
        8 => (0..=1).prop_map(|v| Reading::Number(f64::from(v))),
        1 => Just(Reading::Worst),
        1 => any_number.prop_map(Reading::Number),
        1 => Just(Reading::Number(f64::NAN)),
    ];
    proptest::collection::vec((0_i64..90, reading, 0..40), 0..120).prop_map(|all| {
        let (mut at, mut step) = (0, 0);
        all.into_iter()
            .map(|(gap, reading, next)| {
                at += gap;
                step += u32::from(next == 0);
                (at, step, reading)
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// However often one looks meanwhile, the same outcomes say the same.
    #[test]
    fn looks_leave_no_trace(readings in readings(), looks in proptest::collection::vec(any::<bool>(), 120)) {
        for rule in rules() {
            let (mut often, mut once) = (watch(rule.clone()), watch(rule.clone()));
            let mut last = (0, 0);
            for ((at, step, reading), look) in readings.iter().zip(&looks) {
                once.add(second(*at), *step, *reading);
                if *look {
                    often.look(second(*at), last.1);
                }
                often.add(second(*at), *step, *reading);
                last = (*at, *step);
            }
            let now = second(last.0 + 30);
            prop_assert_eq!(often.look(now, last.1), once.look(now, last.1), "{}", rule);
            prop_assert_eq!(once.look(now, last.1), once.look(now, last.1));
        }
    }

    /// Seconds or milliseconds, dollars or cents: the same verdict, but for
    /// numbers that are none any more when multiplied.
    #[test]
    fn units_do_not_matter(readings in readings_below(1e100)) {
        for rule in rules().into_iter().filter(|rule| rule["kind"].is_string()) {
            let mut scaled = rule.clone();
            if let Some(limit) = rule["limit"].as_f64() {
                scaled["limit"] = json!(limit * 1000.0);
            }
            if rule["range"].is_array() {
                scaled["range"] = json!([0, 8000]);
            }
            let (mut small, mut large) = (watch(rule.clone()), watch(scaled));
            let mut end = 0;
            for (at, step, reading) in &readings {
                small.add(second(*at), *step, *reading);
                let by_thousand = match reading {
                    Reading::Number(value) => Reading::Number(value * 1000.0),
                    Reading::Worst => Reading::Worst,
                };
                large.add(second(*at), *step, by_thousand);
                let (a, b) = (small.look(second(*at), *step), large.look(second(*at), *step));
                prop_assert_eq!((a.over, a.within, a.numbers.n), (b.over, b.within, b.numbers.n));
                if let (Some(a), Some(b)) = (a.numbers.value, b.numbers.value) {
                    prop_assert!((a * 1000.0 - b).abs() <= 0.02 * b.abs(), "{} {}: {}", a, b, rule);
                }
                end = *at;
            }
            prop_assert!(small.look(second(end), 0).numbers.value.is_none_or(f64::is_finite));
        }
    }

    /// Nothing panics and nothing grows without end, whatever comes whenever.
    #[test]
    fn any_time_and_any_number_is_taken(times in proptest::collection::vec((any::<i64>(), any::<f64>()), 0..60)) {
        for rule in rules() {
            let mut watch = watch(rule);
            for (at, value) in &times {
                watch.add(Timestamp(*at), 0, Reading::Number(*value));
                let said = watch.look(Timestamp(*at), 0);
                prop_assert!(!(said.over.is_some() && said.within));
            }
            watch.look(Timestamp(0).plus(Span::from_secs(1)), 0);
        }
    }
}
