//! What real traffic does to tests that assume too much: noise, seasons,
//! tenants, sticky units, heavy tails, late news, many signals, late harm.

use super::continuous::{COST, MEAN, QUALITY, SIGMA};
use super::{Scenario, Truth, cost, duration, errors, latency, quality, signal};
use crate::law::Law;
use crate::world::{Noise, Tenant, Units, World};
use domain::policy::{Notice, Signal, SignalKind, Statistic};

const ERRORS: Law = Law::Rate { p: 0.05, times: 2.0 };
const HOUR: f64 = 3600.0;

/// Plans here may be this much longer than elsewhere, so that days fit in.
const LONGER: f64 = 3.0;

/// Every trouble at two traffic levels, with and without a difference.
pub fn all(cap: f64) -> Vec<Scenario> {
    let mut all = Vec::new();
    for truth in [Truth::Same, Truth::Worse] {
        for rate in [0.05, 0.2] {
            let calm = |law: Law| World::calm(rate, duration(rate, cap * LONGER), 0.25, law);
            for (base, law, signal) in
                [("errors", ERRORS, errors()), ("latency", MEAN, latency(Statistic::Mean))]
            {
                for (what, world) in troubles(&calm(law)) {
                    let name = format!("{what} {base} {rate}/s");
                    all.push(Scenario::new(name, truth, world, vec![signal.clone()]));
                }
            }
            let heavy = Law::Pareto { index: 1.5, times: 1.3 };
            let mut one = |what: &str, world: World, signals: Vec<Signal>| {
                all.push(Scenario::new(format!("{what} {rate}/s"), truth, world, signals));
            };
            one("heavy tail cost", calm(heavy), vec![cost()]);
            one("late quality", late(calm(ERRORS)), vec![errors(), quality()]);
            let (world, signals) = six(calm(ERRORS), None);
            one("six signals all", world, signals);
            for (i, what) in [(0, "errors"), (1, "latency"), (3, "quality")] {
                if truth == Truth::Worse {
                    let (world, signals) = six(calm(ERRORS), Some(i));
                    one(&format!("six signals only {what}"), world, signals);
                }
            }
        }
    }
    all
}

/// The troubles of a single signal.
fn troubles(calm: &World) -> Vec<(&'static str, World)> {
    let ramp = vec![(0.0, 0.05), (1.0 / 3.0, 0.25), (2.0 / 3.0, 0.50)];
    let spread = if matches!(calm.laws[0], Law::Rate { .. }) { 0.8 } else { 0.5 };
    let units = Units { count: (calm.rate * 8000.0) as u64, spread };
    let with = |change: &dyn Fn(&mut World)| {
        let mut world = calm.clone();
        change(&mut world);
        world
    };
    vec![
        ("noise", with(&|w| w.noise = Some(Noise { memory: 0.95, spread }))),
        (
            "season with ramp",
            with(&|w| {
                w.season = 0.7;
                w.steps.clone_from(&ramp);
            }),
        ),
        ("tenants", with(&|w| w.tenants = tenants())),
        ("sticky", with(&|w| w.units = Some(units))),
        (
            "sticky with ramp",
            with(&|w| {
                w.units = Some(units);
                w.steps.clone_from(&ramp);
            }),
        ),
        ("late onset", with(&|w| w.onset = 2.0 / 3.0)),
    ]
}

/// Tenants whose level and share go together: the mixture alone looks like harm.
fn tenants() -> Vec<Tenant> {
    let tenant = |part, level, share| Tenant { part, level, share };
    vec![tenant(0.5, -1.0, 0.4), tenant(0.3, 0.0, 1.0), tenant(0.2, 0.9, 2.5)]
}

/// Errors are known at once and fine; quality is known hours later and is not.
fn late(mut world: World) -> World {
    world.laws = vec![ERRORS.harmless(), QUALITY];
    world.delays = vec![None, Some(4.0 * HOUR)];
    world
}

/// Six correlated signals; all worse, or only one.
fn six(mut world: World, only: Option<usize>) -> (World, Vec<Signal>) {
    let schema = signal("schema_failure", SignalKind::Rate, Notice::Times(2.0));
    let mut first = latency(Statistic::P95);
    first.name = "ttft_ms".to_owned();
    world.laws = vec![
        ERRORS,
        MEAN,
        COST,
        QUALITY,
        Law::Rate { p: 0.01, times: 2.0 },
        Law::Lognormal { sigma: SIGMA, times: 1.5 },
    ];
    for (i, law) in world.laws.iter_mut().enumerate() {
        if only.is_some_and(|one| one != i) {
            *law = law.harmless();
        }
    }
    world.delays = vec![None; 6];
    world.correlation = 0.5;
    (world, vec![errors(), latency(Statistic::Mean), cost(), quality(), schema, first])
}
