//! Where a log is read from: a server's `/log/`, or a data directory.

use crate::cli::client::Api;
use crate::cli::failure::{Exit, Failure};
use domain::merkle::{Tile, TileKind};
use std::path::Path;
use store::Store;

/// A log, as published files.
pub enum Source {
    /// Over HTTP, as any auditor's tool would read it.
    Server(Box<Api>),
    /// From the store of an installation, running or not.
    Directory(Box<Store>),
}

impl Source {
    /// The store below a data directory, and the installation's own key.
    pub async fn directory(dir: &Path) -> Result<(Self, String), Failure> {
        let installation = crate::serve::installation::Installation::load(dir)?;
        let store = Store::open(dir).await.map_err(|e| {
            Failure::new(Exit::Failed, format!("cannot open the store of `{}`", dir.display()))
                .why(e.to_string())
        })?;
        let keys = control::keys::Keys::open(dir, &installation.origin)
            .map_err(|p| Failure::new(Exit::of(p.kind), p.detail).fix(p.hint))?;
        Ok((Self::Directory(Box::new(store)), keys.log.verifying_key().to_string()))
    }

    /// The newest signed checkpoint.
    pub async fn checkpoint(&self) -> Result<String, Failure> {
        match self {
            Self::Server(api) => {
                Ok(String::from_utf8_lossy(&api.bytes("/log/checkpoint").await?).into_owned())
            }
            Self::Directory(store) => Ok(store
                .checkpoint()
                .await
                .map_err(|e| unreadable("checkpoint", &e))?
                .ok_or_else(|| {
                    Failure::new(Exit::NotVerified, "the log has no signed checkpoint").fix(
                        "the server signs it when it starts; start it once with `tidegate serve`",
                    )
                })?
                .note),
        }
    }

    /// The length of the log, where the source knows more than the checkpoint.
    pub async fn length(&self, signed: u64) -> Result<u64, Failure> {
        match self {
            Self::Server(_) => Ok(signed),
            Self::Directory(store) => store.log_size().await.map_err(|e| unreadable("size", &e)),
        }
    }

    /// Done with it: leaves the files of a data directory tidy.
    pub async fn close(&self) {
        if let Self::Directory(store) = self
            && let Err(error) = store.close().await
        {
            tracing::debug!(%error, "the store was not closed tidily");
        }
    }

    /// One published file.
    pub async fn tile(&self, tile: &Tile) -> Result<Vec<u8>, Failure> {
        let read = match (self, tile.kind) {
            (Self::Server(api), _) => {
                return Ok(api.bytes(&format!("/log/{tile}")).await?.to_vec());
            }
            (Self::Directory(store), TileKind::Entries) => {
                store.log_bundle(tile.index, tile.width).await
            }
            (Self::Directory(store), TileKind::Hashes { level }) => {
                store.log_tile(level, tile.index, tile.width).await
            }
        };
        read.map_err(|e| unreadable(&tile.to_string(), &e))?
            .ok_or_else(|| Failure::new(Exit::NotVerified, format!("the log lacks `{tile}`")))
    }
}

/// A log that cannot be read is not a log that verified.
fn unreadable(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::NotVerified, format!("the log's `{what}` cannot be read"))
        .why(error.to_string())
}
