//! From files to desired state, with every fault of every file.
//!
//! Each file is read on its own first; then what only several files together
//! can say is checked: names that must exist, files that nobody reads.

mod apps;
mod environments;
mod features;
mod layout;
mod models;
mod policies;
mod suites;

use crate::format::{Fault, Format, prices::PricesFile, settings::Settings};
use crate::limits::MAX_FILES;
use crate::text::whole_file;
use crate::yaml::{self, Reading};
use crate::{
    Desired, Files,
    desired::{PRICES_FILE, SETTINGS_FILE},
};
use domain::finding::{Finding, Severity};
use domain::ids::Digest;
use domain::price::PriceList;
use layout::Layout;
use std::collections::BTreeSet;

/// Reads every file of an ops repo. All faults of all files are reported, sorted
/// by file and line; what reads is kept.
pub fn parse(files: &Files) -> (Desired, Vec<Finding>) {
    let mut reader = Reader {
        files,
        findings: Vec::new(),
        models: BTreeSet::new(),
        classifiers: BTreeSet::new(),
    };
    let mut desired = Desired {
        digests: files.iter().map(|(path, bytes)| (path.clone(), Digest::of(bytes))).collect(),
        ..Desired::default()
    };
    if files.len() > MAX_FILES {
        reader.findings.push(whole_file(
            SETTINGS_FILE,
            Fault::new(
                "",
                "too_many_files",
                format!("the repository has {} files; at most {MAX_FILES} are read", files.len()),
                "move what is no part of the ops repo elsewhere",
            ),
        ));
    } else {
        let layout = reader.layout();
        desired.settings = reader.settings();
        desired.prices = reader.prices();
        desired.models = reader.models(&layout);
        reader.models = layout.models.clone();
        reader.classifiers = desired.settings.classifiers.keys().cloned().collect();
        desired.views = reader.views(&layout);
        desired.indexes = reader.indexes(&layout);
        desired.apps = reader.apps(&layout, &desired.models);
        desired.policies = reader.policies(&layout);
        desired.policy_cases = reader.policy_cases(&layout);
        desired.environments = reader.environments(&layout, &desired.settings);
    }
    let mut findings = reader.findings;
    findings.sort_by(|a, b| a.place.cmp(&b.place).then_with(|| a.message.cmp(&b.message)));
    desired.findings.clone_from(&findings);
    (desired, findings)
}

/// The files, and what was found so far.
struct Reader<'a> {
    files: &'a Files,
    findings: Vec<Finding>,
    /// Models with a file, and classifiers: suites name them.
    models: BTreeSet<String>,
    classifiers: BTreeSet<String>,
}

impl Reader<'_> {
    /// Reads one YAML file and keeps its faults. None of it if there is no such file.
    fn read<T: Format>(&mut self, path: &str) -> Option<Reading<T>> {
        let mut reading = yaml::read::<T>(path, self.files.get(path)?);
        self.findings.append(&mut reading.findings);
        Some(reading)
    }

    /// As [`Reader::read`], the file being one that must be there.
    fn require<T: Format>(&mut self, path: &str, what: &str) -> Option<Reading<T>> {
        if !self.files.contains_key(path) {
            self.file(path, "missing_file", format!("`{path}` is missing: {what}"), "add the file");
        }
        self.read(path)
    }

    /// A fault of a file as a whole.
    fn file(&mut self, path: &str, code: &'static str, message: String, mend: impl Into<String>) {
        self.findings.push(whole_file(path, Fault::new("", code, message, mend)));
    }

    /// A fault that stops nothing.
    fn warn(&mut self, path: &str, code: &'static str, message: String, mend: impl Into<String>) {
        let finding = whole_file(path, Fault::new("", code, message, mend));
        self.findings.push(Finding { severity: Severity::Warning, ..finding });
    }

    fn layout(&mut self) -> Layout {
        let layout = Layout::of(self.files.keys());
        for stray in &layout.stray {
            self.findings.push(stray.clone());
        }
        layout
    }

    /// The price list; half a list would be a wrong one.
    fn prices(&mut self) -> Option<PriceList> {
        let before = self.findings.len();
        let file = self.read::<PricesFile>(PRICES_FILE)?.value?;
        (self.findings.len() == before).then(|| file.into_list())
    }

    fn settings(&mut self) -> Settings {
        self.require(SETTINGS_FILE, "it is the root of an ops repo")
            .and_then(|reading: Reading<Settings>| reading.value)
            .unwrap_or_default()
    }
}

/// A name that must exist: the fault if it does not, with the nearest that does.
fn unknown<'n>(
    field: impl Into<String>,
    code: &'static str,
    what: &str,
    given: &str,
    names: impl IntoIterator<Item = &'n str> + Clone,
) -> Fault {
    let near = yaml::nearest(given, names.clone());
    let mend = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
            if names.is_empty() {
                format!("add the {what} first")
            } else {
                format!("write one of: {}", names.join(", "))
            }
        }
    };
    Fault::new(field, code, format!("there is no {what} `{given}`"), mend).replace(near)
}

#[cfg(test)]
mod tests;
