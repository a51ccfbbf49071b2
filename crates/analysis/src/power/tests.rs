//! What forecasts must keep.

use super::*;
use domain::policy::RolloutPolicy;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn policy(risk: f64, steps: Value, signals: Value) -> RolloutPolicy {
    let policy: RolloutPolicy = serde_json::from_value(json!({
        "apiVersion": "tidegate/v1",
        "risk": {"false_stop": risk, "false_promote": 0.1},
        "steps": steps,
        "signals": signals,
    }))
    .unwrap();
    assert_eq!(policy.faults(), []);
    policy
}

fn error(times: f64) -> Value {
    json!({"name": "error", "kind": "rate", "notice": {"times": times}, "action": "rollback"})
}

fn known(name: &str, level: f64, spread: f64, coverage: f64) -> (String, Baseline) {
    (name.to_owned(), Baseline { answers: 1000, level, spread, coverage })
}

fn traffic(per_day: f64, signals: &[(String, Baseline)]) -> Traffic {
    Traffic {
        per_day,
        basis: Basis::Measured { over: Span::from_secs(7 * 86_400), answers: 1000 },
        signals: signals.iter().cloned().collect::<BTreeMap<_, _>>(),
    }
}

fn texts(report: &PlanReport) -> String {
    let mut all = vec![&report.summary, &report.promotion];
    all.extend(report.steps.iter().map(|s| &s.text));
    all.extend(report.signals.iter().map(|s| &s.text));
    all.extend(report.hints.iter().chain(&report.assumptions));
    all.iter().map(|s| s.text.as_str()).collect::<Vec<_>>().join("\n")
}

/// A weight step of a share, long enough for so many answers, at one request a
/// second.
fn one_step(share: f64, answers: f64) -> Value {
    json!([{"weight": {"share": share, "hold": answers / share}}, {"promote": {}}])
}

/// The floor of the published table, divided by the efficiency, is exactly what
/// the planner says: it detects the effect with so many answers and not with
/// fewer.
#[test]
fn the_smallest_detectable_difference_is_the_floor_over_the_efficiency() {
    for (share, bad, times, floor) in
        [(0.5, 0.01, 2.0, 1737.0), (0.1, 0.1, 1.5, 276.0), (0.05, 0.05, 2.0, 155.0)]
    {
        let traffic = traffic(86_400.0, &[known("error", bad, 0.0, 1.0)]);
        let answers = floor / EFFICIENCY_RATE;
        let report = plan(&policy(0.05, one_step(share, answers), json!([error(times)])), &traffic);
        let found = report.signals[0].detectable.as_ref().unwrap();
        assert!((found.times / times - 1.0).abs() < 0.01, "{found:?}");
        assert!((found.value / (bad * times) - 1.0).abs() < 0.01, "{found:?}");
        let notice = report.signals[0].notice.unwrap();
        assert!((notice.answers as f64 / answers - 1.0).abs() < 0.01, "{notice:?}");
        assert!((notice.after.secs() / (answers / share) - 1.0).abs() < 0.01, "{notice:?}");
    }
}

#[test]
fn the_risk_is_divided_by_weight_among_what_is_compared() {
    let signals = json!([
        {"name": "error", "kind": "rate", "notice": {"times": 2}, "weight": 3, "action": "pause"},
        {"name": "rejected", "kind": "rate", "notice": {"times": 2}, "action": "pause"},
        {"name": "latency_ms", "kind": "latency", "limit": 2000, "action": "pause"},
    ]);
    let report = plan(&policy(0.04, one_step(0.5, 1e4), signals), &traffic(86_400.0, &[]));
    let risks: Vec<f64> = report.signals.iter().map(|s| s.risk).collect();
    assert!((risks[0] - 0.03).abs() < 1e-12 && (risks[1] - 0.01).abs() < 1e-12, "{risks:?}");
    assert_eq!(risks[2], 0.0);
    assert!(report.signals[2].detectable.is_none() && report.signals[2].limit_after.is_some());
}

#[test]
fn forty_requests_a_day_see_little_and_the_hints_say_what_would() {
    let steps = json!([
        {"weight": {"share": "5%", "hold": "2d"}},
        {"weight": {"share": "25%", "hold": "2d"}},
        {"promote": {}},
    ]);
    let traffic = traffic(40.0, &[known("error", 0.02, 0.0, 1.0)]);
    let report = plan(&policy(0.01, steps, json!([error(2.0)])), &traffic);
    let signal = &report.signals[0];
    assert!(signal.detectable.as_ref().is_some_and(|d| d.times > 5.0), "{signal:?}");
    assert_eq!(signal.notice.unwrap().step, None);
    let codes: Vec<&str> = report.hints.iter().map(|h| h.code.as_str()).collect();
    assert_eq!(
        codes,
        [
            "hint_low_traffic",
            "hint_share",
            "hint_longer",
            "hint_pairs",
            "hint_recorded",
            "hint_risk"
        ]
    );
    assert!(report.summary.text.starts_with("At 40 requests a day this plan can only see"));
    eprintln!("{}", texts(&report));
}

