//! Forgetting what nobody needs any more: once an hour, beside the loop, so that
//! no limit waits for it. State and the audit log are never pruned.

use crate::Control;
use crate::experiments::ExperimentRecord;
use crate::problem::Problem;
use crate::records::RolloutRecord;
use domain::units::{Span, Timestamp};
use std::path::Path;
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
/// How long answers that suites paid for are kept after the last one.
const KEEP_ANSWERS: Span = Span::from_secs(30 * 86_400);
/// How long messages that arrived are kept.
const KEEP_MESSAGES: Span = Span::from_secs(30 * 86_400);
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
        self.forget_keys(now).await?;
        let before = |kept: Span| Timestamp(now.0.saturating_sub(kept.millis()));
        self.forget_answers(before(KEEP_ANSWERS)).await?;
        self.store.prune_requests(before(KEEP_REQUESTS)).await?;
        self.store.prune_cells(before(KEEP_CELLS)).await?;
        self.store.prune_external(before(KEEP_CELLS)).await?;
        self.store.prune_deliveries(before(KEEP_MESSAGES)).await?;
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

    /// Removes journals of paid suites that nobody wrote into since.
    async fn forget_answers(&self, before: Timestamp) -> Result<(), Problem> {
        let folder = crate::gates::paid::journals(&self.config.data);
        let removed = tokio::task::spawn_blocking(move || forget_files(&folder, before));
        // A file that cannot be removed is tried again in an hour.
        if let Err(error) = removed.await.map_err(|e| crate::wrong("tidying up", &e))? {
            tracing::warn!(%error, "old answers of suites could not be removed");
        }
        Ok(())
    }
}

fn forget_files(folder: &Path, before: Timestamp) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let written = entry.metadata()?.modified()?;
        let written = written.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let old = i64::try_from(written.as_millis()).is_ok_and(|ms| ms < before.0);
        if old && entry.file_type()?.is_file() {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
