//! What a metrics server said, one row per question: read again by every look,
//! so that a restart, a second controller or a replay says the same.

use super::rollout_column;
use crate::{Store, StoreError};
use domain::external::ExternalSample;
use domain::ids::RolloutId;
use domain::units::Timestamp;

/// Most samples of one signal that a look reads: the newest.
pub const MAX_EXTERNAL_SAMPLES: u32 = 1_000;

impl Store {
    /// Keeps a sample. One signal is asked once a moment: a second sample of the
    /// same moment is the same question again, and the first answer stands.
    ///
    /// # Errors
    /// The store's.
    pub async fn add_external(
        &self,
        rollout: RolloutId,
        sample: &ExternalSample,
    ) -> Result<(), StoreError> {
        let json = serde_json::to_string(sample)
            .map_err(|e| StoreError::not_json("external sample", &e))?;
        let mut writing = self.telemetry.write().await?;
        sqlx::query(
            "INSERT INTO external (rollout, signal, at, sample) VALUES (?, ?, ?, ?)
             ON CONFLICT (rollout, signal, at) DO NOTHING",
        )
        .bind(rollout_column(Some(rollout))?)
        .bind(&sample.signal)
        .bind(sample.at.0)
        .bind(json)
        .execute(writing.connection())
        .await?;
        writing.commit().await
    }

    /// The newest samples of a signal until this moment, at most
    /// [`MAX_EXTERNAL_SAMPLES`], in order of time.
    ///
    /// # Errors
    /// The store's.
    pub async fn external(
        &self,
        rollout: RolloutId,
        signal: &str,
        until: Timestamp,
    ) -> Result<Vec<ExternalSample>, StoreError> {
        let texts: Vec<String> = sqlx::query_scalar(
            "SELECT sample FROM external WHERE rollout = ? AND signal = ? AND at <= ?
             ORDER BY at DESC LIMIT ?",
        )
        .bind(rollout_column(Some(rollout))?)
        .bind(signal)
        .bind(until.0)
        .bind(i64::from(MAX_EXTERNAL_SAMPLES))
        .fetch_all(self.telemetry.readers())
        .await?;
        texts
            .iter()
            .rev()
            .map(|text| {
                serde_json::from_str(text).map_err(|e| StoreError::not_json("external sample", &e))
            })
            .collect()
    }

    /// Forgets samples from before this moment; says how many went.
    ///
    /// # Errors
    /// The store's.
    pub async fn prune_external(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut writing = self.telemetry.write().await?;
        let gone = sqlx::query("DELETE FROM external WHERE at < ?")
            .bind(before.0)
            .execute(writing.connection())
            .await?
            .rows_affected();
        writing.commit().await?;
        Ok(gone)
    }
}
