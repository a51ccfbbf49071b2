//! `/api/v1/incidents`.

use crate::Api;
use crate::changes::ListParams;
use crate::extract::{Answer, Body, Params, Path, Signed, answer};
use crate::releases::Reason;
use axum::extract::State;
use control::views::Page;
use domain::ids::IncidentId;
use domain::incident::Incident;

pub(crate) async fn list(
    State(api): State<Api>,
    Signed(caller): Signed,
    Params(params): Params<ListParams>,
) -> Answer<Page<Incident>> {
    answer(api.control.incidents(&caller, params.query(&["open", "closed"])?).await)
}

pub(crate) async fn get(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<IncidentId>,
) -> Answer<Incident> {
    answer(api.control.incident(&caller, id).await)
}

pub(crate) async fn reason(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<IncidentId>,
    Body(body): Body<Reason>,
) -> Answer<Incident> {
    answer(api.control.give_reason(&caller, id, &body.reason).await)
}
