//! Server-sent events, cut at their boundaries and otherwise left alone.
//!
//! A stream is forwarded byte for byte, but only ever up to the end of a whole
//! event: when the upstream is cut inside one, the torn piece is dropped and an
//! error event can follow on a clean line. Nothing is copied while frames and
//! events fall together, which is how providers send.

use bytes::{Bytes, BytesMut};

/// Longest event accepted, in bytes.
pub const MAX_EVENT_BYTES: usize = 4 << 20;

/// An event grew beyond [`MAX_EVENT_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {MAX_EVENT_BYTES} bytes")]
pub struct EventTooLong;

/// Cuts arriving frames into pieces that hold whole events.
#[derive(Debug)]
pub struct Cutter {
    /// The begun event.
    tail: BytesMut,
    /// The line so far is empty.
    line_empty: bool,
    /// The last byte was a carriage return.
    after_cr: bool,
}

impl Default for Cutter {
    fn default() -> Self {
        Self { tail: BytesMut::new(), line_empty: true, after_cr: false }
    }
}

impl Cutter {
    /// Takes a frame; gives the bytes that now form whole events (maybe none).
    ///
    /// # Errors
    /// When an event is too long to hold.
    pub fn push(&mut self, mut frame: Bytes) -> Result<Bytes, EventTooLong> {
        let end = self.scan(&frame);
        let whole = if self.tail.is_empty() {
            frame.split_to(end)
        } else if end == 0 {
            Bytes::new()
        } else {
            self.tail.extend_from_slice(&frame.split_to(end));
            self.tail.split().freeze()
        };
        if self.tail.len().saturating_add(frame.len()) > MAX_EVENT_BYTES {
            return Err(EventTooLong);
        }
        self.tail.extend_from_slice(&frame);
        Ok(whole)
    }

    /// What is left when the stream ended: the torn event, or nothing.
    pub fn rest(&mut self) -> Bytes {
        self.tail.split().freeze()
    }

    /// Offset in the frame behind its last event; 0 if none ends in it.
    fn scan(&mut self, frame: &[u8]) -> usize {
        let mut end = 0;
        for (i, byte) in frame.iter().enumerate() {
            match byte {
                // The second half of CR LF belongs to the line that CR ended.
                b'\n' if self.after_cr => {
                    self.after_cr = false;
                    if end == i && i > 0 {
                        end = i + 1;
                    }
                }
                b'\n' | b'\r' => {
                    if self.line_empty {
                        end = i + 1;
                    }
                    self.line_empty = true;
                    self.after_cr = *byte == b'\r';
                }
                _ => {
                    self.line_empty = false;
                    self.after_cr = false;
                }
            }
        }
        end
    }
}

/// The events in bytes that hold whole ones: for each, the offset behind it and
/// its data. Comments and events without data have none.
pub fn events(bytes: &[u8]) -> impl Iterator<Item = (usize, Option<Vec<u8>>)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let mut data: Option<Vec<u8>> = None;
        let mut seen = false;
        while at < bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            let (line, next) = line(rest);
            at += next;
            if line.is_empty() {
                if seen {
                    return Some((at, data));
                }
                continue;
            }
            seen = true;
            if let Some(value) = line.strip_prefix(b"data:") {
                let value = value.strip_prefix(b" ").unwrap_or(value);
                match &mut data {
                    Some(all) => {
                        all.push(b'\n');
                        all.extend_from_slice(value);
                    }
                    None => data = Some(value.to_vec()),
                }
            }
        }
        seen.then_some((at, data))
    })
}

/// The first line without its end, and where the next one begins.
fn line(bytes: &[u8]) -> (&[u8], usize) {
    let Some(end) = bytes.iter().position(|b| matches!(b, b'\n' | b'\r')) else {
        return (bytes, bytes.len());
    };
    let (line, rest) = bytes.split_at(end);
    let width = if rest.starts_with(b"\r\n") { 2 } else { 1 };
    (line, end + width)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cuts `text` into frames of `size` bytes and gives the pieces and the rest.
    fn cut(text: &str, size: usize) -> (Vec<String>, String) {
        let mut cutter = Cutter::default();
        let mut pieces = Vec::new();
        for frame in text.as_bytes().chunks(size) {
            let piece = cutter.push(Bytes::copy_from_slice(frame)).expect("short");
            if !piece.is_empty() {
                pieces.push(String::from_utf8(piece.to_vec()).expect("whole"));
            }
        }
        (pieces, String::from_utf8(cutter.rest().to_vec()).expect("whole"))
    }

    #[test]
    fn every_byte_passes_whatever_the_frames() {
        for newline in ["\n", "\r\n", "\r"] {
            let text = format!(
                "data: eins{newline}{newline}: ping{newline}{newline}data: zwö{newline}data: lf{newline}{newline}"
            );
            for size in 1..=text.len() {
                let (pieces, rest) = cut(&text, size);
                assert_eq!(pieces.concat() + &rest, text, "{newline:?} {size}");
                let all: Vec<_> = events(pieces.concat().as_bytes())
                    .filter_map(|(_, data)| data)
                    .map(|d| String::from_utf8(d).expect("text"))
                    .collect();
                assert_eq!(all, ["eins", "zwö\nlf"], "{newline:?} {size}");
            }
        }
    }

    #[test]
    fn a_torn_event_is_held_back() {
        let (pieces, rest) = cut("data: a\n\ndata: {\"to", 7);
        assert_eq!(pieces.concat(), "data: a\n\n");
        assert_eq!(rest, "data: {\"to");
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut cutter = Cutter::default();
        let frame = Bytes::from(vec![b'x'; MAX_EVENT_BYTES]);
        assert_eq!(cutter.push(frame), Ok(Bytes::new()));
        assert_eq!(cutter.push(Bytes::from_static(b"x")), Err(EventTooLong));
    }
}
