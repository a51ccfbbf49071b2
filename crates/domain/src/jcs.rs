//! The canonical form: RFC 8785 (JSON Canonicalization Scheme).
//!
//! One value has one byte string on every machine: keys sorted by UTF-16
//! code units, no white space, numbers as ECMAScript prints them.

use serde::Serialize;
use serde_json::{Number, Value};

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
/// A number beyond ±(2^53 − 1) is refused: readers in other languages would
/// round it and compute another digest. That holds for numbers written with a
/// fraction or exponent too, because the canonical form writes `1e17` as a
/// whole number.
pub fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, NotCanonical> {
    let fail = |problem: String| NotCanonical { place: "$".to_owned(), problem };
    let value = serde_json::to_value(value).map_err(|e| fail(e.to_string()))?;
    check_numbers(&value, "$")?;
    serde_json_canonicalizer::to_vec(&value).map_err(|e| fail(e.to_string()))
}

fn check_numbers(value: &Value, place: &str) -> Result<(), NotCanonical> {
    match value {
        Value::Number(n) if is_unsafe(n) => Err(NotCanonical {
            place: place.to_owned(),
            problem: format!(
                "{n} is larger than 2^53 - 1, the largest whole number every JSON reader keeps; write it as text"
            ),
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(i, item)| check_numbers(item, &format!("{place}[{i}]"))),
        Value::Object(map) => {
            map.iter().try_for_each(|(key, item)| check_numbers(item, &format!("{place}.{key}")))
        }
        _ => Ok(()),
    }
}

/// Every double beyond 2^53 is a whole number.
fn is_unsafe(n: &Number) -> bool {
    n.as_f64().is_none_or(|x| x.abs() > MAX_SAFE_INTEGER as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_that_readers_round_are_refused_with_their_place() {
        for value in [
            json!(9_007_199_254_740_992_u64),
            json!(-9_007_199_254_740_993_i64),
            json!(1e17),
            json!(u64::MAX),
            json!(-1e300),
        ] {
            let error = canonical(&json!({"a": {"b": [0, value]}})).unwrap_err();
            assert_eq!(error.place, "$.a.b[1]");
            assert!(error.problem.contains("write it as text"), "{error}");
        }
        assert_eq!(
            canonical(&json!([9_007_199_254_740_991_u64, 9_007_199_254_740_991_f64])).unwrap(),
            b"[9007199254740991,9007199254740991]"
        );
    }

    #[test]
    fn what_is_no_number_has_no_silent_form() {
        assert_eq!(
            canonical(&f64::NAN).unwrap(),
            b"null",
            "as in JSON; files refuse it when they are read"
        );
    }
}
