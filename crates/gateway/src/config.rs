//! What a gateway is told when it starts. Parsed once, in the binary.

use domain::ids::GatewayName;
use domain::keys::PublicKey;
use domain::units::{Clock, Share};
use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

/// Largest request body accepted, in bytes, unless configured otherwise.
pub const DEFAULT_BODY_LIMIT: usize = 8 << 20;
/// Mirrored requests under way at once; more are shed.
pub const DEFAULT_SHADOW_SLOTS: usize = 64;
/// Answers waiting to be counted; more are dropped, and the drop is counted.
pub const DEFAULT_EVENT_QUEUE: usize = 8192;
/// How often counts are shipped.
pub const DEFAULT_SHIP_EVERY: Duration = Duration::from_millis(250);
/// How often a gateway with nothing to ship says that it is there.
pub const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(5);
/// How long a stopping gateway waits for answers under way.
pub const DEFAULT_DRAIN: Duration = Duration::from_secs(10);

type Find = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Where the keys of providers come from: name of an environment variable → value.
#[derive(Clone)]
pub struct Secrets(Arc<Find>);

impl Secrets {
    /// Asks this function.
    pub fn new(find: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(find))
    }

    /// None at all.
    pub fn none() -> Self {
        Self::new(|_| None)
    }

    /// The secret of this name.
    pub fn find(&self, name: &str) -> Option<String> {
        (self.0)(name)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

/// The configuration of one gateway.
#[derive(Clone)]
pub struct Config {
    /// Unique in the installation.
    pub name: GatewayName,
    /// Folder for the last snapshot and the kill journal; made if missing.
    pub dir: PathBuf,
    /// Snapshots must be signed by this key.
    pub trusted: PublicKey,
    /// Key of the hashes that stand for subjects, tenants and inputs in
    /// telemetry. The same for every gateway of an installation, or evidence
    /// about one subject is counted as evidence about several.
    pub hash_key: [u8; 32],
    /// What time it is.
    pub clock: Clock,
    /// Keys of providers.
    pub secrets: Secrets,
    /// Largest request body, in bytes.
    pub body_limit: usize,
    /// Mirrored requests under way at once.
    pub shadow_slots: usize,
    /// Answers waiting to be counted.
    pub event_queue: usize,
    /// Share of answers whose redacted prompt and answer are kept; those that
    /// failed always are.
    pub bodies: Share,
    /// How often counts are shipped.
    pub ship_every: Duration,
    /// How often a gateway with nothing to ship says that it is there.
    pub heartbeat: Duration,
    /// How long a stopping gateway waits for answers under way.
    pub drain: Duration,
}

impl Config {
    /// A configuration with the defaults.
    pub fn new(
        name: GatewayName,
        dir: PathBuf,
        trusted: PublicKey,
        hash_key: [u8; 32],
        clock: Clock,
    ) -> Self {
        Self {
            name,
            dir,
            trusted,
            hash_key,
            clock,
            secrets: Secrets::none(),
            body_limit: DEFAULT_BODY_LIMIT,
            shadow_slots: DEFAULT_SHADOW_SLOTS,
            event_queue: DEFAULT_EVENT_QUEUE,
            bodies: Share::ALL,
            ship_every: DEFAULT_SHIP_EVERY,
            heartbeat: DEFAULT_HEARTBEAT,
            drain: DEFAULT_DRAIN,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("name", &self.name)
            .field("dir", &self.dir)
            .field("trusted", &self.trusted)
            .finish_non_exhaustive()
    }
}
