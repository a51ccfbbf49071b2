//! What could this rollout detect? Asked before it starts, so that nobody waits
//! for evidence that cannot come.
//!
//! A plan is walked through at the app's own traffic: each step brings so many
//! answers of the candidate, each answer at most so much information
//! ([`crate::floor`]), and a difference is noticed, on average, when
//! `ln(1/risk)` of it has come in, divided by how close the tests come to that
//! floor. The smallest difference for which this happens in time is what the
//! plan can detect. A difference of exactly that size is found in about two of
//! three rollouts, because evidence comes in lumps: simulated on the engine, at a
//! risk of 5 %, in 66 to 73 % of 400 for rates, 68 % for mean latencies, 64 % for
//! costs and 66 % for scores. A percentile is found more often (92 %) where the
//! whole distribution shifts: its floor counts what lies in the tail alone.
//!
//! - [`Traffic`]: what is known, and what is assumed;
//! - [`plan`]: the whole forecast, as numbers and as sentences.
//!
//! Sticky units, repeated inputs, seasons and late feedback make the real thing
//! slower; the forecast knows none of them.

mod forecast;
mod hints;
mod traffic;
mod words;

pub use traffic::{
    ASSUMED_BAD, ASSUMED_COVERAGE, ASSUMED_LOG_SD, ASSUMED_PER_DAY, ASSUMED_SCORE, Baseline, Basis,
    ENOUGH, Traffic,
};

use crate::floor::Law;
use domain::policy::{RolloutPolicy, SignalKind, Step};
use domain::sentence::Sentence;
use domain::units::{Share, Span};
use forecast::Walk;
use serde::{Deserialize, Serialize};

/// How close the tests come to the floor, by kind: the floor divided by the
/// candidate answers they take on average. Simulated on the engine in plans that
/// last six times the floor: 0.90 to 0.93 for rates, 0.85 for mean latencies, 0.80
/// for costs, 0.84 to 0.87 for scores. The lowest counts for all: late feedback,
/// subjects who come back and plans that are just long enough cost some of it.
pub const EFFICIENCY_RATE: f64 = 0.8;
/// See [`EFFICIENCY_RATE`].
pub const EFFICIENCY_LATENCY: f64 = 0.8;
/// See [`EFFICIENCY_RATE`].
pub const EFFICIENCY_AMOUNT: f64 = 0.8;
/// See [`EFFICIENCY_RATE`].
pub const EFFICIENCY_SCORE: f64 = 0.8;

/// The same for showing that a harmless candidate is no worse, by law: simulated
/// on the engine, 200 rollouts each.
pub const PROMOTION_RATE: f64 = 0.85;
/// See [`PROMOTION_RATE`].
pub const PROMOTION_LATENCY: f64 = 0.8;
/// See [`PROMOTION_RATE`]; the floor is that of who gave the slow answers.
pub const PROMOTION_TAIL: f64 = 0.45;
/// See [`PROMOTION_RATE`].
pub const PROMOTION_AMOUNT: f64 = 0.65;
/// See [`PROMOTION_RATE`].
pub const PROMOTION_SCORE: f64 = 0.65;

/// Correlation of both arms' outcomes on one input where nothing is known: some
/// inputs are simply harder.
pub const ASSUMED_PAIR_CORRELATION: f64 = 0.5;

/// Longest time a forecast names; beyond it is "never".
pub const LONGEST: Span = Span::from_secs(366 * 86_400);

/// How close the tests of a kind come to the floor.
pub fn efficiency(kind: SignalKind) -> f64 {
    match kind {
        SignalKind::Rate => EFFICIENCY_RATE,
        SignalKind::Latency => EFFICIENCY_LATENCY,
        SignalKind::Amount => EFFICIENCY_AMOUNT,
        SignalKind::Score => EFFICIENCY_SCORE,
    }
}

/// How close the tests come to the floor of showing "no worse".
fn promotion_efficiency(law: &Law) -> f64 {
    match law {
        Law::Rate { .. } => PROMOTION_RATE,
        Law::Latency { .. } => PROMOTION_LATENCY,
        Law::Tail { .. } => PROMOTION_TAIL,
        Law::Amount { .. } => PROMOTION_AMOUNT,
        Law::Score { .. } => PROMOTION_SCORE,
    }
}

