//! What is asked: a case, a request that was answered, or what somebody typed.

use super::{Example, Input, MAX_OWN, MAX_TITLE};
use crate::changes::invalid;
use crate::problem::{Problem, ProblemKind};
use crate::{Control, wrong};
use domain::component::ComponentKind;
use domain::ids::AppName;
use domain::snapshot::{PromptContent, PromptMessage, ServedRelease, Variable};
use domain::suite::Case;
use evals::Loaded;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

impl Control {
    /// Variables and messages of an input.
    pub(super) async fn input(
        &self,
        app: &AppName,
        production: &ServedRelease,
        input: Input,
    ) -> Result<(Map<String, Value>, Vec<Value>), Problem> {
        let own = input.text.is_some() || !input.messages.is_empty();
        let given = [input.example.is_some(), input.request.is_some(), own];
        let many = given.iter().filter(|given| **given).count();
        if many > 1 || (many == 0 && input.variables.is_empty()) {
            return Err(invalid(
                "one_input",
                "an input is an `example`, a `request`, or your own `text`, `variables` or `messages`",
                "send one of them",
                "input",
            ));
        }
        let size = input.text.as_ref().map_or(0, String::len)
            + Value::Object(input.variables.clone()).to_string().len()
            + Value::Array(input.messages.clone()).to_string().len();
        if size > MAX_OWN {
            let detail = format!("an input has at most {MAX_OWN} bytes");
            return Err(invalid("input_too_long", &detail, "shorten it", "input"));
        }
        if let Some(example) = input.example {
            let case = self.case_named(app, &example).await?;
            let mut variables = case.variables;
            variables.extend(input.variables);
            return Ok((variables, case.messages));
        }
        if let Some(id) = input.request {
            let (variables, messages, _) = self.ask_again(app, &id, input.variables).await?;
            return Ok((variables, messages));
        }
        let prompt = production.contents.get(&ComponentKind::Prompt).cloned();
        let prompt: Option<PromptContent> = prompt.and_then(|p| serde_json::from_value(p).ok());
        own_input(prompt.as_ref(), input.variables, input.messages, input.text)
    }

    async fn case_named(&self, app: &AppName, example: &Example) -> Result<Case, Problem> {
        let files = self.files_of_main().await?;
        let (of, wanted) = (app.clone(), example.clone());
        let found = tokio::task::spawn_blocking(move || {
            let (loaded, _) = Loaded::all(&files, &of);
            let suite = loaded.into_iter().find(|suite| suite.name == wanted.suite)?;
            suite.cases.into_iter().find(|case| case.id == wanted.case)
        });
        found.await.map_err(|e| wrong("the suites", &e))?.ok_or_else(|| {
            Problem::new(
                ProblemKind::NotFound,
                "no_such_case",
                format!("{app} has no case `{}` in a suite `{}`", example.case, example.suite),
                "take one of those the page offers",
            )
            .at("input")
        })
    }
}

/// Variables and messages of what somebody typed. Their own values win over the
/// examples of the app's variables, so that one text is enough.
fn own_input(
    prompt: Option<&PromptContent>,
    given: Map<String, Value>,
    mut messages: Vec<Value>,
    text: Option<String>,
) -> Result<(Map<String, Value>, Vec<Value>), Problem> {
    let none = BTreeMap::new();
    let known: &BTreeMap<String, Variable> = prompt.map_or(&none, |prompt| &prompt.variables);
    let converses =
        prompt.is_none_or(|p| p.messages.iter().any(|m| matches!(m, PromptMessage::Conversation)));
    let mut variables = given.clone();
    if let Some(text) = text {
        if converses {
            messages.push(json!({"role": "user", "content": text}));
        } else {
            variables.insert(filled_by_text(known, &given)?, Value::from(text));
        }
    }
    for (name, variable) in known {
        if !variables.contains_key(name) && variable.default.is_none() {
            let example = variable.example.clone();
            variables.extend(example.map(|example| (name.clone(), example)));
        }
    }
    Ok((variables, messages))
}

/// The variable a text is for: the one required and not given, or among several
/// the one with the longest example, which is what people write.
fn filled_by_text(
    known: &BTreeMap<String, Variable>,
    given: &Map<String, Value>,
) -> Result<String, Problem> {
    let length = |v: &Variable| v.example.as_ref().and_then(Value::as_str).map_or(0, str::len);
    let open = known.iter().filter(|(name, v)| v.required && !given.contains_key(*name));
    open.max_by_key(|(_, variable)| length(variable)).map(|(name, _)| name.clone()).ok_or_else(
        || {
            invalid(
                "no_place_for_text",
                "the prompt has no open variable and no conversation for your text",
                "send `variables` instead",
                "input",
            )
        },
    )
}

/// What a case or a request says, for a title.
pub(super) fn shown(variables: &Map<String, Value>, messages: &[Value]) -> String {
    let said = messages.last().and_then(|m| m.get("content")).and_then(Value::as_str);
    let longest = variables.values().filter_map(Value::as_str).max_by_key(|text| text.len());
    said.or(longest).unwrap_or_default().to_owned()
}

/// The last message of a kept prompt.
pub(super) fn last_said(prompt: &str) -> String {
    let messages: Vec<Value> = serde_json::from_str(prompt).unwrap_or_default();
    shown(&Map::new(), &messages)
}

pub(super) fn title(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_TITLE) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(required: bool, example: Option<&str>) -> Variable {
        Variable { required, default: None, example: example.map(Value::from), description: None }
    }

    #[test]
    fn one_text_is_enough_for_a_prompt_of_variables() {
        let prompt = PromptContent {
            messages: Vec::new(),
            partials: BTreeMap::new(),
            variables: [
                ("transcript".to_owned(), variable(true, Some("a long talk about an order"))),
                ("language".to_owned(), variable(true, Some("English"))),
                ("tone".to_owned(), variable(false, None)),
            ]
            .into(),
        };
        let (variables, messages) =
            own_input(Some(&prompt), Map::new(), Vec::new(), Some("hello".to_owned())).unwrap();
        assert_eq!(variables["transcript"], "hello");
        assert_eq!(variables["language"], "English");
        assert!(messages.is_empty() && !variables.contains_key("tone"));
        let talk = PromptContent { messages: vec![PromptMessage::Conversation], ..prompt };
        let (_, messages) =
            own_input(Some(&talk), Map::new(), Vec::new(), Some("hello".to_owned())).unwrap();
        assert_eq!(messages, [json!({"role": "user", "content": "hello"})]);
        let empty = PromptContent {
            messages: Vec::new(),
            partials: BTreeMap::new(),
            variables: BTreeMap::new(),
        };
        let no = own_input(Some(&empty), Map::new(), Vec::new(), Some("x".to_owned()));
        assert_eq!(no.unwrap_err().code, "no_place_for_text");
    }

    #[test]
    fn titles_are_one_short_line() {
        assert_eq!(title("a\n b"), "a b");
        assert_eq!(title(&"ä".repeat(100)).chars().count(), MAX_TITLE + 1);
        assert_eq!(last_said(r#"[{"role":"user","content":"hi"}]"#), "hi");
        assert_eq!(last_said("no json"), "");
    }
}
