//! Any HTTP API that speaks OpenAI's chat completions.
//!
//! The request: the caller's own fields untouched, the rendered messages, the
//! provider's model id, and the release's parameters, which win over a field of
//! the same name because a release decides how it is answered. The answer:
//! passed on byte for byte, listened to by a [`Tap`].

mod stream;

pub(super) use stream::Stream;

use super::{
    AnswerStream, Call, Failure, FailureKind, MAX_ANSWER_BYTES, MAX_ERROR_BYTES, PrepareError,
    Reply, ReplyBody, RetryBudget, Source, UpstreamError, Whole,
};
use crate::http::{Client, ReadError, SendError, read_all};
use crate::tap::read_whole;
use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fmt;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// First pause before a retry; doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause before a retry. A provider that asks for a longer one
/// (`Retry-After`) is not retried: the caller is told instead.
const MAX_PAUSE: Duration = Duration::from_secs(2);
/// Fields a request gets from nobody but this module.
const OWN_FIELDS: [&str; 3] = ["model", "messages", "stream"];

/// One upstream.
pub(super) struct Upstream {
    uri: Uri,
    authorization: Option<HeaderValue>,
    budget: RetryBudget,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("uri", &self.uri).finish_non_exhaustive()
    }
}

impl Upstream {
    pub(super) fn new(
        base_url: &str,
        key_env: Option<&str>,
        secret: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, PrepareError> {
        let bad = || PrepareError::BaseUrl(base_url.to_owned());
        let uri: Uri = format!("{}/chat/completions", base_url.trim_end_matches('/'))
            .parse()
            .map_err(|_| bad())?;
        let plain_host = uri.authority().is_some_and(|a| !a.as_str().contains('@'));
        if !matches!(uri.scheme_str(), Some("http" | "https"))
            || !plain_host
            || uri.query().is_some()
        {
            return Err(bad());
        }
        let authorization = key_env.map(|name| key(name, secret)).transpose()?;
        Ok(Self { uri, authorization, budget: RetryBudget::default() })
    }

    pub(super) async fn call(
        &self,
        client: &Client,
        model: &str,
        call: Call,
    ) -> Result<Reply, Failure> {
        self.budget.deposit();
        let body = request_body(model, &call);
        let mut retries = 0;
        loop {
            let attempt = self.attempt(client, body.clone(), &call);
            let mut failure = match timeout_at(call.deadline, attempt).await {
                Ok(Ok(body)) => return Ok(Reply { retries, body }),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::timeout(),
            };
            failure.retries = retries;
            let pause = pause(retries, failure.retry_after.as_deref());
            let again = retries < call.retries && worth_a_retry(failure.kind);
            match pause {
                Some(pause)
                    if again
                        && Instant::now() + pause < call.deadline
                        && self.budget.withdraw() =>
                {
                    sleep(pause).await;
                    retries = retries.saturating_add(1);
                }
                _ => return Err(failure),
            }
        }
    }

    async fn attempt(
        &self,
        client: &Client,
        body: Bytes,
        call: &Call,
    ) -> Result<ReplyBody, Failure> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let accept = if call.stream { "text/event-stream" } else { "application/json" };
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        if let Some(key) = &self.authorization {
            headers.insert(header::AUTHORIZATION, key.clone());
        }
        let response = client.send(request).await.map_err(no_response)?;
        if !response.status().is_success() {
            return Err(refused(response).await);
        }
        if call.stream {
            let stream = Stream::open(response, call.deadline).await?;
            return Ok(ReplyBody::Stream(AnswerStream(Source::Upstream(Box::new(stream)))));
        }
        let body = read_all(response.into_body(), MAX_ANSWER_BYTES).await.map_err(unread)?;
        match read_whole(&body) {
            Ok(summary) => Ok(ReplyBody::Whole(Whole { body, summary })),
            Err(error) => Err(Failure {
                upstream: error_object(&body),
                ..Failure::new(FailureKind::Garbage, format!("the provider's {error}"))
            }),
        }
    }
}

