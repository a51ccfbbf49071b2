//! The body of a request, read once, whole, with a limit in size and time.

use super::{ApiError, Code};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use std::time::Duration;

/// Longest wait for a caller to send the whole body.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads a body.
///
/// # Errors
/// 413, 408, or 400 when the connection broke.
pub(crate) async fn read(body: Incoming, limit: usize) -> Result<Bytes, ApiError> {
    let declared = body.size_hint().lower();
    if declared > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(too_large(limit));
    }
    tokio::time::timeout(BODY_TIMEOUT, collect(body, limit)).await.unwrap_or_else(|_| {
        Err(ApiError::new(
            Code::BodyTimeout,
            format!("the body did not arrive within {BODY_TIMEOUT:?}"),
        )
        .hint("send the whole request at once"))
    })
}

async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, ApiError> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|_| ApiError::new(Code::BadJson, "the connection broke inside the body"))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len().saturating_add(all.len()).saturating_add(data.len()) > limit {
            return Err(too_large(limit));
        }
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(Code::TooLarge, format!("the body is larger than {limit} bytes"))
        .hint("send less; the limit is the gateway's `body_limit`")
}
