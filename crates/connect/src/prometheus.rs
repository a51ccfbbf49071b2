//! A Prometheus server (or whoever speaks its HTTP API) asked for one number.
//!
//! `POST /api/v1/query` and `/api/v1/query_range`. What comes back is a number or
//! one of the kinds of [`Read`]: nothing is turned into a zero, a list is not
//! turned into its first element, and an old number is not passed off as new.
//!
//! Nothing is retried: the next check asks again.

use crate::http::{Client, ReadError, SendError, read_all};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::external::Read;
use domain::units::{Span, Timestamp};
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use serde::Deserialize;
use std::fmt::{self, Write as _};
use std::time::Duration;
use tokio::time::timeout;

/// How long an answer may take altogether.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer to a question for one number, in bytes.
pub const MAX_ANSWER_BYTES: usize = 256 << 10;
/// Longest answer to a question for a range, in bytes: 11 000 points, the most
/// Prometheus gives.
pub const MAX_RANGE_BYTES: usize = 2 << 20;
/// Longest text of the server that is repeated to people, in characters.
const MAX_WORDS: usize = 300;

/// How to be let in. Prints without secrets.
#[derive(Clone, Default)]
pub enum Login {
    /// As anybody.
    #[default]
    Nobody,
    /// `Authorization: Bearer …`.
    Token(String),
    /// `Authorization: Basic …`.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "Nobody",
            Self::Token(_) => "Token(..)",
            Self::Password { .. } => "Password(..)",
        })
    }
}

/// An address or a login that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadServer {
    /// Not an address such as `http://127.0.0.1:9090`.
    #[error("`{0}` is not an address such as `http://127.0.0.1:9090`")]
    Address(String),
    /// The token or password holds characters a header cannot carry.
    #[error("the token or password of the metrics server has characters that no header may hold")]
    Login,
}

/// One point of a range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Its time.
    pub at: Timestamp,
    /// Its value; may be NaN or infinite.
    pub value: f64,
}

/// A server. Cheap to clone.
#[derive(Clone)]
pub struct Prometheus {
    client: Client,
    base: String,
    authorization: Option<HeaderValue>,
    patience: Duration,
}

impl fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prometheus({})", self.base)
    }
}

impl Prometheus {
    /// The server at this address; a path before `/api/v1` belongs to it.
    ///
    /// # Errors
    /// An address or a login that cannot be used. Nothing is dialled.
    pub fn new(client: Client, address: &str, login: &Login) -> Result<Self, BadServer> {
        let bad = || BadServer::Address(address.to_owned());
        let base = address.trim_end_matches('/').to_owned();
        let uri: Uri = base.parse().map_err(|_| bad())?;
        let plain = uri.authority().is_some_and(|a| !a.as_str().contains('@'));
        if !matches!(uri.scheme_str(), Some("http" | "https")) || !plain || uri.query().is_some() {
            return Err(bad());
        }
        let words = match login {
            Login::Nobody => None,
            Login::Token(token) => Some(format!("Bearer {}", token.trim())),
            Login::Password { user, password } => {
                Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
            }
        };
        let authorization = words
            .map(|words| {
                let mut value = HeaderValue::try_from(words).map_err(|_| BadServer::Login)?;
                value.set_sensitive(true);
                Ok(value)
            })
            .transpose()?;
        Ok(Self { client, base, authorization, patience: TIMEOUT })
    }

    /// The same with another time limit.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The expression's value at `now`. A number from before `now − fresh` is
    /// stale.
    pub async fn read(&self, expression: &str, now: Timestamp, fresh: Span) -> Read {
        let form = [("query", expression.to_owned()), ("time", seconds(now))];
        match self.ask("query", &form, MAX_ANSWER_BYTES).await {
            Ok(data) => one_number(&data, now, fresh),
            Err(read) => read,
        }
    }

    /// The expression's values from `start` to `end`, in order of time: of one
    /// series, not more and not fewer.
    ///
    /// # Errors
    /// What came back instead.
    pub async fn read_range(
        &self,
        expression: &str,
        start: Timestamp,
        end: Timestamp,
        step: Span,
    ) -> Result<Vec<Point>, Read> {
        let form = [
            ("query", expression.to_owned()),
            ("start", seconds(start)),
            ("end", seconds(end)),
            ("step", format!("{}", step.secs().max(0.001))),
        ];
        let data = self.ask("query_range", &form, MAX_RANGE_BYTES).await?;
        let Data { kind, result } = data;
        if kind != "matrix" {
            return Err(Read::Failed(format!("the server gave a {kind} where a range was asked")));
        }
        let series: Vec<Series> = serde_json::from_value(result).map_err(|e| unreadable(&e))?;
        match series.as_slice() {
            [] => Err(Read::Empty),
            [one] => one.values.iter().map(|pair| pair.point()).collect(),
            more => Err(Read::Several(more.len() as u64)),
        }
    }

