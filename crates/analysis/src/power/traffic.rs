//! The traffic a plan will meet: how much of it, and how today's numbers are
//! spread.
//!
//! What is known comes from the app's own cells; what is not is assumed, and
//! says so: a forecast must never look more certain than what it is made of.

use crate::cells::{Cell, CellKey, FeedbackCell};
use crate::floor::Law;
use crate::sketch::Sketch;
use domain::policy::{RolloutPolicy, Signal, SignalKind, Statistic, Worse};
use domain::routing::Arm;
use domain::units::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Requests a day where nothing is known.
pub const ASSUMED_PER_DAY: f64 = 1000.0;
/// Share of bad answers where nothing is known.
pub const ASSUMED_BAD: f64 = 0.02;
/// Standard deviation of the logarithm of latencies and amounts where nothing is
/// known: a 95th percentile of 2.7 times the median.
pub const ASSUMED_LOG_SD: f64 = 0.6;
/// Mean and standard deviation of a score between worst (0) and best (1) where
/// nothing is known.
pub const ASSUMED_SCORE: (f64, f64) = (0.8, 0.13);
/// Share of answers that get a piece of feedback where nothing is known.
pub const ASSUMED_COVERAGE: f64 = 0.1;
/// Fewer measured answers than this do not replace an assumption.
pub const ENOUGH: u64 = 20;
/// Shortest time a rate of requests is taken from.
const SHORTEST: Span = Span::from_secs(60);

/// Where a number comes from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "from")]
pub enum Basis {
    /// From the app's own traffic.
    Measured {
        /// Over so long.
        over: Span,
        /// From so many answers.
        answers: u64,
    },
    /// Named by whoever asks.
    Given,
    /// From `planned` of the policy.
    Planned,
    /// From nothing: a usual number, to be replaced.
    Assumed,
}

/// What is known of one signal on today's version.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Measured answers.
    pub answers: u64,
    /// The rate, the mean, or the watched quantile.
    pub level: f64,
    /// Standard deviation: of the logarithm for latencies and amounts, of the
    /// value for scores, none for rates.
    pub spread: f64,
    /// Share of answers that get this number.
    pub coverage: f64,
}

/// What a plan will meet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    /// Requests a day.
    pub per_day: f64,
    /// Where that comes from.
    pub basis: Basis,
    /// By name of the signal; absent where nothing is known.
    pub signals: BTreeMap<String, Baseline>,
}

impl Traffic {
    /// So many requests a day, and nothing known of the answers.
    pub fn given(per_day: f64) -> Self {
        Self { per_day, basis: Basis::Given, signals: BTreeMap::new() }
    }

    /// What the policy was made for, or what is usual.
    pub fn expected(policy: &RolloutPolicy) -> Self {
        let planned = policy.planned.filter(|planned| planned.duration > Span::ZERO);
        let (per_day, basis) = match planned {
            Some(planned) => {
                (planned.requests as f64 * 86_400.0 / planned.duration.secs(), Basis::Planned)
            }
            None => (ASSUMED_PER_DAY, Basis::Assumed),
        };
        Self { per_day, basis, signals: BTreeMap::new() }
    }

    /// What cells of the app say about the time from `since` to `now`; the
    /// policy's expectation where there are none. How much came is counted over
    /// all answers to users; how numbers are spread, over today's version.
    pub fn measured(
        policy: &RolloutPolicy,
        cells: &[(CellKey, Cell)],
        since: Timestamp,
        now: Timestamp,
    ) -> Self {
        let inside = |key: &CellKey| (since.second()..=now.second()).contains(&key.second);
        let mut all = 0_u64;
        let mut first = i64::MAX;
        let mut today = Cell::default();
        for (key, cell) in cells.iter().filter(|(key, _)| inside(key) && key.arm != Arm::Shadow) {
            all = all.saturating_add(cell.n);
            first = first.min(key.second);
            if !matches!(key.arm, Arm::Candidate | Arm::Variant) {
                today.merge(cell);
            }
        }
        if all == 0 {
            return Self::expected(policy);
        }
        let over = now.since(Timestamp(first.saturating_mul(1000))).max(SHORTEST);
        let known = |signal: &Signal| Some((signal.name.clone(), Baseline::of(signal, &today)?));
        Self {
            per_day: all as f64 * 86_400.0 / over.secs(),
            basis: Basis::Measured { over, answers: all },
            signals: policy.signals.iter().filter_map(known).collect(),
        }
    }

