//! From a rendered prompt back to what was asked: the variables and messages a
//! request came with, where a template shows them plainly.
//!
//! Gateways keep what a model was told, redacted, and not what the caller sent.
//! To ask the same again, templates without blocks, filters or comments are read
//! backwards: `Ticket {{ ticket }}` and `Ticket 17` give `ticket`. Whatever is
//! recovered renders to the same text; what is not is named.

use domain::snapshot::{PromptContent, PromptMessage};
use regex::RegexBuilder;
use serde_json::{Map, Value};

/// Largest compiled form of one template, in bytes.
const MAX_PATTERN_SIZE: usize = 4 << 20;

/// What a request came with, as far as it shows.
#[derive(Clone, Default, PartialEq)]
pub struct Recovered {
    /// Its variables.
    pub variables: Map<String, Value>,
    /// Its messages.
    pub messages: Vec<Value>,
    /// Required variables that show nowhere.
    pub missing: Vec<String>,
}

impl std::fmt::Debug for Recovered {
    /// The values are what people sent.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recovered")
            .field("variables", &self.variables.keys())
            .field("messages", &self.messages.len())
            .field("missing", &self.missing)
            .finish()
    }
}

/// Reads the rendered messages of a request backwards. None if they are not what
/// this prompt renders to.
pub fn recover(prompt: &PromptContent, rendered: &[Value]) -> Option<Recovered> {
    let is_conversation = |m: &PromptMessage| matches!(m, PromptMessage::Conversation);
    let place = prompt.messages.iter().position(is_conversation).unwrap_or(prompt.messages.len());
    let (before, after) = prompt.messages.split_at(place);
    let after = after.get(1..).unwrap_or_default();
    let end = rendered.len().checked_sub(after.len())?;
    let (first, last) = (rendered.get(..before.len())?, rendered.get(end..)?);
    let mut found =
        Recovered { messages: rendered.get(before.len()..end)?.to_vec(), ..Recovered::default() };
    for (message, shown) in before.iter().zip(first).chain(after.iter().zip(last)) {
        let PromptMessage::Template { role, template, .. } = message else { return None };
        if shown["role"] != role.as_str() {
            return None;
        }
        read_back(template, shown["content"].as_str()?, &mut found.variables)?;
    }
    found.missing = prompt
        .variables
        .iter()
        .filter(|(name, variable)| {
            variable.required && variable.default.is_none() && !found.variables.contains_key(*name)
        })
        .map(|(name, _)| name.clone())
        .collect();
    Some(found)
}

/// Adds what one template shows. None if the text cannot be this template's; a
/// template that is more than text and plain names shows nothing.
fn read_back(template: &str, text: &str, variables: &mut Map<String, Value>) -> Option<()> {
    let Some((pattern, names)) = pattern(template) else { return Some(()) };
    let pattern = RegexBuilder::new(&pattern).size_limit(MAX_PATTERN_SIZE).build().ok()?;
    let captures = pattern.captures(text)?;
    for (i, name) in names.iter().enumerate() {
        let value = captures.get(i + 1)?.as_str();
        match variables.get(name) {
            Some(Value::String(known)) if known == value => {}
            Some(_) => return None,
            None => {
                variables.insert(name.clone(), Value::from(value));
            }
        }
    }
    Some(())
}

/// A regular expression over what the template renders to, and the names of its
/// groups in order.
fn pattern(template: &str) -> Option<(String, Vec<String>)> {
    if template.contains("{%") || template.contains("{#") {
        return None;
    }
    // The engine drops one line end at the end of a file.
    let template = template.strip_suffix('\n').unwrap_or(template);
    let template = template.strip_suffix('\r').unwrap_or(template);
    let (mut pattern, mut names, mut rest) = ("(?s)^".to_owned(), Vec::new(), template);
    while let Some((text, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}")?;
        let name = name.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !begins || !name.chars().all(plain) {
            return None;
        }
        pattern.push_str(&regex::escape(text));
        pattern.push_str("(.*?)");
        names.push(name.to_owned());
        rest = after;
    }
    pattern.push_str(&regex::escape(rest));
    pattern.push('$');
    Some((pattern, names))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Prompt;
    use crate::template::Rendered;
    use proptest::prelude::*;
    use serde_json::json;

    fn prompt(system: &str, user: &str) -> PromptContent {
        serde_json::from_value(json!({
            "messages": [
                {"kind": "template", "role": "system", "file": "s", "template": system},
                {"kind": "conversation"},
                {"kind": "template", "role": "user", "file": "u", "template": user},
            ],
            "variables": {"ticket": {"required": true}, "text": {"required": true},
                "language": {"required": false, "default": "English"}},
        }))
        .unwrap()
    }

    #[test]
    fn what_templates_show_is_read_back() {
        let prompt = prompt("Write in {{ language }}.\n", "Ticket {{ticket}}\n\n{{ text }}\n");
        let rendered = [
            json!({"role": "system", "content": "Write in French."}),
            json!({"role": "user", "content": "hello"}),
            json!({"role": "user", "content": "Ticket 17\n\nA: where?\nB: here."}),
        ];
        let found = recover(&prompt, &rendered).unwrap();
        assert_eq!(found.messages, [json!({"role": "user", "content": "hello"})]);
        assert_eq!(
            Value::Object(found.variables),
            json!({"language": "French", "ticket": "17", "text": "A: where?\nB: here."})
        );
        assert_eq!(found.missing, [""; 0]);
        let other = [json!({"role": "system", "content": "Read French."}), rendered[2].clone()];
        assert_eq!(recover(&prompt, &other), None, "another prompt's");
        assert_eq!(recover(&prompt, &rendered[..1]), None, "cut");
    }

    #[test]
    fn what_does_not_show_is_named() {
        let prompt = prompt("{% if language %}x{% endif %}", "{{ ticket }} {{ text | upper }}");
        let rendered =
            [json!({"role": "system", "content": "x"}), json!({"role": "user", "content": "1 A"})];
        let found = recover(&prompt, &rendered).unwrap();
        assert_eq!(found.missing, ["text", "ticket"]);
    }

    proptest! {
        #[test]
        fn what_is_recovered_renders_to_the_same(ticket in "[ -~]{0,12}", text in "(?s).{0,40}") {
            let content = prompt("Be brief.\n", "{{ ticket }}: {{ text }} ({{ ticket }})\n");
            let compiled = Prompt::compile(&content).unwrap();
            let texts = |vars: &Map<String, Value>| -> Vec<Value> {
                compiled
                    .render(vars)
                    .unwrap()
                    .into_iter()
                    .filter_map(|part| match part {
                        Rendered::Message { role, content } => Some(json!({"role": role, "content": content})),
                        Rendered::Conversation => None,
                    })
                    .collect()
            };
            let vars = json!({"ticket": ticket, "text": text}).as_object().unwrap().clone();
            let rendered = texts(&vars);
            // Where gaps could be cut in more than one way, the other way may not fit.
            if let Some(found) = recover(&content, &rendered) {
                prop_assert_eq!(texts(&found.variables), rendered);
            }
        }
    }
}
