//! What would this experiment do if the truth were this? Asked before it runs:
//! how long it takes, how often it is wrong, what it costs users meanwhile.
//!
//! Each run draws requests one by one, assigns them by the shares of the last
//! look, and steps as a live one would. Guards and segments are left out: the
//! answer is about the reward. Runs are functions of the seed.

use super::random::Random;
use super::state::State;
use super::{Answer, Experiment, PRIMARY};
use domain::experiment::Allocate;
use domain::policy::SignalKind;
use domain::units::Timestamp;
use serde::Serialize;

/// What is assumed of a variant.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Truth {
    /// Mean of the primary metric.
    pub mean: f64,
    /// Its standard deviation; a rate has its own.
    pub deviation: f64,
    /// Cost of one answer.
    pub cost: f64,
}

/// How it is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Requests after which a run ends without a winner.
    pub requests: u64,
    /// Requests between two looks.
    pub per_look: u64,
    /// Runs.
    pub runs: u64,
    /// Where the runs are drawn from.
    pub seed: u64,
}

/// What a way to divide traffic led to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Course {
    /// How traffic was divided.
    pub allocate: Allocate,
    /// Runs.
    pub runs: u64,
    /// Runs that found a winner nobody beats by more than `notice`.
    pub right: u64,
    /// Runs that found another one.
    pub wrong: u64,
    /// Runs that ended without a winner.
    pub undecided: u64,
    /// How often each variant won, in the policy's order.
    pub winners: Vec<u64>,
    /// Requests until the winner, in half of the runs; none if more than half
    /// found none.
    pub median_requests: Option<u64>,
    /// Requests until the winner, in nine of ten runs.
    pub most_requests: Option<u64>,
    /// Reward that users lost in a run because they did not get the best
    /// variant, over all requests; after a winner everybody gets it.
    pub regret: f64,
    /// The least share any variant had at any look.
    pub least_share: f64,
    /// Share of the requests that got the best variant while it ran.
    pub best_share: f64,
}

/// Runs the experiment many times under this truth, one for each variant, with
/// fixed shares and with Thompson sampling. None if the truth is not of one
/// finite mean for each variant.
pub fn simulate(experiment: &Experiment, truth: &[Truth], setting: Setting) -> Option<Vec<Course>> {
    let courses = [Allocate::Fixed, Allocate::Thompson].map(|allocate| {
        let mut policy = experiment.policy().clone();
        policy.allocate = allocate;
        policy.segments.clear();
        let mut experiment = Experiment::new(policy);
        experiment.guards = None;
        course(&experiment, truth, setting)
    });
    courses.into_iter().collect()
}

/// One run.
struct Run {
    winner: Option<usize>,
    requests: u64,
    regret: f64,
    best: u64,
    least_share: f64,
}

fn course(experiment: &Experiment, truth: &[Truth], setting: Setting) -> Option<Course> {
    let scale = experiment.scale();
    let reward = |truth: &Truth| scale.reward(Some(truth.mean), Some(truth.cost)).map(|m| m.value);
    let rewards: Vec<f64> =
        truth.iter().map(|truth| mean(experiment, truth, reward(truth))).collect::<Option<_>>()?;
    let best = rewards.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if rewards.len() != experiment.variants() || !best.is_finite() {
        return None;
    }
    let lost: Vec<f64> = rewards.iter().map(|reward| best - reward).collect();
    let mut course = Course {
        allocate: experiment.policy().allocate,
        runs: setting.runs,
        right: 0,
        wrong: 0,
        undecided: 0,
        winners: vec![0; truth.len()],
        median_requests: None,
        most_requests: None,
        regret: 0.0,
        least_share: 1.0,
        best_share: 0.0,
    };
    let mut lengths: Vec<u64> = Vec::new();
    let notice = experiment.policy().notice.0 + 1e-12;
    let (mut got_best, mut all) = (0_u64, 0_u64);
    for number in 0..setting.runs {
        let run = one(experiment, truth, &lost, setting, number);
        match run.winner.and_then(|winner| lost.get(winner)) {
            Some(lost) if *lost <= notice => course.right += 1,
            Some(_) => course.wrong += 1,
            None => course.undecided += 1,
        }
        if let Some(winner) = run.winner {
            lengths.push(run.requests);
            if let Some(wins) = course.winners.get_mut(winner) {
                *wins += 1;
            }
        }
        course.regret += run.regret / setting.runs as f64;
        course.least_share = course.least_share.min(run.least_share);
        got_best += run.best;
        all += run.requests;
    }
    course.best_share = got_best as f64 / all.max(1) as f64;
    lengths.sort_unstable();
    let quantile = |share: f64| {
        let place = (share * setting.runs as f64).ceil().max(1.0) as usize - 1;
        lengths.get(place).copied()
    };
    (course.median_requests, course.most_requests) = (quantile(0.5), quantile(0.9));
    Some(course)
}

