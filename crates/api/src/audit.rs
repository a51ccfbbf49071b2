//! `/api/v1/audit`.

use crate::Api;
use crate::extract::{Answer, Params, Path, Signed, answer};
use crate::problem::ApiError;
use axum::extract::State;
use control::views::{AuditVerification, AuditView, Page};
use domain::audit::Actor;
use domain::ids::AppName;
use serde::Deserialize;
use store::AuditQuery;

/// Which entries.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditParams {
    app: Option<AppName>,
    /// A person's name, `controller` or `system`.
    actor: Option<String>,
    action: Option<String>,
    object: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

pub(crate) async fn list(
    State(api): State<Api>,
    Signed(caller): Signed,
    Params(params): Params<AuditParams>,
) -> Answer<Page<AuditView>> {
    let usual = AuditQuery::default();
    let query = AuditQuery {
        app: params.app,
        actor: params.actor.as_deref().map(actor).transpose()?,
        action: params.action,
        object: params.object,
        limit: params.limit.unwrap_or(usual.limit),
        cursor: params.cursor.map(|c| c.parse()).transpose()?,
        ..usual
    };
    answer(api.control.audit(&caller, query).await)
}

fn actor(text: &str) -> Result<Actor, ApiError> {
    Ok(match text {
        "controller" => Actor::Controller,
        "system" => Actor::System,
        name => Actor::Person(name.parse()?),
    })
}

pub(crate) async fn verify(
    State(api): State<Api>,
    Signed(caller): Signed,
) -> Answer<AuditVerification> {
    answer(api.control.verify_log(&caller).await)
}

pub(crate) async fn proof(
    State(api): State<Api>,
    Signed(caller): Signed,
    Path(index): Path<u64>,
) -> Result<String, ApiError> {
    Ok(api.control.proof(&caller, index).await?)
}
