//! Server-sent events from a provider: whatever arrives, in whatever pieces,
//! nothing is lost, added or reordered, and every event ends where it is cut.

#![no_main]

use bytes::Bytes;
use connect::sse::{Cutter, events};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // The first byte says how large the pieces are.
    let Some((size, stream)) = input.split_first() else { return };
    let mut cutter = Cutter::default();
    let mut out = Vec::new();
    for piece in stream.chunks(usize::from(*size).max(1)) {
        let whole = cutter.push(Bytes::copy_from_slice(piece)).expect("input is far below the limit");
        let mut end = 0;
        for (offset, _) in events(&whole) {
            assert!(offset > end && offset <= whole.len(), "events overlap or run out");
            end = offset;
        }
        out.extend_from_slice(&whole);
    }
    out.extend_from_slice(&cutter.rest());
    assert_eq!(out, stream, "bytes were lost, added or reordered");
});
