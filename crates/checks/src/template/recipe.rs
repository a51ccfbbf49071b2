//! What a release makes of a request: messages, the key of a recording,
//! parameters. One code for gateways and evaluations, so that what was evaluated
//! is what is served.

use super::{KeyTemplate, Prompt, RenderError, Rendered};
use domain::component::ComponentKind;
use domain::snapshot::{ModelContent, PromptContent, Provider, ServedRelease};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Fields of a provider's request that a release's parameters may not set:
/// they are made of the prompt, the model and the caller's wish to stream.
const NOT_PARAMETERS: [&str; 4] = ["model", "messages", "stream", "stream_options"];

/// Why no request can be made of a release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadRelease(pub String);

impl BadRelease {
    fn new(why: impl std::fmt::Display) -> Self {
        Self(why.to_string())
    }
}

/// A release, ready to make requests.
#[derive(Debug)]
pub struct Recipe {
    prompt: Prompt,
    /// The key template of a `replay` provider, and what it may use beside the
    /// request's variables ([`release_facts`]).
    key: Option<(KeyTemplate, Map<String, Value>)>,
    parameters: Vec<(String, String)>,
    model: ModelContent,
}

impl Recipe {
    /// Compiles a release.
    ///
    /// # Errors
    /// When its model, prompt, key or parameters cannot be used.
    pub fn of(release: &ServedRelease) -> Result<Self, BadRelease> {
        let model = model(release)?;
        let prompt = match release.contents.get(&ComponentKind::Prompt) {
            Some(content) => serde_json::from_value(content.clone())
                .map_err(|e| BadRelease(format!("its prompt cannot be read: {e}")))?,
            // A release without a prompt passes the conversation on as it is.
            None => PromptContent {
                messages: Vec::new(),
                partials: BTreeMap::new(),
                variables: BTreeMap::new(),
            },
        };
        let key = match &model.provider {
            Provider::Replay { key, .. } => {
                let template = KeyTemplate::compile(key).map_err(BadRelease::new)?;
                Some((template, release_facts(release)))
            }
            _ => None,
        };
        Ok(Self {
            prompt: Prompt::compile(&prompt).map_err(BadRelease::new)?,
            key,
            parameters: parameters(release.contents.get(&ComponentKind::Parameters))?,
            model,
        })
    }

    /// The model.
    pub fn model(&self) -> &ModelContent {
        &self.model
    }

    /// Parameters of the release, name and JSON.
    pub fn parameters(&self) -> &[(String, String)] {
        &self.parameters
    }

    /// The provider's messages, a JSON array: the prompt's own, and the
    /// caller's as they came.
    ///
    /// # Errors
    /// When a variable is missing or a template fails.
    pub fn messages(
        &self,
        vars: &Map<String, Value>,
        conversation: &[impl AsRef<[u8]>],
    ) -> Result<Vec<u8>, RenderError> {
        Ok(splice(&self.prompt.render(vars)?, conversation))
    }

    /// The key of the recording that answers, for a `replay` provider.
    ///
    /// # Errors
    /// When a variable is missing or the template fails.
    pub fn key(&self, vars: &Map<String, Value>) -> Result<Option<String>, RenderError> {
        let Some((template, facts)) = &self.key else { return Ok(None) };
        let mut known = vars.clone();
        known.extend(facts.clone());
        template.render(&known).map(Some)
    }
}

/// The model of a release.
///
/// # Errors
/// When it has none, or one that does not read.
pub fn model(release: &ServedRelease) -> Result<ModelContent, BadRelease> {
    let content = release
        .contents
        .get(&ComponentKind::Model)
        .ok_or_else(|| BadRelease::new("the release has no model"))?;
    serde_json::from_value(content.clone())
        .map_err(|e| BadRelease(format!("its model cannot be read: {e}")))
}

/// `prompt` and `model`, each with `name` and `version`: so that one recordings
/// file can hold the answers of every version of a prompt.
fn release_facts(release: &ServedRelease) -> Map<String, Value> {
    [ComponentKind::Prompt, ComponentKind::Model]
        .into_iter()
        .filter_map(|kind| Some((kind, release.components.get(&kind)?)))
        .map(|(kind, component)| {
            let facts = json!({"name": component.name, "version": component.version.to_string()});
            (kind.key().to_owned(), facts)
        })
        .collect()
}

fn parameters(content: Option<&Value>) -> Result<Vec<(String, String)>, BadRelease> {
    match content {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Object(fields)) => {
            if let Some(name) = NOT_PARAMETERS.iter().find(|name| fields.contains_key(**name)) {
                return Err(BadRelease(format!(
                    "its parameters set `{name}`, which is not a parameter"
                )));
            }
            Ok(fields.iter().map(|(name, value)| (name.clone(), value.to_string())).collect())
        }
        Some(_) => Err(BadRelease::new("its parameters are not an object")),
    }
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'a str,
    content: &'a str,
}

fn splice(rendered: &[Rendered], conversation: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.push(b'[');
    let mut first = true;
    let mut put = |json: &[u8]| {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        out.extend_from_slice(json);
    };
    for part in rendered {
        match part {
            Rendered::Message { role, content } => {
                // Two strings always have a JSON form.
                put(&serde_json::to_vec(&Message { role, content }).unwrap_or_default());
            }
            Rendered::Conversation => {
                conversation.iter().for_each(|message| put(message.as_ref()));
            }
        }
    }
    out.push(b']');
    out
}
