//! The gate over the variants of experiments: an experiment is started from
//! `main` without another look, so every variant is looked at like a release
//! before its file gets there.

use checks::gate::{Production, StaticInput, template_lint, token_fit, version_bump};
use domain::component::ComponentKind;
use domain::finding::{Finding, GateResult, Tier};
use domain::ids::{AppName, ReleaseId};
use domain::manifest::Release;
use opsrepo::Desired;
use std::collections::BTreeMap;

/// What the app answers with, and what its experiments could.
pub(crate) fn answers(desired: &Desired, app: &AppName) -> Vec<ReleaseId> {
    let files = desired.apps.get(app).into_iter().flat_map(|spec| spec.experiments.keys());
    let variants = files.flat_map(|name| desired.compose_variants(app, name).unwrap_or_default());
    let release = desired.compose(app).ok();
    release.into_iter().chain(variants).map(|release| release.id).collect()
}

/// What the variants are judged beside.
pub(crate) struct Beside<'a> {
    /// Path of each partial, by the name templates use.
    pub(crate) partial_paths: &'a BTreeMap<String, String>,
    /// What serves now.
    pub(crate) production: Option<Production<'a>>,
    /// Texts the change adds or edits.
    pub(crate) files: &'a BTreeMap<String, String>,
}

/// Every variant of every experiment of the app holds as a release does.
/// Secrets and personal data are looked for in all files of the change anyway.
pub(crate) fn variants_gate(desired: &Desired, app: &AppName, beside: &Beside<'_>) -> GateResult {
    let mut findings: Vec<Finding> = Vec::new();
    let mut count = 0_usize;
    let experiments = desired.apps.get(app).map(|spec| &spec.experiments);
    for name in experiments.into_iter().flat_map(|experiments| experiments.keys()) {
        let found = match desired.compose_variants(app, name) {
            Ok(variants) => {
                count = count.saturating_add(variants.len());
                variants.iter().flat_map(|variant| judge(app, variant, beside)).collect()
            }
            Err(found) => found,
        };
        for finding in found {
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }
    let summary = match count {
        0 => "The app has no experiment.".to_owned(),
        count => format!("{count} variants could answer."),
    };
    GateResult::of("experiments", "Every variant could answer", Tier::Static, summary, findings)
}

fn judge(app: &AppName, variant: &Release, beside: &Beside<'_>) -> Vec<Finding> {
    let content = |kind: ComponentKind| variant.contents.get(&kind);
    let prompt = content(ComponentKind::Prompt).and_then(read);
    let model = content(ComponentKind::Model).and_then(read);
    let input = StaticInput {
        app,
        components: &variant.manifest.components,
        prompt: prompt.as_ref(),
        partial_paths: beside.partial_paths,
        model: model.as_ref(),
        parameters: content(ComponentKind::Parameters),
        production: beside.production,
        files: beside.files,
        // The gate of the whole change looks for these.
        forbidden_terms: &[],
    };
    let gates = [template_lint(&input), token_fit(&input), version_bump(&input)];
    gates.into_iter().flat_map(|gate| gate.findings).collect()
}

fn read<T: serde::de::DeserializeOwned>(content: &serde_json::Value) -> Option<T> {
    serde_json::from_value(content.clone()).ok()
}
