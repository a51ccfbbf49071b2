//! Answers counted, and the harm among them.
//!
//! Counting needs every cell since the rollout began. Reading them all again
//! each time would grow with the rollout, so cells that no longer change are
//! added up once and only the young ones are read again.

use crate::problem::Problem;
use crate::records::Harm;
use analysis::{Answered, Cell, CellKey};
use domain::rollout::{RolloutState, StepCounts};
use domain::routing::Arm;
use domain::units::{Span, Timestamp};
use std::collections::BTreeMap;
use store::Store;

/// How long a cell may still change: late batches of gateways and feedback that
/// waits for its record.
const MAY_CHANGE_FOR: Span = Span::from_secs(900);

/// What was counted up to some second.
#[derive(Debug, Default)]
pub(super) struct Answers {
    settled: Tally,
    /// First second that is not settled; none if nothing is.
    until: Option<i64>,
}

/// Sums over cells.
#[derive(Debug, Clone, Default)]
struct Tally {
    by_step: BTreeMap<(Arm, u32), u64>,
    harm: Harm,
}

impl Tally {
    fn add(&mut self, cells: &[(CellKey, Cell)], state: &RolloutState) {
        for (key, cell) in cells {
            let sum = self.by_step.entry((key.arm, key.step)).or_default();
            *sum = sum.saturating_add(cell.n);
        }
        self.harm.merge(&Harm::of(cells, &state.policy));
    }

    fn answered(&self, state: &RolloutState) -> Answered {
        let step = u32::try_from(state.step).unwrap_or(u32::MAX);
        let count = |arm| self.by_step.get(&(arm, step)).copied().unwrap_or(0);
        let ever = |arm| {
            let all = self.by_step.iter().filter(|((of, _), _)| *of == arm);
            all.fold(0_u64, |sum, (_, n)| sum.saturating_add(*n))
        };
        Answered {
            step: StepCounts {
                candidate: count(Arm::Candidate),
                control: count(Arm::Control),
                shadow: count(Arm::Shadow),
            },
            exposed: ever(Arm::Candidate).saturating_add(ever(Arm::Shadow)),
        }
    }
}

impl Answers {
    /// Everything counted up to `now`.
    pub(super) async fn count(
        &mut self,
        store: &Store,
        state: &RolloutState,
        now: Timestamp,
    ) -> Result<(Answered, Harm), Problem> {
        let from = self.until.unwrap_or(i64::MIN);
        let mut young = store.cells(state.id, from, i64::MAX).await?;
        let border = from.max(now.second() - MAY_CHANGE_FOR.millis() / 1000);
        let open = young.split_off(young.partition_point(|(key, _)| key.second < border));
        self.settled.add(&young, state);
        self.until = Some(border);
        let mut all = self.settled.clone();
        all.add(&open, state);
        Ok((all.answered(state), all.harm))
    }

    /// A cell of this second changed: what was settled with it is read anew.
    pub(super) fn recall(&mut self, second: i64) {
        if self.until.is_some_and(|until| second < until) {
            *self = Self::default();
        }
    }
}
