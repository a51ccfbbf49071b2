//! One look.

use super::{Exposure, Observation, Phase, Report, RolloutState, StepCounts, report};
use crate::sentence::Sentence;
use crate::units::Timestamp;
use serde::{Deserialize, Serialize};

/// What the executor must do. Every action is safe to repeat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Action {
    /// The exposure changed: publish a snapshot.
    Publish,
    /// Move `production` to the candidate in git, by a commit.
    CommitPromotion,
    /// Take `candidate` away and revert the merge in git.
    RevertChange,
    /// Put the candidate on the deny list until a person clears it.
    DenyCandidate,
    /// Open an incident.
    OpenIncident {
        /// What happened.
        what: Sentence,
    },
    /// Tell the people concerned.
    Notify {
        /// What happened.
        what: Sentence,
    },
}

/// What one look led to.
#[derive(Debug, Clone, PartialEq)]
pub struct Stepped {
    /// The next state. Its generation is the old one's if nothing but the time
    /// of the look changed.
    pub state: RolloutState,
    /// What to do, in order.
    pub actions: Vec<Action>,
    /// Why, for people.
    pub report: Report,
}

/// One look at a rollout. Pure and total: every state and observation has an
/// answer.
///
/// A look that comes earlier than `check_every` after the last one changes
/// nothing, so that limits counted in checks mean what they say. Two things do
/// not wait: what is settling in git and at the gateways goes on, and a breaker
/// stops at once.
pub fn step(state: &RolloutState, seen: &Observation, now: Timestamp) -> Stepped {
    let mut machine = Machine::new(state, seen, now);
    match state.phase {
        Phase::Running | Phase::Paused { .. } if machine.is_due() => machine.look(),
        // No look: nothing is counted, nothing moves on, the plan keeps its time.
        Phase::Running | Phase::Paused { .. } => machine.react_to_breakers(),
        Phase::Promoting if seen.git_settled => machine.settle(Phase::Promoted),
        Phase::RollingBack if state.exposure != Exposure::default() => machine.go_on_back(),
        Phase::RollingBack if seen.git_settled && seen.gateways_settled => {
            machine.settle(Phase::RolledBack);
        }
        _ => {}
    }
    machine.finish(state)
}

/// The state on its way to the next, with what it is judged by.
pub(super) struct Machine<'a> {
    pub(super) state: RolloutState,
    pub(super) actions: Vec<Action>,
    pub(super) seen: &'a Observation,
    /// Answers in the step under way: those seen, or none right after a move.
    pub(super) counts: StepCounts,
    pub(super) now: Timestamp,
}

impl<'a> Machine<'a> {
    pub(super) fn new(state: &RolloutState, seen: &'a Observation, now: Timestamp) -> Self {
        Self { state: state.clone(), actions: Vec::new(), seen, counts: seen.step, now }
    }

    /// A clock set back makes a look due: better one too many than none for as
    /// long as the clock was ahead.
    fn is_due(&self) -> bool {
        self.state.last_check.is_none_or(|last| {
            self.now < last || self.now.since(last) >= self.state.policy.check_every
        })
    }

    /// The order matters: limits before everything else, waiting for people and
    /// data after, moving on last.
    fn look(&mut self) {
        self.state.last_check = Some(self.now);
        self.follow_plan();
        self.remember();
        self.react_to_failures();
        self.react_to_silence();
        if self.state.phase == Phase::Running {
            self.advance();
        }
    }

    /// Closes the look: any difference but the time of the look makes a new
    /// generation.
    fn finish(mut self, before: &RolloutState) -> Stepped {
        let same =
            RolloutState { last_check: self.state.last_check, ..before.clone() } == self.state;
        if !same {
            self.state.generation = before.generation.next();
        }
        let report = report::of(&self);
        Stepped { state: self.state, actions: self.actions, report }
    }

    pub(super) fn into_command_result(
        mut self,
        before: &RolloutState,
    ) -> (RolloutState, Vec<Action>) {
        if self.state != *before {
            self.state.generation = before.generation.next();
        }
        (self.state, self.actions)
    }
}