    /// The baseline of a signal, and whether it was only assumed.
    pub(super) fn baseline(&self, signal: &Signal) -> (Baseline, bool) {
        match self.signals.get(&signal.name) {
            Some(known) => (*known, false),
            None => (Baseline::assumed(signal), true),
        }
    }
}

impl Baseline {
    /// What a cell says of a signal; none if too little.
    fn of(signal: &Signal, cell: &Cell) -> Option<Self> {
        if signal.source.is_some() {
            return None;
        }
        let of_all = |n: u64| n as f64 / cell.n.max(1) as f64;
        let found = match signal.name.as_str() {
            "error" => rate(cell.errors(), cell.n, 1.0),
            "fallback" => rate(cell.fallbacks, cell.n, 1.0),
            "schema_failure" => {
                rate(cell.schema_failures, cell.schema_checked, of_all(cell.schema_checked))
            }
            "latency_ms" => spread(signal, &cell.latency_ms, 1.0)?,
            "ttft_ms" => spread(signal, &cell.ttft_ms, 1.0)?,
            "cost" => spread(signal, &cell.cost_usd, 1.0)?,
            "output_tokens" => spread(signal, &cell.output_tokens, 1.0)?,
            name => {
                let feedback = cell.feedback.get(name)?;
                let coverage = of_all(feedback.n).min(1.0);
                match signal.kind {
                    SignalKind::Rate => rate(feedback.ones, feedback.n, coverage),
                    SignalKind::Score => score(feedback, coverage)?,
                    _ => spread(signal, &feedback.values, coverage)?,
                }
            }
        };
        (found.answers >= ENOUGH).then_some(found)
    }

    /// What is usual for such a signal.
    fn assumed(signal: &Signal) -> Self {
        let (low, high) = signal.range.unwrap_or((0.0, 1.0));
        let (level, spread) = match (signal.kind, signal.worse) {
            (SignalKind::Rate, Worse::Higher) => (ASSUMED_BAD, 0.0),
            (SignalKind::Rate, Worse::Lower) => (1.0 - ASSUMED_BAD, 0.0),
            (SignalKind::Score, worse) => {
                let (mean, sd) = ASSUMED_SCORE;
                let mean = if worse == Worse::Higher { 1.0 - mean } else { mean };
                (low + mean * (high - low), sd * (high - low))
            }
            // Only ratios count, so any level will do.
            (SignalKind::Latency | SignalKind::Amount, _) => (1.0, ASSUMED_LOG_SD),
        };
        let coverage = if signal.is_built_in() { 1.0 } else { ASSUMED_COVERAGE };
        Self { answers: 0, level, spread, coverage }
    }

    /// The law a signal's outcomes follow; none if it cannot be told.
    pub(super) fn law(&self, signal: &Signal) -> Option<Law> {
        match signal.kind {
            SignalKind::Rate => Some(Law::Rate { bad: self.bad(signal.worse) }),
            SignalKind::Latency => {
                let log_sd = self.spread;
                // The tail of what is too fast is nobody's question.
                match signal.statistic.and_then(Statistic::quantile).filter(|q| *q > 0.5) {
                    Some(quantile) if signal.worse == Worse::Higher => {
                        Some(Law::Tail { log_sd, quantile })
                    }
                    _ => Some(Law::Latency { log_sd }),
                }
            }
            SignalKind::Amount => Some(Law::Amount { shape: shape(self.spread) }),
            SignalKind::Score => {
                let (low, high) = signal.range?;
                let mean = (self.level - low) / (high - low);
                let mean = if signal.worse == Worse::Higher { 1.0 - mean } else { mean };
                Some(Law::Score { mean, sd: self.spread / (high - low) })
            }
        }
    }

