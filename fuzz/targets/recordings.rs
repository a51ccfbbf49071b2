//! Recordings: every good line is kept, every bad one is a fault with its line.

#![no_main]

use domain::recording::{MAX_FAULTS, parse_jsonl};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (recordings, faults) = parse_jsonl(input);
    let lines = input.split(|b| *b == b'\n').count();
    assert!(recordings.len() + faults.len() <= lines);
    assert!(faults.len() <= MAX_FAULTS);
    for fault in &faults {
        assert!(fault.line >= 1 && (fault.line as usize) <= lines, "{fault}");
        assert!(!fault.problem.is_empty() && !fault.mend.is_empty());
    }
    // What was read reads again.
    for recording in &recordings {
        let line = serde_json::to_string(recording).expect("a recording can be written");
        let (again, faults) = parse_jsonl(line.as_bytes());
        assert_eq!((again.as_slice(), faults.len()), (std::slice::from_ref(recording), 0));
    }
});
