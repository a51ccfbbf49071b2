//! `/healthz`, `/readyz`, `/metrics`: for orchestrators and dashboards, without
//! a token, and without a word about prompts, answers or people.

use super::{Body, json};
use crate::metrics;
use crate::state::Shared;
use crate::telemetry::Telemetry;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use serde_json::json;

/// The process runs.
pub(crate) fn live() -> Response<Body> {
    json(StatusCode::OK, &json!({"status": "ok"}))
}

/// It has something to serve. Control being out of reach is told and is no
/// reason to take a gateway out: that is when its snapshot is needed.
pub(crate) fn ready(shared: &Shared) -> Response<Body> {
    let serving = shared.serving.load();
    let age = serving.compiled.as_ref().map(|c| shared.now().since(c.issued_at).secs());
    let body = json!({
        "ready": serving.compiled.is_some(),
        "gateway": shared.config.name,
        "generation": serving.generation(),
        "snapshot_age_seconds": age,
        "control": if shared.counters.control_up.get() { "connected" } else { "unreachable" },
        "local_kills": serving.kills.len(),
    });
    let status =
        if serving.compiled.is_some() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &body)
}

/// Numbers.
pub(crate) fn metrics(shared: &Shared, telemetry: &Telemetry) -> Response<Body> {
    let serving = shared.serving.load();
    let text = telemetry
        .with_counts(|by_app| metrics::render(&shared.counters, by_app, &serving, shared.now()));
    let mut response = Response::new(Body::Whole(text.into()));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    response
}
