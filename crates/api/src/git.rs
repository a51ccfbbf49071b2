//! `/git/ops.git/…`: git's smart protocol, with a token as password.

use crate::Api;
use crate::extract::Signed;
use crate::problem::ApiError;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use futures_util::{FutureExt as _, StreamExt as _, stream};

/// Where the repository is mounted.
const MOUNT: &str = "/git/ops.git";

pub(crate) async fn serve(
    State(api): State<Api>,
    Signed(caller): Signed,
    request: Request,
) -> Result<Response, ApiError> {
    let (mut head, body) = request.into_parts();
    let inside = head
        .uri
        .path_and_query()
        .and_then(|p| p.as_str().strip_prefix(MOUNT))
        .unwrap_or("/")
        .to_owned();
    head.uri = inside.parse().map_err(|_| {
        ApiError::invalid(
            "bad_path",
            "this is not an address inside the repository",
            "check the clone address",
        )
    })?;
    let is_push = head.uri.path() == "/git-receive-pack";
    let answer = api.control.git_http(&caller, head, body.into_data_stream()).await?;
    let (head, body) = answer.into_parts();
    if !is_push {
        return Ok(Response::from_parts(head, Body::from_stream(body)).into_response());
    }
    // The answer of a push ends only after what was pushed has become a change,
    // so that `git push` followed by `change list` shows it.
    let control = api.control.clone();
    let taken_in = async move {
        if let Err(problem) = control.after_push().await {
            tracing::warn!(%problem, "a push was not taken in yet; the next look does");
        }
        stream::empty()
    };
    let body = body.chain(taken_in.into_stream().flatten());
    Ok(Response::from_parts(head, Body::from_stream(body)).into_response())
}
