//! `/api/v1/changes/{id}/evals` and `/api/v1/apps/{app}/evaluation`.

use crate::Api;
use crate::extract::{Answer, Body, Params, Path, Signed, answer};
use axum::extract::State;
use control::evals::{CaseQuery, CasesView, EvalReport, Filter};
use control::marks::{MarkView, NewMark};
use control::scheduled::ScheduledView;
use control::views::Page;
use domain::ids::{AppName, ChangeId};
use serde::Deserialize;

pub(crate) async fn report(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<ChangeId>,
) -> Answer<EvalReport> {
    answer(api.control.change_evals(&caller, id).await)
}

/// Which cases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaseParams {
    #[serde(default)]
    filter: Filter,
    limit: Option<u32>,
    cursor: Option<String>,
}

pub(crate) async fn cases(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<ChangeId>,
    Params(params): Params<CaseParams>,
) -> Answer<CasesView> {
    let CaseParams { filter, limit, cursor } = params;
    answer(api.control.change_cases(&caller, id, CaseQuery { filter, limit, cursor }).await)
}

pub(crate) async fn scheduled(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(app): Path<AppName>,
) -> Answer<ScheduledView> {
    answer(api.control.scheduled_run(&caller, &app).await)
}

pub(crate) async fn mark(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<ChangeId>,
    Body(new): Body<NewMark>,
) -> Answer<MarkView> {
    answer(api.control.mark_case(&caller, id, new).await)
}

pub(crate) async fn marks(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<ChangeId>,
) -> Answer<Page<MarkView>> {
    let items = api.control.marks(&caller, id).await?;
    answer(Ok(Page { items, next: None }))
}
