//! Prompt templates: what compiles renders within its bounds or fails with a
//! sentence, and the linter survives what does not compile.

#![no_main]

use checks::lint::{PromptFiles, example, lint};
use checks::template::{KeyTemplate, MAX_RENDERED_BYTES, Prompt, Rendered};
use domain::snapshot::{PromptContent, PromptMessage, Variable};
use libfuzzer_sys::fuzz_target;
use std::collections::{BTreeMap, BTreeSet};

fuzz_target!(|text: &str| {
    // A zero byte sets a partial apart.
    let (template, partial) = text.split_once('\0').unwrap_or((text, ""));
    let variable = |example: serde_json::Value| Variable {
        required: true,
        default: None,
        example: Some(example),
        description: None,
    };
    let content = PromptContent {
        messages: vec![
            PromptMessage::Template {
                role: "system".to_owned(),
                file: "system.j2".to_owned(),
                template: template.to_owned(),
            },
            PromptMessage::Conversation,
        ],
        partials: BTreeMap::from([("part.j2".to_owned(), partial.to_owned())]),
        variables: BTreeMap::from([
            ("name".to_owned(), variable("Amara".into())),
            ("items".to_owned(), variable(serde_json::json!([1, "two", {"three": 3}]))),
        ]),
    };
    for finding in lint(&content, &PromptFiles::default(), None, &BTreeSet::new()) {
        assert!(!finding.message.is_empty(), "{finding:?}");
    }
    let (values, _) = example(&content);
    if let Ok(prompt) = Prompt::compile(&content) {
        match prompt.render(&values) {
            Ok(parts) => {
                for part in parts {
                    if let Rendered::Message { content, .. } = part {
                        assert!(content.len() <= MAX_RENDERED_BYTES);
                    }
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    if let Ok(key) = KeyTemplate::compile(template) {
        let _ = key.render(&values);
    }
});
