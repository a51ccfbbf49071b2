//! Commands and reconcilers: what people ask for, and what follows by itself.
//!
//! Map of the folder, in the order of a change's life:
//! - [`caller`]: who is asking, and may they;
//! - `apps`: what a new app starts with;
//! - [`changes`]: propose, update, decide, withdraw; `branches` and `pushes`: the
//!   git side of it;
//! - [`gates`]: compose the release and run the gates over it;
//! - [`effects`]: what git is told: merge, promote, revert (from the outbox);
//! - [`rollouts`]: the tick that looks at every rollout, and people's commands;
//! - [`experiments`]: the same for several variants at once;
//! - [`danger`]: cases that failed for users, as changes;
//! - [`evals`]: what the suites of a change measured, for people;
//! - [`preview`]: an endpoint of a change of its own, for a while;
//! - [`breakglass`]: rollback and kill; `journal`: kills thrown at a gateway;
//! - [`publish`]: from state to the snapshot gateways serve;
//! - [`telemetry`]: what gateways ship; `evidence`: what looks read of it, and
//!   [`export`]: the same for backtests; `external`: what a metrics server says;
//! - `reconcile`: the loop; `housekeeping`: what is forgotten, and when;
//! - [`sessions`]: signing in with a browser; [`sign_on`]: by a company's OpenID
//!   provider; [`refusals`]: what was refused, in the log;
//! - [`once`]: what is sent twice is done once;
//! - [`plan`]: what a rollout could detect, before it begins;
//! - `forecast`: what a release would cost on the traffic there is;
//! - [`notify`]: telling people; [`forge`]: pull requests elsewhere;
//! - [`editor`], [`inbox`], [`series`]: what pages need beside the records;
//! - [`events`]: what moved, for pages that are open;
//! - [`costs`]: what answers cost; [`kpis`] and [`marks`]: how well all of it works;
//! - [`why`], [`log`], [`listing`]: what people read; [`packages`]: what they take
//!   away as evidence.
//!
//! What must stay true:
//! - a command is acknowledged only when it is durable and audited: every
//!   write goes through one `store::Tx`;
//! - `main` of the ops repo moves only in [`effects`];
//! - every loop here is idempotent, takes no input, and wakes by timer and by
//!   signal: one code path for "just happened" and "after a crash".

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")
)]

mod apps;
mod branches;
pub mod breakglass;
mod bump;
pub mod caller;
pub mod changes;
pub mod costs;
pub mod danger;
pub mod editor;
mod effects;
pub mod evals;
pub mod events;
mod evidence;
pub mod experiments;
pub mod export;
mod external;
mod facts;
mod forecast;
pub mod forge;
pub mod gates;
mod git;
mod housekeeping;
pub mod inbox;
mod incidents;
mod init;
mod journal;
pub mod keys;
pub mod kpis;
pub mod labels;
pub mod listing;
pub mod log;
pub mod marks;
pub mod notify;
pub mod once;
pub mod packages;
pub mod people;
pub mod plan;
mod policies;
pub mod policy_list;
pub mod preview;
pub mod problem;
pub mod publish;
mod pushes;
mod reconcile;
pub mod records;
pub mod refusals;
pub mod releases;
pub mod rollouts;
pub mod scheduled;
pub mod series;
pub mod sessions;
pub mod sign_on;
pub mod telemetry;
pub mod views;
pub mod why;

use crate::keys::Keys;
use crate::problem::{Problem, ProblemKind};
use crate::publish::Published;
use crate::records::ReleaseRecord;
use connect::prometheus::Prometheus;
use domain::ids::{EnvName, GatewayName, ReleaseId};
use domain::units::{Clock, Span};
use opsrepo::Repo;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use store::Store;
use tokio::sync::{Mutex, Notify, watch};

pub use caller::Caller;
pub use connect::classifier::Keys as ClassifierKeys;
pub use init::{InitOptions, InitReport, init};

/// What an installation is told at its start.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data directory: store, git, keys.
    pub data: PathBuf,
    /// Name of the installation in its audit log, for example `tidegate.example.com`.
    pub origin: String,
    /// Where people reach it, for links.
    pub public_url: String,
    /// Where apps reach the gateway, if this process runs one.
    pub gateway_url: Option<String>,
    /// The environment whose aliases are moved.
    pub environment: EnvName,
    /// Longest time between two looks of a loop.
    pub look_every: Span,
    /// How long a gateway may be silent before it is no longer waited for.
    pub gateway_silence: Span,
    /// The clock.
    pub clock: Clock,
    /// Path of the binary that git hooks call.
    pub executable: PathBuf,
    /// Where external signals are read.
    pub prometheus: Option<Prometheus>,
    /// True for a demo: its people may be looked through the eyes of.
    pub demo: bool,
    /// Keys of classifiers and providers, by the name of their environment variable.
    pub env_keys: connect::classifier::Keys,
    /// OpenID providers people may sign in by.
    pub sign_on: Vec<Arc<sign_on::SignOn>>,
}