#[test]
fn a_plan_that_sees_enough_needs_no_hints() {
    let traffic = traffic(50_000.0, &[known("error", 0.02, 0.0, 1.0)]);
    let steps = json!([
        {"shadow": {"share": "50%", "until": {"requests": 200}}},
        {"weight": {"share": "10%", "hold": "30m"}},
        {"approval": {"role": "approver"}},
        {"weight": {"share": "50%", "until": "evidence", "at_most": "24h"}},
        {"promote": {}},
    ]);
    let report = plan(&policy(0.05, steps, json!([error(2.0)])), &traffic);
    assert!(report.hints.is_empty(), "{:?}", report.hints);
    assert_eq!(report.promotion.code, "plan_promotion");
    assert_eq!(report.signals[0].text.code, "plan_signal_sees");
    assert_eq!(report.steps[0].pairs, 200);
    assert_eq!(report.steps[2].takes, Some(Span::ZERO));
    // What waits for evidence waits as long as the evidence takes, no longer.
    let shown = report.signals[0].no_worse_after.unwrap();
    assert_eq!(report.takes, Some(shown));
    eprintln!("{}", texts(&report));
}

#[test]
fn pairs_help_what_gateways_measure_and_not_what_people_say() {
    let traffic =
        traffic(1000.0, &[known("error", 0.05, 0.0, 1.0), known("rejected", 0.05, 0.0, 1.0)]);
    let rejected =
        json!({"name": "rejected", "kind": "rate", "notice": {"times": 2}, "action": "pause"});
    let steps = |pairs: u64| {
        json!([
            {"shadow": {"share": "50%", "until": {"requests": pairs}}},
            {"weight": {"share": "5%", "hold": "1d"}},
            {"promote": {}},
        ])
    };
    let seen = |pairs: u64| {
        let report =
            plan(&policy(0.02, steps(pairs), json!([error(2.0), rejected.clone()])), &traffic);
        let times = |i: usize| report.signals[i].detectable.as_ref().map(|d| d.times);
        (times(0).unwrap(), times(1).unwrap())
    };
    let (few, many) = (seen(1), seen(400));
    assert!(many.0 < 0.5 * few.0, "{few:?} {many:?}");
    assert!((many.1 - few.1).abs() < 1e-9, "{few:?} {many:?}");
}

#[test]
fn every_kind_is_forecast_in_its_own_words() {
    let signals = json!([
        {"name": "latency_ms", "kind": "latency", "statistic": "p95", "notice": {"times": 1.5}, "action": "pause"},
        {"name": "ttft_ms", "kind": "latency", "notice": {"by": 100}, "action": "pause"},
        {"name": "cost", "kind": "amount", "notice": {"times": 1.15}, "limit": 0.004, "action": "pause"},
        {"name": "output_tokens", "kind": "amount", "worse": "lower", "notice": {"times": 0.8}, "action": "pause"},
        {"name": "quality", "kind": "score", "range": [0, 1], "worse": "lower", "notice": {"by": 0.03}, "action": "pause"},
        {"name": "accepted", "kind": "rate", "worse": "lower", "notice": {"by": 0.05}, "action": "pause"},
        {"name": "risk", "kind": "score", "range": [0, 5], "notice": {"times": 1.5}, "action": "pause"},
        {"name": "drift", "kind": "score", "range": [0, 1], "limit": 0.4, "source": {"prometheus": "drift"}, "action": "pause"},
    ]);
    let known = [
        known("latency_ms", 1500.0, 0.6, 1.0),
        known("ttft_ms", 400.0, 0.4, 1.0),
        known("cost", 0.003, 0.7, 1.0),
        known("output_tokens", 300.0, 0.5, 1.0),
        known("quality", 0.84, 0.122, 1.0),
        known("accepted", 0.7, 0.0, 0.3),
    ];
    let report = plan(&policy(0.05, one_step(0.5, 3000.0), signals), &traffic(86_400.0, &known));
    for signal in &report.signals[..7] {
        let detectable = signal.detectable.as_ref().unwrap_or_else(|| panic!("{signal:?}"));
        let worse = if matches!(signal.name.as_str(), "output_tokens" | "quality" | "accepted") {
            detectable.by < 0.0
        } else {
            detectable.by > 0.0
        };
        assert!(worse, "{detectable:?}");
        assert!(signal.notice.is_some() && signal.no_worse_after.is_some(), "{signal:?}");
    }
    assert_eq!(report.signals[7].text.code, "plan_signal_external");
    let said = texts(&report);
    assert!(!said.contains('{') && !said.contains("null"), "{said}");
    eprintln!("{said}");
}

