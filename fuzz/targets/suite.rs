//! Suite files, ours and promptfoo's: whatever is in them, every fault has a
//! place and a mend, and what reads without one can be prepared and asked.

#![no_main]

use domain::suite::{Answer, Case};
use libfuzzer_sys::fuzz_target;
use opsrepo::import::promptfoo;
use opsrepo::suite::parse;

fuzz_target!(|input: &[u8]| {
    let (suite, findings) = parse("s.yaml", input);
    for finding in &findings {
        assert!(!finding.message.is_empty() && !finding.mend.is_empty(), "{finding:?}");
        assert!(finding.place.as_ref().is_some_and(|p| p.file == "s.yaml"), "{finding:?}");
    }
    if let (Some(suite), []) = (&suite, findings.as_slice()) {
        if let Ok(prepared) = checks::score::prepare(suite, &|_| None) {
            let answer = Answer { text: "Two words. {\"a\": 1}".into(), ..Answer::default() };
            let case = suite.cases.first().cloned().unwrap_or_else(Case::default);
            let results = prepared.check(&case, &answer);
            assert_eq!(results.len(), suite.checks.len() + case.checks.len());
            for score in prepared.score(&case, &answer) {
                assert!(score.value.is_none_or(|v| (0.0..=1.0).contains(&v)), "{score:?}");
            }
        }
    }
    if let Ok(import) = promptfoo("p.yaml", input, "golden/p.jsonl") {
        // What is made of a foreign file reads as one of ours.
        let (again, _) = parse("s.yaml", import.suite_text().as_bytes());
        assert!(again.is_some());
    }
});
