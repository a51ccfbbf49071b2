//! `/log/`: the audit log as files that never change (C2SP `tlog-tiles`).
//! Checkpoints and hashes are public: whoever holds the key can watch that the log
//! only grows. Entries name people and their reasons, so they take a token.

use crate::Api;
use crate::extract::{Path, Signed};
use crate::problem::ApiError;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use control::problem::{Problem, ProblemKind};
use domain::merkle::{Tile, TileKind};
use http::header;

/// A published tile never changes.
const FOR_EVER: &str = "private, max-age=31536000, immutable";

pub(crate) async fn checkpoint(State(api): State<Api>) -> Result<Response, ApiError> {
    let note = api.control.checkpoint().await?;
    Ok(text(note))
}

pub(crate) async fn key(State(api): State<Api>) -> Response {
    text(format!("{}\n", api.control.log_key()))
}

fn text(body: String) -> Response {
    let headers =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (headers, body).into_response()
}

pub(crate) async fn tile(
    State(api): State<Api>,
    signed: Result<Signed, ApiError>,
    Path(path): Path<String>,
) -> Result<Response, ApiError> {
    let path = format!("tile/{path}");
    let missing = || {
        Problem::new(
            ProblemKind::NotFound,
            "no_such_tile",
            format!("the log has no `{path}`"),
            "the checkpoint says how far the log goes; a tile that is not full has its width in its path",
        )
    };
    let tile: Tile = path.parse().map_err(|_| missing())?;
    let bytes = match tile.kind {
        TileKind::Entries => {
            signed?;
            api.control.entries_tile(tile.index, tile.width).await?
        }
        TileKind::Hashes { level } => api.control.tile(level, tile.index, tile.width).await?,
    };
    let headers =
        [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, FOR_EVER)];
    Ok((headers, bytes.ok_or_else(missing)?).into_response())
}
