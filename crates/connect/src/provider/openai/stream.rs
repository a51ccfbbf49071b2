//! The stream of one upstream, passed on event by event.
//!
//! It ends well only with `[DONE]`, or where a provider that sends none has
//! said why it stopped; then `[DONE]` is added. Everything else is a failure
//! that is told, never a silent end.

use super::{Failure, FailureKind, UpstreamError};
use crate::provider::{MAX_ERROR_BYTES, MAX_STREAM_BYTES};
use crate::sse::Cutter;
use crate::tap::{Heard, Summary, Tap, read_whole};
use bytes::Bytes;
use http::{Response, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::collections::VecDeque;
use std::fmt;
use tokio::time::{Instant, timeout_at};

const DONE: &[u8] = b"data: [DONE]\n\n";

pub(in crate::provider) struct Stream {
    body: Incoming,
    cutter: Cutter,
    tap: Tap,
    /// Pieces not handed out yet.
    ready: VecDeque<Bytes>,
    /// How it ended, to be told after `ready` is empty.
    end: Option<End>,
    received: usize,
    deadline: Instant,
}

enum End {
    Well,
    Badly(Failure),
    Told,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("received", &self.received)
            .field("tap", &self.tap)
            .finish_non_exhaustive()
    }
}

impl Stream {
    /// Reads up to the first whole event with data.
    pub(super) async fn open(
        response: Response<Incoming>,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        if !is_event_stream(&response) {
            return Err(not_a_stream(response).await);
        }
        let mut stream = Self {
            body: response.into_body(),
            cutter: Cutter::default(),
            tap: Tap::default(),
            ready: VecDeque::new(),
            end: None,
            received: 0,
            deadline,
        };
        while !stream.tap.began() && stream.end.is_none() {
            stream.read().await;
        }
        match stream.end.take() {
            Some(End::Badly(failure)) if !stream.tap.began() => Err(before_the_first(failure)),
            end => {
                stream.end = end;
                Ok(stream)
            }
        }
    }

    pub(in crate::provider) async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(Ok(piece));
            }
            match self.end.replace(End::Told) {
                None => {
                    self.end = None;
                    self.read().await;
                }
                Some(End::Badly(failure)) => return Some(Err(failure)),
                Some(End::Well | End::Told) => return None,
            }
        }
    }

    pub(in crate::provider) fn ended_well(&self) -> bool {
        self.ready.is_empty() && matches!(self.end, Some(End::Well))
    }

    pub(in crate::provider) fn take_summary(&mut self) -> Summary {
        self.tap.take()
    }

    /// Reads one frame, or learns how the stream ended.
    async fn read(&mut self) {
        let frame = match timeout_at(self.deadline, self.body.frame()).await {
            Err(_) => return self.fail(Failure::timeout()),
            Ok(None) => return self.close(),
            Ok(Some(Err(_))) => return self.fail(cut()),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { return };
        self.received = self.received.saturating_add(data.len());
        if self.received > MAX_STREAM_BYTES {
            let message = format!("the provider's stream is longer than {MAX_STREAM_BYTES} bytes");
            return self.fail(Failure::new(FailureKind::TooLarge, message));
        }
        match self.cutter.push(data) {
            Ok(piece) => self.pass(piece),
            Err(error) => self.fail(Failure::new(FailureKind::TooLarge, error.to_string())),
        }
    }

    /// Passes on what the tap understands of a piece.
    fn pass(&mut self, mut piece: Bytes) {
        match self.tap.listen(&piece) {
            Heard::Fine => self.hand_out(piece),
            Heard::Done(after) => {
                piece.truncate(after);
                self.hand_out(piece);
                self.end = Some(End::Well);
            }
            Heard::Error(before, error) => {
                piece.truncate(before);
                self.hand_out(piece);
                let upstream = (error.len() <= MAX_ERROR_BYTES).then_some(UpstreamError(error));
                let failure =
                    Failure::new(FailureKind::Cut, "the provider reported an error in its stream");
                self.fail(Failure { upstream, ..failure });
            }
            Heard::Garbage(before) => {
                piece.truncate(before);
                self.hand_out(piece);
                let message = "the provider sent an event that is not JSON";
                self.fail(Failure::new(FailureKind::Garbage, message));
            }
        }
    }

    /// The upstream ended the body in good form.
    fn close(&mut self) {
        let rest = self.cutter.rest();
        // Some providers end the last event with the connection.
        if !rest.trim_ascii().is_empty() {
            match self.tap.listen(&rest) {
                Heard::Done(_) => {
                    self.ready.push_back(Bytes::from_static(DONE));
                    self.end = Some(End::Well);
                    return;
                }
                Heard::Fine if self.tap.finished() => {
                    self.ready.push_back(rest);
                    self.ready.push_back(Bytes::from_static(b"\n\n"));
                }
                // A torn event: what it began is lost.
                _ => return self.fail(cut()),
            }
        }
        if self.tap.finished() {
            self.ready.push_back(Bytes::from_static(DONE));
            self.end = Some(End::Well);
        } else {
            self.fail(cut());
        }
    }

    fn hand_out(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.ready.push_back(piece);
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.end = Some(End::Badly(failure));
    }
}

fn cut() -> Failure {
    Failure::new(FailureKind::Cut, "the provider's stream was cut")
}

/// The same event means something else before the first byte.
fn before_the_first(failure: Failure) -> Failure {
    match (failure.kind, &failure.upstream) {
        (FailureKind::Cut, None) => Failure {
            kind: FailureKind::CutBefore,
            message: "the connection ended before the first byte of the answer".to_owned(),
            ..failure
        },
        // An error instead of an answer, with status 200.
        (FailureKind::Cut, Some(_)) => Failure { kind: FailureKind::Refused(500), ..failure },
        _ => failure,
    }
}

fn is_event_stream(response: &Response<Incoming>) -> bool {
    response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(
        |value| value.trim_start().to_ascii_lowercase().starts_with("text/event-stream"),
    )
}

async fn not_a_stream(response: Response<Incoming>) -> Failure {
    let body =
        crate::http::read_all(response.into_body(), MAX_ERROR_BYTES).await.unwrap_or_default();
    let message = if read_whole(&body).is_ok() {
        "the provider sent a whole answer where a stream was asked for"
    } else {
        "the provider sent something that is no event stream"
    };
    Failure { upstream: super::error_object(&body), ..Failure::new(FailureKind::Garbage, message) }
}
