//! Rules that decide on a rollout, and how a recording is led past them.

mod betting;
mod exact;
mod growthbook;
mod kayenta;
mod own;
mod resalted;
mod zpeek;

use crate::trace::Trace;
use analysis::Outcome;
use domain::policy::{RolloutPolicy, Signal, SignalKind, Worse};
use domain::units::Timestamp;

/// What a rule decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Everyone back.
    Rollback,
    /// Stop; a person decides.
    Pause,
    /// Shown not worse.
    Promote,
    /// The recording ended without enough evidence either way.
    Continue,
}

impl Kind {
    /// True if the candidate was stopped.
    pub fn stops(self) -> bool {
        matches!(self, Self::Rollback | Self::Pause)
    }
}

/// A decision and what it took.
#[derive(Debug, Clone, Copy)]
pub struct Decision {
    /// What.
    pub kind: Kind,
    /// When, in milliseconds since the start; the end for `Continue`.
    pub at: i64,
    /// Candidate answers given until then.
    pub n_candidate: u64,
    /// Candidate answers given before the harm began.
    pub before_onset: u64,
}

/// A rule under test. Looks come each `check_every`, in order, after all
/// outcomes that were known by then.
pub trait Rule {
    /// Takes in what became known.
    fn add(&mut self, outcome: &Outcome);
    /// Decides, or not.
    fn look(&mut self, now: Timestamp) -> Option<Kind>;
}

/// Rules by name.
pub const RULES: [&str; 7] =
    ["tidegate", "exact", "resalted", "betting", "growthbook", "kayenta", "zpeek"];

/// Makes a rule for a rollout under that policy; none if nobody knows the name.
pub fn make(name: &str, policy: &RolloutPolicy) -> Option<Box<dyn Rule>> {
    let test: Maker = match name {
        "tidegate" => return Some(Box::new(own::Own::new(policy))),
        "exact" => exact::make,
        "resalted" => resalted::make,
        "betting" => betting::make,
        "growthbook" => growthbook::make,
        "kayenta" => kayenta::make,
        "zpeek" => zpeek::make,
        _ => return None,
    };
    Some(Box::new(PerSignal::new(policy, test)))
}

/// Leads one recording past a rule until it decides.
pub fn run(
    rule: &mut dyn Rule,
    trace: &mut Trace,
    policy: &RolloutPolicy,
    end: i64,
    promote: bool,
) -> Decision {
    let every = policy.check_every.millis().max(1);
    let mut next = every;
    loop {
        let known = trace.advance();
        let until = known.unwrap_or(end + 1).min(end + 1);
        while next < until {
            if let Some(kind) =
                rule.look(Timestamp(next)).filter(|k| promote || k != &Kind::Promote)
            {
                return decided(trace, kind, next);
            }
            next += every;
        }
        if known.is_none() {
            return decided(trace, Kind::Continue, end);
        }
        rule.add(trace.current());
    }
}

fn decided(trace: &Trace, kind: Kind, at: i64) -> Decision {
    let [_, n_candidate] = trace.served_before();
    Decision { kind, at, n_candidate, before_onset: trace.before_onset() }
}

/// A test of one signal, whose risk of a false stop is its own.
pub trait Test {
    /// A measured value, oriented: the larger, the worse.
    fn add(&mut self, outcome: &Outcome, value: f64);
    /// True once the candidate is shown to be worse.
    fn stops(&mut self) -> bool;
}

/// What a test of one signal may count on.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Its risk of a false stop.
    pub risk: f64,
    /// Measurements planned.
    pub planned: f64,
    /// How many signals there are.
    pub signals: usize,
}

type Maker = fn(&Signal, &Terms) -> Box<dyn Test>;

/// One test per signal, the risk shared equally.
struct PerSignal {
    tests: Vec<(Box<dyn Test>, f64, Kind)>,
    fresh: bool,
}

impl PerSignal {
    fn new(policy: &RolloutPolicy, make: Maker) -> Self {
        let signals = policy.signals.len();
        let risk = policy.risk.false_stop.0 / signals as f64;
        let planned = policy.planned.map_or(1.0, |p| p.requests as f64);
        let terms = Terms { risk, planned, signals };
        let test = |signal: &Signal| (make(signal, &terms), orientation(signal), kind(signal));
        Self { tests: policy.signals.iter().map(test).collect(), fresh: false }
    }
}

impl Rule for PerSignal {
    fn add(&mut self, outcome: &Outcome) {
        for (signal, value) in &outcome.values {
            if let Some((test, orientation, _)) = self.tests.get_mut(usize::from(*signal)) {
                test.add(outcome, value * *orientation);
                self.fresh = true;
            }
        }
    }

    fn look(&mut self, _now: Timestamp) -> Option<Kind> {
        if !std::mem::take(&mut self.fresh) {
            return None;
        }
        self.tests.iter_mut().find_map(|(test, _, kind)| test.stops().then_some(*kind))
    }
}

/// 1 if larger is worse, −1 otherwise.
fn orientation(signal: &Signal) -> f64 {
    if signal.worse == Worse::Lower && signal.kind != SignalKind::Rate { -1.0 } else { 1.0 }
}

/// What a failure of the signal leads to.
fn kind(signal: &Signal) -> Kind {
    match signal.action {
        domain::policy::SignalAction::Rollback => Kind::Rollback,
        _ => Kind::Pause,
    }
}
