//! What a word without quotes means: the YAML 1.2 core schema, less what JSON
//! cannot say.

use super::scan::is_null;

/// The meaning of a plain scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scalar<'a> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    /// A whole number too large, or a number JSON has no form for.
    Unusable,
    Text(&'a str),
}

/// Reads a plain scalar.
pub(crate) fn resolve(text: &str) -> Scalar<'_> {
    match text {
        _ if is_null(text) => Scalar::Null,
        "true" | "True" | "TRUE" => Scalar::Bool(true),
        "false" | "False" | "FALSE" => Scalar::Bool(false),
        _ if is_unusable_float(text) => Scalar::Unusable,
        _ => number(text).unwrap_or(Scalar::Text(text)),
    }
}

fn is_unusable_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN")
}

fn number(text: &str) -> Option<Scalar<'static>> {
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
        let plus_less = text.strip_prefix('+').unwrap_or(text);
        return Some(match (plus_less.parse::<u64>(), plus_less.parse::<i64>()) {
            (Ok(n), _) => Scalar::Unsigned(n),
            (_, Ok(n)) => Scalar::Signed(n),
            _ => Scalar::Unusable,
        });
    }
    is_float(unsigned).then(|| match text.parse::<f64>() {
        Ok(n) if n.is_finite() => Scalar::Float(n),
        _ => Scalar::Unusable,
    })
}

fn radix(digits: &str, radix: u32) -> Option<Scalar<'static>> {
    let valid = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    valid.then(|| u64::from_str_radix(digits, radix).map_or(Scalar::Unusable, Scalar::Unsigned))
}

/// `[0-9]* . [0-9]*` with at least one digit, then perhaps `e[+-]?[0-9]+`.
fn is_float(unsigned: &str) -> bool {
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_ok = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['-', '+']).unwrap_or(e);
        !e.is_empty() && digits(e)
    });
    digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty()) && exponent_ok
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_the_core_schema_says() {
        for (text, meaning) in [
            ("", Scalar::Null),
            ("~", Scalar::Null),
            ("True", Scalar::Bool(true)),
            ("yes", Scalar::Text("yes")),
            ("on", Scalar::Text("on")),
            ("007", Scalar::Unsigned(7)),
            ("-3", Scalar::Signed(-3)),
            ("+3", Scalar::Unsigned(3)),
            ("0x1F", Scalar::Unsigned(31)),
            ("0o17", Scalar::Unsigned(15)),
            ("1.50", Scalar::Float(1.5)),
            (".5", Scalar::Float(0.5)),
            ("1e3", Scalar::Float(1000.0)),
            ("1e400", Scalar::Unusable),
            ("-.inf", Scalar::Unusable),
            ("99999999999999999999", Scalar::Unusable),
            ("1.2.3", Scalar::Text("1.2.3")),
            ("2027-03-01", Scalar::Text("2027-03-01")),
            (".", Scalar::Text(".")),
            ("e5", Scalar::Text("e5")),
            ("infinity", Scalar::Text("infinity")),
        ] {
            assert_eq!(resolve(text), meaning, "{text}");
        }
    }
}
