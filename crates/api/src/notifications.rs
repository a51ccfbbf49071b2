//! `/api/v1/notifications/…`.

use crate::Api;
use crate::extract::{Answer, Body, IfMatch, Json, Params, Path, Signed, answer};
use crate::problem::ApiError;
use axum::extract::State;
use control::notify::{
    ChannelKind, ChannelView, DeliveryView, MadeChannel, NewChannel, NewPreferences,
    PreferencesView, PreviewView, Tested,
};
use control::views::Page;
use domain::ids::AppName;
use domain::notice::Event;
use http::StatusCode;
use serde::Deserialize;

/// The states a message can be asked for by.
const STATES: [&str; 5] = ["waiting", "held", "sent", "dead", "dropped"];

pub(crate) async fn channels(
    State(api): State<Api>,
    Signed(caller): Signed,
) -> Answer<Page<ChannelView>> {
    answer(api.control.channels(&caller).await)
}

pub(crate) async fn create(
    State(api): State<Api>,
    Signed(caller): Signed,
    Body(new): Body<NewChannel>,
) -> Result<(StatusCode, Json<MadeChannel>), ApiError> {
    let made = api.control.create_channel(&caller, new).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

pub(crate) async fn update(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
    Body(new): Body<NewChannel>,
) -> Answer<ChannelView> {
    answer(api.control.update_channel(&caller, &id, expected, new).await)
}

pub(crate) async fn remove(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    api.control.remove_channel(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn test(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<String>,
) -> Answer<Tested> {
    answer(api.control.test_channel(&caller, &id).await)
}

/// Which message to show.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewParams {
    event: Event,
    channel: ChannelKind,
    app: Option<AppName>,
}

pub(crate) async fn preview(
    State(api): State<Api>,
    Signed(caller): Signed,
    Params(params): Params<PreviewParams>,
) -> Answer<PreviewView> {
    let PreviewParams { event, channel, app } = params;
    answer(api.control.preview_message(&caller, event, channel, app))
}

/// Which messages.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeliveryParams {
    channel: Option<String>,
    state: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

pub(crate) async fn deliveries(
    State(api): State<Api>,
    Signed(caller): Signed,
    Params(params): Params<DeliveryParams>,
) -> Answer<Page<DeliveryView>> {
    let state = params.state.as_deref();
    if let Some(unknown) = state.filter(|state| !STATES.contains(state)) {
        return Err(ApiError::invalid(
            "no_such_state",
            format!("no message is ever `{unknown}`"),
            format!("one of {}", STATES.join(", ")),
        ));
    }
    let cursor = params.cursor.map(|cursor| cursor.parse()).transpose()?;
    let channel = params.channel.as_deref();
    answer(api.control.deliveries(&caller, channel, state, params.limit, cursor).await)
}

pub(crate) async fn redeliver(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<String>,
) -> Answer<DeliveryView> {
    answer(api.control.redeliver(&caller, &id).await)
}

pub(crate) async fn preferences(
    State(api): State<Api>,
    Signed(caller): Signed,
) -> Answer<PreferencesView> {
    answer(api.control.preferences(&caller).await)
}

pub(crate) async fn set_preferences(
    State(api): State<Api>,
    Signed(caller): Signed,
    Body(new): Body<NewPreferences>,
) -> Answer<PreferencesView> {
    answer(api.control.set_preferences(&caller, new).await)
}
