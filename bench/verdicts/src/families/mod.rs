//! Families of scenarios: what is simulated, and what is promised there.

mod continuous;
mod pairs;
mod promotion;
mod rates;
mod trouble;

use crate::floor::information;
use crate::law::Law;
use crate::world::World;
use domain::policy::{
    AfterRollback, Missing, Notice, Planned, Risk, RolloutPolicy, Signal, SignalAction, SignalKind,
    Statistic, SubjectKey, Worse,
};
use domain::units::{Ratio, Share, Span};

/// Length of the planned rollouts.
pub const PLAN_SECONDS: f64 = 72.0 * 3600.0;
/// The accepted risk of a false stop over the whole rollout.
pub const RISK: f64 = 0.05;
/// The accepted risk of promoting what is worse by what matters.
pub const FALSE_PROMOTE: f64 = 0.10;

/// What is true in a scenario, and so what a rule should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// No difference: must not be stopped.
    Same,
    /// Worse: should be stopped, early.
    Worse,
    /// No difference: should be promoted.
    Harmless,
    /// Worse by exactly what matters: must not be promoted.
    Notice,
}

impl Truth {
    /// As a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Worse => "worse",
            Self::Harmless => "harmless",
            Self::Notice => "notice",
        }
    }
}

/// One scenario.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Unique within its family.
    pub name: String,
    /// Names the random streams; scenarios that share it share their data.
    pub stream: String,
    /// What is true.
    pub truth: Truth,
    /// The policy in force.
    pub policy: RolloutPolicy,
    /// What rollouts are drawn from.
    pub world: World,
    /// Candidate requests needed at least, from the onset on.
    pub floor: f64,
}

impl Scenario {
    /// A scenario named by its parts.
    pub fn new(name: String, truth: Truth, mut world: World, signals: Vec<Signal>) -> Self {
        world.bad = matches!(truth, Truth::Worse | Truth::Notice);
        let floor = if world.bad { floor_of(&world) } else { f64::INFINITY };
        let policy = policy(&world, signals);
        Self { stream: name.clone(), name, truth, policy, world, floor }
    }
}

/// Families by name.
pub const FAMILIES: [&str; 5] = ["rates", "continuous", "trouble", "pairs", "promotion"];

/// The scenarios of a family; none if nobody knows it. `cap` bounds the
/// requests of a plan; longer plans are cut short.
pub fn family(name: &str, cap: f64) -> Option<Vec<Scenario>> {
    match name {
        "rates" => Some(rates::all(cap)),
        "continuous" => Some(continuous::all(cap)),
        "trouble" => Some(trouble::all(cap)),
        "pairs" => Some(pairs::all(cap)),
        "promotion" => Some(promotion::all(cap)),
        _ => None,
    }
}

/// Seconds of a plan at that traffic.
pub fn duration(rate: f64, cap: f64) -> f64 {
    (cap / rate).min(PLAN_SECONDS)
}

/// Mean information of the strongest signal over tenants and steps, each
/// weighted by the candidate requests it brings.
fn floor_of(world: &World) -> f64 {
    let strongest = |law: &Law| {
        let (mut info, mut weight) = (0.0, 0.0);
        for tenant in world.parts() {
            for (_, share) in &world.steps {
                let share = if world.pairs.is_some() { 0.5 } else { share * tenant.share };
                let law = match *law {
                    Law::Rate { p, times } => Law::Rate { p: p * tenant.level.exp(), times },
                    other => other,
                };
                info += tenant.part * share * information(&law, share);
                weight += tenant.part * share;
            }
        }
        info / weight
    };
    let best = world.laws.iter().map(strongest).fold(0.0, f64::max);
    (1.0 / RISK).ln() / best
}

fn policy(world: &World, signals: Vec<Signal>) -> RolloutPolicy {
    let answers = if world.pairs.is_some() { 2.0 } else { 1.0 };
    let share = world.candidates(0.0) / (world.rate * world.duration * answers);
    RolloutPolicy {
        api_version: "tidegate/v1".to_owned(),
        subject: SubjectKey::default(),
        check_every: Span::from_secs(60),
        planned: Some(Planned {
            duration: Span::from_millis((world.duration * 1000.0) as i64),
            requests: (world.rate * world.duration * answers).round() as u64,
            share: Some(Share::from_bp((share * 10_000.0).round() as u16)),
        }),
        risk: Risk { false_stop: Ratio(RISK), false_promote: Ratio(FALSE_PROMOTE) },
        steps: Vec::new(),
        signals,
        missing: Missing::default(),
        after_rollback: AfterRollback {
            cool_down: Span::from_secs(3600),
            restore: domain::policy::Restore::Immediate,
        },
    }
}

/// A signal as the policies of the scenarios have it.
pub fn signal(name: &str, kind: SignalKind, notice: Notice) -> Signal {
    Signal {
        name: name.to_owned(),
        kind,
        statistic: None,
        range: None,
        worse: Worse::Higher,
        notice: Some(notice),
        limit: None,
        window: None,
        sustained: None,
        min_samples: 20,
        weight: None,
        source: None,
        burn: None,
        judge: None,
        action: SignalAction::Rollback,
    }
}

/// Errors: twice as many matter.
pub fn errors() -> Signal {
    signal("error", SignalKind::Rate, Notice::Times(2.0))
}

/// Latency: a fifth more matters.
pub fn latency(statistic: Statistic) -> Signal {
    let mut signal = signal("latency_ms", SignalKind::Latency, Notice::Times(1.2));
    signal.statistic = Some(statistic);
    signal
}

/// Cost: 15 % more matter.
pub fn cost() -> Signal {
    let mut signal = signal("cost", SignalKind::Amount, Notice::Times(1.15));
    signal.action = SignalAction::Pause;
    signal
}

/// Quality from 0 to 1: 0.03 less matter.
pub fn quality() -> Signal {
    let mut signal = signal("quality", SignalKind::Score, Notice::By(Ratio(0.03)));
    signal.range = Some((0.0, 1.0));
    signal.worse = Worse::Lower;
    signal.action = SignalAction::Pause;
    signal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_can_be_told_apart_and_has_a_sound_policy() {
        for name in FAMILIES {
            let scenarios = family(name, 20_000.0).unwrap();
            let mut names: Vec<_> =
                scenarios.iter().map(|s| (s.name.clone(), s.world.bad)).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), scenarios.len(), "{name}");
            for s in &scenarios {
                assert_eq!(s.policy.signals.len(), s.world.laws.len(), "{}", s.name);
                assert_eq!(s.world.delays.len(), s.world.laws.len(), "{}", s.name);
                assert_eq!(s.policy.faults(), Vec::new(), "{}", s.name);
                assert_eq!(s.world.bad, s.floor.is_finite(), "{}", s.name);
            }
        }
    }

    #[test]
    fn the_grid_of_rates_has_45_scenarios_without_and_135_with_a_difference() {
        let all = family("rates", 20_000.0).unwrap();
        let same = all.iter().filter(|s| s.truth == Truth::Same).count();
        assert_eq!((same, all.len() - same), (45, 135));
    }
}
