//! A classifier outside the house that texts may be shown to: what
//! `tidegate.yaml` says of it. Asking it is for `connect`.

use crate::units::Span;
use serde::{Deserialize, Serialize};

/// What every name of a variable with a classifier's key begins with: a file in
/// git must not be able to send another secret of the server somewhere.
pub const KEY_PREFIX: &str = "TIDEGATE_CLASSIFIER_";
/// Longest time one text may take.
pub const MAX_TIMEOUT: Span = Span::from_secs(60);

/// A classifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classifier {
    /// Where texts are sent, whole.
    pub url: String,
    /// How it is asked and answers.
    #[serde(default)]
    pub shape: Shape,
    /// `model` of the request, for [`Shape::Openai`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Name of the server's environment variable with the key; it begins with
    /// [`KEY_PREFIX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_env: Option<String>,
    /// Longest time for one text.
    #[serde(default = "usual_timeout")]
    pub timeout: Span,
    /// From this score on a text is flagged. With [`Shape::Openai`] beside what
    /// the classifier itself flags, where it is given; 0.5 with [`Shape::Score`]
    /// where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag_at: Option<f64>,
    /// What a text it did not judge means.
    #[serde(default)]
    pub on_failure: OnFailure,
}

fn usual_timeout() -> Span {
    Span::from_secs(10)
}

/// How a classifier is asked and answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// `{"input", "model"}` → `{"results": [{"flagged", "categories",
    /// "category_scores"}]}`, as OpenAI's `/v1/moderations`.
    #[default]
    Openai,
    /// `{"text"}` → `{"score", "label"}`, the score in [0, 1].
    Score,
}

/// What a text means that the classifier did not judge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// People are told; the change goes on.
    #[default]
    Warn,
    /// The change does not go on without it.
    Fail,
}

/// What a classifier said of a text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judgement {
    /// True if it is not to pass.
    pub flagged: bool,
    /// Categories that were flagged, with their scores where there are any; the
    /// highest first.
    pub categories: Vec<(String, Option<f64>)>,
}
