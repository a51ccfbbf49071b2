//! Answers made here, in the shape of a provider's: one JSON object, or a stream
//! of a role, pieces of text, an end, usage if asked for, and `[DONE]`.

use super::{
    AnswerStream, Call, Failure, FailureKind, MAX_CHOICES, Reply, ReplyBody, Source, Whole,
};
use crate::tap::{Summary, Usage};
use bytes::Bytes;
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Shortest piece of text in a stream, in bytes, save the last.
const PIECE_BYTES: usize = 16;
/// Most pieces one choice is cut into.
const MAX_PIECES: usize = 200;

/// What to answer.
pub(super) struct Answer {
    pub(super) model: String,
    pub(super) text: Arc<str>,
    pub(super) usage: Usage,
    /// How long the whole answer takes.
    pub(super) latency: Duration,
}

impl Answer {
    fn summary(&self) -> Summary {
        Summary {
            text: self.text.as_ref().to_owned(),
            usage: Some(self.usage),
            served_model: Some(self.model.clone()),
            finish_reason: Some("stop".to_owned()),
        }
    }

    fn usage_json(&self, choices: u32) -> Value {
        let completion = self.usage.completion_tokens.saturating_mul(u64::from(choices));
        json!({
            "prompt_tokens": self.usage.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": self.usage.prompt_tokens.saturating_add(completion),
        })
    }
}

/// Answers a call, whole or as a stream, after the recorded time.
///
/// # Errors
/// When the deadline comes first, or more choices are asked for than allowed.
pub(super) async fn reply(answer: Answer, call: &Call) -> Result<Reply, Failure> {
    if call.choices == 0 || call.choices > MAX_CHOICES {
        return Err(Failure::new(
            FailureKind::Refused(400),
            format!(
                "`n` is {}; recorded and rule-made answers take 1 to {MAX_CHOICES}",
                call.choices
            ),
        ));
    }
    let begun = Instant::now();
    let body = if call.stream {
        let stream = Stream::new(answer, call, begun);
        // The first event is part of the call: see the contract of `Reply`.
        stream.wait_for_first().await?;
        ReplyBody::Stream(AnswerStream(Source::Local(Box::new(stream))))
    } else {
        timeout_at(call.deadline, sleep_until(begun + answer.latency))
            .await
            .map_err(|_| Failure::timeout())?;
        ReplyBody::Whole(whole(&answer, call))
    };
    Ok(Reply { retries: 0, body })
}

fn whole(answer: &Answer, call: &Call) -> Whole {
    let choice = |index: u32| {
        json!({
            "index": index,
            "message": {"role": "assistant", "content": answer.text.as_ref(), "refusal": null},
            "logprobs": null,
            "finish_reason": "stop",
        })
    };
    let body = json!({
        "id": call.id,
        "object": "chat.completion",
        "created": call.created.second(),
        "model": answer.model,
        "choices": (0..call.choices).map(choice).collect::<Vec<_>>(),
        "usage": answer.usage_json(call.choices),
    });
    Whole { body: body.to_string().into(), summary: summary_of(answer, call.choices) }
}

fn summary_of(answer: &Answer, choices: u32) -> Summary {
    let mut summary = answer.summary();
    if let Some(usage) = &mut summary.usage {
        usage.completion_tokens = usage.completion_tokens.saturating_mul(u64::from(choices));
    }
    summary
}

/// A stream made here.
pub(super) struct Stream {
    head: Head,
    text: Arc<str>,
    /// Byte ranges of the text, one per piece.
    pieces: Vec<(usize, usize)>,
    usage: Option<Value>,
    choices: u32,
    /// The next event: (choice, step); step 0 is the role, then the pieces,
    /// then the end.
    at: (u32, usize),
    pace: Duration,
    begun: Instant,
    deadline: Instant,
    events: u32,
    over: bool,
    summary: Summary,
}

