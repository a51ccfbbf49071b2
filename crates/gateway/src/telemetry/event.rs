//! One answer as the path leaves it, and the record made of it: hashed, priced,
//! redacted.

use crate::config::Config;
use crate::keyed;
use crate::request::ChatRequest;
use crate::snapshot::Served;
use bytes::Bytes;
use checks::redact::redact;
use checks::score::Schema;
use checks::tokens;
use connect::tap::{MAX_TEXT_BYTES, Summary, Usage};
use domain::ids::{AppName, ChangeId, Digest, Generation, RequestId};
use domain::routing::Decision;
use domain::telemetry::{AnswerStatus, Feedback, RequestRecord};
use domain::units::{FULL, Timestamp};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Most bytes of a text that are looked at for the log.
const MAX_READ_BYTES: usize = 64 << 10;
/// Most bytes of a text that are kept.
const MAX_KEPT_BYTES: usize = 32 << 10;
/// Most bytes of an error.
const MAX_ERROR_BYTES: usize = 1000;

/// One answer, raw. Never leaves this process.
pub(crate) struct Event {
    pub(crate) id: RequestId,
    pub(crate) at: Timestamp,
    pub(crate) app: AppName,
    pub(crate) generation: Generation,
    pub(crate) decision: Decision,
    pub(crate) subject: String,
    pub(crate) tenant: Option<String>,
    pub(crate) request: Arc<ChatRequest>,
    /// What the answer must be.
    pub(crate) answer_schema: Option<Arc<Schema>>,
    pub(crate) preview: Option<ChangeId>,
    pub(crate) prompt: Bytes,
    /// Who answered; nobody if the fallback did.
    pub(crate) served: Option<Arc<Served>>,
    pub(crate) status: AnswerStatus,
    pub(crate) error: Option<String>,
    pub(crate) fallback: &'static str,
    pub(crate) latency: Duration,
    pub(crate) ttft: Duration,
    pub(crate) retries: u32,
    pub(crate) summary: Summary,
}

impl Event {
    /// Bytes it holds, roughly.
    pub(crate) fn weight(&self) -> usize {
        let messages = self.request.messages.iter().map(Bytes::len).sum::<usize>();
        messages.saturating_add(self.prompt.len()).saturating_add(self.summary.text.len())
    }

    /// The record: what control may know.
    pub(crate) fn record(self, config: &Config, room_for_texts: bool) -> RequestRecord {
        let key = &config.hash_key;
        let input = input(key, &self.request);
        let usage = self.usage();
        let keep = room_for_texts && (self.status.is_error() || sampled(&input, config));
        let text = |bytes: &[u8]| {
            keep.then(|| redacted(&String::from_utf8_lossy(bytes))).filter(|t| !t.is_empty())
        };
        let schema_failed = self.schema_failed();
        let cost = self.served.as_ref().map_or(0, |served| cost(served.prices, usage));
        RequestRecord {
            id: self.id,
            at: self.at,
            gateway: config.name.clone(),
            app: self.app,
            release: self.decision.release,
            arm: self.decision.arm,
            rollout: self.decision.rollout,
            step: self.decision.step,
            share: self.decision.share,
            drawn: self.decision.drawn,
            generation: self.generation,
            bucket: self.decision.bucket,
            subject: keyed::name(key, "subject", &self.subject),
            tenant: self.tenant.as_deref().map(|t| keyed::name(key, "tenant", t)),
            input,
            status: self.status,
            error: self.error.map(|e| redact(clip(&e, MAX_ERROR_BYTES))),
            fallback: self.fallback.to_owned(),
            streamed: self.request.stream,
            latency_us: micros(self.latency),
            ttft_us: micros(self.ttft),
            retries: self.retries,
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            cost_nano_usd: cost,
            schema_failed,
            prompt: text(&self.prompt),
            answer: text(self.summary.text.as_bytes()),
            served_model: self.summary.served_model,
            preview: self.preview,
        }
    }

    /// Whether a model's answer in words is not what the app's callers were
    /// promised. Calls of tools have forms of their own, and of an answer that
    /// was too long to keep nobody knows. An answer that was cut at its most
    /// tokens counts: callers cannot read it.
    fn schema_failed(&self) -> Option<bool> {
        let schema = self.answer_schema.as_ref()?;
        let in_words = self.status == AnswerStatus::Ok
            && self.fallback == "none"
            && self.summary.finish_reason.as_deref() != Some("tool_calls")
            && self.summary.text.len() < MAX_TEXT_BYTES;
        in_words.then(|| match serde_json::from_str(&self.summary.text) {
            Ok(answer) => schema.broken_by(&answer).is_some(),
            Err(_) => true,
        })
    }

