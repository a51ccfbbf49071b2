//! Roots and proofs of every size the log has had.

use super::append::{edge, hashes, missing};
use crate::{LogError, Store};
use domain::merkle::{self, Hash, NotProvable};

impl Store {
    /// The root of the log when it had this size.
    ///
    /// # Errors
    /// [`LogError::NotThatLong`], or the store's.
    pub async fn log_root(&self, size: u64) -> Result<Hash, LogError> {
        self.reached(size).await?;
        Ok(edge(self.state.readers(), size).await?.root())
    }

    /// The proof that entry `index` is in the log of `size`, from leaf to root.
    ///
    /// # Errors
    /// [`LogError::NotThatLong`], [`LogError::NotProvable`], or the store's.
    pub async fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash>, LogError> {
        self.reached(size).await?;
        let found = hashes(self.state.readers(), &merkle::inclusion_nodes(index, size)?).await?;
        merkle::inclusion_proof(index, size, |node| {
            found.get(&node).copied().ok_or_else(|| LogError::Store(missing()))
        })
    }

    /// The proof that the log of `old` is the beginning of the log of `new`.
    ///
    /// # Errors
    /// [`LogError::NotThatLong`], [`LogError::NotProvable`], or the store's.
    pub async fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, LogError> {
        if old > new {
            return Err(NotProvable::Shrunk { old, new }.into());
        }
        self.reached(new).await?;
        let found = hashes(self.state.readers(), &merkle::consistency_nodes(old, new)?).await?;
        merkle::consistency_proof(old, new, |node| {
            found.get(&node).copied().ok_or_else(|| LogError::Store(missing()))
        })
    }

    async fn reached(&self, size: u64) -> Result<(), LogError> {
        let have = self.log_size().await?;
        if size > have { Err(LogError::NotThatLong { size, have }) } else { Ok(()) }
    }
}
