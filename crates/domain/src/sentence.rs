//! Sentences people read, authored once.
//!
//! Every verdict, decision, timeline row and error is `{code, params, text}`:
//! `text` is English, rendered here; an interface may re-render `code` and
//! `params` in another language but never invents a sentence of its own.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One sentence with what it was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentence {
    /// Stable code, for example `rolled_back`.
    pub code: String,
    /// The values in it, machine-readable.
    pub params: Map<String, Value>,
    /// The sentence in English.
    pub text: String,
}

impl Sentence {
    /// A sentence from a template: `{name}` is replaced by the parameter.
    /// A missing parameter stays visible as `{name}`, so that tests find it.
    pub fn render(code: &str, template: &str, params: Map<String, Value>) -> Self {
        let mut text = template.to_owned();
        for (key, value) in &params {
            let shown = match value {
                Value::String(s) => s.clone(),
                other => other.to_string(),
            };
            text = text.replace(&format!("{{{key}}}"), &shown);
        }
        Self { code: code.to_owned(), params, text }
    }
}

/// `params!{ "n" => 3 }`: the parameters of a [`Sentence`].
#[macro_export]
macro_rules! params {
    ($($key:literal => $value:expr),* $(,)?) => {{
        #[allow(unused_mut, reason = "empty parameter lists are allowed")]
        let mut map = ::serde_json::Map::new();
        $( map.insert($key.to_owned(), ::serde_json::json!($value)); )*
        map
    }};
}
