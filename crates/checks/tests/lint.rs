//! One file in `inputs/`, one snapshot: what the linter says about a prompt.
//!
//! The first line is JSON: `variables`, and if wanted `production` (a template
//! that serves now) and `also_used`. Each `=== role file` or `=== partial name`
//! begins a template.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests may panic"
)]

use domain::finding::Finding;
use domain::snapshot::{PromptContent, PromptMessage, Variable};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use tidegate_checks::lint::{PromptFiles, lint};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    variables: BTreeMap<String, Variable>,
    production: Option<String>,
    #[serde(default)]
    also_used: BTreeSet<String>,
}

fn read(text: &str) -> (Head, PromptContent) {
    let (head, rest) = text.split_once('\n').unwrap();
    let head: Head = serde_json::from_str(head).unwrap();
    let mut content = PromptContent {
        messages: Vec::new(),
        partials: BTreeMap::new(),
        variables: head.variables.clone(),
    };
    for part in rest.split("=== ").skip(1) {
        let (title, template) = part.split_once('\n').unwrap();
        match title.split_once(' ').unwrap() {
            ("partial", name) => {
                content.partials.insert(name.into(), template.into());
            }
            (role, file) => content.messages.push(PromptMessage::Template {
                role: role.into(),
                file: file.into(),
                template: template.into(),
            }),
        }
    }
    (head, content)
}

fn shown(findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        let place = finding.place.as_ref().unwrap();
        let at = match (place.line, place.column) {
            (Some(line), Some(column)) => format!(":{line}:{column}"),
            _ => place.field.iter().map(|field| format!(" {field}")).collect(),
        };
        writeln!(out, "{:?} {} {}{at}", finding.severity, finding.code, place.file).unwrap();
        writeln!(out, "{}", finding.message).unwrap();
        finding.excerpt.iter().for_each(|excerpt| writeln!(out, "{excerpt}").unwrap());
        writeln!(out, "why: {}", finding.explanation).unwrap();
        writeln!(out, "fix: {}", finding.mend).unwrap();
        finding.replacement.iter().for_each(|text| writeln!(out, "replace by: {text}").unwrap());
        writeln!(out).unwrap();
    }
    if out.is_empty() { "nothing found".into() } else { out }
}

#[test]
fn findings_are_as_recorded() {
    insta::glob!("inputs/*.txt", |path| {
        let (head, content) = read(&std::fs::read_to_string(path).unwrap());
        let files = PromptFiles { root: "apps/support/".into(), ..PromptFiles::default() };
        let production = head.production.as_ref().map(|template| PromptContent {
            messages: vec![PromptMessage::Template {
                role: "user".into(),
                file: "old.j2".into(),
                template: template.clone(),
            }],
            ..content.clone()
        });
        let findings = lint(&content, &files, production.as_ref(), &head.also_used);
        insta::assert_snapshot!(shown(&findings));
    });
}
