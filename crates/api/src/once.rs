//! `Idempotency-Key`: a POST that is sent again is answered again, not done again.
//!
//! The command runs on a task of its own, so that a caller who hangs up does not
//! leave it half remembered.

use crate::Api;
use crate::extract::{MAX_BODY, Signed, bytes};
use crate::problem::ApiError;
use axum::body::Body;
use axum::extract::{FromRequestParts as _, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use control::once::{Given, MAX_ANSWER, Once};
use control::problem::{Problem, ProblemKind};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};

/// The header.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer is from before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Routes whose answers hold a secret.
const SECRET: [&str; 3] =
    ["/api/v1/tokens", "/api/v1/people/{id}/sign-in-code", "/api/v1/changes/{id}/preview"];

/// The layer around `/api/v1`.
pub(crate) async fn layer(State(api): State<Api>, request: Request, next: Next) -> Response {
    let named = request.headers().contains_key(&KEY);
    let session = request.uri().path().trim_start_matches("/api/v1").starts_with("/session");
    if request.method() != Method::POST || !named || session {
        return next.run(request).await;
    }
    once(api, request, next).await.unwrap_or_else(ApiError::into_response)
}

async fn once(api: Api, request: Request, next: Next) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let Signed(caller) = Signed::from_request_parts(&mut parts, &api).await?;
    let body = bytes(body, MAX_BODY).await?;
    let text = |name: &HeaderName| {
        parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    // Lengths keep two different requests from reading the same.
    let mut asked = format!("{}\n{}\n{path}\n", text(&header::IF_MATCH).len(), path.len());
    asked.push_str(&text(&header::IF_MATCH));
    asked.push_str(&String::from_utf8_lossy(&body));
    let ticket = match api.control.begin_once(&caller, &text(&KEY), &asked).await? {
        Once::Done(given) => return Ok(again(given)),
        Once::Run(ticket) => ticket,
    };
    let route = parts.extensions.get::<MatchedPath>().map(|m| m.as_str().to_owned());
    let keeps = !route.is_some_and(|route| SECRET.contains(&route.as_str()));
    let request = Request::from_parts(parts, Body::from(body));
    let done = tokio::task::spawn(async move {
        let response = next.run(request).await;
        if !response.status().is_success() {
            api.control.finish_once(ticket, None).await;
            return Ok(response);
        }
        let (head, body) = response.into_parts();
        let body = bytes(body, usize::MAX).await?;
        let kept = (keeps && body.len() <= MAX_ANSWER)
            .then(|| String::from_utf8(body.to_vec()).ok())
            .flatten();
        let kind = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let given = Given {
            status: head.status.as_u16(),
            content_type: kind.unwrap_or_default().to_owned(),
            body: kept,
        };
        api.control.finish_once(ticket, Some(given)).await;
        Ok(Response::from_parts(head, Body::from(body)))
    });
    done.await.unwrap_or_else(|error| {
        let detail = format!("the command broke off: {error}");
        Err(Problem::new(ProblemKind::Failed, "failed", detail, "look whether it was done").into())
    })
}

fn again(given: Given) -> Response {
    let mut response = Body::from(given.body.unwrap_or_default()).into_response();
    *response.status_mut() = StatusCode::from_u16(given.status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    match HeaderValue::from_str(&given.content_type) {
        Ok(kind) if !kind.is_empty() => {
            headers.insert(header::CONTENT_TYPE, kind);
        }
        _ => {
            headers.remove(header::CONTENT_TYPE);
        }
    }
    response
}
