//! Small builder for findings, so that every check fills in every part.

use crate::source::Source;
use domain::finding::{Finding, Place, Severity};
use std::ops::Range;

/// Begins a finding. Its sentences end with a full stop.
pub(crate) fn finding(severity: Severity, code: &str, message: impl Into<String>) -> Draft {
    Draft(Finding {
        code: code.to_owned(),
        severity,
        place: None,
        message: message.into(),
        explanation: String::new(),
        mend: String::new(),
        replacement: None,
        excerpt: None,
    })
}

/// A finding under construction.
pub(crate) struct Draft(Finding);

impl Draft {
    /// In a text, with an excerpt.
    pub(crate) fn at(mut self, source: &Source<'_>, range: Range<usize>) -> Self {
        self.0.place = Some(source.place(range.clone()));
        self.0.excerpt = Some(source.excerpt(range));
        self
    }

    /// In a file as a whole.
    pub(crate) fn file(mut self, file: &str) -> Self {
        self.0.place = Some(Place { file: file.to_owned(), ..Place::default() });
        self
    }

    /// In a field of a file.
    pub(crate) fn field(mut self, file: &str, field: &str) -> Self {
        self.0.place = Some(Place {
            file: file.to_owned(),
            field: Some(field.to_owned()),
            ..Place::default()
        });
        self
    }

    /// The text that would mend it.
    pub(crate) fn replacement(mut self, text: Option<&str>) -> Self {
        self.0.replacement = text.map(str::to_owned);
        self
    }

    /// Ends it: why it matters, and what to do.
    pub(crate) fn because(mut self, explanation: &str, mend: impl Into<String>) -> Finding {
        self.0.explanation = explanation.to_owned();
        self.0.mend = mend.into();
        self.0
    }
}
