//! A forge asked and told: pull requests and statuses of commits, by the
//! documented interfaces of GitHub (2022-11-28) and Gitea/Forgejo (v1).
//!
//! Nothing is retried here; a limit on how often one may ask comes back as the
//! moment from which on one may ask again.

use crate::http::{Client, read_all};
use aws_lc_rs::hmac;
use bytes::Bytes;
use domain::forge::{Forge, ForgeKind, Status};
use domain::units::{Span, Timestamp};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;
use tokio::time::timeout;

/// How long a forge may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Longest answer, in bytes.
const MAX_ANSWER: usize = 4 << 20;
/// How long to wait where a forge says "too often" and not until when.
const USUAL_WAIT: Span = Span::from_secs(60);
/// Longest wait a forge may ask for.
const MAX_WAIT: Span = Span::from_secs(3600);

/// Why a forge did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForgeError {
    /// Asked too often; not before this moment.
    #[error("it wants to be asked less often, not before {}", .0.iso())]
    Limited(Timestamp),
    /// It said no.
    #[error("{what}: it answered with status {status}{why}")]
    Status {
        /// What was asked.
        what: &'static str,
        /// The status.
        status: u16,
        /// In its words, if it has any.
        why: String,
    },
    /// No answer, or not one of a forge.
    #[error("{0}")]
    Unreachable(String),
}

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// Its number.
    pub number: u64,
    /// Its page.
    pub url: String,
    /// It can still be merged.
    pub open: bool,
    /// It was merged.
    pub merged: bool,
}

#[derive(Deserialize)]
struct PullBody {
    number: u64,
    html_url: String,
    state: String,
    #[serde(default)]
    merged: bool,
    #[serde(default)]
    merged_at: Option<String>,
}

impl From<PullBody> for Pull {
    fn from(body: PullBody) -> Self {
        Self {
            number: body.number,
            url: body.html_url,
            open: body.state == "open",
            merged: body.merged || body.merged_at.is_some(),
        }
    }
}

/// One forge, with its token. Prints no token.
pub struct Session<'a> {
    client: &'a Client,
    forge: &'a Forge,
    token: &'a str,
    now: Timestamp,
}

impl<'a> Session<'a> {
    /// Speaks to this forge; `now` is for waits that it counts in seconds.
    pub fn new(client: &'a Client, forge: &'a Forge, token: &'a str, now: Timestamp) -> Self {
        Self { client, forge, token, now }
    }

