//! Whatever arrives, a verdict comes back: absurd counts, absurd times, absurd
//! policies. Nothing panics, and nothing absurd is more than a number.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use domain::policy::{
    Notice, RolloutPolicy, Signal, SignalAction, SignalKind, Statistic, Sustained, Worse,
};
use domain::routing::Arm;
use domain::telemetry::AnswerStatus;
use domain::units::{Ratio, Span, Timestamp};
use domain::verdict::Outcome;
use proptest::prelude::*;
use support::{key, policy};
use tidegate_analysis::{Cell, CellKey, FeedbackCell, Sketch, Window, verdict};

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..50_u64, 1 => any::<u64>(), 1 => Just(u64::MAX)]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![4 => 0.0..2.0_f64, 1 => any::<f64>(), 1 => Just(0.0), 1 => Just(f64::NAN)]
}

fn sketch() -> impl Strategy<Value = Sketch> {
    proptest::collection::vec(any::<f64>(), 0..4).prop_map(|values| {
        let mut sketch = Sketch::default();
        for value in values {
            assert_eq!(sketch.add(value).is_err(), value.is_nan());
        }
        sketch
    })
}

fn cell() -> impl Strategy<Value = Cell> {
    let feedback = (count(), count(), count(), count(), any::<i64>(), count(), sketch()).prop_map(
        |(n, zeros, ones, unusable, sum_micro, sum_sq_micro, values)| FeedbackCell {
            n,
            zeros,
            ones,
            unusable,
            sum_micro,
            sum_sq_micro,
            values,
        },
    );
    (count(), count(), count(), count(), sketch(), feedback).prop_map(
        |(n, errors, checked, failures, values, feedback)| Cell {
            n,
            status: [
                (AnswerStatus::Ok, n),
                (AnswerStatus::Cut, errors),
                (AnswerStatus::Timeout, errors),
            ]
            .into(),
            fallbacks: errors,
            schema_checked: checked,
            schema_failures: failures,
            latency_ms: values.clone(),
            cost_usd: values,
            feedback: [("label".to_owned(), feedback)].into(),
            ..Cell::default()
        },
    )
}

fn cells() -> impl Strategy<Value = Vec<(CellKey, Cell)>> {
    let arm =
        prop_oneof![Just(Arm::Stable), Just(Arm::Control), Just(Arm::Candidate), Just(Arm::Shadow)];
    let second = prop_oneof![4 => 0..20_i64, 1 => any::<i64>()];
    let one =
        (arm, 0..3_u32, 0..=4_u8, second, cell()).prop_map(|(arm, step, share, second, cell)| {
            (key(arm, step, f64::from(share) / 4.0, second), cell)
        });
    proptest::collection::vec(one, 0..12)
}

fn signal() -> impl Strategy<Value = Signal> {
    let name = prop_oneof![
        Just("error"),
        Just("latency_ms"),
        Just("cost"),
        Just("schema_failure"),
        Just("label"),
        Just("absent"),
    ];
    let kind = prop_oneof![
        Just(SignalKind::Rate),
        Just(SignalKind::Score),
        Just(SignalKind::Latency),
        Just(SignalKind::Amount),
    ];
    let notice = proptest::option::of(prop_oneof![
        number().prop_map(Notice::Times),
        number().prop_map(|by| Notice::By(Ratio(by))),
    ]);
    let rest =
        (any::<bool>(), proptest::option::of(number()), any::<bool>(), any::<bool>(), count());
    let range = proptest::option::of((number(), number()));
    (name, kind, notice, range, rest).prop_map(
        |(name, kind, notice, range, (lower, limit, window, sustained, min_samples))| Signal {
            name: name.to_owned(),
            kind,
            notice,
            range,
            weight: None,
            source: None,
            burn: None,
            judge: None,
            statistic: lower.then_some(Statistic::P99),
            worse: if lower { Worse::Lower } else { Worse::Higher },
            limit: limit.map(Ratio),
            window: window.then_some(Span::from_secs(5)),
            sustained: sustained.then_some(Sustained::Checks(2)),
            min_samples,
            action: SignalAction::Pause,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn every_verdict_is_sound(signal in signal(), cells in cells(), now in prop_oneof![0..40_000_i64, any::<i64>()], exposed in any::<bool>(), planned in any::<bool>()) {
        let mut plan: RolloutPolicy = policy(
            r#"[{"name":"x","kind":"rate","limit":1,"action":"pause"}]"#,
            r#"{"false_stop":0.01,"false_promote":0.1}"#,
        );
        if planned {
            plan.planned = serde_json::from_str(r#"{"duration":"1h","requests":100}"#).unwrap();
        }
        plan.signals = vec![signal];
        let signal = &plan.signals[0];
        let told = verdict(&plan, signal, &cells, &Window { step: 0, exposed }, Timestamp(now));
        if told.outcome == Outcome::Pass {
            prop_assert!(told.candidate.n >= signal.min_samples.max(1));
        }
        if let (Some(evidence), Some(boundary)) = (told.evidence, told.boundary) {
            prop_assert!((0.0..=1.0).contains(&evidence) && boundary > 0.0, "{} {}", evidence, boundary);
        }
        // What is stored and sent must be readable again.
        prop_assert!(serde_json::to_string(&told).is_ok());
    }
}
