//! `/api/v1/changes`.

use crate::Api;
use crate::extract::{Answer, Body, IfMatch, Json, Params, Path, Signed, answer};
use crate::problem::ApiError;
use axum::extract::State;
use control::listing::ListQuery;
use control::views::{ChangeView, NewApproval, NewChange, Page, UpdateChange};
use domain::finding::GateReport;
use domain::ids::{AppName, ChangeId};
use http::StatusCode;
use serde::{Deserialize, Serialize};

/// Which part of a list is wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListParams {
    app: Option<AppName>,
    state: Option<String>,
    active: Option<bool>,
    limit: Option<u32>,
    cursor: Option<String>,
}

impl ListParams {
    pub(crate) fn query(self) -> Result<ListQuery, ApiError> {
        let active = self.active.unwrap_or(false).then(|| "active".to_owned());
        Ok(ListQuery {
            app: self.app,
            state: self.state.or(active),
            limit: self.limit,
            cursor: self.cursor.map(|c| c.parse()).transpose()?,
        })
    }
}

pub(crate) async fn list(
    State(api): State<Api>,
    Signed(caller): Signed,
    Params(params): Params<ListParams>,
) -> Answer<Page<ChangeView>> {
    answer(api.control.changes(&caller, params.query()?).await)
}

pub(crate) async fn create(
    State(api): State<Api>,
    Signed(caller): Signed,
    Body(new): Body<NewChange>,
) -> Result<(StatusCode, Json<ChangeView>), ApiError> {
    let change = api.control.create_change(&caller, new).await?;
    Ok((StatusCode::CREATED, Json(change)))
}

pub(crate) async fn get(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<ChangeId>,
) -> Answer<ChangeView> {
    answer(api.control.change(&caller, id).await)
}

pub(crate) async fn update(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<ChangeId>,
    IfMatch(expected): IfMatch,
    Body(update): Body<UpdateChange>,
) -> Answer<ChangeView> {
    answer(api.control.update_change(&caller, id, expected, update).await)
}

#[derive(Serialize)]
pub(crate) struct Diff {
    diff: String,
}

pub(crate) async fn diff(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<ChangeId>,
) -> Answer<Diff> {
    answer(api.control.change_diff(&caller, id).await.map(|diff| Diff { diff }))
}

pub(crate) async fn checks(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<ChangeId>,
) -> Answer<GateReport> {
    answer(api.control.checks(&caller, id).await)
}

pub(crate) async fn decide(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<ChangeId>,
    IfMatch(expected): IfMatch,
    Body(new): Body<NewApproval>,
) -> Answer<ChangeView> {
    answer(api.control.decide(&caller, id, expected, new).await)
}

pub(crate) async fn withdraw(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<ChangeId>,
    IfMatch(expected): IfMatch,
) -> Answer<ChangeView> {
    answer(api.control.withdraw(&caller, id, expected).await)
}
