//! Results of gates as JUnit XML, the form most CI systems show.
//!
//! A suite of tests for each app, a test for each gate, and one more for each
//! error a gate found, so that every error has a line of its own. Warnings are
//! output of their gate's test. No times: the same results give the same bytes.

use domain::finding::{Finding, GateOutcome, GateResult, Severity};
use std::fmt::Write as _;

/// Results of one app, or of anything else that has a name.
#[derive(Debug)]
pub struct Results<'a> {
    /// Whose.
    pub name: &'a str,
    /// What the gates said.
    pub gates: &'a [GateResult],
}

/// Writes JUnit XML.
pub fn junit(all: &[Results<'_>]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let counts: Vec<Counts> = all.iter().map(|results| Counts::of(results.gates)).collect();
    let sum = |of: fn(&Counts) -> usize| counts.iter().map(of).sum::<usize>();
    line(
        &mut out,
        format_args!(
            // No `skipped` here: the common schema (Jenkins, junit-10) has it on suites alone.
            "<testsuites name=\"tidegate\" tests=\"{}\" failures=\"{}\" errors=\"0\">",
            sum(|c| c.tests),
            sum(|c| c.failures)
        ),
    );
    for (results, counts) in all.iter().zip(&counts) {
        line(
            &mut out,
            format_args!(
                "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\">",
                escape(results.name),
                counts.tests,
                counts.failures,
                counts.skipped
            ),
        );
        for gate in results.gates {
            write_gate(&mut out, results.name, gate);
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

struct Counts {
    tests: usize,
    failures: usize,
    skipped: usize,
}

fn errors(gate: &GateResult) -> impl Iterator<Item = &Finding> {
    gate.findings.iter().filter(|finding| finding.severity == Severity::Error)
}

impl Counts {
    fn of(gates: &[GateResult]) -> Self {
        let failures = gates.iter().map(|gate| errors(gate).count()).sum();
        // A gate without an error is a test of its own.
        let clean = gates.iter().filter(|gate| errors(gate).count() == 0).count();
        let skipped = gates.iter().filter(|gate| gate.outcome == GateOutcome::Skipped).count();
        Self { tests: clean + failures, failures, skipped }
    }
}

fn write_gate(out: &mut String, class: &str, gate: &GateResult) {
    let class = escape(class);
    for finding in errors(gate) {
        line(
            out,
            format_args!(
                "    <testcase classname=\"{class}\" name=\"{}: {}\">",
                escape(&gate.gate),
                escape(&place(finding))
            ),
        );
        line(
            out,
            format_args!(
                "      <failure type=\"{}\" message=\"{}\">{}</failure>",
                escape(&finding.code),
                escape(&finding.message),
                escape(&text(finding))
            ),
        );
        out.push_str("    </testcase>\n");
    }
    if errors(gate).count() > 0 {
        return;
    }
    let name = format!("{}: {}", gate.gate, gate.title);
    let body = match gate.outcome {
        GateOutcome::Skipped => format!("<skipped message=\"{}\"/>", escape(&gate.summary)),
        _ => {
            let mut said = gate.summary.clone();
            for finding in &gate.findings {
                let _infallible = write!(said, "\nwarning: {}: {}", place(finding), text(finding));
            }
            format!("<system-out>{}</system-out>", escape(&said))
        }
    };
    line(
        out,
        format_args!(
            "    <testcase classname=\"{class}\" name=\"{}\">{body}</testcase>",
            escape(&name)
        ),
    );
}

fn place(finding: &Finding) -> String {
    let Some(place) = &finding.place else { return finding.code.clone() };
    let numbers = [place.line, place.column];
    let numbers: String = numbers.into_iter().flatten().map(|n| format!(":{n}")).collect();
    let field = place.field.as_ref().map_or_else(String::new, |f| format!(" {f}"));
    format!("{}{numbers}{field}", place.file)
}

fn text(finding: &Finding) -> String {
    let parts = [
        (true, finding.message.as_str()),
        (!finding.explanation.is_empty(), finding.explanation.as_str()),
        (!finding.mend.is_empty(), finding.mend.as_str()),
    ];
    let kept: Vec<&str> = parts.into_iter().filter(|(wanted, _)| *wanted).map(|(_, t)| t).collect();
    kept.join("\n")
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _infallible = out.write_fmt(text);
    out.push('\n');
}

/// XML 1.0 text: characters it cannot hold become the replacement character.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\r' => out.push_str("&#13;"),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
