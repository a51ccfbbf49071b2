//! The filters, tests and functions a template may use.
//!
//! The engine does not list its own tests and functions; a test here asks it
//! about every name, so that the lists cannot promise what it refuses.

pub(super) use crate::template::FILTERS;

/// `value is name`.
pub(super) const TESTS: [&str; 42] = [
    "!=",
    "<",
    "<=",
    "==",
    ">",
    ">=",
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "equalto",
    "escaped",
    "even",
    "false",
    "filter",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "int",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "safe",
    "sameas",
    "sequence",
    "startingwith",
    "string",
    "test",
    "true",
    "undefined",
    "upper",
];

/// `name(…)`.
pub(super) const FUNCTIONS: [&str; 3] = ["dict", "namespace", "range"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::KeyTemplate;
    use serde_json::Map;

    fn renders(text: &str) -> String {
        match KeyTemplate::compile(text).unwrap().render(&Map::new()) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_engine_knows_every_listed_name() {
        for filter in FILTERS {
            let error = renders(&format!("{{{{ 'x' | {filter} }}}}"));
            assert!(!error.contains("unknown filter"), "{filter}: {error}");
        }
        for test in TESTS.into_iter().filter(|t| t.starts_with(char::is_alphabetic)) {
            let error = renders(&format!("{{{{ 'x' is {test}() }}}}"));
            assert!(!error.contains("unknown test"), "{test}: {error}");
        }
        for function in FUNCTIONS {
            let error = renders(&format!("{{{{ {function}(1) }}}}"));
            assert!(!error.contains("unknown function"), "{function}: {error}");
        }
    }

    #[test]
    fn the_engine_refuses_other_names_with_these_words() {
        assert!(renders("{{ 'x' | shout }}").contains("unknown filter"));
        assert!(renders("{{ 'x' is loud() }}").contains("unknown test"));
        assert!(renders("{{ debug() }}").contains("unknown function"));
    }
}
