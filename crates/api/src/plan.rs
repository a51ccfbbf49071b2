//! `/api/v1/apps/{app}/plan`: what a rollout plan can detect, before it starts.
//!
//! `GET` asks about the plan on `main`, or that of a change; `POST` about a
//! policy that is nowhere yet. Both only read.

use crate::Api;
use crate::extract::{Answer, Body, Params, Path, Signed, answer};
use axum::extract::State;
use control::plan::{PlanQuestion, PlanReport};
use domain::ids::{AppName, ChangeId};
use serde::Deserialize;

/// The parameters of `GET`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanParams {
    change: Option<ChangeId>,
    requests_per_day: Option<f64>,
}

pub(crate) async fn get(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(app): Path<AppName>,
    Params(PlanParams { change, requests_per_day }): Params<PlanParams>,
) -> Answer<PlanReport> {
    let question = PlanQuestion { change, requests_per_day, policy: None };
    answer(api.control.plan(&caller, &app, question).await)
}

pub(crate) async fn ask(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(app): Path<AppName>,
    Body(question): Body<PlanQuestion>,
) -> Answer<PlanReport> {
    answer(api.control.plan(&caller, &app, question).await)
}
