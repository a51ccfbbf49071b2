//! Guards: each variant against control, by the same tests as a rollout, so
//! that a variant that does harm is dropped and its share goes to none.
//!
//! A guard compares answers that one of the two gave, by the probability that
//! it was the variant's: πᵥ/(πᵥ + π of control). The risk of a false drop is
//! divided equally by the variants.

use super::{Answer, Experiment};
use crate::engine::{Engine, Place};
use crate::outcome::{Outcome, Side};
use domain::policy::SignalAction;
use domain::units::Timestamp;
use domain::verdict::{Outcome as Judged, Verdict};
use serde::Serialize;

/// The metric that says that an answer failed, whatever the policy watches.
pub const FAILED: &str = "error";

/// Answers of an experiment begin to matter at its start.
const PLACE: Place = Place { step: 0, exposed: true };

/// A variant that gets no more traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drop {
    /// The guard that failed.
    pub guard: String,
    /// The look at which it did; in JSON `t`, in seconds.
    #[serde(rename = "t", serialize_with = "super::report::seconds")]
    pub at: Timestamp,
}

/// The guards of one variant.
#[derive(Debug, Clone)]
pub struct Guards {
    variant: usize,
    engine: Engine,
    drop: Option<Drop>,
    verdicts: Vec<Verdict>,
}

impl Guards {
    /// Of each variant but control; none where the policy has none.
    pub fn all(experiment: &Experiment, start: Timestamp) -> Vec<Self> {
        let Some(policy) = experiment.guards() else { return Vec::new() };
        let others = (0..experiment.variants()).filter(|v| *v != experiment.control());
        others
            .map(|variant| Self {
                variant,
                engine: Engine::new(policy, start, policy.risk.false_stop.0),
                drop: None,
                verdicts: Vec::new(),
            })
            .collect()
    }

    /// The variant they guard.
    pub fn variant(&self) -> usize {
        self.variant
    }

    /// Why the variant was dropped, if it was.
    pub fn drop(&self) -> Option<&Drop> {
        self.drop.as_ref()
    }

    /// What the last look said, in the policy's order.
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// Takes in an answer, if the variant or control gave it.
    pub fn add(&mut self, experiment: &Experiment, answer: &Answer) {
        let share = |v: usize| answer.shares.get(v).copied().unwrap_or(0.0);
        let (mine, control) = (share(self.variant), share(experiment.control()));
        let side = match answer.variant {
            v if v == self.variant => Side::Candidate,
            v if v == experiment.control() => Side::Baseline,
            _ => return,
        };
        if self.drop.is_some() || mine <= 0.0 || control <= 0.0 {
            return;
        }
        let values = answer.values.iter().filter_map(|(metric, value)| {
            experiment.guard_of(*metric).map(|signal| (signal, *value))
        });
        self.engine.add(&Outcome {
            at: answer.at,
            side,
            share: mine / (mine + control),
            unit: answer.unit,
            pair: None,
            input: None,
            answer: None,
            segment: answer.segment.map(|segment| segment as u64),
            step: 0,
            failed: answer.failed,
            values: values.collect(),
        });
    }

    /// Looks; true if the variant is dropped by this look.
    pub fn look(&mut self, now: Timestamp) -> bool {
        if self.drop.is_some() {
            return false;
        }
        self.verdicts = self.engine.look(now, &PLACE);
        let drops = |verdict: &&Verdict| {
            verdict.outcome == Judged::Fail && verdict.action == SignalAction::Rollback
        };
        self.drop = self
            .verdicts
            .iter()
            .find(drops)
            .map(|verdict| Drop { guard: verdict.signal.clone(), at: now });
        self.drop.is_some()
    }
}
