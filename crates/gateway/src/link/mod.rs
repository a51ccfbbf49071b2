//! The one thread between a gateway and control: snapshots come in, counts and
//! kills go out. Never on the request path.
//!
//! A link may fail at any time and in any way; a gateway goes on serving what
//! it has. In one process with control the link is a function call, elsewhere
//! it is [`HttpLink`].

mod http;

pub use http::HttpLink;

use analysis::cells::Batch;
use bytes::Bytes;
use domain::ids::{Digest, Generation};
use domain::snapshot::{LocalKill, SignedSnapshot};
use std::{future::Future, pin::Pin};

/// A future on the heap: what makes [`Link`] usable behind `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why the other side did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Not reachable, or broken for now. Try again.
    #[error("control is not reachable: {0}")]
    Unreachable(String),
    /// It understood and will never take this. Do not send it again.
    #[error("control refuses this for good: {0}")]
    Rejected(String),
}

/// What a gateway asks of control.
pub trait Link: Send + Sync + 'static {
    /// Waits for a snapshot newer than `have`; gives nothing if none came for a
    /// while, which still proves that control is there.
    fn next_snapshot(
        &self,
        have: Generation,
    ) -> BoxFuture<'_, Result<Option<SignedSnapshot>, LinkError>>;

    /// The bytes of a blob. The gateway checks the digest.
    fn blob(&self, digest: Digest) -> BoxFuture<'_, Result<Bytes, LinkError>>;

    /// Delivers counts. Durable when it returns `Ok`; the same batch may come again.
    fn ship<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<(), LinkError>>;

    /// Delivers kills thrown at the gateway, oldest first. Durable when it
    /// returns `Ok`, with the generation from which on every snapshot takes
    /// them into account; until then the gateway's own word stands. The same
    /// entries may come again.
    fn journal<'a>(
        &'a self,
        entries: &'a [LocalKill],
    ) -> BoxFuture<'a, Result<Generation, LinkError>>;
}
