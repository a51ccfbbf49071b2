//! `apps/<app>/prompts/<name>/prompt.yaml`: the messages of a prompt.
//!
//! ```yaml
//! apiVersion: tidegate/v1
//! version: 1.2.0
//! changelog: Ask for three bullets.
//! messages:
//!   - {role: system, template: system.j2}
//!   - {conversation: {}}
//! ```
//!
//! Templates lie beside the file. They may include partials: `prompts/_shared/`
//! at the root of the repository is for all apps, `apps/<app>/prompts/_shared/`
//! for one; where both have a file of the same name the app's own wins.

use super::{Fault, Format};
use semver::Version;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Most messages of a prompt.
const MAX_MESSAGES: usize = 50;

/// A prompt with the text of its templates.
#[derive(Clone, PartialEq, Eq)]
pub struct PromptSpec {
    /// Semantic version. A version never changes content.
    pub version: Version,
    /// What is new in this version.
    pub changelog: String,
    /// The messages, in order.
    pub messages: Vec<PromptMessageSpec>,
    /// Text of each template file the messages name.
    pub templates: BTreeMap<String, String>,
}

impl std::fmt::Debug for PromptSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PromptSpec")
            .field("version", &self.version)
            .field("messages", &self.messages)
            .field("templates", &self.templates.keys())
            .finish_non_exhaustive()
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromptMessageSpec {
    /// A rendered template.
    Template {
        /// `system`, `user` or `assistant`.
        role: String,
        /// File beside `prompt.yaml`.
        template: String,
    },
    /// The messages of the request go here.
    Conversation,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PromptFile {
    #[serde(rename = "apiVersion")]
    api_version: String,
    pub(crate) version: Version,
    pub(crate) changelog: String,
    messages: Vec<MessageLine>,
}

/// One entry of `messages`: either `role` and `template`, or `conversation`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageLine {
    #[serde(default)]
    role: Option<Speaker>,
    #[serde(default)]
    template: Option<String>,
    #[serde(default)]
    conversation: Option<Conversation>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Conversation {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Speaker {
    System,
    User,
    Assistant,
}

impl Speaker {
    fn key(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

impl MessageLine {
    fn spec(&self) -> Option<PromptMessageSpec> {
        match (self.role, &self.template, &self.conversation) {
            (Some(role), Some(template), None) => Some(PromptMessageSpec::Template {
                role: role.key().to_owned(),
                template: template.clone(),
            }),
            (None, None, Some(Conversation {})) => Some(PromptMessageSpec::Conversation),
            _ => None,
        }
    }
}

impl PromptFile {
    /// The messages; those of a wrong shape are faults and left out.
    pub(crate) fn messages(&self) -> Vec<PromptMessageSpec> {
        self.messages.iter().filter_map(MessageLine::spec).collect()
    }

    /// Template files the messages name, with the field that does.
    pub(crate) fn templates(&self) -> impl Iterator<Item = (String, &str)> {
        self.messages.iter().enumerate().filter_map(|(i, line)| {
            Some((format!("messages[{i}].template"), line.template.as_deref()?))
        })
    }
}

impl Format for PromptFile {
    const REQUIRED: &'static [&'static str] = &["apiVersion", "version", "changelog", "messages"];

    fn api_version(&self) -> &str {
        &self.api_version
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.changelog.trim().is_empty() {
            faults.push(Fault::new(
                "changelog",
                "empty_text",
                "`changelog` is empty",
                "say in a sentence what is new in this version",
            ));
        }
        if self.messages.is_empty() || self.messages.len() > MAX_MESSAGES {
            faults.push(Fault::new(
                "messages",
                "out_of_range",
                format!(
                    "a prompt has 1 to {MAX_MESSAGES} messages, this one has {}",
                    self.messages.len()
                ),
                "begin with `- {role: system, template: system.j2}`",
            ));
        }
        let mut conversations = 0;
        for (i, line) in self.messages.iter().enumerate() {
            conversations += usize::from(line.conversation.is_some());
            if line.spec().is_none() {
                faults.push(Fault::new(
                    format!("messages[{i}]"),
                    "bad_message",
                    "a message is either a template with a role or the place of the conversation",
                    "write `{role: system, template: system.j2}` or `{conversation: {}}`",
                ));
            }
            if let Some(template) = &line.template
                && !is_file_name(template)
            {
                faults.push(Fault::new(
                    format!("messages[{i}].template"),
                    "bad_file_name",
                    format!("`{template}` is not a template file beside `prompt.yaml`"),
                    "name a file of this folder that ends in `.j2`, for example `system.j2`",
                ));
            }
        }
        if conversations > 1 {
            faults.push(Fault::new(
                "messages",
                "conversation_twice",
                "the conversation has more than one place",
                "keep one `{conversation: {}}`",
            ));
        }
        faults
    }
}

/// True for `name.j2` without a path.
fn is_file_name(name: &str) -> bool {
    name.ends_with(".j2") && name.len() > 3 && !name.contains(['/', '\\', '\0'])
}
