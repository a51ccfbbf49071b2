//! The gates that scan what people author: secrets, personal data, attacks,
//! hidden text, forbidden terms.
//!
//! Recordings and reference cases (`*.jsonl`) hold what models and people really
//! wrote, and suites below `evals/` hold attacks on purpose: there only secrets
//! and hidden text are looked for.

use super::{StaticInput, counted, problems, result, skipped};
use crate::finding::finding;
use crate::scan::terms::Terms;
use crate::scan::{Hit, REPORT_FROM, hidden, injection};
use crate::source::Source;
use crate::{pii, secrets};
use domain::finding::{Finding, GateResult, Severity};

pub(super) const SECRETS: (&str, &str) = ("secrets", "Keys, tokens and passwords in the files");
pub(super) const PERSONAL_DATA: (&str, &str) = ("personal-data", "Personal data in the files");
pub(super) const INJECTION: (&str, &str) = ("injection", "Attempts to steer the model");
pub(super) const HIDDEN_TEXT: (&str, &str) = ("hidden-text", "Characters that people do not see");
pub(super) const FORBIDDEN_TERMS: (&str, &str) =
    ("forbidden-terms", "Words the app's settings forbid");

/// Most findings of one gate in one file; the rest are counted in the last.
const MAX_FINDINGS: usize = 50;

/// Which files a gate looks at.
#[derive(Clone, Copy)]
enum Scope {
    /// All.
    All,
    /// Not recordings and reference cases.
    Authored,
    /// Not suites either.
    Live,
}

impl Scope {
    fn has(self, path: &str) -> bool {
        let record = path.ends_with(".jsonl");
        match self {
            Self::All => true,
            Self::Authored => !record,
            Self::Live => !record && !path.contains("/evals/"),
        }
    }
}

/// Gate `secrets`.
pub fn secrets_gate(input: &StaticInput<'_>) -> GateResult {
    scan_files(SECRETS, input, Scope::All, secrets::findings)
}

/// Gate `personal-data`: of prompts and settings.
pub fn personal_data(input: &StaticInput<'_>) -> GateResult {
    scan_files(PERSONAL_DATA, input, Scope::Authored, pii::findings)
}

/// Gate `injection`: prompts, examples and settings that carry an attack.
pub fn injection_gate(input: &StaticInput<'_>) -> GateResult {
    scan_files(INJECTION, input, Scope::Live, attacks)
}

/// Gate `hidden-text`: characters nobody sees, and look-alikes.
pub fn hidden_text(input: &StaticInput<'_>) -> GateResult {
    scan_files(HIDDEN_TEXT, input, Scope::All, invisible)
}

/// Gate `forbidden-terms`: the list is `forbidden_terms` of `app.yaml`. That
/// file names them and is left out.
pub fn forbidden_terms(input: &StaticInput<'_>) -> GateResult {
    let terms = Terms::new(input.forbidden_terms.iter().map(String::as_str));
    if terms.is_empty() {
        return skipped(FORBIDDEN_TERMS, "`app.yaml` forbids no term.");
    }
    let list = format!("apps/{}/app.yaml", input.app);
    scan_files(FORBIDDEN_TERMS, input, Scope::Live, |file, text| {
        if file == list { Vec::new() } else { forbidden(&terms, file, text) }
    })
}

fn scan_files(
    gate: (&str, &str),
    input: &StaticInput<'_>,
    scope: Scope,
    scan: impl Fn(&str, &str) -> Vec<Finding>,
) -> GateResult {
    let files: Vec<_> = input.files.iter().filter(|(path, _)| scope.has(path)).collect();
    if files.is_empty() {
        return skipped(gate, "The change edits no text file that this looks at.");
    }
    let findings: Vec<Finding> = files.iter().flat_map(|(path, text)| scan(path, text)).collect();
    let summary = format!("{} searched; {}.", counted(files.len(), "file"), problems(&findings));
    result(gate, summary, findings)
}

fn attacks(file: &str, text: &str) -> Vec<Finding> {
    let judged = injection::judge_authored(text);
    if !judged.is_attack() {
        return Vec::new();
    }
    let masked = crate::redact::mask(text);
    let source = Source::new(file, &masked);
    let (line, _) = source.line_column(judged.range.start);
    let reasons: Vec<&str> = judged.reasons.iter().take(4).map(|(reason, _)| *reason).collect();
    let place = judged.reasons.first().map_or(judged.range.clone(), |(_, range)| range.clone());
    let message = format!(
        "From line {line} on, the text reads like an attack on the model: it {} (score {} of 100, an attack from {}).",
        reasons.join(", "),
        judged.score,
        injection::THRESHOLD
    );
    vec![finding(Severity::Error, "injection_in_prompt", message).at(&source, place).because(
        "What stands in a prompt or an example is said with the app's own voice; a copied attack works from inside.",
        "Take it out. If it is a case to test with, keep it below `evals/` or in a `.jsonl` file.",
    )]
}

fn invisible(file: &str, text: &str) -> Vec<Finding> {
    if text.is_ascii() && !text.bytes().any(|b| b.is_ascii_control()) {
        return Vec::new();
    }
    let found: Vec<Hit> =
        hidden::find(text).into_iter().filter(|hit| hit.score >= REPORT_FROM).collect();
    let masked = crate::redact::mask(text);
    let source = Source::new(file, &masked);
    let total = found.len();
    let describe = |(at, hit): (usize, Hit)| {
        let reason = hit.reasons.first().copied().unwrap_or("an invisible character");
        let (line, column) = source.line_column(hit.range.start);
        let value = text.get(hit.range.clone()).unwrap_or("");
        let codes: Vec<String> = value
            .chars()
            .filter(|c| !c.is_ascii() || c.is_control())
            .take(4)
            .map(|c| format!("U+{:04X}", u32::from(c)))
            .collect();
        let rest = total - MAX_FINDINGS.min(total);
        let more = match at + 1 == MAX_FINDINGS && rest > 0 {
            true => format!(" There are {rest} more in this file."),
            false => String::new(),
        };
        let message =
            format!("Line {line}, column {column}: {reason} ({}).{more}", codes.join(" "));
        finding(Severity::Error, "hidden_text", message).at(&source, hit.range).because(
            "People approve what they see; the model reads what is there.",
            "Delete the characters and type the text anew.",
        )
    };
    found.into_iter().take(MAX_FINDINGS).enumerate().map(describe).collect()
}

fn forbidden(terms: &Terms, file: &str, text: &str) -> Vec<Finding> {
    let found = terms.find(text);
    if found.is_empty() {
        return Vec::new();
    }
    let masked = crate::redact::mask(text);
    let source = Source::new(file, &masked);
    found
        .into_iter()
        .take(MAX_FINDINGS)
        .map(|hit| {
            let value = text.get(hit.range.clone()).unwrap_or("");
            let (line, _) = source.line_column(hit.range.start);
            let message = format!("Line {line} says `{value}`, which this app must not say.");
            finding(Severity::Error, "forbidden_term", message).at(&source, hit.range).because(
                "`forbidden_terms` in `app.yaml` lists it.",
                "Say it in other words, or have the list changed by who keeps it.",
            )
        })
        .collect()
}
