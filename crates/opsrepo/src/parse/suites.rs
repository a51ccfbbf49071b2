//! `apps/<app>/evals/`: the suites of an app and the files they name.

use super::{Reader, unknown};
use crate::format::Fault;
use crate::format::suite::{CaseIds, CaseReader, is_cases_file, locate};
use crate::limits::MAX_FAULTS_PER_FILE;
use crate::yaml::Document;
use domain::ids::AppName;
use domain::suite::{Check, MAX_CASES, Suite};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Codes of faults whose value is left out of what was read.
const TAKEN_OUT: [&str; 4] = ["unknown_word", "unknown_field", "bad_value", "missing_field"];

impl Reader<'_> {
    pub(super) fn suites(
        &mut self,
        app: &AppName,
        names: &BTreeSet<String>,
    ) -> BTreeMap<String, Suite> {
        let folder = format!("apps/{app}/evals/");
        names
            .iter()
            .filter_map(|name| {
                let before = self.findings.len();
                let reading = self.read::<Suite>(&format!("{folder}{name}.yaml"))?;
                let (suite, document) = (reading.value?, reading.document?);
                // What does not read was taken out of its list, so the others
                // have other numbers than in the file.
                let own = self.findings.get(before..).unwrap_or_default();
                let faulty = |list: &str| {
                    own.iter()
                        .filter(|finding| TAKEN_OUT.contains(&finding.code.as_str()))
                        .filter_map(|finding| finding.place.as_ref()?.field.as_deref())
                        .any(|field| field.starts_with(list))
                };
                let [files, checks, scores] =
                    ["files", "checks", "scores"].map(|list| !faulty(list));
                if files {
                    self.case_files(&folder, &suite, &document);
                }
                if checks {
                    self.schema_files(&folder, &suite, &document);
                    self.outsiders(&suite, &document, scores);
                }
                Some((name.clone(), suite))
            })
            .collect()
    }

    /// Every line of every file of cases.
    fn case_files(&mut self, folder: &str, suite: &Suite, document: &Document) {
        let mut ids = CaseIds::of(&suite.cases);
        for (i, file) in suite.files.iter().enumerate().filter(|(_, file)| is_cases_file(file)) {
            let path = format!("{folder}{file}");
            let Some(bytes) = self.files.get(&path) else {
                let fault = self.missing(folder, format!("files[{i}]"), file, ".jsonl");
                self.findings.push(document.finding(fault));
                continue;
            };
            let mut reader = CaseReader::new(&path, bytes.as_slice(), ids);
            let faults = reader.by_ref().filter_map(Result::err).take(MAX_FAULTS_PER_FILE);
            self.findings.extend(faults);
            if reader.none_read() {
                let fault = Fault::new(
                    format!("files[{i}]"),
                    "bad_case",
                    format!("`{file}` has no case that reads"),
                    "write one case as a JSON object a line, or name another file",
                );
                self.findings.push(document.finding(fault));
            }
            ids = reader.into_ids();
        }
        if ids.len() > MAX_CASES {
            let fault = Fault::new(
                "files",
                "out_of_range",
                format!("the suite has {} cases; at most {MAX_CASES} are run", ids.len()),
                "split the suite",
            );
            self.findings.push(document.finding(fault));
        }
    }

    /// Schemas the suite's checks name by their path.
    fn schema_files(&mut self, folder: &str, suite: &Suite, document: &Document) {
        for (i, check) in suite.checks.iter().enumerate() {
            let Check::JsonSchema(Value::String(file)) = check else { continue };
            let field = format!("checks[{i}].json_schema");
            let fault = if self.files.contains_key(&format!("{folder}{file}")) {
                let read = |name: &str| self.files.get(&format!("{folder}{name}")).cloned();
                let found = checks::score::faults_with(check, &read).into_iter().next();
                let Some(found) = found else { continue };
                locate(&format!("checks[{i}]"), found)
            } else {
                self.missing(folder, field, file, ".json")
            };
            self.findings.push(document.finding(fault));
        }
    }

    /// Who the suite asks: models that make vectors, and classifiers.
    fn outsiders(&mut self, suite: &Suite, document: &Document, scores: bool) {
        let mut models = Vec::new();
        for (i, check) in suite.checks.iter().enumerate() {
            if let Some(name) = check.embeddings() {
                models.push((format!("checks[{i}].similarity.embeddings"), name));
            }
            if let Check::Moderation(name) = check
                && !self.classifiers.contains(name)
            {
                let names = self.classifiers.iter().map(String::as_str);
                let field = format!("checks[{i}].moderation");
                let fault = unknown(field, "unknown_classifier", "classifier", name, names);
                self.findings.push(document.finding(fault));
            }
        }
        let rules = suite.scores.iter().enumerate().filter(|_| scores);
        models.extend(rules.filter_map(|(i, rule)| {
            Some((format!("scores[{i}].embeddings"), rule.embeddings.as_deref()?))
        }));
        for (field, name) in models.into_iter().filter(|(_, name)| !self.models.contains(*name)) {
            let names = self.models.iter().map(String::as_str);
            let fault = unknown(field, "unknown_model", "model", name, names);
            self.findings.push(document.finding(fault));
        }
    }

    /// A file beside the suite that is not there.
    fn missing(&self, folder: &str, field: String, file: &str, end: &str) -> Fault {
        let names = self.files.keys().filter_map(|path| path.strip_prefix(folder));
        let names = names.filter(|name| name.ends_with(end));
        unknown(field, "missing_file", "file", file, names.collect::<Vec<_>>())
    }
}
