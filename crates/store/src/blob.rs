//! Bytes by their digest: recordings, manifests, evidence.

use crate::{Store, StoreError};
use domain::ids::Digest;
use sqlx::SqliteConnection;

pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    digest: &Digest,
    bytes: &[u8],
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO blobs (digest, bytes) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING")
        .bind(digest.to_string())
        .bind(bytes)
        .execute(connection)
        .await?;
    Ok(())
}

impl Store {
    /// Keeps these bytes; the same bytes again change nothing.
    ///
    /// # Errors
    /// The store's.
    pub async fn put_blob(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        if self.has_blob(&digest).await? {
            return Ok(digest);
        }
        let mut writing = self.state.write().await?;
        insert(writing.connection(), &digest, bytes).await?;
        writing.commit().await?;
        Ok(digest)
    }

    /// The bytes with this digest, checked against it.
    ///
    /// # Errors
    /// The store's; [`StoreError::Corrupt`] if they have another digest.
    pub async fn get_blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let bytes: Option<Vec<u8>> = sqlx::query_scalar("SELECT bytes FROM blobs WHERE digest = ?")
            .bind(digest.to_string())
            .fetch_optional(self.state.readers())
            .await?;
        match bytes {
            Some(bytes) if Digest::of(&bytes) != *digest => {
                Err(StoreError::Corrupt(format!("the blob {digest} has other content")))
            }
            other => Ok(other),
        }
    }

    /// True if the bytes with this digest are kept.
    ///
    /// # Errors
    /// The store's.
    pub async fn has_blob(&self, digest: &Digest) -> Result<bool, StoreError> {
        let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM blobs WHERE digest = ?")
            .bind(digest.to_string())
            .fetch_optional(self.state.readers())
            .await?;
        Ok(found.is_some())
    }
}
