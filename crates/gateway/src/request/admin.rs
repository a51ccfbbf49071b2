//! `POST /v1/admin/kill` and `/v1/admin/unkill`: the switch at the gateway
//! itself, for when control is out of reach. See [`crate::journal`].
//!
//! `{"app": "support", "reason": "…"}` with an operator's token. From the moment
//! the switch is thrown every new request of the app is answered by its
//! fallback; answers under way are finished.

use super::auth::authorize;
use super::{ApiError, Body, Code, ingress, json, plain_error};
use crate::journal::Journal;
use crate::state::Shared;
use domain::ids::AppName;
use domain::snapshot::LocalKill;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Largest body, in bytes.
const LIMIT: usize = 16 << 10;
/// Most characters of a reason.
const MAX_REASON: usize = 2000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    app: AppName,
    /// May follow later: an emergency does not wait for words.
    #[serde(default)]
    reason: String,
}

/// Throws the switch, or releases it.
pub(crate) async fn switch(
    shared: Arc<Shared>,
    journal: Arc<Journal>,
    request: Request<Incoming>,
    killed: bool,
) -> Response<Body> {
    match obey(&shared, &journal, request, killed).await {
        Ok(body) => json(StatusCode::OK, &body),
        Err(error) => plain_error(&error, &shared.new_id()),
    }
}

async fn obey(
    shared: &Arc<Shared>,
    journal: &Journal,
    request: Request<Incoming>,
    killed: bool,
) -> Result<Value, ApiError> {
    let (head, body) = request.into_parts();
    let at = shared.now();
    let caller = authorize(&shared.serving.load_full(), &head.headers, at)?;
    let body = ingress::read(body, LIMIT).await?;
    let order: Order = serde_json::from_slice(&body).map_err(|e| {
        ApiError::json(&e, "an order")
            .hint("for example `{\"app\": \"support\", \"reason\": \"…\"}`")
    })?;
    let by = match caller.grant() {
        Some(grant) if grant.operate && caller.may_call(&order.app) => grant.name.clone(),
        _ => {
            return Err(ApiError::new(
                Code::NotAllowed,
                "this token may not use the kill switch of this app",
            )
            .hint("use an operator's token"));
        }
    };
    if !caller.compiled.apps.contains_key(&order.app) {
        return Err(
            ApiError::new(Code::NotFound, format!("there is no app `{}`", order.app)).param("app")
        );
    }
    if order.reason.chars().count() > MAX_REASON {
        return Err(ApiError::new(
            Code::BadValue,
            format!("`reason` is longer than {MAX_REASON} characters"),
        )
        .param("reason"));
    }
    let entry = LocalKill {
        id: shared.new_id().as_str().replacen("req_", "kill_", 1),
        gateway: shared.config.name.clone(),
        at,
        app: order.app.clone(),
        killed,
        by: by.clone(),
        reason: order.reason,
    };
    let id = entry.id.clone();
    let written = journal.throw(shared, entry).await;
    tracing::warn!(app = %order.app, killed, %by, "kill switch used at this gateway");
    Ok(json!({
        "id": id,
        "app": order.app,
        "killed": killed,
        "gateway": shared.config.name,
        "at": at.iso(),
        // False: it acts, but a restart before control is back forgets it.
        "written": written,
    }))
}
