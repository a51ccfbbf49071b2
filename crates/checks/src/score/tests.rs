//! Suites as a whole: prepared, asked, measured.

use super::*;
use domain::suite::ToolCall;
use serde_json::{Value, json};

fn suite(value: Value) -> Suite {
    let mut whole = json!({"apiVersion": "tidegate/v1", "title": "t"});
    let (Value::Object(whole_map), Value::Object(more)) = (&mut whole, value) else { panic!() };
    whole_map.extend(more);
    serde_json::from_value(whole).unwrap()
}

fn case(value: Value) -> Case {
    let mut case: Case = serde_json::from_value(value).unwrap();
    "c".clone_into(&mut case.id);
    case
}

fn answer(text: &str) -> Answer {
    Answer { text: text.into(), ..Answer::default() }
}

#[test]
fn checks_of_the_suite_come_first_and_then_those_of_the_case() {
    let suite = suite(json!({"checks": [
        {"json_schema": "shape.json"},
        {"json_path": {"path": "$.items[?@.id == 2].name", "equals": "b"}},
        {"not_matches": "(?i)password"},
    ]}));
    let shape = json!({"type": "object", "required": ["items"]}).to_string();
    let prepared =
        prepare(&suite, &|file| (file == "shape.json").then(|| shape.clone().into_bytes()))
            .unwrap();
    let case =
        case(json!({"id": "c", "checks": [{"json_path": {"path": "$.gone", "exists": false}}]}));
    let good = answer("{\"items\": [{\"id\": 2, \"name\": \"b\"}]}");
    let results = prepared.check(&case, &good);
    assert_eq!(
        results.iter().map(|r| (r.check.as_str(), r.kept)).collect::<Vec<_>>(),
        [("json_schema", true), ("json_path", true), ("not_matches", true), ("json_path", true)]
    );
    let reasons: Vec<String> = prepared
        .check(&case, &answer("{\"items\": [{\"id\": 2, \"name\": \"Password\"}], \"gone\": 1}"))
        .into_iter()
        .map(|r| r.reason)
        .collect();
    assert_eq!(
        reasons,
        [
            "",
            "`$.items[?@.id == 2].name` is \"Password\", not \"b\"",
            "something matches `(?i)password`",
            "something is at `$.gone`"
        ]
    );
    let fenced = prepared.check(&case, &answer("```json\n{}\n```"));
    assert_eq!(fenced[0].reason, "the answer is in a code fence; it must be JSON and nothing else");
}

#[test]
fn no_answer_breaks_every_check_and_scores_nothing() {
    let suite = suite(json!({
        "checks": [{"not_contains": ["x"]}, {"no_tool_call": []}, {"refuses": false}],
        "scores": [{"metric": "f1"}, {"metric": "groundedness"}, {"metric": "ndcg"}, {"metric": "judge", "judge": "j"}],
    }));
    let prepared = prepare(&suite, &|_| None).unwrap();
    let case = case(json!({"id": "c", "relevant": {"d": 1}, "retrieved": ["d"]}));
    let failed = Answer { text: "x".into(), error: Some("timed out".into()), ..Answer::default() };
    for none in [answer(" \n"), failed] {
        assert!(prepared.check(&case, &none).iter().all(|result| !result.kept));
        assert!(prepared.score(&case, &none).iter().all(|score| score.value == Some(0.0)));
    }
    // A call is an answer.
    let call = ToolCall { name: "find".into(), arguments: json!({"documents": ["d"]}) };
    let called = Answer { tool_calls: vec![call], ..Answer::default() };
    let values: Vec<Option<f64>> =
        prepared.score(&case, &called).iter().map(|score| score.value).collect();
    assert_eq!(values, [None, None, Some(1.0), None]);
    assert_eq!(prepared.check(&case, &called).iter().filter(|r| r.kept).count(), 2);
}

#[test]
fn what_cannot_be_used_is_told_with_its_field() {
    let suite = suite(json!({
        "checks": [
            {"json_schema": "gone.json"},
            {"json_schema": {"properties": {"a": {"type": "strin"}}}},
            {"json_schema": {"pattern": "(?=a)"}},
            {"json_schema": {"$ref": "https://example.com/other.json"}},
            {"language": "klingon"},
            {"free": []},
        ],
        "cases": [{"id": "c", "checks": [{"contains": ""}]}],
    }));
    let found = prepare(&suite, &|_| None).unwrap_err();
    let fields: Vec<(&str, &str)> = found
        .iter()
        .map(|f| (f.code.as_str(), f.place.as_ref().unwrap().field.as_deref().unwrap()))
        .collect();
    assert_eq!(
        fields,
        [
            ("missing_file", "checks[0].json_schema"),
            ("bad_schema", "checks[1].json_schema"),
            ("bad_schema", "checks[2].json_schema"),
            ("bad_schema", "checks[3].json_schema"),
            ("unknown_word", "checks[4].language"),
            ("empty_text", "checks[5].free"),
            ("empty_text", "cases[0].checks[0].contains"),
        ]
    );
}

#[test]
fn a_schema_that_calls_itself_ends() {
    for schema in [
        json!({"$ref": "#"}),
        json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}),
        json!({"properties": {"next": {"$ref": "#"}}, "type": "object"}),
    ] {
        if let Ok(schema) = Schema::new(&schema) {
            let mut deep = json!({});
            for _ in 0..100 {
                deep = json!({ "next": deep });
            }
            assert_eq!(schema.broken_by(&deep), None);
        }
    }
}
