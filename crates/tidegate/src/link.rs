//! The link between a gateway and a control in the same process: function
//! calls, with the same promises as over HTTP.

use analysis::cells::Batch;
use bytes::Bytes;
use control::Control;
use control::problem::{Problem, ProblemKind};
use domain::ids::{Digest, Generation};
use domain::snapshot::{LocalKill, SignedSnapshot};
use gateway::{BoxFuture, Link, LinkError};
use std::sync::Arc;
use std::time::Duration;

/// How long a wait for a newer snapshot lasts before the gateway is told that
/// there is none.
const HOLD: Duration = Duration::from_secs(25);

/// A link by function calls.
#[derive(Debug)]
pub struct LocalLink(Arc<Control>);

impl LocalLink {
    /// A link to this control.
    pub fn new(control: Arc<Control>) -> Self {
        Self(control)
    }
}

/// What is wrong with a batch stays wrong; everything else may pass.
fn refused(problem: Problem) -> LinkError {
    match problem.kind {
        ProblemKind::Invalid => LinkError::Rejected(problem.detail),
        _ => LinkError::Unreachable(problem.detail),
    }
}

impl Link for LocalLink {
    fn next_snapshot(
        &self,
        have: Generation,
    ) -> BoxFuture<'_, Result<Option<SignedSnapshot>, LinkError>> {
        Box::pin(async move {
            Ok(self.0.snapshot_after(have, HOLD).await.map(|published| published.signed.clone()))
        })
    }

    fn blob(&self, digest: Digest) -> BoxFuture<'_, Result<Bytes, LinkError>> {
        Box::pin(async move {
            self.0
                .blob(&digest)
                .await
                .map_err(refused)?
                .map(Bytes::from)
                .ok_or_else(|| LinkError::Unreachable(format!("there is no blob `{digest}`")))
        })
    }

    fn ship<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<(), LinkError>> {
        Box::pin(async move { self.0.ingest(batch.clone()).await.map(|_| ()).map_err(refused) })
    }

    fn journal<'a>(
        &'a self,
        entries: &'a [LocalKill],
    ) -> BoxFuture<'a, Result<Generation, LinkError>> {
        Box::pin(async move { self.0.journal(entries).await.map_err(refused) })
    }
}
