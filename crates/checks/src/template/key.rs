//! Templates that name a recording: one line over the request's variables.

use super::engine::Engine;
use super::error::{RenderError, TemplateError};
use super::values;
use serde_json::{Map, Value};

const NAME: &str = "key";
const FILE: &str = "recording key";

/// A compiled key template of a `replay` provider.
pub struct KeyTemplate {
    engine: Engine,
    text: String,
}

impl std::fmt::Debug for KeyTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("KeyTemplate").field(&self.text).finish()
    }
}

impl KeyTemplate {
    /// Compiles `text`, for example `{{ conversation_id }}`.
    pub fn compile(text: &str) -> Result<Self, TemplateError> {
        let mut engine = Engine::new();
        engine.add(NAME, FILE, text)?;
        Ok(Self { engine, text: text.to_owned() })
    }

    /// The template as written; a missing recording's error names it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The key of a request. All its variables may be used, declared or not;
    /// space around the key is dropped.
    pub fn render(&self, vars: &Map<String, Value>) -> Result<String, RenderError> {
        let values = vars.iter().map(|(name, value)| (name.clone(), values::value(value)));
        let rendered = self.engine.render(NAME, values::context(values.collect()))?;
        Ok(rendered.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn vars(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_key_is_made_of_the_requests_variables() {
        let key = KeyTemplate::compile("{{ set }}/{{ id }}\n").unwrap();
        assert_eq!(key.render(&vars(json!({"set": "qa", "id": 7}))).unwrap(), "qa/7");
    }

    #[test]
    fn a_missing_variable_is_named_with_its_place() {
        let key = KeyTemplate::compile("{{ id }}").unwrap();
        let error = key.render(&vars(json!({}))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`recording key` line 1, column 4: `id` has no value; guard it with `is defined` or `default`"
        );
    }
}
