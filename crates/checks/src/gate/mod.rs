//! The checks as gates: the same findings, with a name, a tier and an outcome.
//!
//! | gate | proves |
//! | --- | --- |
//! | `schema` | every file of the change can be read (findings come from the reader) |
//! | `template-lint` | variables, filters and partials exist; the prompt renders |
//! | `token-fit` | a typical request and its answer fit the model |
//! | `version-bump` | what changed has a new version, far enough above |
//! | `contract` | tools and the schema of answers are valid JSON Schema |
//! | `secrets` | no key, token or password is in the files |
//! | `personal-data` | no obvious personal data is in the files |
//! | `injection` | nothing in prompts and settings tries to steer the model away |
//! | `hidden-text` | people see every character the model reads |
//! | `forbidden-terms` | no word the app forbids is in the files |
//! | `feature-parity` | data reaches the prompt in production as in evaluation |
//!
//! A gate that has nothing to look at is skipped and says so; it never passes
//! for want of input.

mod contract;
mod parity;
mod safety;
mod tiers;

pub use contract::{Declared, contract};
pub use parity::{Data, feature_parity};
pub use safety::{forbidden_terms, hidden_text, injection_gate, personal_data, secrets_gate};
pub use tiers::{Gate, Report, run_tiers, schema, worst};

use crate::lint::{self, PromptFiles};
use crate::tokens;
use crate::version::{self, Step};
use domain::component::{Component, ComponentKind};
use domain::finding::{Finding, GateOutcome, GateResult, Tier};
use domain::ids::AppName;
use domain::snapshot::{ModelContent, PromptContent, Provider};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const TEMPLATE_LINT: (&str, &str) = ("template-lint", "Variables and syntax of the prompt");
const TOKEN_FIT: (&str, &str) = ("token-fit", "Length of the prompt against the model's window");
const VERSION_BUMP: (&str, &str) = ("version-bump", "Versions of what changed");

/// What the static gates look at.
#[derive(Debug, Clone, Copy)]
pub struct StaticInput<'a> {
    /// The app whose release is checked.
    pub app: &'a AppName,
    /// The components of the release on trial.
    pub components: &'a BTreeMap<ComponentKind, Component>,
    /// Its prompt, if it has one.
    pub prompt: Option<&'a PromptContent>,
    /// Path of each partial in the ops repo, by the name templates use. Names
    /// not listed are taken to lie in `apps/<app>/prompts/_shared/`.
    pub partial_paths: &'a BTreeMap<String, String>,
    /// Its model, if it has one.
    pub model: Option<&'a ModelContent>,
    /// Its parameters.
    pub parameters: Option<&'a Value>,
    /// What serves in production now, if anything does.
    pub production: Option<Production<'a>>,
    /// Text files the change adds or edits, by path in the ops repo. Secrets
    /// and personal data are looked for in these.
    pub files: &'a BTreeMap<String, String>,
    /// Words the app's settings forbid (`forbidden_terms` of `app.yaml`).
    pub forbidden_terms: &'a [String],
}

/// What serves in production.
#[derive(Debug, Clone, Copy)]
pub struct Production<'a> {
    /// Its components.
    pub components: &'a BTreeMap<ComponentKind, Component>,
    /// Its prompt, if it has one.
    pub prompt: Option<&'a PromptContent>,
}

impl StaticInput<'_> {
    fn prompt_files(&self) -> PromptFiles {
        PromptFiles { root: format!("apps/{}/", self.app), partials: self.partial_paths.clone() }
    }

    /// The file of the ops repo that holds a component's version.
    fn version_file(&self, kind: ComponentKind) -> String {
        let name = self.components.get(&kind).map_or("", |c| c.name.as_str());
        match kind {
            ComponentKind::Prompt => format!("apps/{}/prompts/{name}/prompt.yaml", self.app),
            ComponentKind::Model => format!("models/{name}.yaml"),
            ComponentKind::FeatureView => format!("features/{name}.yaml"),
            ComponentKind::Index => format!("indexes/{name}.yaml"),
            _ => format!("apps/{}/release.yaml", self.app),
        }
    }
}

