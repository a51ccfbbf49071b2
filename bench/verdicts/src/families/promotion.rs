//! Promotion by evidence: candidates without a difference, which should pass
//! within the plan, and candidates worse by exactly what matters, which must not.

use super::continuous::SIGMA;
use super::{Scenario, Truth, cost, duration, errors, latency, quality};
use crate::law::Law;
use crate::world::World;
use domain::policy::{Signal, Statistic};

/// Plans here may be this much longer than elsewhere: to show that nothing is
/// wrong takes more than to find what is.
const LONGER: f64 = 3.0;

/// Each kind at three shares and two traffic levels, harmless and at the notice.
pub fn all(cap: f64) -> Vec<Scenario> {
    let rate_of = |p| Law::Rate { p, times: 2.0 };
    let kinds: [(&str, Law, Signal); 8] = [
        ("errors 1% notice x2", rate_of(0.01), errors()),
        ("errors 5% notice x2", rate_of(0.05), errors()),
        ("errors 10% notice x2", rate_of(0.10), errors()),
        ("latency mean notice x1.2", moved(1.2), latency(Statistic::Mean)),
        ("latency p95 notice x1.2", moved(1.2), latency(Statistic::P95)),
        (
            "latency p95 tail only notice x1.2",
            Law::Tail { sigma: SIGMA, above: 0.8, times: 1.2 },
            latency(Statistic::P95),
        ),
        ("cost notice x1.15", super::continuous::COST, cost()),
        ("quality notice 0.03", super::continuous::QUALITY, quality()),
    ];
    let mut all = Vec::new();
    for truth in [Truth::Harmless, Truth::Notice] {
        for (what, law, signal) in &kinds {
            for share in [0.10, 0.25, 0.50] {
                for rate in [0.05, 1.0] {
                    let world = World::calm(rate, duration(rate, cap * LONGER), share, *law);
                    let name = format!("{what} share {}% {rate}/s", share * 100.0);
                    all.push(Scenario::new(name, truth, world, vec![signal.clone()]));
                }
            }
        }
    }
    all
}

fn moved(times: f64) -> Law {
    Law::Lognormal { sigma: SIGMA, times }
}
