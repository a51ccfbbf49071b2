//! A company's OpenID provider, asked who somebody is (OpenID Connect Core 1.0,
//! authorization code flow with PKCE, RFC 7636).
//!
//! In the order of a sign-in: [`Provider::begin`] says where the browser is
//! sent; [`Provider::finish`] takes what it came back with, exchanges the code,
//! and believes the id token only after every check of [`token`].
//!
//! What must stay true:
//! - nothing is followed that discovery did not name under the very issuer that
//!   was configured, and all of it by `https` but on this machine itself;
//! - state, nonce and the PKCE verifier are derived from one secret the browser
//!   keeps, so an answer fits only the browser and the provider it was begun
//!   with;
//! - no secret, code or token is ever part of an error.

mod token;

pub use token::{CLOCK_SKEW, Claims};

use crate::http::{Client, read_all};
use base64::{
    Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD,
};
use bytes::Bytes;
use domain::units::{Span, Timestamp};
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use jsonwebtoken::jwk::JwkSet;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Longest answer of a provider, in bytes.
pub const MAX_ANSWER_BYTES: usize = 512 << 10;
/// How long one answer of a provider may take.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Discovery and keys are read again after so long.
const FRESH: Span = Span::from_secs(3600);
/// Keys are looked for again at most so often, whatever tokens name.
const LOOK_AGAIN: Span = Span::from_secs(30);

/// Where a provider is, and as whom we ask it.
#[derive(Clone)]
pub struct Settings {
    /// Its issuer, to the letter: `https://login.example.com`.
    pub issuer: String,
    /// What it calls us.
    pub client_id: String,
    /// How it knows us; a public client has none and rests on PKCE.
    pub client_secret: Option<String>,
    /// What is asked for; `openid` always is.
    pub scopes: Vec<String>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Settings({}, {})", self.issuer, self.client_id)
    }
}

/// Why somebody is not who they say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignOnError {
    /// The address of a provider cannot be used.
    #[error(
        "`{0}` is no issuer: it must be an `https` address without query (`http` only on this machine)"
    )]
    Issuer(String),
    /// It could not be asked.
    #[error("the provider could not be asked: {0}")]
    Unreachable(String),
    /// It did not do what OpenID Connect says.
    #[error("the provider's answer cannot be used: {0}")]
    Answer(String),
    /// It said no.
    #[error("the provider said no: {0}")]
    Refused(String),
    /// What came back is not for the sign-in this browser began.
    #[error("this answer belongs to another sign-in: {0}")]
    Foreign(&'static str),
    /// The id token failed a check.
    #[error("the id token is not believed: {0}")]
    Token(String),
}

impl SignOnError {
    /// A word for logs and filters.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Issuer(_) => "bad_issuer",
            Self::Unreachable(_) => "provider_unreachable",
            Self::Answer(_) => "provider_answer",
            Self::Refused(_) => "provider_refused",
            Self::Foreign(_) => "foreign_sign_in",
            Self::Token(_) => "id_token",
        }
    }
}

/// The part of discovery that is used (OpenID Connect Discovery 1.0, section 3).
#[derive(Debug, Clone, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    end_session_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// The keys it signs with (RFC 7517, section 5).
#[derive(Deserialize)]
struct Published {
    keys: Vec<serde_json::Value>,
}

struct Known {
    at: Timestamp,
    metadata: Metadata,
    keys: JwkSet,
}

/// What the browser came back with.
#[derive(Clone, Default, Deserialize)]
pub struct Returned {
    /// The code.
    pub code: Option<String>,
    /// The state we sent.
    pub state: Option<String>,
    /// Who says so (RFC 9207).
    pub iss: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
    /// The same in words.
    pub error_description: Option<String>,
}

impl fmt::Debug for Returned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Returned(error: {:?})", self.error)
    }
}

/// A sign-in under way, as the browser keeps it: one secret from which state,
/// nonce and verifier follow.
pub struct Begun<'a> {
    /// At least 128 bits nobody can guess.
    pub secret: &'a str,
    /// Where the provider sends the browser back to.
    pub redirect: &'a str,
}

