//! `/healthz`, `/readyz`, `/metrics`.

use crate::Api;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use domain::ids::Generation;
use http::{Method, StatusCode, header};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

/// Requests answered, by method and class of status.
#[derive(Default)]
pub(crate) struct Counters(Mutex<BTreeMap<(&'static str, u16), u64>>);

impl Counters {
    /// Counts an answer. Methods nobody serves share one name, so that nobody
    /// outside can grow the map.
    pub(crate) fn count(&self, method: &Method, status: StatusCode) {
        let known = [Method::GET, Method::POST, Method::PATCH, Method::DELETE, Method::HEAD];
        let names = ["GET", "POST", "PATCH", "DELETE", "HEAD"];
        let name = known
            .iter()
            .position(|m| m == method)
            .and_then(|i| names.get(i))
            .copied()
            .unwrap_or("other");
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((name, status.as_u16() / 100)).or_default() += 1;
    }

    fn lines(&self) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().fold(String::new(), |mut text, ((method, class), n)| {
            // Writing to a string cannot fail.
            writeln!(
                text,
                "tidegate_control_requests_total{{method=\"{method}\",status=\"{class}xx\"}} {n}"
            )
            .unwrap_or_default();
            text
        })
    }
}

/// The process is alive.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// A snapshot is published and the store answers: gateways and people are served.
pub(crate) async fn readyz(State(api): State<Api>) -> Response {
    if api.control.newest() == Generation(0) {
        return (StatusCode::SERVICE_UNAVAILABLE, "no snapshot is published yet\n").into_response();
    }
    match api.control.checkpoint().await {
        Ok(_) => "ready\n".into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n").into_response(),
    }
}

/// Prometheus text format.
pub(crate) async fn metrics(State(api): State<Api>) -> Response {
    let text = format!(
        "# HELP tidegate_control_requests_total Requests answered by the control port.\n\
         # TYPE tidegate_control_requests_total counter\n{}\
         # HELP tidegate_snapshot_generation Newest published snapshot.\n\
         # TYPE tidegate_snapshot_generation gauge\n\
         tidegate_snapshot_generation {}\n",
        api.counters.lines(),
        api.control.newest()
    );
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
