//! External signals: gauges somebody else measures, read once a check.
//!
//! A gauge is not a sample of answers. Its value is already a mean, a rate or a
//! quantile over a time its expression names, two readings a minute apart may be
//! the same number twice, and nobody drew who is behind it. So it is never
//! averaged with itself and never compared with control: its latest value is
//! held against the absolute limit, and how long it must be beyond is
//! `sustained`'s to say.
//!
//! What must stay true: the verdict is a function of the samples up to `now`;
//! what is no number never passes and never fails; the latest number counts only
//! while it is fresh.

use domain::external::{ExternalSample, Read};
use domain::policy::{Signal, SignalKind, Worse};
use domain::units::{Span, Timestamp};
use domain::verdict::{ArmNumbers, Outcome, Reason, Verdict};

/// A number stays fresh for so many checks where the signal names no `window`:
/// one question may go unanswered, two may not.
const FRESH_FOR_CHECKS: i64 = 3;
/// No number is stale sooner than this, however often one looks.
const FRESH_AT_LEAST: Span = Span::from_secs(10);

/// How long a reading of this signal counts: its `window`, or three checks.
pub fn fresh_for(signal: &Signal, check_every: Span) -> Span {
    signal.window.unwrap_or_else(|| {
        Span::from_millis(check_every.millis().saturating_mul(FRESH_FOR_CHECKS)).max(FRESH_AT_LEAST)
    })
}

/// The verdict on an external signal. `samples` are those of this signal, in
/// order of time; later ones than `now` are not looked at.
pub fn gauge_verdict(
    signal: &Signal,
    check_every: Span,
    samples: &[ExternalSample],
    now: Timestamp,
) -> Verdict {
    let known = || samples.iter().filter(|sample| sample.at <= now);
    let numbers = |read: fn(&ExternalSample) -> Option<&Read>| {
        let usable = || known().filter_map(|s| value(signal, read(s)?).map(|v| (s.at, v)));
        let (n, last) = (usable().count(), usable().next_back());
        (
            ArmNumbers {
                n: u64::try_from(n).unwrap_or(u64::MAX),
                value: last.map(|l| l.1),
                bad: None,
            },
            last,
        )
    };
    let (mut candidate, last) = numbers(|sample| Some(&sample.candidate));
    let (control, _) = numbers(|sample| sample.control.as_ref());
    let fresh = fresh_for(signal, check_every);
    let newest = known().next_back();
    let (outcome, reason) = match (newest, last) {
        // The server answers, and what it says is no number: an older one does
        // not speak for now.
        (Some(sample), _) if is_unusable(signal, &sample.candidate) => {
            candidate.value = None;
            (Outcome::Inconclusive, Reason::Unusable)
        }
        (_, Some((at, value))) if now.since(at) <= fresh => judge(signal, value),
        (_, Some(_)) => (Outcome::NoData, Reason::Stale),
        (_, None) => (Outcome::NoData, Reason::Nothing),
    };
    Verdict {
        signal: signal.name.clone(),
        outcome,
        reason,
        action: signal.action,
        control,
        candidate,
        limit: signal.limit.map(|limit| limit.0),
        interval: None,
        evidence: None,
        boundary: None,
        needed: None,
        corrected: None,
        labels: None,
    }
}

fn judge(signal: &Signal, value: f64) -> (Outcome, Reason) {
    match (signal.limit, signal.worse) {
        (None, _) => (Outcome::Inconclusive, Reason::Unusable),
        (Some(limit), Worse::Higher) if value > limit.0 => (Outcome::Fail, Reason::OverLimit),
        (Some(limit), Worse::Lower) if value < limit.0 => (Outcome::Fail, Reason::OverLimit),
        _ => (Outcome::Pass, Reason::NotWorse),
    }
}

/// The number, if it can be of the signal's kind.
fn value(signal: &Signal, read: &Read) -> Option<f64> {
    read.number().filter(|number| can_be(signal, *number))
}

fn is_unusable(signal: &Signal, read: &Read) -> bool {
    read.is_unusable() || read.number().is_some_and(|number| !can_be(signal, number))
}

