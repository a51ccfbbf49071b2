//! What answers cost: tokens, money, time, beside production's on the same
//! inputs, and a month's forecast.

use crate::row::{ArmRow, CaseRow};
use analysis::compare::paired::student_reach;
use analysis::forecast::{self, Ahead};
use domain::price::Price;
use serde::{Deserialize, Serialize};

/// What one release spends on an average request of the suite.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// Tokens of the prompt.
    pub prompt_tokens: f64,
    /// Tokens of the answer.
    pub completion_tokens: f64,
    /// US dollars by the prices of the model's entry.
    pub usd: f64,
    /// 95th percentile of the time an answer took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<u32>,
}

/// A sum of money with its interval, in US dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Money {
    /// The estimate.
    pub usd: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Growth against production on the same inputs: 0.15 is 15 % more.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    /// The estimate: ratio of the sums, less one.
    pub value: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What an average request of these rows spends.
pub(crate) fn spent<'a>(arms: impl Iterator<Item = &'a ArmRow> + Clone, price: Price) -> Spent {
    let answers: f64 = arms.clone().map(|arm| f64::from(arm.asked)).sum();
    if answers <= 0.0 {
        return Spent::default();
    }
    let sum =
        |of: fn(&ArmRow) -> u64| arms.clone().map(|arm| of(arm) as f64).sum::<f64>() / answers;
    let prompt_tokens = sum(|arm| arm.prompt_tokens);
    let completion_tokens = sum(|arm| arm.completion_tokens);
    Spent {
        prompt_tokens,
        completion_tokens,
        usd: price.usd(prompt_tokens, completion_tokens),
        p95_ms: percentile(arms.flat_map(|arm| arm.latencies.iter().copied()).collect()),
    }
}

/// The 95th percentile by nearest rank.
fn percentile(mut values: Vec<u32>) -> Option<u32> {
    values.sort_unstable();
    let rank = (values.len() * 95).div_ceil(100);
    values.get(rank.checked_sub(1)?).copied()
}

/// Growth of what `of` says of each case, over cases both answered. The
/// interval is that of a ratio of sums by linearisation (Cochran 1977, 2.11).
pub(crate) fn growth(
    rows: &[CaseRow],
    of: impl Fn(&ArmRow, bool) -> f64,
    confidence: f64,
) -> Option<Growth> {
    let pairs: Vec<(f64, f64)> = rows
        .iter()
        .filter_map(|row| {
            let theirs = row.production.as_ref().filter(|arm| arm.asked > 0)?;
            (row.candidate.asked > 0).then(|| (of(&row.candidate, true), of(theirs, false)))
        })
        .collect();
    let n = pairs.len() as f64;
    let (ours, theirs) = pairs.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
    if theirs <= 0.0 {
        return None;
    }
    let ratio = ours / theirs;
    let spread: f64 = pairs.iter().map(|(x, y)| (x - ratio * y).powi(2)).sum();
    let error =
        if n > 1.0 { (spread / (n - 1.0) / n).sqrt() / (theirs / n) } else { f64::INFINITY };
    let by = reach(n - 1.0, confidence) * error;
    let value = ratio - 1.0;
    let (low, high) = if by.is_finite() { (value - by, value + by) } else { (-1.0, f64::MAX) };
    Some(Growth { value, low: low.max(-1.0), high })
}

/// Tokens of one answer and its prompt of a case, on average.
pub(crate) fn tokens(arm: &ArmRow) -> f64 {
    arm.tokens().unwrap_or(0.0)
}

/// Dollars of one answer of a case, on average.
pub(crate) fn usd(arm: &ArmRow, price: Price) -> f64 {
    let answers = f64::from(arm.asked.max(1));
    price.usd(arm.prompt_tokens as f64, arm.completion_tokens as f64) / answers
}

/// A month of so many requests like the cases, each day of it at its own price,
/// with the range in which such a month would lie ([`analysis::forecast`]).
pub(crate) fn month(
    rows: &[CaseRow],
    prices: &[(u32, Price)],
    requests: f64,
    confidence: f64,
) -> Option<Money> {
    let days: f64 = prices.iter().map(|(days, _)| f64::from(*days)).sum();
    let answered = || rows.iter().filter(|row| row.candidate.asked > 0);
    let kinds: Vec<Ahead> = prices
        .iter()
        .map(|(of, price)| Ahead {
            count: requests * f64::from(*of) / days,
            seen: answered().map(|row| usd(&row.candidate, *price)).collect(),
        })
        .collect();
    let of = forecast::sum(&kinds, confidence)?;
    let (low, high) = of.range?;
    Some(Money { usd: of.value, low, high })
}

fn reach(freedom: f64, confidence: f64) -> f64 {
    student_reach(freedom, confidence).unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(index: usize, ours: u64, theirs: u64) -> CaseRow {
        let arm = |tokens: u64| ArmRow {
            asked: 2,
            completion_tokens: tokens,
            latencies: vec![10, 20],
            ..ArmRow::new(0)
        };
        CaseRow {
            index,
            id: format!("c{index}"),
            candidate: arm(ours),
            production: Some(arm(theirs)),
            same: false,
            worse: Vec::new(),
            example: None,
            texts: None,
        }
    }

    #[test]
    fn growth_is_the_ratio_of_the_sums_with_its_interval() {
        let rows: Vec<CaseRow> =
            (0..30).map(|i| row(i, 150 + (i as u64 % 3), 100 + (i as u64 % 2))).collect();
        let got = growth(&rows, |arm, _| tokens(arm), 0.95).unwrap();
        let (ours, theirs) = (30.0 * 151.0, 30.0 * 100.5);
        assert!((got.value - (ours / theirs - 1.0)).abs() < 1e-12);
        assert!(got.low < got.value && got.value < got.high && got.high - got.low < 0.02);
        assert_eq!(growth(&[], |arm, _| tokens(arm), 0.95), None);
    }

    #[test]
    fn the_percentile_is_the_nearest_rank() {
        assert_eq!(percentile((1..=100).collect()), Some(95));
        assert_eq!(percentile(vec![7]), Some(7));
        assert_eq!(percentile(Vec::new()), None);
    }

    #[test]
    fn a_month_is_so_many_average_requests() {
        let rows: Vec<CaseRow> = (0..20).map(|i| row(i, 200 + 10 * (i as u64 % 5), 1)).collect();
        let price = Price { input_per_million: 0.0, output_per_million: 1.0 };
        let money = month(&rows, &[(30, price)], 1e6, 0.95).unwrap();
        // 220 tokens for two answers on average.
        assert!((money.usd - 110.0).abs() < 1e-9, "{money:?}");
        assert!(money.low < 110.0 && money.high > 110.0 && money.high < 115.0);
        let got = spent(rows.iter().map(|r| &r.candidate), price);
        assert!((got.usd - 110e-6).abs() < 1e-12);
        assert_eq!(got.p95_ms, Some(20));
        let dearer = Price { output_per_million: 10.0, ..price };
        let rising = month(&rows, &[(10, price), (20, dearer)], 1e6, 0.95).unwrap();
        assert!((rising.usd - 110.0 * (10.0 + 200.0) / 30.0).abs() < 1e-9, "{rising:?}");
        assert_eq!(month(&rows, &[(30, price)], 0.0, 0.95).map(|m| m.usd), Some(0.0));
        assert_eq!(month(&rows[..2], &[(30, price)], 1e6, 0.95), None, "two cases tell no range");
    }
}