/// The mean reward. Of a rate it is not the reward of its mean, which would be
/// rounded to 0 or 1.
fn mean(experiment: &Experiment, truth: &Truth, of_mean: Option<f64>) -> Option<f64> {
    if !experiment.scale().is_binary() {
        return of_mean;
    }
    let of = |value| experiment.scale().reward(Some(value), None).map(|made| made.value);
    let p = truth.mean.clamp(0.0, 1.0);
    Some(p * of(1.0)? + (1.0 - p) * of(0.0)?).filter(|_| truth.mean.is_finite())
}

fn one(
    experiment: &Experiment,
    truth: &[Truth],
    lost: &[f64],
    setting: Setting,
    number: u64,
) -> Run {
    let mut random = Random::new(setting.seed, number);
    let mut state = State::start(experiment, Timestamp(0));
    let (kind, every) =
        (experiment.policy().reward.kind, experiment.policy().check_every.millis().max(1));
    let range = experiment.policy().reward.range.unwrap_or((0.0, 1.0));
    let cost = experiment.cost();
    let mut run = Run { winner: None, requests: 0, regret: 0.0, best: 0, least_share: 1.0 };
    let mut look = 0;
    while run.requests < setting.requests {
        let shares = state.allocation().shares.into_iter().next().unwrap_or_default();
        run.least_share = shares.iter().copied().fold(run.least_share, f64::min);
        let mut answer = Answer {
            at: Timestamp(every.saturating_mul(look)),
            variant: 0,
            shares,
            unit: None,
            segment: None,
            failed: false,
            values: Vec::new(),
            follows: None,
        };
        for _ in 0..setting.per_look.max(1).min(setting.requests - run.requests) {
            answer.variant = random.pick(&answer.shares);
            let Some(truth) = truth.get(answer.variant) else { return run };
            let primary = match kind {
                SignalKind::Rate => random.toss(truth.mean),
                _ => draw(&mut random, truth, range),
            };
            answer.values = vec![(PRIMARY, primary)];
            answer.values.extend(cost.map(|metric| (metric, truth.cost)));
            state.add(experiment, &answer);
            let lost = lost.get(answer.variant).copied().unwrap_or(0.0);
            run.regret += lost;
            run.best += u64::from(lost == 0.0);
            run.requests += 1;
        }
        look += 1;
        state.look(experiment, Timestamp(every.saturating_mul(look)));
        if let Some((winner, _)) = state.winner() {
            let left = setting.requests.saturating_sub(run.requests);
            run.regret += left as f64 * lost.get(winner).copied().unwrap_or(0.0);
            run.winner = Some(winner);
            return run;
        }
    }
    run
}

/// A value in the range with this mean and deviation.
fn draw(random: &mut Random, truth: &Truth, (low, high): (f64, f64)) -> f64 {
    let unit = |value: f64| ((value - low) / (high - low)).clamp(0.0, 1.0);
    low + (high - low) * random.beta(unit(truth.mean), truth.deviation / (high - low))
}
