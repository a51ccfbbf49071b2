//! A request under way, and what is remembered of it.
//!
//! Made as soon as the app is known. It leaves exactly one event: when it is
//! finished, or, if it never was, when it is dropped, and then its caller hung up.

use super::ChatRequest;
use crate::snapshot::{Served, Tab, tokens_of};
use crate::state::Shared;
use crate::telemetry::Event;
use bytes::Bytes;
use checks::score::Schema;
use connect::tap::Summary;
use domain::ids::{AppName, ChangeId, Generation, RequestId};
use domain::routing::Decision;
use domain::telemetry::AnswerStatus;
use domain::units::Timestamp;
use std::sync::Arc;
use tokio::time::Instant;

/// What every event of a request shares with its mirrored copy.
#[derive(Clone)]
pub(super) struct Common {
    pub(super) shared: Arc<Shared>,
    pub(super) id: RequestId,
    pub(super) app: AppName,
    pub(super) generation: Generation,
    pub(super) subject: String,
    pub(super) tenant: Option<String>,
    pub(super) request: Arc<ChatRequest>,
    pub(super) answer_schema: Option<Arc<Schema>>,
    /// The change whose preview answers.
    pub(super) preview: Option<ChangeId>,
}

/// A request under way.
pub(super) struct Pending {
    common: Common,
    decision: Decision,
    at: Timestamp,
    arrived: Instant,
    first_byte: Option<Instant>,
    /// The rendered messages.
    pub(super) prompt: Bytes,
    /// Who answers, once known.
    pub(super) served: Option<Arc<Served>>,
    pub(super) retries: u32,
    pub(super) fallback: &'static str,
    /// What the preview's token pays for it.
    pub(super) tab: Option<Tab>,
    finished: bool,
}

impl Pending {
    pub(super) fn new(common: Common, decision: Decision, at: Timestamp, arrived: Instant) -> Self {
        Self {
            common,
            decision,
            at,
            arrived,
            first_byte: None,
            prompt: Bytes::new(),
            served: None,
            retries: 0,
            fallback: "none",
            tab: None,
            finished: false,
        }
    }

    /// A mirrored copy of this request, decided otherwise.
    pub(super) fn copy(&self, decision: Decision, at: Timestamp, arrived: Instant) -> Self {
        Self::new(self.common.clone(), decision, at, arrived)
    }

    pub(super) fn decision(&self) -> &Decision {
        &self.decision
    }

    /// The first byte of the answer is at hand.
    pub(super) fn first_byte(&mut self) {
        self.first_byte.get_or_insert_with(Instant::now);
    }

    /// It ended.
    pub(super) fn finish(mut self, status: AnswerStatus, error: Option<String>, summary: Summary) {
        self.leave(status, error, summary);
    }

    /// Tokens it cost: as the provider counted, else by size. Nothing if nobody
    /// was asked.
    fn spent(&self, summary: &Summary) -> u64 {
        match (summary.usage, &self.served) {
            (Some(usage), _) => usage.prompt_tokens.saturating_add(usage.completion_tokens),
            (None, Some(_)) => tokens_of(self.prompt.len().saturating_add(summary.text.len())),
            (None, None) => 0,
        }
    }

    fn leave(&mut self, status: AnswerStatus, error: Option<String>, summary: Summary) {
        self.finished = true;
        let latency = self.arrived.elapsed();
        let ttft = self.first_byte.map_or(latency, |first| first.duration_since(self.arrived));
        if let Some(tab) = self.tab.take() {
            tab.settle(self.spent(&summary));
        }
        let common = &self.common;
        common.shared.sink.send(Event {
            id: common.id.clone(),
            at: self.at,
            app: common.app.clone(),
            generation: common.generation,
            decision: self.decision.clone(),
            subject: common.subject.clone(),
            tenant: common.tenant.clone(),
            request: common.request.clone(),
            answer_schema: common.answer_schema.clone(),
            preview: common.preview,
            prompt: std::mem::take(&mut self.prompt),
            served: self.served.take(),
            status,
            error,
            fallback: self.fallback,
            latency,
            ttft,
            retries: self.retries,
            summary,
        });
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.finished {
            self.leave(AnswerStatus::Cancelled, None, Summary::default());
        }
    }
}
