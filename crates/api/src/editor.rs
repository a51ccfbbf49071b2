//! What the page for proposing needs: `/api/v1/apps/{app}/files`, `…/check`,
//! `/api/v1/models`, `/api/v1/drafts`, and `/api/v1/inbox`.

use crate::Api;
use crate::extract::{Answer, Body, IfMatch, Json, Params, Path, Signed, answer};
use crate::lists::{Place, PlaceOfApp};
use crate::problem::ApiError;
use axum::extract::State;
use control::editor::{DraftView, FilesView, ModelView, NewDraft};
use control::gates::preview::{CheckView, NewCheck};
use control::gates::tries::{NewTry, TryOffer, TryView};
use control::inbox::InboxItem;
use control::views::Page;
use domain::ids::AppName;
use http::StatusCode;

pub(crate) async fn files(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(app): Path<AppName>,
) -> Answer<FilesView> {
    answer(api.control.app_files(&caller, &app).await)
}

pub(crate) async fn check(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(app): Path<AppName>,
    Body(new): Body<NewCheck>,
) -> Answer<CheckView> {
    answer(api.control.check_edits(&caller, &app, new).await)
}

pub(crate) async fn models(
    State(api): State<Api>,
    Signed(caller): Signed,
    Params(params): Params<PlaceOfApp>,
) -> Answer<Page<ModelView>> {
    let items = api.control.models(&caller, params.app.as_ref()).await?;
    Ok(Json(params.place().cut(items)?))
}

pub(crate) async fn inbox(
    State(api): State<Api>,
    Signed(caller): Signed,
    place: Params<Place>,
) -> Answer<Page<InboxItem>> {
    Ok(Json(place.cut(api.control.inbox(&caller).await?)?))
}

pub(crate) async fn draft(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(app): Path<AppName>,
) -> Answer<DraftView> {
    answer(api.control.draft(&caller, &app).await)
}

pub(crate) async fn save_draft(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(app): Path<AppName>,
    IfMatch(expected): IfMatch,
    Body(draft): Body<NewDraft>,
) -> Answer<DraftView> {
    answer(api.control.save_draft(&caller, &app, expected, draft).await)
}

pub(crate) async fn drop_draft(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(app): Path<AppName>,
    IfMatch(expected): IfMatch,
) -> Result<StatusCode, ApiError> {
    api.control.drop_draft(&caller, &app, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What can be tried, and how often still.
pub(crate) async fn try_offer(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(app): Path<AppName>,
) -> Answer<TryOffer> {
    answer(api.control.try_offer(&caller, &app).await)
}

pub(crate) async fn try_edits(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(app): Path<AppName>,
    Body(new): Body<NewTry>,
) -> Answer<TryView> {
    answer(api.control.try_edits(&caller, &app, new).await)
}
