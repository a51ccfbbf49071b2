//! Who answers: prepared once per snapshot, called per request.
//!
//! A [`Prepared`] provider is made of a model's content and never changes; a
//! [`Call`] is one request to it; a [`Reply`] is a whole answer or a stream; a
//! [`Failure`] is why there is none. The path of a call:
//! `Prepared::call → openai (attempts, retries) | local (replay, rules) → Reply`.
//!
//! What must stay true:
//! - a stream is handed over only after its first event arrived whole, so every
//!   failure before that is still an ordinary error and may be retried; after
//!   it nothing is ever retried;
//! - one deadline bounds everything: attempts, pauses between them, the stream;
//! - retries have two budgets: the call's own, and one per provider that keeps
//!   them a small share of all calls, so that a failing provider is not beaten;
//! - usage is asked of an upstream only if the caller asked for it. Then what
//!   the caller receives is what the upstream sent, byte for byte; without it
//!   the gateway estimates tokens from the texts, off the request path.
//!
//! Recorded and rule-made answers have the same shape as a provider's, so a
//! client cannot tell, except by the model's name.

mod budget;
mod local;
mod openai;
mod replay;
mod rules;

pub use budget::RetryBudget;
pub use replay::Recordings;
pub use rules::{Choice, Rules, RulesError};

use crate::tap::Summary;
use bytes::Bytes;
use domain::snapshot::{ModelContent, Provider};
use domain::units::Timestamp;
use std::fmt;
use std::sync::Arc;
use tokio::time::Instant;

/// Largest whole answer accepted from an upstream, in bytes.
pub const MAX_ANSWER_BYTES: usize = 32 << 20;
/// Most bytes of one stream.
pub const MAX_STREAM_BYTES: usize = 64 << 20;
/// Most bytes read of an upstream's error.
pub const MAX_ERROR_BYTES: usize = 64 << 10;
/// Most choices (`n`) a recorded or rule-made answer repeats itself for.
pub const MAX_CHOICES: u32 = 128;

/// One request to a provider.
#[derive(Clone)]
pub struct Call {
    /// Id of the answer if it is made here (`chatcmpl-…`).
    pub id: String,
    /// Time of the answer if it is made here.
    pub created: Timestamp,
    /// The rendered messages: a JSON array.
    pub messages: Bytes,
    /// Every other field of the caller's request, name and JSON, as it came.
    pub fields: Arc<[(String, Bytes)]>,
    /// The release's parameters; they win over fields of the same name.
    pub parameters: Arc<[(String, Bytes)]>,
    /// How many choices the caller wants (`n`).
    pub choices: u32,
    /// Answer as a stream.
    pub stream: bool,
    /// The caller asked for usage at the end of the stream.
    pub include_usage: bool,
    /// What a provider without a network needs: the rendered key of the
    /// recording (`replay`), the answer itself (`rules`).
    pub local: Option<String>,
    /// When all of it must be over.
    pub deadline: Instant,
    /// Most retries before the first byte.
    pub retries: u32,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("id", &self.id)
            .field("messages_len", &self.messages.len())
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// Retries spent on it.
    pub retries: u32,
    /// The answer itself.
    pub body: ReplyBody,
}

/// The two forms of an answer.
#[derive(Debug)]
pub enum ReplyBody {
    /// All of it.
    Whole(Whole),
    /// As it comes.
    Stream(AnswerStream),
}

/// A whole answer.
pub struct Whole {
    /// A chat completion: the bytes the provider sent.
    pub body: Bytes,
    /// What they say.
    pub summary: Summary,
}

impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Whole")
            .field("len", &self.body.len())
            .field("summary", &self.summary)
            .finish()
    }
}

/// An answer as it comes. Dropping it drops the upstream connection.
#[derive(Debug)]
pub struct AnswerStream(Source);

#[derive(Debug)]
enum Source {
    Upstream(Box<openai::Stream>),
    Local(Box<local::Stream>),
}

impl AnswerStream {
    /// The next bytes: one or more whole events. After the last ones, which
    /// hold `data: [DONE]`, nothing; after a failure, nothing.
    pub async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        match &mut self.0 {
            Source::Upstream(stream) => stream.next().await,
            Source::Local(stream) => stream.next().await,
        }
    }

    /// True once all bytes were handed out and the answer is whole: known with
    /// the last bytes, not only when asked for more.
    pub fn ended_well(&self) -> bool {
        match &self.0 {
            Source::Upstream(stream) => stream.ended_well(),
            Source::Local(stream) => stream.ended_well(),
        }
    }

    /// What was learnt so far; to be taken once, at the end.
    pub fn take_summary(&mut self) -> Summary {
        match &mut self.0 {
            Source::Upstream(stream) => stream.take_summary(),
            Source::Local(stream) => stream.take_summary(),
        }
    }
}