/// What every event of a stream repeats.
struct Head {
    id: String,
    created: i64,
    model: String,
    usage_follows: bool,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Stream {
    fn new(answer: Answer, call: &Call, begun: Instant) -> Self {
        let pieces = pieces(&answer.text);
        let steps = u32::try_from(pieces.len().saturating_add(2)).unwrap_or(u32::MAX);
        let events = steps.saturating_mul(call.choices).max(1);
        Self {
            summary: summary_of(&answer, call.choices),
            usage: call.include_usage.then(|| answer.usage_json(call.choices)),
            head: Head {
                id: call.id.clone(),
                created: call.created.second(),
                model: answer.model,
                usage_follows: call.include_usage,
            },
            text: answer.text,
            pieces,
            choices: call.choices,
            at: (0, 0),
            pace: answer.latency / events,
            begun,
            deadline: call.deadline,
            events: 0,
            over: false,
        }
    }

    async fn wait_for_first(&self) -> Result<(), Failure> {
        self.due().await
    }

    /// Waits until the next event is due.
    async fn due(&self) -> Result<(), Failure> {
        let due = self.begun + self.pace.saturating_mul(self.events.saturating_add(1));
        timeout_at(self.deadline, sleep_until(due)).await.map_err(|_| Failure::timeout())
    }

    pub(super) async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        if self.over {
            return None;
        }
        if self.at.0 >= self.choices {
            self.over = true;
            return Some(Ok(self.end().into()));
        }
        if let Err(failure) = self.due().await {
            self.over = true;
            return Some(Err(failure));
        }
        self.events = self.events.saturating_add(1);
        let (choice, step) = self.at;
        let (delta, finish) = match step.checked_sub(1) {
            None => (json!({"role": "assistant", "content": "", "refusal": null}), Value::Null),
            Some(i) => match self.pieces.get(i) {
                Some((from, to)) => (json!({"content": self.text.get(*from..*to)}), Value::Null),
                None => (json!({}), json!("stop")),
            },
        };
        self.at = if finish.is_null() {
            (choice, step.saturating_add(1))
        } else {
            (choice.saturating_add(1), 0)
        };
        let choices =
            json!([{"index": choice, "delta": delta, "logprobs": null, "finish_reason": finish}]);
        Some(Ok(self.head.event(choices, None).into()))
    }

    pub(super) fn ended_well(&self) -> bool {
        self.over && self.usage.is_none() && self.at.0 >= self.choices
    }

    pub(super) fn take_summary(&mut self) -> Summary {
        std::mem::take(&mut self.summary)
    }

    /// Usage if asked for, and the end.
    fn end(&mut self) -> String {
        let usage = self.usage.take().map(|usage| self.head.event(json!([]), Some(usage)));
        format!("{}data: [DONE]\n\n", usage.unwrap_or_default())
    }
}

impl Head {
    fn event(&self, choices: Value, usage: Option<Value>) -> String {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        });
        if let (true, Some(object)) = (self.usage_follows, chunk.as_object_mut()) {
            object.insert("usage".to_owned(), usage.unwrap_or(Value::Null));
        }
        format!("data: {chunk}\n\n")
    }
}

/// Cuts a text after spaces into pieces of some length, as models send them.
fn pieces(text: &str) -> Vec<(usize, usize)> {
    let least = PIECE_BYTES.max(text.len() / MAX_PIECES);
    let mut pieces = Vec::new();
    let mut from = 0;
    for (at, char) in text.char_indices() {
        let to = at + char.len_utf8();
        if to - from >= least && (char.is_whitespace() || to - from >= 4 * least) {
            pieces.push((from, to));
            from = to;
        }
    }
    if from < text.len() {
        pieces.push((from, text.len()));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_are_the_text(text in ".{0,400}") {
            let joined: String = pieces(&text).iter().filter_map(|(a, b)| text.get(*a..*b)).collect();
            prop_assert_eq!(joined, text);
        }
    }
}
