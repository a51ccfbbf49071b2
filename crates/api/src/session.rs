//! `/api/v1/session`: signing in with a browser.
//!
//! The session's secret lives in a cookie that scripts cannot read. What writes
//! must also name the session's CSRF token in a header, which a page of another
//! site can neither read nor send.

use crate::Api;
use crate::extract::{Answer, Json, Path, Signed, answer, bytes, source};
use crate::problem::ApiError;
use crate::words;
use axum::extract::{FromRequestParts, Request, State};
use axum::response::{IntoResponse as _, Response};
use control::caller::not_signed_in;
use control::problem::{Problem, ProblemKind};
use control::sessions::{MadeCode, Session, SignIn, csrf_token};
use domain::ids::PersonName;
use domain::people::Role;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The cookie.
pub(crate) const COOKIE: &str = "tidegate_session";
/// The header that carries the CSRF token.
pub(crate) const CSRF_HEADER: &str = "x-tidegate-csrf";
/// Largest body of a sign-in, in bytes: anybody may send one.
const MAX_SIGN_IN: usize = 16 << 10;

/// The session's secret, if the browser sent one.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<String> {
    named_cookie(headers, COOKIE)
}

/// The value of a cookie, if the browser sent exactly one of this name.
pub(crate) fn named_cookie(headers: &HeaderMap, wanted: &str) -> Option<String> {
    let pairs = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut found = pairs
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == wanted);
    // Two of one name: somebody beside us planted one. Neither is believed.
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Some(value.to_owned()),
        _ => None,
    }
}

/// Fails a write that does not carry the session's CSRF token.
pub(crate) fn must_be_own_page(
    method: &Method,
    headers: &HeaderMap,
    session: &Session,
) -> Result<(), ApiError> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let sent = headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
    check_csrf(sent.unwrap_or_default(), session)
}

/// The same for a token that came another way.
pub(crate) fn check_csrf(sent: &str, session: &Session) -> Result<(), ApiError> {
    let own = csrf_token(&session.secret);
    // Both are digests: how many first characters agree tells nothing.
    if sent == own {
        return Ok(());
    }
    Err(Problem::new(
        ProblemKind::NotAllowed,
        "csrf",
        "this write does not come from a page of this session",
        "load the page again; programs send a token instead of a cookie",
    )
    .into())
}

/// Somebody with a browser session: reads and writes of the session itself.
pub(crate) struct InBrowser(pub Session);

impl FromRequestParts<Api> for InBrowser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let cookie = cookie(&parts.headers)
            .ok_or_else(|| ApiError::from(not_signed_in("you are not signed in")))?;
        let session = api.control.authenticate_session(&cookie, source(parts)).await?;
        must_be_own_page(&parts.method, &parts.headers, &session)?;
        Ok(Self(session))
    }
}

/// `POST /api/v1/session`: exactly one way in.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSession {
    /// A personal token, or …
    token: Option<String>,
    /// … a name …
    login: Option<String>,
    /// … with its password, or …
    password: Option<String>,
    /// … a one-time code.
    code: Option<String>,
}

impl NewSession {
    /// What is shown, if it is one thing.
    pub(crate) fn shown(self) -> Result<SignIn, ApiError> {
        let given = |text: Option<String>| text.filter(|t| !t.is_empty());
        match (given(self.token), given(self.login), given(self.password), given(self.code)) {
            (Some(token), None, None, None) => Ok(SignIn::Token(token.trim().to_owned())),
            (None, Some(login), Some(password), None) => {
                Ok(SignIn::Password { login: login.trim().to_owned(), password })
            }
            (None, None, None, Some(code)) => Ok(SignIn::Code(code.trim().to_owned())),
            _ => Err(ApiError::invalid(
                "bad_sign_in",
                "send a `token`, a `login` with its `password`, or a `code`",
                "exactly one of these",
            )),
        }
    }
}

/// Who is signed in, and with what.
#[derive(Serialize)]
pub(crate) struct SessionView {
    person: SessionPerson,
    csrf: String,
    expires_at: domain::units::Timestamp,
    demo: bool,
    installation: InstallationView,
    /// The OpenID provider they came by.
    provider: Option<ProviderView>,
}

#[derive(Serialize)]
struct ProviderView {
    id: String,
    name: String,
    /// Where to sign out there, too.
    sign_out: Option<String>,
}

#[derive(Serialize)]
struct SessionPerson {
    id: PersonName,
    name: String,
    kind: &'static str,
    roles: BTreeSet<Role>,
}

#[derive(Serialize)]
struct InstallationView {
    name: String,
    version: &'static str,
    environment: domain::ids::EnvName,
}

