//! Scores, rules: checks compiled once and then asked of many answers.

use super::instruction::Instruction;
use super::json::{Path, Schema};
use super::{Fault, cosine, free, language, refusal, text, tools};
use domain::suite::{Answer, Case, Check, Harm, ToolCallRule};
use regex::Regex;
use serde_json::Value;

/// Longest regular expression, in bytes.
pub const MAX_PATTERN_LEN: usize = 4096;
/// Largest compiled regular expression, in bytes.
pub const MAX_PATTERN_SIZE: usize = 1 << 20;

/// A check that can be asked.
pub(crate) enum Rule {
    Equals(String),
    Contains { wanted: Vec<String>, all: bool, word: &'static str },
    NotContains(Vec<String>),
    Matches { pattern: Regex, wanted: bool },
    Schema(Box<Schema>),
    Path(Path),
    Length(domain::suite::LengthRule),
    ToolCall(ToolCallRule),
    NoToolCall(Vec<String>),
    Language(&'static str),
    Refuses(bool),
    Instruction(Instruction),
    Free(Vec<Harm>),
    Similarity { at_least: f64, outside: bool },
    Moderation,
}

impl Rule {
    /// Compiles a check. `files` gives files beside the suite.
    pub(crate) fn new(
        check: &Check,
        files: &dyn Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<Self, Fault> {
        let word = check.word();
        let filled = |texts: &[String]| {
            if texts.is_empty() || texts.iter().any(|text| text.trim().is_empty()) {
                Err(empty(word))
            } else {
                Ok(texts.iter().map(|text| text::folded(text)).collect::<Vec<_>>())
            }
        };
        Ok(match check {
            Check::Equals(text) => Self::Equals(text.trim().to_owned()),
            Check::Contains(text) => {
                Self::Contains { wanted: filled(std::slice::from_ref(text))?, all: true, word }
            }
            Check::ContainsAny(texts) => {
                Self::Contains { wanted: filled(texts)?, all: false, word }
            }
            Check::ContainsAll(texts) => Self::Contains { wanted: filled(texts)?, all: true, word },
            Check::NotContains(texts) => Self::NotContains(filled(texts)?),
            Check::Matches(pattern) => {
                Self::Matches { pattern: regex(word, pattern)?, wanted: true }
            }
            Check::NotMatches(pattern) => {
                Self::Matches { pattern: regex(word, pattern)?, wanted: false }
            }
            Check::JsonSchema(schema) => Self::Schema(Box::new(Schema::resolve(schema, files)?)),
            Check::JsonPath(rule) => Self::Path(Path::new(rule)?),
            Check::Length(rule) => {
                text::length_fault(rule).map_or(Ok(()), Err)?;
                Self::Length(rule.clone())
            }
            Check::ToolCall(rule) => {
                if rule.name.trim().is_empty() {
                    return Err(empty("tool_call.name"));
                }
                Self::ToolCall(rule.clone())
            }
            Check::NoToolCall(names) => Self::NoToolCall(names.clone()),
            Check::Language(code) => Self::Language(language::known(code)?),
            Check::Refuses(wanted) => Self::Refuses(*wanted),
            Check::Instruction(rule) => Self::Instruction(Instruction::new(rule)?),
            Check::Free(harms) => {
                free::fault(harms).map_or(Ok(()), Err)?;
                Self::Free(harms.clone())
            }
            Check::Similarity(rule) => {
                if !(0.0..=1.0).contains(&rule.at_least.0) {
                    return Err(Fault::new(
                        "similarity.at_least",
                        "out_of_range",
                        "a similarity is from 0 to 1",
                        "write for example `80%`",
                    ));
                }
                let outside = rule.embeddings.is_some();
                Self::Similarity { at_least: rule.at_least.0, outside }
            }
            Check::Moderation(name) if name.trim().is_empty() => return Err(empty(word)),
            Check::Moderation(_) => Self::Moderation,
        })
    }

    /// The check's key in a suite.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Equals(_) => "equals",
            Self::Contains { word, .. } => word,
            Self::NotContains(_) => "not_contains",
            Self::Matches { wanted: true, .. } => "matches",
            Self::Matches { wanted: false, .. } => "not_matches",
            Self::Schema(_) => "json_schema",
            Self::Path(_) => "json_path",
            Self::Length(_) => "length",
            Self::ToolCall(_) => "tool_call",
            Self::NoToolCall(_) => "no_tool_call",
            Self::Language(_) => "language",
            Self::Refuses(_) => "refuses",
            Self::Instruction(_) => "instruction",
            Self::Free(_) => "free",
            Self::Similarity { .. } => "similarity",
            Self::Moderation => "moderation",
        }
    }

    /// Asks it of an answer. The error says what was asked and what was found.
    pub(crate) fn kept(&self, case: &Case, answer: &Answer) -> Result<(), String> {
        if let Some(why) = super::no_answer(answer) {
            return Err(why);
        }
        match self {
            Self::Equals(wanted) => text::equals(&answer.text, wanted),
            Self::Contains { wanted, all, .. } => text::contains(&answer.text, wanted, *all),
            Self::NotContains(unwanted) => text::contains_none(&answer.text, unwanted),
            Self::Matches { pattern, wanted } => {
                let found = pattern.is_match(&answer.text);
                match (found, wanted) {
                    (false, true) => Err(format!("nothing matches `{}`", short(pattern.as_str()))),
                    (true, false) => {
                        Err(format!("something matches `{}`", short(pattern.as_str())))
                    }
                    _ => Ok(()),
                }
            }
            Self::Schema(schema) => schema.kept(&answer.text),
            Self::Path(path) => path.kept(&answer.text),
            Self::Length(rule) => text::length(&answer.text, rule),
            Self::ToolCall(rule) => tools::called(rule, &answer.tool_calls),
            Self::NoToolCall(names) => tools::not_called(names, &answer.tool_calls),
            Self::Language(code) => language::kept(&answer.text, code),
            Self::Refuses(wanted) => refusal::kept(&answer.text, *wanted),
            Self::Instruction(instruction) => instruction.kept(&answer.text),
            Self::Free(harms) => free::kept(harms, case, answer),
            Self::Similarity { outside: true, .. } | Self::Moderation => {
                Err("it is asked elsewhere, and nobody did".to_owned())
            }
            Self::Similarity { at_least, .. } => {
                let near = case.expected.iter().map(|wanted| cosine(&answer.text, wanted));
                near_enough(near.reduce(f64::max), *at_least)
            }
        }
    }
}

/// Whether a similarity is enough; none where the case has no reference.
pub fn near_enough(similarity: Option<f64>, at_least: f64) -> Result<(), String> {
    match similarity {
        None => Err("the case has no reference answer (`expected`)".to_owned()),
        Some(value) if value >= at_least => Ok(()),
        Some(value) => Err(format!(
            "it is {value:.3} similar to the nearest reference; {at_least:.3} is the least"
        )),
    }
}

fn regex(word: &str, pattern: &str) -> Result<Regex, Fault> {
    let bad = |message: String| {
        Fault::new(
            word,
            "bad_pattern",
            message,
            "write a regular expression that is read in linear time: without look-around and back-references",
        )
    };
    if pattern.len() > MAX_PATTERN_LEN {
        return Err(bad(format!(
            "the regular expression has {} bytes; at most {MAX_PATTERN_LEN} are read",
            pattern.len()
        )));
    }
    regex::RegexBuilder::new(pattern).size_limit(MAX_PATTERN_SIZE).build().map_err(|error| {
        let words = error.to_string();
        let last = words.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
        bad(format!("this is not a regular expression: {last}"))
    })
}

pub(crate) fn empty(field: &str) -> Fault {
    Fault::new(
        field,
        "empty_text",
        format!("`{field}` is empty or has an empty text, which says nothing about an answer"),
        "write what the answer must or must not hold",
    )
}

/// At most this many characters of a text are shown in a reason.
const MAX_SHOWN: usize = 60;

/// A text for a sentence, cut if it is long.
pub(crate) fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A JSON value for a sentence.
pub(crate) fn shown(value: &Value) -> String {
    short(&value.to_string())
}
