//! `/api/v1/experiments`.

use crate::Api;
use crate::changes::ListParams;
use crate::extract::{Answer, Body, IfMatch, Json, Params, Path, Signed, answer};
use crate::problem::ApiError;
use axum::extract::State;
use control::experiments::view::{ExperimentView, StartExperiment};
use control::views::{ActionResult, NewAction, Page};
use domain::ids::ExperimentId;
use http::StatusCode;

pub(crate) async fn list(
    State(api): State<Api>,
    Signed(caller): Signed,
    Params(params): Params<ListParams>,
) -> Answer<Page<ExperimentView>> {
    answer(api.control.experiments(&caller, params.query(&["active", "final"])?).await)
}

pub(crate) async fn start(
    State(api): State<Api>,
    Signed(caller): Signed,
    Body(new): Body<StartExperiment>,
) -> Result<(StatusCode, Json<ExperimentView>), ApiError> {
    let started = api.control.start_experiment(&caller, new).await?;
    Ok((StatusCode::CREATED, Json(started)))
}

pub(crate) async fn get(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<ExperimentId>,
) -> Answer<ExperimentView> {
    answer(api.control.experiment(&caller, id).await)
}

pub(crate) async fn act(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<ExperimentId>,
    IfMatch(expected): IfMatch,
    Body(action): Body<NewAction>,
) -> Answer<ActionResult> {
    let mut tries = crate::extract::Tries::of(expected);
    loop {
        let done = api.control.experiment_action(&caller, id, expected, action.clone()).await;
        if !tries.again(&done) {
            return answer(done);
        }
    }
}