    /// The pull request of a branch, open ones first.
    ///
    /// # Errors
    /// [`ForgeError`].
    pub async fn find(&self, branch: &str) -> Result<Option<Pull>, ForgeError> {
        let what = "looking for the pull request";
        let Forge { base, .. } = self.forge;
        match self.forge.kind {
            ForgeKind::Github => {
                let head = encode(&format!("{}:{branch}", self.forge.owner()));
                let path = format!("pulls?state=all&per_page=10&base={}&head={head}", encode(base));
                let found = self.ask(what, Method::GET, &path, None).await?;
                let found: Vec<PullBody> = read(what, found)?;
                let mut pulls: Vec<Pull> = found.into_iter().map(Pull::from).collect();
                pulls.sort_by_key(|pull| (!pull.open, std::cmp::Reverse(pull.number)));
                Ok(pulls.into_iter().next())
            }
            ForgeKind::Gitea => {
                let path = format!("pulls/{}/{}", encode(base), encode(branch));
                match self.ask(what, Method::GET, &path, None).await {
                    Ok(found) => read::<PullBody>(what, found).map(|body| Some(body.into())),
                    Err(ForgeError::Status { status: 404, .. }) => Ok(None),
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// Opens a pull request.
    ///
    /// # Errors
    /// [`ForgeError`].
    pub async fn open(&self, branch: &str, title: &str, text: &str) -> Result<Pull, ForgeError> {
        let what = "opening the pull request";
        let body = json!({"title": title, "head": branch, "base": self.forge.base, "body": text});
        let made = self.ask(what, Method::POST, "pulls", Some(body)).await?;
        read::<PullBody>(what, made).map(Pull::from)
    }

    /// A pull request as it is.
    ///
    /// # Errors
    /// [`ForgeError`].
    pub async fn pull(&self, number: u64) -> Result<Pull, ForgeError> {
        let what = "reading the pull request";
        let found = self.ask(what, Method::GET, &format!("pulls/{number}"), None).await?;
        read::<PullBody>(what, found).map(Pull::from)
    }

    /// Closes a pull request.
    ///
    /// # Errors
    /// [`ForgeError`].
    pub async fn close(&self, number: u64) -> Result<(), ForgeError> {
        let body = json!({"state": "closed"});
        let path = format!("pulls/{number}");
        self.ask("closing the pull request", Method::PATCH, &path, Some(body)).await.map(|_| ())
    }

    /// The statuses a commit has: context, state, description.
    ///
    /// # Errors
    /// [`ForgeError`].
    pub async fn statuses(
        &self,
        commit: &str,
    ) -> Result<Vec<(String, String, String)>, ForgeError> {
        let what = "reading the statuses";
        let page = match self.forge.kind {
            ForgeKind::Github => "per_page=100",
            ForgeKind::Gitea => "limit=100",
        };
        let path = format!("commits/{commit}/status?{page}");
        let found = self.ask(what, Method::GET, &path, None).await?;
        let list = found.get("statuses").and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |of: &Value, key: &str| of[key].as_str().map(str::to_owned);
        let one = |of: &Value| {
            // Gitea has `status` where GitHub has `state`.
            let state = text(of, "state").or_else(|| text(of, "status"))?;
            Some((text(of, "context")?, state, text(of, "description").unwrap_or_default()))
        };
        Ok(list.iter().filter_map(one).collect())
    }

    /// Puts a status beside a commit.
    ///
    /// # Errors
    /// [`ForgeError`].
    pub async fn set_status(
        &self,
        commit: &str,
        status: &Status,
        link: &str,
    ) -> Result<(), ForgeError> {
        let body = json!({
            "state": status.state, "context": status.context,
            "description": status.description, "target_url": link,
        });
        let path = format!("statuses/{commit}");
        self.ask("posting a status", Method::POST, &path, Some(body)).await.map(|_| ())
    }

    async fn ask(
        &self,
        what: &'static str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, ForgeError> {
        let wrong = |why: String| ForgeError::Unreachable(format!("{what}: {why}"));
        let uri = format!("{}/repos/{}/{path}", self.forge.api(), self.forge.repo);
        let (scheme, accept) = match self.forge.kind {
            ForgeKind::Github => ("Bearer", "application/vnd.github+json"),
            ForgeKind::Gitea => ("token", "application/json"),
        };
        let mut token = HeaderValue::try_from(format!("{scheme} {}", self.token))
            .map_err(|_| wrong("the token fits no header".to_owned()))?;
        token.set_sensitive(true);
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header(header::AUTHORIZATION, token)
            .header(header::ACCEPT, accept)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("tidegate/", env!("CARGO_PKG_VERSION")))
            .header("x-github-api-version", "2022-11-28")
            .body(Full::new(body.map(|body| Bytes::from(body.to_string())).unwrap_or_default()))
            .map_err(|e| wrong(e.to_string()))?;
        let exchange = async {
            let response = self.client.send(request).await.map_err(|e| wrong(e.to_string()))?;
            let (head, body) = response.into_parts();
            let bytes = read_all(body, MAX_ANSWER).await.map_err(|e| wrong(e.to_string()))?;
            Ok::<_, ForgeError>((head, bytes))
        };
        let (head, bytes) = timeout(TIMEOUT, exchange)
            .await
            .map_err(|_| wrong(format!("no answer within {} seconds", TIMEOUT.as_secs())))??;
        let answer: Option<Value> = serde_json::from_slice(&bytes).ok();
        if head.status.is_success() {
            let empty = bytes.is_empty().then_some(Value::Null);
            return answer.or(empty).ok_or_else(|| wrong("its answer is no JSON".to_owned()));
        }
        if let Some(until) = limited(head.status, &head.headers, self.now) {
            return Err(ForgeError::Limited(until));
        }
        let why = answer.as_ref().and_then(|a| a["message"].as_str());
        let why = why.map(|why| format!(" ({})", why.chars().take(200).collect::<String>()));
        let status = head.status.as_u16();
        Err(ForgeError::Status { what, status, why: why.unwrap_or_default() })
    }
}

/// Until when nothing may be asked, if that is what it says. GitHub says so
/// with 403 or 429, and `Retry-After` or a spent `X-RateLimit-Remaining`.
fn limited(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    let after = number("retry-after").map(|s| now.plus(Span::from_secs(s)));
    let spent = number("x-ratelimit-remaining") == Some(0);
    let reset = number("x-ratelimit-reset").map(|s| Timestamp(s.saturating_mul(1000)));
    let until = match status {
        StatusCode::TOO_MANY_REQUESTS => {
            after.or(reset.filter(|_| spent)).or(Some(now.plus(USUAL_WAIT)))
        }
        StatusCode::FORBIDDEN => after.or(reset.filter(|_| spent)),
        _ => None,
    };
    until.map(|until| until.max(now).min(now.plus(MAX_WAIT)))
}

fn read<T: for<'d> Deserialize<'d>>(what: &'static str, value: Value) -> Result<T, ForgeError> {
    serde_json::from_value(value)
        .map_err(|e| ForgeError::Unreachable(format!("{what}: its answer cannot be read: {e}")))
}

/// A part of an address.
fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            // Writing to a string cannot fail.
            _ => write!(out, "%{byte:02X}").unwrap_or_default(),
        }
    }
    out
}

