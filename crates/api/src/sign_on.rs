//! Signing in by a company's OpenID provider: `/signin/{provider}` sends the
//! browser there, `/signin/{provider}/callback` takes it back.
//!
//! Both are followed by a browser and not by a script, so what goes wrong is a
//! page with a sentence. While the browser is away, a cookie of its own keeps
//! the sign-in; it is gone with the answer, whatever that was.

use crate::Api;
use crate::emergency::{alert, escaped, html};
use crate::extract::{Answer, Json, Path, Signed, source};
use crate::problem::ApiError;
use crate::session::{is_secure, named_cookie, set_cookie};
use crate::web::base;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use control::sign_on::{AWAY, Returned, SignOnView};
use control::views::Page;
use domain::ids::PersonName;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;

/// The cookie of a browser that is away.
const COOKIE: &str = "tidegate_sign_on";

/// `GET /api/v1/session/providers`: open, for the sign-in page.
pub(crate) async fn providers(State(api): State<Api>) -> Answer<Page<SignOnView>> {
    Ok(Json(Page { items: api.control.sign_on_providers(), next: None }))
}

/// `DELETE /api/v1/people/{id}/sign-on`.
pub(crate) async fn forget(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(person): Path<PersonName>,
) -> Result<StatusCode, ApiError> {
    api.control.forget_sign_on(&caller, &person).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where to go afterwards.
#[derive(Default, Deserialize)]
pub(crate) struct To {
    to: Option<String>,
}

/// `GET /signin/{provider}`.
pub(crate) async fn begin(
    State(api): State<Api>,
    Path(provider): Path<String>,
    parts: Parts,
) -> Response {
    let to = query::<To>(&parts).to;
    match api.control.begin_sign_on(&provider, to.as_deref()).await {
        Ok(departure) => {
            let set = keep(&api, &parts.headers, Some(&departure.cookie));
            away(&departure.location, [Some(set), None])
        }
        Err(problem) => refused(&api, &parts, &problem.into()),
    }
}

/// `GET /signin/{provider}/callback`.
pub(crate) async fn finish(
    State(api): State<Api>,
    Path(provider): Path<String>,
    parts: Parts,
) -> Response {
    let cookie = named_cookie(&parts.headers, COOKIE);
    let before = named_cookie(&parts.headers, crate::session::COOKIE);
    let returned = query::<Returned>(&parts);
    let done = api.control.finish_sign_on(
        &provider,
        cookie.as_deref(),
        &returned,
        source(&parts),
        before.as_deref(),
    );
    match done.await {
        Ok((session, to)) => {
            let set = set_cookie(&api, &parts.headers, Some(&session.secret));
            let gone = keep(&api, &parts.headers, None);
            away(&format!("{}{to}", base(&api)), [Some(set), Some(gone)])
        }
        Err(problem) => refused(&api, &parts, &problem.into()),
    }
}

/// What the address says; nothing, if it cannot be read.
fn query<T: for<'a> Deserialize<'a> + Default>(parts: &Parts) -> T {
    Query::try_from_uri(&parts.uri).map(|Query(value)| value).unwrap_or_default()
}

fn keep(api: &Api, headers: &HeaderMap, secret: Option<&str>) -> HeaderValue {
    let age = secret.map_or(0, |_| AWAY.millis() / 1000);
    let text = format!(
        "{COOKIE}={}; HttpOnly; SameSite=Lax; Path=/; Max-Age={age}{}",
        secret.unwrap_or_default(),
        if is_secure(api, headers) { "; Secure" } else { "" }
    );
    // Digits, letters, `-`, `_` and `.`.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

fn away(location: &str, cookies: [Option<HeaderValue>; 2]) -> Response {
    let Ok(location) = HeaderValue::from_str(location) else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(header::LOCATION, location);
    for set in cookies.into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, set);
    }
    response
}

/// The sentence, and the way back.
fn refused(api: &Api, parts: &Parts, error: &ApiError) -> Response {
    let back = format!(
        "{}<p><a href=\"{}signin\">Back to the sign-in page</a></p>",
        alert(error),
        escaped(&base(api))
    );
    let mut response = html(api, error.status(), &back);
    let gone = keep(api, &parts.headers, None);
    response.headers_mut().append(header::SET_COOKIE, gone);
    response
}
