//! `/api/v1/people`.

use crate::Api;
use crate::extract::{Answer, Body, Params, Signed, answer};
use crate::lists::Place;
use axum::extract::State;
use control::views::{Page, PersonView};

pub(crate) async fn list(
    State(api): State<Api>,
    Signed(caller): Signed,
    place: Params<Place>,
) -> Answer<Page<PersonView>> {
    answer(api.control.people(&caller, place.query()?).await)
}

pub(crate) async fn put(
    State(api): State<Api>,
    Signed(caller): Signed,
    Body(person): Body<PersonView>,
) -> Answer<PersonView> {
    answer(api.control.put_person(&caller, person).await)
}
