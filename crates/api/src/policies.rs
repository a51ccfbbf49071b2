//! `/api/v1/policies`.

use crate::Api;
use crate::extract::{Answer, Signed, answer};
use axum::extract::State;
use control::policy_list::PoliciesView;

pub(crate) async fn list(State(api): State<Api>, Signed(caller): Signed) -> Answer<PoliciesView> {
    answer(api.control.policies(&caller).await)
}
