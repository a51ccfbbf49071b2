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
//! | `/forge/webhook` | [`forge`]: where a forge rings |
//! | `/internal/v1/…` | [`internal`]: what gateways fetch and ship |
//! | `/signin/{provider}` | [`sign_on`]: by a company's OpenID provider |
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
mod costs;
mod editor;
mod emergency;
mod evals;
mod events;
mod experiments;
mod extract;
mod forge;
mod git;
mod health;
mod incidents;
mod installation;
mod internal;
mod kpis;
mod layer;
mod lists;
mod log;
mod notifications;
mod once;
mod openapi;
mod patience;
mod people;
mod plan;
mod policies;
mod previews;
mod problem;
mod releases;
mod requests;
mod rollouts;
mod serve;
mod session;
mod sign_on;
mod table;
mod tokens;
mod web;
mod words;

pub use changes::STATES as CHANGE_STATES;
pub use serve::serve;

use axum::Router;
use axum::routing::{any, get, post};
use control::Control;
use std::sync::Arc;
use table::Table;
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
        .nest(
            "/api/v1",
            resources()
                .into_router()
                .layer(axum::middleware::from_fn_with_state(api.clone(), once::layer)),
        )
        .nest("/log", public_log())
        .route("/git/ops.git/{*path}", any(git::serve))
        .route("/forge/webhook", post(forge::webhook))
        .nest("/internal/v1", for_gateways())
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route("/signin/{provider}", get(sign_on::begin))
        .route("/signin/{provider}/callback", get(sign_on::finish))
        .route("/emergency", get(emergency::page))
        .route("/emergency/signin", post(emergency::sign_in))
        .route("/emergency/signout", post(emergency::sign_out))
        .route("/emergency/act", post(emergency::act))
        .fallback(web::fallback)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(axum::middleware::from_fn_with_state(api.clone(), layer::around))
        .with_state(api)
}

fn resources() -> Table {
    Table::default()
        .get("/openapi.json", openapi::document)
        .get("/session", session::get)
        .get("/session/providers", sign_on::providers)
        .post("/session", session::sign_in)
        .delete("/session", session::sign_out)
        .post("/session/as", session::view_as)
        .get("/events", events::listen)
        .get("/inbox", editor::inbox)
        .get("/models", editor::models)
        .get("/drafts/{app}", editor::draft)
        .put("/drafts/{app}", editor::save_draft)
        .delete("/drafts/{app}", editor::drop_draft)
        .get("/policies", policies::list)
        .get("/whoami", installation::whoami)
        .get("/git", installation::git)
        .get("/gateways", installation::gateways)
        .get("/apps", apps::list)
        .get("/apps/{app}", apps::get)
        .post("/apps/{app}/actions", apps::act)
        .get("/apps/{app}/call", apps::call)
        .get("/apps/{app}/files", editor::files)
        .post("/apps/{app}/check", editor::check)
        .get("/apps/{app}/try", editor::try_offer)
        .post("/apps/{app}/try", editor::try_edits)
        .post("/apps/{app}/danger", apps::add_danger)
        .get("/apps/{app}/plan", plan::get)
        .post("/apps/{app}/plan", plan::ask)
        .get("/changes", changes::list)
        .post("/changes", changes::create)
        .get("/changes/{id}", changes::get)
        .patch("/changes/{id}", changes::update)
        .get("/changes/{id}/diff", changes::diff)
        .get("/changes/{id}/checks", changes::checks)
        .get("/changes/{id}/evals", evals::report)
        .get("/changes/{id}/evals/cases", evals::cases)
        .get("/apps/{app}/evaluation", evals::scheduled)
        .post("/changes/{id}/evals/cases/mark", evals::mark)
        .get("/changes/{id}/evals/marks", evals::marks)
        .get("/changes/{id}/evidence", releases::change_evidence)
        .get("/changes/{id}/preview", previews::get)
        .post("/changes/{id}/preview", previews::start)
        .delete("/changes/{id}/preview", previews::stop)
        .post("/changes/{id}/approvals", changes::decide)
        .post("/changes/{id}/withdraw", changes::withdraw)
        .post("/changes/{id}/recheck", changes::recheck)
        .get("/rollouts", rollouts::list)
        .get("/rollouts/{id}", rollouts::get)
        .get("/rollouts/{id}/ticks", rollouts::ticks)
        .get("/rollouts/{id}/series", rollouts::series)
        .get("/rollouts/{id}/outcomes", rollouts::outcomes)
        .get("/rollouts/{id}/sample", rollouts::sample)
        .post("/rollouts/{id}/actions", rollouts::act)
        .get("/experiments", experiments::list)
        .post("/experiments", experiments::start)
        .get("/experiments/{id}", experiments::get)
        .post("/experiments/{id}/actions", experiments::act)
        .get("/releases", releases::list)
        .get("/releases/{id}", releases::get)
        .get("/releases/{id}/bom", releases::bom)
        .get("/releases/{id}/evidence", releases::evidence)
        .post("/releases/{id}/clear", releases::clear)
        .get("/incidents", incidents::list)
        .get("/incidents/{id}", incidents::get)
        .post("/incidents/{id}/reason", incidents::reason)
        .get("/requests", requests::list)
        .get("/requests/{id}/explain", requests::explain)
        .get("/notifications/channels", notifications::channels)
        .post("/notifications/channels", notifications::create)
        .put("/notifications/channels/{id}", notifications::update)
        .delete("/notifications/channels/{id}", notifications::remove)
        .post("/notifications/channels/{id}/test", notifications::test)
        .get("/notifications/preview", notifications::preview)
        .get("/notifications/deliveries", notifications::deliveries)
        .post("/notifications/deliveries/{id}/redeliver", notifications::redeliver)
        .get("/notifications/preferences", notifications::preferences)
        .put("/notifications/preferences", notifications::set_preferences)
        .get("/costs", costs::get)
        .get("/kpis", kpis::get)
        .get("/kpis.csv", kpis::csv)
        .get("/people", people::list)
        .post("/people", people::put)
        .put("/people/{id}/password", session::set_password)
        .post("/people/{id}/sign-in-code", session::make_code)
        .delete("/people/{id}/sign-on", sign_on::forget)
        .get("/tokens", tokens::list)
        .post("/tokens", tokens::create)
        .delete("/tokens/{id}", tokens::revoke)
        .get("/audit", audit::list)
        .get("/audit/verify", audit::verify)
        .get("/audit/{index}/proof", audit::proof)
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
