//! What a provider sends: server-sent events in whatever pieces, and whole
//! answers. Nothing is lost, added or reordered, and every event ends where it
//! is cut.

#![no_main]

use bytes::Bytes;
use connect::sse::{Cutter, events};
use connect::tap::{Heard, Tap, read_whole};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // The first byte says how large the pieces are.
    let Some((size, stream)) = input.split_first() else { return };
    let mut cutter = Cutter::default();
    let mut tap = Tap::default();
    let mut out = Vec::new();
    for piece in stream.chunks(usize::from(*size).max(1)) {
        let whole =
            cutter.push(Bytes::copy_from_slice(piece)).expect("input is far below the limit");
        let mut end = 0;
        for (offset, _) in events(&whole) {
            assert!(offset > end && offset <= whole.len(), "events overlap or run out");
            end = offset;
        }
        match tap.listen(&whole) {
            Heard::Fine => {}
            Heard::Done(at) | Heard::Error(at, _) | Heard::Garbage(at) => {
                assert!(at <= whole.len())
            }
        }
        out.extend_from_slice(&whole);
    }
    out.extend_from_slice(&cutter.rest());
    assert_eq!(out, stream, "bytes were lost, added or reordered");
    let _ = read_whole(stream);
});
