//! `/api/v1/kpis`.

use crate::Api;
use crate::extract::{Answer, Params, Signed, answer};
use crate::problem::ApiError;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use control::kpis::KpisView;
use domain::ids::AppName;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::Deserialize;

/// Whose figures, and over which time.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KpiParams {
    app: Option<AppName>,
    days: Option<u32>,
}

pub(crate) async fn get(
    State(api): State<Api>,
    Signed(caller): Signed,
    Params(params): Params<KpiParams>,
) -> Answer<KpisView> {
    answer(api.control.kpis(&caller, params.app.as_ref(), params.days).await)
}

/// The happenings, as a spreadsheet reads them.
pub(crate) async fn csv(
    State(api): State<Api>,
    Signed(caller): Signed,
    Params(params): Params<KpiParams>,
) -> Result<Response, ApiError> {
    let kpis = api.control.kpis(&caller, params.app.as_ref(), params.days).await?;
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8"),
        (CONTENT_DISPOSITION, "attachment; filename=\"tidegate-kpis.csv\""),
    ];
    Ok((headers, domain::kpi::csv(&kpis.cards)).into_response())
}
