//! Words that a policy compares with, and that no change can ever have.
//!
//! `resource.risk == "hgih"` is sound Cedar and never true: a policy that looks
//! like protection and is none. Attributes with a closed list of words are
//! checked against it.

use crate::suggest::{listed, nearest};
use serde_json::Value;

/// Words of a policy (in Cedar's JSON form) that its attribute never has, as
/// message and mend.
pub(super) fn unknown(policy: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    // A list of its own instead of recursion: the form is as deep as the policy.
    let mut open = vec![policy];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(fields) => {
                for (operator, operands) in fields {
                    if matches!(
                        operator.as_str(),
                        "==" | "!=" | "contains" | "containsAny" | "containsAll"
                    ) && let (Some(left), Some(right)) =
                        (operands.get("left"), operands.get("right"))
                    {
                        for (attribute, words) in [(left, right), (right, left)] {
                            check(attribute, words, &mut found);
                        }
                    }
                    open.push(operands);
                }
            }
            _ => {}
        }
    }
    found.sort();
    found.dedup();
    found
}

fn check(attribute: &Value, words: &Value, found: &mut Vec<(String, String)>) {
    let Some(name) = attribute.pointer("/./attr").and_then(Value::as_str) else { return };
    let Some(known) = domain::facts::words(name) else { return };
    let set = words.get("Set").and_then(Value::as_array).into_iter().flatten();
    let texts = set.chain([words]).filter_map(|word| word.get("Value")?.as_str());
    for text in texts.filter(|text| !known.contains(text)) {
        let mend = match nearest(text, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write one of {}", listed(known.iter().copied(), known.len())),
        };
        found.push((format!("`{name}` is never `{text}`, so this never matches"), mend));
    }
}
