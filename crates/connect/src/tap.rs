//! What is learnt from an answer while it passes through: tokens, the model
//! that served, why it ended, and its text for the log.
//!
//! The tap reads a copy and never changes a byte. What it does not understand
//! it says ([`Heard::Garbage`]); what to do then is not its business.

use crate::sse;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fmt;

/// Longest text kept for the log and for estimates, in bytes; the rest of a
/// longer answer passes through unread.
pub const MAX_TEXT_BYTES: usize = 1 << 20;

/// Tokens of one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt.
    #[serde(default)]
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    #[serde(default)]
    pub completion_tokens: u64,
}

/// What is known of an answer.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Text of the first choice; names and arguments of tool calls included.
    pub text: String,
    /// Tokens, if the provider told.
    pub usage: Option<Usage>,
    /// Model id as the provider names it.
    pub served_model: Option<String>,
    /// `stop`, `length`, `tool_calls`, … of the first choice.
    pub finish_reason: Option<String>,
}

impl fmt::Debug for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Summary")
            .field("text_len", &self.text.len())
            .field("usage", &self.usage)
            .field("served_model", &self.served_model)
            .field("finish_reason", &self.finish_reason)
            .finish()
    }
}

impl Summary {
    fn say(&mut self, text: &str) {
        let room = MAX_TEXT_BYTES.saturating_sub(self.text.len());
        let mut end = text.len().min(room);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.text.push_str(text.get(..end).unwrap_or_default());
    }

    fn message(&mut self, message: &Message) {
        let calls = message.tool_calls.iter().flatten().flat_map(|call| &call.function);
        let texts = [&message.content, &message.refusal].into_iter().flatten();
        for text in texts.chain(calls.flat_map(|f| [&f.name, &f.arguments]).flatten()) {
            self.say(text);
        }
    }
}

/// A whole answer that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not a chat completion: {0}")]
pub struct NotAnAnswer(String);

/// Reads a whole (not streamed) answer.
///
/// # Errors
/// When it is not JSON or has no `choices`.
pub fn read_whole(body: &[u8]) -> Result<Summary, NotAnAnswer> {
    let answer: Whole = serde_json::from_slice(body).map_err(|e| NotAnAnswer(place(&e)))?;
    let mut summary =
        Summary { usage: answer.usage, served_model: answer.model, ..Summary::default() };
    if let Some(first) = answer.choices.first() {
        summary.finish_reason.clone_from(&first.finish_reason);
        if let Some(message) = &first.message {
            summary.message(message);
        }
    }
    Ok(summary)
}

/// Where and how JSON is wrong, without quoting it: it may hold an answer.
fn place(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "ends in the middle",
        serde_json::error::Category::Syntax => "is not JSON",
        serde_json::error::Category::Data => "lacks `choices` or has a field of the wrong type",
        serde_json::error::Category::Io => "cannot be read",
    };
    format!("it {what} (line {}, column {})", error.line(), error.column())
}

/// What a piece of a stream said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Understood whole.
    Fine,
    /// `[DONE]`; the offset behind it.
    Done(usize),
    /// An error event; the offset before it, and the `error` object.
    Error(usize, Bytes),
    /// An event that is not JSON; the offset before it.
    Garbage(usize),
}

/// Listens to the events of one stream.
#[derive(Debug, Default)]
pub struct Tap {
    summary: Summary,
    /// Events with data so far.
    events: u64,
}

impl Tap {
    /// Reads bytes that hold whole events.
    pub fn listen(&mut self, bytes: &[u8]) -> Heard {
        let mut before = 0;
        for (after, data) in sse::events(bytes) {
            if let Some(data) = data {
                if data.trim_ascii() == b"[DONE]" {
                    self.events += 1;
                    return Heard::Done(after);
                }
                let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(&data) else {
                    return Heard::Garbage(before);
                };
                if let Some(error) = chunk.error {
                    return Heard::Error(before, Bytes::copy_from_slice(error.get().as_bytes()));
                }
                self.events += 1;
                self.chunk(chunk);
            }
            before = after;
        }
        Heard::Fine
    }

    /// True once an event with data came.
    pub fn began(&self) -> bool {
        self.events > 0
    }

    /// True once the first choice said why it ended.
    pub fn finished(&self) -> bool {
        self.summary.finish_reason.is_some()
    }

    /// What was learnt so far.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// What was learnt; the tap forgets it.
    pub fn take(&mut self) -> Summary {
        std::mem::take(&mut self.summary)
    }

    fn chunk(&mut self, chunk: Chunk<'_>) {
        if chunk.usage.is_some() {
            self.summary.usage = chunk.usage;
        }
        if self.summary.served_model.is_none() {
            self.summary.served_model = chunk.model;
        }
        for choice in chunk.choices.iter().flatten().filter(|c| c.index == 0) {
            if choice.finish_reason.is_some() {
                self.summary.finish_reason.clone_from(&choice.finish_reason);
            }
            if let Some(delta) = &choice.delta {
                self.summary.message(delta);
            }
        }
    }
}

#[derive(Deserialize)]
struct Whole {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    model: Option<String>,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u64,
    #[serde(default)]
    message: Option<Message>,
    #[serde(default)]
    delta: Option<Message>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<ToolCall>>,
}

#[derive(Deserialize)]
struct ToolCall {
    #[serde(default)]
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_tells_text_usage_model_and_end() {
        let mut tap = Tap::default();
        let text = concat!(
            ": keep-alive\n\n",
            "data: {\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}},{\"index\":1,\"delta\":{\"content\":\"no\"}}],\"usage\":null}\n\n",
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}\n\n",
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,\"total_tokens\":9}}\n\n",
        );
        assert_eq!(tap.listen(text.as_bytes()), Heard::Fine);
        assert!(tap.finished());
        let done = b"data: [DONE]\n\nmore";
        assert_eq!(tap.listen(done), Heard::Done(14));
        let summary = tap.take();
        assert_eq!(summary.text, "Hello");
        assert_eq!(summary.usage, Some(Usage { prompt_tokens: 7, completion_tokens: 2 }));
        assert_eq!(summary.served_model.as_deref(), Some("m-1"));
    }

    #[test]
    fn what_is_not_an_event_of_the_contract_is_named_with_its_place() {
        let good = "data: {\"choices\":[]}\n\n";
        let cases = [
            ("data: {\"choices\":[\n\n", Heard::Garbage(good.len())),
            ("data: <html>\n\n", Heard::Garbage(good.len())),
            (
                "data: {\"error\":{\"message\":\"x\"}}\n\n",
                Heard::Error(good.len(), Bytes::from_static(b"{\"message\":\"x\"}")),
            ),
        ];
        for (bad, heard) in cases {
            assert_eq!(Tap::default().listen(format!("{good}{bad}").as_bytes()), heard, "{bad}");
        }
    }

    #[test]
    fn debug_never_prints_the_answer() {
        let mut tap = Tap::default();
        tap.listen(b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"secret\"}}]}\n\n");
        assert_eq!(tap.summary().text, "secret");
        assert!(!format!("{tap:?}").contains("secret"));
        let error = read_whole(b"{\"choices\": \"secret\"}").expect_err("not a list");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
