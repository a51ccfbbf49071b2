//! Taking in a batch: at least once delivered, exactly once counted.

use super::outcomes::Intake;
use super::{cells, feedback, requests, spend};
use crate::{Store, StoreError};
use analysis::Batch;
use domain::units::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;

/// What became of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ingested {
    /// It was taken in before; nothing was counted.
    pub duplicate: bool,
    /// Batches of this epoch between the one before and this one that never
    /// came.
    pub missed: u64,
    /// Cells written, those of feedback included.
    pub cells: u64,
    /// Records that were new.
    pub records: u64,
    /// Feedback counted, what had been waiting included.
    pub feedback_counted: u64,
    /// Feedback that said something already said: kept out of the counts.
    pub feedback_repeated: u64,
    /// Feedback that now waits for its record.
    pub feedback_waiting: u64,
    /// Feedback given up: its record never came, or it is unusable.
    pub feedback_unknown: u64,
    /// Outcomes left out of the tests because more came than they need.
    pub outcomes_thinned: u64,
}

impl Store {
    /// Takes in a batch. When this returns `Ok`, the gateway may forget it.
    ///
    /// # Errors
    /// The store's; nothing of the batch was counted then.
    pub async fn ingest(&self, batch: &Batch, now: Timestamp) -> Result<Ingested, StoreError> {
        let mut writing = self.telemetry.write().await?;
        let done = take_in(writing.connection(), batch, now).await?;
        if done.duplicate {
            writing.roll_back().await?;
        } else {
            writing.commit().await?;
        }
        Ok(done)
    }
}

async fn take_in(
    connection: &mut SqliteConnection,
    batch: &Batch,
    now: Timestamp,
) -> Result<Ingested, StoreError> {
    let before = shipped(connection, batch).await?;
    if before.is_some_and(|seq| seq >= batch.seq) {
        return Ok(Ingested { duplicate: true, ..Ingested::default() });
    }
    let mut done =
        Ingested { missed: before.map_or(0, |seq| batch.seq - seq - 1), ..Ingested::default() };
    let mut counted = feedback::Counted {
        cells: batch.cells.iter().cloned().collect(),
        outcomes: Intake::new(now),
    };
    for record in &batch.records {
        let new = requests::insert(connection, record).await?;
        done.records += new;
        if new > 0 {
            counted.outcomes.answer(connection, record).await?;
            spend::count_preview(connection, record).await?;
        }
    }
    feedback::retry(connection, now, &mut counted, &mut done).await?;
    for (at, feedback) in &batch.feedback {
        feedback::take_in(connection, *at, feedback, now, &mut counted, &mut done).await?;
    }
    let feedback::Counted { cells: counted, outcomes } = counted;
    done.outcomes_thinned = outcomes.close(connection).await?;
    for (key, cell) in counted.iter() {
        cells::merge(connection, key, cell).await?;
        spend::count(connection, key, cell).await?;
        done.cells += 1;
    }
    ship(connection, batch, now).await?;
    Ok(done)
}

async fn shipped(
    connection: &mut SqliteConnection,
    batch: &Batch,
) -> Result<Option<u64>, StoreError> {
    let seq: Option<String> =
        sqlx::query_scalar("SELECT seq FROM shipped WHERE gateway = ? AND epoch = ?")
            .bind(batch.gateway.as_str())
            .bind(batch.epoch.to_string())
            .fetch_optional(connection)
            .await?;
    seq.map(|text| text.parse().map_err(|e| StoreError::unreadable("number of a batch", e)))
        .transpose()
}

/// Numbers are text because they use all 64 bits and SQLite has only 63.
async fn ship(
    connection: &mut SqliteConnection,
    batch: &Batch,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO shipped (gateway, epoch, seq, at) VALUES (?, ?, ?, ?)
         ON CONFLICT (gateway, epoch) DO UPDATE SET seq = excluded.seq, at = excluded.at",
    )
    .bind(batch.gateway.as_str())
    .bind(batch.epoch.to_string())
    .bind(batch.seq.to_string())
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}
