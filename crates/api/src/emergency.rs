//! The built-in page: plain HTML, no script, nothing to download. It stops harm
//! when nothing else works, and stands in for the full page where that was not
//! built.
//!
//! What must stay true: every text that comes from anywhere goes through
//! [`escaped`]; a form is carried out only with the session's CSRF token.

use crate::Api;
use crate::extract::source;
use crate::problem::ApiError;
use crate::session::{NewSession, check_csrf, cookie, set_cookie};
use crate::web::{base, nonce};
use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use control::caller::not_signed_in;
use control::listing::ListQuery;
use control::sessions::{Session, csrf_token};
use control::views::{ActionResult, AppView, NewAction, RolloutView};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use std::fmt::Write as _;

/// Text as HTML that shows just that, also inside quoted attributes.
pub(crate) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            _ => html.push(c),
        }
    }
    html
}

const STYLE: &str = "\
:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:50rem;\
margin:1rem auto;padding:0 1rem}section{border:1px solid #888;border-radius:.4rem;\
padding:.5rem 1rem;margin:1rem 0}form{margin:.5rem 0}label{display:block;margin:.5rem 0}\
input{font:inherit;padding:.4rem;width:100%;box-sizing:border-box}button{font:inherit;\
min-height:2.5rem;padding:.3rem 1rem;margin:.2rem .5rem .2rem 0}[role=alert],[role=status]\
{border-left:.4rem solid;padding:.5rem 1rem}";

/// `GET /emergency`.
pub(crate) async fn page(State(api): State<Api>, request: Request) -> Response {
    built_in(&api, request.into_parts().0).await
}

/// The page for whoever asks: signed in or not.
pub(crate) async fn built_in(api: &Api, parts: Parts) -> Response {
    match signed_in(api, &parts).await {
        Ok(session) => overview(api, &session, "").await,
        Err(_) => {
            let code = parts
                .uri
                .query()
                .and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("code=")));
            html(api, StatusCode::OK, &sign_in_form(api, code.unwrap_or_default(), ""))
        }
    }
}

async fn signed_in(api: &Api, parts: &Parts) -> Result<Session, ApiError> {
    let secret =
        cookie(&parts.headers).ok_or_else(|| ApiError::from(not_signed_in("sign in first")))?;
    Ok(api.control.authenticate_session(&secret, source(parts)).await?)
}

/// `POST /emergency/signin`.
pub(crate) async fn sign_in(
    State(api): State<Api>,
    parts: Parts,
    form: Result<Form<NewSession>, FormRejection>,
) -> Response {
    let before = cookie(&parts.headers);
    let opened = async {
        let shown = read(form)?.shown()?;
        Ok::<_, ApiError>(api.control.sign_in(shown, source(&parts), before.as_deref()).await?)
    };
    match opened.await {
        Ok(session) => {
            let set = set_cookie(&api, &parts.headers, Some(&session.secret));
            back(&api, Some(set))
        }
        Err(error) => html(&api, error.status(), &sign_in_form(&api, "", &alert(&error))),
    }
}

/// What the sign-out form sends.
#[derive(Deserialize)]
pub(crate) struct SignOut {
    csrf: String,
}

/// `POST /emergency/signout`.
pub(crate) async fn sign_out(
    State(api): State<Api>,
    parts: Parts,
    form: Result<Form<SignOut>, FormRejection>,
) -> Response {
    let done = async {
        let session = signed_in(&api, &parts).await?;
        check_csrf(&read(form)?.csrf, &session)?;
        Ok::<_, ApiError>(api.control.sign_out(&session).await?)
    };
    match done.await {
        Ok(()) => back(&api, Some(set_cookie(&api, &parts.headers, None))),
        Err(error) => refused(&api, &parts, &error).await,
    }
}

/// What a button sends.
#[derive(Deserialize)]
pub(crate) struct Act {
    csrf: String,
    kind: String,
    #[serde(default)]
    app: String,
    #[serde(default)]
    rollout: String,
    #[serde(default)]
    reason: String,
}

