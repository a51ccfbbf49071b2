//! Files of cases: every line is a case or has a finding with its number, and a
//! case that reads can be asked about any answer.

#![no_main]

use domain::suite::{Answer, Suite};
use libfuzzer_sys::fuzz_target;
use opsrepo::suite::{CaseIds, CaseReader};

fuzz_target!(|input: &[u8]| {
    let lines = input.split(|b| *b == b'\n').count();
    let suite: Suite = serde_json::from_str(
        r#"{"apiVersion": "tidegate/v1", "title": "t", "scores": [{"metric": "rouge_l"},
            {"metric": "bleu"}, {"metric": "f1"}, {"metric": "similarity"},
            {"metric": "groundedness"}, {"metric": "recall_at_k"}, {"metric": "ndcg"}]}"#,
    )
    .expect("a suite");
    let prepared = checks::score::prepare(&suite, &|_| None).expect("no check");
    let mut read = 0;
    for item in CaseReader::new("c.jsonl", input, CaseIds::default()) {
        match item {
            Ok(case) => {
                read += 1;
                // The case's own text is as good an answer as any.
                let text = case.expected.first().or(case.context.as_ref()).unwrap_or(&case.id);
                let answer = Answer { text: text.clone(), ..Answer::default() };
                assert_eq!(prepared.check(&case, &answer).len(), case.checks.len());
                for score in prepared.score(&case, &answer) {
                    assert!(score.value.is_none_or(|v| (0.0..=1.0).contains(&v)), "{score:?}");
                }
            }
            Err(finding) => {
                let line = finding.place.as_ref().and_then(|place| place.line).unwrap_or(0);
                assert!(line >= 1 && (line as usize) <= lines, "{finding:?}");
                assert!(!finding.message.is_empty() && !finding.mend.is_empty());
                assert!(finding.excerpt.is_none(), "a finding about a case quotes nothing");
            }
        }
    }
    assert!(read <= lines);
});
