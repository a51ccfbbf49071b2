use super::super::MAX_RENDERED_BYTES;
use super::*;
use serde_json::json;

fn template(role: &str, text: &str) -> PromptMessage {
    PromptMessage::Template { role: role.into(), file: format!("{role}.j2"), template: text.into() }
}

fn content(
    messages: Vec<PromptMessage>,
    partials: &[(&str, &str)],
    variables: serde_json::Value,
) -> PromptContent {
    PromptContent {
        messages,
        partials: partials.iter().map(|(n, t)| ((*n).into(), (*t).into())).collect(),
        variables: serde_json::from_value(variables).unwrap(),
    }
}

fn vars(value: serde_json::Value) -> Map<String, serde_json::Value> {
    value.as_object().unwrap().clone()
}

fn one(
    text: &str,
    variables: serde_json::Value,
    sent: serde_json::Value,
) -> Result<String, RenderError> {
    let prompt = Prompt::compile(&content(vec![template("user", text)], &[], variables)).unwrap();
    match prompt.render(&vars(sent))?.first() {
        Some(Rendered::Message { content, .. }) => Ok(content.clone()),
        other => panic!("no message: {other:?}"),
    }
}

#[test]
fn prompts_are_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Prompt>();
    shared::<super::super::KeyTemplate>();
}

#[test]
fn messages_partials_and_conversation_come_in_order() {
    let content = content(
        vec![
            template("system", "Be kind.{% include 'rules.j2' %}"),
            PromptMessage::Conversation,
            template("user", "Sum up: {{ text }}\n"),
        ],
        &[("rules.j2", " Name {{ text|length }} facts.")],
        json!({"text": {}}),
    );
    let rendered =
        Prompt::compile(&content).unwrap().render(&vars(json!({"text": "a <b>"}))).unwrap();
    assert_eq!(
        rendered,
        [
            Rendered::Message { role: "system", content: "Be kind. Name 5 facts.".into() },
            Rendered::Conversation,
            Rendered::Message { role: "user", content: "Sum up: a <b>".into() },
        ]
    );
}

#[test]
fn the_conversation_goes_last_if_nowhere() {
    let prompt = Prompt::compile(&content(vec![template("system", "x")], &[], json!({}))).unwrap();
    assert_eq!(prompt.render(&Map::new()).unwrap().last(), Some(&Rendered::Conversation));
}

#[test]
fn all_missing_variables_are_named_and_null_is_missing() {
    let declared = json!({"a": {}, "b": {}, "c": {"default": "x"}, "d": {"required": false}});
    let error = one("{{ a }}{{ b }}{{ c }}", declared, json!({"b": null})).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the request lacks the variables `a`, `b`; send them in `tidegate.vars`"
    );
}

#[test]
fn defaults_fill_gaps_and_optional_variables_may_be_asked_for() {
    let declared = json!({"tone": {"default": "calm"}, "note": {"required": false}});
    let text = "{{ tone }}{% if note is defined %} {{ note }}{% endif %}";
    assert_eq!(one(text, declared.clone(), json!({})).unwrap(), "calm");
    assert_eq!(one(text, declared, json!({"note": "hi", "tone": "brisk"})).unwrap(), "brisk hi");
}

#[test]
fn undeclared_variables_do_not_reach_templates() {
    let error = one("{{ secret }}", json!({}), json!({"secret": "s3"})).unwrap_err();
    assert!(error.to_string().contains("`secret` has no value"), "{error}");
}

#[test]
fn errors_never_quote_values() {
    for text in ["{{ v|int }}", "{{ v + 1 }}", "{{ v.a.b }}", "{{ v() }}", "{{ v|batch('x') }}"] {
        let error = one(text, json!({"v": {}}), json!({"v": "hunter2-value"})).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{text}: {error}");
    }
}

