//! One pooled HTTP client for everything that dials out.
//!
//! Plain `http` and `https`, HTTP/1.1, the system's trust roots. A request that
//! was never written because its pooled connection had gone away is sent again
//! on a fresh one; every other repetition is the caller's decision.
//!
//! Not a general client on purpose: no redirects (a redirected prompt goes
//! where nobody configured), no cookies, no proxies from the environment.

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::{fmt, time::Duration};

/// How long a TCP connection may take to come about.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an unused connection is kept.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Most unused connections kept to one host.
pub const MAX_IDLE_PER_HOST: usize = 64;

/// Why no response came.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SendError {
    /// No connection: refused, unknown host, TLS, or the connect timeout.
    #[error("no connection to `{host}`: {cause}")]
    Connect {
        /// Host and port that was dialled.
        host: String,
        /// The innermost cause.
        cause: String,
    },
    /// The connection ended, or spoke something other than HTTP, before the
    /// head of a response.
    #[error("the connection to `{host}` ended before a response: {cause}")]
    Cut {
        /// Host and port.
        host: String,
        /// The innermost cause.
        cause: String,
    },
}

/// Why a body could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The connection ended inside it.
    #[error("the body was cut: {0}")]
    Cut(String),
    /// It is longer than the limit.
    #[error("the body is longer than {0} bytes")]
    TooLarge(usize),
}

/// The client. Cheap to clone; clones share the pool.
#[derive(Clone)]
pub struct Client {
    inner: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// A client with a pool of its own.
    ///
    /// On a machine without trust roots `https` calls fail with a clear error
    /// and `http` calls work.
    pub fn new() -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls())
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
            .build(connector);
        Self { inner }
    }

    /// Sends a request and waits for the head of the response; the body is
    /// still to be read. Dropping the future or the response ends the call.
    ///
    /// # Errors
    /// When no head of a response arrived. A status of any kind is no error here.
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, SendError> {
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        self.inner.request(request).await.map_err(|error| {
            let cause = innermost(&error);
            if error.is_connect() {
                SendError::Connect { host, cause }
            } else {
                SendError::Cut { host, cause }
            }
        })
    }
}

/// Reads a body to its end.
///
/// # Errors
/// When it is cut or longer than `limit`.
pub async fn read_all(mut body: Incoming, limit: usize) -> Result<Bytes, ReadError> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| ReadError::Cut(innermost(&e)))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len().saturating_add(all.len()).saturating_add(data.len()) > limit {
            return Err(ReadError::TooLarge(limit));
        }
        // Most answers fit one frame: hand that over without copying.
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// The words of the cause that lies deepest; the outer ones only say "client error".
pub fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

pub(crate) fn tls() -> rustls::ClientConfig {
    use hyper_rustls::ConfigBuilderExt as _;
    match rustls::ClientConfig::builder().with_native_roots() {
        Ok(builder) => builder.with_no_client_auth(),
        Err(error) => {
            tracing::warn!(%error, "no trust roots on this machine; calls over https will fail");
            rustls::ClientConfig::builder()
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth()
        }
    }
}
