//! What is wrong with a template, and what went wrong while rendering one.
//!
//! Neither ever carries a value of a request: a [`RenderError`] may be logged.

use super::engine::{Failure, MAX_RENDERED_BYTES};
use super::filters;
use crate::source::Source;
use domain::finding::Place;
use minijinja::{Error, ErrorKind};
use std::ops::Range;

/// A template that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", place_text(.place))]
pub struct TemplateError {
    /// Where.
    pub place: Box<Place>,
    /// What is wrong, as a lower-case fragment.
    pub message: String,
    /// The line with a caret.
    pub excerpt: String,
}

impl TemplateError {
    pub(super) fn at(file: &str, text: &str, fault: Fault) -> Self {
        let source = Source::new(file, text);
        let range = fault.range.unwrap_or(0..0);
        Self {
            place: Box::new(source.place(range.clone())),
            message: fault.what,
            excerpt: source.excerpt(range),
        }
    }
}

/// A prompt that could not be rendered for one request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The request lacks variables the app requires.
    #[error("{}", missing_text(.0))]
    MissingVariables(Vec<String>),
    /// A template met a value it cannot work with.
    #[error("{}: {what}", place_text(.place))]
    Failed {
        /// Where in the template.
        place: Box<Place>,
        /// What is wrong, as a lower-case fragment, without values.
        what: String,
    },
}

impl RenderError {
    /// A stable code: `missing_variables` or `render_failed`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingVariables(_) => "missing_variables",
            Self::Failed { .. } => "render_failed",
        }
    }
}

impl From<Failure<'_>> for RenderError {
    fn from(failure: Failure<'_>) -> Self {
        let Failure { file, text, fault } = failure;
        let place = match fault.range.clone() {
            Some(range) => Source::new(file, text).place(range),
            None => Place { file: file.to_owned(), ..Place::default() },
        };
        Self::Failed { place: Box::new(place), what: fault.runtime_text(text) }
    }
}

fn place_text(place: &Place) -> String {
    match (place.line, place.column) {
        (Some(line), Some(column)) => format!("`{}` line {line}, column {column}", place.file),
        (Some(line), None) => format!("`{}` line {line}", place.file),
        _ => format!("`{}`", place.file),
    }
}

fn missing_text(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [one] => format!("the request lacks the variable {one}; send it in `tidegate.vars`"),
        many => format!(
            "the request lacks the variables {}; send them in `tidegate.vars`",
            many.join(", ")
        ),
    }
}

/// An error of the engine, without the values it may quote.
pub(super) struct Fault {
    kind: Option<ErrorKind>,
    what: String,
    pub(super) range: Option<Range<usize>>,
    pub(super) template: Option<String>,
}

impl Fault {
    /// The innermost cause: an error inside an include points into the partial.
    pub(super) fn of(error: &Error) -> Self {
        let mut inner = error;
        while let Some(deeper) =
            std::error::Error::source(inner).and_then(|e| e.downcast_ref::<Error>())
        {
            inner = deeper;
        }
        if inner.kind() == ErrorKind::WriteFailure && !filters::is_refusal(inner) {
            return Self::too_long();
        }
        Self {
            kind: Some(inner.kind()),
            what: words(inner),
            range: inner.range(),
            template: inner.name().map(str::to_owned),
        }
    }

    pub(super) fn limit(what: String, range: Range<usize>) -> Self {
        Self { kind: None, what, range: Some(range), template: None }
    }

    pub(super) fn too_long() -> Self {
        let what = format!("the rendered text is longer than {MAX_RENDERED_BYTES} bytes");
        Self { kind: None, what, range: None, template: None }
    }

    pub(super) fn internal() -> Self {
        let what = "the template engine failed on this template; simplify it".to_owned();
        Self { kind: None, what, range: None, template: None }
    }

    /// The words for a failed render: names the expression of the template, as
    /// the engine's own detail may quote values.
    fn runtime_text(&self, text: &str) -> String {
        let expression = self
            .range
            .clone()
            .and_then(|range| text.get(range))
            .filter(|part| !part.contains('\n') && part.chars().count() <= 80);
        match (self.kind, expression) {
            (Some(ErrorKind::UndefinedError), Some(part)) => {
                format!("`{}` has no value; guard it with `is defined` or `default`", part.trim())
            }
            (_, Some(part)) if !part.trim().is_empty() => {
                format!("{} (at `{}`)", self.what, part.trim())
            }
            _ => self.what.clone(),
        }
    }
}

/// Plain words for an error of the engine. Details are used only where they
/// can quote nothing but the template.
fn words(error: &Error) -> String {
    let detail = error.detail().unwrap_or("");
    match error.kind() {
        ErrorKind::SyntaxError => format!("syntax error: {detail}"),
        ErrorKind::BadEscape => "a string has a bad escape sequence".into(),
        ErrorKind::OutOfFuel => "the template takes too many steps; shorten its loops".into(),
        ErrorKind::UndefinedError => "a value is not defined".into(),
        ErrorKind::TemplateNotFound => "an included partial does not exist".into(),
        ErrorKind::UnknownFilter => "unknown filter".into(),
        ErrorKind::UnknownTest => "unknown test".into(),
        ErrorKind::UnknownFunction => "unknown function".into(),
        ErrorKind::UnknownMethod => "unknown method".into(),
        ErrorKind::MissingArgument => "an argument is missing".into(),
        ErrorKind::TooManyArguments => "too many arguments".into(),
        // Only refusals of our own filters come here; they quote nothing.
        ErrorKind::WriteFailure => detail.into(),
        ErrorKind::CannotUnpack => "a value cannot be unpacked".into(),
        _ => "a value is of the wrong type, or too deep, for what is done with it".into(),
    }
}
