//! Runs rollouts of a scenario past a rule and sums up what came of them.

use crate::families::{FALSE_PROMOTE, RISK, Scenario, Truth};
use crate::rng::hash;
use crate::rules::{self, Decision, Kind};
use crate::trace::{Source, Trace};
use serde::Serialize;
use statrs::distribution::{Binomial, DiscreteCDF};
use std::sync::atomic::{AtomicU64, Ordering};

/// A promise counts as broken only when chance explains it less often than this.
const DOUBT: f64 = 0.001;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Rollouts per scenario.
    pub runs: u64,
    /// Seed of everything.
    pub seed: u64,
    /// Threads.
    pub jobs: usize,
    /// Whether a rule may end a rollout by promoting; if not said, only in the
    /// family about promotion, so that elsewhere all of the plan can be looked at.
    pub promote: Option<bool>,
}

/// What came of a scenario under a rule.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The rule.
    pub rule: String,
    /// The family.
    pub family: String,
    /// The scenario.
    pub scenario: String,
    /// What was true: `same`, `worse`, `harmless`, `notice`.
    pub truth: &'static str,
    /// Rollouts.
    pub runs: u64,
    /// Share that was stopped (after the onset, if there is one).
    pub stopped: f64,
    /// Share that was stopped before the harm began.
    pub stopped_before_onset: f64,
    /// Share that was promoted.
    pub promoted: f64,
    /// Mean of floor / candidate requests exposed.
    pub efficiency: Option<f64>,
    /// The floor.
    pub floor: Option<f64>,
    /// Median of the candidate answers until a decision, among those decided.
    pub median_candidates: Option<f64>,
    /// Median hours until a decision, among those decided.
    pub median_hours: Option<f64>,
    /// The share that is promised to be small, and how small.
    pub budget: Option<(f64, f64)>,
    /// True if it is larger than that beyond sampling error.
    pub over: bool,
    /// False if these are the same rollouts as another scenario's, told otherwise.
    pub first_of_stream: bool,
}

/// Runs a scenario.
pub fn measure(family: &str, scenario: &Scenario, rule: &str, plan: &Plan) -> Row {
    let source = Source::new(scenario.world.clone());
    let next = AtomicU64::new(0);
    let seed = plan.seed ^ hash(&scenario.stream);
    let about_promotion = matches!(scenario.truth, Truth::Harmless | Truth::Notice);
    let promote = plan.promote.unwrap_or(about_promotion);
    let work = || -> Vec<(u64, Decision)> {
        let mut done = Vec::new();
        loop {
            let run = next.fetch_add(1, Ordering::Relaxed);
            if run >= plan.runs {
                return done;
            }
            done.extend(one(scenario, rule, &source, promote, seed, run).map(|d| (run, d)));
        }
    };
    let mut decisions: Vec<(u64, Decision)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..plan.jobs.max(1)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().filter_map(|w| w.join().ok()).flatten().collect()
    });
    decisions.sort_by_key(|(run, _)| *run);
    let decisions: Vec<Decision> = decisions.into_iter().map(|(_, d)| d).collect();
    sum_up(family, scenario, rule, &decisions)
}

fn one(
    scenario: &Scenario,
    rule: &str,
    source: &Source,
    promote: bool,
    seed: u64,
    run: u64,
) -> Option<Decision> {
    let mut rule = rules::make(rule, &scenario.policy)?;
    let mut trace = Trace::new(source, seed, run);
    let end = (scenario.world.duration * 1000.0) as i64;
    Some(rules::run(rule.as_mut(), &mut trace, &scenario.policy, end, promote))
}

fn sum_up(family: &str, scenario: &Scenario, rule: &str, decisions: &[Decision]) -> Row {
    let runs = decisions.len() as u64;
    let share = |of: &dyn Fn(&Decision) -> bool| {
        decisions.iter().filter(|d| of(d)).count() as f64 / runs.max(1) as f64
    };
    let onset = (scenario.world.onset * scenario.world.duration * 1000.0) as i64;
    let early = |d: &Decision| d.kind.stops() && d.at < onset;
    let stopped = share(&|d| d.kind.stops() && !early(d));
    let promoted = share(&|d| d.kind == Kind::Promote);
    let mut candidates: Vec<f64> = Vec::new();
    let mut hours: Vec<f64> = Vec::new();
    for decision in decisions.iter().filter(|d| d.kind != Kind::Continue) {
        candidates.push(decision.n_candidate as f64);
        hours.push(decision.at as f64 / 3_600_000.0);
    }
    let efficiency = (scenario.truth == Truth::Worse).then(|| {
        let of = |d: &Decision| if early(d) { 0.0 } else { efficiency(scenario, d) };
        decisions.iter().map(of).sum::<f64>() / runs.max(1) as f64
    });
    let budget = match scenario.truth {
        Truth::Same => Some((stopped, RISK)),
        Truth::Worse => (onset > 0).then(|| (share(&early), RISK)),
        Truth::Harmless => Some((stopped, RISK)),
        Truth::Notice => Some((promoted, FALSE_PROMOTE)),
    };
    Row {
        rule: rule.to_owned(),
        family: family.to_owned(),
        scenario: scenario.name.clone(),
        truth: scenario.truth.word(),
        runs,
        stopped,
        stopped_before_onset: share(&early),
        promoted,
        efficiency,
        floor: scenario.floor.is_finite().then_some(scenario.floor),
        median_candidates: median(&mut candidates),
        median_hours: median(&mut hours),
        budget,
        over: budget.is_some_and(|(share, budget)| chance(share, runs, budget) < DOUBT),
        first_of_stream: scenario.world.pairs.is_none_or(|pairs| pairs.told),
    }
}

/// Floor, capped at what there was to see, per candidate request exposed. A
/// candidate that was promoted is exposed to everything that was planned. At most
/// 1: luck in one rollout must not pay for lateness in another.
fn efficiency(scenario: &Scenario, decision: &Decision) -> f64 {
    let available = scenario.world.candidates(scenario.world.onset);
    let exposed = match decision.kind {
        Kind::Promote => available,
        _ => decision.n_candidate.saturating_sub(decision.before_onset) as f64,
    };
    (scenario.floor.min(available) / exposed.max(1.0)).min(1.0)
}

/// How often chance alone gives such a share of so many, or a larger one, when
/// the budget is met exactly.
pub fn chance(share: f64, runs: u64, budget: f64) -> f64 {
    let hits = (share * runs as f64).round() as u64;
    if hits == 0 { 1.0 } else { Binomial::new(budget, runs).map_or(1.0, |law| law.sf(hits - 1)) }
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) =
        (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some(0.5 * (low + high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_more_than_chance_explains_is_over_budget() {
        assert!(chance(0.06, 1000, 0.05) > DOUBT);
        assert!(chance(0.08, 1000, 0.05) < DOUBT);
        assert_eq!(chance(0.0, 10, 0.05), 1.0);
    }

    #[test]
    fn medians_of_even_and_odd_counts() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&mut []), None);
    }
}
