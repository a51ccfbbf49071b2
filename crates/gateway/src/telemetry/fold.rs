//! What was counted since the last batch, bounded.

use analysis::cells::{Batch, Cells};
use domain::ids::{GatewayName, Generation};
use domain::routing::Arm;
use domain::telemetry::{Feedback, RequestRecord};
use domain::units::Timestamp;
use std::collections::VecDeque;

/// Most records in one batch.
pub(super) const BATCH_RECORDS: usize = 500;
/// Most bytes of texts in one batch.
const BATCH_BYTES: usize = 4 << 20;
/// Records waiting above this lose their texts.
const MAX_WITH_TEXTS: usize = 4_000;
/// Records waiting above this are not kept, whichever arm they are of; their
/// cells are. Tests see single answers, so this is counted as lost.
const MAX_RECORDS: usize = 20_000;
/// Seconds whose cells are kept while nothing can be delivered. With a handful of
/// arms a second this bounds memory at some tens of megabytes; older ones are
/// given up, counted.
const MAX_SECONDS: i64 = 3_600;
/// Pieces of feedback waiting; more push out the oldest, counted.
const MAX_FEEDBACK: usize = 20_000;

/// Cells, records and feedback waiting to be shipped.
#[derive(Default)]
pub(crate) struct Fold {
    cells: Cells,
    records: VecDeque<RequestRecord>,
    feedback: VecDeque<(Timestamp, Feedback)>,
    /// The second of the first cell since the last batch.
    since: Option<i64>,
    lost: u64,
}

impl Fold {
    pub(super) fn add(&mut self, mut record: RequestRecord) {
        let second = record.at.second();
        if second.saturating_sub(*self.since.get_or_insert(second)) > MAX_SECONDS {
            let given_up = self.cells.take();
            let answers = given_up.iter().flat_map(|(_, cell)| cell.status.values());
            self.lost = answers.fold(self.lost, |sum, n| sum.saturating_add(*n));
            self.since = Some(second);
        }
        // A preview is no part of what the app's users got.
        if record.arm != Arm::Preview {
            self.cells.add(&record);
        }
        if self.records.len() >= MAX_WITH_TEXTS {
            record.prompt = None;
            record.answer = None;
        }
        if self.records.len() < MAX_RECORDS {
            self.records.push_back(record);
        } else {
            self.lost = self.lost.saturating_add(1);
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

    #[cfg(test)]
    pub(super) fn records(&self) -> usize {
        self.records.len()
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
        self.since = None;
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

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::{Digest, ReleaseId, RequestId};
    use domain::telemetry::AnswerStatus;
    use domain::units::Share;

    fn record(at: i64, text: usize) -> RequestRecord {
        RequestRecord {
            id: RequestId::from_random([1; 15]),
            at: Timestamp(at),
            gateway: "gw".parse().unwrap(),
            app: "app".parse().unwrap(),
            release: ReleaseId(Digest::of(b"r")),
            arm: Arm::Stable,
            rollout: None,
            step: 0,
            share: Share::NONE,
            drawn: None,
            generation: Generation(1),
            bucket: 0,
            subject: String::new(),
            tenant: None,
            input: Digest::of(b"i"),
            status: AnswerStatus::Ok,
            error: None,
            fallback: "none".to_owned(),
            streamed: false,
            latency_us: 0,
            ttft_us: 0,
            retries: 0,
            prompt_tokens: 0,
            completion_tokens: 0,
            cost_nano_usd: 0,
            schema_failed: None,
            served_model: None,
            prompt: Some("x".repeat(text)),
            answer: None,
            preview: None,
        }
    }

    fn head() -> Head {
        Head { gateway: "gw".parse().unwrap(), epoch: 1, seq: 1, serving: Generation(1) }
    }

    fn counted(batch: &Batch) -> u64 {
        batch.cells.iter().map(|(_, cell)| cell.n).sum()
    }

    #[test]
    fn a_flood_keeps_every_count_then_records_then_texts() {
        let mut fold = Fold::default();
        for at in 0..25_000 {
            fold.add(record(at / 100, 10));
        }
        let first = fold.batch(head(), 7);
        assert_eq!(
            (counted(&first), first.records.len(), first.dropped),
            (25_000, BATCH_RECORDS, 7 + 5_000),
            "what no test will see is counted"
        );
        let (mut records, mut texts) = (first.records, 0);
        while fold.more_than_a_batch() || !fold.is_empty() {
            let next = fold.batch(head(), 0);
            assert_eq!(counted(&next), 0, "cells travel once");
            records.extend(next.records);
        }
        texts += records.iter().filter(|r| r.prompt.is_some()).count();
        assert_eq!((records.len(), texts), (MAX_RECORDS, MAX_WITH_TEXTS));
    }

    #[test]
    fn a_batch_is_bounded_in_bytes_and_never_stuck() {
        let mut fold = Fold::default();
        for _ in 0..3 {
            fold.add(record(0, BATCH_BYTES / 2 + 1));
        }
        fold.add(record(0, BATCH_BYTES + 1));
        let sizes: Vec<usize> = (0..4).map(|_| fold.batch(head(), 0).records.len()).collect();
        assert_eq!(sizes, [1, 1, 1, 1]);
    }

    #[test]
    fn what_is_given_up_after_an_hour_is_counted() {
        let mut fold = Fold::default();
        fold.add(record(0, 0));
        fold.add(record(1000, 0));
        fold.add(record((MAX_SECONDS + 1) * 1000, 0));
        let batch = fold.batch(head(), 0);
        assert_eq!((counted(&batch), batch.dropped), (1, 2));
    }

    #[test]
    fn feedback_beyond_the_limit_pushes_out_the_oldest_and_is_counted() {
        let mut fold = Fold::default();
        let feedback = |value: f64| Feedback {
            request_id: None,
            subject: None,
            app: None,
            name: "accepted".to_owned(),
            value,
            comment: None,
            shadow: false,
        };
        for value in 0..MAX_FEEDBACK + 2 {
            fold.feedback(Timestamp(0), feedback(value as f64));
        }
        let batch = fold.batch(head(), 0);
        assert_eq!((batch.dropped, batch.feedback[0].1.value), (2, 2.0));
    }
}
