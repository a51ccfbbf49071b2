//! The page's files, and what is served where no route matches.
//!
//! The files are those of `web/dist` when this program was built; a debug build
//! reads the folder when it is asked, so a page built anew appears at once, as long
//! as the folder was there when this crate was compiled.
//! Without them the built-in page takes their place.
//!
//! What must stay true: nothing under a path of programs (`/api`, `/git`, …) is
//! ever answered with a page; a program that asks for the wrong thing must be
//! told so and not be handed HTML.

use crate::Api;
use crate::emergency;
use crate::problem::{no_such_method, no_such_path};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use rust_embed::{EmbeddedFile, RustEmbed};

/// What `npm run build` made.
#[derive(RustEmbed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Dist;

/// Paths of programs: no page is ever served there.
const NO_PAGES: [&str; 8] = ["api", "v1", "ofrep", "git", "log", "internal", "assets", "emergency"];
/// The names of built assets carry their content's hash.
const FOREVER: &str = "public, max-age=31536000, immutable";

/// Whatever no route matches.
pub(crate) async fn fallback(State(api): State<Api>, request: Request) -> Response {
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    if !matches!(*method, Method::GET | Method::HEAD) {
        let known = wants_page(uri.path(), headers) || Dist::get(trimmed(uri.path())).is_some();
        return if known {
            no_such_method(method.clone(), uri.clone()).await.into_response()
        } else {
            no_such_path(uri.clone()).await.into_response()
        };
    }
    // The index is filled in for each answer, so it is never served as a file.
    let path = trimmed(uri.path());
    if path != "index.html"
        && let Some(served) = file(path, headers)
    {
        return served;
    }
    if !wants_page(uri.path(), headers) {
        return no_such_path(uri.clone()).await.into_response();
    }
    match Dist::get("index.html").and_then(|index| page(&api, &index)) {
        Some(page) => page,
        None => emergency::built_in(&api, request.into_parts().0).await,
    }
}

/// True if the full page is part of this build.
pub(crate) fn has_page() -> bool {
    Dist::get("index.html").is_some()
}

fn trimmed(path: &str) -> &str {
    path.trim_start_matches('/')
}

/// True for an address a person opens.
fn wants_page(path: &str, headers: &HeaderMap) -> bool {
    let first = trimmed(path).split('/').next().unwrap_or_default();
    let html = headers
        .get_all(header::ACCEPT)
        .into_iter()
        .filter_map(|accept| accept.to_str().ok())
        .any(|accept| accept.contains("text/html"));
    html && !NO_PAGES.contains(&first)
}

/// The path below which people reach this server: `/`, unless a proxy puts it
/// elsewhere.
pub(crate) fn base(api: &Api) -> String {
    let url = &api.control.config().public_url;
    let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    let path = path.map(|(_, path)| path.trim_matches('/')).unwrap_or_default();
    if path.is_empty() { "/".to_owned() } else { format!("/{path}/") }
}

/// A value used once, for the styles of one page.
pub(crate) fn nonce() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The index with its base and nonce.
fn page(api: &Api, index: &EmbeddedFile) -> Option<Response> {
    let nonce = nonce()?;
    let html = filled_in(std::str::from_utf8(&index.data).ok()?, &base(api), &nonce)?;
    let policy = format!(
        "default-src 'self'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; \
         img-src 'self' data:; object-src 'none'; frame-ancestors 'none'; base-uri 'self'; \
         form-action 'self'"
    );
    let mut response = html.into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", &policy),
        ("cache-control", "no-cache"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=()"),
    ] {
        headers.insert(name, HeaderValue::from_str(value).ok()?);
    }
    Some(response)
}

/// Puts base and nonce first into the head, before anything is loaded.
fn filled_in(index: &str, base: &str, nonce: &str) -> Option<String> {
    let head = index.find("<head>")? + "<head>".len();
    let index = index.replace("__CSP_NONCE__", nonce);
    let (before, after) = index.split_at_checked(head)?;
    let base = emergency::escaped(base);
    Some(format!(
        "{before}<base href=\"{base}\"><meta name=\"csp-nonce\" content=\"{nonce}\">{after}"
    ))
}

/// A file of the page, in the smallest form the client reads.
fn file(path: &str, headers: &HeaderMap) -> Option<Response> {
    let plain = Dist::get(path)?;
    let forms = [("br", "br"), ("gzip", "gz")];
    let packed = forms
        .into_iter()
        .filter(|(coding, _)| accepts(headers, coding))
        .find_map(|(coding, ending)| Some((coding, Dist::get(&format!("{path}.{ending}"))?)));
    let (coding, found) = match packed {
        Some((coding, found)) => (Some(coding), found),
        None => (None, plain),
    };
    let tag = found.metadata.sha256_hash();
    let tag: String = tag.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let same = headers.get(header::IF_NONE_MATCH).is_some_and(|have| have == tag.as_str());
    let mut response = if same {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        found.data.into_owned().into_response()
    };
    let head = response.headers_mut();
    let caching = if path.starts_with("assets/") { FOREVER } else { "no-cache" };
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(path)));
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    head.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    head.insert(header::ETAG, HeaderValue::from_str(&tag).ok()?);
    if let Some(coding) = coding {
        head.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    Some(response)
}

fn accepts(headers: &HeaderMap, coding: &str) -> bool {
    let listed = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    listed.unwrap_or_default().split(',').any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        let refused = matches!(weight.trim().strip_prefix("q="), Some("0" | "0.0" | "0.00"));
        name.trim().eq_ignore_ascii_case(coding) && !refused
    })
}

/// By the ending. What is not listed is offered as a download, never run.
fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(value));
        headers
    }

    #[test]
    fn only_a_person_who_opens_an_address_of_people_gets_a_page() {
        let browser = accept("text/html,application/xhtml+xml,*/*;q=0.8");
        for page in ["/", "/changes/41", "/rollouts/ro-1", "/apiary", "/signin"] {
            assert!(wants_page(page, &browser), "{page}");
            assert!(!wants_page(page, &accept("*/*")), "{page}: a script's fetch");
            assert!(!wants_page(page, &HeaderMap::new()), "{page}");
        }
        for program in
            ["/api", "/api/v1/nothing", "/v1/chat", "/git/x", "/log/y", "/assets/gone.js", "//api"]
        {
            assert!(!wants_page(program, &browser), "{program}");
        }
    }

    #[test]
    fn base_and_nonce_come_before_everything_that_is_loaded() {
        let index = "<!doctype html><html><head><script src=\"./a.js\"></script></head></html>";
        assert_eq!(
            filled_in(index, "/tide/", "00ff").unwrap(),
            "<!doctype html><html><head><base href=\"/tide/\"><meta name=\"csp-nonce\" \
             content=\"00ff\"><script src=\"./a.js\"></script></head></html>"
        );
        assert_eq!(filled_in("no head", "/", ""), None);
        assert!(filled_in("<head>", "/\"><script>", "").unwrap().contains("&quot;&gt;&lt;script"));
    }

    #[test]
    fn packed_files_go_only_to_who_reads_them() {
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            (accepts(&headers, "br"), accepts(&headers, "gzip"))
        };
        assert_eq!(with("gzip, deflate, br"), (true, true));
        assert_eq!(with("gzip;q=1.0, br;q=0"), (false, true));
        assert_eq!(with("identity"), (false, false));
    }
}
