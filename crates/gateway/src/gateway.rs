//! A gateway: its state, and the tasks beside the request path.

use crate::config::Config;
use crate::journal::Journal;
use crate::link::Link;
use crate::metrics::Counters;
use crate::server::{self, Routes};
use crate::snapshot::{Disk, DiskError, cold_start, follow};
use crate::state::{Serving, Shared};
use crate::telemetry::{self, Shipper, Telemetry};
use arc_swap::ArcSwap;
use connect::http::Client;
use domain::ids::Generation;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;

/// Longest wait of a stopping gateway for control to take the last counts.
const LAST_SHIPMENT: Duration = Duration::from_secs(5);

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its folder.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// No randomness: its batches could not be told from those of its last start.
    #[error("the system gives no random numbers: {0}")]
    NoRandomness(getrandom::Error),
    /// The runtime is going down.
    #[error("starting was interrupted")]
    Interrupted,
}

/// A running gateway. Dropping it ends its tasks; counts not shipped are lost,
/// which [`Gateway::serve`] avoids.
pub struct Gateway {
    routes: Routes,
    stopping: watch::Sender<bool>,
    shipping: Option<JoinHandle<()>>,
    tasks: Vec<JoinHandle<()>>,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("config", &self.routes.shared.config)
            .finish_non_exhaustive()
    }
}

impl Gateway {
    /// Starts a gateway: takes up the snapshot on its disk, if there is a good
    /// one, and follows control from then on. Control may be down.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: Config, link: Arc<dyn Link>) -> Result<Self, StartError> {
        let dir = config.dir.clone();
        let disk = tokio::task::spawn_blocking(move || Disk::open(&dir))
            .await
            .map_err(|_| StartError::Interrupted)??;
        let epoch = getrandom::u64().map_err(StartError::NoRandomness)?;
        let counters = Arc::new(Counters::default());
        let (sink, received) = telemetry::queue(&config, &counters);
        let telemetry = Arc::new(Telemetry::new());
        let folding = telemetry::fold(config.clone(), telemetry.clone(), sink.clone(), received);
        let shared = Arc::new(Shared {
            serving: ArcSwap::from_pointee(Serving::default()),
            client: Client::new(),
            shadow: Arc::new(Semaphore::new(config.shadow_slots)),
            sink,
            counters,
            config,
        });
        let journal = Arc::new(Journal::open(disk.clone()).await);
        cold_start(&shared, &disk, &journal).await;
        let applied = Arc::new(Notify::new());
        let (stopping, stop) = watch::channel(false);
        let shipper = Shipper {
            shared: shared.clone(),
            telemetry: telemetry.clone(),
            link: link.clone(),
            applied: applied.clone(),
            stopping: stop,
            epoch,
        };
        let delivering = {
            let (journal, shared, link) = (journal.clone(), shared.clone(), link.clone());
            async move { journal.deliver(shared, link).await }
        };
        let tasks = vec![
            tokio::spawn(folding),
            tokio::spawn(delivering),
            tokio::spawn(follow(shared.clone(), link, disk, journal.clone(), applied)),
        ];
        let shipping = Some(tokio::spawn(telemetry::ship(shipper)));
        Ok(Self { routes: Routes { shared, telemetry, journal }, stopping, shipping, tasks })
    }

    /// Serves until `shutdown`; then finishes the answers under way and ships
    /// the last counts.
    pub async fn serve(mut self, listener: TcpListener, shutdown: impl Future<Output = ()> + Send) {
        server::serve(listener, self.routes.clone(), shutdown).await;
        self.routes.shared.sink.flush().await;
        self.stopping.send_replace(true);
        if let Some(shipping) = self.shipping.take()
            && tokio::time::timeout(LAST_SHIPMENT, shipping).await.is_err()
        {
            tracing::warn!("the last counts were not delivered within {LAST_SHIPMENT:?}");
        }
    }

    /// The generation served; 0 before the first snapshot.
    pub fn generation(&self) -> Generation {
        self.routes.shared.serving.load().generation()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        for task in self.tasks.iter().chain(&self.shipping) {
            task.abort();
        }
    }
}
