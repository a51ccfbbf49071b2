//! `POST /v1/feedback`: what somebody says about an answer later.
//!
//! Taken in memory and delivered with the next batch; control finds the answer
//! it is about. A full queue refuses it (503) instead of losing it silently.

use super::auth::{Caller, authorize};
use super::{ApiError, Body, Code, ingress, json, plain_error};
use crate::state::Shared;
use domain::ids::AppName;
use domain::telemetry::{Feedback, MAX_FEEDBACK_NAME};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;
use std::sync::Arc;

/// Largest body, in bytes.
const LIMIT: usize = 64 << 10;

/// Takes one piece of feedback.
pub(crate) async fn take(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    match accept(&shared, request).await {
        Ok(()) => json(StatusCode::ACCEPTED, &json!({"accepted": true})),
        Err(error) => {
            shared.counters.refused.add(1);
            plain_error(&error, &shared.new_id())
        }
    }
}

async fn accept(shared: &Arc<Shared>, request: Request<Incoming>) -> Result<(), ApiError> {
    let (head, body) = request.into_parts();
    let now = shared.now();
    let caller = authorize(&shared.serving.load_full(), &head.headers, now)?;
    if caller.preview().is_some() {
        return Err(ApiError::new(
            Code::NotAllowed,
            "the token of a preview says nothing about answers: a preview is no evidence",
        )
        .hint("use a token of the app"));
    }
    let body = ingress::read(body, LIMIT.min(shared.config.body_limit)).await?;
    let hint = "for example `{\"request_id\": \"req_…\", \"name\": \"accepted\", \"value\": 1}`";
    let mut feedback: Feedback =
        serde_json::from_slice(&body).map_err(|e| ApiError::json(&e, "feedback").hint(hint))?;
    check(&feedback).map_err(|error| error.hint(hint))?;
    if let Some(app) = &feedback.app
        && !caller.may_call(app)
    {
        return Err(
            ApiError::new(Code::NotAllowed, format!("this token is not for `{app}`")).param("app")
        );
    }
    if feedback.app.is_none() {
        feedback.app = only_app(&caller)?;
    }
    if shared.sink.feedback(now, feedback) {
        Ok(())
    } else {
        Err(ApiError::new(Code::Overloaded, "too much feedback is waiting to be delivered")
            .hint("send it again a little later")
            .retry_after(Some("1".to_owned())))
    }
}

/// The app that a limited token speaks for, so that it cannot label the answers
/// of others: control finds no answer of another app under it.
fn only_app(caller: &Caller) -> Result<Option<AppName>, ApiError> {
    let apps = caller.grant().map(|grant| &grant.apps);
    match apps.map(|apps| (apps.first(), apps.len())) {
        Some((Some(app), 1)) => Ok(Some(app.clone())),
        None | Some((None, _)) => Ok(None),
        Some(_) => {
            let message = "this token is for several apps: say which one with `app`";
            Err(ApiError::new(Code::BadValue, message).param("app"))
        }
    }
}

fn check(feedback: &Feedback) -> Result<(), ApiError> {
    let bad =
        |param: &str, message: String| Err(ApiError::new(Code::BadValue, message).param(param));
    let name = feedback.name.as_str();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.len() > MAX_FEEDBACK_NAME || !name.chars().all(plain) {
        return bad(
            "name",
            format!("`name` is 1 to {MAX_FEEDBACK_NAME} letters, digits, `_`, `-` or `.`"),
        );
    }
    if !feedback.value.is_finite() {
        return bad("value", "`value` is not a number".to_owned());
    }
    match (&feedback.request_id, &feedback.subject, &feedback.app) {
        (Some(_), _, _) | (None, Some(_), Some(_)) => Ok(()),
        _ => bad("request_id", "say which answer: `request_id`, or `subject` and `app`".to_owned()),
    }
}
