//! Deterministic answers: what `fallback.yaml` holds, what the `rules` provider
//! and the kill switch answer with, and what travels in a snapshot.
//!
//! The first rule that holds answers; then `default`; then `hand_over`. There is
//! always an answer, because a file without `default` and `hand_over` is refused.

use serde::{Deserialize, Serialize};

/// Most rules a file may have.
pub const MAX_RULES: usize = 200;
/// The variable that stands for the text of the last user message.
pub const MESSAGE_VARIABLE: &str = "message";

/// Rules, and what to say when none holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// Tried in order.
    #[serde(default)]
    pub rules: Vec<FallbackRule>,
    /// The answer when no rule holds: a template over the variables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// What users are told when a person takes over; the last resort.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hand_over: Option<String>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FallbackRule {
    /// When it holds.
    pub when: Condition,
    /// The answer: a template over the variables.
    pub answer: String,
}

/// A test of one variable. Exactly one of `contains`, `equals` and `matches`
/// is given ([`Condition::test`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The variable, or `message` for the text of the last user message.
    pub variable: String,
    /// Holds if the text occurs in it, upper and lower case being the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// Holds if it is this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<String>,
    /// Holds if this regular expression (linear-time syntax) matches somewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
}

/// What a condition asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test<'a> {
    /// The text occurs.
    Contains(&'a str),
    /// It is the text.
    Equals(&'a str),
    /// The regular expression matches.
    Matches(&'a str),
}

impl Condition {
    /// The one test, or none if not exactly one is given.
    pub fn test(&self) -> Option<Test<'_>> {
        match (&self.contains, &self.equals, &self.matches) {
            (Some(text), None, None) => Some(Test::Contains(text)),
            (None, Some(text), None) => Some(Test::Equals(text)),
            (None, None, Some(pattern)) => Some(Test::Matches(pattern)),
            _ => None,
        }
    }
}
