//! `/internal/v1/…`: what gateways fetch and ship. A gateway's token opens
//! nothing else, and a person's token does not open this.

use crate::Api;
use crate::extract::{Json, Params, Path, bytes, secret};
use crate::problem::ApiError;
use crate::words;
use axum::extract::{FromRequestParts, Request, State};
use axum::response::{IntoResponse as _, Response};
use control::problem::{Problem, ProblemKind};
use domain::ids::{Digest, Generation};
use http::request::Parts;
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// How long a request for a newer snapshot is held.
const HOLD: Duration = Duration::from_secs(25);
/// Largest batch of telemetry, in bytes.
const MAX_BATCH: usize = 64 << 20;

/// A gateway that may join.
pub(crate) struct Gateway;

impl FromRequestParts<Api> for Gateway {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        api.control.authenticate_gateway(&secret(&parts.headers)?).await?;
        Ok(Self)
    }
}

#[derive(Deserialize)]
pub(crate) struct After {
    #[serde(default)]
    after: Generation,
}

pub(crate) async fn snapshot(
    State(api): State<Api>,
    _: Gateway,
    Params(After { after }): Params<After>,
) -> Response {
    let mut shutdown = api.shutdown.clone();
    let newer = tokio::select! {
        newer = api.control.snapshot_after(after, HOLD) => newer,
        _ = shutdown.wait_for(|stop| *stop) => None,
    };
    match newer {
        Some(published) => Json(&published.signed).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

pub(crate) async fn blob(
    State(api): State<Api>,
    _: Gateway,
    Path(digest): Path<Digest>,
) -> Result<Response, ApiError> {
    let bytes = api.control.blob(&digest).await?.ok_or_else(|| {
        Problem::new(
            ProblemKind::NotFound,
            "no_such_blob",
            format!("there is no blob `{digest}`"),
            "fetch a newer snapshot",
        )
    })?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

pub(crate) async fn telemetry(
    State(api): State<Api>,
    _: Gateway,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let body = bytes(request.into_body(), MAX_BATCH).await?;
    let batch = serde_json::from_slice(&body).map_err(unreadable)?;
    api.control.ingest(batch).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn kills(
    State(api): State<Api>,
    _: Gateway,
    request: Request,
) -> Result<Response, ApiError> {
    let body = bytes(request.into_body(), MAX_BATCH).await?;
    let kills: Vec<_> = serde_json::from_slice(&body).map_err(unreadable)?;
    let generation = api.control.journal(&kills).await?;
    Ok(Json(json!({ "generation": generation })).into_response())
}

fn unreadable(error: serde_json::Error) -> ApiError {
    ApiError::invalid(
        "bad_batch",
        format!("the batch cannot be read: {}", words::plain(&error.to_string())),
        "is the gateway of the same version?",
    )
}
