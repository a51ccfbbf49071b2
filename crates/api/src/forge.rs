//! `/forge/webhook`: where a forge rings. What it says is checked for its
//! signature and then not read: it only makes the next visit come at once.

use crate::Api;
use crate::extract::bytes;
use crate::problem::ApiError;
use axum::extract::{Request, State};
use http::StatusCode;

/// Largest body, in bytes.
const MAX_BODY: usize = 8 << 20;

pub(crate) async fn webhook(
    State(api): State<Api>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let (head, body) = request.into_parts();
    let body = bytes(body, MAX_BODY).await?;
    api.control.ring_forge(&head.headers, &body).await?;
    Ok(StatusCode::NO_CONTENT)
}
