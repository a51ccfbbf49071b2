//! `/api/v1/costs`.

use crate::Api;
use crate::extract::{Answer, Params, Signed, answer};
use axum::extract::State;
use control::costs::CostsView;
use domain::ids::AppName;
use serde::Deserialize;

/// Whose costs, and when.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CostParams {
    app: Option<AppName>,
    /// `2026-11`; this month if absent.
    month: Option<String>,
}

pub(crate) async fn get(
    State(api): State<Api>,
    Signed(caller): Signed,
    Params(params): Params<CostParams>,
) -> Answer<CostsView> {
    let CostParams { app, month } = params;
    answer(api.control.costs(&caller, app.as_ref(), month.as_deref()).await)
}
