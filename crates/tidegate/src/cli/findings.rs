//! What the checks said, for people: each gate, and under it what it found.

use super::output::{Out, Style};
use domain::finding::{Finding, GateOutcome, GateReport, Severity};

fn mark(out: &Out, outcome: GateOutcome) -> String {
    match outcome {
        GateOutcome::Passed => out.paint(Style::Good, "✓"),
        GateOutcome::Warned => out.paint(Style::Warn, "!"),
        GateOutcome::Failed => out.paint(Style::Bad, "✕"),
        GateOutcome::Skipped => out.paint(Style::Dim, "–"),
    }
}

/// The gates' report for people: each gate, and under it what it found.
pub fn report(out: &Out, report: &GateReport) -> String {
    let mut text = String::new();
    for gate in &report.gates {
        text.push_str(&format!("{} {}: {}\n", mark(out, gate.outcome), gate.title, gate.summary));
        for finding in &gate.findings {
            text.push_str(&text_of(out, finding));
        }
    }
    text
}

fn text_of(out: &Out, finding: &Finding) -> String {
    let (style, word) = match finding.severity {
        Severity::Error => (Style::Bad, "error"),
        Severity::Warning => (Style::Warn, "warning"),
        Severity::Note => (Style::Dim, "note"),
    };
    let place = finding.place.as_ref().map_or_else(String::new, |p| {
        let numbers: String =
            [p.line, p.column].into_iter().flatten().map(|n| format!(":{n}")).collect();
        format!("{}{numbers}: ", p.file)
    });
    let head = out.paint(style, &format!("{word}[{}]", finding.code));
    let mut text = format!("    {place}{head} {}\n", finding.message);
    for line in finding.excerpt.iter().flat_map(|e| e.lines()) {
        text.push_str(&format!("      {line}\n"));
    }
    for (name, line) in [("why", &finding.explanation), ("fix", &finding.mend)] {
        if !line.is_empty() {
            text.push_str(&format!("      {name}: {line}\n"));
        }
    }
    text
}

/// A finding as `FILE:3:14: what is wrong; what to do`, and the line under it.
pub fn line(finding: &Finding) -> String {
    let place = finding.place.as_ref().map_or_else(String::new, |place| {
        let numbers: String =
            [place.line, place.column].into_iter().flatten().map(|n| format!(":{n}")).collect();
        format!("{}{numbers}: ", place.file)
    });
    let excerpt = finding.excerpt.as_deref().unwrap_or_default();
    let excerpt: String = excerpt.lines().map(|line| format!("\n  {line}")).collect();
    format!("{place}{}; {}{excerpt}", finding.message, finding.mend)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::Format;
    use domain::units::Timestamp;

    #[test]
    fn a_report_shows_place_excerpt_why_and_fix() {
        let report: GateReport = serde_json::from_value(serde_json::json!({
            "apiVersion": "tidegate/v1", "commit": "c", "finished_at": 0, "outcome": "failed",
            "gates": [
                {"gate": "files", "title": "Files", "tier": "static", "outcome": "passed",
                 "summary": "12 files read", "findings": []},
                {"gate": "template-lint", "title": "Variables of the prompt", "tier": "static",
                 "outcome": "failed", "summary": "1 problem", "findings": [{
                    "code": "unknown_variable", "severity": "error",
                    "place": {"file": "apps/qa/prompts/answer/system.j2", "line": 3, "column": 9},
                    "message": "`qestion` is not a variable of this app",
                    "explanation": "the model would see an empty text",
                    "mend": "did you mean `question`?",
                    "excerpt": "3 | Answer {{ qestion }}\n  |           ^^^^^^^"}]},
            ],
        }))
        .unwrap();
        let out = Out { format: Format::Table, tty: true, color: false, now: Timestamp(0) };
        insta::assert_snapshot!(super::report(&out, &report), @r"
        ✓ Files: 12 files read
        ✕ Variables of the prompt: 1 problem
            apps/qa/prompts/answer/system.j2:3:9: error[unknown_variable] `qestion` is not a variable of this app
              3 | Answer {{ qestion }}
                |           ^^^^^^^
              why: the model would see an empty text
              fix: did you mean `question`?
        ");
    }
}
