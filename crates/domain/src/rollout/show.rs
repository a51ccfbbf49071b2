//! Numbers as people read them, by what the signal is.

use crate::policy::{Signal, SignalKind, Statistic, Worse};
use crate::units::{Span, Timestamp};
use crate::verdict::ArmNumbers;

/// A value of this signal: `32.9%`, `1520 ms`, `$0.0041`, `4.2`.
pub fn value(signal: &Signal, value: f64) -> String {
    if !value.is_finite() {
        return "no usable number".to_owned();
    }
    match signal.kind {
        SignalKind::Rate => percent(value),
        _ if signal.name == "cost" => format!("${}", significant(value, 2)),
        _ if signal.name.ends_with("_ms") => millis(value),
        _ => significant(value, 3),
    }
}

/// An arm's value with what it was made of: `32.9% (28 of 85)`.
pub fn arm(signal: &Signal, numbers: &ArmNumbers) -> String {
    let n = numbers.n;
    let Some(known) = numbers.value else { return format!("not measured ({n} answers)") };
    let shown = value(signal, known);
    if signal.source.is_some() {
        // A gauge: its latest reading, made of whatever its expression says.
        return shown;
    }
    match signal.kind {
        SignalKind::Rate => format!("{shown} ({} of {n})", hits(signal, numbers, known)),
        SignalKind::Latency => format!("{shown} ({} of {n})", statistic(signal)),
        SignalKind::Score | SignalKind::Amount => format!("{shown} (mean of {n})"),
    }
}

/// How many outcomes make up the rate: the bad ones, or the good ones where
/// less is worse.
fn hits(signal: &Signal, numbers: &ArmNumbers, rate: f64) -> u64 {
    match (numbers.bad, signal.worse) {
        (Some(bad), Worse::Higher) => bad,
        (Some(bad), Worse::Lower) => numbers.n.saturating_sub(bad),
        // Saturates; a rate that is no number counts nothing.
        (None, _) => (rate * numbers.n as f64).round() as u64,
    }
}

fn statistic(signal: &Signal) -> &'static str {
    match signal.statistic {
        None | Some(Statistic::Mean) => "mean",
        Some(Statistic::P50) => "median",
        Some(Statistic::P90) => "p90",
        Some(Statistic::P95) => "p95",
        Some(Statistic::P99) => "p99",
    }
}

/// A rate: one decimal, or two digits where it is small.
fn percent(rate: f64) -> String {
    let percent = rate * 100.0;
    if percent.abs() < 1.0 {
        format!("{}%", significant(percent, 2))
    } else {
        format!("{}%", trim(format!("{percent:.1}")))
    }
}

fn millis(ms: f64) -> String {
    if ms.abs() < 10.0 {
        format!("{} ms", significant(ms, 2))
    } else if ms.abs() < 10_000.0 {
        format!("{} ms", trim(format!("{ms:.0}")))
    } else {
        format!("{} s", trim(format!("{:.1}", ms / 1000.0)))
    }
}

/// So many significant digits, whole numbers in full.
pub(super) fn significant(value: f64, digits: i32) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    // Between -300 and 300 for any finite number; clamped to what is readable.
    let magnitude = value.abs().log10().floor() as i32;
    let decimals = (digits - 1 - magnitude).clamp(0, 9) as usize;
    trim(format!("{value:.decimals$}"))
}

fn trim(number: String) -> String {
    if !number.contains('.') {
        return number;
    }
    number.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A length of time in two parts at most: `12m 30s`, `1h 5m`, `250ms`.
pub fn span(span: Span) -> String {
    let ms = span.millis();
    if ms < 1000 {
        return if ms == 0 { "0s".to_owned() } else { format!("{ms}ms") };
    }
    let seconds = ms / 1000;
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let shown: Vec<_> = parts
        .iter()
        .skip_while(|(n, _)| *n == 0)
        .take(2)
        .filter(|(n, _)| *n > 0)
        .map(|(n, unit)| format!("{n}{unit}"))
        .collect();
    shown.join(" ")
}

/// The time of day in UTC.
pub(super) fn clock(at: Timestamp) -> String {
    at.clock()
}

/// The time of day in UTC, with the date if that is not today's.
pub(super) fn moment(at: Timestamp, now: Timestamp) -> String {
    match at.date() == now.date() {
        true => at.clock(),
        false => format!("{} {}", at.date(), at.clock()),
    }
}

/// Names in back-ticks, joined as people do: `a`, `b` and `c`.
pub(super) fn names(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().map(|n| format!("`{n}`")).collect();
    match quoted.split_last() {
        None => "every signal".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::signal;
    use serde_json::json;

    #[test]
    fn values_are_shown_by_what_they_are() {
        for (name, kind, number, want) in [
            ("error", "rate", 0.329_411, "32.9%"),
            ("error", "rate", 0.05, "5%"),
            ("error", "rate", 0.001_234, "0.12%"),
            ("error", "rate", 0.0, "0%"),
            ("error", "rate", 1.0, "100%"),
            ("latency_ms", "latency", 1520.4, "1520 ms"),
            ("latency_ms", "latency", 12_340.0, "12.3 s"),
            ("latency_ms", "latency", 0.329, "0.33 ms"),
            ("cost", "amount", 0.004_12, "$0.0041"),
            ("cost", "amount", 12.3, "$12"),
            ("csat", "score", 4.156, "4.16"),
            ("output_tokens", "amount", 1234.5, "1234"),
            ("output_tokens", "amount", f64::NAN, "no usable number"),
            ("error", "rate", f64::INFINITY, "no usable number"),
        ] {
            let signal = signal(json!({"name": name, "kind": kind, "limit": 1, "action": "pause"}));
            assert_eq!(value(&signal, number), want, "{name} {number}");
        }
    }

    #[test]
    fn counts_fit_the_rate_they_stand_beside() {
        let numbers = ArmNumbers { n: 100, value: Some(0.71), bad: Some(29) };
        let lower = signal(
            json!({"name": "accepted", "kind": "rate", "worse": "lower", "limit": 0.5, "action": "pause"}),
        );
        assert_eq!(arm(&lower, &numbers), "71% (71 of 100)");
        let higher =
            signal(json!({"name": "error", "kind": "rate", "limit": 0.5, "action": "pause"}));
        let numbers = ArmNumbers { n: 85, value: Some(28.0 / 85.0), bad: None };
        assert_eq!(arm(&higher, &numbers), "32.9% (28 of 85)");
        assert_eq!(arm(&higher, &ArmNumbers::default()), "not measured (0 answers)");
    }

    #[test]
    fn another_day_has_a_date() {
        let now = Timestamp(1_795_305_600_000);
        assert_eq!(now.iso(), "2026-11-22T00:00:00.000Z");
        for (ms, want) in [
            (0, "00:00:00"),
            (86_399_999, "23:59:59"),
            (86_400_000, "2026-11-23 00:00:00"),
            (-1, "2026-11-21 23:59:59"),
        ] {
            assert_eq!(moment(Timestamp(now.0 + ms), now), want);
        }
    }

    #[test]
    fn spans_have_two_parts_at_most() {
        for (ms, want) in [
            (0, "0s"),
            (250, "250ms"),
            (750_000, "12m 30s"),
            (3_600_000, "1h"),
            (3_900_000, "1h 5m"),
            (90_061_000, "1d 1h"),
            (86_400_000, "1d"),
            (3_605_000, "1h"),
        ] {
            assert_eq!(span(Span::from_millis(ms)), want);
        }
    }
}
