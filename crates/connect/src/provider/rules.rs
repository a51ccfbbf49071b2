//! Deterministic answers: which text of `fallback.yaml` a request gets.
//!
//! Choosing is here, because the `rules` provider needs it; rendering the
//! chosen template is the gateway's, because there is one template engine. A
//! fallback must answer when everything else is broken, so it gives all texts
//! that would do, in order, and the caller takes the first that renders.

use domain::fallback::{Fallback, MESSAGE_VARIABLE, Test};
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Largest compiled regular expression, in bytes.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// A rule that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// Not exactly one test.
    #[error("rule {0} of the fallback needs exactly one of `contains`, `equals` and `matches`")]
    NoTest(usize),
    /// A bad regular expression.
    #[error("rule {0} of the fallback: `matches` is not a regular expression this engine accepts")]
    BadRegex(usize),
}

/// A text a fallback may answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The answer of this rule, from 0.
    Rule(usize),
    /// The default.
    Default,
    /// The hand-over.
    HandOver,
}

impl Choice {
    /// The word in `x-tidegate-fallback`: `message` if a person takes over.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rule(_) | Self::Default => "rules",
            Self::HandOver => "message",
        }
    }
}

/// The compiled rules of one app.
#[derive(Debug)]
pub struct Rules {
    tests: Vec<(String, Compiled)>,
    default: bool,
    hand_over: bool,
}

#[derive(Debug)]
enum Compiled {
    /// In lower case.
    Contains(String),
    Equals(String),
    Matches(Regex),
}

impl Rules {
    /// Compiles the rules.
    ///
    /// # Errors
    /// At the first rule that cannot be used.
    pub fn compile(fallback: &Fallback) -> Result<Self, RulesError> {
        let tests = fallback.rules.iter().enumerate().map(|(i, rule)| {
            let test = match rule.when.test().ok_or(RulesError::NoTest(i + 1))? {
                Test::Contains(text) => Compiled::Contains(text.to_lowercase()),
                Test::Equals(text) => Compiled::Equals(text.to_owned()),
                Test::Matches(pattern) => Compiled::Matches(
                    RegexBuilder::new(pattern)
                        .size_limit(MAX_REGEX_BYTES)
                        .build()
                        .map_err(|_| RulesError::BadRegex(i + 1))?,
                ),
            };
            Ok((rule.when.variable.clone(), test))
        });
        Ok(Self {
            tests: tests.collect::<Result<_, _>>()?,
            default: fallback.default.is_some(),
            hand_over: fallback.hand_over.is_some(),
        })
    }

    /// Every text that would do, best first: the rules that hold, the default,
    /// the hand-over. `message` is the text of the last user message.
    pub fn choices<'a>(
        &'a self,
        variables: &'a Map<String, Value>,
        message: Option<&'a str>,
    ) -> impl Iterator<Item = Choice> + 'a {
        let rules = self.tests.iter().enumerate().filter_map(move |(i, (variable, test))| {
            let text = value(variable, variables, message)?;
            holds(test, &text).then_some(Choice::Rule(i))
        });
        rules
            .chain(self.default.then_some(Choice::Default))
            .chain(self.hand_over.then_some(Choice::HandOver))
    }

    /// True if some rule reads the last user message.
    pub fn reads_message(&self) -> bool {
        self.tests.iter().any(|(variable, _)| variable == MESSAGE_VARIABLE)
    }
}

fn value<'a>(
    name: &str,
    variables: &'a Map<String, Value>,
    message: Option<&'a str>,
) -> Option<Cow<'a, str>> {
    match variables.get(name) {
        Some(Value::String(text)) => Some(Cow::Borrowed(text)),
        Some(Value::Null) | None if name == MESSAGE_VARIABLE => message.map(Cow::Borrowed),
        Some(Value::Null) | None => None,
        Some(other) => Some(Cow::Owned(other.to_string())),
    }
}

fn holds(test: &Compiled, text: &str) -> bool {
    match test {
        Compiled::Contains(part) => text.to_lowercase().contains(part.as_str()),
        Compiled::Equals(whole) => text == whole,
        Compiled::Matches(pattern) => pattern.is_match(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules(value: Value) -> Rules {
        Rules::compile(&serde_json::from_value(value).expect("form")).expect("compiles")
    }

    fn chosen(rules: &Rules, vars: Value, message: Option<&str>) -> Vec<Choice> {
        let Value::Object(vars) = vars else { panic!("object") };
        rules.choices(&vars, message).collect()
    }

    #[test]
    fn the_first_rule_that_holds_comes_first_and_there_is_always_more() {
        let rules = rules(json!({
            "rules": [
                {"when": {"variable": "topic", "equals": "refund"}, "answer": "a"},
                {"when": {"variable": "message", "contains": "Order"}, "answer": "b"},
                {"when": {"variable": "count", "matches": "^[0-9]+$"}, "answer": "c"},
            ],
            "default": "d",
            "hand_over": "h",
        }));
        use Choice::{Default, HandOver, Rule};
        let cases = [
            (json!({"topic": "refund"}), None, vec![Rule(0), Default, HandOver]),
            (json!({}), Some("where is my ORDER?"), vec![Rule(1), Default, HandOver]),
            (
                json!({"message": "order", "count": 12}),
                None,
                vec![Rule(1), Rule(2), Default, HandOver],
            ),
            (json!({"topic": null, "count": "x1"}), None, vec![Default, HandOver]),
        ];
        for (vars, message, wanted) in cases {
            assert_eq!(chosen(&rules, vars.clone(), message), wanted, "{vars}");
        }
    }

    #[test]
    fn a_rule_without_a_usable_test_is_named() {
        let bad = |when: Value| {
            let content = json!({"rules": [{"when": when, "answer": "a"}], "default": "d"});
            Rules::compile(&serde_json::from_value(content).expect("form")).expect_err("bad")
        };
        assert_eq!(bad(json!({"variable": "x"})), RulesError::NoTest(1));
        assert_eq!(
            bad(json!({"variable": "x", "contains": "a", "equals": "b"})),
            RulesError::NoTest(1)
        );
        assert_eq!(bad(json!({"variable": "x", "matches": "("})), RulesError::BadRegex(1));
        assert_eq!(
            bad(json!({"variable": "x", "matches": "(a{1000}){1000}"})),
            RulesError::BadRegex(1)
        );
    }
}