/// The gates of the static tier, in the order in which they run.
pub fn static_gates<'a>(input: StaticInput<'a>) -> Vec<Gate<'a>> {
    vec![
        Gate::new(TEMPLATE_LINT, Tier::Static, move || template_lint(&input)),
        Gate::new(TOKEN_FIT, Tier::Static, move || token_fit(&input)),
        Gate::new(VERSION_BUMP, Tier::Static, move || version_bump(&input)),
        Gate::new(safety::SECRETS, Tier::Static, move || secrets_gate(&input)),
        Gate::new(safety::PERSONAL_DATA, Tier::Static, move || personal_data(&input)),
        Gate::new(safety::INJECTION, Tier::Static, move || injection_gate(&input)),
        Gate::new(safety::HIDDEN_TEXT, Tier::Static, move || hidden_text(&input)),
        Gate::new(safety::FORBIDDEN_TERMS, Tier::Static, move || forbidden_terms(&input)),
    ]
}

/// Gate `template-lint`.
pub fn template_lint(input: &StaticInput<'_>) -> GateResult {
    let Some(prompt) = input.prompt else {
        return skipped(TEMPLATE_LINT, "The release has no prompt.");
    };
    let production = input.production.and_then(|p| p.prompt);
    let used = key_variables(input.model, prompt);
    let findings = lint::lint(prompt, &input.prompt_files(), production, &used);
    let summary = format!(
        "{} and {} read; {}.",
        counted(prompt.messages.len(), "message"),
        counted(prompt.variables.len(), "variable"),
        problems(&findings)
    );
    result(TEMPLATE_LINT, summary, findings)
}

/// Gate `token-fit`.
pub fn token_fit(input: &StaticInput<'_>) -> GateResult {
    let (Some(prompt), Some(model)) = (input.prompt, input.model) else {
        return skipped(TOKEN_FIT, "The release has no prompt or no model.");
    };
    let app_file = format!("apps/{}/app.yaml", input.app);
    let fit = tokens::fit(
        prompt,
        model,
        input.parameters,
        &input.version_file(ComponentKind::Model),
        &app_file,
    );
    let root = input.prompt_files().root;
    let findings = fit.findings.into_iter().map(|f| rooted(f, &root)).collect();
    result(TOKEN_FIT, fit.summary, findings)
}

/// Gate `version-bump`.
pub fn version_bump(input: &StaticInput<'_>) -> GateResult {
    let Some(production) = input.production else {
        return skipped(
            VERSION_BUMP,
            "Nothing serves yet, so there is no version to compare with.",
        );
    };
    let mut findings = Vec::new();
    let mut changed = 0_usize;
    for (kind, new) in input.components {
        let Some(old) = production.components.get(kind) else { continue };
        changed = changed.saturating_add(usize::from(old != new));
        let prompts = match kind {
            ComponentKind::Prompt => production.prompt.zip(input.prompt),
            _ => None,
        };
        let path = input.version_file(*kind);
        let file = (path.as_str(), input.files.get(&path).map(String::as_str));
        findings.extend(version::check(&Step { kind: *kind, old, new, prompts, file }));
    }
    let summary = format!("{} changed; {}.", counted(changed, "component"), problems(&findings));
    result(VERSION_BUMP, summary, findings)
}

/// Declared variables a recording's key uses: the prompt need not.
fn key_variables(model: Option<&ModelContent>, prompt: &PromptContent) -> BTreeSet<String> {
    let Some(Provider::Replay { key, .. }) = model.map(|m| &m.provider) else {
        return BTreeSet::new();
    };
    let alone = PromptContent {
        messages: vec![domain::snapshot::PromptMessage::Template {
            role: "user".into(),
            file: "key".into(),
            template: key.clone(),
        }],
        partials: BTreeMap::new(),
        variables: prompt.variables.clone(),
    };
    lint::used_variables(&alone)
}

/// Paths of a prompt's own files are relative to the app.
fn rooted(mut finding: Finding, root: &str) -> Finding {
    if let Some(place) = &mut finding.place
        && place.file.starts_with("prompts/")
    {
        place.file = format!("{root}{}", place.file);
    }
    finding
}

fn result(gate: (&str, &str), summary: String, findings: Vec<Finding>) -> GateResult {
    GateResult::of(gate.0, gate.1, Tier::Static, summary, findings)
}

fn skipped(gate: (&str, &str), why: &str) -> GateResult {
    let mut result = result(gate, why.to_owned(), Vec::new());
    result.outcome = GateOutcome::Skipped;
    result
}

fn problems(findings: &[Finding]) -> String {
    match findings.len() {
        0 => "nothing found".to_owned(),
        1 => "1 finding".to_owned(),
        n => format!("{n} findings"),
    }
}

fn counted(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

#[cfg(test)]
mod tests;
