//! `apps/`: each app's own files, its prompts and what they refer to.

use super::layout::{AppLayout, Layout};
use super::{Reader, unknown};
use crate::format::Fault;
use crate::format::app::{AppFile, AppSpec};
use crate::format::experiment::LiveExperiment;
use crate::format::fallback::FallbackFile;
use crate::format::model::ModelSpec;
use crate::format::prompt::{PromptFile, PromptSpec};
use crate::format::release::{ReleaseFile, ReleaseSpec};
use crate::limits::MAX_TEMPLATE_LEN;
use crate::text::Source;
use crate::yaml::Document;
use domain::component::ComponentKind;
use domain::experiment::ExperimentPolicy;
use domain::fallback::Fallback;
use domain::ids::AppName;
use domain::policy::RolloutPolicy;
use std::collections::{BTreeMap, BTreeSet};

impl Reader<'_> {
    pub(super) fn apps(
        &mut self,
        layout: &Layout,
        models: &BTreeMap<String, ModelSpec>,
    ) -> BTreeMap<AppName, AppSpec> {
        let shared = self.partials(&layout.partials);
        layout
            .apps
            .iter()
            .filter_map(|(name, files)| {
                let spec = self.app(name, files, &shared, layout, models)?;
                Some((name.clone(), spec))
            })
            .collect()
    }

    /// All files are read, also those of an app whose `app.yaml` does not read.
    fn app(
        &mut self,
        name: &AppName,
        files: &AppLayout,
        shared: &BTreeMap<String, String>,
        layout: &Layout,
        models: &BTreeMap<String, ModelSpec>,
    ) -> Option<AppSpec> {
        let at = |file: &str| format!("apps/{name}/{file}");
        let app = self.require::<AppFile>(&at("app.yaml"), "it says whose app this is");
        let app = app.and_then(|reading| reading.value);
        let prompts: BTreeMap<String, PromptSpec> = files
            .prompts
            .iter()
            .filter_map(|(prompt, templates)| {
                Some((prompt.clone(), self.prompt(name, prompt, templates)?))
            })
            .collect();
        let mut partials = shared.clone();
        partials.extend(self.partials(&files.partials));
        let release = self.release(name, files, app.as_ref(), layout, models);
        let rollout = self
            .require::<RolloutPolicy>(
                &at("rollout.yaml"),
                "it says how a new release reaches users",
            )
            .and_then(|reading| reading.value);
        let fallback = self.fallback(&at("fallback.yaml"), app.as_ref());
        let suites = self.suites(name, &files.suites);
        let experiments = files
            .experiments
            .iter()
            .filter_map(|experiment| {
                let path = at(&format!("experiments/{experiment}.yaml"));
                Some((experiment.clone(), self.experiment(&path, files, layout)?))
            })
            .collect();
        let app = app?;
        Some(AppSpec {
            suites,
            requirements: app.requirements(),
            owner: app.owner,
            risk: app.risk,
            audience: app.audience,
            labels: app.labels,
            variables: app.variables,
            on_error: app.on_error,
            timeout: app.timeout,
            retries: app.retries,
            forbidden_terms: app.forbidden_terms,
            classifier: app.classifier,
            answer: app.answer,
            release,
            prompts,
            partials,
            rollout,
            fallback,
            experiments,
        })
    }

    /// An experiment whose variants name what there is.
    fn experiment(
        &mut self,
        path: &str,
        files: &AppLayout,
        layout: &Layout,
    ) -> Option<ExperimentPolicy> {
        let reading = self.read::<LiveExperiment>(path)?;
        let (LiveExperiment(policy), document) = (reading.value?, reading.document?);
        for (i, variant) in policy.variants.iter().enumerate() {
            let prompts = files.prompts.keys().map(String::as_str);
            if let Some(name) = variant.prompt.as_ref().filter(|p| !files.prompts.contains_key(*p))
            {
                let field = format!("variants[{i}].prompt");
                self.push(&document, unknown(field, "unknown_reference", "prompt", name, prompts));
            }
            let models = layout.models.iter().map(String::as_str);
            if let Some(name) = variant.model.as_ref().filter(|m| !layout.models.contains(*m)) {
                let field = format!("variants[{i}].model");
                self.push(&document, unknown(field, "unknown_reference", "model", name, models));
            }
        }
        Some(policy)
    }

    /// The text of partials or templates, those that read.
    fn partials(&mut self, paths: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        paths.iter().filter_map(|(name, path)| Some((name.clone(), self.template(path)?))).collect()
    }

    fn template(&mut self, path: &str) -> Option<String> {
        match Source::read(path, self.files.get(path)?, MAX_TEMPLATE_LEN) {
            Ok(source) => Some(source.into_text()),
            Err(finding) => {
                self.findings.push(*finding);
                None
            }
        }
    }

    fn prompt(
        &mut self,
        app: &AppName,
        name: &str,
        files: &BTreeSet<String>,
    ) -> Option<PromptSpec> {
        let folder = format!("apps/{app}/prompts/{name}");
        let reading =
            self.require::<PromptFile>(&format!("{folder}/prompt.yaml"), "it lists the messages")?;
        let (file, document) = (reading.value?, reading.document?);
        let mut templates = BTreeMap::new();
        for (field, template) in file.templates() {
            if files.contains(template) {
                if let Some(text) = self.template(&format!("{folder}/{template}")) {
                    templates.insert(template.to_owned(), text);
                }
            } else {
                let names = files.iter().map(String::as_str);
                let fault = unknown(field, "missing_file", "template", template, names);
                self.findings.push(document.finding(fault));
            }
        }
        for unused in files.iter().filter(|file| !templates.contains_key(*file)) {
            let named = file.templates().any(|(_, template)| template == unused);
            let included = templates.values().any(|text| text.contains(unused.as_str()));
            if !named && included {
                let path = format!("{folder}/{unused}");
                self.file(
                    &path,
                    "unknown_reference",
                    format!("`{unused}` is included, but only files of `_shared` can be"),
                    format!("move it to `apps/{app}/prompts/_shared/{unused}`"),
                );
            } else if !named {
                self.warn(
                    &format!("{folder}/{unused}"),
                    "unused_file",
                    format!("no message of the prompt `{name}` names `{unused}`"),
                    "name it in `prompt.yaml` or remove it",
                );
            }
        }
        Some(PromptSpec {
            version: file.version.clone(),
            changelog: file.changelog.clone(),
            messages: file.messages(),
            templates,
        })
    }

    fn release(
        &mut self,
        app: &AppName,
        files: &AppLayout,
        spec: Option<&AppFile>,
        layout: &Layout,
        models: &BTreeMap<String, ModelSpec>,
    ) -> Option<ReleaseSpec> {
        let path = format!("apps/{app}/release.yaml");
        let reading =
            self.require::<ReleaseFile>(&path, "it says what the app's release is made of")?;
        let (file, document) = (reading.value?, reading.document?);
        let release = file.spec();
        if !files.prompts.contains_key(&release.prompt) {
            let names = files.prompts.keys().map(String::as_str);
            self.push(
                &document,
                unknown("prompt", "unknown_reference", "prompt", &release.prompt, names),
            );
        }
        if !layout.models.contains(&release.model) {
            let names = layout.models.iter().map(String::as_str);
            self.push(
                &document,
                unknown("model", "unknown_reference", "model", &release.model, names),
            );
        }
        let data = [
            ("feature_view", "feature view", &release.feature_view, &layout.views),
            ("index", "index", &release.index, &layout.indexes),
        ];
        for (field, what, name, known) in data {
            if let Some(name) = name.as_ref().filter(|name| !known.contains(*name)) {
                let names = known.iter().map(String::as_str);
                self.push(&document, unknown(field, "unknown_reference", what, name, names));
            }
        }
        let has_answer = spec.is_some_and(|app| app.answer.is_some());
        if has_answer && release.inline.contains_key(&ComponentKind::Answer) {
            self.push(
                &document,
                Fault::new(
                    "answer",
                    "answer_twice",
                    "the contract of the answers is in `app.yaml` and here",
                    "keep one of the two",
                ),
            );
        }
        let rules = models
            .get(&release.model)
            .is_some_and(|m| matches!(m.content.provider, domain::snapshot::Provider::Rules {}));
        let fallback = format!("apps/{app}/fallback.yaml");
        if rules && !self.files.contains_key(&fallback) {
            self.push(
                &document,
                Fault::new(
                    "model",
                    "missing_file",
                    format!(
                        "the model `{}` answers by rules, and there is no `{fallback}`",
                        release.model
                    ),
                    "add the file with the rules, or name another model",
                ),
            );
        }
        Some(release)
    }

    fn push(&mut self, document: &Document, fault: Fault) {
        self.findings.push(document.finding(fault));
    }

    fn fallback(&mut self, path: &str, app: Option<&AppFile>) -> Option<Fallback> {
        let reading = self.read::<FallbackFile>(path)?;
        let (file, document) = (reading.value?, reading.document?);
        if let Some(app) = app {
            for (field, variable) in file.variables() {
                if !app.variables.contains_key(variable) {
                    let names = app.variables.keys().map(String::as_str);
                    let mut fault =
                        unknown(field, "undeclared_variable", "variable", variable, names);
                    if fault.replacement.is_none() {
                        "declare it under `variables` in `app.yaml`, or test `message`"
                            .clone_into(&mut fault.mend);
                    }
                    self.push(&document, fault);
                }
            }
        }
        Some(file.content())
    }
}
