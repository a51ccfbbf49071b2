//! What gateways count: one cell per second, arm, step and share.
//!
//! What must stay true: a cell holds integers only, and merging is exactly
//! associative and commutative, so the verdict over many gateways is the one a
//! single gateway would have given. Sums of fractions are kept in millionths
//! for that reason.
//!
//! A cell's second is the second in which the outcome became *known*: the end
//! of the answer, or the arrival of feedback. A decision at some time can then
//! be repeated later from the cells alone, without looking ahead.
//!
//! Feedback must be deduplicated before it is counted here: repeated answers
//! to one input by one arm are one piece of evidence.

use crate::sketch::Sketch;
use domain::ids::{AppName, GatewayName, Generation, ReleaseId, RolloutId};
use domain::routing::Arm;
use domain::telemetry::{AnswerStatus, Feedback, RequestRecord};
use domain::units::{Share, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One answer, as a gateway counts it.
pub type Event = RequestRecord;

/// Sums of feedback values are kept in millionths.
const MICRO: f64 = 1e6;
/// Feedback values beyond this size are unusable, so that the sum of millions
/// of them fits.
pub const MAX_FEEDBACK_VALUE: f64 = 1e6;

/// What a cell counts for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellKey {
    /// The app.
    pub app: AppName,
    /// The release that answered.
    pub release: ReleaseId,
    /// How its answers count.
    pub arm: Arm,
    /// The rollout under way, or the number of the experiment.
    pub rollout: Option<RolloutId>,
    /// Its step.
    pub step: u32,
    /// The probability with which these requests could have gone to the
    /// candidate; none while the candidate only answers mirrored copies.
    pub share: Share,
    /// Second in which the outcomes became known, since 1970-01-01 UTC.
    pub second: i64,
}

impl CellKey {
    /// Where an answer counts: in the second its last byte was sent.
    pub fn of(event: &Event) -> Self {
        let took = i64::try_from(event.latency_us / 1000).unwrap_or(i64::MAX);
        Self::known_at(event, Timestamp(event.at.0.saturating_add(took)))
    }

    /// Where feedback about an answer counts: in the second it arrived.
    pub fn known_at(event: &Event, at: Timestamp) -> Self {
        Self {
            app: event.app.clone(),
            release: event.release,
            arm: event.arm,
            rollout: event.trial(),
            step: event.step,
            share: event.share,
            second: at.second(),
        }
    }
}

/// Exact counts of one kind of feedback.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedbackCell {
    /// Values that were usable numbers.
    pub n: u64,
    /// Of these, exactly 0.
    pub zeros: u64,
    /// Of these, exactly 1.
    pub ones: u64,
    /// Values that were not numbers, or too large to count.
    pub unusable: u64,
    /// Sum of the values, in millionths.
    pub sum_micro: i64,
    /// Sum of the squared values, in millionths; stays at its highest once
    /// full, and says nothing from then on.
    pub sum_sq_micro: u64,
    /// The values themselves, to 1 %; negative ones count as zero.
    pub values: Sketch,
}

impl FeedbackCell {
    /// Counts one value.
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() || value.abs() > MAX_FEEDBACK_VALUE || self.values.add(value).is_err()
        {
            self.unusable = self.unusable.saturating_add(1);
            return;
        }
        self.n = self.n.saturating_add(1);
        if value == 0.0 {
            self.zeros = self.zeros.saturating_add(1);
        } else if value == 1.0 {
            self.ones = self.ones.saturating_add(1);
        }
        self.sum_micro = self.sum_micro.saturating_add((value * MICRO).round() as i64);
        self.sum_sq_micro =
            self.sum_sq_micro.saturating_add((value * value * MICRO).round() as u64);
    }

    /// Adds everything another cell counted.
    pub fn merge(&mut self, other: &Self) {
        self.n = self.n.saturating_add(other.n);
        self.zeros = self.zeros.saturating_add(other.zeros);
        self.ones = self.ones.saturating_add(other.ones);
        self.unusable = self.unusable.saturating_add(other.unusable);
        self.sum_micro = self.sum_micro.saturating_add(other.sum_micro);
        self.sum_sq_micro = self.sum_sq_micro.saturating_add(other.sum_sq_micro);
        self.values.merge(&other.values);
    }

    /// Sum of the values.
    pub fn sum(&self) -> f64 {
        self.sum_micro as f64 / MICRO
    }

    /// Sum of the squared values; nothing once it no longer fits.
    pub fn sum_sq(&self) -> Option<f64> {
        (self.sum_sq_micro < u64::MAX).then_some(self.sum_sq_micro as f64 / MICRO)
    }
}

/// What was counted under one [`CellKey`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Answers that say something about the arm.
    pub n: u64,
    /// All answers, by how they ended.
    pub status: BTreeMap<AnswerStatus, u64>,
    /// Answers that came from a fallback.
    pub fallbacks: u64,
    /// Retries spent.
    pub retries: u64,
    /// Tokens of the prompts.
    pub prompt_tokens: u64,
    /// Tokens of the answers.
    pub completion_tokens: u64,
    /// Cost in billionths of a US dollar.
    pub cost_nano_usd: u64,
    /// Answers whose form was checked against a schema.
    pub schema_checked: u64,
    /// Of these, not as the schema wants.
    pub schema_failures: u64,
    /// Latency of whole answers, in milliseconds.
    pub latency_ms: Sketch,
    /// Time to the first byte of whole answers, in milliseconds.
    pub ttft_ms: Sketch,
    /// Cost of an answer, in US dollars.
    pub cost_usd: Sketch,
    /// Tokens of a whole answer.
    pub output_tokens: Sketch,
    /// What people and other systems said later, by name.
    pub feedback: BTreeMap<String, FeedbackCell>,
}

