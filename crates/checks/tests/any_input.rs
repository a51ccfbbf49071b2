//! Nothing a user can write makes a public function panic or lose its own laws.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

use domain::component::{Component, ComponentKind};
use domain::finding::{Finding, Severity};
use domain::ids::Digest;
use domain::snapshot::{ModelContent, PromptContent, PromptMessage, Provider, Variable};
use domain::units::Timestamp;
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_checks::gate::{Production, Report, StaticInput, run_tiers, static_gates};
use tidegate_checks::lint::{PromptFiles, example, lint};
use tidegate_checks::template::{KeyTemplate, Prompt};

/// Texts in which tags open, close and nest more often than not.
fn template() -> impl Strategy<Value = String> {
    let parts = prop_oneof![
        Just("{{ ".to_owned()),
        Just(" }}".to_owned()),
        Just("{% if a %}".to_owned()),
        Just("{% elif b is defined %}".to_owned()),
        Just("{% endif %}".to_owned()),
        Just("{% for x, y in a|items %}".to_owned()),
        Just("{% endfor %}".to_owned()),
        Just("{% include 'p.j2' %}".to_owned()),
        Just("{% include a %}".to_owned()),
        Just("{% import 'p.j2' as m %}".to_owned()),
        Just("{% macro m(a, b=c) %}{{ a }}{% endmacro %}".to_owned()),
        Just("{% set s %}{{ s }}{% endset %}".to_owned()),
        Just("{% call m(1) %}x{% endcall %}".to_owned()),
        Just("{{ a.b[c](d, e=f)|g(h) is i }}".to_owned()),
        Just("{{ {'k': [a, (b, c)], 'l': a[1:2:3]} }}".to_owned()),
        Just("{{ a if b else c ~ -d ** 2 }}".to_owned()),
        "[a-z0-9 .,|~+*'\"()\\[\\]{}%#\n-]{1,6}",
        "\\PC{1,3}",
    ];
    prop::collection::vec(parts, 0..12).prop_map(|parts| parts.concat())
}

fn variable() -> impl Strategy<Value = Variable> {
    let value = prop_oneof![
        Just(None),
        Just(Some(json!("text"))),
        Just(Some(json!({"k": [1, null]}))),
        Just(Some(json!(7))),
    ];
    (any::<bool>(), value.clone(), value).prop_map(|(required, default, example)| Variable {
        required,
        default,
        example,
        description: None,
    })
}

fn prompt() -> impl Strategy<Value = PromptContent> {
    let roles = prop_oneof![Just("system"), Just("user"), Just("wizard")];
    let message = prop_oneof![
        4 => (roles, template()).prop_map(|(role, template)| PromptMessage::Template {
            role: role.into(),
            file: format!("prompts/x/{role}.j2"),
            template,
        }),
        1 => Just(PromptMessage::Conversation),
    ];
    (
        prop::collection::vec(message, 0..3),
        prop::collection::btree_map("[p-q]\\.j2", template(), 0..2),
        prop::collection::btree_map("[a-d]", variable(), 0..4),
    )
        .prop_map(|(messages, partials, variables)| PromptContent {
            messages,
            partials,
            variables,
        })
}

fn linted(content: &PromptContent) -> Vec<Finding> {
    lint(content, &PromptFiles::default(), None, &BTreeSet::new())
}

proptest! {
    #[test]
    fn what_the_linter_passes_renders(content in prompt()) {
        let errors = linted(&content).iter().any(|f| f.severity == Severity::Error);
        let (vars, lacking) = example(&content);
        if !errors && lacking.is_empty() {
            let rendered = Prompt::compile(&content).map(|p| p.render(&vars).map(drop));
            prop_assert!(matches!(rendered, Ok(Ok(()))), "{:?} {:?}", rendered, content);
        }
    }

    #[test]
    fn what_cannot_be_compiled_is_found(content in prompt()) {
        if Prompt::compile(&content).is_err() {
            prop_assert!(linted(&content).iter().any(|f| f.severity == Severity::Error));
        }
    }

    #[test]
    fn every_place_is_inside_its_file(content in prompt()) {
        for found in linted(&content) {
            let place = found.place.expect("every finding has a place");
            // Two messages may be made of one file name here: the longer text counts.
            let texts = content.messages.iter().filter_map(|message| match message {
                PromptMessage::Template { file, template, .. } if *file == place.file => {
                    Some(template.matches('\n').count() + 1)
                }
                _ => None,
            });
            if let (Some(lines), Some(line)) = (texts.max(), place.line) {
                prop_assert!(line as usize <= lines);
            }
        }
    }

    #[test]
    fn a_key_of_any_text_renders_or_says_why(text in template()) {
        if let Ok(key) = KeyTemplate::compile(&text) {
            key.render(json!({"a": [1], "b": "x"}).as_object().unwrap()).ok();
        }
    }

    #[test]
    fn gates_answer_for_any_release(
        new in prompt(),
        old in prompt(),
        versions in prop::collection::vec("[0-2]\\.[0-2]\\.[0-2]", 2),
        file in "\\PC{0,80}",
        tokenizer in prop_oneof![Just("o200k_base"), Just("o200k_bas")],
    ) {
        let component = |version: &str, content: &PromptContent| Component {
            name: "x".into(),
            version: version.parse().unwrap(),
            digest: Digest::of(&serde_json::to_vec(content).unwrap()),
        };
        let before = BTreeMap::from([(ComponentKind::Prompt, component(&versions[0], &old))]);
        let after = BTreeMap::from([(ComponentKind::Prompt, component(&versions[1], &new))]);
        let model = ModelContent {
            provider: Provider::Rules {},
            provider_model: "m".into(),
            context_window: 30,
            tokenizer: tokenizer.into(),
            price_input_per_million: 0.0,
            price_output_per_million: 0.0,
        };
        let app = "x".parse().unwrap();
        let input = StaticInput {
            app: &app,
            components: &after,
            prompt: Some(&new),
            partial_paths: &BTreeMap::new(),
            model: Some(&model),
            parameters: Some(&json!({"max_tokens": 10})),
            production: Some(Production { components: &before, prompt: Some(&old) }),
            files: &BTreeMap::from([("a.txt".to_owned(), file)]),
            forbidden_terms: &["a".to_owned()],
        };
        let report = Report { commit: "c".into(), release: None, finished_at: Timestamp(0) };
        let report = run_tiers(static_gates(input), report);
        prop_assert_eq!(report.gates.len(), 8);
        let again = run_tiers(
            static_gates(input),
            Report { commit: "c".into(), release: None, finished_at: Timestamp(0) },
        );
        prop_assert_eq!(report, again, "the same input gives the same findings");
    }
}

#[test]
fn deep_chains_of_includes_do_not_exhaust_the_stack() {
    let nest = |inner: &str| {
        format!("{}{inner}{}", "{% for a in b %}".repeat(70), "{% endfor %}".repeat(70))
    };
    let partials = (0..40)
        .map(|i| {
            (
                format!("{i}.j2"),
                nest(&format!("{{% include '{}.j2' %}}{{% include '{}.j2' %}}", i + 1, i + 2)),
            )
        })
        .collect();
    let content = PromptContent {
        messages: vec![PromptMessage::Template {
            role: "user".into(),
            file: "u.j2".into(),
            template: nest("{% include '0.j2' %}"),
        }],
        partials,
        variables: BTreeMap::new(),
    };
    assert!(linted(&content).iter().any(|f| f.code == "unknown_variable"));
}