/// Why there is no answer, or no more of it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What happened.
    pub kind: FailureKind,
    /// In words, without anything a prompt or an answer said.
    pub message: String,
    /// Retries spent.
    pub retries: u32,
    /// The upstream's `Retry-After`, as it came.
    pub retry_after: Option<String>,
    /// The `error` object of the upstream's answer, for the caller alone: it
    /// may quote the prompt.
    pub upstream: Option<UpstreamError>,
}

/// The `error` object an upstream sent. Prints redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct UpstreamError(pub Bytes);

impl fmt::Debug for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UpstreamError({} bytes)", self.0.len())
    }
}

/// What can happen to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The upstream answered with this status.
    Refused(u16),
    /// No connection.
    Unreachable,
    /// The connection ended before the first byte of the answer.
    CutBefore,
    /// The stream ended, broke or became unreadable after its first event.
    Cut,
    /// The deadline passed.
    Timeout,
    /// A 2xx answer that is no chat completion.
    Garbage,
    /// An answer beyond the limits.
    TooLarge,
    /// No recording under this key.
    NoRecording,
    /// The fallback has nothing to say.
    NoRule,
    /// The gateway cannot use this provider as configured.
    Misconfigured,
}

impl Failure {
    /// A failure without more to tell.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retries: 0, retry_after: None, upstream: None }
    }

    pub(crate) fn timeout() -> Self {
        Self::new(FailureKind::Timeout, "the provider took longer than the app allows")
    }
}

/// Why a provider cannot be prepared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// The base URL.
    #[error("`base_url` `{0}` is not an http or https address such as `https://api.openai.com/v1`")]
    BaseUrl(String),
    /// The key is not there.
    #[error(
        "the gateway has no environment variable `{0}`; set it to the provider's key, or remove `key_env`"
    )]
    NoKey(String),
    /// The key cannot be sent.
    #[error("the value of `{0}` has characters no header may have")]
    BadKey(String),
    /// A recordings file that is not there.
    #[error("the recordings `{0}` are not on this gateway")]
    NoRecordings(domain::ids::Digest),
    /// A recordings file that cannot be read.
    #[error("the recordings `{digest}`, line {line}: {problem}")]
    BadRecordings {
        /// Which file.
        digest: domain::ids::Digest,
        /// First bad line.
        line: u32,
        /// What is wrong.
        problem: String,
    },
}

/// A provider, ready to be called.
#[derive(Debug)]
pub struct Prepared {
    /// The provider's own model id.
    model: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Openai(openai::Upstream),
    Replay(replay::Replay),
    Rules,
}

/// Where a provider's needs come from when it is prepared.
pub struct Stock<'a> {
    /// Keys: name of an environment variable → value.
    pub secret: &'a dyn Fn(&str) -> Option<String>,
    /// Recordings by digest of their file, parsed once for all models in it.
    pub recordings: &'a dyn Fn(&domain::ids::Digest) -> Option<Arc<Recordings>>,
}

impl Prepared {
    /// Prepares the provider of a model.
    ///
    /// # Errors
    /// When something it needs is missing or unusable.
    pub fn new(content: &ModelContent, stock: &Stock<'_>) -> Result<Self, PrepareError> {
        let kind = match &content.provider {
            Provider::Openai { base_url, key_env } => {
                Kind::Openai(openai::Upstream::new(base_url, key_env.as_deref(), stock.secret)?)
            }
            Provider::Replay { recordings, latency, .. } => {
                let files = recordings
                    .iter()
                    .map(|digest| {
                        (stock.recordings)(digest).ok_or(PrepareError::NoRecordings(*digest))
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                Kind::Replay(replay::Replay::new(files, *latency))
            }
            Provider::Rules {} => Kind::Rules,
        };
        Ok(Self { model: content.provider_model.clone(), kind })
    }

    /// Calls it.
    ///
    /// # Errors
    /// When no answer came, or none whose first event is whole.
    pub async fn call(&self, client: &crate::http::Client, call: Call) -> Result<Reply, Failure> {
        match &self.kind {
            Kind::Openai(upstream) => upstream.call(client, &self.model, call).await,
            Kind::Replay(replay) => replay.call(&self.model, call).await,
            Kind::Rules => rules_call(&self.model, call).await,
        }
    }
}

/// Answers with a text that was chosen already: the kill switch, a failure's
/// fallback, the `rules` provider.
///
/// # Errors
/// When there is no text.
pub async fn rules_call(model: &str, mut call: Call) -> Result<Reply, Failure> {
    let Some(text) = call.local.take() else {
        return Err(Failure::new(
            FailureKind::NoRule,
            "the app has no fallback answer for this; give `fallback.yaml` a `default` or a `hand_over`",
        ));
    };
    let answer = local::Answer {
        model: model.to_owned(),
        text: text.into(),
        usage: crate::tap::Usage::default(),
        latency: std::time::Duration::ZERO,
    };
    local::reply(answer, &call).await
}