impl Begun<'_> {
    fn derive(&self, what: &str, issuer: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        // None of these holds a zero byte.
        for part in ["tidegate sign-on", what, issuer, self.redirect, self.secret] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        hash.finalize().into()
    }

    /// The state this sign-in is known by.
    pub fn state(&self, issuer: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.derive("state", issuer))
    }

    fn nonce(&self, issuer: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.derive("nonce", issuer))
    }

    fn verifier(&self, issuer: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.derive("verifier", issuer))
    }
}

/// A provider.
pub struct Provider {
    client: Client,
    settings: Settings,
    known: Mutex<Option<Arc<Known>>>,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Provider({})", self.settings.issuer)
    }
}

impl Provider {
    /// Nothing is dialled before somebody signs in.
    ///
    /// # Errors
    /// The issuer is no address that may be used.
    pub fn new(client: Client, settings: Settings) -> Result<Self, SignOnError> {
        if !is_safe(&settings.issuer) || settings.issuer.contains('#') {
            return Err(SignOnError::Issuer(settings.issuer));
        }
        Ok(Self { client, settings, known: Mutex::new(None) })
    }

    /// Its issuer.
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// The address the browser is sent to.
    ///
    /// # Errors
    /// The provider cannot be asked for its endpoints.
    pub async fn begin(&self, begun: &Begun<'_>, now: Timestamp) -> Result<String, SignOnError> {
        let known = self.known(now).await?;
        let issuer = self.issuer();
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(begun.verifier(issuer)));
        let mut scopes = vec!["openid"];
        scopes.extend(self.settings.scopes.iter().map(String::as_str).filter(|s| *s != "openid"));
        Ok(with_query(
            &known.metadata.authorization_endpoint,
            &[
                ("response_type", "code"),
                ("client_id", &self.settings.client_id),
                ("redirect_uri", begun.redirect),
                ("scope", &scopes.join(" ")),
                ("state", &begun.state(issuer)),
                ("nonce", &begun.nonce(issuer)),
                ("code_challenge", &challenge),
                ("code_challenge_method", "S256"),
            ],
        ))
    }

    /// Who the browser came back as.
    ///
    /// # Errors
    /// Anything that does not fit; see [`SignOnError`].
    pub async fn finish(
        &self,
        begun: &Begun<'_>,
        returned: &Returned,
        now: Timestamp,
    ) -> Result<Claims, SignOnError> {
        let issuer = self.issuer();
        if returned.state.as_deref() != Some(&begun.state(issuer)) {
            return Err(SignOnError::Foreign("its state is not the one this browser was given"));
        }
        let known = self.known(now).await?;
        // RFC 9207: an answer of another provider must not be taken for this one's.
        let expected = known.metadata.authorization_response_iss_parameter_supported;
        match &returned.iss {
            Some(iss) if iss != issuer => {
                return Err(SignOnError::Foreign("it names another issuer"));
            }
            None if expected => return Err(SignOnError::Foreign("it names no issuer")),
            _ => {}
        }
        if let Some(error) = &returned.error {
            let why = returned.error_description.as_deref().unwrap_or(error);
            return Err(SignOnError::Refused(words(why)));
        }
        let code = returned.code.as_deref().filter(|code| !code.is_empty());
        let code = code.ok_or(SignOnError::Foreign("it carries no code"))?;
        let tokens = self.exchange(&known.metadata, begun, code).await?;
        let nonce = begun.nonce(issuer);
        let expected =
            token::Expected { issuer, client_id: &self.settings.client_id, nonce: &nonce, now };
        let mut claims = match token::believe(&tokens.id_token, &known.keys, &expected) {
            Err(token::Doubt::UnknownKey) => {
                let again = self.look_again(now).await?;
                token::believe(&tokens.id_token, &again.keys, &expected)
            }
            other => other,
        }
        .map_err(|doubt| SignOnError::Token(doubt.to_string()))?;
        if let (Some(address), Some(access)) =
            (&known.metadata.userinfo_endpoint, &tokens.access_token)
        {
            let more = self.userinfo(address, access).await?;
            claims.join(more).map_err(|doubt| SignOnError::Token(doubt.to_string()))?;
        }
        Ok(claims)
    }

    /// Where a browser also signs out of the provider, if there is such a place
    /// and it is known by now (OpenID Connect RP-Initiated Logout 1.0).
    pub async fn sign_out_address(&self, back: &str) -> Option<String> {
        let known = self.known.lock().await.clone()?;
        let end = known.metadata.end_session_endpoint.as_deref().filter(|end| is_safe(end))?;
        let client_id = self.settings.client_id.as_str();
        Some(with_query(end, &[("client_id", client_id), ("post_logout_redirect_uri", back)]))
    }

    /// Discovery and keys, read at most once an hour.
    async fn known(&self, now: Timestamp) -> Result<Arc<Known>, SignOnError> {
        // Held while asking: many who come at once ask once.
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref().filter(|k| now.since(k.at) < FRESH) {
            return Ok(Arc::clone(known));
        }
        let fresh = self.discover(now).await;
        match (fresh, known.as_ref()) {
            (Ok(fresh), _) => Ok(Arc::clone(known.insert(Arc::new(fresh)))),
            (Err(error), _) => Err(error),
        }
    }

    async fn look_again(&self, now: Timestamp) -> Result<Arc<Known>, SignOnError> {
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref().filter(|k| now.since(k.at) < LOOK_AGAIN) {
            return Ok(Arc::clone(known));
        }
        let fresh = self.discover(now).await?;
        Ok(Arc::clone(known.insert(Arc::new(fresh))))
    }

    async fn discover(&self, now: Timestamp) -> Result<Known, SignOnError> {
        let issuer = self.issuer();
        let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let metadata: Metadata = self.get(&address, None).await?;
        if metadata.issuer != issuer {
            let said = words(&metadata.issuer);
            return Err(SignOnError::Answer(format!("it calls itself `{said}`, not `{issuer}`")));
        }
        let endpoints =
            [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.jwks_uri];
        let all = endpoints.into_iter().chain(metadata.userinfo_endpoint.as_ref());
        for endpoint in all {
            // What only this machine may use is no business of a provider elsewhere.
            if !is_safe(endpoint) || (is_https(issuer) && !is_https(endpoint)) {
                let said = words(endpoint);
                return Err(SignOnError::Answer(format!("it names the endpoint `{said}`")));
            }
        }
        let published: Published = self.get(&metadata.jwks_uri, None).await?;
        // A key of a kind we do not know does not hide the others.
        let keys = published.keys.into_iter().filter_map(|k| serde_json::from_value(k).ok());
        Ok(Known { at: now, metadata, keys: JwkSet { keys: keys.collect() } })
    }

    async fn exchange(
        &self,
        metadata: &Metadata,
        begun: &Begun<'_>,
        code: &str,
    ) -> Result<Tokens, SignOnError> {
        let client_id = self.settings.client_id.as_str();
        let verifier = begun.verifier(self.issuer());
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", begun.redirect),
            ("code_verifier", &verifier),
        ];
        let methods = metadata.token_endpoint_auth_methods_supported.as_deref();
        // The default where a provider says nothing (Discovery 1.0, section 3).
        let basic = methods.is_none_or(|m| m.iter().any(|m| m == "client_secret_basic"));
        let mut authorization = None;
        match &self.settings.client_secret {
            Some(secret) if basic => {
                let pair = format!("{}:{}", escaped(client_id), escaped(secret));
                authorization = Some(format!("Basic {}", STANDARD.encode(pair)));
            }
            Some(secret) => form.extend([("client_id", client_id), ("client_secret", secret)]),
            None => form.push(("client_id", client_id)),
        }
        let mut request = self.request(&metadata.token_endpoint, authorization.as_deref())?;
        *request.method_mut() = Method::POST;
        request.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        *request.body_mut() = Full::new(Bytes::from(query(&form)));
        self.read(request).await
    }

    async fn userinfo(&self, address: &str, access: &str) -> Result<Claims, SignOnError> {
        self.get(address, Some(&format!("Bearer {access}"))).await
    }

    async fn get<T: DeserializeOwned>(
        &self,
        address: &str,
        authorization: Option<&str>,
    ) -> Result<T, SignOnError> {
        self.read(self.request(address, authorization)?).await
    }

    fn request(
        &self,
        address: &str,
        authorization: Option<&str>,
    ) -> Result<Request<Full<Bytes>>, SignOnError> {
        let bad = || SignOnError::Answer(format!("`{}` cannot be called", words(address)));
        let uri: Uri = address.parse().map_err(|_| bad())?;
        let mut request = Request::new(Full::default());
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        // Sign-ins are rare: a kept connection would often be closed already, and a
        // code cannot be sent twice.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        if let Some(text) = authorization {
            let mut value = HeaderValue::try_from(text).map_err(|_| bad())?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        Ok(request)
    }

    async fn read<T: DeserializeOwned>(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<T, SignOnError> {
        let exchange = async {
            let response = self.client.send(request).await;
            let response = response.map_err(|e| SignOnError::Unreachable(e.to_string()))?;
            let status = response.status();
            let body = read_all(response.into_body(), MAX_ANSWER_BYTES).await;
            let body = body.map_err(|e| SignOnError::Unreachable(e.to_string()))?;
            if !status.is_success() {
                let said = serde_json::from_slice::<Said>(&body).ok();
                let said = said.map(|said| said.error_description.unwrap_or(said.error));
                let said = said.map_or_else(|| format!("status {status}"), |said| words(&said));
                return Err(SignOnError::Refused(said));
            }
            // The parser's words could repeat a token; its place does not.
            serde_json::from_slice(&body).map_err(|e| {
                let place = format!("line {} column {}", e.line(), e.column());
                SignOnError::Answer(format!("it is not the JSON it should be, at {place}"))
            })
        };
        let late = || Err(SignOnError::Unreachable(format!("no answer within {TIMEOUT:?}")));
        tokio::time::timeout(TIMEOUT, exchange).await.unwrap_or_else(|_| late())
    }
}

