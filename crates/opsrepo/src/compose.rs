//! From an app's files to its release.
//!
//! What enters the release id is exactly what shapes an answer. Owner, labels,
//! changelog, descriptions of variables, tags and plans stay out, so that
//! editing them makes no new release.

use crate::format::release::Inline;
use crate::{AppSpec, Desired, PromptMessageSpec, PromptSpec};
use domain::component::{ComponentKind, ResolvedComponent};
use domain::experiment::Variant;
use domain::finding::{Finding, Place, Severity};
use domain::ids::AppName;
use domain::manifest::{self, Release};
use domain::snapshot::{PromptContent, PromptMessage, Variable};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What stands in the place of what `release.yaml` names.
#[derive(Clone, Copy, Default)]
struct Swap<'a> {
    prompt: Option<&'a str>,
    model: Option<&'a str>,
}

impl<'a> Swap<'a> {
    fn of(variant: &'a Variant) -> Self {
        Self { prompt: variant.prompt.as_deref(), model: variant.model.as_deref() }
    }
}

impl Desired {
    /// The release the app's files describe, with the content of every component.
    ///
    /// # Errors
    /// What stands in the way: every error of a file the app depends on.
    pub fn compose(&self, app: &AppName) -> Result<Release, Vec<Finding>> {
        self.compose_as(app, Swap::default())
    }

    /// The same with another model of the repository in its place, as if
    /// `release.yaml` named that: for a look at a change with a cheaper one.
    ///
    /// # Errors
    /// As [`Self::compose`]; no such model.
    pub fn compose_with_model(&self, app: &AppName, model: &str) -> Result<Release, Vec<Finding>> {
        self.compose_as(app, Swap { prompt: None, model: Some(model) })
    }

    /// The release of each variant of an experiment, in its order: the app's,
    /// with the prompt and the model the variant names.
    ///
    /// # Errors
    /// As [`Self::compose`]; none of an experiment there is not.
    pub fn compose_variants(
        &self,
        app: &AppName,
        experiment: &str,
    ) -> Result<Vec<Release>, Vec<Finding>> {
        let policy = self.apps.get(app).and_then(|spec| spec.experiments.get(experiment));
        let variants = policy.into_iter().flat_map(|policy| &policy.variants);
        variants.map(|variant| self.compose_as(app, Swap::of(variant))).collect()
    }

    fn compose_as(&self, app: &AppName, swap: Swap<'_>) -> Result<Release, Vec<Finding>> {
        let errors: Vec<Finding> =
            self.findings(app).into_iter().filter(|f| f.severity == Severity::Error).collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        let components = self.components(app, swap)?;
        manifest::compose(app, components).map_err(|error| {
            vec![finding(
                app,
                "no_canonical_form",
                format!("the release has no id: {error}"),
                "mend the value at that place",
            )]
        })
    }

    fn components(
        &self,
        app: &AppName,
        swap: Swap<'_>,
    ) -> Result<BTreeMap<ComponentKind, ResolvedComponent>, Vec<Finding>> {
        let missing = |what: &str| {
            vec![finding(
                app,
                "incomplete_app",
                format!("the app `{app}` has no {what}, so there is nothing to release"),
                &format!("add the {what}"),
            )]
        };
        let spec = self.apps.get(app).ok_or_else(|| missing("`app.yaml`"))?;
        let release = spec.release.as_ref().ok_or_else(|| missing("`release.yaml`"))?;
        let prompt_name = swap.prompt.unwrap_or(&release.prompt);
        let model_name = swap.model.unwrap_or(&release.model);
        let prompt = spec
            .prompts
            .get(prompt_name)
            .ok_or_else(|| missing(&format!("prompt `{prompt_name}`")))?;
        let model =
            self.models.get(model_name).ok_or_else(|| missing(&format!("model `{model_name}`")))?;
        let mut components = BTreeMap::from([
            (
                ComponentKind::Prompt,
                ResolvedComponent {
                    name: prompt_name.to_owned(),
                    version: prompt.version.clone(),
                    content: json(app, &prompt_content(prompt_name, spec, prompt))?,
                },
            ),
            (
                ComponentKind::Model,
                ResolvedComponent {
                    name: model_name.to_owned(),
                    version: model.version.clone(),
                    content: json(app, &model.content)?,
                },
            ),
            (
                ComponentKind::Parameters,
                ResolvedComponent {
                    name: ComponentKind::Parameters.key().to_owned(),
                    version: release.version.clone(),
                    content: Value::Object(release.parameters.clone()),
                },
            ),
        ]);
        if let Some(name) = &release.feature_view {
            let view =
                self.views.get(name).ok_or_else(|| missing(&format!("feature view `{name}`")))?;
            let (name, version) = (name.clone(), view.version.clone());
            let content = json(app, &view.content)?;
            let component = ResolvedComponent { name, version, content };
            components.insert(ComponentKind::FeatureView, component);
        }
        if let Some(name) = &release.index {
            let index =
                self.indexes.get(name).ok_or_else(|| missing(&format!("index `{name}`")))?;
            let (name, version) = (name.clone(), index.version.clone());
            let content = json(app, &index.content)?;
            let component = ResolvedComponent { name, version, content };
            components.insert(ComponentKind::Index, component);
        }
        if let Some(answer) = &spec.answer {
            components.insert(ComponentKind::Answer, inline(ComponentKind::Answer, answer));
        }
        for (kind, written) in &release.inline {
            components.insert(*kind, inline(*kind, written));
        }
        Ok(components)
    }
}

