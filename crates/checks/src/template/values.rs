//! The variables of a request, as the engine sees them.

use minijinja::Value;
use minijinja::value::Serde;
use std::collections::BTreeMap;

/// A JSON value as one of the engine. The contents are copied once per request.
pub(super) fn value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::String(text) => Value::from(text.as_str()),
        other => Value::from(Serde(other)),
    }
}

/// A context out of names and values.
pub(super) fn context(values: BTreeMap<String, Value>) -> Value {
    Value::from_object(values)
}
