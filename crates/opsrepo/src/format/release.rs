//! `apps/<app>/release.yaml`: what the app's next release is made of.
//!
//! ```yaml
//! apiVersion: tidegate/v1
//! version: 1.0.0
//! prompt: summary
//! model: gpt-4o-mini
//! parameters: {temperature: 0, max_tokens: 300}
//! feature_view: customers
//! index: help-centre
//! ```
//!
//! `version` is the version of the parameters: a version never changes content,
//! so whoever alters `parameters` raises it. Prompt and model carry their own.

use super::{Fault, Format};
use domain::component::ComponentKind;
use semver::Version;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Keys of the provider's request that Tidegate itself fills.
const RESERVED_PARAMETERS: [&str; 4] = ["model", "messages", "stream", "stream_options"];

/// What the app's next release is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseSpec {
    /// Version of the parameters.
    pub version: Version,
    /// Name of a prompt of the app.
    pub prompt: String,
    /// Name of a model of the repository.
    pub model: String,
    /// Sampling settings, merged into the provider's request.
    pub parameters: Map<String, Value>,
    /// Name of a feature view of the repository.
    pub feature_view: Option<String>,
    /// Name of a vector index of the repository.
    pub index: Option<String>,
    /// Components written in place.
    pub inline: BTreeMap<ComponentKind, Inline>,
}

/// A component written in place: `{name, version, ...content}`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Inline {
    /// Its name; the kind's own word if absent.
    #[serde(default)]
    pub name: Option<String>,
    /// Its version.
    pub version: Version,
    /// Everything else.
    #[serde(flatten)]
    pub content: Map<String, Value>,
}

impl Inline {
    /// What is wrong with it, `at` being its own place.
    pub(crate) fn faults(&self, at: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.content.is_empty() {
            faults.push(Fault::new(
                at,
                "empty_component",
                format!("`{at}` has no content beside its name and version"),
                "write what shapes the answer here, or remove the component",
            ));
        }
        faults.extend(not_canonical(at, &self.content));
        if self.name.as_deref().is_some_and(|name| name.trim().is_empty()) {
            faults.push(Fault::new(
                format!("{at}.name"),
                "empty_text",
                "`name` is empty",
                "give it a name or remove the key",
            ));
        }
        faults
    }
}

/// Content that has no canonical form, and so no digest.
pub(crate) fn not_canonical<T: serde::Serialize>(at: &str, content: &T) -> Option<Fault> {
    let error = domain::jcs::canonical(content).err()?;
    let field = format!("{at}{}", error.place.trim_start_matches('$'));
    Some(Fault::new(
        field,
        "no_canonical_form",
        error.problem,
        "write the number as text, or a smaller one",
    ))
}

/// The file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReleaseFile {
    #[serde(rename = "apiVersion")]
    api_version: String,
    version: Version,
    prompt: String,
    model: String,
    #[serde(default)]
    parameters: Map<String, Value>,
    #[serde(default)]
    code: Option<Inline>,
    #[serde(default)]
    tools: Option<Inline>,
    #[serde(default)]
    guards: Option<Inline>,
    #[serde(default)]
    feature_view: Option<String>,
    #[serde(default)]
    index: Option<String>,
    #[serde(default)]
    judge: Option<Inline>,
    #[serde(default)]
    routing: Option<Inline>,
    #[serde(default)]
    answer: Option<Inline>,
}

impl ReleaseFile {
    fn inline(&self) -> impl Iterator<Item = (ComponentKind, &Inline)> {
        [
            (ComponentKind::Code, &self.code),
            (ComponentKind::Tools, &self.tools),
            (ComponentKind::Guards, &self.guards),
            (ComponentKind::Judge, &self.judge),
            (ComponentKind::Routing, &self.routing),
            (ComponentKind::Answer, &self.answer),
        ]
        .into_iter()
        .filter_map(|(kind, inline)| Some((kind, inline.as_ref()?)))
    }

    /// The format without its envelope.
    pub(crate) fn spec(&self) -> ReleaseSpec {
        ReleaseSpec {
            version: self.version.clone(),
            prompt: self.prompt.clone(),
            model: self.model.clone(),
            parameters: self.parameters.clone(),
            feature_view: self.feature_view.clone(),
            index: self.index.clone(),
            inline: self.inline().map(|(kind, inline)| (kind, inline.clone())).collect(),
        }
    }
}

impl Format for ReleaseFile {
    const REQUIRED: &'static [&'static str] = &["apiVersion", "version", "prompt", "model"];

    fn api_version(&self) -> &str {
        &self.api_version
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults: Vec<Fault> =
            self.inline().flat_map(|(kind, inline)| inline.faults(kind.key())).collect();
        faults.extend(not_canonical("parameters", &self.parameters));
        faults.extend(
            RESERVED_PARAMETERS.iter().filter(|key| self.parameters.contains_key(**key)).map(
                |key| {
                    Fault::new(
                        format!("parameters.{key}"),
                        "reserved_parameter",
                        format!("`{key}` is filled in for every request and cannot be a parameter"),
                        "remove it",
                    )
                },
            ),
        );
        faults
    }
}
