//! One look at a rollout: its cells become what the controller decides on.

use crate::cells::{Cell, CellKey};
use crate::verdict::{Window, verdict};
use domain::policy::RolloutPolicy;
use domain::rollout::{Observation, RolloutState, StepCounts};
use domain::routing::Arm;
use domain::units::{Share, Timestamp};

/// Verdicts on all signals, in the policy's order, and counts of the step under
/// way. `cells` may be those of other rollouts too. Whether git and the
/// gateways are settled is not for the numbers to say: both stay false.
pub fn observe(
    policy: &RolloutPolicy,
    state: &RolloutState,
    cells: &[(CellKey, Cell)],
    now: Timestamp,
) -> Observation {
    let mine = |(key, _): &&(CellKey, Cell)| key.rollout == Some(state.id) && key.app == state.app;
    let own: Vec<(CellKey, Cell)>;
    let cells = if cells.iter().all(|cell| mine(&cell)) {
        cells
    } else {
        own = cells.iter().filter(mine).cloned().collect();
        &own
    };
    let step = u32::try_from(state.step).unwrap_or(u32::MAX);
    let exposed = state.exposure.weight != Share::NONE || state.exposure.shadow != Share::NONE;
    let window = Window { step, exposed };
    let verdicts =
        policy.signals.iter().map(|signal| verdict(policy, signal, cells, &window, now)).collect();
    let count = |arm: Arm, of_step: bool| {
        cells
            .iter()
            .filter(|(key, _)| {
                key.arm == arm && (!of_step || key.step == step) && key.second <= now.second()
            })
            .fold(0_u64, |sum, (_, cell)| sum.saturating_add(cell.n))
    };
    Observation {
        verdicts,
        step: StepCounts {
            candidate: count(Arm::Candidate, true),
            control: count(Arm::Control, true),
            shadow: count(Arm::Shadow, true),
        },
        exposed: count(Arm::Candidate, false).saturating_add(count(Arm::Shadow, false)),
        git_settled: false,
        gateways_settled: false,
    }
}
