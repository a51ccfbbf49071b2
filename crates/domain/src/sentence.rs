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
    /// A value is never read as a template itself.
    pub fn render(code: &str, template: &str, params: Map<String, Value>) -> Self {
        let mut text = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let value =
                after.split_once('}').and_then(|(key, tail)| Some((params.get(key)?, tail)));
            rest = match value {
                Some((Value::String(value), tail)) => {
                    text.push_str(value);
                    tail
                }
                Some((value, tail)) => {
                    text.push_str(&value.to_string());
                    tail
                }
                None => {
                    text.push('{');
                    after
                }
            };
        }
        text.push_str(rest);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_in_once_and_gaps_stay_visible() {
        for (template, want) in [
            ("{a} of {n}", "{n} of 3"),
            ("{n}{n}", "33"),
            ("{missing} stays", "{missing} stays"),
            ("{ {n}", "{ 3"),
            ("open {", "open {"),
            ("plain", "plain"),
        ] {
            let sentence = Sentence::render("c", template, params! {"a" => "{n}", "n" => 3});
            assert_eq!(sentence.text, want);
        }
    }
}