/// Everything `control` holds. One per process.
pub struct Control {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) repo: Arc<Repo>,
    pub(crate) keys: Keys,
    pub(crate) main: Mutex<Option<Arc<git::Main>>>,
    pub(crate) releases: Mutex<BTreeMap<ReleaseId, Arc<ReleaseRecord>>>,
    pub(crate) publishing: Mutex<()>,
    pub(crate) published: watch::Sender<Option<Arc<Published>>>,
    pub(crate) gateways: std::sync::Mutex<BTreeMap<(GatewayName, u64), telemetry::Seen>>,
    pub(crate) signing_log: Mutex<()>,
    /// One evidence package is made at a time.
    pub(crate) packing: Mutex<()>,
    /// So many tries ask models at once.
    pub(crate) trying: tokio::sync::Semaphore,
    /// A gateway took up another snapshot.
    pub(crate) heard: Notify,
    /// Wakes the loop of [`reconcile`].
    pub(crate) wake: Notify,
    /// Wakes the loop that asks paid suites.
    pub(crate) wake_payer: Notify,
    pub(crate) evidence: evidence::Kept,
    pub(crate) trials: experiments::Trials,
    pub(crate) tries: sessions::Tries,
    pub(crate) traffic: forecast::Seen,
    pub(crate) refusals: refusals::Refusals,
    /// Tells this process from those before it.
    pub(crate) run: u64,
    pub(crate) used_states: sign_on::UsedStates,
    pub(crate) events: Arc<events::Events>,
    /// Entries of the audit log before this one were looked at for people to be told.
    pub(crate) notices_seen: std::sync::atomic::AtomicU64,
    /// Rings when the forge called.
    pub(crate) bell: Notify,
    /// It rang since the last visit.
    pub(crate) rung: std::sync::atomic::AtomicBool,
    /// What the last look saw: commits of the store and head of `main`.
    pub(crate) looked_at: std::sync::Mutex<Option<(u64, opsrepo::CommitId)>>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Control({})", self.config.data.display())
    }
}

impl Control {
    /// Opens an installation that [`init`] made, and publishes its snapshot.
    ///
    /// # Errors
    /// The data directory is missing, damaged or in use.
    pub async fn open(config: Config) -> Result<Arc<Self>, Problem> {
        let store = Store::open(&config.data).await.map_err(|e| {
            Problem::new(
                ProblemKind::Failed,
                "store_unusable",
                e.to_string(),
                format!(
                    "is `{}` the data directory? make one with `tidegate init`",
                    config.data.display()
                ),
            )
        })?;
        let repo = git::open(&config)?;
        let keys = Keys::open(&config.data, &config.origin)?;
        let mut run = [0; 8];
        getrandom::fill(&mut run).map_err(|e| wrong("random numbers", &e))?;
        // Half of it: a JSON number has 53 bits that everybody reads alike.
        let run = u64::from_le_bytes(run) >> 12;
        let events = Arc::new(events::Events::new(config.clock.clone()));
        let told = Arc::clone(&events);
        store.listen(move |touched| told.note(touched));
        let control = Arc::new(Self {
            clock: config.clock.clone(),
            config,
            store,
            repo: Arc::new(repo),
            keys,
            main: Mutex::new(None),
            releases: Mutex::new(BTreeMap::new()),
            publishing: Mutex::new(()),
            published: watch::channel(None).0,
            gateways: std::sync::Mutex::new(BTreeMap::new()),
            signing_log: Mutex::new(()),
            packing: Mutex::new(()),
            trying: tokio::sync::Semaphore::new(gates::tries::MAX_AT_ONCE),
            heard: Notify::new(),
            wake: Notify::new(),
            wake_payer: Notify::new(),
            evidence: evidence::Kept::default(),
            trials: experiments::Trials::default(),
            tries: sessions::Tries::default(),
            traffic: forecast::Seen::default(),
            refusals: refusals::Refusals::default(),
            run,
            used_states: sign_on::UsedStates::default(),
            events: Arc::clone(&events),
            notices_seen: std::sync::atomic::AtomicU64::new(0),
            bell: Notify::new(),
            rung: std::sync::atomic::AtomicBool::new(false),
            looked_at: std::sync::Mutex::new(None),
        });
        control.begin_telling().await?;
        control.start_new_apps().await?;
        control.publish().await?;
        Ok(control)
    }

    /// The configuration it was opened with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The key that signs snapshots and checkpoints, for gateways and auditors.
    pub fn log_key(&self) -> String {
        self.keys.log.verifying_key().to_string()
    }

    /// Every object of a kind, page by page.
    pub(crate) async fn all<T: serde::de::DeserializeOwned>(
        &self,
        kind: store::Kind,
    ) -> Result<Vec<store::Versioned<T>>, Problem> {
        let mut all = Vec::new();
        let mut query = store::Query::of(kind).limit(store::MAX_PAGE);
        loop {
            let page = self.store.list(query.clone()).await?;
            all.extend(page.items);
            match page.next {
                Some(next) => query = query.after(Some(next)),
                None => return Ok(all),
            }
        }
    }

    /// Something changed: look now instead of at the next turn.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// A change may wait for its paid suites.
    pub(crate) fn wake_payer(&self) {
        self.wake_payer.notify_one();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.config.public_url.trim_end_matches('/'))
    }
}

/// 404 with the word for the thing.
pub(crate) fn not_found(what: &str, id: &str) -> Problem {
    Problem::new(
        ProblemKind::NotFound,
        &format!("no_such_{what}"),
        format!("there is no {what} `{id}`"),
        format!("`tidegate {what} list` shows what there is"),
    )
}

/// 500: something that should not fail did.
pub(crate) fn wrong(what: &str, error: &dyn std::fmt::Display) -> Problem {
    Problem::new(
        ProblemKind::Failed,
        "failed",
        format!("{what}: {error}"),
        "try again; if it stays, the server's log says more",
    )
}

impl From<store::StoreError> for Problem {
    fn from(error: store::StoreError) -> Self {
        wrong("the store", &error)
    }
}

impl From<store::CommitError> for Problem {
    fn from(error: store::CommitError) -> Self {
        match error {
            store::CommitError::Conflict { .. } => Problem::new(
                ProblemKind::Conflict,
                "changed_meanwhile",
                format!("somebody changed it meanwhile: {error}"),
                "look again before you act",
            ),
            other => wrong("the store", &other),
        }
    }
}
