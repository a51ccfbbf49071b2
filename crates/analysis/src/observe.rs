//! One look at a rollout: what its tests say becomes what the controller
//! decides on.

use crate::engine::{Engine, Place};
use domain::rollout::{Observation, RolloutState, StepCounts};
use domain::units::{Share, Timestamp};

/// Answers counted since a rollout began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answered {
    /// In the step under way.
    pub step: StepCounts,
    /// Of the candidate, to users and mirrored ones, over the whole rollout.
    pub exposed: u64,
}

/// Verdicts on all signals, in the policy's order, of everything known up to
/// and at `until`, which `engine` has taken in, and counts of the step under
/// way. Whether git and the gateways are settled is not for the numbers to say:
/// both stay false.
pub fn observe(
    engine: &mut Engine,
    state: &RolloutState,
    answered: Answered,
    until: Timestamp,
) -> Observation {
    let step = u32::try_from(state.step).unwrap_or(u32::MAX);
    let exposed = state.exposure.weight != Share::NONE || state.exposure.shadow != Share::NONE;
    Observation {
        verdicts: engine.look(until, &Place { step, exposed }),
        step: answered.step,
        exposed: answered.exposed,
        git_settled: false,
        gateways_settled: false,
    }
}
