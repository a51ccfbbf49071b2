//! What happens around every request: its id, its log line, its counters, the
//! check of its origin, and the headers every answer carries.

use crate::Api;
use crate::problem::{ApiError, finish};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use control::Config;
use control::problem::{Problem, ProblemKind};
use control::refusals::Refusal;
use domain::ids::{PersonName, RequestId};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use tokio::time::Instant;

/// Who a request turned out to be from, for the log: known only once a handler
/// has asked.
#[derive(Clone, Default)]
pub(crate) struct Who(pub(crate) Arc<OnceLock<PersonName>>);

/// The layer.
pub(crate) async fn around(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let id = request_id();
    let begin = Instant::now();
    let method = request.method().clone();
    let git = request.uri().path().starts_with("/git/");
    let route = request.extensions().get::<MatchedPath>().map(|m| m.as_str().to_owned());
    let who = Who::default();
    request.extensions_mut().insert(who.clone());
    let source = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|connection| connection.0.ip().to_string());
    let response = if foreign(&method, request.headers(), api.control.config()) {
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
    let status = response.status();
    if let Some(what) = refused(&method, route.as_deref(), status) {
        let code = crate::problem::code(&response);
        let code = code.map_or_else(|| status.as_u16().to_string(), str::to_owned);
        api.control.note_refused(Refusal { who: who.0.get().cloned(), source, what, code }).await;
    }
    let mut response = finish(response, &id);
    api.counters.count(&method, status);
    tracing::debug!(
        request_id = id,
        %method,
        route = route.as_deref().unwrap_or("-"),
        status = status.as_u16(),
        ms = begin.elapsed().as_millis(),
        "answered"
    );
    if status == StatusCode::UNAUTHORIZED {
        // Git asks for a password only when told how; a browser that is told the
        // same puts its own dialog before the page.
        let how = if git { "Basic realm=\"Tidegate\", charset=\"UTF-8\"" } else { "Bearer" };
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(how));
    }
    head(response.headers_mut(), &id);
    response
}

/// What was refused, if it belongs into the audit log: a write somebody may not
/// do, or a sign-in that failed.
fn refused(method: &Method, route: Option<&str>, status: StatusCode) -> Option<String> {
    let route = route?;
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let signs_in = matches!(route, "/api/v1/session" | "/emergency/signin");
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS if signs_in && !reads => {
            Some("sign in".to_owned())
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if !reads => {
            Some(format!("{method} {route}"))
        }
        _ => None,
    }
}

/// An id of this request. Without randomness there is none, which is no reason
/// to refuse the request.
fn request_id() -> String {
    let mut bytes = [0; 15];
    getrandom::fill(&mut bytes)
        .map_or_else(|_| "-".to_owned(), |()| RequestId::from_random(bytes).to_string())
}

/// True for a write a browser sends for a page of another origin. Programs send
/// no `Origin`; a browser always does when it writes. Our own is the one this
/// request was sent to, and behind a proxy that calls us by another name, the
/// one people were told.
fn foreign(method: &Method, headers: &HeaderMap, config: &Config) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return false;
    }
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if text("sec-fetch-site") == Some("cross-site") {
        return true;
    }
    let Some(origin) = text("origin") else { return false };
    let Some((_, authority)) = origin.split_once("://") else { return true };
    let public = config.public_url.split_once("://").map(|(_, rest)| rest);
    let public = public.and_then(|rest| rest.split('/').next());
    Some(authority) != text("host") && Some(authority) != public
}

fn head(headers: &mut HeaderMap, id: &str) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("cross-origin-resource-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("cache-control", "no-store"),
    ] {
        // Pages say what they themselves need.
        if !headers.contains_key(name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert("x-request-id", id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only the part of it that is looked at.
    fn config() -> Config {
        Config {
            data: std::path::PathBuf::new(),
            origin: String::new(),
            public_url: "https://tide.example/ops".to_owned(),
            gateway_url: None,
            environment: "production".parse().unwrap(),
            look_every: domain::units::Span::from_secs(1),
            gateway_silence: domain::units::Span::from_secs(1),
            clock: domain::units::Clock::new(|| domain::units::Timestamp(0)),
            executable: std::path::PathBuf::new(),
            prometheus: None,
            demo: false,
            env_keys: control::ClassifierKeys::none(),
            sign_on: Vec::new(),
        }
    }

    #[test]
    fn only_writes_of_other_origins_are_foreign() {
        let headers = |origin: &str, site: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("10.0.0.1:8080"));
            for (name, value) in [("origin", origin), ("sec-fetch-site", site)] {
                if !value.is_empty() {
                    headers.insert(name, HeaderValue::from_str(value).unwrap());
                }
            }
            headers
        };
        for (method, origin, site, is_foreign) in [
            (Method::POST, "", "", false),
            (Method::POST, "", "same-origin", false),
            (Method::POST, "", "cross-site", true),
            (Method::POST, "http://10.0.0.1:8080", "", false),
            (Method::POST, "http://10.0.0.1:8080", "same-origin", false),
            (Method::POST, "https://tide.example", "same-origin", false),
            (Method::POST, "http://10.0.0.1:8081", "", true),
            (Method::POST, "https://evil.example", "", true),
            (Method::POST, "https://tide.example.evil.example", "", true),
            (Method::POST, "https://tide.example@evil.example", "", true),
            (Method::POST, "null", "", true),
            (Method::DELETE, "null", "", true),
            (Method::GET, "https://evil.example", "cross-site", false),
        ] {
            let headers = headers(origin, site);
            assert_eq!(foreign(&method, &headers, &config()), is_foreign, "{method} {origin}");
        }
    }
}
