//! The rule under test: Tidegate's engine.

use super::{Kind, Rule, kind};
use analysis::{Engine, Outcome, Place};
use domain::policy::RolloutPolicy;
use domain::units::Timestamp;
use domain::verdict::Outcome as Word;

/// The engine, asked at each look.
pub struct Own {
    engine: Engine,
    kinds: Vec<Kind>,
    step: u32,
}

impl Own {
    /// An engine at the start of a rollout.
    pub fn new(policy: &RolloutPolicy) -> Self {
        Self {
            engine: Engine::new(policy, Timestamp(0), policy.risk.false_stop.0),
            kinds: policy.signals.iter().map(kind).collect(),
            step: 0,
        }
    }
}

impl Rule for Own {
    fn add(&mut self, outcome: &Outcome) {
        self.step = outcome.step;
        self.engine.add(outcome);
    }

    fn look(&mut self, now: Timestamp) -> Option<Kind> {
        let place = Place { step: self.step, exposed: true };
        let verdicts = self.engine.look(now, &place);
        let failed = verdicts.iter().position(|v| v.outcome == Word::Fail);
        if let Some(i) = failed {
            return self.kinds.get(i).copied();
        }
        let passed = !verdicts.is_empty() && verdicts.iter().all(|v| v.outcome == Word::Pass);
        passed.then_some(Kind::Promote)
    }
}
