//! `/api/v1/apps`.

use crate::Api;
use crate::extract::{Answer, Body, IfMatch, Path, Signed, Tries, answer};
use axum::extract::State;
use control::views::{ActionResult, AppView, NewAction, Page};
use domain::ids::AppName;

pub(crate) async fn list(State(api): State<Api>, Signed(caller): Signed) -> Answer<Page<AppView>> {
    answer(api.control.apps(&caller).await)
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
