//! Text files with places to point at.

use crate::format::Fault;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use domain::finding::{Finding, Place, Severity};
use std::ops::Range;

/// Longest part of a line shown before and after what is pointed at, in characters.
const MAX_CONTEXT: usize = 80;

/// A text file. Line ends are unified to `\n` and a byte order mark is gone, so
/// that the same content is the same everywhere git may have rewritten it.
pub(crate) struct Source {
    file: String,
    text: String,
}

impl Source {
    /// Reads bytes as text.
    pub(crate) fn read(file: &str, bytes: &[u8], limit: usize) -> Result<Self, Box<Finding>> {
        if bytes.len() > limit {
            let fault = Fault::new(
                "",
                "too_large",
                format!("the file has {} bytes; at most {limit} are read", bytes.len()),
                "split the file or shorten it",
            );
            return Err(Box::new(whole_file(file, fault)));
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self { file: file.to_owned(), text: unify(text) }),
            Err(error) => {
                let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
                let on_line = String::from_utf8_lossy(before.get(line_start..).unwrap_or_default());
                let fault = Fault::new(
                    "",
                    "not_utf8",
                    "the file is not UTF-8 from here on",
                    "save the file as UTF-8",
                );
                let mut finding = whole_file(file, fault);
                finding.place = Some(Place {
                    file: file.to_owned(),
                    line: Some(count(before.iter().filter(|b| **b == b'\n').count() + 1)),
                    column: Some(count(on_line.chars().count() + 1)),
                    ..Place::default()
                });
                Err(Box::new(finding))
            }
        }
    }

    /// The text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The text, given away.
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// A finding about a range of this text.
    pub(crate) fn finding(&self, span: Range<usize>, fault: Fault, severity: Severity) -> Finding {
        let spot = self.spot(span);
        let excerpt = self.excerpt(&spot, fault.code);
        Finding {
            place: Some(Place {
                file: self.file.clone(),
                line: Some(count(spot.line)),
                column: Some(count(spot.column)),
                end_column: (spot.width > 1).then(|| count(spot.column + spot.width - 1)),
                field: (!fault.field.is_empty()).then(|| fault.field.clone()),
            }),
            excerpt: Some(excerpt),
            ..of(fault, severity)
        }
    }

    /// Where a range begins, and how much of it is on that line.
    fn spot(&self, span: Range<usize>) -> Spot {
        let floor = |at: usize| {
            let mut at = at.min(self.text.len());
            while !self.text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let mut start = floor(span.start);
        // Pointing behind the last line end would show an empty line.
        if start == self.text.len() && self.text.ends_with('\n') {
            start = self.text.trim_end().len();
        }
        let end = floor(span.end).max(start);
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = self
            .text
            .get(start..)
            .and_then(|rest| rest.find('\n'))
            .map_or(self.text.len(), |at| start + at);
        let on_line = self.text.get(start..end.min(line_end)).unwrap_or_default();
        Spot {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            width: on_line.trim_end().chars().count(),
            text: self.text.get(line_start..line_end).unwrap_or_default().to_owned(),
        }
    }

    /// The line with a caret under the range, as a terminal shows it.
    ///
    /// Of a key that is not known the value stays out: it may be a secret in a
    /// place where nobody expects one.
    fn excerpt(&self, spot: &Spot, code: &str) -> String {
        let skip = (spot.column - 1).saturating_sub(MAX_CONTEXT);
        let lead = if skip > 0 { "…" } else { "" };
        let masked = matches!(code, "bad_environment_variable" | "secret_in_url");
        let hidden = masked || code == "unknown_field";
        let mut shown = lead.to_owned();
        let before = spot.column - 1 - skip;
        let mut from = 0;
        let mut to = 0;
        for (i, c) in spot.text.chars().skip(skip).enumerate() {
            if i == before {
                from = shown.len();
            }
            if hidden && i >= before + spot.width || i >= before + spot.width + MAX_CONTEXT {
                shown.push('…');
                break;
            }
            let c = if c.is_control() { ' ' } else { c };
            shown.push(if masked && i >= before { '*' } else { c });
            if i < before + spot.width {
                to = shown.len();
            }
        }
        if spot.text.chars().count() <= skip + before {
            from = shown.len();
        }
        let to = to.max(from);
        let snippet = Snippet::source(shown.as_str())
            .line_start(spot.line)
            .annotation(AnnotationKind::Primary.span(from..to));
        let report = [Level::ERROR.no_name().primary_title("").element(snippet)];
        let drawn = Renderer::plain().render(&report);
        let lines = drawn.lines().map(str::trim_end).filter(|line| line.contains('|'));
        lines.filter(|line| line.trim() != "|").collect::<Vec<_>>().join("\n")
    }
}