async fn view(api: &Api, session: &Session) -> SessionView {
    let (person, config) = (&session.caller.person, api.control.config());
    let provider = match &session.provider {
        Some(id) => api.control.came_by(id).await,
        None => None,
    };
    SessionView {
        provider: provider.map(|by| ProviderView {
            id: by.id,
            name: by.name,
            sign_out: by.sign_out,
        }),
        person: SessionPerson {
            id: person.name.clone(),
            name: person.display.clone(),
            kind: if person.roles.contains(&Role::Agent) { "agent" } else { "person" },
            roles: person.roles.clone(),
        },
        csrf: csrf_token(&session.secret),
        expires_at: session.expires_at,
        demo: config.demo,
        installation: InstallationView {
            name: config.origin.clone(),
            version: env!("CARGO_PKG_VERSION"),
            environment: config.environment.clone(),
        },
    }
}

/// True if browsers reach this server by TLS.
pub(crate) fn is_secure(api: &Api, headers: &HeaderMap) -> bool {
    let forwarded = headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
    forwarded || api.control.config().public_url.starts_with("https:")
}

/// The `Set-Cookie` of a session, or of none.
pub(crate) fn set_cookie(api: &Api, headers: &HeaderMap, secret: Option<&str>) -> HeaderValue {
    let age = secret.map_or(0, |_| control::sessions::LONGEST.millis() / 1000);
    let text = format!(
        "{COOKIE}={}; HttpOnly; SameSite=Lax; Path=/; Max-Age={age}{}",
        secret.unwrap_or_default(),
        if is_secure(api, headers) { "; Secure" } else { "" }
    );
    // A secret is hexadecimal digits.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

async fn opened(api: &Api, headers: &HeaderMap, session: &Session) -> Response {
    let set = set_cookie(api, headers, Some(&session.secret));
    ([(header::SET_COOKIE, set)], Json(view(api, session).await)).into_response()
}

pub(crate) async fn sign_in(
    State(api): State<Api>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let body = bytes(body, MAX_SIGN_IN).await?;
    let new: NewSession = words::json(&body).map_err(|e| {
        let detail = format!("the body cannot be read: {e}");
        ApiError::invalid("bad_body", detail, "send one JSON object with one way in")
    })?;
    let before = cookie(&parts.headers);
    let session = api.control.sign_in(new.shown()?, source(&parts), before.as_deref()).await?;
    Ok(opened(&api, &parts.headers, &session).await)
}

pub(crate) async fn get(
    State(api): State<Api>,
    InBrowser(session): InBrowser,
) -> Answer<SessionView> {
    Ok(Json(view(&api, &session).await))
}

pub(crate) async fn sign_out(
    State(api): State<Api>,
    headers: HeaderMap,
    InBrowser(session): InBrowser,
) -> Result<Response, ApiError> {
    api.control.sign_out(&session).await?;
    let set = set_cookie(&api, &headers, None);
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, set)]).into_response())
}

/// Whose eyes to look through.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct As {
    person: PersonName,
}

pub(crate) async fn view_as(
    State(api): State<Api>,
    headers: HeaderMap,
    InBrowser(session): InBrowser,
    crate::extract::Body(whose): crate::extract::Body<As>,
) -> Result<Response, ApiError> {
    let session = api.control.view_as(session, &whose.person).await?;
    Ok(opened(&api, &headers, &session).await)
}

/// `PUT /api/v1/people/{id}/password`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPassword {
    /// The present one, where there is one and it is one's own.
    current: Option<String>,
    /// The new one.
    password: String,
}

pub(crate) async fn set_password(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(person): Path<PersonName>,
    crate::extract::Body(new): crate::extract::Body<NewPassword>,
) -> Result<StatusCode, ApiError> {
    let current = new.current.as_deref();
    api.control.set_password(&caller, &person, current, &new.password).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn make_code(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(person): Path<PersonName>,
) -> Answer<MadeCode> {
    answer(api.control.make_sign_in_code(&caller, &person).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::from_str(line).unwrap());
        }
        cookie(&headers)
    }

    #[test]
    fn the_cookie_is_found_among_others_and_two_are_none() {
        assert_eq!(read(&["a=b; tidegate_session=x; c=d"]).as_deref(), Some("x"));
        assert_eq!(read(&["a=b", "tidegate_session=x"]).as_deref(), Some("x"));
        assert_eq!(read(&["a=b", "xtidegate_session=x"]), None);
        assert_eq!(read(&["tidegate_session=x; tidegate_session=y"]), None);
        assert_eq!(read(&["tidegate_session=x", "tidegate_session=y"]), None);
    }

    #[test]
    fn there_is_exactly_one_way_in() {
        let way = |body: &str| serde_json::from_str::<NewSession>(body).unwrap().shown().is_ok();
        assert!(way(r#"{"token": "t"}"#) && way(r#"{"code": "c"}"#));
        assert!(way(r#"{"login": "ana", "password": "p"}"#));
        for bad in [
            "{}",
            r#"{"token": ""}"#,
            r#"{"login": "ana"}"#,
            r#"{"password": "p"}"#,
            r#"{"token": "t", "code": "c"}"#,
            r#"{"token": "t", "login": "ana", "password": "p"}"#,
        ] {
            assert!(!way(bad), "{bad}");
        }
    }
}
