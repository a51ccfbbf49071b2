//! What parsers say of a request, in words for people: which field, what is
//! wrong there, and where. Names of this program's types stay out; callers
//! cannot look them up.

use serde::de::DeserializeOwned;

/// Reads a JSON text, or says why not.
pub(crate) fn json<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|e| {
        let path = e.path().to_string();
        at(&path, &plain(&e.into_inner().to_string()))
    })?;
    reader.end().map_err(|e| plain(&e.to_string()))?;
    Ok(value)
}

/// What is wrong with a query string, from the framework's text.
pub(crate) fn query(text: &str) -> String {
    let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(text);
    let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match text.split_once(": ").filter(|(name, _)| is_name(name)) {
        Some((name, problem)) => at(name, &plain(problem)),
        None => plain(text),
    }
    .replace("unknown field", "unknown parameter")
}

/// The problem after the name of its field, unless it names the field itself.
fn at(path: &str, problem: &str) -> String {
    let named = format!("`{path}`");
    if matches!(path, "." | "?") || problem.contains(&named) {
        problem.to_owned()
    } else {
        format!("{named}: {problem}")
    }
}

/// A parser's sentence without words of programmers.
pub(crate) fn plain(text: &str) -> String {
    const WORDS: [(&str, &str); 17] = [
        ("EOF while parsing ", "it ends inside "),
        ("invalid type: map,", "invalid type: an object,"),
        ("invalid type: sequence,", "invalid type: a list,"),
        ("invalid type: ", "wrong type: "),
        ("expected a map", "expected an object"),
        ("expected a sequence", "expected a list"),
        ("expected a borrowed string", "expected a string"),
        ("expected usize", "expected a whole number"),
        ("expected u64", "expected a whole number"),
        ("expected u32", "expected a whole number"),
        ("expected u8", "expected a whole number"),
        ("expected i64", "expected a whole number"),
        ("expected f64", "expected a number"),
        ("expected a boolean", "expected `true` or `false`"),
        ("invalid digit found in string", "not a whole number"),
        ("number too large to fit in target type", "too large a number"),
        ("provided string was not `true` or `false`", "neither `true` nor `false`"),
    ];
    let text = place(&unnamed(text));
    WORDS.iter().fold(text, |text, (from, to)| text.replace(from, to))
}

/// `expected struct NewChange` becomes `expected an object`.
fn unnamed(text: &str) -> String {
    const FORMS: [(&str, &str); 7] = [
        ("struct variant ", "an object"),
        ("internally tagged enum ", "an object"),
        ("tuple struct ", "a list"),
        ("newtype struct ", "a value"),
        ("unit struct ", "null"),
        ("struct ", "an object"),
        ("enum ", "one of its words"),
    ];
    let Some((before, after)) = text.split_once("expected ") else { return text.to_owned() };
    for (form, word) in FORMS {
        if let Some(named) = after.strip_prefix(form) {
            let rest = named.trim_start_matches(|c: char| c.is_alphanumeric() || "_:".contains(c));
            return format!("{before}expected {word}{rest}");
        }
    }
    text.to_owned()
}

/// ` at line 1 column 5` becomes ` (line 1, column 5)`.
fn place(text: &str) -> String {
    let parts = text
        .rsplit_once(" at line ")
        .and_then(|(what, place)| Some((what, place.split_once(" column ")?)));
    match parts {
        Some((what, (line, column))) => format!("{what} (line {line}, column {column})"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use control::views::{NewAction, NewChange};

    #[test]
    fn a_body_that_cannot_be_read_is_explained_without_type_names() {
        for (body, said) in [
            ("5", "wrong type: integer `5`, expected an object (line 1, column 1)"),
            ("{}", "missing field `app` (line 1, column 2)"),
            ("{", "it ends inside an object (line 1, column 1)"),
            (
                r#"{"app": 1}"#,
                "`app`: wrong type: integer `1`, expected a string (line 1, column 9)",
            ),
            (
                r#"{"app": "x", "why": "y", "edits": [{"path": 1}]}"#,
                "`edits[0].path`: wrong type: integer `1`, expected a string (line 1, column 45)",
            ),
            (
                r#"{"app": "x", "why": "y", "edits": {}}"#,
                "`edits`: wrong type: an object, expected a list (line 1, column 34)",
            ),
            (
                r#"{"other": 1}"#,
                "unknown field `other`, expected one of `app`, `title`, `why`, `edits`, `branch`, \
                 `bump` (line 1, column 8)",
            ),
        ] {
            assert_eq!(json::<NewChange>(body.as_bytes()).unwrap_err(), said, "{body}");
        }
        assert!(json::<NewAction>(br#"{"kind": "kill"} x"#).is_err());
    }

    #[test]
    fn a_query_that_cannot_be_read_is_explained_without_type_names() {
        let prefix = "Failed to deserialize query string: ";
        for (came, said) in [
            ("limit: invalid digit found in string", "`limit`: not a whole number"),
            (
                "other: unknown field `other`, expected `a`",
                "unknown parameter `other`, expected `a`",
            ),
            ("missing field `after`", "missing field `after`"),
        ] {
            assert_eq!(query(&format!("{prefix}{came}")), said);
        }
    }

    #[test]
    fn type_names_are_left_out_wherever_they_stand() {
        for (came, said) in [
            (
                "expected struct NewChange at line 1 column 2",
                "expected an object (line 1, column 2)",
            ),
            (
                "invalid type: null, expected enum Decision",
                "wrong type: null, expected one of its words",
            ),
            ("expected tuple struct Page with 2 elements", "expected a list with 2 elements"),
        ] {
            assert_eq!(plain(came), said);
        }
    }
}
