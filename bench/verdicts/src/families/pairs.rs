//! Shadow pairs, and the same answers with nobody told which belong together.

use super::continuous::{MEAN, QUALITY};
use super::{Scenario, Truth, duration, errors, latency, quality};
use crate::law::Law;
use crate::world::{Pairs, World};
use domain::policy::Statistic;

/// Correlation of both answers to one input.
const WITHIN: f64 = 0.5;

/// Three kinds, with and without a difference, told and untold.
pub fn all(cap: f64) -> Vec<Scenario> {
    let kinds = [
        ("errors x2", Law::Rate { p: 0.05, times: 2.0 }, errors()),
        ("latency mean +20%", MEAN, latency(Statistic::Mean)),
        ("quality -0.03", QUALITY, quality()),
    ];
    let mut all = Vec::new();
    for truth in [Truth::Same, Truth::Worse] {
        for (what, law, signal) in &kinds {
            for rate in [0.05, 1.0] {
                for told in [true, false] {
                    let mut world = World::calm(rate, duration(rate, cap / 2.0), 0.5, *law);
                    world.pairs = Some(Pairs { correlation: WITHIN, told });
                    let stream = format!("{what} {rate}/s");
                    let name = format!("{stream} {}", if told { "paired" } else { "unpaired" });
                    let mut one = Scenario::new(name, truth, world, vec![signal.clone()]);
                    one.stream = stream;
                    all.push(one);
                }
            }
        }
    }
    all
}