    /// The provider's own numbers. Where it gave none (a stream whose caller did
    /// not ask for usage, an answer that was cut) they are counted with the
    /// model's tokenizer; a call that brought nothing counts as nothing.
    fn usage(&self) -> Usage {
        if let Some(usage) = self.summary.usage {
            return usage;
        }
        match &self.served {
            Some(served) if self.status == AnswerStatus::Ok || !self.summary.text.is_empty() => {
                Usage {
                    prompt_tokens: count_messages(&served.tokenizer, &self.prompt),
                    completion_tokens: count(&served.tokenizer, &self.summary.text),
                }
            }
            _ => Usage::default(),
        }
    }
}

/// Feedback as control may see it.
pub(super) fn private(config: &Config, feedback: Feedback) -> Feedback {
    Feedback {
        subject: feedback.subject.map(|s| keyed::name(&config.hash_key, "subject", &s)),
        comment: feedback.comment.map(|c| redacted(&c)),
        ..feedback
    }
}

/// Keyed hash of what the caller sent: the same for every arm and release.
fn input(key: &[u8; 32], request: &ChatRequest) -> Digest {
    // The same variables in another order are the same input.
    let mut vars = Value::Object(request.tidegate.vars.clone());
    vars.sort_all_objects();
    let vars = serde_json::to_vec(&vars).unwrap_or_default();
    let mut parts: Vec<&[u8]> = vec![&vars];
    parts.extend(request.messages.iter().map(AsRef::as_ref));
    keyed::hash(key, "input", &parts)
}

/// By input, so that the same input is kept in every arm or in none.
fn sampled(input: &Digest, config: &Config) -> bool {
    let [high, low, ..] = input.as_bytes();
    let place = u32::from(u16::from_be_bytes([*high, *low])) * u32::from(FULL) / 65_536;
    place < u32::from(config.bodies.bp())
}

fn redacted(text: &str) -> String {
    clip(&redact(clip(text, MAX_READ_BYTES)), MAX_KEPT_BYTES).to_owned()
}

fn clip(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Prices are dollars for a million tokens; a token at one dollar costs a
/// thousand billionths.
pub(crate) fn cost((input, output): (f64, f64), usage: Usage) -> u64 {
    let nano =
        (usage.prompt_tokens as f64 * input + usage.completion_tokens as f64 * output) * 1000.0;
    // Saturates; what is not a number is nothing.
    nano.round() as u64
}

fn count(tokenizer: &str, text: &str) -> u64 {
    // An unknown tokenizer was refused before traffic; four bytes a token is
    // the usual rule of thumb.
    let tokens = tokens::count(tokenizer, text).unwrap_or(text.len().div_ceil(4));
    u64::try_from(tokens).unwrap_or(u64::MAX)
}

fn count_messages(tokenizer: &str, messages: &[u8]) -> u64 {
    let messages: Vec<Value> = serde_json::from_slice(messages).unwrap_or_default();
    let of = |message: &Value| {
        let text = match &message["content"] {
            Value::String(text) => count(tokenizer, text),
            Value::Array(parts) => {
                parts.iter().filter_map(|p| p["text"].as_str()).map(|t| count(tokenizer, t)).sum()
            }
            _ => 0,
        };
        text.saturating_add(u64::try_from(tokens::TOKENS_PER_MESSAGE).unwrap_or(0))
    };
    messages.iter().map(of).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_exact_to_the_billionth() {
        let usage = Usage { prompt_tokens: 1000, completion_tokens: 200 };
        // 0.15 $ and 0.60 $ a million: 0.00015 $ + 0.00012 $.
        assert_eq!(cost((0.15, 0.60), usage), 270_000);
        assert_eq!(cost((f64::NAN, 0.0), usage), 0);
        assert_eq!(cost((f64::MAX, f64::MAX), usage), u64::MAX);
    }

    #[test]
    fn tokens_of_messages_are_counted_in_either_form() {
        let one = count_messages("o200k_base", br#"[{"role":"user","content":"hello world"}]"#);
        let two = count_messages(
            "o200k_base",
            br#"[{"role":"user","content":[{"type":"text","text":"hello world"}]}]"#,
        );
        assert_eq!((one, two), (6, 6));
    }
}
