//! What was counted since the last batch, bounded.

use analysis::cells::{Batch, Cells};
use domain::ids::{GatewayName, Generation};
use domain::telemetry::{Feedback, RequestRecord};
use domain::units::Timestamp;
use std::collections::VecDeque;

/// Most records in one batch.
pub(super) const BATCH_RECORDS: usize = 500;
/// Most bytes of texts in one batch.
const BATCH_BYTES: usize = 4 << 20;
/// Records waiting above this lose their texts.
const MAX_WITH_TEXTS: usize = 4_000;
/// Records waiting above this are not kept; their cells are.
const MAX_RECORDS: usize = 20_000;
/// Pieces of feedback waiting; more push out the oldest, counted.
const MAX_FEEDBACK: usize = 20_000;

/// Cells, records and feedback waiting to be shipped.
#[derive(Default)]
pub(crate) struct Fold {
    cells: Cells,
    records: VecDeque<RequestRecord>,
    feedback: VecDeque<(Timestamp, Feedback)>,
    lost: u64,
}

impl Fold {
    pub(super) fn add(&mut self, mut record: RequestRecord) {
        self.cells.add(&record);
        if self.records.len() >= MAX_WITH_TEXTS {
            record.prompt = None;
            record.answer = None;
        }
        if self.records.len() < MAX_RECORDS {
            self.records.push_back(record);
        }
    }

    pub(super) fn feedback(&mut self, at: Timestamp, feedback: Feedback) {
        if self.feedback.len() >= MAX_FEEDBACK {
            self.feedback.pop_front();
            self.lost = self.lost.saturating_add(1);
        }
        self.feedback.push_back((at, feedback));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cells.is_empty() && self.records.is_empty() && self.feedback.is_empty()
    }

    /// True if a batch would leave some for another.
    pub(super) fn more_than_a_batch(&self) -> bool {
        self.records.len() > BATCH_RECORDS || self.feedback.len() > BATCH_RECORDS
    }

    /// Takes out the next batch: all cells, and as many records as fit.
    pub(super) fn batch(&mut self, head: Head, dropped: u64) -> Batch {
        let mut bytes = 0_usize;
        let fits = |record: &&RequestRecord| {
            let texts = [&record.prompt, &record.answer];
            bytes = bytes.saturating_add(texts.into_iter().flatten().map(String::len).sum());
            bytes <= BATCH_BYTES
        };
        // At least one, or a single large one would wait for ever.
        let n = self.records.iter().take(BATCH_RECORDS).take_while(fits).count().max(1);
        let n = n.min(self.records.len());
        Batch {
            gateway: head.gateway,
            epoch: head.epoch,
            seq: head.seq,
            serving: head.serving,
            cells: self.cells.take(),
            records: self.records.drain(..n).collect(),
            feedback: self.feedback.drain(..self.feedback.len().min(BATCH_RECORDS)).collect(),
            dropped: dropped.saturating_add(std::mem::take(&mut self.lost)),
        }
    }
}

/// What names a batch.
pub(super) struct Head {
    pub(super) gateway: GatewayName,
    pub(super) epoch: u64,
    pub(super) seq: u64,
    pub(super) serving: Generation,
}
