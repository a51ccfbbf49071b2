//! What a look costs late in a long rollout: eight signals, ten answers a
//! second, a look each minute.
//!
//! Time is that of a whole tick: adding a minute's 600 outcomes and looking, on
//! the processor where the system tells, so that a busy machine adds none. The
//! floor, in the same run and on the same outcomes, is what any controller must
//! do: count, add up, and keep a sorted sample of each signal. Notices are so
//! small that no test is over early, and the plan is so long that the score of
//! its late part runs too: the dearest state a test can be in.

use crate::rng::{Rng, fraction, mix};
use analysis::{Engine, Outcome, Place, Side};
use domain::policy::RolloutPolicy;
use domain::units::Timestamp;
use domain::verdict::Outcome as Word;
use std::sync::LazyLock;
use std::time::Instant;

/// Outcomes of one tick: a minute at ten a second.
const A_TICK: u64 = 600;
/// Ticks that are measured.
const TICKS: usize = 100;
/// Users among whom answers are spread, where they stick together.
const USERS: u64 = 20_000;
/// Kept values per signal of the floor.
const SAMPLE: usize = 2048;
/// Chance of the candidate.
const SHARE: f64 = 0.1;

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Outcomes before the ticks that are measured.
    pub outcomes: u64,
    /// Answers of one user stick together.
    pub sticky: bool,
    /// The seed.
    pub seed: u64,
}

/// Times of the last ticks in milliseconds.
#[derive(Debug, Default)]
struct Times {
    all: Vec<f64>,
}

impl Times {
    fn take(&mut self, since: f64) {
        self.all.push(now() - since);
    }

    fn mean(&self) -> f64 {
        self.all.iter().sum::<f64>() / self.all.len().max(1) as f64
    }

    fn max(&self) -> f64 {
        self.all.iter().copied().fold(0.0, f64::max)
    }
}

/// The floor: sums by arm and a sorted sample, by signal.
#[derive(Debug, Default)]
struct Floor {
    sums: [[(u64, f64, f64); 2]; 8],
    sorted: [Vec<f64>; 8],
    seen: u64,
}

impl Floor {
    fn add(&mut self, outcome: &Outcome) {
        self.seen += 1;
        let arm = usize::from(outcome.side == Side::Candidate);
        for (index, value) in &outcome.values {
            let index = usize::from(*index);
            let Some(sum) = self.sums.get_mut(index).and_then(|sums| sums.get_mut(arm)) else {
                continue;
            };
            *sum = (sum.0 + 1, sum.1 + value, value.mul_add(*value, sum.2));
            let Some(sorted) = self.sorted.get_mut(index) else { continue };
            let at = sorted.partition_point(|v| v < value);
            sorted.insert(at, *value);
            if sorted.len() > SAMPLE {
                sorted.remove(mix(self.seen) as usize % SAMPLE);
            }
        }
    }
}

fn policy(outcomes: u64) -> Result<RolloutPolicy, String> {
    let plan = outcomes + outcomes / 4 + 2 * A_TICK * TICKS as u64;
    let signal = |name: &str, kind: &str, more: serde_json::Value| {
        let mut signal = serde_json::json!({"name": name, "kind": kind, "action": "rollback"});
        if let (Some(all), serde_json::Value::Object(more)) = (signal.as_object_mut(), more) {
            all.extend(more);
        }
        signal
    };
    let policy = serde_json::json!({
        "apiVersion": "tidegate/v1",
        "check_every": "60s",
        "planned": {"duration": format!("{}s", plan / 10), "requests": plan},
        "risk": {"false_stop": "1%", "false_promote": "5%"},
        "steps": [{"weight": {"share": "10%", "until": "evidence"}}, {"promote": {}}],
        "signals": [
            signal("error", "rate", serde_json::json!({"limit": 0.05, "notice": {"by": 1e-4}})),
            signal("accepted", "rate", serde_json::json!({"worse": "lower", "notice": {"by": 5e-4}})),
            signal("latency", "latency", serde_json::json!({"statistic": "p95", "notice": {"times": 1.001}})),
            signal("ttft", "latency", serde_json::json!({"statistic": "p95", "notice": {"times": 1.001}})),
            signal("cost", "amount", serde_json::json!({"notice": {"times": 1.001}})),
            signal("tokens", "amount", serde_json::json!({"notice": {"times": 1.001}})),
            signal("judge", "score", serde_json::json!({"worse": "lower", "range": [0, 1], "notice": {"by": 1e-3}})),
            signal("stars", "score", serde_json::json!({"worse": "lower", "range": [1, 5], "notice": {"by": 4e-3}})),
        ],
        "missing": {"hold_for": "30m", "then": "pause"},
    });
    serde_json::from_value(policy).map_err(|e| format!("the policy of the ticks: {e}"))
}

