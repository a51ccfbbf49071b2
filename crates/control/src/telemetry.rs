//! What gateways ship, and which of them have taken up what was published.

use crate::Control;
use crate::problem::Problem;
use crate::views::GatewayView;
use analysis::cells::Batch;
use domain::ids::{GatewayName, Generation};
use domain::units::{Span, Timestamp};
use std::collections::BTreeMap;
use store::Ingested;

/// What is known of one gateway. Kept in memory only: a gateway reports
/// several times a second, so a restart knows again at once.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Generation it serves.
    serving: Generation,
    /// When each newer generation was first seen served; a short tail.
    taken_up: BTreeMap<Generation, Timestamp>,
    /// When it was last heard of.
    at: Timestamp,
}

/// How long a silent gateway is still listed.
const FORGOTTEN_AFTER: Span = Span::from_secs(3600);

/// Generations remembered per gateway.
const MAX_REMEMBERED: usize = 64;

/// How long a command waits for gateways before it answers with what it knows.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

impl Control {
    /// Takes in what a gateway shipped: durable when this returns.
    ///
    /// # Errors
    /// The store refused; the gateway keeps the batch and sends it again.
    pub async fn ingest(&self, batch: Batch) -> Result<Ingested, Problem> {
        self.saw((batch.gateway.clone(), batch.epoch), batch.serving);
        let empty = batch.cells.is_empty() && batch.records.is_empty() && batch.feedback.is_empty();
        if empty {
            return Ok(Ingested::default());
        }
        let ingested = self.store.ingest(&batch, self.clock.now()).await?;
        self.recall_answers(&batch.cells);
        Ok(ingested)
    }

    /// A gateway is a name and a start of its process: two that share a name by
    /// mistake are two, and a restarted one does not speak for its past.
    fn saw(&self, gateway: (GatewayName, u64), serving: Generation) {
        let now = self.clock.now();
        let mut gateways = lock(&self.gateways);
        gateways.retain(|_, seen| now.since(seen.at) <= FORGOTTEN_AFTER);
        let seen = gateways.entry(gateway).or_insert_with(|| Seen {
            serving,
            taken_up: BTreeMap::new(),
            at: now,
        });
        seen.at = now;
        if serving != seen.serving || seen.taken_up.is_empty() {
            seen.serving = serving;
            seen.taken_up.entry(serving).or_insert(now);
            while seen.taken_up.len() > MAX_REMEMBERED {
                seen.taken_up.pop_first();
            }
            drop(gateways);
            self.events.say("gateways");
            self.heard.notify_waiters();
            self.wake();
        }
    }

    /// Gateways heard of lately.
    fn connected(&self, now: Timestamp) -> BTreeMap<(GatewayName, u64), Seen> {
        let silence = self.config.gateway_silence;
        let mut all = lock(&self.gateways).clone();
        all.retain(|_, seen| now.since(seen.at) <= silence);
        all
    }

    /// Gateways that serve this generation or a newer one, of all connected.
    pub(crate) fn gateways_at(&self, generation: Generation) -> (usize, usize) {
        let connected = self.connected(self.clock.now());
        (connected.values().filter(|s| s.serving >= generation).count(), connected.len())
    }

    /// True once every connected gateway serves what is published. With none
    /// connected, after the time in which one would have been heard of.
    pub(crate) fn gateways_settled(&self, decided: Option<Timestamp>, now: Timestamp) -> bool {
        let newest = self.newest();
        let connected = self.connected(now);
        if connected.is_empty() {
            return decided.is_none_or(|at| now.since(at) > self.config.gateway_silence);
        }
        connected.values().all(|seen| seen.serving >= newest)
    }

    /// Waits until every connected gateway serves this generation, for as long
    /// as a person should wait for an answer; says how many do, of how many.
    pub(crate) async fn wait_for_gateways(&self, generation: Generation) -> (usize, usize) {
        let all = async {
            loop {
                let heard = self.heard.notified();
                let (at, connected) = self.gateways_at(generation);
                if at == connected {
                    return;
                }
                heard.await;
            }
        };
        // Running out of time is an answer too: the numbers say who is missing.
        drop(tokio::time::timeout(PATIENCE, all).await);
        self.gateways_at(generation)
    }

    /// From a decision until the last connected gateway had taken up a snapshot
    /// that was published after it. Absent if that was not observed.
    pub(crate) fn swing_back(&self, decided: Option<Timestamp>) -> Option<Span> {
        let decided = decided?;
        let connected = self.connected(self.clock.now());
        let last = connected
            .values()
            .map(|seen| seen.taken_up.values().copied().find(|at| *at >= decided))
            .try_fold(None, |last: Option<Timestamp>, at| {
                at.map(|at| Some(last.map_or(at, |l| l.max(at))))
            })??;
        Some(last.since(decided))
    }

    /// The gateways, for people.
    ///
    /// # Errors
    /// None at present; lists may come from the store later.
    pub async fn gateways(&self, _caller: &crate::Caller) -> Result<Vec<GatewayView>, Problem> {
        let newest = self.newest();
        Ok(lock(&self.gateways)
            .iter()
            .map(|((name, _), seen)| GatewayView {
                name: name.to_string(),
                serving: seen.serving,
                newest,
                seen_at: seen.at,
            })
            .collect())
    }
}

/// A lock whose holder panicked still holds whole data here: every write is a
/// single insert.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
