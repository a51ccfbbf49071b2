//! Reading requests: who asks, which generation, which body. Every way to fail
//! is a problem with words.

use crate::Api;
use crate::problem::ApiError;
use crate::words;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Query, Request};
use axum::response::{IntoResponse, Response};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use control::Caller;
use control::caller::not_signed_in;
use control::problem::ProblemKind;
use domain::ids::Generation;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::net::SocketAddr;

/// Largest JSON body, in bytes: a change with its files.
pub(crate) const MAX_BODY: usize = 32 << 20;

/// A signed-in person.
pub(crate) struct Signed(pub Caller);

impl FromRequestParts<Api> for Signed {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let source = source(parts);
        // Who shows a token means it, whatever cookies the program keeps.
        if parts.headers.contains_key(header::AUTHORIZATION) {
            let secret = secret(&parts.headers)?;
            let caller = api.control.authenticate(&secret, source).await?;
            note(parts, &caller);
            return Ok(Self(caller));
        }
        let Some(cookie) = crate::session::cookie(&parts.headers) else {
            return Err(not_signed_in("this needs a token").into());
        };
        let session = api.control.authenticate_session(&cookie, source).await?;
        note(parts, &session.caller);
        crate::session::must_be_own_page(&parts.method, &parts.headers, &session)?;
        Ok(Self(session.caller))
    }
}

/// Tells the layer whose request this is.
fn note(parts: &Parts, caller: &Caller) {
    if let Some(who) = parts.extensions.get::<crate::layer::Who>() {
        // Asked twice, it is the same person.
        who.0.get_or_init(|| caller.name().clone());
    }
}

/// The address a request came from.
pub(crate) fn source(parts: &Parts) -> Option<String> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|c| c.0.ip().to_string())
}

/// The token of a request: `Bearer`, or the password of `Basic` as git sends it.
pub(crate) fn secret(headers: &HeaderMap) -> Result<String, ApiError> {
    let missing = || ApiError::from(not_signed_in("this needs a token"));
    let value = headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
    let text = value.to_str().map_err(|_| missing())?;
    let (scheme, rest) = text.split_once(' ').ok_or_else(missing)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(missing());
    }
    let decoded = STANDARD.decode(rest.trim()).map_err(|_| missing())?;
    let pair = String::from_utf8(decoded).map_err(|_| missing())?;
    pair.split_once(':').map(|(_, password)| password.to_owned()).ok_or_else(missing)
}

/// The generation in `If-Match`, if one is given.
pub(crate) struct IfMatch(pub Option<Generation>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        generation(parts.headers.get(header::IF_MATCH)).map(Self)
    }
}

fn generation(value: Option<&HeaderValue>) -> Result<Option<Generation>, ApiError> {
    let Some(value) = value else { return Ok(None) };
    let text = value.to_str().unwrap_or("?").trim();
    if text == "*" {
        return Ok(None);
    }
    text.strip_prefix('"')
        .and_then(|t| t.strip_suffix('"'))
        .and_then(|digits| digits.parse().ok())
        .map(|n| Some(Generation(n)))
        .ok_or_else(|| {
            ApiError::invalid(
                "bad_if_match",
                format!("`{text}` in If-Match is not a generation"),
                "send the object's generation in quotes, for example If-Match: \"7\"",
            )
        })
}

/// A JSON body.
pub(crate) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let bytes = bytes(request.into_body(), MAX_BODY).await?;
        // No body is an empty object: commands without details need none.
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        words::json(text).map(Self).map_err(|e| {
            ApiError::invalid(
                "bad_body",
                format!("the body cannot be read: {e}"),
                "send one JSON object with the fields of this resource",
            )
        })
    }
}

/// Reads a body to its end, within a limit.
pub(crate) async fn bytes(body: axum::body::Body, limit: usize) -> Result<bytes::Bytes, ApiError> {
    let collected = Limited::new(body, limit).collect().await.map_err(|e| {
        if e.downcast_ref::<http_body_util::LengthLimitError>().is_some() {
            ApiError::invalid(
                "too_large",
                format!("the body is larger than {limit} bytes"),
                "send less, or push with git",
            )
            .with(StatusCode::PAYLOAD_TOO_LARGE)
        } else {
            ApiError::invalid("cut_body", "the body did not arrive whole", "send it again")
                .with(StatusCode::BAD_REQUEST)
        }
    })?;
    Ok(collected.to_bytes())
}

