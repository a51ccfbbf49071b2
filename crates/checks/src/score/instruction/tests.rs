//! Every instruction: one answer that follows it and one that does not.

use super::*;
use serde_json::json;

fn instruction(id: &str, with: Value) -> Result<Instruction, Fault> {
    Instruction::new(&InstructionRule {
        id: id.to_owned(),
        with: with.as_object().cloned().unwrap_or_default(),
    })
}

#[test]
fn every_pattern_compiles() {
    assert!(form::PATTERNS.iter().all(|pattern| pattern.is_some()));
}

#[test]
fn each_is_kept_by_one_answer_and_broken_by_another() {
    let cases = [
        ("keywords:existence", json!({"keywords": ["Refund"]}), "a refund", "a return"),
        (
            "keywords:frequency",
            json!({"keyword": "go", "frequency": 2, "relation": "at least"}),
            "Go, ago",
            "go",
        ),
        ("keywords:forbidden_words", json!({"forbidden_words": ["art"]}), "party", "the art."),
        (
            "keywords:letter_frequency",
            json!({"letter": "E", "let_frequency": 2, "let_relation": "less than"}),
            "east",
            "eel",
        ),
        (
            "language:response_language",
            json!({"language": "de"}),
            "Das ist eine gute Frage.",
            "This is the right question.",
        ),
        (
            "length_constraints:number_sentences",
            json!({"num_sentences": 2, "relation": "at least"}),
            "Dr. No came. He left!",
            "He came, e.g. by car.",
        ),
        (
            "length_constraints:number_paragraphs",
            json!({"num_paragraphs": 2}),
            "a\n***\nb",
            "a\n***\n***\nb",
        ),
        (
            "length_constraints:number_words",
            json!({"num_words": 3, "relation": "less than"}),
            "it's",
            "it's me",
        ),
        (
            "length_constraints:nth_paragraph_first_word",
            json!({"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Then"}),
            "a\n\n\"Then, b",
            "a\n\nThus b",
        ),
        (
            "detectable_content:number_placeholders",
            json!({"num_placeholders": 1}),
            "Dear [name]",
            "Dear you",
        ),
        (
            "detectable_content:postscript",
            json!({"postscript_marker": "P.S."}),
            "x\nP. S. y",
            "x\nPS y",
        ),
        (
            "detectable_format:number_bullet_lists",
            json!({"num_bullets": 2}),
            "* a\n- b",
            "* a\n** b",
        ),
        ("detectable_format:constrained_response", json!({}), "My answer is no.", "No."),
        (
            "detectable_format:number_highlighted_sections",
            json!({"num_highlights": 2}),
            "*a* b *c*",
            "*a* b * *",
        ),
        (
            "detectable_format:multiple_sections",
            json!({"section_spliter": "Part", "num_sections": 2}),
            "Part 1 a Part 2 b",
            "Part 1 a Part two",
        ),
        ("detectable_format:json_format", json!({}), "```json\n{\"a\": 1}\n```", "{a: 1}"),
        ("detectable_format:title", json!({}), "<<On tests>>\nx", "<< >>"),
        ("combination:two_responses", json!({}), "a\n******\nb", "a\n******\na"),
        ("combination:repeat_prompt", json!({"prompt_to_repeat": "Say hi"}), "say hi: hi", "hi"),
        (
            "startend:end_checker",
            json!({"end_phrase": "That is all."}),
            "x that is all.\"",
            "that is all, x",
        ),
        ("startend:quotation", json!({}), " \"a\" ", "\"a"),
        (
            "change_case:capital_word_frequency",
            json!({"capital_frequency": 1, "capital_relation": "at least"}),
            "NASA flew",
            "Nasa flew",
        ),
        ("change_case:english_capital", json!({}), "THE CAT IS ON THE MAT", "The CAT"),
        ("change_case:english_lowercase", json!({}), "the cat is on the mat", "The cat"),
        ("punctuation:no_comma", json!({}), "a b", "a, b"),
    ];
    assert_eq!(cases.len(), KNOWN.len());
    for (id, with, good, bad) in cases {
        let instruction = instruction(id, with).unwrap_or_else(|fault| panic!("{id}: {fault:?}"));
        assert_eq!(instruction.kept(good), Ok(()), "{id}");
        assert!(instruction.kept(bad).is_err(), "{id}");
    }
}

#[test]
fn faults_name_the_setting_and_the_nearest_instruction() {
    let fault = instruction("length_constraint:number_words", json!({})).unwrap_err();
    assert_eq!(fault.mend, "did you mean `length_constraints:number_words`?");
    let fault = instruction("startend:quotation", json!({"end": "x"})).unwrap_err();
    assert_eq!((fault.field.as_str(), fault.code), ("instruction.with.end", "unknown_field"));
    let with = json!({"num_words": 5, "relation": "about"});
    let fault = instruction("length_constraints:number_words", with).unwrap_err();
    assert_eq!(fault.message, "`relation` must be `at least` or `less than`");
    // IFEval writes what does not apply as null.
    assert!(instruction("startend:quotation", json!({"end_phrase": null})).is_ok());
}
