//! Accepts connections, finds the route, hands over.

use crate::journal::Journal;
use crate::request::{self, ApiError, Body, Code, admin, feedback, health, models, plain_error};
use crate::state::Shared;
use crate::telemetry::Telemetry;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Longest wait for the head of a request.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after a failed accept (too many open files): the next one would fail
/// just as fast.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the routes reach.
#[derive(Clone)]
pub(crate) struct Routes {
    pub(crate) shared: Arc<Shared>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) journal: Arc<Journal>,
}

/// Serves until `shutdown`, then waits for answers under way, at most as long as
/// the configuration says.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Routes,
    shutdown: impl Future<Output = ()>,
) {
    let drain = routes.shared.config.drain;
    let graceful = GracefulShutdown::new();
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Small writes are events of a stream: they must not wait for more.
        stream.set_nodelay(true).unwrap_or_default();
        let routes = routes.clone();
        let service = service_fn(move |request| {
            let routes = routes.clone();
            async move { Ok::<_, Infallible>(routes.route(request).await) }
        });
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // Callers hang up; what that means for a request is counted there.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("answers under way were cut after {drain:?}");
    }
}

impl Routes {
    async fn route(&self, request: Request<Incoming>) -> Response<Body> {
        let shared = &self.shared;
        shared.counters.requests.add(1);
        let path = request.uri().path().to_owned();
        let (get, post) = (request.method() == Method::GET, request.method() == Method::POST);
        match path.as_str() {
            "/v1/chat/completions" if post => request::complete(shared.clone(), request).await,
            "/v1/models" if get => models::list(shared, request.headers()),
            "/v1/feedback" | "/api/v1/feedback" if post => {
                feedback::take(shared.clone(), request).await
            }
            "/v1/admin/kill" if post => {
                admin::switch(shared.clone(), self.journal.clone(), request, true).await
            }
            "/v1/admin/unkill" if post => {
                admin::switch(shared.clone(), self.journal.clone(), request, false).await
            }
            "/healthz" if get => health::live(),
            "/readyz" if get => health::ready(shared),
            "/metrics" if get => health::metrics(shared, &self.telemetry),
            other => match other.strip_prefix("/v1/models/") {
                Some(id) if get => models::one(shared, request.headers(), id),
                _ => self.no_route(request.method(), other),
            },
        }
    }

    fn no_route(&self, method: &Method, path: &str) -> Response<Body> {
        const KNOWN: [&str; 9] = [
            "/v1/chat/completions",
            "/v1/models",
            "/v1/feedback",
            "/api/v1/feedback",
            "/v1/admin/kill",
            "/v1/admin/unkill",
            "/healthz",
            "/readyz",
            "/metrics",
        ];
        self.shared.counters.refused.add(1);
        let error = if KNOWN.contains(&path) || path.starts_with("/v1/models/") {
            ApiError::new(Code::MethodNotAllowed, format!("`{path}` does not take `{method}`"))
        } else {
            let shown: String = path.chars().take(120).collect();
            ApiError::new(Code::NotFound, format!("there is no `{shown}` on a gateway")).hint(
                "a client's base URL ends in `/v1`; the web UI and `/api` are on control's port",
            )
        };
        plain_error(&error, &self.shared.new_id())
    }
}