/// An error of the token endpoint (RFC 6749, section 5.2).
#[derive(Deserialize)]
struct Said {
    error: String,
    error_description: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
    access_token: Option<String>,
}

fn is_https(address: &str) -> bool {
    address.starts_with("https://")
}

/// True for an address secrets may be sent to: encrypted, or on this machine.
pub(crate) fn is_safe(address: &str) -> bool {
    let Ok(uri) = address.parse::<Uri>() else { return false };
    let Some(authority) = uri.authority().filter(|a| !a.as_str().contains('@')) else {
        return false;
    };
    let here = matches!(authority.host(), "localhost" | "127.0.0.1" | "[::1]");
    match uri.scheme_str() {
        Some("https") => true,
        Some("http") => here,
        _ => false,
    }
}

/// A text of the provider, short and on one line.
fn words(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
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

fn query(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<_> =
        pairs.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    pairs.join("&")
}

fn with_query(address: &str, pairs: &[(&str, &str)]) -> String {
    let separator = if address.contains('?') { '&' } else { '?' };
    format!("{address}{separator}{}", query(pairs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_encrypted_addresses_and_this_machine_are_safe() {
        for good in [
            "https://login.example.com",
            "https://x/y?z",
            "http://127.0.0.1:1/",
            "http://localhost:3000/a",
            "http://[::1]:8/",
        ] {
            assert!(is_safe(good), "{good}");
        }
        for bad in [
            "",
            "login.example.com",
            "http://login.example.com",
            "ftp://localhost",
            "https://u:p@host/",
            "http://127.0.0.1.evil.example/",
            "http://localhost@evil.example/",
        ] {
            assert!(!is_safe(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_derived_differs_by_use_issuer_redirect_and_secret() {
        let begun = |secret, redirect| Begun { secret, redirect };
        let one = begun("s", "r");
        let all = [
            one.state("i"),
            one.nonce("i"),
            one.verifier("i"),
            one.state("j"),
            begun("t", "r").state("i"),
            begun("s", "q").state("i"),
        ];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
        // RFC 7636 wants 43 to 128 characters of an unreserved alphabet.
        assert_eq!(one.verifier("i").len(), 43);
    }

    #[test]
    fn addresses_are_joined_whatever_they_end_with() {
        assert_eq!(with_query("https://a/b", &[("c", "d e&f")]), "https://a/b?c=d%20e%26f");
        assert_eq!(with_query("https://a/b?x=y", &[("c", "d")]), "https://a/b?x=y&c=d");
    }
}
