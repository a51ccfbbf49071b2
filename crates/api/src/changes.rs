//! `/api/v1/changes`.

use crate::Api;
use crate::extract::{Answer, Body, IfMatch, Json, Params, Path, Signed, answer};
use crate::problem::ApiError;
use axum::extract::State;
use control::listing::ListQuery;
use control::problem::{Problem, ProblemKind};
use control::views::{ChangeView, NewApproval, NewChange, Page, UpdateChange};
use domain::finding::GateReport;
use domain::ids::{AppName, ChangeId};
use http::StatusCode;
use serde::{Deserialize, Serialize};

/// The states a list of changes can be asked for.
pub const STATES: [&str; 9] = [
    "checking",
    "needs_fixes",
    "needs_approval",
    "merging",
    "rolling_out",
    "live",
    "rolled_back",
    "rejected",
    "withdrawn",
];

/// Which part of a list is wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListParams {
    app: Option<AppName>,
    state: Option<String>,
    active: Option<bool>,
    limit: Option<u32>,
    cursor: Option<String>,
}

impl ListParams {
    /// The list asked for, of objects that can be in these states. A state
    /// there is none of would find nothing, which reads as good news.
    pub(crate) fn query(self, states: &[&str]) -> Result<ListQuery, ApiError> {
        let active = self.active.unwrap_or(false).then(|| "active".to_owned());
        let state = self.state.or(active);
        if let Some(unknown) = state.as_deref().filter(|state| !states.contains(state)) {
            return Err(no_such_state(unknown, states));
        }
        Ok(ListQuery {
            app: self.app,
            state,
            limit: self.limit,
            cursor: self.cursor.map(|c| c.parse()).transpose()?,
        })
    }
}

fn no_such_state(state: &str, states: &[&str]) -> ApiError {
    let hint = if states.is_empty() {
        "this list cannot be asked for by state".to_owned()
    } else {
        format!("one of {}", states.join(", "))
    };
    let detail = format!("`{state}` is no state of this list");
    Problem::new(ProblemKind::Invalid, "no_such_state", detail, hint).at("state").into()
}

pub(crate) async fn list(
    State(api): State<Api>,
    Signed(caller): Signed,
    Params(params): Params<ListParams>,
) -> Answer<Page<ChangeView>> {
    answer(api.control.changes(&caller, params.query(&STATES)?).await)
}

pub(crate) async fn create(
    State(api): State<Api>,
    Signed(caller): Signed,
    Body(new): Body<NewChange>,
) -> Result<(StatusCode, Json<ChangeView>), ApiError> {
    let change = api.control.create_change(&caller, new).await?;
    Ok((StatusCode::CREATED, Json(change)))
}

pub(crate) async fn get(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<ChangeId>,
) -> Answer<ChangeView> {
    answer(api.control.change(&caller, id).await)
}

pub(crate) async fn update(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<ChangeId>,
    IfMatch(expected): IfMatch,
    Body(update): Body<UpdateChange>,
) -> Answer<ChangeView> {
    answer(api.control.update_change(&caller, id, expected, update).await)
}

#[derive(Serialize)]
pub(crate) struct Diff {
    diff: String,
}

pub(crate) async fn diff(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<ChangeId>,
) -> Answer<Diff> {
    answer(api.control.change_diff(&caller, id).await.map(|diff| Diff { diff }))
}

pub(crate) async fn checks(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<ChangeId>,
) -> Answer<GateReport> {
    answer(api.control.checks(&caller, id).await)
}

pub(crate) async fn decide(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<ChangeId>,
    IfMatch(expected): IfMatch,
    Body(new): Body<NewApproval>,
) -> Answer<ChangeView> {
    answer(api.control.decide(&caller, id, expected, new).await)
}

pub(crate) async fn recheck(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<ChangeId>,
    IfMatch(expected): IfMatch,
) -> Answer<ChangeView> {
    answer(api.control.recheck(&caller, id, expected).await)
}

pub(crate) async fn withdraw(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(id): Path<ChangeId>,
    IfMatch(expected): IfMatch,
) -> Answer<ChangeView> {
    answer(api.control.withdraw(&caller, id, expected).await)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::change::ChangeState;

    #[test]
    fn the_states_are_those_of_changes_and_all_of_them() {
        for state in STATES {
            assert!(serde_json::from_value::<ChangeState>(state.into()).is_ok(), "{state}");
        }
        let all = serde_json::from_value::<ChangeState>("?".into()).unwrap_err().to_string();
        assert_eq!(all.matches('`').count(), 2 * (1 + STATES.len()), "{all}");
    }

    #[test]
    fn a_state_there_is_none_of_is_refused() {
        let asked = |state: Option<&str>, active: Option<bool>| ListParams {
            app: None,
            state: state.map(str::to_owned),
            active,
            limit: None,
            cursor: None,
        };
        assert!(asked(Some("live"), None).query(&STATES).is_ok());
        assert!(asked(None, Some(true)).query(&["active", "final"]).is_ok());
        for (state, active) in [(Some("foo"), None), (None, Some(true)), (Some("Live"), None)] {
            assert!(asked(state, active).query(&STATES).is_err(), "{state:?} {active:?}");
        }
    }
}
