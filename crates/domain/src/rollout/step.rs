//! One look.

use super::{Observation, Report, RolloutState};
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
pub fn step(state: &RolloutState, seen: &Observation, now: Timestamp) -> Stepped {
    let _ = (seen, now);
    Stepped { state: state.clone(), actions: Vec::new(), report: super::report::empty(state, now) }
}
