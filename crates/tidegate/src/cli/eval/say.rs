//! A report for people.

use crate::cli::findings;
use crate::cli::output::{Out, Style, table};
use domain::finding::{GateOutcome, GateReport};
use domain::units::Timestamp;
use evals::{EvalReport, SuiteReport};

/// Examples shown of each reason.
const SHOWN: usize = 3;
/// Characters shown of an answer.
const ANSWER: usize = 160;

pub(super) fn reports(out: &Out, reports: &[EvalReport]) -> String {
    reports.iter().map(|report| one(out, report)).collect()
}

fn one(out: &Out, report: &EvalReport) -> String {
    let against = report.against.map_or_else(
        || "compared with nothing".to_owned(),
        |id| format!("against {}", out.release(&id)),
    );
    let head = format!("{} {} {against}\n", report.app, out.release(&report.candidate));
    let gates = GateReport {
        api_version: report.api_version.clone(),
        commit: String::new(),
        release: Some(report.candidate),
        finished_at: Timestamp(0),
        outcome: report.outcome,
        gates: report.suites.iter().map(SuiteReport::gate).collect(),
    };
    let mut text = format!("{}{}", out.paint(Style::Bold, &head), findings::report(out, &gates));
    for suite in &report.suites {
        text.push_str(&numbers(out, suite));
        text.push_str(&worse(out, suite));
    }
    text
}

fn numbers(out: &Out, suite: &SuiteReport) -> String {
    if suite.scores.is_empty() || suite.outcome == GateOutcome::Skipped {
        return String::new();
    }
    let number = |value: f64| format!("{value:.3}");
    let titles = ["SUITE", "MEASURE", "CANDIDATE", "PRODUCTION", "DIFFERENCE", "CASES"];
    let rows: Vec<Vec<String>> = suite
        .scores
        .iter()
        .map(|score| {
            vec![
                suite.suite.clone(),
                score.metric.clone(),
                number(score.candidate.value),
                score.production.map(|p| number(p.value)).unwrap_or_default(),
                score
                    .difference
                    .map(|d| format!("{:+.3} [{:+.3}, {:+.3}]", d.value, d.low, d.high))
                    .unwrap_or_default(),
                score.cases.to_string(),
            ]
        })
        .collect();
    table(&titles.map(str::to_owned), &rows, out.tty)
}

fn worse(out: &Out, suite: &SuiteReport) -> String {
    let mut text = String::new();
    for group in &suite.worse {
        let head = format!("{} cases {}\n", group.count, group.reason.words());
        text.push_str(&out.paint(Style::Warn, &head));
        for case in group.cases.iter().take(SHOWN) {
            text.push_str(&format!("  {}: {}\n", case.case, case.what));
            if let Some(example) = &case.example {
                let theirs = example.production.as_deref().unwrap_or_default();
                text.push_str(&format!("    candidate   {}\n", short(&example.candidate)));
                text.push_str(&format!("    production  {}\n", short(theirs)));
            }
        }
    }
    text
}

fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut cut: String = line.chars().take(ANSWER).collect();
    if cut.len() < line.len() {
        cut.push('…');
    }
    if cut.is_empty() { "(nothing)".to_owned() } else { cut }
}