/// Outcome number `i`: both arms alike.
fn outcome(rng: &mut Rng, i: u64, plan: Plan) -> Outcome {
    let user = rng.bits() % USERS;
    let label = if plan.sticky { fraction(mix(user ^ plan.seed)) } else { rng.uniform() };
    let values = vec![
        (0, f64::from(u8::from(rng.uniform() < 0.01))),
        (1, f64::from(u8::from(rng.uniform() < 0.6))),
        (2, 800.0 * (0.5 * rng.normal()).exp()),
        (3, 200.0 * (0.4 * rng.normal()).exp()),
        (4, 0.002 * (0.8 * rng.normal()).exp()),
        (5, (150.0 * (0.6 * rng.normal()).exp()).round()),
        (6, rng.uniform()),
        (7, 1.0 + (rng.uniform() * 5.0).floor()),
    ];
    Outcome {
        at: Timestamp(i as i64 * 100),
        side: if label < SHARE { Side::Candidate } else { Side::Baseline },
        share: SHARE,
        unit: plan.sticky.then(|| mix(user)),
        pair: None,
        input: None,
        answer: None,
        segment: Some(user % 4),
        step: 0,
        failed: false,
        values,
    }
}

/// Measures, and says what it found.
pub fn measure(plan: Plan) -> Result<String, String> {
    let policy = policy(plan.outcomes)?;
    let mut engine = Engine::new(&policy, Timestamp(0), policy.risk.false_stop.0);
    let (mut floor, mut rng) = (Floor::default(), Rng::new(plan.seed, 0));
    let (mut times, mut floor_times) = (Times::default(), Times::default());
    let before = memory("VmRSS:");
    let place = Place { step: 0, exposed: true };
    let ticks = plan.outcomes / A_TICK + TICKS as u64;
    let mut verdicts = Vec::new();
    for tick in 0..ticks {
        let first = tick * A_TICK;
        let minute: Vec<Outcome> =
            (first..first + A_TICK).map(|i| outcome(&mut rng, i, plan)).collect();
        let measured = tick + TICKS as u64 >= ticks;
        let start = now();
        minute.iter().for_each(|outcome| engine.add(outcome));
        verdicts = engine.look(Timestamp((first + A_TICK) as i64 * 100), &place);
        if measured {
            times.take(start);
        }
        let start = now();
        minute.iter().for_each(|outcome| floor.add(outcome));
        if measured {
            floor_times.take(start);
        }
    }
    let undecided = verdicts.iter().filter(|v| v.outcome == Word::Hold).count();
    let most = match (memory("VmHWM:"), before) {
        (Some(most), Some(before)) => {
            format!("{most:.1} MB at most, {:.1} MB of it since the start", most - before)
        }
        _ => "unknown: there is no /proc".to_owned(),
    };
    // Kept alive, so that the floor is not optimised away.
    let sorted: usize = floor.sorted.iter().map(Vec::len).sum();
    let control: f64 = floor.sums.iter().map(|sums| sums[0].1).sum();
    Ok(format!(
        "after {} outcomes of {} signals, {}, {undecided} of them undecided:\n\
         a tick      {:.2} ms, at most {:.2} ms\n\
         the floor   {:.3} ms, at most {:.3} ms ({sorted} values kept, sum {control:.4e})\n\
         ratio       {:.1}\n\
         memory      {most}\n",
        plan.outcomes,
        policy.signals.len(),
        if plan.sticky { "sticky users" } else { "each answer alone" },
        times.mean(),
        times.max(),
        floor_times.mean(),
        floor_times.max(),
        times.mean() / floor_times.mean(),
    ))
}

/// Milliseconds this thread has run; of the clock where nobody counts them.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let run = counted.and_then(|all| all.split_whitespace().next()?.parse::<f64>().ok());
    run.map_or_else(|| START.elapsed().as_secs_f64() * 1e3, |ns| ns / 1e6)
}

/// A figure of this process's memory in MB.
fn memory(field: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kb| kb / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_measured_on_a_sound_policy() {
        for sticky in [false, true] {
            let said = measure(Plan { outcomes: 1200, sticky, seed: 1 }).unwrap();
            assert!(said.contains("8 signals") && said.contains("ratio"), "{said}");
        }
        assert_eq!(policy(1_000_000).unwrap().faults(), vec![]);
    }
}
