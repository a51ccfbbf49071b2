//! Whatever an answer and a case say: every check has a result with a reason, no
//! score leaves [0, 1], and the same is said again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

use domain::suite::{Answer, Case, Suite, ToolCall};
use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_checks::score::{prepare, statements};

/// Every check and every measure.
fn suite() -> Suite {
    let instruction = |id: &str, with: Value| json!({"instruction": {"id": id, "with": with}});
    serde_json::from_value(json!({
        "apiVersion": "tidegate/v1",
        "title": "t",
        "checks": [
            {"equals": "a"}, {"contains": "a"}, {"contains_any": ["a", "b"]},
            {"contains_all": ["a", "b"]}, {"not_contains": ["a"]}, {"matches": "(?i)a+b"},
            {"not_matches": "\\bx\\b"}, {"json_schema": {"type": "object", "properties": {"a": {"$ref": "#"}}}},
            {"json_path": {"path": "$..a[?@.b == 1]", "equals": 1}},
            {"length": {"unit": "sentences", "at_most": 3}}, {"length": {"at_least": 2}},
            {"language": "en"}, {"tool_call": {"name": "t", "arguments": {"a": 1}}},
            {"no_tool_call": []}, {"refuses": false}, {"free": ["secrets", "personal_data", "injection"]},
            instruction("length_constraints:number_sentences", json!({"num_sentences": 2, "relation": "at least"})),
            instruction("length_constraints:nth_paragraph_first_word", json!({"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "a"})),
            instruction("length_constraints:number_paragraphs", json!({"num_paragraphs": 1})),
            instruction("keywords:forbidden_words", json!({"forbidden_words": ["é", "a b"]})),
            instruction("detectable_format:number_bullet_lists", json!({"num_bullets": 1})),
            instruction("detectable_format:multiple_sections", json!({"section_spliter": "S", "num_sections": 1})),
            instruction("detectable_content:postscript", json!({"postscript_marker": "P.S."})),
            instruction("change_case:english_lowercase", json!({})),
            instruction("combination:two_responses", json!({})),
        ],
        "scores": [
            {"metric": "exact_match"}, {"metric": "f1"}, {"metric": "bleu"}, {"metric": "rouge1"},
            {"metric": "rouge2"}, {"metric": "rouge_l"}, {"metric": "recall"},
            {"metric": "similarity"}, {"metric": "groundedness"}, {"metric": "recall_at_k", "k": 2},
            {"metric": "ndcg"}, {"metric": "judge", "judge": "j"},
        ],
    }))
    .unwrap()
}

fn text() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        Just("I'm sorry, but I can't help. ".to_owned()),
        Just("***\n* a\n- b\n<<T>> [x] *h* **s** P.S. S 1 ******".to_owned()),
        Just("{\"a\": [{\"b\": 1}]}".to_owned()),
        Just("The order of 3 items, 1,200.50 euros, was not sent to Oslo.".to_owned()),
        Just("e.g. Mr. X. “Ja”… 東京。".to_owned()),
        "\\PC{0,20}",
        ".{0,6}",
        "[a-z .,!?\n]{0,40}",
    ];
    prop::collection::vec(pieces, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_answer_has_a_result(answer in text(), reference in text(), context in text(), id in "[ab]{1,2}", call in any::<bool>()) {
        let suite = suite();
        let prepared = prepare(&suite, &|_| None).unwrap();
        let case = Case {
            id: "c".into(),
            expected: vec![reference, "a b".into()],
            context: Some(context.clone()),
            relevant: [("a".to_owned(), 1.0), (id.clone(), f64::NAN)].into(),
            retrieved: vec![id.clone(), id],
            ..Case::default()
        };
        let arguments = json!({"a": 1.0, "documents": [answer.clone(), {"id": "a"}, null]});
        let tool_calls = if call { vec![ToolCall { name: "t".into(), arguments }] } else { Vec::new() };
        let answer = Answer { text: answer, tool_calls, ..Answer::default() };
        let results = prepared.check(&case, &answer);
        prop_assert_eq!(results.len(), suite.checks.len());
        for result in &results {
            prop_assert_eq!(result.kept, result.reason.is_empty());
        }
        let scores = prepared.score(&case, &answer);
        prop_assert_eq!(scores.len(), suite.scores.len());
        for score in &scores {
            prop_assert!(score.value.is_none_or(|value| (0.0..=1.0).contains(&value)), "{score:?}");
            prop_assert!(score.value.is_some() || !score.note.is_empty());
        }
        prop_assert!(statements(&answer.text, &context).iter().all(|s| answer.text.contains(&s.text)));
        prop_assert_eq!(results, prepared.check(&case, &answer));
        prop_assert_eq!(scores, prepared.score(&case, &answer));
    }
}
