//! `/api/v1/openapi.json`: the interface as OpenAPI 3.1.
//!
//! The document is committed beside this crate and served as it is. It is made
//! from two lists, [`paths.txt`](https://spec.openapis.org/oas/v3.1.0#paths-object)
//! and `schemas.txt`; tests hold the first against the router, and the second
//! against real answers. To write it anew after a list has changed:
//! `TIDEGATE_WRITE_OPENAPI=1 cargo test -p tidegate-api openapi`.

#[cfg(test)]
mod generate;

use axum::response::{IntoResponse as _, Response};
use http::header;

/// The committed document.
const DOCUMENT: &str = include_str!("../../openapi.json");

pub(crate) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}