fn key(name: &str, secret: &dyn Fn(&str) -> Option<String>) -> Result<HeaderValue, PrepareError> {
    let key = secret(name)
        .filter(|k| !k.is_empty())
        .ok_or_else(|| PrepareError::NoKey(name.to_owned()))?;
    let mut value = HeaderValue::try_from(format!("Bearer {}", key.trim()))
        .map_err(|_| PrepareError::BadKey(name.to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The request's JSON, spliced from parts that are JSON already.
fn request_body(model: &str, call: &Call) -> Bytes {
    let own = |name: &str| OWN_FIELDS.contains(&name);
    let overridden = |name: &str| call.parameters.iter().any(|(n, _)| n == name);
    let mut body = BytesMut::with_capacity(call.messages.len() + 512);
    body.put_slice(b"{\"model\":");
    put_string(&mut body, model);
    body.put_slice(b",\"messages\":");
    body.put_slice(&call.messages);
    let fields = call.fields.iter().filter(|(name, _)| !overridden(name));
    for (name, value) in fields.chain(call.parameters.iter()).filter(|(name, _)| !own(name)) {
        body.put_u8(b',');
        put_string(&mut body, name);
        body.put_u8(b':');
        body.put_slice(value);
    }
    if call.stream {
        body.put_slice(b",\"stream\":true");
    }
    body.put_u8(b'}');
    body.freeze()
}

fn put_string(body: &mut BytesMut, text: &str) {
    body.put_slice(serde_json::Value::from(text).to_string().as_bytes());
}

/// How long to wait before the retry after `retries` others; nothing if the
/// provider wants more patience than there is.
fn pause(retries: u32, retry_after: Option<&str>) -> Option<Duration> {
    let own = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(retries)).min(MAX_PAUSE);
    let asked = match retry_after {
        None => Duration::ZERO,
        // A date instead of seconds is never soon enough to be worth parsing.
        Some(text) => Duration::from_secs(text.trim().parse().ok()?),
    };
    (asked <= MAX_PAUSE).then(|| own.max(asked))
}

fn worth_a_retry(kind: FailureKind) -> bool {
    match kind {
        FailureKind::Refused(status) => matches!(status, 408 | 429 | 500 | 502 | 503 | 504),
        FailureKind::Unreachable | FailureKind::CutBefore => true,
        _ => false,
    }
}

fn no_response(error: SendError) -> Failure {
    let kind = match error {
        SendError::Connect { .. } => FailureKind::Unreachable,
        SendError::Cut { .. } => FailureKind::CutBefore,
    };
    Failure::new(kind, error.to_string())
}

fn unread(error: ReadError) -> Failure {
    match error {
        // Nothing of a whole answer was passed on yet: to the caller this is
        // a cut before the first byte.
        ReadError::Cut(_) => Failure::new(FailureKind::CutBefore, "the provider's answer was cut"),
        ReadError::TooLarge(limit) => Failure::new(
            FailureKind::TooLarge,
            format!("the provider's answer is longer than {limit} bytes"),
        ),
    }
}

async fn refused(response: Response<Incoming>) -> Failure {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    // An unreadable error is still that error.
    let body = read_all(response.into_body(), MAX_ERROR_BYTES).await.unwrap_or_default();
    Failure {
        retry_after,
        upstream: error_object(&body),
        ..Failure::new(
            FailureKind::Refused(status),
            format!("the provider answered with status {status}"),
        )
    }
}

fn retry_after(headers: &HeaderMap) -> Option<String> {
    headers.get(header::RETRY_AFTER)?.to_str().ok().map(str::to_owned)
}

/// The `error` object of a JSON body, if there is one.
fn error_object(body: &[u8]) -> Option<UpstreamError> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        error: &'a RawValue,
    }
    let body: Body<'_> = serde_json::from_slice(body).ok()?;
    let error = body.error.get();
    (error.starts_with('{') && error.len() <= MAX_ERROR_BYTES)
        .then(|| UpstreamError(Bytes::copy_from_slice(error.as_bytes())))
}