    /// The bad share of a rate.
    pub(super) fn bad(&self, worse: Worse) -> f64 {
        if worse == Worse::Higher { self.level } else { 1.0 - self.level }
    }
}

/// A rate, drawn in by half an outcome each way: none seen is not none to come.
fn rate(ones: u64, n: u64, coverage: f64) -> Baseline {
    let level = (ones as f64 + 0.5) / (n as f64 + 1.0);
    Baseline { answers: n, level, spread: 0.0, coverage }
}

fn score(feedback: &FeedbackCell, coverage: f64) -> Option<Baseline> {
    let n = feedback.n.max(1) as f64;
    let level = feedback.sum() / n;
    let variance = (feedback.sum_sq()? / n - level * level).max(0.0);
    Some(Baseline { answers: feedback.n, level, spread: variance.sqrt(), coverage })
}

/// Level and logarithmic spread of positive numbers; zeros say nothing about
/// the spread, and are left out of the coverage.
fn spread(signal: &Signal, values: &Sketch, coverage: f64) -> Option<Baseline> {
    let (mut n, mut sum, mut squares) = (0_u64, 0.0, 0.0);
    for (bucket, times) in values.iter() {
        let value = bucket.value();
        if value > 0.0 {
            let (ln, times_f) = (value.ln(), times as f64);
            n = n.saturating_add(times);
            sum += ln * times_f;
            squares += ln * ln * times_f;
        }
    }
    let level = match signal.statistic.and_then(Statistic::quantile) {
        Some(q) => values.quantile(q)?,
        None => values.mean()?,
    };
    let count = n.max(1) as f64;
    let variance = (squares / count - (sum / count).powi(2)).max(0.0);
    // A sketch tells numbers apart to 1 %; equal ones are no spread of zero.
    let log_sd = variance.sqrt().max(crate::sketch::RELATIVE_ERROR);
    let positive = n as f64 / values.count().max(1) as f64;
    Some(Baseline { answers: n, level, spread: log_sd, coverage: coverage * positive })
}

/// The shape of a gamma law whose logarithm has this standard deviation: the
/// trigamma function of the shape is its square.
fn shape(log_sd: f64) -> f64 {
    let wanted = log_sd * log_sd;
    let (mut low, mut high) = (1e-3_f64, 1e7_f64);
    for _ in 0..60 {
        let middle = (low * high).sqrt();
        if trigamma(middle) > wanted { low = middle } else { high = middle }
    }
    high
}

