//! Suites and cases: every fault, with its place.

use super::*;
use domain::suite::{Case, MAX_CASE_LEN};

const SUITE: &str = "\
apiVersion: tidegate/v1
title: Answers stay useful
files: [golden/a.jsonl]
repeats: 0
checks:
  - contains: refund
  - matches: '(?=x)y'
  - json_schema: {type: strin}
  - json_path: {path: order.id}
  - length: {at_least: 9, at_most: 3}
scores:
  - {metric: rouge_ll}
  - {metric: judge}
pass: {at_least: 120%}
cases:
  - {id: a, variables: {q: x}}
  - {id: a, checks: [{contains_any: []}]}
";

fn places(findings: &[Finding]) -> Vec<(u32, &str, String)> {
    findings
        .iter()
        .map(|f| {
            let place = f.place.as_ref().unwrap();
            (place.line.unwrap(), f.code.as_str(), place.field.clone().unwrap_or_default())
        })
        .collect()
}

#[test]
fn every_fault_of_a_suite_comes_at_once_with_its_place() {
    let (suite, findings) = parse("s.yaml", SUITE.as_bytes());
    assert_eq!(suite.unwrap().checks.len(), 5);
    let expected = [
        (12, "unknown_word", "scores[0].metric"),
        (4, "out_of_range", "repeats"),
        (17, "empty_text", "cases[1].checks[0].contains_any"),
        (17, "duplicate_case", "cases[1].id"),
        (7, "bad_pattern", "checks[1].matches"),
        (8, "bad_schema", "checks[2].json_schema"),
        (9, "bad_json_path", "checks[3].json_path.path"),
        (10, "out_of_range", "checks[4].length"),
        (14, "out_of_range", "pass.at_least"),
    ];
    let expected: Vec<_> = expected.map(|(l, c, f)| (l, c, f.to_owned())).into();
    assert_eq!(places(&findings), expected);
    assert_eq!(findings[0].mend, "did you mean `rouge_l`?");
    assert!(findings.iter().all(|f| f.excerpt.is_some()));
}

#[test]
fn a_suite_without_cases_or_a_named_judge_is_none() {
    let text = "apiVersion: tidegate/v1\ntitle: t\ntier: paid\nscores: [{metric: judge}, {metric: f1, k: 3}]\n";
    let (_, findings) = parse("s.yaml", text.as_bytes());
    let fields: Vec<_> = places(&findings).into_iter().map(|(_, _, field)| field).collect();
    assert_eq!(fields, ["token_cap", "", "scores[0].metric", "scores[1].k"]);
}

fn read(text: &[u8]) -> (Vec<Case>, Vec<Finding>) {
    let mut cases = Vec::new();
    let mut findings = Vec::new();
    for item in CaseReader::new("c.jsonl", text, CaseIds::default()) {
        match item {
            Ok(case) => cases.push(case),
            Err(finding) => findings.push(finding),
        }
    }
    (cases, findings)
}

#[test]
fn lines_that_are_no_case_are_told_apart_from_those_that_are() {
    let long = format!("{{\"id\": \"{}\"}}", "x".repeat(MAX_CASE_LEN));
    let text = format!(
        "\u{feff}{{\"id\": \"a\"}}\r\n\n\
         {{\"id\": \"b\", \"expectd\": []}}\n\
         {{\"id\": \"c\", \"checks\": [{{\"contains\": [3]}}]}}\n\
         {{\"id\": \"é\", !}}\n\
         {long}\n\
         {{\"id\": \"a\"}}\n\
         {{\"id\": \"d\", \"checks\": [{{\"matches\": \"(\"}}], \"messages\": [{{\"role\": \"me\"}}]}}\n\
         {{\"id\": \"e\", \"expected\": [\"x\"]}}"
    );
    let (cases, findings) = read(text.as_bytes());
    let ids: Vec<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(ids, ["a", "e"]);
    let expected = [
        (3, "unknown_field", "expectd"),
        (4, "bad_value", "checks[0].contains"),
        (5, "bad_case", ""),
        (6, "too_large", ""),
        (7, "duplicate_case", "id"),
        (8, "bad_case", "messages[0]"),
        (8, "bad_pattern", "checks[0].matches"),
    ];
    let expected: Vec<_> = expected.map(|(l, c, f)| (l, c, f.to_owned())).into();
    assert_eq!(places(&findings), expected);
    assert_eq!(findings[0].mend, "did you mean `expected`?");
    assert_eq!(findings[2].place.as_ref().unwrap().column, Some(13));
    assert!(findings.iter().all(|finding| finding.excerpt.is_none()));
}

#[test]
fn bytes_that_are_no_text_have_a_column() {
    let (_, findings) = read(b"{\"id\": \"\xff\"}\n");
    let place = findings[0].place.clone().unwrap();
    assert_eq!(
        (findings[0].code.as_str(), place.line, place.column),
        ("not_utf8", Some(1), Some(9))
    );
}

#[test]
fn a_line_without_end_is_skipped_and_not_kept() {
    let bytes = vec![b'x'; 3 * MAX_CASE_LEN];
    let (cases, findings) = read(&bytes);
    assert_eq!((cases.len(), findings.len()), (0, 1));
}
