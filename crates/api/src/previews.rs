//! `/api/v1/changes/{id}/preview`.

use crate::Api;
use crate::extract::{Answer, Body, Json, Path, Signed, answer};
use crate::problem::ApiError;
use axum::extract::State;
use control::preview::{MadePreview, NewPreview, PreviewView};
use domain::ids::ChangeId;
use http::StatusCode;

pub(crate) async fn start(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<ChangeId>,
    Body(new): Body<NewPreview>,
) -> Result<(StatusCode, Json<MadePreview>), ApiError> {
    let made = api.control.start_preview(&caller, id, new).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

pub(crate) async fn get(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<ChangeId>,
) -> Answer<PreviewView> {
    answer(api.control.preview(&caller, id).await)
}

pub(crate) async fn stop(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<ChangeId>,
) -> Answer<PreviewView> {
    answer(api.control.stop_preview(&caller, id).await)
}
