//! Rates under calm traffic: the planning grid. Three rates, five shares, three
//! traffic levels; no difference, and three ratios.

use super::{Scenario, Truth, duration, errors};
use crate::law::Law;
use crate::world::World;

/// The whole grid: 45 scenarios without and 135 with a difference.
pub fn all(cap: f64) -> Vec<Scenario> {
    let mut all = Vec::new();
    for times in [1.0, 1.5, 2.0, 5.0] {
        for p in [0.01, 0.05, 0.10] {
            for share in [0.01, 0.05, 0.10, 0.25, 0.50] {
                for rate in [0.05, 1.0, 10.0] {
                    all.push(one(p, times, share, rate, cap));
                }
            }
        }
    }
    all
}

fn one(p: f64, times: f64, share: f64, rate: f64, cap: f64) -> Scenario {
    let law = Law::Rate { p, times };
    let world = World::calm(rate, duration(rate, cap), share, law);
    let truth = if times == 1.0 { Truth::Same } else { Truth::Worse };
    let name = format!("{}% x{times} share {}% {rate}/s", p * 100.0, share * 100.0);
    Scenario::new(name, truth, world, vec![errors()])
}
