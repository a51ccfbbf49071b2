//! `/api/v1/rollouts`.

use crate::Api;
use crate::changes::ListParams;
use crate::extract::{Answer, Body, IfMatch, Params, Path, Signed, Tries, answer};
use axum::extract::State;
use control::views::{ActionResult, NewAction, Page, RolloutView};
use domain::ids::RolloutId;
use domain::rollout::Report;

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