#[test]
fn a_limit_that_never_gets_its_answers_is_said_to_be_never_judged() {
    let signals = json!([
        {"name": "rejected", "kind": "rate", "limit": "5%", "min_samples": 50, "action": "pause"},
    ]);
    let traffic = traffic(1000.0, &[known("rejected", 0.02, 0.0, 0.1)]);
    let steps = json!([{"weight": {"share": "10%", "hold": "1d"}}, {"promote": {}}]);
    let report = plan(&policy(0.05, steps, signals), &traffic);
    assert!(report.signals[0].text.text.contains("never judged"), "{}", texts(&report));
    assert_eq!(report.promotion.code, "plan_promotes_unproven");
}

#[test]
fn no_traffic_and_odd_numbers_are_answered_too() {
    let steps = json!([
        {"weight": {"share": "5%", "hold": "1h", "min_requests": 20}}, {"promote": {}},
    ]);
    let policy = policy(0.01, steps, json!([error(2.0)]));
    for per_day in [0.0, -5.0, f64::NAN, f64::INFINITY, 1e-9, 1e300] {
        for level in [0.0, 1.0, 0.999, f64::NAN, 1e-12] {
            let report = plan(&policy, &traffic(per_day, &[known("error", level, 0.0, 1.0)]));
            assert!(!texts(&report).contains("NaN of"), "{}", texts(&report));
        }
    }
    let report = plan(&policy, &traffic(0.0, &[]));
    assert_eq!(report.summary.code, "plan_without_traffic");
    assert_eq!(report.takes, None);
    let empty = RolloutPolicy { steps: Vec::new(), ..policy };
    assert_eq!(plan(&empty, &traffic(10.0, &[])).summary.code, "plan_shows_nobody");
}

/// Without bad answers nothing can be compared, and the engine asks whether they
/// are shown to be rare instead.
#[test]
fn a_candidate_that_hardly_fails_is_promoted_for_that() {
    let by = json!({"name": "error", "kind": "rate", "notice": {"by": 0.05}, "action": "rollback"});
    let traffic = traffic(86_400.0, &[known("error", 1e-4, 0.0, 1.0)]);
    let report = plan(&policy(0.05, one_step(0.25, 1000.0), json!([by])), &traffic);
    // ln(4 / (0.2 · 0.1)) over ln(1 / 0.95), and a little for the rare bad one.
    let answers = report.signals[0].no_worse_after.unwrap().secs() * 0.25;
    assert!((103.0..115.0).contains(&answers), "{answers}");
}

#[test]
fn a_report_survives_its_json() {
    let report =
        plan(&policy(0.05, one_step(0.5, 3000.0), json!([error(2.0)])), &Traffic::given(1000.0));
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<PlanReport>(&text).unwrap(), report);
}

proptest! {
    /// More traffic, a longer step or a higher risk never make a plan blinder.
    #[test]
    fn more_of_anything_never_sees_less(
        per_day in 10.0..1e5_f64, hours in 1.0..100.0_f64, share in 0.01..0.5_f64,
        bad in 0.001..0.4_f64, risk in 0.001..0.1_f64, factor in 1.1..5.0_f64,
    ) {
        let share = (share * 1e4).round() / 1e4;
        let seen = |per_day: f64, hours: f64, risk: f64| {
            let steps = json!([{"weight": {"share": share, "hold": hours * 3600.0}}, {"promote": {}}]);
            let report = plan(
                &policy(risk, steps, json!([error(2.0)])),
                &traffic(per_day, &[known("error", bad, 0.0, 1.0)]),
            );
            report.signals[0].detectable.as_ref().map_or(f64::INFINITY, |d| d.times)
        };
        let before = seen(per_day, hours, risk);
        for after in [
            seen(per_day * factor, hours, risk),
            seen(per_day, hours * factor, risk),
            seen(per_day, hours, (risk * factor).min(0.4)),
        ] {
            prop_assert!(after <= before * (1.0 + 1e-6), "{after} {before}");
        }
    }
}
