//! Follows control: waits for the next snapshot and takes it up.

use super::{Compiled, Disk};
use crate::journal::Journal;
use crate::link::{Link, LinkError};
use crate::state::{Serving, Shared};
use bytes::Bytes;
use domain::ids::{Digest, Generation};
use domain::snapshot::{BadSnapshot, SignedSnapshot, Snapshot};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// First pause after a failure; doubles with each up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Why a snapshot is not used.
#[derive(Debug, thiserror::Error)]
enum NotUsed {
    #[error(transparent)]
    Bad(#[from] BadSnapshot),
    #[error("generation {given} is not newer than {have}, which is served")]
    Older { given: Generation, have: Generation },
    #[error("blob `{0}` came with other bytes than its digest says")]
    WrongBlob(Digest),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("the work was interrupted: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// Takes up the snapshot on disk, if there is a good one.
pub(crate) async fn cold_start(shared: &Arc<Shared>, disk: &Disk, journal: &Journal) {
    let from = disk.clone();
    let kept = tokio::task::spawn_blocking(move || from.snapshot()).await;
    let signed = match kept {
        Ok(Ok(Some(signed))) => signed,
        Ok(Ok(None)) => return,
        Ok(Err(error)) => {
            return tracing::warn!(%error, "the snapshot on disk cannot be read; waiting for control");
        }
        Err(error) => {
            return tracing::warn!(%error, "the snapshot on disk was not read; waiting for control");
        }
    };
    let opened = match signed.open(&shared.config.trusted) {
        Ok(snapshot) => snapshot,
        Err(error) => {
            shared.counters.snapshots_rejected.add(1);
            return tracing::warn!(%error, "the snapshot on disk is not used; waiting for control");
        }
    };
    let generation = opened.generation;
    match compile(shared, disk, opened, HashMap::new()).await {
        Ok(compiled) => {
            swap(shared, compiled, journal).await;
            tracing::info!(%generation, "serving the snapshot on disk");
        }
        Err(error) => {
            tracing::warn!(%error, "the snapshot on disk is not used; waiting for control")
        }
    }
}

/// Follows control for ever; `applied` is told after each new snapshot.
pub(crate) async fn follow(
    shared: Arc<Shared>,
    link: Arc<dyn Link>,
    disk: Disk,
    journal: Arc<Journal>,
    applied: Arc<Notify>,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        let have = shared.serving.load().generation();
        let asked = Instant::now();
        let outcome = match link.next_snapshot(have).await {
            Ok(None) => Ok(()),
            Ok(Some(signed)) => {
                take_up(&shared, link.as_ref(), &disk, &journal, signed).await.map(|generation| {
                    tracing::info!(%generation, "serving a new snapshot");
                    applied.notify_one();
                })
            }
            Err(error) => Err(NotUsed::Link(error)),
        };
        shared
            .counters
            .control_up
            .set(!matches!(outcome, Err(NotUsed::Link(LinkError::Unreachable(_)))));
        match outcome {
            Ok(()) => {
                pause = FIRST_PAUSE;
                // A control that answers "nothing" at once instead of waiting
                // must not be asked in a tight loop.
                if shared.serving.load().generation() == have {
                    tokio::time::sleep_until(asked + FIRST_PAUSE).await;
                }
            }
            Err(error) => {
                if !matches!(error, NotUsed::Link(_)) {
                    shared.counters.snapshots_rejected.add(1);
                }
                tracing::warn!(%error, serving = %have, "no new snapshot");
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2).min(MAX_PAUSE);
            }
        }
    }
}

async fn take_up(
    shared: &Arc<Shared>,
    link: &dyn Link,
    disk: &Disk,
    journal: &Journal,
    signed: SignedSnapshot,
) -> Result<Generation, NotUsed> {
    let snapshot = signed.open(&shared.config.trusted)?;
    let (given, have) = (snapshot.generation, shared.serving.load().generation());
    if given <= have {
        return Err(NotUsed::Older { given, have });
    }
    let fetched = fetch(link, disk, &snapshot).await?;
    let needed = snapshot.blobs.clone();
    let compiled = compile(shared, disk, snapshot, fetched.clone()).await?;
    let to = disk.clone();
    let kept = tokio::task::spawn_blocking(move || {
        for (digest, bytes) in &fetched {
            to.keep_blob(digest, bytes)?;
        }
        to.keep_snapshot(&signed)?;
        to.forget_blobs_except(&needed);
        Ok::<_, super::DiskError>(())
    });
    if let Err(error) = kept.await? {
        tracing::error!(%error, "the new snapshot is served but not kept; a restart without control goes back");
    }
    swap(shared, compiled, journal).await;
    Ok(given)
}

/// The blobs that are not on disk yet.
async fn fetch(
    link: &dyn Link,
    disk: &Disk,
    snapshot: &Snapshot,
) -> Result<HashMap<Digest, Bytes>, NotUsed> {
    let (on_disk, named) = (disk.clone(), snapshot.blobs.clone());
    let missing = tokio::task::spawn_blocking(move || {
        named.into_iter().filter(|digest| on_disk.blob(digest).is_none()).collect::<Vec<_>>()
    })
    .await?;
    let mut fetched = HashMap::new();
    for digest in missing {
        let bytes = link.blob(digest).await?;
        if Digest::of(&bytes) != digest {
            return Err(NotUsed::WrongBlob(digest));
        }
        fetched.insert(digest, bytes);
    }
    Ok(fetched)
}

async fn compile(
    shared: &Arc<Shared>,
    disk: &Disk,
    snapshot: Snapshot,
    fetched: HashMap<Digest, Bytes>,
) -> Result<Compiled, NotUsed> {
    let (last, disk, secrets) =
        (shared.serving.load_full(), disk.clone(), shared.config.secrets.clone());
    let work = move || {
        let blob = |digest: &Digest| fetched.get(digest).cloned().or_else(|| disk.blob(digest));
        Compiled::new(snapshot, last.compiled.as_deref(), &blob, &|name| secrets.find(name))
    };
    Ok(tokio::task::spawn_blocking(work).await?)
}

async fn swap(shared: &Shared, compiled: Compiled, journal: &Journal) {
    let compiled = Arc::new(compiled);
    journal
        .update(
            |rows| rows.settle(compiled.generation),
            |kills| {
                shared.serving.store(Arc::new(Serving { compiled: Some(compiled.clone()), kills }));
            },
        )
        .await;
}
