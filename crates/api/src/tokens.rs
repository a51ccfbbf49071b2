//! `/api/v1/tokens`.

use crate::Api;
use crate::extract::{Answer, Body, Json, Path, Signed, answer};
use crate::problem::ApiError;
use axum::extract::State;
use control::views::{MadeToken, NewToken, Page, TokenView};
use http::StatusCode;

pub(crate) async fn list(
    State(api): State<Api>,
    Signed(caller): Signed,
) -> Answer<Page<TokenView>> {
    answer(api.control.tokens(&caller).await)
}

pub(crate) async fn create(
    State(api): State<Api>,
    Signed(caller): Signed,
    Body(new): Body<NewToken>,
) -> Result<(StatusCode, Json<MadeToken>), ApiError> {
    let made = api.control.create_token(&caller, new).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

pub(crate) async fn revoke(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    api.control.revoke_token(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