/// The parameters of a query string.
pub(crate) struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(value) = Query::<T>::from_request_parts(parts, state).await.map_err(|e| {
            ApiError::invalid(
                "bad_query",
                format!("the address cannot be read: {}", words::query(&e.body_text())),
                "check the parameters after `?`",
            )
        })?;
        Ok(Self(value))
    }
}

/// A part of the path, read into its type.
pub(crate) struct Path<T>(pub T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let axum::extract::Path(text) =
            axum::extract::Path::<String>::from_request_parts(parts, state)
                .await
                .map_err(|e| ApiError::invalid("bad_path", e.body_text(), "check the address"))?;
        text.parse().map(Self).map_err(|e: T::Err| {
            ApiError::invalid("bad_name", words::plain(&e.to_string()), "check the spelling")
        })
    }
}

/// A JSON answer.
pub(crate) struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
            Err(error) => ApiError::from(control::problem::Problem::new(
                ProblemKind::Failed,
                "unprintable",
                format!("the answer has no JSON form: {error}"),
                "tell whoever runs this server",
            ))
            .into_response(),
        }
    }
}

/// What handlers give back.
pub(crate) type Answer<T> = Result<Json<T>, ApiError>;

/// Most times a command is tried that named no generation.
const TRIES: u32 = 8;

/// How often a command may still be tried. One that names a generation is for
/// exactly that state, and fails when somebody was faster. One that names none
/// is for whatever state there is: losing a race against the server's own loops
/// is no reason to fail a person who acts fast.
pub(crate) struct Tries(u32);

impl Tries {
    /// For a command that expects this.
    pub(crate) fn of(expected: Option<Generation>) -> Self {
        Self(if expected.is_none() { TRIES } else { 1 })
    }

    /// True if the command lost a race and may be tried again.
    pub(crate) fn again<T>(&mut self, done: &Result<T, control::problem::Problem>) -> bool {
        self.0 = self.0.saturating_sub(1);
        self.0 > 0 && done.as_ref().is_err_and(|problem| problem.kind == ProblemKind::Conflict)
    }
}

/// Wraps what `control` said.
pub(crate) fn answer<T>(result: Result<T, control::problem::Problem>) -> Answer<T> {
    Ok(Json(result?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Option<Generation> {
        generation(Some(&HeaderValue::from_str(text).unwrap())).ok().flatten()
    }

    #[test]
    fn if_match_is_a_generation_in_quotes() {
        assert_eq!(header("\"7\""), Some(Generation(7)));
        assert!(generation(None).is_ok_and(|g| g.is_none()));
        assert!(generation(Some(&HeaderValue::from_static("*"))).is_ok_and(|g| g.is_none()));
        for bad in ["7", "\"seven\"", "W/\"7\"", "\"7", "\""] {
            assert!(generation(Some(&HeaderValue::from_static(bad))).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_a_command_without_a_generation_is_tried_again() {
        let lost =
            || Err::<(), _>(control::problem::Problem::new(ProblemKind::Conflict, "c", "d", "h"));
        let other =
            Err::<(), _>(control::problem::Problem::new(ProblemKind::Refused, "c", "d", "h"));
        let mut free = Tries::of(None);
        let tried =
            std::iter::repeat_with(|| free.again(&lost())).take_while(|again| *again).count();
        assert_eq!(tried, 7);
        assert!(!Tries::of(None).again(&Ok::<_, control::problem::Problem>(())));
        assert!(!Tries::of(None).again(&other));
        assert!(!Tries::of(Some(Generation(1))).again(&lost()));
    }

    #[test]
    fn tokens_come_as_bearer_or_as_the_password_git_sends() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            secret(&headers).ok()
        };
        assert_eq!(with("Bearer tgp_x").as_deref(), Some("tgp_x"));
        let basic = format!("Basic {}", STANDARD.encode("ana:tgp:x"));
        assert_eq!(with(&basic).as_deref(), Some("tgp:x"));
        for bad in ["tgp_x", "Basic !!!", "Digest x", "Basic YQ=="] {
            assert_eq!(with(bad), None, "{bad}");
        }
    }
}
