//! The control port: HTTP for people, scripts, git, auditors and gateways.
//!
//! Nothing is decided here. A handler reads a request into types, calls the
//! method of `control` that has its name, and writes what it says; one layer
//! turns every no into a problem document (RFC 9457).
//!
//! | path | file |
//! | --- | --- |
//! | `/api/v1/…` | one file per resource: [`apps`], [`changes`], [`rollouts`], … |
//! | `/log/…` | [`log`]: the audit log as C2SP `tlog-tiles`, public |
//! | `/git/ops.git/…` | [`git`]: git's smart protocol |
//! | `/internal/v1/…` | [`internal`]: what gateways fetch and ship |
//! | `/emergency` | [`emergency`]: the page that needs no JavaScript |
//! | everything else | [`web`]: the page |
//! | `/healthz`, `/readyz`, `/metrics` | [`health`] |
//!
//! What must stay true:
//! - every answer carries a request id, and every error repeats it;
//! - a request's size is bounded before it is read, except a push, which git
//!   itself bounds;
//! - a browser page of another origin cannot write, whatever it holds.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")
)]

mod apps;
mod audit;
mod changes;
mod editor;
mod emergency;
mod events;
mod experiments;
mod extract;
mod git;
mod health;
mod incidents;
mod installation;
mod internal;
mod layer;
mod log;
mod patience;
mod people;
mod plan;
mod problem;
mod releases;
mod requests;
mod rollouts;
mod serve;
mod session;
mod tokens;
mod web;
mod words;

pub use changes::STATES as CHANGE_STATES;
pub use serve::serve;

use axum::Router;
use axum::routing::{any, delete, get, post, put};
use control::Control;
use std::sync::Arc;
use tokio::sync::watch;

/// What every handler is handed.
#[derive(Clone)]
pub(crate) struct Api {
    control: Arc<Control>,
    shutdown: watch::Receiver<bool>,
    counters: Arc<health::Counters>,
    streams: events::Open,
}

/// The control port's routes over `control`. Requests that wait for news end
/// early when `shutdown` turns true.
pub fn router(control: Arc<Control>, shutdown: watch::Receiver<bool>) -> Router {
    let api = Api { control, shutdown, counters: Arc::default(), streams: events::Open::default() };
    Router::new()
        .nest("/api/v1", resources())
        .nest("/log", public_log())
        .route("/git/ops.git/{*path}", any(git::serve))
        .nest("/internal/v1", for_gateways())
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route("/emergency", get(emergency::page))
        .route("/emergency/signin", post(emergency::sign_in))
        .route("/emergency/signout", post(emergency::sign_out))
        .route("/emergency/act", post(emergency::act))
        .fallback(web::fallback)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(axum::middleware::from_fn_with_state(api.clone(), layer::around))
        .with_state(api)
}

fn resources() -> Router<Api> {
    Router::new()
        .route("/session", get(session::get).post(session::sign_in).delete(session::sign_out))
        .route("/session/as", post(session::view_as))
        .route("/events", get(events::listen))
        .route("/inbox", get(editor::inbox))
        .route("/models", get(editor::models))
        .route(
            "/drafts/{app}",
            get(editor::draft).put(editor::save_draft).delete(editor::drop_draft),
        )
        .route("/whoami", get(installation::whoami))
        .route("/git", get(installation::git))
        .route("/gateways", get(installation::gateways))
        .route("/apps", get(apps::list))
        .route("/apps/{app}", get(apps::get))
        .route("/apps/{app}/actions", post(apps::act))
        .route("/apps/{app}/call", get(apps::call))
        .route("/apps/{app}/files", get(editor::files))
        .route("/apps/{app}/check", post(editor::check))
        .route("/apps/{app}/plan", get(plan::get).post(plan::ask))
        .route("/changes", get(changes::list).post(changes::create))
        .route("/changes/{id}", get(changes::get).patch(changes::update))
        .route("/changes/{id}/diff", get(changes::diff))
        .route("/changes/{id}/checks", get(changes::checks))
        .route("/changes/{id}/approvals", post(changes::decide))
        .route("/changes/{id}/withdraw", post(changes::withdraw))
        .route("/rollouts", get(rollouts::list))
        .route("/rollouts/{id}", get(rollouts::get))
        .route("/rollouts/{id}/ticks", get(rollouts::ticks))
        .route("/rollouts/{id}/series", get(rollouts::series))
        .route("/rollouts/{id}/outcomes", get(rollouts::outcomes))
        .route("/rollouts/{id}/sample", get(rollouts::sample))
        .route("/rollouts/{id}/actions", post(rollouts::act))
        .route("/experiments", get(experiments::list).post(experiments::start))
        .route("/experiments/{id}", get(experiments::get))
        .route("/experiments/{id}/actions", post(experiments::act))
        .route("/releases", get(releases::list))
        .route("/releases/{id}", get(releases::get))
        .route("/releases/{id}/bom", get(releases::bom))
        .route("/releases/{id}/clear", post(releases::clear))
        .route("/incidents", get(incidents::list))
        .route("/incidents/{id}", get(incidents::get))
        .route("/incidents/{id}/reason", post(incidents::reason))
        .route("/requests", get(requests::list))
        .route("/requests/{id}/explain", get(requests::explain))
        .route("/people", get(people::list).post(people::put))
        .route("/people/{id}/password", put(session::set_password))
        .route("/people/{id}/sign-in-code", post(session::make_code))
        .route("/tokens", get(tokens::list).post(tokens::create))
        .route("/tokens/{id}", delete(tokens::revoke))
        .route("/audit", get(audit::list))
        .route("/audit/verify", get(audit::verify))
        .route("/audit/{index}/proof", get(audit::proof))
}

fn public_log() -> Router<Api> {
    Router::new()
        .route("/checkpoint", get(log::checkpoint))
        .route("/vkey", get(log::key))
        .route("/tile/{*path}", get(log::tile))
}

fn for_gateways() -> Router<Api> {
    Router::new()
        .route("/snapshot", get(internal::snapshot))
        .route("/blobs/{digest}", get(internal::blob))
        .route("/telemetry", post(internal::telemetry))
        .route("/kills", post(internal::kills))
}
