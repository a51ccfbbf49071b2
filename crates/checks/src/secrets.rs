//! Secrets in a text: passwords, keys and tokens.

use crate::finding::finding;
use crate::redact;
use crate::scan::{self, Hit, REPORT_FROM};
use crate::source::Source;
use domain::finding::{Finding, Severity};

/// The secrets in a text, in order.
pub fn scan(text: &str) -> Vec<Hit> {
    let mut found = scan::scan(text, REPORT_FROM);
    found.retain(|m| m.kind.is_secret());
    found
}

/// The secrets in a file, as findings. No part of a secret is shown.
pub fn findings(file: &str, text: &str) -> Vec<Finding> {
    let found = scan(text);
    if found.is_empty() {
        return Vec::new();
    }
    let masked = redact::mask(text);
    let source = Source::new(file, &masked);
    found.into_iter().map(|m| describe(&source, &m)).collect()
}

fn describe(source: &Source<'_>, found: &Hit) -> Finding {
    let (line, _) = source.line_column(found.range.start);
    let message = format!(
        "Line {line} looks like {}. Remove it here and replace that secret: it must be treated as leaked.",
        found.kind.words()
    );
    finding(Severity::Error, "secret_in_prompt", message).at(source, found.range.clone()).because(
        "Everything in the repository is kept for ever and is sent to the model provider.",
        "Take the value out, revoke it where it was issued, and let the gateway read the new one from its environment (`key_env` of the model).",
    )
}
