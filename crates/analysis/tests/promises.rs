//! The promise in numbers: of many simulated rollouts, no more are stopped
//! falsely than the policy accepts, and those that do harm are stopped.
//!
//! Every rollout is judged once, at its end: a verdict covers all looks before
//! it (`a_verdict_covers_all_looks_before_it` holds that), so this is the same
//! as looking every second.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use domain::policy::RolloutPolicy;
use domain::routing::Arm;
use domain::verdict::Outcome;
use support::{Dice, Trace, policy};

/// Seed of every simulation here; a rollout's own seed is derived from it.
const SEED: u64 = 20_261_121;

fn error_policy(risk: f64) -> RolloutPolicy {
    policy(
        r#"[{"name":"error","kind":"rate","notice":{"times":2},"action":"rollback"}]"#,
        &format!(r#"{{"false_stop":{risk},"false_promote":0.1}}"#),
    )
}

/// A rollout of `n` requests at this share, one a second; with these rates.
fn rollout(dice: &mut Dice, n: i64, share: f64, control: f64, candidate: f64) -> Trace {
    let mut trace = Trace::default();
    for second in 0..n {
        let (arm, bad) =
            if dice.chance(share) { (Arm::Candidate, candidate) } else { (Arm::Control, control) };
        let ok = !dice.chance(bad);
        let latency = 800.0 * (0.5 * dice.normal()).exp();
        trace.answer(arm, share, second, ok, latency, 0.002);
    }
    trace
}

/// Largest number of successes in `n` trials that probability `p` still
/// explains: three standard errors.
fn at_most(n: u64, p: f64) -> u64 {
    (n as f64 * p + 3.0 * (n as f64 * p * (1.0 - p)).sqrt()).ceil() as u64
}

fn share_of(
    outcome: Outcome,
    policy: &RolloutPolicy,
    reps: u64,
    make: impl Fn(&mut Dice) -> Trace,
) -> u64 {
    let judged = |rep: &u64| {
        let trace = make(&mut Dice(SEED + rep * 7919));
        trace.verdict(policy, 0, 1_000_000).outcome == outcome
    };
    (0..reps).filter(judged).count() as u64
}

#[test]
fn no_difference_is_rarely_called_harm() {
    const REPS: u64 = 200;
    for (risk, share, rate) in
        [(0.05, 0.5, 0.01), (0.05, 0.5, 0.3), (0.05, 0.2, 0.1), (0.2, 0.5, 0.1), (0.2, 0.25, 0.4)]
    {
        let policy = error_policy(risk);
        let stopped =
            share_of(Outcome::Fail, &policy, REPS, |dice| rollout(dice, 600, share, rate, rate));
        println!("seed {SEED}: risk {risk} share {share} rate {rate}: {stopped} of {REPS} stopped");
        assert!(stopped <= at_most(REPS, risk), "{stopped} of {REPS} at {risk}");
    }
}

#[test]
fn a_rising_error_rate_for_everyone_is_not_the_candidates_fault() {
    const REPS: u64 = 200;
    let policy = error_policy(0.05);
    let stopped = share_of(Outcome::Fail, &policy, REPS, |dice| {
        let mut trace = Trace::default();
        for second in 0..600 {
            // The share grows while the provider falls over: candidates see
            // the worse hours, and are no worse.
            let share = [0.05, 0.25, 0.5][second as usize / 200];
            let bad = [0.01, 0.1, 0.4][second as usize / 200];
            let arm = if dice.chance(share) { Arm::Candidate } else { Arm::Control };
            trace.answer(arm, share, second, !dice.chance(bad), 500.0, 0.0);
        }
        trace
    });
    println!("seed {SEED}: {stopped} of {REPS} stopped");
    assert!(stopped <= at_most(REPS, 0.05), "{stopped}");
}

#[test]
fn slower_or_dearer_by_chance_is_rarely_called_harm() {
    const REPS: u64 = 100;
    for signal in [
        r#"[{"name":"latency_ms","kind":"latency","statistic":"p95","notice":{"times":1.2},"action":"rollback"}]"#,
        r#"[{"name":"cost","kind":"amount","notice":{"times":1.1},"action":"pause"}]"#,
        r#"[{"name":"quality","kind":"score","range":[0,1],"worse":"lower","notice":{"by":0.03},"action":"pause"}]"#,
    ] {
        let policy = policy(signal, r#"{"false_stop":0.2,"false_promote":0.1}"#);
        let stopped = share_of(Outcome::Fail, &policy, REPS, |dice| {
            let mut trace = Trace::default();
            for second in 0..400 {
                let arm = if dice.chance(0.5) { Arm::Candidate } else { Arm::Control };
                let dear = 0.002 * (1.5 * dice.normal()).exp();
                trace.answer(
                    arm,
                    0.5,
                    second,
                    !dice.chance(0.02),
                    800.0 * (0.6 * dice.normal()).exp(),
                    dear,
                );
                trace
                    .cell(arm, 0.5, second)
                    .add_feedback("quality", (0.8 + 0.15 * dice.normal()).clamp(0.0, 1.0));
            }
            trace
        });
        println!("seed {SEED}: {stopped} of {REPS} stopped for {signal}");
        assert!(stopped <= at_most(REPS, 0.2), "{stopped} for {signal}");
    }
}

#[test]
fn worse_by_the_notice_is_rarely_promoted() {
    const REPS: u64 = 100;
    for (signal, times, rate) in [
        (r#"[{"name":"error","kind":"rate","notice":{"times":2},"action":"rollback"}]"#, 2.0, 0.15),
        (
            r#"[{"name":"error","kind":"rate","notice":{"times":1.2},"action":"rollback"}]"#,
            1.2,
            0.3,
        ),
        (r#"[{"name":"error","kind":"rate","notice":{"by":0.05},"action":"rollback"}]"#, 1.5, 0.1),
    ] {
        let policy = policy(signal, r#"{"false_stop":0.01,"false_promote":0.2}"#);
        let passed = share_of(Outcome::Pass, &policy, REPS, |dice| {
            rollout(dice, 500, 0.5, rate, rate * times)
        });
        println!("seed {SEED}: {passed} of {REPS} promoted at {rate} x {times}");
        assert!(passed <= at_most(REPS, 0.2), "{passed} for {signal}");
    }
}

#[test]
fn harm_is_found() {
    const REPS: u64 = 60;
    // Share of candidate, rates, requests, and how many must be found.
    for (share, control, candidate, n, least) in [
        (0.5, 0.01, 0.3, 120, 58),
        (0.05, 0.01, 0.3, 500, 54),
        (0.5, 0.05, 0.15, 700, 54),
        (0.25, 0.3, 0.6, 700, 57),
    ] {
        let policy = error_policy(0.05);
        let found = share_of(Outcome::Fail, &policy, REPS, |dice| {
            rollout(dice, n, share, control, candidate)
        });
        println!(
            "seed {SEED}: {control} -> {candidate} at {share}, {n} requests: {found} of {REPS} found"
        );
        assert!(found >= least, "{found} of {REPS}");
    }
}

#[test]
fn good_candidates_are_promoted() {
    const REPS: u64 = 60;
    for (signal, control, candidate, n, least) in [
        (
            r#"[{"name":"error","kind":"rate","notice":{"times":2},"action":"rollback"}]"#,
            0.1,
            0.1,
            1500,
            48,
        ),
        (
            r#"[{"name":"error","kind":"rate","notice":{"times":2},"action":"rollback"}]"#,
            0.0,
            0.0,
            1000,
            60,
        ),
        (
            r#"[{"name":"error","kind":"rate","notice":{"times":1.25},"action":"rollback"}]"#,
            0.3,
            0.05,
            300,
            57,
        ),
        (
            r#"[{"name":"latency_ms","kind":"latency","statistic":"p50","notice":{"times":1.5},"action":"rollback"}]"#,
            0.01,
            0.01,
            300,
            57,
        ),
        (
            r#"[{"name":"cost","kind":"amount","notice":{"times":1.15},"action":"pause"}]"#,
            0.01,
            0.01,
            200,
            60,
        ),
    ] {
        let policy = policy(signal, r#"{"false_stop":0.01,"false_promote":0.1}"#);
        let passed = share_of(Outcome::Pass, &policy, REPS, |dice| {
            rollout(dice, n, 0.5, control, candidate)
        });
        println!("seed {SEED}: {passed} of {REPS} promoted for {signal}");
        assert!(passed >= least, "{passed} of {REPS} for {signal}");
    }
}

#[test]
fn a_verdict_covers_all_looks_before_it() {
    let policy = error_policy(0.05);
    let mut stopped = 0;
    for rep in 0..20 {
        let trace = rollout(&mut Dice(SEED + rep), 120, 0.5, 0.1, 0.35);
        let looks: Vec<f64> = (1..=120)
            .map(|second| trace.verdict(&policy, 0, second).evidence.unwrap_or(1.0))
            .collect();
        assert!(looks.windows(2).all(|pair| pair[1] <= pair[0]), "evidence once gathered stays");
        stopped += usize::from(looks.iter().any(|evidence| *evidence <= 0.05));
        assert_eq!(trace.verdict(&policy, 0, 1_000_000).evidence, looks.last().copied());
    }
    assert!(stopped > 5, "only {stopped} of 20: the test would show nothing");
}
