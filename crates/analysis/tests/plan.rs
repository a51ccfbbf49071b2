//! What the planner promises, held against the engine itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

use domain::policy::RolloutPolicy;
use domain::units::Timestamp;
use domain::verdict::Outcome as Said;
use serde_json::{Value, json};
use tidegate_analysis::power::{Baseline, Basis, PlanReport, Traffic, plan};
use tidegate_analysis::{Engine, Outcome, Place, Side};

/// Rollouts per question: a share of them is known to ± 5 %.
const ROLLOUTS: u64 = 100;

/// SplitMix64: enough for a simulation, and the same everywhere.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let (a, b) = (self.uniform().max(1e-300), self.uniform());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }
}

/// A rollout of one weight step, one request a second, planned as it is.
fn policy(share: f64, requests: f64, signal: &Value) -> RolloutPolicy {
    serde_json::from_value(json!({
        "apiVersion": "tidegate/v1",
        "planned": {"duration": requests, "requests": requests as u64},
        "risk": {"false_stop": 0.05, "false_promote": 0.1},
        "steps": [{"weight": {"share": share, "hold": requests}}, {"promote": {}}],
        "signals": [signal],
    }))
    .unwrap()
}

fn forecast(policy: &RolloutPolicy, baseline: Baseline) -> PlanReport {
    let name = policy.signals[0].name.clone();
    let signals = [(name, baseline)].into();
    plan(policy, &Traffic { per_day: 86_400.0, basis: Basis::Given, signals })
}

/// Candidate answers until the engine first says this; none if it never does.
fn until(
    wanted: Said,
    policy: &RolloutPolicy,
    share: f64,
    requests: u64,
    random: &mut Random,
    draw: impl Fn(&mut Random, bool) -> f64,
) -> Option<u64> {
    let mut engine = Engine::new(policy, Timestamp(0), 0.05);
    let mut answers = 0;
    for second in 0..requests as i64 {
        let at = Timestamp(second * 1000);
        let candidate = random.uniform() < share;
        answers += u64::from(candidate);
        let side = if candidate { Side::Candidate } else { Side::Baseline };
        let values = vec![(0, draw(random, candidate))];
        engine.add(&Outcome {
            at,
            side,
            share,
            unit: None,
            pair: None,
            input: None,
            segment: None,
            answer: None,
            step: 0,
            failed: false,
            values,
        });
        if second % 60 == 59 {
            let place = Place { step: 0, exposed: true };
            if engine.look(at, &place)[0].outcome == wanted {
                return Some(answers);
            }
        }
    }
    None
}

fn found(
    policy: &RolloutPolicy,
    share: f64,
    requests: u64,
    draw: impl Fn(&mut Random, bool) -> f64,
) -> f64 {
    let mut random = Random(7);
    let one = |_| until(Said::Fail, policy, share, requests, &mut random, &draw);
    (0..ROLLOUTS).filter_map(one).count() as f64 / ROLLOUTS as f64
}

/// A candidate worse by exactly what a plan says it can just detect is found in
/// about two of three rollouts.
#[test]
fn what_is_just_detectable_is_found_two_times_in_three() {
    let error = json!({"name": "error", "kind": "rate", "notice": {"times": 2}, "action": "pause"});
    let requests = 800.0;
    let policy = policy(0.5, requests, &error);
    let known = Baseline { answers: 1000, level: 0.05, spread: 0.0, coverage: 1.0 };
    let report = forecast(&policy, known);
    let worse = report.signals[0].detectable.as_ref().unwrap().value;
    let share = found(&policy, 0.5, requests as u64, |random, candidate| {
        let bad = if candidate { worse } else { 0.05 };
        f64::from(u8::from(random.uniform() < bad))
    });
    assert!((0.5..0.85).contains(&share), "{share} at a rate of {worse}");

    let slow =
        json!({"name": "ttft_ms", "kind": "latency", "notice": {"times": 1.2}, "action": "pause"});
    let requests = 600.0;
    let policy = self::policy(0.25, requests, &slow);
    let known = Baseline { answers: 1000, level: 500.0, spread: 0.6, coverage: 1.0 };
    let times = forecast(&policy, known).signals[0].detectable.as_ref().unwrap().times;
    let share = found(&policy, 0.25, requests as u64, |random, candidate| {
        let shift = if candidate { times.ln() } else { 0.0 };
        (random.normal() * 0.6 + shift).exp() * 400.0
    });
    assert!((0.5..0.85).contains(&share), "{share} at {times} times");
}

/// A harmless candidate is shown to be no worse when the plan says so, on
/// average.
#[test]
fn a_harmless_candidate_gets_through_about_when_the_plan_says() {
    let error = json!({"name": "error", "kind": "rate", "notice": {"times": 2}, "action": "pause"});
    let requests = 8_000.0;
    let policy = policy(0.25, requests, &error);
    let known = Baseline { answers: 1000, level: 0.05, spread: 0.0, coverage: 1.0 };
    let promised = forecast(&policy, known).signals[0].no_worse_after.unwrap().secs() * 0.25;
    let mut random = Random(11);
    let mut sum = 0.0;
    for _ in 0..ROLLOUTS {
        let answers =
            until(Said::Pass, &policy, 0.25, requests as u64, &mut random, |random, _| {
                f64::from(u8::from(random.uniform() < 0.05))
            });
        sum += answers.map_or(requests * 0.25, |answers| answers as f64);
    }
    let mean = sum / ROLLOUTS as f64;
    assert!((0.6..1.5).contains(&(mean / promised)), "{mean} instead of {promised}");
}
