//! `/api/v1/apps`.

use crate::Api;
use crate::extract::{Answer, Body, IfMatch, Json, Params, Path, Signed, Tries, answer};
use crate::lists::Place;
use crate::problem::ApiError;
use axum::extract::State;
use control::danger::NewDanger;
use control::problem::{Problem, ProblemKind};
use control::views::{ActionResult, AppView, ChangeView, NewAction, Page};
use domain::component::ComponentKind;
use domain::ids::{AppName, Generation};
use domain::snapshot::{PromptContent, PromptMessage, Snapshot, Variable};
use http::StatusCode;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) async fn list(
    State(api): State<Api>,
    Signed(caller): Signed,
    place: Params<Place>,
) -> Answer<Page<AppView>> {
    answer(api.control.apps(&caller, place.query()?).await)
}

pub(crate) async fn get(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(app): Path<AppName>,
) -> Answer<AppView> {
    answer(api.control.app(&caller, &app).await)
}

pub(crate) async fn act(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(app): Path<AppName>,
    IfMatch(expected): IfMatch,
    Body(action): Body<NewAction>,
) -> Answer<ActionResult> {
    let mut tries = Tries::of(expected);
    loop {
        let done = api.control.app_action(&caller, &app, expected, action.clone()).await;
        if !tries.again(&done) {
            return answer(done);
        }
    }
}

/// What a program sends to call an app.
#[derive(Serialize)]
pub(crate) struct CallView {
    /// Variables of production's prompt, by name.
    variables: BTreeMap<String, Variable>,
    /// True if the prompt needs messages of the caller: it says nothing in the
    /// user's name itself, or has a place for the conversation.
    conversation: bool,
}

pub(crate) async fn call(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(app): Path<AppName>,
) -> Answer<CallView> {
    api.control.app(&caller, &app).await?;
    // Waits for nothing: there is a snapshot since the server began.
    let published = api.control.snapshot_after(Generation(0), Duration::ZERO).await;
    let view = published.and_then(|published| call_view(&published.signed.body, &app));
    answer(view.ok_or_else(|| {
        Problem::new(
            ProblemKind::NotFound,
            "not_served",
            format!("no gateway is told to serve `{app}`"),
            "`tidegate status` shows where it stands",
        )
    }))
}

/// What the snapshot gateways serve from says of the app's prompt.
fn call_view(snapshot: &str, app: &AppName) -> Option<CallView> {
    let snapshot: Snapshot = serde_json::from_str(snapshot).ok()?;
    let release = snapshot.releases.get(&snapshot.apps.get(app)?.production)?;
    let content = release.contents.get(&ComponentKind::Prompt)?.clone();
    let prompt: PromptContent = serde_json::from_value(content).ok()?;
    let for_the_user =
        |m: &PromptMessage| matches!(m, PromptMessage::Template { role, .. } if role == "user");
    let conversation = prompt.messages.contains(&PromptMessage::Conversation)
        || !prompt.messages.iter().any(for_the_user);
    Some(CallView { variables: prompt.variables, conversation })
}

pub(crate) async fn add_danger(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(app): Path<AppName>,
    Body(new): Body<NewDanger>,
) -> Result<(StatusCode, Json<ChangeView>), ApiError> {
    let change = api.control.add_danger(&caller, &app, new).await?;
    Ok((StatusCode::CREATED, Json(change)))
}
