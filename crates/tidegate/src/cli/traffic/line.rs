//! One recorded request: what was asked, and what people said about each
//! model's answer to it.

use crate::cli::failure::Failure;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// Longest file read, in bytes.
const MAX_FILE: u64 = 1 << 30;

/// One recorded request.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Variables of the prompt.
    #[serde(default)]
    pub vars: Map<String, Value>,
    /// Who asks.
    #[serde(default)]
    pub subject: Option<String>,
    /// Messages of the conversation.
    #[serde(default)]
    pub messages: Vec<Value>,
    /// What the user wants.
    #[serde(default)]
    pub intent: Option<String>,
    /// Attributes such as `tenant`.
    #[serde(default)]
    pub attrs: Map<String, Value>,
    /// What is said about the answer afterwards, by name.
    #[serde(default, alias = "labels")]
    pub feedback: BTreeMap<String, Label>,
}

/// What is said under one name.
#[derive(Debug, Clone, PartialEq)]
pub enum Label {
    /// The same whoever answered.
    Always(f64),
    /// What people said about each model's answer; silent about others.
    ByModel(BTreeMap<String, f64>),
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        match Value::deserialize(d)? {
            Value::Number(n) => {
                n.as_f64().map(Label::Always).ok_or_else(|| D::Error::custom("not a number"))
            }
            Value::Bool(yes) => Ok(Label::Always(f64::from(u8::from(yes)))),
            Value::Object(map) => map
                .into_iter()
                .map(|(model, value)| {
                    let number =
                        value.as_f64().or_else(|| value.as_bool().map(|b| f64::from(u8::from(b))));
                    number.map(|n| (model.clone(), n)).ok_or_else(|| {
                        D::Error::custom(format!("the label of `{model}` is not a number"))
                    })
                })
                .collect::<Result<_, _>>()
                .map(Label::ByModel),
            _ => Err(D::Error::custom("a label is a number, or an object of model and number")),
        }
    }
}

impl Label {
    /// The label of this model's answer.
    pub fn of(&self, model: &str) -> Option<f64> {
        match self {
            Label::Always(value) => Some(*value),
            Label::ByModel(table) => table.get(model).copied(),
        }
    }
}

/// Reads the requests of a file.
pub fn read(path: &Path) -> Result<Vec<Line>, Failure> {
    let fail = |problem: &str| Failure::usage(format!("`{}`: {problem}", path.display()));
    let size = std::fs::metadata(path).map_err(|e| fail(&e.to_string()))?.len();
    if size > MAX_FILE {
        return Err(fail("the file is larger than a gigabyte").fix("split it"));
    }
    let text = std::fs::read_to_string(path).map_err(|e| fail(&e.to_string()))?;
    parse(&text).map_err(|problem| {
        fail(&problem)
            .fix("write one JSON object a line, for example {\"vars\": {\"question\": \"...\"}}")
    })
}

fn parse(text: &str) -> Result<Vec<Line>, String> {
    let lines: Vec<Line> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(i, line)| {
            serde_json::from_str(line).map_err(|e| {
                let text = e.to_string();
                let problem = text.split(" at line ").next().unwrap_or_default();
                format!("line {}, column {}: {problem}", i + 1, e.column())
            })
        })
        .collect::<Result<_, _>>()?;
    if lines.is_empty() { Err("the file holds no requests".to_owned()) } else { Ok(lines) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_numbers_or_tables_by_model() {
        let lines = parse(
            r#"{"vars": {"q": "1"}, "labels": {"hallucinated": {"a": 0, "b": true}}}
               {"vars": {}, "feedback": {"accepted": 1}}"#,
        )
        .unwrap();
        let label = &lines[0].feedback["hallucinated"];
        assert_eq!((label.of("a"), label.of("b"), label.of("c")), (Some(0.0), Some(1.0), None));
        assert_eq!(lines[1].feedback["accepted"].of("anything"), Some(1.0));
    }

    #[test]
    fn faults_name_the_line() {
        let error = parse("{\"vars\": {}}\n{\"varz\": {}}").err().unwrap();
        assert!(error.starts_with("line 2, column") && error.contains("`varz`"), "{error}");
        assert_eq!(parse("\n\n").err().unwrap(), "the file holds no requests");
    }
}
