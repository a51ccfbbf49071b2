//! What happens around every request: its id, its log line, its counters, the
//! check of its origin, and the headers every answer carries.

use crate::Api;
use crate::problem::{ApiError, finish};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use control::problem::{Problem, ProblemKind};
use domain::ids::RequestId;
use http::{HeaderMap, HeaderValue, Method, header};
use tokio::time::Instant;

/// The layer.
pub(crate) async fn around(State(api): State<Api>, request: Request, next: Next) -> Response {
    let id = request_id();
    let begin = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|m| m.as_str().to_owned());
    let response = if foreign(&method, request.headers()) {
        ApiError::from(Problem::new(
            ProblemKind::NotAllowed,
            "foreign_origin",
            "this request comes from a page of another site",
            "open Tidegate's own address",
        ))
        .into_response()
    } else {
        next.run(request).await
    };
    let mut response = finish(response, &id);
    let status = response.status();
    api.counters.count(&method, status);
    tracing::debug!(
        request_id = id,
        %method,
        route = route.as_deref().unwrap_or("-"),
        status = status.as_u16(),
        ms = begin.elapsed().as_millis(),
        "answered"
    );
    head(response.headers_mut(), &id);
    response
}

/// An id of this request. Without randomness there is none, which is no reason
/// to refuse the request.
fn request_id() -> String {
    let mut bytes = [0; 15];
    getrandom::fill(&mut bytes)
        .map_or_else(|_| "-".to_owned(), |()| RequestId::from_random(bytes).to_string())
}

/// True for a write a browser sends for a page of another origin. Programs send
/// no `Origin`; a browser always does when it writes.
fn foreign(method: &Method, headers: &HeaderMap) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return false;
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok());
    let authority = origin.to_str().ok().and_then(|o| o.split_once("://")).map(|(_, rest)| rest);
    authority.is_none() || authority != host
}

fn head(headers: &mut HeaderMap, id: &str) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert("x-request-id", id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_writes_of_other_origins_are_foreign() {
        let headers = |origin: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("tide.example:8080"));
            if !origin.is_empty() {
                headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
            }
            headers
        };
        for (method, origin, is_foreign) in [
            (Method::POST, "", false),
            (Method::POST, "http://tide.example:8080", false),
            (Method::POST, "http://tide.example:8081", true),
            (Method::POST, "https://evil.example", true),
            (Method::POST, "null", true),
            (Method::DELETE, "null", true),
            (Method::GET, "https://evil.example", false),
        ] {
            assert_eq!(foreign(&method, &headers(origin)), is_foreign, "{method} {origin}");
        }
    }
}
