//! Numbers and times as people read them.

use domain::units::Timestamp;
use std::collections::BTreeMap;

/// How long ago, or how soon: `3m ago`, `in 2h`.
pub fn ago(now: Timestamp, at: Timestamp) -> String {
    let (ms, future) = if at > now { (at.0 - now.0, true) } else { (now.0 - at.0, false) };
    let amount = match ms / 1000 {
        s if s < 60 => format!("{s}s"),
        s if s < 3600 => format!("{}m", s / 60),
        s if s < 2 * 86_400 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    };
    if future { format!("in {amount}") } else { format!("{amount} ago") }
}

/// A whole number with its thousands set apart: `12,402`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 approval`, `2 approvals`.
pub fn plural(n: u64, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{} {noun}s", count(n)) }
}

/// `prompt summary@1.1.0  model gpt-4-0613@1.0.0`.
pub fn labels(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(kind, label)| format!("{kind} {label}")).collect::<Vec<_>>().join("  ")
}

/// A signal's number in its unit, told from its name and form.
pub fn amount(signal: &str, is_rate: bool, value: Option<f64>) -> String {
    let Some(value) = value else { return "–".to_owned() };
    if is_rate {
        return format!("{:.2}%", value * 100.0);
    }
    match signal {
        name if name.ends_with("_ms") => format!("{value:.0} ms"),
        "cost" => format!("${}", significant(value)),
        _ => significant(value),
    }
}

/// Three significant digits without trailing zeros.
fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let whole = value.abs().log10().floor() as i32;
    let decimals = usize::try_from(2 - whole).unwrap_or(0).min(9);
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// At most so many characters, with `…` where the rest was.
pub fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(count(12_402), "12,402");
        assert_eq!(count(999), "999");
        assert_eq!(plural(1, "entry"), "1 entry");
        assert_eq!(amount("latency_ms", false, Some(681.7)), "682 ms");
        assert_eq!(amount("error", true, Some(0.0044)), "0.44%");
        assert_eq!(amount("cost", false, Some(0.0029)), "$0.0029");
        assert_eq!(amount("cost", false, Some(0.000_038)), "$0.000038");
        assert_eq!(amount("csat", false, Some(4.0)), "4");
        assert_eq!(amount("score", false, Some(0.012_34)), "0.0123");
        assert_eq!(amount("score", false, None), "–");
    }

    #[test]
    fn times_are_relative_in_both_directions() {
        let now = Timestamp(1_000_000_000);
        assert_eq!(ago(now, Timestamp(now.0 - 240_000)), "4m ago");
        assert_eq!(ago(now, Timestamp(now.0 + 7_200_000)), "in 2h");
    }

    #[test]
    fn long_texts_are_cut_at_characters() {
        assert_eq!(shorten("größer", 4), "grö…");
        assert_eq!(shorten("kurz", 4), "kurz");
    }
}