impl Cell {
    /// Counts one answer. Answers that say nothing about the arm (wrong
    /// requests, kill switch, callers who hung up) count by status only.
    pub fn add(&mut self, event: &Event) {
        let by_status = self.status.entry(event.status).or_default();
        *by_status = by_status.saturating_add(1);
        if !event.status.counts() {
            return;
        }
        self.n = self.n.saturating_add(1);
        self.fallbacks = self.fallbacks.saturating_add(u64::from(event.fallback != "none"));
        self.retries = self.retries.saturating_add(u64::from(event.retries));
        self.prompt_tokens = self.prompt_tokens.saturating_add(event.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(event.completion_tokens);
        self.cost_nano_usd = self.cost_nano_usd.saturating_add(event.cost_nano_usd);
        if let Some(failed) = event.schema_failed {
            self.schema_checked = self.schema_checked.saturating_add(1);
            self.schema_failures = self.schema_failures.saturating_add(u64::from(failed));
        }
        let mut count = |sketch: fn(&mut Self) -> &mut Sketch, value: f64| {
            // Integers are never NaN, so nothing is refused here.
            sketch(self).add(value).unwrap_or_default();
        };
        count(|cell| &mut cell.cost_usd, event.cost_nano_usd as f64 / 1e9);
        if event.status == AnswerStatus::Ok {
            count(|cell| &mut cell.latency_ms, event.latency_us as f64 / 1e3);
            count(|cell| &mut cell.ttft_ms, event.ttft_us as f64 / 1e3);
            count(|cell| &mut cell.output_tokens, event.completion_tokens as f64);
        }
    }

    /// Counts one piece of feedback. The caller has made sure that it is the
    /// first of this name for this arm and input.
    pub fn add_feedback(&mut self, name: &str, value: f64) {
        self.feedback.entry(name.to_owned()).or_default().add(value);
    }

    /// Adds everything another cell counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.n, other.n),
            (&mut self.fallbacks, other.fallbacks),
            (&mut self.retries, other.retries),
            (&mut self.prompt_tokens, other.prompt_tokens),
            (&mut self.completion_tokens, other.completion_tokens),
            (&mut self.cost_nano_usd, other.cost_nano_usd),
            (&mut self.schema_checked, other.schema_checked),
            (&mut self.schema_failures, other.schema_failures),
        ] {
            *mine = mine.saturating_add(theirs);
        }
        for (status, times) in &other.status {
            let mine = self.status.entry(*status).or_default();
            *mine = mine.saturating_add(*times);
        }
        self.latency_ms.merge(&other.latency_ms);
        self.ttft_ms.merge(&other.ttft_ms);
        self.cost_usd.merge(&other.cost_usd);
        self.output_tokens.merge(&other.output_tokens);
        for (name, theirs) in &other.feedback {
            self.feedback.entry(name.clone()).or_default().merge(theirs);
        }
    }

    /// Answers that count as errors of the arm.
    pub fn errors(&self) -> u64 {
        self.status
            .iter()
            .filter(|(status, _)| status.is_error())
            .fold(0, |sum, (_, times)| sum.saturating_add(*times))
    }
}

/// What a gateway ships. Delivery is at least once; a batch with a (gateway,
/// epoch, seq) that was seen before is the same batch again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Who counted.
    pub gateway: GatewayName,
    /// Random, per start of the gateway's process.
    pub epoch: u64,
    /// Grows by one with every batch of an epoch.
    pub seq: u64,
    /// Generation of the snapshot it serves now.
    pub serving: Generation,
    /// Counts since the last batch.
    pub cells: Vec<(CellKey, Cell)>,
    /// Metadata of the same answers.
    pub records: Vec<RequestRecord>,
    /// Feedback that was posted at this gateway, with its time of arrival.
    pub feedback: Vec<(Timestamp, Feedback)>,
    /// Answers and feedback that could not be shipped since the last batch, or
    /// only as counts.
    pub dropped: u64,
}

/// Cells merged by key, in order. What a gateway gathers between two batches,
/// and what a verdict reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cells(BTreeMap<CellKey, Cell>);

impl Cells {
    /// Counts one answer.
    pub fn add(&mut self, event: &Event) {
        self.0.entry(CellKey::of(event)).or_default().add(event);
    }

    /// The cell of this key, made if there is none.
    pub fn entry(&mut self, key: CellKey) -> &mut Cell {
        self.0.entry(key).or_default()
    }

    /// Adds everything another collection counted.
    pub fn merge(&mut self, other: &Cells) {
        for (key, cell) in other.iter() {
            self.0.entry(key.clone()).or_default().merge(cell);
        }
    }

    /// Everything, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&CellKey, &Cell)> {
        self.0.iter()
    }

    /// True if nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes everything out, for a batch.
    pub fn take(&mut self) -> Vec<(CellKey, Cell)> {
        std::mem::take(&mut self.0).into_iter().collect()
    }
}

impl FromIterator<(CellKey, Cell)> for Cells {
    fn from_iter<I: IntoIterator<Item = (CellKey, Cell)>>(cells: I) -> Self {
        let mut all = Self::default();
        for (key, cell) in cells {
            all.0.entry(key).or_default().merge(&cell);
        }
        all
    }
}

#[cfg(test)]
mod tests;
