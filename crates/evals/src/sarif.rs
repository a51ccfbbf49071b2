//! Findings as SARIF 2.1.0 (OASIS standard), the form code hosts show beside the
//! lines of a change.

use crate::junit::Results;
use domain::finding::{Finding, Place, Severity};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Where the standard's schema lies.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Writes SARIF: one run, a result for each finding.
///
/// # Errors
/// The value has no JSON form.
pub fn sarif(all: &[Results<'_>], version: &str) -> Result<String, serde_json::Error> {
    let found: Vec<(&str, &Finding)> = all
        .iter()
        .flat_map(|results| results.gates)
        .flat_map(|gate| gate.findings.iter().map(|finding| (gate.gate.as_str(), finding)))
        .collect();
    let mut rules: BTreeMap<&str, &Finding> = BTreeMap::new();
    for (_, finding) in &found {
        rules.entry(&finding.code).or_insert(finding);
    }
    let index: BTreeMap<&str, usize> =
        rules.keys().enumerate().map(|(i, code)| (*code, i)).collect();
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "tidegate",
                "version": version,
                "rules": rules.values().map(|finding| rule(finding)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": found
                .iter()
                .map(|(gate, finding)| result(gate, finding, index.get(finding.code.as_str())))
                .collect::<Vec<_>>(),
        }],
    });
    Ok(format!("{}\n", serde_json::to_string_pretty(&document)?))
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn rule(finding: &Finding) -> Value {
    let words = finding.code.replace('_', " ");
    let mut rule = json!({"id": finding.code, "shortDescription": {"text": words}});
    if let (Some(object), false) = (rule.as_object_mut(), finding.explanation.is_empty()) {
        object.insert("fullDescription".to_owned(), json!({"text": finding.explanation}));
    }
    rule
}

fn result(gate: &str, finding: &Finding, index: Option<&usize>) -> Value {
    let mut text = finding.message.clone();
    if !finding.mend.is_empty() {
        text.push_str("\n\n");
        text.push_str(&finding.mend);
    }
    let mut result = json!({
        "ruleId": finding.code,
        "level": level(finding.severity),
        "message": {"text": text},
        "properties": {"gate": gate},
    });
    if let Some(object) = result.as_object_mut() {
        if let Some(index) = index {
            object.insert("ruleIndex".to_owned(), json!(index));
        }
        if let Some(place) = &finding.place {
            object.insert("locations".to_owned(), json!([location(place)]));
        }
    }
    result
}

fn location(place: &Place) -> Value {
    let mut physical = json!({"artifactLocation": {"uri": uri(&place.file)}});
    if let (Some(line), Some(object)) = (place.line, physical.as_object_mut()) {
        let mut region = json!({"startLine": line.max(1)});
        if let (Some(column), Some(region)) = (place.column, region.as_object_mut()) {
            region.insert("startColumn".to_owned(), json!(column.max(1)));
            if let Some(end) = place.end_column {
                // Ours is the last column, SARIF's the one behind it.
                region.insert("endColumn".to_owned(), json!(end.saturating_add(1)));
            }
        }
        object.insert("region".to_owned(), region);
    }
    let mut location = json!({"physicalLocation": physical});
    if let (Some(field), Some(object)) = (&place.field, location.as_object_mut()) {
        let logical = json!([{"fullyQualifiedName": field, "kind": "member"}]);
        object.insert("logicalLocations".to_owned(), logical);
    }
    location
}

/// A relative reference (RFC 3986): whatever a path segment may not hold is
/// percent-encoded.
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