/// `POST /emergency/act`: pause, rollback or kill, and nothing else.
pub(crate) async fn act(
    State(api): State<Api>,
    parts: Parts,
    form: Result<Form<Act>, FormRejection>,
) -> Response {
    let done = async {
        let session = signed_in(&api, &parts).await?;
        let form = read(form)?;
        check_csrf(&form.csrf, &session)?;
        Ok::<_, ApiError>((carry_out(&api, &session, form).await?, session))
    };
    match done.await {
        Ok((result, session)) => {
            let (have, all) = result.gateways;
            let said = format!(
                "<p role=\"status\">{} {have} of {all} gateways serve it already.</p>",
                escaped(&result.done.text)
            );
            overview(&api, &session, &said).await
        }
        Err(error) => refused(&api, &parts, &error).await,
    }
}

async fn carry_out(api: &Api, session: &Session, form: Act) -> Result<ActionResult, ApiError> {
    let action = NewAction {
        kind: form.kind.clone(),
        reason: Some(form.reason.trim().to_owned()).filter(|reason| !reason.is_empty()),
        to: None,
    };
    let caller = &session.caller;
    let mut tries = crate::extract::Tries::of(None);
    loop {
        let done = match form.kind.as_str() {
            "pause" => {
                let id = form.rollout.parse()?;
                api.control.rollout_action(caller, id, None, action.clone()).await
            }
            "rollback" | "kill" => {
                let app = form.app.parse()?;
                api.control.app_action(caller, &app, None, action.clone()).await
            }
            other => {
                return Err(ApiError::invalid(
                    "unknown_action",
                    format!("this page cannot `{other}`"),
                    "it can pause, go back and throw the kill switch",
                ));
            }
        };
        if !tries.again(&done) {
            return Ok(done?);
        }
    }
}

fn read<T>(form: Result<Form<T>, FormRejection>) -> Result<T, ApiError> {
    form.map(|Form(form)| form).map_err(|e| {
        ApiError::invalid("bad_form", crate::words::plain(&e.body_text()), "load the page again")
            .with(e.status())
    })
}

fn back(api: &Api, set: Option<HeaderValue>) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    if let Ok(place) = HeaderValue::from_str(&format!("{}emergency", base(api))) {
        headers.insert(header::LOCATION, place);
    }
    set.and_then(|set| headers.insert(header::SET_COOKIE, set));
    response
}

pub(crate) fn alert(error: &ApiError) -> String {
    let (detail, hint) = error.words();
    format!("<p role=\"alert\"><strong>{}</strong><br>{}</p>", escaped(detail), escaped(hint))
}

async fn refused(api: &Api, parts: &Parts, error: &ApiError) -> Response {
    let status = error.status();
    let mut response = match signed_in(api, parts).await {
        Ok(session) => overview(api, &session, &alert(error)).await,
        Err(_) => html(api, status, &sign_in_form(api, "", &alert(error))),
    };
    *response.status_mut() = status;
    response
}

/// What is served and rolled out, with the buttons that stop it.
async fn overview(api: &Api, session: &Session, said: &str) -> Response {
    match contents(api, session).await {
        Ok(text) => html(api, StatusCode::OK, &format!("{said}{text}")),
        Err(error) => html(api, error.status(), &format!("{said}{}", alert(&error))),
    }
}

async fn contents(api: &Api, session: &Session) -> Result<String, ApiError> {
    let caller = &session.caller;
    let first = ListQuery { limit: Some(store::MAX_PAGE), ..ListQuery::default() };
    let apps = api.control.apps(caller, first).await?;
    let active = ListQuery { state: Some("active".to_owned()), ..ListQuery::default() };
    let rollouts = api.control.rollouts(caller, active).await?;
    let (base, csrf) = (escaped(&base(api)), csrf_token(&session.secret));
    let mut text = format!(
        "<p>Signed in as {}.</p><form method=\"post\" action=\"{base}emergency/signout\">\
         <input type=\"hidden\" name=\"csrf\" value=\"{csrf}\"><button>Sign out</button></form>",
        escaped(&caller.person.display)
    );
    if apps.items.is_empty() {
        text.push_str("<p>No apps yet.</p>");
    }
    for app in &apps.items {
        let rollout = rollouts.items.iter().find(|rollout| Some(rollout.id) == app.rollout);
        text.push_str(&section(&base, &csrf, app, rollout));
    }
    Ok(text)
}