/// True if a forge signed this body with this secret: `X-Hub-Signature-256` of
/// GitHub (and of newer Gitea), `X-Gitea-Signature`, `X-Forgejo-Signature`.
pub fn is_signed(headers: &HeaderMap, body: &[u8], secret: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let given = ["x-hub-signature-256", "x-gitea-signature", "x-forgejo-signature"];
    !secret.is_empty()
        && given.iter().any(|name| {
            let value = headers.get(*name).and_then(|value| value.to_str().ok());
            let digits = value.map(|value| value.strip_prefix("sha256=").unwrap_or(value));
            let tag = digits.and_then(unhex);
            tag.is_some_and(|tag| hmac::verify(&key, body, &tag).is_ok())
        })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..32).map(|i| u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (http::HeaderName::from_static(n), v.parse().unwrap())).collect()
    }

    /// The example of GitHub's documentation on validating deliveries.
    #[test]
    fn a_signature_is_githubs() {
        let secret = "It's a Secret to Everybody";
        let tag = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let body = b"Hello, World!";
        let github = headers(&[("x-hub-signature-256", &format!("sha256={tag}"))]);
        assert!(is_signed(&github, body, secret));
        assert!(is_signed(&headers(&[("x-gitea-signature", tag)]), body, secret));
        assert!(!is_signed(&github, b"Hello, World", secret));
        assert!(!is_signed(&github, body, "another"));
        assert!(!is_signed(&headers(&[]), body, secret));
        assert!(!is_signed(&headers(&[("x-gitea-signature", "")]), body, secret));
        assert!(!is_signed(&headers(&[("x-gitea-signature", &"é".repeat(32))]), body, secret));
        let empty = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b""), body);
        let hex: String = empty.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        assert!(
            !is_signed(&headers(&[("x-gitea-signature", &hex)]), body, ""),
            "no secret, no word"
        );
    }

    #[test]
    fn limits_are_read_as_github_says_them() {
        let now = Timestamp(1_000_000);
        let read = |status: u16, pairs: &[(&'static str, &str)]| {
            limited(StatusCode::from_u16(status).unwrap(), &headers(pairs), now)
        };
        assert_eq!(read(403, &[]), None, "a plain no");
        assert_eq!(read(403, &[("retry-after", "30")]), Some(Timestamp(1_030_000)));
        let spent = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1090")];
        assert_eq!(read(403, &spent), Some(Timestamp(1_090_000)));
        assert_eq!(read(429, &[]), Some(now.plus(USUAL_WAIT)));
        assert_eq!(read(429, &[("retry-after", "999999")]), Some(now.plus(MAX_WAIT)));
        assert_eq!(read(429, &[("retry-after", "-5")]), Some(now));
        assert_eq!(read(500, &spent), None);
    }

    #[test]
    fn a_branch_is_one_part_of_an_address() {
        assert_eq!(encode("changes/a b?c#d"), "changes%2Fa%20b%3Fc%23d");
    }
}
