//! The cells of rollouts under way, kept between looks.
//!
//! A look needs every cell since the rollout began. Reading them all again each
//! time would grow with the rollout, so cells that no longer change are kept in
//! memory, folded into minutes, and only the young ones are read again. A
//! restart reads everything once. Verdicts lose nothing: they look at who served
//! what, in order of minutes, and at windows that are long against a minute.

use crate::Control;
use crate::problem::Problem;
use analysis::cells::{Cell, CellKey, Cells};
use domain::ids::RolloutId;
use domain::units::{Span, Timestamp};

/// How long a cell may still change: late batches of gateways and feedback that
/// waits for its record.
const MAY_CHANGE_FOR: Span = Span::from_secs(900);

/// Width of a folded cell in seconds.
const FOLD: i64 = 60;

/// What is known of one rollout.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    /// Cells before `until`, folded.
    settled: Cells,
    /// First second that is not settled.
    until: i64,
}

impl Control {
    /// Every cell of a rollout, in order of time.
    pub(crate) async fn evidence(
        &self,
        id: RolloutId,
        now: Timestamp,
    ) -> Result<Vec<(CellKey, Cell)>, Problem> {
        let mut kept = self.evidence.lock().await;
        let evidence =
            kept.entry(id).or_insert_with(|| Evidence { until: i64::MIN, ..Evidence::default() });
        let young = self.store.cells(id, evidence.until, i64::MAX).await?;
        let border = (now.second() - MAY_CHANGE_FOR.millis() / 1000).div_euclid(FOLD) * FOLD;
        let border = border.max(evidence.until);
        let mut all: Vec<_> = Vec::with_capacity(young.len());
        for (key, cell) in young {
            if key.second < border {
                let minute = CellKey { second: key.second.div_euclid(FOLD) * FOLD, ..key };
                evidence.settled.entry(minute).merge(&cell);
            } else {
                all.push((key, cell));
            }
        }
        evidence.until = border;
        let settled = evidence.settled.iter().map(|(key, cell)| (key.clone(), cell.clone()));
        let mut cells: Vec<_> = settled.collect();
        // `Cells` is ordered by key, which begins with the app; time comes first here.
        cells.append(&mut all);
        cells.sort_by_key(|(key, _)| key.second);
        Ok(cells)
    }

    /// Cells that come later than cells usually change, from a gateway that was
    /// cut off, are evidence like any other: what was settled is read again.
    pub(crate) async fn recall_evidence(&self, cells: &[(CellKey, Cell)]) {
        let mut kept = self.evidence.lock().await;
        for (key, _) in cells {
            if let Some(id) = key.rollout
                && kept.get(&id).is_some_and(|evidence| key.second < evidence.until)
            {
                kept.remove(&id);
            }
        }
    }

    /// A rollout ended: its cells are not needed any more.
    pub(crate) async fn forget_evidence(&self, id: RolloutId) {
        self.evidence.lock().await.remove(&id);
    }
}
