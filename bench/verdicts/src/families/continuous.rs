//! Latency, cost and quality under calm traffic.

use super::{Scenario, Truth, cost, duration, latency, quality};
use crate::floor::p95_floor;
use crate::law::Law;
use crate::world::World;
use domain::policy::{Signal, Statistic};

/// Spread of the logarithm of latencies.
pub const SIGMA: f64 = 0.6;

/// Latency of which the mean is watched.
pub const MEAN: Law = Law::Lognormal { sigma: SIGMA, times: 1.2 };
/// Latency of which the p95 is watched; all of it moves.
pub const P95: Law = Law::Lognormal { sigma: SIGMA, times: 1.5 };
/// Only the slowest fifth becomes slower.
pub const TAIL: Law = Law::Tail { sigma: SIGMA, above: 0.8, times: 1.5 };
/// Cost.
pub const COST: Law = Law::Gamma { shape: 2.0, times: 1.15 };
/// Quality.
pub const QUALITY: Law = Law::Beta { mean: 0.85, count: 7.25, by: 0.03 };

/// Each kind at two shares and three traffic levels, with and without a
/// difference.
pub fn all(cap: f64) -> Vec<Scenario> {
    let kinds: [(&str, Law, Signal); 5] = [
        ("latency mean +20%", MEAN, latency(Statistic::Mean)),
        ("latency p95 +50%", P95, latency(Statistic::P95)),
        ("latency p95 +50% tail only", TAIL, latency(Statistic::P95)),
        ("cost +15%", COST, cost()),
        ("quality -0.03", QUALITY, quality()),
    ];
    let mut all = Vec::new();
    for truth in [Truth::Same, Truth::Worse] {
        for (what, law, signal) in &kinds {
            for share in [0.10, 0.50] {
                for rate in [0.05, 1.0, 10.0] {
                    let world = World::calm(rate, duration(rate, cap), share, *law);
                    let name = format!("{what} share {}% {rate}/s", share * 100.0);
                    let mut one = Scenario::new(name, truth, world, vec![signal.clone()]);
                    if *law == P95 && truth == Truth::Worse {
                        one.floor = p95_floor(SIGMA, 1.5, share, super::RISK);
                    }
                    all.push(one);
                }
            }
        }
    }
    all
}
