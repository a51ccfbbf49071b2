//! A compiled prompt.

use super::engine::Engine;
use super::error::{Fault, RenderError, TemplateError};
use super::values;
use domain::snapshot::{PromptContent, PromptMessage, Variable};
use minijinja::Value;
use serde_json::Map;
use std::collections::BTreeMap;
use std::fmt;

/// The roles a message may have.
pub const ROLES: [&str; 4] = ["system", "developer", "user", "assistant"];

/// What a rendered prompt is made of, in order.
#[derive(Clone, PartialEq, Eq)]
pub enum Rendered {
    /// A message to send.
    Message {
        /// One of [`ROLES`].
        role: &'static str,
        /// Its text.
        content: String,
    },
    /// The messages of the request go here.
    Conversation,
}

/// The content is never shown: it holds what a user sent.
impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message { role, content } => {
                write!(f, "Message({role}, {} bytes)", content.len())
            }
            Self::Conversation => f.write_str("Conversation"),
        }
    }
}

/// A prompt, compiled once and rendered for each request.
pub struct Prompt {
    engine: Engine,
    parts: Vec<Part>,
    variables: BTreeMap<String, Declared>,
}

enum Part {
    Template { name: String, role: &'static str },
    Conversation,
}

struct Declared {
    required: bool,
    default: Option<Value>,
}

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prompt")
            .field("parts", &self.parts.len())
            .field("variables", &self.variables.keys())
            .finish()
    }
}

impl Prompt {
    /// Compiles all messages and partials. Fails at the first template that
    /// cannot be read; [`crate::lint`] lists every fault instead.
    pub fn compile(content: &PromptContent) -> Result<Self, TemplateError> {
        let mut engine = Engine::new();
        for (name, text) in &content.partials {
            engine.add(name, name, text)?;
        }
        let mut parts = Vec::new();
        for (index, message) in content.messages.iter().enumerate() {
            parts.push(compile_message(&mut engine, index, message)?);
        }
        if !parts.iter().any(|part| matches!(part, Part::Conversation)) {
            parts.push(Part::Conversation);
        }
        let variables = content.variables.iter().map(|(name, v)| (name.clone(), declared(v)));
        Ok(Self { engine, parts, variables: variables.collect() })
    }

    /// Renders the prompt for one request. Exactly the declared variables reach
    /// the templates: others in `vars` are ignored, defaults fill gaps, and
    /// `null` counts as not sent. [`Rendered::Conversation`] comes where the
    /// prompt puts it, at the end if it puts it nowhere.
    pub fn render(
        &self,
        vars: &Map<String, serde_json::Value>,
    ) -> Result<Vec<Rendered>, RenderError> {
        let context = self.context(vars)?;
        self.parts
            .iter()
            .map(|part| match part {
                Part::Conversation => Ok(Rendered::Conversation),
                Part::Template { name, role } => {
                    let content = self.engine.render(name, context.clone())?;
                    Ok(Rendered::Message { role, content })
                }
            })
            .collect()
    }

    fn context(&self, vars: &Map<String, serde_json::Value>) -> Result<Value, RenderError> {
        let mut values = BTreeMap::new();
        let mut missing = Vec::new();
        for (name, declared) in &self.variables {
            match vars.get(name) {
                Some(sent) if !sent.is_null() => {
                    values.insert(name.clone(), values::value(sent));
                }
                _ => match &declared.default {
                    Some(default) => {
                        values.insert(name.clone(), default.clone());
                    }
                    None if declared.required => missing.push(name.clone()),
                    None => {}
                },
            }
        }
        if missing.is_empty() {
            Ok(values::context(values))
        } else {
            Err(RenderError::MissingVariables(missing))
        }
    }
}

fn declared(variable: &Variable) -> Declared {
    Declared { required: variable.required, default: variable.default.as_ref().map(values::value) }
}

fn compile_message(
    engine: &mut Engine,
    index: usize,
    message: &PromptMessage,
) -> Result<Part, TemplateError> {
    let PromptMessage::Template { role, file, template } = message else {
        return Ok(Part::Conversation);
    };
    let Some(role) = ROLES.into_iter().find(|known| known == role) else {
        let what =
            format!("`{role}` is not a role; use `system`, `developer`, `user` or `assistant`");
        return Err(TemplateError::at(file, template, Fault::limit(what, 0..0)));
    };
    // No partial can have this name: file names have no control characters.
    let name = format!("\u{1}{index}");
    engine.add(&name, file, template)?;
    Ok(Part::Template { name, role })
}

#[cfg(test)]
mod tests;
