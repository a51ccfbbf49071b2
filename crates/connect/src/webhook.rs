//! One message to a program: posted, signed, answered.
//!
//! Signatures are those of Standard Webhooks 1.0: HMAC-SHA256 over
//! `id.timestamp.body`, in base64, as `v1,…`. Nothing is retried here, and what
//! a receiver answers is read to no use but its status: an answer shown to
//! whoever configures an address would make the server a window into its house.

use crate::guard::{Guarded, Private, Reach};
use crate::http::{CONNECT_TIMEOUT, innermost, tls};
use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::units::{Span, Timestamp};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use std::fmt;
use std::time::Duration;
use tokio::time::timeout;

/// How long a receiver may take.
pub const TIMEOUT: Duration = Duration::from_secs(20);
/// Largest message, in bytes; Standard Webhooks asks for less than 20 kB.
pub const MAX_BODY: usize = 20_000;
/// Longest wait that a receiver may ask for.
pub const MAX_WAIT: Span = Span::from_secs(24 * 3600);
/// What a shared secret begins with.
const PREFIX: &str = "whsec_";
/// Fewest and most bytes of a secret.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Why a message did not arrive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// It cannot be sent like this; another try will not help either.
    #[error("{0}")]
    Wrong(String),
    /// The address is inside the house.
    #[error("{0}; allow private addresses for this channel if that is meant")]
    Private(Private),
    /// Nothing came back in time.
    #[error("no answer within {0} seconds")]
    Late(u64),
    /// It could not be reached, or the connection broke.
    #[error("{0}")]
    Unreachable(String),
    /// It was refused.
    #[error("the receiver answered with status {status}")]
    Status {
        /// The status.
        status: u16,
        /// When it wants to be asked again.
        wait: Option<Span>,
    },
    /// It wants no more messages (410).
    #[error("the receiver answered with status 410: it wants no more messages")]
    Gone,
}

impl NotSent {
    /// True if the same message will never arrive.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Wrong(_))
    }
}

/// A shared secret. Prints nothing.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// Reads `whsec_` and base64, 24 to 64 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.trim().strip_prefix(PREFIX)?).ok()?;
        SECRET_BYTES.contains(&bytes.len()).then_some(Self(bytes))
    }

    /// How a secret of these bytes is written.
    pub fn write(bytes: &[u8; 32]) -> String {
        format!("{PREFIX}{}", STANDARD.encode(bytes))
    }

    /// The signature of a message.
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let mut context = hmac::Context::with_key(&key);
        context.update(format!("{id}.{}.", at.second()).as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign().as_ref()))
    }

    /// The three headers of a message.
    pub fn headers(&self, id: &str, at: Timestamp, body: &[u8]) -> Vec<(&'static str, String)> {
        vec![
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", at.second().to_string()),
            ("webhook-signature", self.sign(id, at, body)),
        ]
    }
}

/// True if this can be posted to: `http` or `https`, with a host, without a login.
pub fn is_address(url: &str) -> bool {
    address(url).is_ok()
}

fn address(url: &str) -> Result<Uri, NotSent> {
    let wrong = || NotSent::Wrong("the address cannot be posted to".to_owned());
    let uri: Uri = url.trim().parse().map_err(|_| wrong())?;
    let host = uri.authority().is_some_and(|a| !a.host().is_empty() && !a.as_str().contains('@'));
    (matches!(uri.scheme_str(), Some("http" | "https")) && host).then_some(uri).ok_or_else(wrong)
}

