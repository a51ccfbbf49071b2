//! Batches to control: in order, at least once.
//!
//! A batch keeps its number until control has it, so that one that arrived
//! without our knowing is recognised. At once after a new snapshot, empty if
//! need be: control measures by it how long a decision takes to reach everyone.

use super::Telemetry;
use super::fold::Head;
use crate::config::Config;
use crate::link::{Link, LinkError};
use crate::metrics::Counters;
use crate::state::Shared;
use analysis::cells::Batch;
use domain::ids::Generation;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// Longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// What the shipping task works with.
pub(crate) struct Shipper {
    pub(crate) shared: Arc<Shared>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) link: Arc<dyn Link>,
    /// Told after each new snapshot.
    pub(crate) applied: Arc<Notify>,
    /// True once the gateway stops.
    pub(crate) stopping: watch::Receiver<bool>,
    /// Random, per start.
    pub(crate) epoch: u64,
}

/// Where the shipping stands.
struct Progress {
    seq: u64,
    /// What control was last told.
    told: Option<Generation>,
    last: Instant,
    /// Drops control was told of.
    dropped: u64,
}

/// Ships until the gateway stops and nothing is left, or cannot be delivered.
pub(crate) async fn ship(mut shipper: Shipper) {
    let mut progress = Progress { seq: 0, told: None, last: Instant::now(), dropped: 0 };
    loop {
        let stopping = *shipper.stopping.borrow();
        if let Some(batch) = shipper.next_batch(&mut progress, stopping) {
            if !shipper.deliver(&batch).await {
                return;
            }
            progress.last = Instant::now();
            progress.told = Some(batch.serving);
        }
        if shipper.telemetry.with(|fold, _| fold.more_than_a_batch()) {
            continue;
        }
        if stopping && shipper.telemetry.with(|fold, _| fold.is_empty()) {
            return;
        }
        shipper.wait().await;
    }
}

impl Shipper {
    fn config(&self) -> &Config {
        &self.shared.config
    }

    fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// What there is to tell now.
    fn next_batch(&self, progress: &mut Progress, stopping: bool) -> Option<Batch> {
        let serving = self.shared.serving.load().generation();
        let all_dropped = self.counters().telemetry_dropped.get();
        let dropped = all_dropped.saturating_sub(progress.dropped);
        let news = progress.told != Some(serving) || dropped > 0;
        let silent = progress.last.elapsed() >= self.config().heartbeat;
        self.telemetry.with(|fold, _| {
            if fold.is_empty() && !news && (!silent || stopping) {
                return None;
            }
            progress.seq = progress.seq.saturating_add(1);
            progress.dropped = all_dropped;
            let head = Head {
                gateway: self.config().name.clone(),
                epoch: self.epoch,
                seq: progress.seq,
                serving,
            };
            Some(fold.batch(head, dropped))
        })
    }

    /// Delivers a batch, however often it takes. False if the gateway stopped
    /// before it could be delivered.
    async fn deliver(&mut self, batch: &Batch) -> bool {
        let mut pause = self.config().ship_every;
        loop {
            match self.link.ship(batch).await {
                Ok(()) => {
                    self.counters().control_up.set(true);
                    self.counters().batches_shipped.add(1);
                    return true;
                }
                Err(LinkError::Rejected(why)) => {
                    let lost = u64::try_from(batch.records.len()).unwrap_or(u64::MAX);
                    tracing::error!(%why, seq = batch.seq, lost, "control refuses a batch; its counts are lost");
                    self.counters().telemetry_dropped.add(lost);
                    return true;
                }
                Err(LinkError::Unreachable(why)) => {
                    self.counters().control_up.set(false);
                    tracing::debug!(%why, seq = batch.seq, "a batch waits for control");
                }
            }
            if *self.stopping.borrow() {
                tracing::warn!(seq = batch.seq, "stopping with counts that could not be delivered");
                return false;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = self.stopping.changed() => {}
            }
            pause = pause.saturating_mul(2).min(MAX_PAUSE);
        }
    }

    async fn wait(&mut self) {
        let every = self.config().ship_every;
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = self.applied.notified() => {}
            _ = self.stopping.changed() => {}
        }
    }
}