    async fn ask(&self, path: &str, form: &[(&str, String)], limit: usize) -> Result<Data, Read> {
        let exchange = self.exchange(path, form, limit);
        match timeout(self.patience, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(Read::Failed(format!("no answer within {:?}", self.patience))),
        }
    }

    async fn exchange(
        &self,
        path: &str,
        form: &[(&str, String)],
        limit: usize,
    ) -> Result<Data, Read> {
        let mut request = Request::new(Full::new(encoded(form)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = format!("{}/api/v1/{path}", self.base)
            .parse()
            .map_err(|_| Read::Failed("the address cannot be used".to_owned()))?;
        let headers = request.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(value) = &self.authorization {
            headers.insert(header::AUTHORIZATION, value.clone());
        }
        let response = self.client.send(request).await.map_err(|e| match e {
            SendError::Connect { .. } | SendError::Cut { .. } => Read::Failed(e.to_string()),
        })?;
        let status = response.status();
        let body = read_all(response.into_body(), limit).await.map_err(|e| match e {
            ReadError::Cut(_) | ReadError::TooLarge(_) => Read::Failed(e.to_string()),
        })?;
        let envelope: Envelope = match serde_json::from_slice(&body) {
            Ok(envelope) => envelope,
            Err(_) if !status.is_success() => {
                return Err(Read::Failed(format!("the server answered with status {status}")));
            }
            Err(e) => return Err(unreadable(&e)),
        };
        if envelope.status != "success" || !status.is_success() {
            let said = envelope.error.unwrap_or_else(|| format!("status {status}"));
            return Err(Read::Failed(format!("the server refused: {}", words(&said))));
        }
        if let Some(warning) = envelope.warnings.first() {
            return Err(Read::Partial(words(warning)));
        }
        envelope.data.ok_or_else(|| Read::Failed("the answer holds no data".to_owned()))
    }
}

/// The envelope every answer comes in.
#[derive(Deserialize)]
struct Envelope {
    status: String,
    data: Option<Data>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: serde_json::Value,
}

/// `[unix seconds, "number"]`.
#[derive(Deserialize)]
struct Pair(f64, String);

#[derive(Deserialize)]
struct Sample {
    /// Absent for a native histogram, which is no number.
    value: Option<Pair>,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    values: Vec<Pair>,
}

impl Pair {
    fn point(&self) -> Result<Point, Read> {
        // Prometheus writes `NaN`, `+Inf` and `-Inf`, which Rust reads too.
        let value = self.1.parse();
        let value = value
            .map_err(|_| Read::Failed(format!("`{}` where a number should be", words(&self.1))))?;
        let ms = self.0 * 1000.0;
        if !ms.is_finite() {
            return Err(Read::Failed("a time that is none".to_owned()));
        }
        // Saturates.
        Ok(Point { at: Timestamp(ms.round() as i64), value })
    }
}

/// The one number of an answer.
fn one_number(data: &Data, now: Timestamp, fresh: Span) -> Read {
    let pair = match data.kind.as_str() {
        "scalar" => match Pair::deserialize(&data.result) {
            Ok(pair) => pair,
            Err(e) => return unreadable(&e),
        },
        "vector" => {
            let mut series: Vec<Sample> = match Vec::deserialize(&data.result) {
                Ok(series) => series,
                Err(e) => return unreadable(&e),
            };
            match (series.len(), series.pop().map(|sample| sample.value)) {
                (0, _) | (_, None) => return Read::Empty,
                (1, Some(Some(pair))) => pair,
                (1, Some(None)) => {
                    return Read::Failed(
                        "the expression gives a histogram, not a number".to_owned(),
                    );
                }
                (more, _) => return Read::Several(more as u64),
            }
        }
        other => {
            return Read::Failed(format!("the expression gives a {}, not a number", words(other)));
        }
    };
    match pair.point() {
        Err(read) => read,
        Ok(point) if now.since(point.at) > fresh => Read::Stale(point.at),
        Ok(point) if point.value.is_nan() => Read::NotANumber,
        Ok(point) if point.value.is_infinite() => Read::Infinite,
        Ok(point) => Read::Number(point.value),
    }
}

fn unreadable(error: &serde_json::Error) -> Read {
    Read::Failed(format!("the answer is not one of the Prometheus HTTP API: {error}"))
}

/// A text of the server, short and on one line.
fn words(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_WORDS).collect()
}

fn seconds(at: Timestamp) -> String {
    format!("{}.{:03}", at.0.div_euclid(1000), at.0.rem_euclid(1000))
}

/// `application/x-www-form-urlencoded`: everything but unreserved characters is
/// escaped.
fn encoded(form: &[(&str, String)]) -> Bytes {
    let mut text = String::new();
    for (name, value) in form {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    text.push(char::from(byte));
                }
                // Writing to a string cannot fail.
                _ => write!(text, "%{byte:02X}").unwrap_or_default(),
            }
        }
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Timestamp = Timestamp(1_760_000_000_000);
    const FRESH: Span = Span::from_secs(60);

    fn read(kind: &str, result: serde_json::Value) -> Read {
        one_number(&Data { kind: kind.to_owned(), result }, NOW, FRESH)
    }

    #[test]
    fn only_exactly_one_fresh_number_is_a_number() {
        let at = NOW.second();
        let one = |text: &str| json!([{"metric": {}, "value": [at, text]}]);
        for (kind, result, wanted) in [
            ("scalar", json!([at, "4.5"]), Read::Number(4.5)),
            ("vector", one("0.25"), Read::Number(0.25)),
            ("vector", one("NaN"), Read::NotANumber),
            ("vector", one("+Inf"), Read::Infinite),
            ("vector", one("-Inf"), Read::Infinite),
            ("scalar", json!([at, "NaN"]), Read::NotANumber),
            ("vector", json!([]), Read::Empty),
            (
                "vector",
                json!([{"metric": {"a": "1"}, "value": [at, "1"]}, {"metric": {"a": "2"}, "value": [at, "1"]}]),
                Read::Several(2),
            ),
            (
                "vector",
                json!([{"metric": {}, "value": [at - 61, "1"]}]),
                Read::Stale(Timestamp((at - 61) * 1000)),
            ),
            ("vector", json!([{"metric": {}, "value": [at - 60, "1"]}]), Read::Number(1.0)),
        ] {
            assert_eq!(read(kind, result.clone()), wanted, "{kind} {result}");
        }
    }

    #[test]
    fn whatever_else_comes_is_a_failure_with_words() {
        let at = NOW.second();
        for (kind, result) in [
            ("matrix", json!([])),
            ("string", json!([at, "up"])),
            ("vector", json!([{"metric": {}, "histogram": [at, {}]}])),
            ("vector", json!([{"metric": {}, "value": [at, "many"]}])),
            ("vector", json!([{"metric": {}, "value": ["now", "1"]}])),
            ("vector", json!({"metric": {}})),
            ("scalar", json!(null)),
        ] {
            match read(kind, result.clone()) {
                Read::Failed(why) => assert!(!why.is_empty()),
                other => panic!("{other:?} from {kind} {result}"),
            }
        }
    }

    #[test]
    fn addresses_and_logins_that_cannot_be_used_are_refused() {
        let new = |address: &str, login| Prometheus::new(Client::new(), address, &login);
        assert!(new("http://127.0.0.1:9090/prom/", Login::Nobody).is_ok());
        for bad in ["", "127.0.0.1:9090", "ftp://x", "http://u:p@host", "http://h/?a=b", "http://"]
        {
            assert!(new(bad, Login::Nobody).is_err(), "{bad}");
        }
        let bad = Login::Token("a\nb".to_owned());
        assert!(matches!(new("http://h", bad), Err(BadServer::Login)));
        let secret = Login::Password { user: "u".to_owned(), password: "secret".to_owned() };
        let known = new("http://h", secret.clone()).unwrap();
        assert_eq!(format!("{known:?} {secret:?}"), "Prometheus(http://h) Password(..)");
        assert_eq!(known.authorization.unwrap().to_str().unwrap(), "Basic dTpzZWNyZXQ=");
    }

    proptest::proptest! {
        /// Whatever a server sends is a kind of answer, and only a finite number
        /// of one fresh series is a number.
        #[test]
        fn no_answer_is_too_odd(
            kind in "scalar|vector|matrix|string|x",
            at in proptest::prop_oneof![-1e18..1e18_f64, 1_759_999_900.0..1_760_000_100.0_f64],
            text in "NaN|[+-]?Inf|-?[0-9]{1,3}(\\.[0-9]{1,3})?|[a-z]{0,4}",
            series in 0_usize..3, scalar: bool,
        ) {
            let pair = json!([at, text]);
            let result = if scalar { pair } else {
                serde_json::Value::Array(vec![json!({"metric": {}, "value": pair}); series])
            };
            match read(&kind, result) {
                Read::Number(number) => {
                    proptest::prop_assert!(number.is_finite());
                    let one = if scalar { kind == "scalar" } else { kind == "vector" && series == 1 };
                    proptest::prop_assert!(one && at >= NOW.0 as f64 / 1000.0 - 60.001);
                }
                Read::Several(n) => proptest::prop_assert_eq!(n, series as u64),
                _ => {}
            }
        }
    }

    #[test]
    fn expressions_arrive_as_they_were_written() {
        let form =
            encoded(&[("query", "sum(a{b=\"c d\"}) / 2".to_owned()), ("time", seconds(NOW))]);
        assert_eq!(
            form,
            "query=sum%28a%7Bb%3D%22c%20d%22%7D%29%20%2F%202&time=1760000000.000".as_bytes()
        );
    }
}
