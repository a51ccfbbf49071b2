//! `/api/v1/people`.

use crate::Api;
use crate::extract::{Answer, Body, Signed, answer};
use axum::extract::State;
use control::views::{Page, PersonView};

pub(crate) async fn list(
    State(api): State<Api>,
    Signed(caller): Signed,
) -> Answer<Page<PersonView>> {
    answer(api.control.people(&caller).await)
}

pub(crate) async fn put(
    State(api): State<Api>,
    Signed(caller): Signed,
    Body(person): Body<PersonView>,
) -> Answer<PersonView> {
    answer(api.control.put_person(&caller, person).await)
}