fn section(base: &str, csrf: &str, app: &AppView, rollout: Option<&RolloutView>) -> String {
    let name = escaped(app.name.as_str());
    let release = app.production.map(|release| release.short()).unwrap_or_default();
    let mut text = format!("<section aria-label=\"{name}\"><h2>{name}</h2><p>");
    // Writing to a string cannot fail.
    if let Some(since) = app.killed {
        write!(text, "The kill switch is on since {}. ", escaped(&since.iso())).unwrap_or_default();
    }
    write!(text, "Everyone has {}.</p>", escaped(&release)).unwrap_or_default();
    if let Some(rollout) = rollout {
        let newest = rollout.report.as_ref().map(|report| report.summary.text.as_str());
        write!(
            text,
            "<p>{}: {}. {}</p>",
            escaped(&rollout.id.to_string()),
            escaped(&rollout.title),
            escaped(newest.unwrap_or("No look yet."))
        )
        .unwrap_or_default();
    }
    write!(
        text,
        "<form method=\"post\" action=\"{base}emergency/act\">\
         <input type=\"hidden\" name=\"csrf\" value=\"{csrf}\">\
         <input type=\"hidden\" name=\"app\" value=\"{name}\">\
         <input type=\"hidden\" name=\"rollout\" value=\"{}\">\
         <label>Reason (may follow within the hour)<input name=\"reason\" maxlength=\"2000\"></label>",
        rollout.map(|r| escaped(&r.id.to_string())).unwrap_or_default()
    )
    .unwrap_or_default();
    if rollout.is_some() {
        text.push_str("<button name=\"kind\" value=\"pause\">Pause</button>");
    }
    text.push_str(
        "<button name=\"kind\" value=\"rollback\">Go back</button>\
         <button name=\"kind\" value=\"kill\">Kill switch (use the fallback)</button>\
         </form></section>",
    );
    text
}

fn sign_in_form(api: &Api, code: &str, said: &str) -> String {
    let base = escaped(&base(api));
    let form = |fields: &str| {
        format!(
            "<form method=\"post\" action=\"{base}emergency/signin\">{fields}\
             <button>Sign in</button></form>"
        )
    };
    let password = form(
        "<label>Name<input name=\"login\" autocomplete=\"username\"></label>\
         <label>Password<input name=\"password\" type=\"password\" \
         autocomplete=\"current-password\"></label>",
    );
    let token =
        form("<label>Token<input name=\"token\" type=\"password\" autocomplete=\"off\"></label>");
    let code = form(&format!(
        "<label>One-time code<input name=\"code\" autocomplete=\"one-time-code\" value=\"{}\"></label>",
        escaped(code)
    ));
    let providers: String = api
        .control
        .sign_on_providers()
        .iter()
        .map(|by| {
            let (url, name) = (escaped(&by.url), escaped(&by.name));
            format!("<p><a href=\"{base}{url}?to=/emergency\">Sign in with {name}</a></p>")
        })
        .collect();
    format!(
        "{said}{providers}<section><h2>With a one-time code</h2>{code}</section>\
         <section><h2>With a password</h2>{password}</section>\
         <section><h2>With a personal token</h2>{token}</section>"
    )
}

/// A whole page.
pub(crate) fn html(api: &Api, status: StatusCode, body: &str) -> Response {
    let nonce = nonce().unwrap_or_default();
    let full = if crate::web::has_page() {
        format!("<a href=\"{}\">Full pages</a>", escaped(&base(api)))
    } else {
        "The full pages are not part of this build: `npm ci` and `npm run build` in `web/`, \
         then build again."
            .to_owned()
    };
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>Tidegate (basic page)</title><style nonce=\"{nonce}\">{STYLE}</style></head>\
         <body><main><h1>Tidegate (basic page)</h1>{body}<p>{full}</p></main></body></html>"
    );
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'"
    );
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", policy.as_str()),
        // Without a referrer browsers name no origin when a form is sent.
        ("referrer-policy", "same-origin"),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    (status, headers, page).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_a_text_or_an_attribute() {
        assert_eq!(
            escaped("<script>alert('x')</script> & \"y\""),
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;y&quot;"
        );
    }
}