/// Posts a JSON body. Returns the status if it is one of success. Redirects are
/// failures: what follows them was never looked at.
///
/// # Errors
/// [`NotSent`].
pub async fn post(
    url: &str,
    headers: &[(&'static str, String)],
    body: Vec<u8>,
    reach: Reach,
) -> Result<u16, NotSent> {
    let uri = address(url)?;
    if body.len() > MAX_BODY {
        return Err(NotSent::Wrong(format!("the message is longer than {MAX_BODY} bytes")));
    }
    let host = uri.host().unwrap_or_default().to_owned();
    let written = host.trim_start_matches('[').trim_end_matches(']').parse();
    if let Ok(address) = written
        && !reach.allows(address)
    {
        return Err(NotSent::Private(Private { host, address }));
    }
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("tidegate/", env!("CARGO_PKG_VERSION")));
    for (name, value) in headers {
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| NotSent::Wrong(format!("the header `{name}` cannot be sent")))?;
        value.set_sensitive(true);
        request = request.header(HeaderName::from_static(name), value);
    }
    let request =
        request.body(Full::new(Bytes::from(body))).map_err(|e| NotSent::Wrong(e.to_string()))?;
    let response = timeout(TIMEOUT, client(reach).request(request))
        .await
        .map_err(|_| NotSent::Late(TIMEOUT.as_secs()))?
        .map_err(|error| failed(&error))?;
    let status = response.status();
    match status {
        StatusCode::GONE => Err(NotSent::Gone),
        status if status.is_success() => Ok(status.as_u16()),
        status => {
            let wait = response.headers().get(header::RETRY_AFTER);
            let wait = wait.and_then(|v| v.to_str().ok()?.trim().parse().ok());
            let wait = wait.map(Span::from_secs).map(|wait| wait.min(MAX_WAIT));
            Err(NotSent::Status { status: status.as_u16(), wait })
        }
    }
}

fn failed(error: &legacy::Error) -> NotSent {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        let io = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(private) = io.and_then(|inner| inner.downcast_ref::<Private>()) {
            return NotSent::Private(private.clone());
        }
        cause = inner.source();
    }
    NotSent::Unreachable(innermost(error))
}

type Posting = legacy::Client<hyper_rustls::HttpsConnector<HttpConnector<Guarded>>, Full<Bytes>>;

/// A client without a pool: messages are rare, and a kept connection would not
/// be looked at again.
fn client(reach: Reach) -> Posting {
    let mut tcp = HttpConnector::new_with_resolver(Guarded(reach));
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls())
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    legacy::Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the specification's own libraries.
    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let at = Timestamp(1_614_265_330_000);
        let signed = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }

    #[test]
    fn a_secret_has_24_to_64_bytes() {
        let written = |n: usize| format!("whsec_{}", STANDARD.encode(vec![7; n]));
        for (n, good) in [(0, false), (23, false), (24, true), (64, true), (65, false)] {
            assert_eq!(Secret::parse(&written(n)).is_some(), good, "{n}");
        }
        assert!(Secret::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_none());
        assert!(Secret::parse(&Secret::write(&[1; 32])).is_some());
    }

    #[test]
    fn an_address_has_a_host_and_no_login() {
        for (url, good) in [
            ("https://hooks.example.com/a?b=c", true),
            ("http://127.0.0.1:1/", true),
            ("https://ana:secret@example.com/", false),
            ("ftp://example.com/", false),
            ("file:///etc/passwd", false),
            ("https:///a", false),
            ("hooks.example.com", false),
            ("", false),
        ] {
            assert_eq!(is_address(url), good, "{url}");
        }
    }

    #[tokio::test]
    async fn the_house_is_not_reached_by_number_or_by_name() {
        for url in ["http://127.0.0.1:1/", "http://[::1]:1/", "http://localhost:1/"] {
            let refused = post(url, &[], b"{}".to_vec(), Reach::Public).await.unwrap_err();
            assert!(matches!(refused, NotSent::Private(_)), "{url}: {refused:?}");
            let tried = post(url, &[], b"{}".to_vec(), Reach::Anywhere).await.unwrap_err();
            assert!(matches!(tried, NotSent::Unreachable(_)), "{url}: {tried:?}");
        }
        let long =
            post("http://localhost:1/", &[], vec![b' '; MAX_BODY + 1], Reach::Anywhere).await;
        assert!(long.unwrap_err().is_final());
    }
}
