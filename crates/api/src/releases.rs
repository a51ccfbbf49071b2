//! `/api/v1/releases`.

use crate::Api;
use crate::changes::ListParams;
use crate::extract::{Answer, Body, Params, Path, Signed, answer};
use axum::extract::State;
use control::views::{Page, ReleaseView};
use serde::Deserialize;

pub(crate) async fn list(
    State(api): State<Api>,
    Signed(caller): Signed,
    Params(params): Params<ListParams>,
) -> Answer<Page<ReleaseView>> {
    answer(api.control.releases(&caller, params.query(&[])?).await)
}

pub(crate) async fn get(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<String>,
) -> Answer<ReleaseView> {
    answer(api.control.release(&caller, &id).await)
}

/// A written reason.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reason {
    pub(crate) reason: String,
}

pub(crate) async fn clear(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<String>,
    Body(body): Body<Reason>,
) -> Answer<ReleaseView> {
    answer(api.control.clear_release(&caller, &id, &body.reason).await)
}
