//! `GET /v1/models` and `GET /v1/models/app/<name>`: the apps a token may call.

use super::auth::authorize;
use super::complete::APP_PREFIX;
use super::{ApiError, Body, Code, json, plain_error};
use crate::state::Shared;
use domain::ids::AppName;
use domain::units::Timestamp;
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;

/// All of them.
pub(crate) fn list(shared: &Arc<Shared>, headers: &HeaderMap) -> Response<Body> {
    answer(shared, headers, |apps| Some(json!({"object": "list", "data": apps})))
}

/// One of them; `id` is `app/<name>`, its slash encoded or not.
pub(crate) fn one(shared: &Arc<Shared>, headers: &HeaderMap, id: &str) -> Response<Body> {
    let id = id.replace("%2F", "/").replace("%2f", "/");
    answer(shared, headers, |apps| apps.into_iter().find(|app| app["id"] == id.as_str()))
}

fn answer(
    shared: &Arc<Shared>,
    headers: &HeaderMap,
    pick: impl FnOnce(Vec<Value>) -> Option<Value>,
) -> Response<Body> {
    let serving = shared.serving.load_full();
    let caller = match authorize(&serving, headers, shared.now()) {
        Ok(caller) => caller,
        Err(error) => return plain_error(&error, &shared.new_id()),
    };
    let issued = caller.compiled.issued_at;
    let names = caller.compiled.apps.keys().filter(|name| caller.may_call(name));
    match pick(names.map(|name| model(name, issued)).collect()) {
        Some(body) => json(StatusCode::OK, &body),
        None => {
            let error =
                ApiError::new(Code::ModelNotFound, "there is no such app, or not for this token")
                    .hint("`GET /v1/models` lists the apps");
            plain_error(&error, &shared.new_id())
        }
    }
}

fn model(name: &AppName, issued: Timestamp) -> Value {
    json!({
        "id": format!("{APP_PREFIX}{name}"),
        "object": "model",
        "created": issued.second(),
        "owned_by": "tidegate",
    })
}