struct Spot {
    line: usize,
    column: usize,
    width: usize,
    text: String,
}

/// Unifies line ends and drops a byte order mark.
pub(crate) fn unify(text: &str) -> String {
    text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n")
}

/// A finding about a file as a whole.
pub(crate) fn whole_file(file: &str, fault: Fault) -> Finding {
    let place = Place {
        file: file.to_owned(),
        field: (!fault.field.is_empty()).then(|| fault.field.clone()),
        ..Place::default()
    };
    Finding { place: Some(place), ..of(fault, Severity::Error) }
}

fn of(fault: Fault, severity: Severity) -> Finding {
    Finding {
        code: fault.code.to_owned(),
        severity,
        place: None,
        message: fault.message,
        explanation: explanation(fault.code).to_owned(),
        mend: fault.mend,
        replacement: fault.replacement,
        excerpt: None,
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Why a fault matters, by its code.
fn explanation(code: &str) -> &'static str {
    match code {
        "unknown_field" => "a key nobody reads looks like a setting and does nothing",
        "unknown_word" | "bad_value" | "out_of_range" | "bad_date" | "bad_url" => {
            "the value cannot be used, so nothing that depends on this file can be released"
        }
        "missing_field" => "without it the file does not say everything that is needed",
        "bad_yaml" | "not_utf8" => "the file cannot be read",
        "duplicate_key" => "one of the two values would be silently ignored",
        "yaml_alias" | "yaml_anchor" | "yaml_tag" | "several_documents" | "bad_key" => {
            "a reader must see what a file says without working it out, and a few such lines can unfold to gigabytes"
        }
        "too_deep" | "too_large" | "too_many_files" => {
            "limits keep one file from stopping the whole installation"
        }
        "wrong_api_version" => {
            "another version of the format may mean something else by the same keys"
        }
        "mutable_model" => {
            "a release must name exactly what answers, or a rollback brings back something else"
        }
        "reserved_parameter" => "two places would claim the same part of the request",
        "unknown_reference" | "missing_file" | "unknown_app" | "unknown_environment" => {
            "what is named must exist, or the release cannot be put together"
        }
        "undeclared_variable" => {
            "a variable nobody declares is never given, so the rule could never hold"
        }
        "bad_recording" | "no_recording" => {
            "a recording that cannot be read would be missing when a request needs it"
        }
        "unused_file" => "a file nobody reads is easily taken for one that matters",
        "bad_policy" => "a rollout plan that makes no sense cannot protect anybody",
        "bad_condition" | "bad_regex" | "no_last_answer" => {
            "the fallback is the last thing between a failure and a user, so it must always have an answer"
        }
        "bad_check" | "bad_pattern" | "bad_json_path" | "bad_schema" | "unknown_instruction" => {
            "a check that cannot be used proves nothing about any answer"
        }
        "bad_case" | "duplicate_case" => {
            "a case that cannot be read would be missing from the proof"
        }
        "bad_environment_variable" | "secret_in_url" => {
            "a key written into a file is a key everybody with the repository has"
        }
        "role_cannot_approve" => {
            "a change that waits for a role that cannot approve would wait for ever"
        }
        "bad_variable_name" => "templates could not name it",
        "bad_path" => "paths become names of apps, prompts and models",
        _ => "it keeps the release from being put together",
    }
}