/// Second derivative of ln Γ: recurrence up to 6, then the asymptotic series
/// (Abramowitz & Stegun 6.4.6 and 6.4.12).
fn trigamma(x: f64) -> f64 {
    let (mut x, mut sum) = (x, 0.0);
    while x < 6.0 {
        sum += 1.0 / (x * x);
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    sum + 1.0 / x + r / 2.0 + r / x * (1.0 / 6.0 - r * (1.0 / 30.0 - r / 42.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn policy() -> RolloutPolicy {
        serde_json::from_value(json!({
            "apiVersion": "tidegate/v1",
            "planned": {"duration": "2d", "requests": 500},
            "signals": [
                {"name": "error", "kind": "rate", "notice": {"times": 2}, "action": "pause"},
                {"name": "latency_ms", "kind": "latency", "statistic": "p95",
                 "notice": {"times": 1.5}, "action": "pause"},
                {"name": "accepted", "kind": "rate", "worse": "lower", "notice": {"by": 0.05},
                 "action": "pause"},
                {"name": "csat", "kind": "score", "range": [1, 5], "worse": "lower",
                 "notice": {"by": 0.2}, "action": "pause"},
            ],
        }))
        .unwrap()
    }

    fn key(arm: Arm, second: i64) -> CellKey {
        CellKey {
            app: "app".parse().unwrap(),
            release: domain::ids::ReleaseId(domain::ids::Digest::of(b"r")),
            arm,
            rollout: None,
            step: 0,
            share: domain::units::Share::NONE,
            second,
        }
    }

    fn cell(n: u64) -> Cell {
        let mut cell = Cell { n, ..Cell::default() };
        cell.status.insert(domain::telemetry::AnswerStatus::ProviderError, n / 10);
        for i in 0..n {
            cell.latency_ms.add(100.0 * (1.0 + i as f64 / n as f64)).unwrap();
            if i % 4 == 0 {
                cell.add_feedback("accepted", f64::from(u8::from(i % 8 == 0)));
            }
        }
        cell
    }

    #[test]
    fn what_is_measured_is_of_today_and_what_comes_of_everybody() {
        let cells = [
            (key(Arm::Stable, 0), cell(100)),
            (key(Arm::Control, 43_200), cell(100)),
            (key(Arm::Candidate, 50_000), cell(200)),
            (key(Arm::Shadow, 50_000), cell(100)),
            (key(Arm::Stable, 90_000), cell(1000)),
        ];
        let now = Timestamp(86_400_000);
        let traffic = Traffic::measured(&policy(), &cells, Timestamp(0), now);
        assert_eq!(traffic.per_day, 400.0);
        let over = Span::from_secs(86_400);
        assert_eq!(traffic.basis, Basis::Measured { over, answers: 400 });
        let error = traffic.signals["error"];
        assert_eq!(error.answers, 200);
        assert!((error.level - 20.5 / 201.0).abs() < 1e-12);
        let accepted = traffic.signals["accepted"];
        assert_eq!((accepted.answers, accepted.coverage), (50, 0.25));
        // Evenly spread from 100 to 200: the logarithm's standard deviation.
        let latency = traffic.signals["latency_ms"];
        assert!((latency.spread - 0.1982).abs() < 2e-3, "{latency:?}");
        assert!((latency.level / 195.0 - 1.0).abs() < 0.01, "{latency:?}");
        assert!(!traffic.signals.contains_key("csat"), "nobody said anything");
    }

    #[test]
    fn without_cells_the_policy_says_what_is_expected() {
        let nothing = Traffic::measured(&policy(), &[], Timestamp(0), Timestamp(1));
        assert_eq!((nothing.per_day, nothing.basis), (250.0, Basis::Planned));
        let bare = RolloutPolicy { planned: None, ..policy() };
        let nothing = Traffic::expected(&bare);
        assert_eq!((nothing.per_day, nothing.basis), (ASSUMED_PER_DAY, Basis::Assumed));
        let csat = Baseline::assumed(&policy().signals[3]);
        assert!((csat.level - 4.2).abs() < 1e-12, "{csat:?}");
    }

    #[test]
    fn too_few_answers_replace_no_assumption() {
        let traffic = Traffic::measured(
            &policy(),
            &[(key(Arm::Stable, 0), cell(19))],
            Timestamp(0),
            Timestamp(60_000),
        );
        assert!(traffic.signals.is_empty());
        assert!(traffic.baseline(&policy().signals[0]).1);
    }

    #[test]
    fn a_gamma_law_gets_its_shape_from_the_spread_of_its_logarithm() {
        // Known values of the trigamma function.
        let third = std::f64::consts::PI.powi(2) / 6.0;
        for (x, value) in [(1.0, third), (2.0, third - 1.0), (0.5, 3.0 * third)] {
            assert!((trigamma(x) - value).abs() < 1e-6, "{x}: {}", trigamma(x));
            assert!((shape(value.sqrt()) / x - 1.0).abs() < 1e-5);
        }
    }
}
