//! Forgetting what nobody needs any more: once an hour, beside the loop, so that
//! no limit waits for it. State and the audit log are never pruned.

use crate::Control;
use crate::experiments::ExperimentRecord;
use crate::problem::Problem;
use crate::records::RolloutRecord;
use domain::units::{Span, Timestamp};
use std::sync::Arc;
use store::Kind;
use tokio::sync::watch;

/// How often.
const EVERY: std::time::Duration = std::time::Duration::from_secs(3600);
/// How long the metadata of requests, with their redacted texts, is kept.
const KEEP_REQUESTS: Span = Span::from_secs(30 * 86_400);
/// How long counts are kept, and the outcomes of a rollout or an experiment from
/// its end on. No rollout lasts longer.
const KEEP_CELLS: Span = Span::from_secs(90 * 86_400);
/// Looks kept per rollout: at one a minute, a week.
const KEEP_TICKS: u32 = 10_080;

impl Control {
    /// Tidies up every hour until `shutdown` turns true.
    pub(crate) async fn keep_house(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) {
        while !*shutdown.borrow() {
            if let Err(problem) = self.tidy_up().await {
                tracing::warn!(%problem, "tidying up failed; trying again in an hour");
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = shutdown.changed() => {}
            }
        }
    }

    /// Forgets what is past its time.
    ///
    /// # Errors
    /// The store could not be written.
    pub async fn tidy_up(&self) -> Result<(), Problem> {
        let now = self.clock.now();
        self.forget_sessions(now).await?;
        let before = |kept: Span| Timestamp(now.0.saturating_sub(kept.millis()));
        self.store.prune_requests(before(KEEP_REQUESTS)).await?;
        self.store.prune_cells(before(KEEP_CELLS)).await?;
        self.store.prune_external(before(KEEP_CELLS)).await?;
        for rollout in self.all::<RolloutRecord>(Kind::Rollout).await? {
            let state = &rollout.doc.state;
            self.store.prune_ticks(state.id, KEEP_TICKS).await?;
            let ended = state.decided_at.filter(|_| state.phase.is_final());
            if ended.is_some_and(|ended| ended < before(KEEP_CELLS)) {
                self.store.forget_outcomes(state.id).await?;
            }
        }
        for experiment in self.all::<ExperimentRecord>(Kind::Experiment).await? {
            let state = &experiment.doc.state;
            let ended = state.decided_at.filter(|_| state.phase.is_final());
            if ended.is_some_and(|ended| ended < before(KEEP_CELLS)) {
                self.store.forget_outcomes(state.id.trial()).await?;
            }
        }
        Ok(())
    }
}
