//! `/api/v1/releases`.

use crate::Api;
use crate::extract::{Answer, Body, Params, Path, Signed, answer};
use crate::problem::ApiError;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use control::listing::ListQuery;
use control::packages::Package;
use control::releases::Only;
use control::views::{Page, ReleaseView};
use domain::ids::{AppName, ChangeId};
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::Deserialize;

/// Which releases are wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReleaseParams {
    app: Option<AppName>,
    commit: Option<String>,
    component: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

pub(crate) async fn list(
    State(api): State<Api>,
    Signed(caller): Signed,
    Params(params): Params<ReleaseParams>,
) -> Answer<Page<ReleaseView>> {
    let only = Only {
        commit: params.commit.map(|c| c.parse()).transpose()?,
        component: params.component.map(|c| c.parse()).transpose()?,
    };
    let query = ListQuery {
        app: params.app,
        state: None,
        limit: params.limit,
        cursor: params.cursor.map(|c| c.parse()).transpose()?,
    };
    answer(api.control.releases(&caller, query, &only).await)
}

/// `GET /releases/{id}/bom`: CycloneDX.
pub(crate) async fn bom(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let bom = api.control.release_bom(&caller, &id).await?;
    Ok(([(CONTENT_TYPE, domain::bom::MEDIA_TYPE)], bom.to_string()).into_response())
}

/// `GET /releases/{id}/evidence`: a signed package (`docs/evidence.md`).
pub(crate) async fn evidence(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    Ok(download(api.control.release_evidence(&caller, &id).await?))
}

/// `GET /changes/{id}/evidence`.
pub(crate) async fn change_evidence(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<ChangeId>,
) -> Result<Response, ApiError> {
    Ok(download(api.control.change_evidence(&caller, id).await?))
}

fn download(package: Package) -> Response {
    // Names are ids, which need no quoting.
    let disposition = format!("attachment; filename=\"{}\"", package.name);
    let headers = [
        (CONTENT_TYPE, "application/zip".to_owned()),
        (CONTENT_DISPOSITION, disposition),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, package.bytes).into_response()
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
