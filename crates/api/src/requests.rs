//! `/api/v1/requests`.

use crate::Api;
use crate::extract::{Answer, Params, Path, Signed, answer};
use axum::extract::State;
use control::views::{Page, WhyView};
use domain::ids::{AppName, ReleaseId, RequestId, RolloutId};
use domain::routing::Arm;
use domain::telemetry::RequestRecord;
use domain::units::Timestamp;
use serde::Deserialize;
use store::RequestQuery;

/// Which requests.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestParams {
    app: Option<AppName>,
    release: Option<ReleaseId>,
    arm: Option<Arm>,
    rollout: Option<RolloutId>,
    since: Option<Timestamp>,
    limit: Option<u32>,
    cursor: Option<String>,
}

pub(crate) async fn list(
    State(api): State<Api>,
    Signed(caller): Signed,
    Params(params): Params<RequestParams>,
) -> Answer<Page<RequestRecord>> {
    let usual = RequestQuery::default();
    let query = RequestQuery {
        app: params.app,
        release: params.release,
        arm: params.arm,
        rollout: params.rollout,
        since: params.since,
        limit: params.limit.unwrap_or(usual.limit),
        cursor: params.cursor.map(|c| c.parse()).transpose()?,
    };
    answer(api.control.requests(&caller, query).await)
}

pub(crate) async fn explain(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<RequestId>,
) -> Answer<WhyView> {
    answer(api.control.explain(&caller, &id).await)
}
