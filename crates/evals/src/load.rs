//! A suite with its cases, its checks compiled, and the digest of all of it.

use checks::score::{Prepared, prepare};
use domain::finding::{Finding, Place, Severity, Tier};
use domain::ids::{AppName, Digest};
use domain::suite::{Case, MAX_CASES, Suite, SuiteKind};
use domain::units::Ratio;
use opsrepo::Files;
use opsrepo::suite::{CaseIds, CaseReader};
use std::fmt;

/// The cases that failed in production once: a suite of its own where no suite
/// names the file.
const DANGER: &str = "danger.jsonl";

/// A suite, ready to run.
pub struct Loaded {
    /// The app it belongs to.
    pub app: AppName,
    /// Its name: the file's, without `.yaml`.
    pub name: String,
    /// Its file in the ops repo.
    pub path: String,
    /// What it says.
    pub suite: Suite,
    /// All its cases, in order.
    pub cases: Vec<Case>,
    /// Digest of the suite, its cases and the schemas it names.
    pub digest: Digest,
    /// Its checks and measures.
    pub prepared: Prepared,
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("app", &self.app)
            .field("name", &self.name)
            .field("cases", &self.cases.len())
            .finish_non_exhaustive()
    }
}

impl Loaded {
    /// All suites of an app, by name, and what is wrong with their files. A
    /// suite with a fault is left out: half a suite proves nothing.
    pub fn all(files: &Files, app: &AppName) -> (Vec<Self>, Vec<Finding>) {
        let folder = format!("apps/{app}/evals/");
        let (mut loaded, mut findings) = (Vec::new(), Vec::new());
        let mut danger_named = false;
        for (path, bytes) in files.range(folder.clone()..) {
            let Some(file) = path.strip_prefix(&folder) else { break };
            let Some(name) = file.strip_suffix(".yaml").filter(|name| !name.contains('/')) else {
                continue;
            };
            let (suite, mut faults) = opsrepo::suite::parse(path, bytes);
            if let Some(suite) = suite.filter(|_| !has_errors(&faults)) {
                danger_named |= suite.files.iter().any(|file| file == DANGER);
                match Self::of(files, app, name, path, bytes, suite) {
                    Ok(one) => loaded.push(one),
                    Err(more) => faults.extend(more),
                }
            }
            findings.extend(faults);
        }
        let danger = format!("{folder}{DANGER}");
        if files.contains_key(&danger) && !danger_named {
            match Self::of(files, app, "danger", &danger, b"", danger_suite()) {
                Ok(one) => loaded.push(one),
                Err(more) => findings.extend(more),
            }
        }
        (loaded, findings)
    }

    fn of(
        files: &Files,
        app: &AppName,
        name: &str,
        path: &str,
        bytes: &[u8],
        suite: Suite,
    ) -> Result<Self, Vec<Finding>> {
        let folder = format!("apps/{app}/evals/");
        let beside = |name: &str| files.get(&format!("{folder}{name}")).cloned();
        let mut findings = Vec::new();
        let mut cases = suite.cases.clone();
        let mut ids = CaseIds::of(&cases);
        let mut digests = vec![Digest::of(&unified(bytes)).hex()];
        for file in &suite.files {
            let full = format!("{folder}{file}");
            let Some(bytes) = files.get(&full) else {
                findings.push(no_file(path, file));
                continue;
            };
            digests.push(Digest::of(&unified(bytes)).hex());
            let mut reader = CaseReader::new(&full, bytes.as_slice(), ids);
            for item in reader.by_ref() {
                match item {
                    Ok(case) if cases.len() < MAX_CASES => cases.push(case),
                    Ok(_) => {
                        findings.push(too_many(path));
                        break;
                    }
                    Err(finding) => findings.push(finding),
                }
            }
            ids = reader.into_ids();
        }
        for check in suite.checks.iter().chain(cases.iter().flat_map(|case| &case.checks)) {
            if let domain::suite::Check::JsonSchema(serde_json::Value::String(name)) = check
                && let Some(bytes) = beside(name)
            {
                digests.push(Digest::of(&unified(&bytes)).hex());
            }
        }
        if cases.is_empty() && !has_errors(&findings) {
            findings.push(finding(
                path,
                "no_case",
                "the suite has no case",
                "add cases, or remove it",
            ));
        }
        let prepared = prepare(&suite, &beside).map_err(|mut faults| {
            for fault in &mut faults {
                fault.place.get_or_insert_default().file = path.to_owned();
            }
            faults
        });
        match prepared {
            Ok(prepared) if !has_errors(&findings) => Ok(Self {
                app: app.clone(),
                name: name.to_owned(),
                path: path.to_owned(),
                suite,
                cases,
                digest: Digest::of(digests.join("\n").as_bytes()),
                prepared,
            }),
            Ok(_) => Err(findings),
            Err(faults) => Err([findings, faults].concat()),
        }
    }
}

/// Git may rewrite line ends; the digest must not follow.
fn unified(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\r\n") {
            Some(line) => {
                out.extend_from_slice(line);
                out.push(b'\n');
            }
            None => out.extend_from_slice(line),
        }
    }
    out
}

fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

fn danger_suite() -> Suite {
    Suite {
        api_version: domain::manifest::API_VERSION.to_owned(),
        title: "Cases that failed in production once".to_owned(),
        tier: Tier::Recorded,
        kind: SuiteKind::Danger,
        files: vec![DANGER.to_owned()],
        cases: Vec::new(),
        repeats: 1,
        seed: 0,
        checks: Vec::new(),
        pass: None,
        scores: Vec::new(),
        cost: None,
        confidence: Ratio(0.95),
        token_cap: None,
    }
}

pub(crate) fn finding(path: &str, code: &str, message: &str, mend: &str) -> Finding {
    Finding {
        code: code.to_owned(),
        severity: Severity::Error,
        place: Some(Place { file: path.to_owned(), ..Place::default() }),
        message: message.to_owned(),
        explanation: "a suite that cannot be read whole proves nothing".to_owned(),
        mend: mend.to_owned(),
        replacement: None,
        excerpt: None,
    }
}

fn no_file(path: &str, file: &str) -> Finding {
    let message = format!("there is no file `{file}` in the folder of the suite");
    let found = finding(path, "missing_file", &message, "add the file, or mend its name");
    let place =
        Place { file: path.to_owned(), field: Some("files".to_owned()), ..Place::default() };
    Finding { place: Some(place), ..found }
}

fn too_many(path: &str) -> Finding {
    let message = format!("the suite has more than {MAX_CASES} cases");
    finding(path, "too_large", &message, "split the suite")
}
