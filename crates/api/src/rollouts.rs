//! `/api/v1/rollouts`.

use crate::Api;
use crate::changes::ListParams;
use crate::extract::{Answer, Body, IfMatch, Params, Path, Signed, Tries, answer};
use crate::problem::ApiError;
use axum::body::Body as Answered;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use control::labels::SampleQuery;
use control::series::SeriesView;
use control::views::{ActionResult, NewAction, Page, RolloutView, SampleView};
use domain::ids::RolloutId;
use domain::rollout::Report;
use futures_util::stream::{StreamExt as _, once, try_unfold};
use http::header;
use serde::Deserialize;

pub(crate) async fn list(
    State(api): State<Api>,
    Signed(caller): Signed,
    Params(params): Params<ListParams>,
) -> Answer<Page<RolloutView>> {
    answer(api.control.rollouts(&caller, params.query(&["active", "final"])?).await)
}

pub(crate) async fn get(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<RolloutId>,
) -> Answer<RolloutView> {
    answer(api.control.rollout(&caller, id).await)
}

pub(crate) async fn ticks(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<RolloutId>,
    Params(params): Params<ListParams>,
) -> Answer<Page<Report>> {
    answer(api.control.ticks(&caller, id, params.query(&[])?).await)
}

/// How fine.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeriesParams {
    points: Option<u32>,
}

pub(crate) async fn series(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<RolloutId>,
    Params(params): Params<SeriesParams>,
) -> Answer<SeriesView> {
    answer(api.control.series(&caller, id, params.points).await)
}

/// A line of JSON for each outcome. What fails after the first lines cuts the
/// answer short, which the caller sees as such.
pub(crate) async fn outcomes(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<RolloutId>,
) -> Result<Response, ApiError> {
    let mut export = api.control.export(&caller, id).await?;
    let first = Bytes::from(api.control.export_on(&mut export).await?);
    let rest = try_unfold((api, export), |(api, mut export)| async move {
        let lines = api.control.export_on(&mut export).await.map_err(std::io::Error::other)?;
        Ok((!lines.is_empty()).then(|| (Bytes::from(lines), (api, export))))
    });
    let lines = once(async { Ok::<_, std::io::Error>(first) }).chain(rest);
    let headers = [(header::CONTENT_TYPE, "application/jsonl")];
    Ok((headers, Answered::from_stream(lines)).into_response())
}

/// Which chosen answers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SampleParams {
    signal: Option<String>,
    labelled: Option<bool>,
    limit: Option<u32>,
    cursor: Option<String>,
}

pub(crate) async fn sample(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<RolloutId>,
    Params(params): Params<SampleParams>,
) -> Answer<Page<SampleView>> {
    let query = SampleQuery {
        signal: params.signal,
        labelled: params.labelled.unwrap_or(false),
        limit: params.limit,
        cursor: params.cursor.map(|c| c.parse()).transpose()?,
    };
    answer(api.control.label_sample(&caller, id, query).await)
}

pub(crate) async fn act(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<RolloutId>,
    IfMatch(expected): IfMatch,
    Body(action): Body<NewAction>,
) -> Answer<ActionResult> {
    let mut tries = Tries::of(expected);
    loop {
        let done = api.control.rollout_action(&caller, id, expected, action.clone()).await;
        if !tries.again(&done) {
            return answer(done);
        }
    }
}
