//! One versioned, hashed input of an answer.

use crate::ids::Digest;
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// The kinds of input an answer depends on. A release has at most one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComponentKind {
    /// The calling program: repository and commit.
    Code,
    /// The message templates.
    Prompt,
    /// The model entry: provider, provider's own id, price, context window.
    Model,
    /// Temperature, token limits, seed and other sampling settings.
    Parameters,
    /// The tool manifest offered to the model.
    Tools,
    /// Run-time guardrails.
    Guards,
    /// The feature view joined into the prompt.
    FeatureView,
    /// The vector index: corpus snapshot, embedding model, chunker.
    Index,
    /// The judge that scores answers.
    Judge,
    /// Routing inside the app: which model for which request.
    Routing,
    /// The contract of the answers: JSON Schema, length, language.
    Answer,
}

impl ComponentKind {
    /// Every kind, in the order people read them.
    pub const ALL: [ComponentKind; 11] = [
        Self::Code,
        Self::Prompt,
        Self::Model,
        Self::Parameters,
        Self::Tools,
        Self::Guards,
        Self::FeatureView,
        Self::Index,
        Self::Judge,
        Self::Routing,
        Self::Answer,
    ];

    /// The key in manifests and files.
    pub fn key(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Prompt => "prompt",
            Self::Model => "model",
            Self::Parameters => "parameters",
            Self::Tools => "tools",
            Self::Guards => "guards",
            Self::FeatureView => "feature_view",
            Self::Index => "index",
            Self::Judge => "judge",
            Self::Routing => "routing",
            Self::Answer => "answer",
        }
    }
}

impl fmt::Display for ComponentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// A component as a manifest names it: what it is called and the digest of its
/// resolved content. The content itself lives under that digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// Name in the ops repo, for example `summary`.
    pub name: String,
    /// Semantic version. A version never changes content.
    pub version: Version,
    /// Digest of the canonical form of the content.
    pub digest: Digest,
}

impl Component {
    /// `name@version`, as people write it.
    pub fn label(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

/// A component with its content at hand.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ResolvedComponent {
    /// Name in the ops repo.
    pub name: String,
    /// Semantic version.
    pub version: Version,
    /// Everything that shapes an answer, and nothing that does not (no owner,
    /// no changelog). See [`crate::manifest`] for the canonical form.
    pub content: Value,
}

impl fmt::Debug for ResolvedComponent {
    /// The content may be a prompt: it stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}
