//! The canonical form: RFC 8785 (JSON Canonicalization Scheme).
//!
//! One value has one byte string on every machine: keys sorted by UTF-16
//! code units, no white space, numbers as ECMAScript prints them.

use serde::Serialize;

/// Largest whole number that survives every JSON reader (RFC 7493 section 2.2).
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// A value that has no canonical form, with the place inside it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct NotCanonical {
    /// Path inside the value, such as `components.model.seed`.
    pub place: String,
    /// What is wrong and what to do.
    pub problem: String,
}

/// The canonical bytes of a value.
///
/// # Errors
/// A whole number beyond ±(2^53 − 1) is refused: readers in other languages
/// would round it and compute another digest.
pub fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, NotCanonical> {
    let fail = |problem: String| NotCanonical { place: "$".to_owned(), problem };
    let value = serde_json::to_value(value).map_err(|e| fail(e.to_string()))?;
    check_numbers(&value, "$")?;
    serde_json_canonicalizer::to_vec(&value).map_err(|e| fail(e.to_string()))
}

fn check_numbers(value: &serde_json::Value, place: &str) -> Result<(), NotCanonical> {
    match value {
        serde_json::Value::Number(n) => {
            let magnitude = n.as_u64().or_else(|| n.as_i64().map(i64::unsigned_abs));
            if magnitude.is_some_and(|m| m > MAX_SAFE_INTEGER) {
                return Err(NotCanonical {
                    place: place.to_owned(),
                    problem: format!(
                        "{n} is larger than 2^53 - 1, the largest whole number every JSON reader keeps; write it as text"
                    ),
                });
            }
            Ok(())
        }
        serde_json::Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(i, item)| check_numbers(item, &format!("{place}[{i}]"))),
        serde_json::Value::Object(map) => map
            .iter()
            .try_for_each(|(key, item)| check_numbers(item, &format!("{place}.{key}"))),
        _ => Ok(()),
    }
}
