//! Responses: bodies, headers, errors.

use super::ApiError;
use bytes::Bytes;
use domain::ids::{ReleaseId, RequestId};
use domain::routing::{Arm, Decision};
use futures_util::Stream;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use hyper::body::{Frame, SizeHint};
use serde_json::Value;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const OWN_REQUEST_ID: HeaderName = HeaderName::from_static("x-tidegate-request-id");
const RELEASE: HeaderName = HeaderName::from_static("x-tidegate-release");
const ARM: HeaderName = HeaderName::from_static("x-tidegate-arm");
const VARIANT: HeaderName = HeaderName::from_static("x-tidegate-variant");
const ROLLOUT: HeaderName = HeaderName::from_static("x-tidegate-rollout");
const EXPERIMENT: HeaderName = HeaderName::from_static("x-tidegate-experiment");
const FALLBACK: HeaderName = HeaderName::from_static("x-tidegate-fallback");
const COST: HeaderName = HeaderName::from_static("x-tidegate-cost-usd");

/// The body of a response.
pub enum Body {
    /// Bytes at hand.
    Whole(Bytes),
    /// Bytes as they come.
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Body::Whole",
            Self::Stream(_) => "Body::Stream",
        })
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Stream(stream) => {
                stream.as_mut().poll_next(cx).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// What the headers of an answer say about who answered.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) id: RequestId,
    pub(super) decided: Option<Decided>,
}

/// Who answered.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    pub(super) release: ReleaseId,
    pub(super) arm: Arm,
    pub(super) rollout: Option<domain::ids::RolloutId>,
    /// Experiment and variant.
    drawn: Option<(domain::ids::ExperimentId, String)>,
    pub(super) fallback: &'static str,
}

impl Decided {
    pub(super) fn of(decision: &Decision, fallback: &'static str) -> Self {
        let drawn = decision.drawn.as_ref();
        Self {
            release: decision.release,
            arm: decision.arm,
            rollout: decision.rollout,
            drawn: drawn.map(|drawn| (drawn.experiment, drawn.name.clone())),
            fallback,
        }
    }
}

impl Origin {
    /// Before it is known who answers.
    pub(super) fn nobody(id: &RequestId) -> Self {
        Self { id: id.clone(), decided: None }
    }

    fn write(&self, headers: &mut HeaderMap) {
        let mut put = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        put(REQUEST_ID, self.id.as_str());
        put(OWN_REQUEST_ID, self.id.as_str());
        let Some(decided) = &self.decided else { return };
        put(RELEASE, &decided.release.short());
        put(ARM, decided.arm.key());
        match &decided.drawn {
            Some((experiment, variant)) => {
                put(EXPERIMENT, &experiment.to_string());
                put(VARIANT, variant);
            }
            None if decided.arm == Arm::Candidate => put(VARIANT, "candidate"),
            None if decided.arm == Arm::Preview => put(VARIANT, "preview"),
            None => put(VARIANT, "control"),
        }
        put(FALLBACK, decided.fallback);
        if let Some(rollout) = decided.rollout {
            put(ROLLOUT, &rollout.to_string());
        }
    }
}

/// A JSON response without an origin.
pub(crate) fn json(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::Whole(body.to_string().into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A whole answer: the provider's bytes. Its cost, in billionths of a dollar,
/// if the provider told what it counted.
pub(super) fn whole(body: Bytes, cost_nano_usd: Option<u64>, origin: &Origin) -> Response<Body> {
    let mut response = Response::new(Body::Whole(body));
    let headers = response.headers_mut();
    let dollars = cost_nano_usd.map(|n| format!("{}.{:09}", n / 1_000_000_000, n % 1_000_000_000));
    if let Some(cost) = dollars.and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.insert(COST, cost);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    origin.write(headers);
    response
}

/// A stream of events.
pub(super) fn events(
    body: Pin<Box<dyn Stream<Item = Bytes> + Send>>,
    origin: &Origin,
) -> Response<Body> {
    let mut response = Response::new(Body::Stream(body));
    let headers = response.headers_mut();
    headers
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    origin.write(headers);
    response
}

/// An error.
pub(super) fn error(error: &ApiError, origin: &Origin) -> Response<Body> {
    let mut response = json(error.status, &error.body());
    let headers = response.headers_mut();
    if let Some(after) = error.when().and_then(|t| HeaderValue::from_str(t).ok()) {
        headers.insert(header::RETRY_AFTER, after);
    }
    origin.write(headers);
    response
}

/// An error of a route that answers no model's question.
pub(crate) fn plain_error(problem: &ApiError, id: &RequestId) -> Response<Body> {
    error(problem, &Origin::nobody(id))
}
