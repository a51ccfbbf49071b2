//! What every request looks at, and what it may not touch.
//!
//! [`Serving`] is immutable; a request takes one `Arc` of it when it arrives.
//! Replacing it is one atomic swap; nobody waits for anybody.

use crate::config::Config;
use crate::metrics::Counters;
use crate::snapshot::Compiled;
use crate::telemetry::Sink;
use arc_swap::ArcSwap;
use connect::http::Client;
use domain::ids::{AppName, Generation, RequestId};
use domain::units::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What a gateway serves from at one moment.
#[derive(Debug, Clone, Default)]
pub struct Serving {
    /// The newest snapshot; none before the first.
    pub compiled: Option<Arc<Compiled>>,
    /// Kills thrown and released here that control has not taken up yet: they
    /// win over the snapshot.
    pub kills: Arc<BTreeMap<AppName, bool>>,
}

impl Serving {
    /// Generation of the snapshot; 0 before the first.
    pub fn generation(&self) -> Generation {
        self.compiled.as_ref().map_or(Generation(0), |c| c.generation)
    }
}

/// Everything a request may reach. No lock, no file, no link to control.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) serving: ArcSwap<Serving>,
    pub(crate) client: Client,
    pub(crate) shadow: Arc<Semaphore>,
    pub(crate) sink: Sink,
    pub(crate) counters: Arc<Counters>,
}

impl Shared {
    pub(crate) fn now(&self) -> Timestamp {
        self.config.clock.now()
    }

    /// A new request's id. Without a random source (no known system lacks one
    /// once it runs) ids come from a counter, unique in this process.
    pub(crate) fn new_id(&self) -> RequestId {
        let mut bytes = [0; 15];
        if getrandom::fill(&mut bytes).is_err() {
            let next = self.counters.requests.get().to_be_bytes();
            bytes.iter_mut().zip(next).for_each(|(b, n)| *b = n);
        }
        RequestId::from_random(bytes)
    }
}