/// What a plan can and cannot detect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanReport {
    /// The smallest difference it can detect, in one sentence.
    pub summary: Sentence,
    /// Requests a day it was computed for.
    pub requests_per_day: f64,
    /// Where that comes from.
    pub basis: Basis,
    /// How long the plan takes if nothing speaks against the candidate and
    /// nobody is waited for; none if it would not end within a year.
    pub takes: Option<Span>,
    /// Every step that shows the candidate to anybody or waits.
    pub steps: Vec<StepForecast>,
    /// Every signal, in the policy's order.
    pub signals: Vec<SignalForecast>,
    /// When a candidate that makes no difference can be promoted.
    pub promotion: Sentence,
    /// What would help, best first.
    pub hints: Vec<Sentence>,
    /// What was assumed, because nothing was known.
    pub assumptions: Vec<Sentence>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepForecast {
    /// Its place in the plan, from 0.
    pub step: usize,
    /// Share of the subjects the candidate answers in it.
    pub weight: Share,
    /// Share of the subjects whose requests are mirrored.
    pub shadow: Share,
    /// When it begins; none if the steps before do not end.
    pub begins: Option<Span>,
    /// How long it takes.
    pub takes: Option<Span>,
    /// Answers of the candidate to users in it.
    pub answers: u64,
    /// Mirrored pairs in it.
    pub pairs: u64,
    /// What is detectable by its end, by signal; absent where nothing is.
    pub detectable: Vec<Detectable>,
    /// The same in a sentence.
    pub text: Sentence,
}

/// The smallest difference of a signal that is noticed by some moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detectable {
    /// The signal.
    pub signal: String,
    /// The candidate's value.
    pub value: f64,
    /// The candidate's value divided by today's.
    pub times: f64,
    /// The candidate's value less today's.
    pub by: f64,
}

/// One signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalForecast {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: SignalKind,
    /// Risk of a false stop that is its own; 0 if it is not compared.
    pub risk: f64,
    /// Today's numbers.
    pub baseline: Baseline,
    /// True if they are only assumed.
    pub assumed: bool,
    /// The smallest difference the whole plan detects; none if it detects none.
    pub detectable: Option<Detectable>,
    /// For a signal with `notice`: when a candidate worse by exactly that is
    /// noticed. None if there is no such plan time.
    pub notice: Option<NoticeForecast>,
    /// For a signal with `notice`: when a candidate that makes no difference is
    /// shown to be no worse by that.
    pub no_worse_after: Option<Span>,
    /// For a signal with `limit`: when enough answers are there to judge it.
    pub limit_after: Option<Span>,
    /// The same in a sentence.
    pub text: Sentence,
}

/// How long it takes to notice the difference that matters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NoticeForecast {
    /// Answers of the candidate to users until then, on average, and mirrored
    /// pairs before.
    pub answers: u64,
    /// Time from the start of the rollout.
    pub after: Span,
    /// The step it falls in; none if the plan is over before, and the last share
    /// would have to be held for longer.
    pub step: Option<usize>,
}

/// Forecasts a rollout under this policy at this traffic. Pure and total:
/// whatever cannot be told is absent and said so.
pub fn plan(policy: &RolloutPolicy, traffic: &Traffic) -> PlanReport {
    let walk = Walk::new(policy, traffic);
    let signals: Vec<SignalForecast> = walk.signals.iter().map(|s| walk.forecast(s)).collect();
    let steps: Vec<StepForecast> = walk.steps.iter().map(|step| walk.step(step)).collect();
    let takes = walk.takes();
    PlanReport {
        summary: words::summary(&walk, &signals, takes),
        requests_per_day: traffic.per_day,
        basis: traffic.basis,
        takes,
        promotion: words::promotion(&walk, &signals, takes),
        hints: hints::of(&walk, &signals),
        assumptions: words::assumptions(&walk),
        steps,
        signals,
    }
}

/// True if the plan has a step that waits for evidence.
fn waits_for_evidence(policy: &RolloutPolicy) -> bool {
    policy.steps.iter().any(|step| matches!(step, Step::Weight(w) if w.until.is_some()))
}

#[cfg(test)]
mod tests;
