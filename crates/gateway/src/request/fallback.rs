//! What users get while the kill switch is thrown or the provider fails.

use super::answer::choose;
use super::answer::status_of;
use super::complete::{Known, Wish, refuse};
use super::pending::Pending;
use super::respond::{self, Decided, Origin};
use super::{ApiError, Body, Code, stream};
use crate::snapshot::App;
use connect::provider::{Failure, ReplyBody, rules_call};
use domain::snapshot::OnError;
use domain::telemetry::AnswerStatus;
use http::Response;
use std::time::Duration;
use tokio::time::Instant;

/// The model's name in answers of the fallback.
const MODEL: &str = "tidegate/fallback";
/// How long a fallback may take whatever the request's deadline: after a
/// timeout nothing would be left of it.
const GRACE: Duration = Duration::from_secs(5);

/// The kill switch is thrown: the fallback answers, whatever the app's
/// `on_error`; nothing reaches a provider.
pub(super) async fn killed(known: &Known, app: &App, mut pending: Pending) -> Response<Body> {
    if known.wish != Wish::Never
        && let Some(reply) = reply(known, app, &mut pending).await
    {
        return match reply {
            ReplyBody::Whole(whole) => {
                let origin = origin(known, &pending);
                pending.first_byte();
                pending.finish(AnswerStatus::Killed, None, whole.summary);
                respond::whole(whole.body, Some(0), &origin)
            }
            ReplyBody::Stream(answer) => {
                let origin = origin(known, &pending);
                respond::events(
                    stream::body_as(answer, pending, AnswerStatus::Killed, None),
                    &origin,
                )
            }
        };
    }
    let error = ApiError::new(Code::Killed, format!("`{}` is switched off", known.app))
        .hint("an operator threw the kill switch; ask the app's owner, or allow its fallback");
    let origin = origin(known, &pending);
    pending.finish(AnswerStatus::Killed, Some(error.message().to_owned()), Default::default());
    respond::error(&error, &origin)
}

/// The provider failed: the fallback answers if the app or the caller wants it
/// to. It counts as a failure of the release either way.
pub(super) async fn failed(
    known: &Known,
    app: &App,
    mut pending: Pending,
    failure: Failure,
) -> Response<Body> {
    pending.retries = failure.retries;
    let wanted = match known.wish {
        Wish::App => app.snapshot.on_error == OnError::Fallback,
        Wish::Allow => true,
        Wish::Never => false,
    };
    if !wanted {
        return refuse(&failure, pending, known);
    }
    let Some(reply) = reply(known, app, &mut pending).await else {
        return refuse(&failure, pending, known);
    };
    let origin = origin(known, &pending);
    let (status, error) = (status_of(&failure), Some(failure.message));
    pending.first_byte();
    match reply {
        ReplyBody::Whole(whole) => {
            pending.finish(status, error, whole.summary);
            respond::whole(whole.body, Some(0), &origin)
        }
        ReplyBody::Stream(answer) => {
            respond::events(stream::body_as(answer, pending, status, error), &origin)
        }
    }
}

/// The fallback's answer; none if the app has none.
async fn reply(known: &Known, app: &App, pending: &mut Pending) -> Option<ReplyBody> {
    let chosen = choose(app.fallback.as_ref()?, &known.job.request)?;
    let mut call = known.job.call(bytes::Bytes::new());
    call.local = Some(chosen.text);
    call.deadline = call.deadline.max(Instant::now() + GRACE);
    let reply = rules_call(MODEL, call).await.ok()?;
    pending.fallback = chosen.word;
    // No model answered: no tokens, no cost.
    pending.served = None;
    Some(reply.body)
}

fn origin(known: &Known, pending: &Pending) -> Origin {
    Origin {
        id: known.job.id.clone(),
        decided: Some(Decided::of(pending.decision(), pending.fallback)),
    }
}
