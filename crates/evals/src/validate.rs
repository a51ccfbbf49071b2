//! All static gates over the files of an ops repo: no server, no model.

use crate::load::Loaded;
use crate::plan::suites_gate;
use checks::gate::{Gate, Report, StaticInput, run_tiers, static_gates};
use checks::template::KeyTemplate;
use domain::component::ComponentKind;
use domain::fallback::Fallback;
use domain::finding::{Finding, GateReport, GateResult, Place, Severity, Tier};
use domain::ids::AppName;
use domain::units::Timestamp;
use opsrepo::{Desired, Files};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Judges every app, and the files that belong to none (under the name
/// [`NO_APP`]).
pub fn validate(files: &Files) -> Vec<(String, GateReport)> {
    let (desired, findings) = opsrepo::parse(files);
    let mut reports: Vec<(String, GateReport)> = desired
        .apps
        .keys()
        .map(|app| (app.to_string(), app_report(files, &desired, app)))
        .collect();
    let of_apps: Vec<Finding> = desired.apps.keys().flat_map(|app| desired.findings(app)).collect();
    let rest = findings.into_iter().filter(|finding| !of_apps.contains(finding)).collect();
    let shared = texts(files, |path| !desired.apps.keys().any(|app| belongs(path, app)));
    let summary = format!("{} files that belong to no app.", shared.len());
    let mut gates = vec![Gate::known(GateResult::of("files", FILES, Tier::Static, summary, rest))];
    if let Ok(app) = NO_APP.parse::<AppName>() {
        let nothing = BTreeMap::new();
        let input = StaticInput {
            app: &app,
            components: &BTreeMap::new(),
            prompt: None,
            partial_paths: &nothing,
            model: None,
            parameters: None,
            production: None,
            files: &shared,
            forbidden_terms: &[],
        };
        let scans = [
            checks::gate::secrets_gate(&input),
            checks::gate::personal_data(&input),
            checks::gate::injection_gate(&input),
            checks::gate::hidden_text(&input),
        ];
        gates.extend(scans.map(Gate::known));
    }
    reports.push((NO_APP.to_owned(), report(gates, None)));
    reports
}

/// Under which name the files that belong to no app are judged.
pub const NO_APP: &str = "ops-repo";
const FILES: &str = "Every file reads and fits the others";

fn app_report(files: &Files, desired: &Desired, app: &AppName) -> GateReport {
    let composed = desired.compose(app);
    let mut found = desired.findings(app);
    for finding in composed.as_ref().err().into_iter().flatten() {
        if !found.contains(finding) {
            found.push(finding.clone());
        }
    }
    let release = composed.as_ref().ok();
    let summary = match release {
        Some(release) => format!("All files read; together they are {}.", release.id.short()),
        None => "The files do not make a release.".to_owned(),
    };
    let content = |kind| release.and_then(|r| r.contents.get(&kind));
    let prompt =
        content(ComponentKind::Prompt).and_then(|c| serde_json::from_value(c.clone()).ok());
    let model = content(ComponentKind::Model).and_then(|c| serde_json::from_value(c.clone()).ok());
    let components = release.map(|r| r.manifest.components.clone()).unwrap_or_default();
    let texts = texts(files, |path| belongs(path, app));
    let partials = partials(files, app);
    let forbidden = desired.forbidden_terms(app);
    let input = StaticInput {
        app,
        components: &components,
        prompt: prompt.as_ref(),
        partial_paths: &partials,
        model: model.as_ref(),
        parameters: content(ComponentKind::Parameters),
        production: None,
        files: &texts,
        forbidden_terms: &forbidden,
    };
    // The reader has told what is wrong with suites, with places.
    let (suites, _) = Loaded::all(files, app);
    let suites: Vec<Arc<Loaded>> = suites.into_iter().map(Arc::new).collect();
    let fallback = desired.apps.get(app).and_then(|spec| spec.fallback.as_ref());
    let mut gates = vec![
        Gate::known(GateResult::of("files", FILES, Tier::Static, summary, found)),
        Gate::known(suites_gate(&suites, Vec::new())),
        Gate::known(fallback_gate(app, fallback)),
    ];
    gates.extend(static_gates(input));
    report(gates, release.map(|r| r.id))
}

fn report(gates: Vec<Gate<'_>>, release: Option<domain::ids::ReleaseId>) -> GateReport {
    // No clock: the same files give the same report.
    let about = Report { commit: String::new(), release, finished_at: Timestamp(0) };
    run_tiers(gates, about)
}

fn belongs(path: &str, app: &AppName) -> bool {
    path.strip_prefix("apps/")
        .and_then(|rest| rest.split_once('/'))
        .is_some_and(|(name, _)| name == app.as_str())
}

fn texts(files: &Files, wanted: impl Fn(&str) -> bool) -> BTreeMap<String, String> {
    files
        .iter()
        .filter(|(path, _)| wanted(path))
        .filter_map(|(path, bytes)| Some((path.clone(), String::from_utf8(bytes.clone()).ok()?)))
        .collect()
}

/// Where the partials that templates name lie; those of the app win.
fn partials(files: &Files, app: &AppName) -> BTreeMap<String, String> {
    let own = format!("apps/{app}/prompts/_shared/");
    let named = |folder: &String| {
        let with = |path: &String| {
            path.strip_prefix(folder.as_str()).map(|name| (name.to_owned(), path.clone()))
        };
        files.keys().filter_map(with).collect::<Vec<_>>()
    };
    ["prompts/_shared/".to_owned(), own].iter().flat_map(named).collect()
}

/// The kill switch must work the moment it is thrown, so its answers compile.
pub fn fallback_gate(app: &AppName, fallback: Option<&Fallback>) -> GateResult {
    const TITLE: &str = "The fallback can answer";
    let Some(fallback) = fallback else {
        let summary = "There is no fallback: the kill switch would answer with an error.";
        return GateResult::of("fallback", TITLE, Tier::Static, summary, Vec::new());
    };
    let bad_rule = connect::provider::Rules::compile(fallback).err().map(|e| e.to_string());
    let answers = fallback.rules.iter().map(|rule| &rule.answer);
    let texts = answers.chain(&fallback.default).chain(&fallback.hand_over);
    let bad_texts =
        texts.filter_map(|text| KeyTemplate::compile(text).err()).map(|e| e.to_string());
    let findings = bad_rule
        .into_iter()
        .chain(bad_texts)
        .map(|problem| Finding {
            code: "bad_fallback".to_owned(),
            severity: Severity::Error,
            place: Some(Place { file: format!("apps/{app}/fallback.yaml"), ..Place::default() }),
            message: problem,
            explanation:
                "The fallback answers when everything else is broken; nobody can mend it then."
                    .to_owned(),
            mend: "mend the rule or the answer's template".to_owned(),
            replacement: None,
            excerpt: None,
        })
        .collect();
    let summary = format!("{} rules; every answer compiles.", fallback.rules.len());
    GateResult::of("fallback", TITLE, Tier::Static, summary, findings)
}