#[test]
fn endless_work_is_refused() {
    let loops = "{% for a in range(9999) %}{% for b in range(9999) %}.{% endfor %}{% endfor %}";
    let big = format!("{{{{ 'x' * {} }}}}", MAX_RENDERED_BYTES + 1);
    let captured = format!(
        "{{% set x = 'y' * {} %}}{{% set z %}}{{% for i in range(99) %}}{{{{ x }}}}{{% endfor %}}{{% endset %}}",
        MAX_RENDERED_BYTES / 10
    );
    let recursive = "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}";
    for (text, part) in [
        (loops, "too many steps"),
        (big.as_str(), "is longer than"),
        (captured.as_str(), "is longer than"),
        (recursive, "too deep"),
        ("{{ 'abc'[::-9223372036854775808] }}", "engine failed"),
    ] {
        let error = one(text, json!({}), json!({})).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn filters_cannot_be_made_to_fill_the_memory() {
    let sent = json!({"v": "a\nb", "n": 4_000_000_000_u64, "l": [1]});
    let declared = json!({"v": {}, "n": {}, "l": {}});
    for (text, why) in [
        ("{{ v | indent(n) }}", "number"),
        ("{{ v | indent(width=n) }}", "number"),
        ("{{ l | batch(n, 0) | length }}", "number"),
        ("{{ l | slice(n) | length }}", "number"),
        ("{{ l | tojson(n) }}", "number"),
        ("{{ '%4000000000d' | format(7) }}", "width"),
        ("{{ '%*d' | format(4000000000, 7) }}", "width"),
        ("{{ '%.99999d' | format(7) }}", "width"),
        ("{{ (l * 90000000) | list | length }}", "too long for a filter"),
        ("{{ (l * 90000000) | sort | length }}", "too long for a filter"),
        ("{{ ('x' * 90000) | replace('x', 'y' * 90000) | length }}", "result of a filter"),
        ("{{ (['x' * 90000] * 9000) | join('') | length }}", "result of a filter"),
    ] {
        let error = one(text, declared.clone(), sent.clone()).unwrap_err();
        assert!(error.to_string().contains(why), "{text}: {error}");
    }
}

#[test]
fn filters_do_their_work_behind_the_bounds() {
    let sent = json!({"l": [3, 1, 2], "s": "a\nb"});
    for (text, rendered) in [
        ("{{ l | sort | join(', ') }}", "1, 2, 3"),
        ("{{ s | indent(2) }}", "a\n  b"),
        ("{{ '%.2f' | format(3.14159) }}", "3.14"),
        ("{{ l | map('string') | list | length }}", "3"),
        ("{{ l | select('odd') | join }}", "31"),
        ("{{ s | replace('a', 'c') | upper }}", "C\nB"),
        ("{{ l | batch(2, 0) | list | tojson }}", "[[3, 1], [2, 0]]"),
        ("{{ missing | default('x') }}{{ missing | d('y') }}", "xy"),
        ("{{ l | sort(reverse=true) | first }}", "3"),
    ] {
        let declared = json!({"l": {}, "s": {}});
        assert_eq!(one(text, declared, sent.clone()).as_deref(), Ok(rendered), "{text}");
    }
}

#[test]
fn nesting_is_refused_before_it_reaches_the_stack() {
    for text in [
        format!("{{{{ {}1 }}}}", "1+".repeat(50_000)),
        format!("{{{{ a{} }}}}", ".b".repeat(50_000)),
        format!("{{{{ {}1{} }}}}", "(".repeat(50_000), ")".repeat(50_000)),
        format!("{{{{ a{} }}}}", "|upper".repeat(30_000)),
        "{% if a %}".repeat(20_000),
        format!("{{{{ {}a }}}}", "not ".repeat(50_000)),
        format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}".repeat(20_000)),
        "x".repeat(300 * 1024),
    ] {
        let content = content(vec![template("user", &text)], &[], json!({}));
        Prompt::compile(&content).unwrap_err();
    }
}

#[test]
fn includes_see_nothing_but_partials() {
    for text in ["{% include '/etc/passwd' %}", "{% include 'user.j2' %}"] {
        let error = one(text, json!({}), json!({})).unwrap_err();
        assert!(error.to_string().contains("does not exist"), "{error}");
    }
}

#[test]
fn syntax_errors_have_a_place_and_a_caret() {
    let bad = content(vec![template("system", "Hello\n{{ name")], &[], json!({}));
    let error = Prompt::compile(&bad).unwrap_err();
    assert_eq!(error.place.line, Some(2));
    insta::assert_snapshot!(format!("{error}\n{}", error.excerpt));
}

#[test]
fn unknown_roles_are_refused() {
    let bad = content(vec![template("robot", "x")], &[], json!({}));
    let error = Prompt::compile(&bad).unwrap_err();
    assert!(error.to_string().contains("`robot` is not a role"), "{error}");
}

proptest::proptest! {
    #[test]
    fn no_template_panics(text in r"(\{\{|\}\}|\{%|%\}|\{#|#\}|[a-c]|[ |.()\[\]:,+*~'-]|if|endif|for|in|set|\PC){0,40}") {
        let content = content(vec![template("user", &text)], &[("a", "{{ a }}")], json!({"a": {}}));
        if let Ok(prompt) = Prompt::compile(&content) {
            prompt.render(&vars(json!({"a": [1, {"b": "ü"}]}))).ok();
        }
    }
}