/// A rate is a share here, not a single 0 or 1.
fn can_be(signal: &Signal, number: f64) -> bool {
    number.is_finite()
        && match signal.kind {
            SignalKind::Rate => (0.0..=1.0).contains(&number),
            SignalKind::Score => {
                signal.range.is_none_or(|(low, high)| (low..=high).contains(&number))
            }
            SignalKind::Latency | SignalKind::Amount => number >= 0.0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const CHECK: Span = Span::from_secs(60);

    fn csat() -> Signal {
        serde_json::from_value(json!({
            "name": "csat", "kind": "score", "range": [1, 5], "worse": "lower", "limit": 4.2,
            "source": {"prometheus": "avg(csat)"}, "action": "pause",
        }))
        .unwrap()
    }

    fn samples(reads: &[(i64, Read)]) -> Vec<ExternalSample> {
        let sample = |(second, read): &(i64, Read)| ExternalSample {
            signal: "csat".to_owned(),
            at: Timestamp(second * 1000),
            candidate: read.clone(),
            control: None,
        };
        reads.iter().map(sample).collect()
    }

    fn said(reads: &[(i64, Read)], now: i64) -> (Outcome, Reason, Option<f64>) {
        let verdict = gauge_verdict(&csat(), CHECK, &samples(reads), Timestamp(now * 1000));
        (verdict.outcome, verdict.reason, verdict.candidate.value)
    }

    #[test]
    fn the_latest_value_is_held_against_the_limit_and_never_an_average() {
        use Read::Number as N;
        let reads = [(0, N(5.0)), (60, N(4.1)), (120, N(4.5))];
        for (now, wanted) in [
            (0, (Outcome::Pass, Reason::NotWorse, Some(5.0))),
            (60, (Outcome::Fail, Reason::OverLimit, Some(4.1))),
            (119, (Outcome::Fail, Reason::OverLimit, Some(4.1))),
            (120, (Outcome::Pass, Reason::NotWorse, Some(4.5))),
        ] {
            assert_eq!(said(&reads, now), wanted, "{now}");
        }
        let at_the_limit = [(0, N(4.2))];
        assert_eq!(said(&at_the_limit, 1).0, Outcome::Pass);
        let verdict = gauge_verdict(&csat(), CHECK, &samples(&reads), Timestamp(120_000));
        assert_eq!(verdict.candidate.n, 3);
    }

    #[test]
    fn a_number_counts_while_it_is_fresh_and_silence_is_no_data() {
        let gone = [(0, Read::Number(4.8)), (60, Read::Empty), (120, Read::Failed("x".to_owned()))];
        assert_eq!(said(&gone, 180).0, Outcome::Pass, "three checks");
        assert_eq!(said(&gone, 181), (Outcome::NoData, Reason::Stale, Some(4.8)));
        assert_eq!(said(&gone[1..], 130), (Outcome::NoData, Reason::Nothing, None));
        assert_eq!(said(&[], 130), (Outcome::NoData, Reason::Nothing, None));
        let window = Signal { window: Some(Span::from_secs(30)), ..csat() };
        let verdict = gauge_verdict(&window, CHECK, &samples(&gone), Timestamp(31_000));
        assert_eq!(verdict.reason, Reason::Stale);
        assert_eq!(fresh_for(&csat(), Span::from_millis(100)), FRESH_AT_LEAST);
    }

    #[test]
    fn what_is_no_number_is_unusable_at_once() {
        let odd = [
            Read::NotANumber,
            Read::Infinite,
            Read::Several(2),
            Read::Partial("w".to_owned()),
            Read::Number(5.5),
            Read::Number(f64::NAN),
        ];
        for read in odd {
            let reads = [(0, Read::Number(3.0)), (60, read)];
            assert_eq!(
                said(&reads, 61),
                (Outcome::Inconclusive, Reason::Unusable, None),
                "{reads:?}"
            );
        }
    }

    #[test]
    fn each_kind_knows_what_it_can_be() {
        for (kind, number, can) in [
            ("rate", 0.4, true),
            ("rate", 1.4, false),
            ("latency", -1.0, false),
            ("amount", 1e9, true),
        ] {
            let signal: Signal = serde_json::from_value(json!({
                "name": "x", "kind": kind, "limit": 0.5, "source": {"prometheus": "x"},
                "action": "pause",
            }))
            .unwrap();
            assert_eq!(can_be(&signal, number), can, "{kind} {number}");
        }
    }

    fn any_read() -> impl Strategy<Value = Read> {
        prop_oneof![
            (0.0..6.0_f64).prop_map(Read::Number),
            Just(Read::NotANumber),
            Just(Read::Empty),
            Just(Read::Several(2)),
            Just(Read::Failed("x".to_owned())),
        ]
    }

    proptest! {
        /// What comes later changes no verdict; only a fresh number passes or fails.
        #[test]
        fn no_look_ahead_and_no_pass_without_a_number(
            reads in prop::collection::vec(any_read(), 0..20), now in 0_i64..1200,
        ) {
            let all: Vec<(i64, Read)> = reads.into_iter().zip(0..).map(|(r, i)| (i * 60, r)).collect();
            let until: Vec<(i64, Read)> = all.iter().filter(|(at, _)| *at <= now).cloned().collect();
            prop_assert_eq!(said(&all, now), said(&until, now));
            if matches!(said(&all, now).0, Outcome::Pass | Outcome::Fail) {
                let fresh = until.iter().any(|(at, read)| now - at <= 180 && read.number().is_some());
                prop_assert!(fresh);
            }
        }
    }
}
