//! `/api/v1/whoami`, `/api/v1/git`, `/api/v1/gateways`.

use crate::Api;
use crate::extract::{Answer, Json, Params, Signed, answer};
use crate::lists::Place;
use axum::extract::State;
use control::views::{GatewayView, GitView, Page, WhoAmI};

pub(crate) async fn whoami(State(api): State<Api>, Signed(caller): Signed) -> Answer<WhoAmI> {
    answer(api.control.whoami(&caller).await)
}

pub(crate) async fn git(State(api): State<Api>, Signed(caller): Signed) -> Answer<GitView> {
    answer(api.control.git_status(&caller).await)
}

pub(crate) async fn gateways(
    State(api): State<Api>,
    Signed(caller): Signed,
    place: Params<Place>,
) -> Answer<Page<GatewayView>> {
    Ok(Json(place.cut(api.control.gateways(&caller).await?)?))
}
