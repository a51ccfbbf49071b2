//! `/api/v1/tokens`.

use crate::Api;
use crate::extract::{Answer, Body, Json, Params, Path, Signed, answer};
use crate::lists::Place;
use crate::problem::ApiError;
use axum::extract::State;
use control::problem::{Problem, ProblemKind};
use control::views::{MadeToken, NewToken, Page, TokenView};
use http::StatusCode;

pub(crate) async fn list(
    State(api): State<Api>,
    Signed(caller): Signed,
    place: Params<Place>,
) -> Answer<Page<TokenView>> {
    answer(api.control.tokens(&caller, place.query()?).await)
}

pub(crate) async fn create(
    State(api): State<Api>,
    Signed(caller): Signed,
    Body(new): Body<NewToken>,
) -> Result<(StatusCode, Json<MadeToken>), ApiError> {
    if new.person.is_none() && new.apps.is_empty() && !new.gateway {
        return Err(for_nothing().into());
    }
    // A token for a misspelt app would be refused only where it is used.
    for app in &new.apps {
        api.control.app(&caller, app).await?;
    }
    let made = api.control.create_token(&caller, new).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

fn for_nothing() -> Problem {
    Problem::new(
        ProblemKind::Invalid,
        "token_for_nothing",
        "the token is for nobody and nothing",
        "name a `person`, some `apps`, or set `gateway`",
    )
    .at("person")
    .at("apps")
    .at("gateway")
}

pub(crate) async fn revoke(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    api.control.revoke_token(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
