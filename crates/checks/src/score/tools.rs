//! Scores, tools: which tools an answer called, and what they brought.

use super::rule::{short, shown};
use domain::suite::{Answer, Case, ToolCall, ToolCallRule};
use serde_json::Value;

/// Most documents read from one answer.
const MAX_DOCUMENTS: usize = 10_000;

/// True if `given` has everything `wanted` has: of objects, at least these keys;
/// everything else is equal. Numbers are equal by value, so 1 and 1.0 are.
fn covers(given: &Value, wanted: &Value) -> bool {
    match (given, wanted) {
        (Value::Object(given), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, value)| given.get(key).is_some_and(|given| covers(given, value))),
        _ => same(given, wanted),
    }
}

/// Equality of JSON values with numbers compared by value.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        (Value::Array(x), Value::Array(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(a, b)| same(a, b))
        }
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(key, a)| y.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

pub(crate) fn called(rule: &ToolCallRule, calls: &[ToolCall]) -> Result<(), String> {
    let mut missing = None;
    for call in calls.iter().filter(|call| call.name == rule.name) {
        let wrong = rule.arguments.iter().find(|(key, wanted)| {
            !call.arguments.get(key.as_str()).is_some_and(|given| covers(given, wanted))
        });
        match wrong {
            None => return Ok(()),
            Some((key, wanted)) => {
                let given = call.arguments.get(key.as_str());
                let given = given.map_or_else(|| "absent".to_owned(), shown);
                missing = Some(format!(
                    "`{}` was called, but its `{key}` is {given}, not {}",
                    short(&rule.name),
                    shown(wanted)
                ));
            }
        }
    }
    Err(missing.unwrap_or_else(|| {
        let others: Vec<&str> = calls.iter().map(|call| call.name.as_str()).collect();
        let instead = match others.as_slice() {
            [] => "no tool was".to_owned(),
            names => format!("called was {}", crate::suggest::listed(names.iter().copied(), 3)),
        };
        format!("`{}` was not called; {instead}", short(&rule.name))
    }))
}

pub(crate) fn not_called(names: &[String], calls: &[ToolCall]) -> Result<(), String> {
    match calls.iter().find(|call| names.is_empty() || names.contains(&call.name)) {
        Some(call) => Err(format!("`{}` was called", short(&call.name))),
        None => Ok(()),
    }
}

/// The documents an answer retrieved, best first: `{"documents": [...]}` in the
/// arguments of its tool calls, or else what the case says. A document is its
/// id, or an object with an `id`.
pub(crate) fn retrieved(case: &Case, answer: &Answer) -> Vec<String> {
    let lists =
        answer.tool_calls.iter().filter_map(|call| call.arguments.get("documents")?.as_array());
    let mut told = false;
    let mut ids = Vec::new();
    for list in lists {
        told = true;
        let id = |entry: &Value| match entry {
            Value::String(id) => Some(id.clone()),
            Value::Object(object) => object.get("id")?.as_str().map(str::to_owned),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        ids.extend(list.iter().filter_map(id).take(MAX_DOCUMENTS - ids.len()));
    }
    if told { ids } else { case.retrieved.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn call(name: &str, arguments: Value) -> ToolCall {
        ToolCall { name: name.into(), arguments }
    }

    #[test]
    fn a_call_needs_its_arguments_and_may_have_more() {
        let wanted = |arguments: Value| ToolCallRule {
            name: "refund".into(),
            arguments: arguments.as_object().cloned().unwrap_or_default(),
        };
        let calls = [
            call("lookup", json!({})),
            call("refund", json!({"order": {"id": 7, "n": 1}, "amount": 2})),
        ];
        assert_eq!(called(&wanted(json!({"order": {"id": 7.0}})), &calls), Ok(()));
        assert_eq!(
            called(&wanted(json!({"amount": 3})), &calls).unwrap_err(),
            "`refund` was called, but its `amount` is 2, not 3"
        );
        assert_eq!(
            called(&wanted(json!({})), &calls[..1]).unwrap_err(),
            "`refund` was not called; called was `lookup`"
        );
        assert!(not_called(&[], &calls).is_err());
        assert_eq!(not_called(&["other".into()], &calls), Ok(()));
    }

    #[test]
    fn documents_come_from_the_answer_or_the_case() {
        let case = Case { retrieved: vec!["c".into()], ..Case::default() };
        let mut answer = Answer { text: "x".into(), ..Answer::default() };
        assert_eq!(retrieved(&case, &answer), ["c"]);
        answer.tool_calls = vec![call("search", json!({"documents": ["a", {"id": "b"}, 3]}))];
        assert_eq!(retrieved(&case, &answer), ["a", "b", "3"]);
        answer.tool_calls = vec![call("search", json!({"documents": []}))];
        assert_eq!(retrieved(&case, &answer), Vec::<String>::new());
    }
}