fn json<T: Serialize>(app: &AppName, content: &T) -> Result<Value, Vec<Finding>> {
    serde_json::to_value(content).map_err(|error| {
        vec![finding(
            app,
            "no_canonical_form",
            format!("a component cannot be written as JSON: {error}"),
            "mend the value",
        )]
    })
}

fn inline(kind: ComponentKind, written: &Inline) -> ResolvedComponent {
    ResolvedComponent {
        name: written.name.clone().unwrap_or_else(|| kind.key().to_owned()),
        version: written.version.clone(),
        content: Value::Object(written.content.clone()),
    }
}

/// The content of a prompt: its messages, the partials its templates can reach
/// and the variables of the app.
///
/// Partials that no template of this prompt can reach stay out, so that a new
/// partial for one prompt makes no new release of the others.
fn prompt_content(name: &str, app: &AppSpec, prompt: &PromptSpec) -> PromptContent {
    let messages = prompt
        .messages
        .iter()
        .map(|message| match message {
            PromptMessageSpec::Template { role, template } => PromptMessage::Template {
                role: role.clone(),
                file: format!("prompts/{name}/{template}"),
                template: prompt.templates.get(template).cloned().unwrap_or_default(),
            },
            PromptMessageSpec::Conversation => PromptMessage::Conversation,
        })
        .collect();
    let variables = app
        .variables
        .iter()
        .map(|(name, variable)| {
            // A description is for people: mending a typo makes no new release.
            let shaping = Variable { description: None, ..variable.clone() };
            (name.clone(), shaping)
        })
        .collect();
    PromptContent { messages, partials: reachable(prompt, &app.partials), variables }
}

/// Partials whose name occurs in a template or in a reachable partial. A name
/// that merely occurs in text is included too: too many is only more content.
fn reachable(prompt: &PromptSpec, partials: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut texts: Vec<&str> = prompt.templates.values().map(String::as_str).collect();
    while let Some(text) = texts.pop() {
        let all = names_computed(text);
        for (name, content) in partials {
            if (all || text.contains(name.as_str())) && !found.contains_key(name) {
                found.insert(name.clone(), content.clone());
                texts.push(content);
            }
        }
    }
    found
}

/// True if a template may take in a partial whose name is not written out
/// (`{% include kind ~ ".j2" %}`): then every partial may be reached.
fn names_computed(text: &str) -> bool {
    ["include", "import", "from", "extends"].iter().any(|word| {
        text.match_indices(word).any(|(at, _)| {
            let rest = text.get(at + word.len()..).unwrap_or_default().trim_start();
            let before = text.get(..at).unwrap_or_default().trim_end();
            before.ends_with(['%', '-', '+']) && !rest.starts_with(['"', '\''])
        })
    })
}

fn finding(app: &AppName, code: &str, message: String, mend: &str) -> Finding {
    Finding {
        code: code.to_owned(),
        severity: Severity::Error,
        place: Some(Place { file: format!("apps/{app}/release.yaml"), ..Place::default() }),
        message,
        explanation: "a release must name every component it is made of".to_owned(),
        mend: mend.to_owned(),
        replacement: None,
        excerpt: None,
    }
}
