//! The body of a streamed answer.
//!
//! Pulled by the connection, so a slow caller slows the provider and a caller
//! who hangs up ends it: the body is dropped, with it the upstream connection,
//! and the request counts as cancelled.

use super::ApiError;
use super::answer::status_midway;
use super::pending::Pending;
use bytes::Bytes;
use connect::provider::{AnswerStream, Failure};
use domain::telemetry::AnswerStatus;
use futures_util::{Stream, stream::unfold};
use std::pin::Pin;

struct State {
    answer: AnswerStream,
    pending: Option<Pending>,
    status: AnswerStatus,
    error: Option<String>,
}

/// The events of an answer; counted as `Ok` at its end.
pub(super) fn body(
    answer: AnswerStream,
    pending: Pending,
) -> Pin<Box<dyn Stream<Item = Bytes> + Send>> {
    body_as(answer, pending, AnswerStatus::Ok, None)
}

/// The events of an answer; counted as `status` at its end.
pub(super) fn body_as(
    answer: AnswerStream,
    pending: Pending,
    status: AnswerStatus,
    error: Option<String>,
) -> Pin<Box<dyn Stream<Item = Bytes> + Send>> {
    let state = State { answer, pending: Some(pending), status, error };
    Box::pin(unfold(state, |mut state| async move {
        // Ended: the event is left, nothing more comes.
        state.pending.as_ref()?;
        match state.answer.next().await {
            Some(Ok(bytes)) => {
                if let Some(pending) = &mut state.pending {
                    pending.first_byte();
                }
                // Finished with the last bytes and not on the next poll, which
                // a caller who has seen `[DONE]` need not wait for.
                if state.answer.ended_well() {
                    state.finish();
                }
                Some((bytes, state))
            }
            Some(Err(failure)) => Some((state.fail(&failure), state)),
            None => {
                state.finish();
                None
            }
        }
    }))
}

impl State {
    fn finish(&mut self) {
        let summary = self.answer.take_summary();
        if let Some(pending) = self.pending.take() {
            pending.finish(self.status, self.error.take(), summary);
        }
    }

    /// The error event that ends a broken stream.
    fn fail(&mut self, failure: &Failure) -> Bytes {
        let status = status_midway(failure);
        let summary = self.answer.take_summary();
        if let Some(pending) = self.pending.take() {
            pending.finish(status, Some(failure.message.clone()), summary);
        }
        format!("data: {}\n\n", ApiError::of_failure(failure).body()).into()
    }
}
