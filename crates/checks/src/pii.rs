//! Personal data in a text.

use crate::finding::finding;
use crate::redact;
use crate::scan::{self, Hit, Kind, REPORT_FROM};
use crate::source::Source;
use domain::finding::{Finding, Severity};

/// The personal data in a text, in order.
pub fn scan(text: &str) -> Vec<Hit> {
    let mut found = scan::scan(text, REPORT_FROM);
    found.retain(|m| m.kind.is_personal());
    found
}

/// The personal data in a file, as findings that show no more than a hint.
/// Internet addresses are warnings: they often name a service, not a person.
pub fn findings(file: &str, text: &str) -> Vec<Finding> {
    let found = scan(text);
    if found.is_empty() {
        return Vec::new();
    }
    let masked = redact::mask(text);
    let source = Source::new(file, &masked);
    found
        .into_iter()
        .map(|m| {
            let value = text.get(m.range.clone()).unwrap_or("");
            describe(&source, &m, value)
        })
        .collect()
}

fn describe(source: &Source<'_>, found: &Hit, value: &str) -> Finding {
    let (line, _) = source.line_column(found.range.start);
    let message = format!(
        "Line {line} looks like {} ({}). Prompts are stored for years; use a variable instead.",
        found.kind.words(),
        hint(found.kind, value)
    );
    let severity = if found.kind == Kind::IpAddress { Severity::Warning } else { Severity::Error };
    finding(severity, "pii_in_prompt", message).at(source, found.range.clone()).because(
        "Personal data in a prompt is sent with every request, cannot be deleted from history, and needs a reason in law.",
        "Declare a variable in `app.yaml` and write it in place of the value, or use made-up data such as `someone@example.com`.",
    )
}

/// Enough to recognise one's own data, too little to learn another's.
fn hint(kind: Kind, value: &str) -> String {
    match (kind, value.rsplit_once('@')) {
        (Kind::Email, Some((local, domain))) => {
            let first: String = local.chars().take(1).collect();
            format!("{first}…@{domain}")
        }
        _ => {
            let tail: Vec<char> = value.chars().filter(|c| c.is_ascii_digit()).collect();
            let kept: String = tail.iter().skip(tail.len().saturating_sub(2)).collect();
            format!("…{kept}")
        }
    }
}
