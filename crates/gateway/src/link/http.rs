//! The link over HTTP, for a gateway in a process of its own.
//!
//! | call | request |
//! | --- | --- |
//! | next snapshot | `GET /internal/v1/snapshot?after=<generation>`: 200 with a signed snapshot, or 204 when none came for a while (at most 30 s) |
//! | blob | `GET /internal/v1/blobs/<sha256:hex>` |
//! | ship | `POST /internal/v1/telemetry`, a batch; 2xx when durable |
//! | journal | `POST /internal/v1/kills`, a list of kills; 200 with `{"generation": n}` |
//!
//! Every request carries `Authorization: Bearer`. 400, 413 and 422 are final;
//! everything else is worth another try.

use super::{BoxFuture, Link, LinkError};
use analysis::cells::Batch;
use bytes::Bytes;
use connect::http::{Client, read_all};
use domain::ids::{Digest, Generation};
use domain::snapshot::{LocalKill, SignedSnapshot};
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// Longest wait for a snapshot that control holds back until there is one.
pub const POLL_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest wait for every other answer.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// Largest snapshot, in bytes.
pub const MAX_SNAPSHOT_BYTES: usize = 64 << 20;
/// Largest blob, in bytes.
pub const MAX_BLOB_BYTES: usize = 256 << 20;
/// Largest answer to anything else, in bytes.
const MAX_ACK_BYTES: usize = 64 << 10;

/// A link to the control port of another process.
#[derive(Clone)]
pub struct HttpLink {
    client: Client,
    base: String,
    bearer: header::HeaderValue,
}

impl fmt::Debug for HttpLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpLink").field("base", &self.base).finish_non_exhaustive()
    }
}

/// Answer to a delivered journal.
#[derive(Debug, Serialize, Deserialize)]
struct JournalAck {
    generation: Generation,
}

impl HttpLink {
    /// A link to `base` (for example `http://control:8080`) with a gateway token.
    ///
    /// # Errors
    /// When the address or the token cannot be sent in a request.
    pub fn new(client: Client, base: &str, token: &str) -> Result<Self, LinkError> {
        let base = base.trim_end_matches('/').to_owned();
        let uri: http::Uri = base.parse().map_err(|_| {
            LinkError::Rejected(format!("`{base}` is not an address such as `http://control:8080`"))
        })?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(LinkError::Rejected(format!(
                "`{base}` does not begin with `http://` or `https://`"
            )));
        }
        let mut bearer =
            header::HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
                LinkError::Rejected(
                    "the gateway token has characters no header may have".to_owned(),
                )
            })?;
        bearer.set_sensitive(true);
        Ok(Self { client, base, bearer })
    }

    /// Sends one request; gives the body of a 2xx answer and whether there was content.
    async fn call(&self, what: Call) -> Result<Option<Bytes>, LinkError> {
        let Call { method, path, body, limit, timeout } = what;
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::AUTHORIZATION, self.bearer.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|e| LinkError::Rejected(e.to_string()))?;
        let answer = async {
            let response = self
                .client
                .send(request)
                .await
                .map_err(|e| LinkError::Unreachable(e.to_string()))?;
            let status = response.status();
            let body = read_all(response.into_body(), limit)
                .await
                .map_err(|e| LinkError::Unreachable(e.to_string()))?;
            match status {
                StatusCode::NO_CONTENT => Ok(None),
                s if s.is_success() => Ok(Some(body)),
                StatusCode::BAD_REQUEST
                | StatusCode::PAYLOAD_TOO_LARGE
                | StatusCode::UNPROCESSABLE_ENTITY => {
                    Err(LinkError::Rejected(format!("`{path}` was answered with {status}")))
                }
                s => Err(LinkError::Unreachable(format!("`{path}` was answered with {s}"))),
            }
        };
        tokio::time::timeout(timeout, answer).await.unwrap_or_else(|_| {
            Err(LinkError::Unreachable(format!("no answer within {timeout:?}")))
        })
    }
}

struct Call {
    method: Method,
    path: String,
    body: Bytes,
    limit: usize,
    timeout: Duration,
}

impl Call {
    fn get(path: String, limit: usize, timeout: Duration) -> Self {
        Self { method: Method::GET, path, body: Bytes::new(), limit, timeout }
    }

    fn post(path: &str, body: &impl Serialize) -> Result<Self, LinkError> {
        let body = serde_json::to_vec(body).map_err(|e| LinkError::Rejected(e.to_string()))?;
        Ok(Self {
            method: Method::POST,
            path: path.to_owned(),
            body: body.into(),
            limit: MAX_ACK_BYTES,
            timeout: CALL_TIMEOUT,
        })
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, LinkError> {
    serde_json::from_slice(body)
        .map_err(|e| LinkError::Unreachable(format!("control sent something unreadable: {e}")))
}

impl Link for HttpLink {
    fn next_snapshot(
        &self,
        have: Generation,
    ) -> BoxFuture<'_, Result<Option<SignedSnapshot>, LinkError>> {
        Box::pin(async move {
            let path = format!("/internal/v1/snapshot?after={have}");
            let answer = self.call(Call::get(path, MAX_SNAPSHOT_BYTES, POLL_TIMEOUT)).await?;
            answer.map(|body| read(&body)).transpose()
        })
    }

    fn blob(&self, digest: Digest) -> BoxFuture<'_, Result<Bytes, LinkError>> {
        Box::pin(async move {
            let path = format!("/internal/v1/blobs/{digest}");
            let answer = self.call(Call::get(path, MAX_BLOB_BYTES, CALL_TIMEOUT)).await?;
            answer.ok_or_else(|| {
                LinkError::Unreachable(format!("blob `{digest}` came without content"))
            })
        })
    }

    fn ship<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<(), LinkError>> {
        Box::pin(async move {
            self.call(Call::post("/internal/v1/telemetry", batch)?).await.map(|_| ())
        })
    }

    fn journal<'a>(
        &'a self,
        entries: &'a [LocalKill],
    ) -> BoxFuture<'a, Result<Generation, LinkError>> {
        Box::pin(async move {
            let answer = self.call(Call::post("/internal/v1/kills", &entries)?).await?;
            let ack: JournalAck = read(&answer.unwrap_or_default())?;
            Ok(ack.generation)
        })
    }
}
