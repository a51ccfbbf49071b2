//! Scanners: whatever the text, hits lie inside it on boundaries and in order,
//! the same text gives the same hits, and redacting twice is redacting once.

#![no_main]

use checks::redact::{mask, redact};
use checks::scan::terms::Terms;
use checks::scan::{Scanner, Wanted, injection};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let scanner = Scanner::new(Wanted::ALL).from_score(0).with_terms(Terms::new(["ab", "ü"]));
    let hits = scanner.scan(text);
    let mut last = 0;
    for hit in &hits {
        assert!(hit.range.start >= last && hit.score <= 100, "{hit:?}");
        assert!(text.get(hit.range.clone()).is_some_and(|t| !t.is_empty()), "{hit:?}");
        last = hit.range.start;
    }
    assert_eq!(hits, scanner.scan(text));
    for judged in [injection::judge(text), injection::judge_authored(text)] {
        assert!(judged.score <= 100 && text.get(judged.range.clone()).is_some());
    }
    assert_eq!(mask(text).len(), text.len());
    let once = redact(text);
    assert_eq!(redact(&once), once);
});
