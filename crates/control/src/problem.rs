//! Why a command was not carried out: one shape for every face.

use domain::units::Span;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What kind of no it is; decides HTTP status and exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// Not signed in (401, exit 4).
    NotSignedIn,
    /// Signed in, but not allowed (403, exit 4).
    NotAllowed,
    /// There is no such thing (404, exit 5).
    NotFound,
    /// Somebody changed it meanwhile (412, exit 6).
    Conflict,
    /// What was sent is wrong (422, exit 2).
    Invalid,
    /// A check or policy said no (409, exit 7).
    Refused,
    /// Too often; later is fine (429, exit 1).
    TooMany,
    /// The server could not (500, exit 1).
    Failed,
}

/// A no, in words for people and a code for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Kind.
    pub kind: ProblemKind,
    /// Stable code, for example `own_change`.
    pub code: String,
    /// What is wrong, in one sentence.
    pub detail: String,
    /// What to do about it.
    pub hint: String,
    /// Fields concerned, for forms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// When to try again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Span>,
}

impl Problem {
    /// A problem of this kind.
    pub fn new(
        kind: ProblemKind,
        code: &str,
        detail: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            code: code.to_owned(),
            detail: detail.into(),
            hint: hint.into(),
            fields: Vec::new(),
            wait: None,
        }
    }

    /// The same, with the time after which it is worth another try.
    #[must_use]
    pub fn after(mut self, wait: Span) -> Self {
        self.wait = Some(wait);
        self
    }

    /// The same, about this field.
    #[must_use]
    pub fn at(mut self, field: &str) -> Self {
        self.fields.push(field.to_owned());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}
