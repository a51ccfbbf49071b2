//! Undoing what makes a text look different from what it says: invisible
//! characters, look-alike letters, letters written as digits.

use crate::scan::hidden::{self, plain_letter};

/// The text without invisible characters and with look-alikes replaced; none if
/// that changes nothing. Tag characters become the ASCII they spell.
pub(super) fn plain(text: &str) -> Option<String> {
    let mut changed = false;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{e0020}'..='\u{e007e}' => {
                changed = true;
                out.extend(char::from_u32(u32::from(c) - 0xe0000));
            }
            c if hidden::is_invisible(c) => changed = true,
            c => match plain_letter(c) {
                Some(letter) => {
                    changed = true;
                    out.push(letter);
                }
                None => out.push(c),
            },
        }
    }
    changed.then_some(out)
}

/// True if [`plain`] does not leave this character as it is.
pub(super) fn changes(c: char) -> bool {
    !c.is_ascii() && (hidden::is_invisible(c) || plain_letter(c).is_some())
}

/// Digits and signs read as the letters they stand for.
pub(super) fn unleet(text: &str) -> String {
    let letter = |c: char| match c {
        '0' => 'o',
        '1' | '!' | '|' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' | '+' => 't',
        '8' => 'b',
        other => other,
    };
    text.chars().map(letter).collect()
}

/// Each letter moved so many places on in the alphabet.
pub(super) fn rotate(text: &str, by: u8) -> String {
    let turn = |c: char| {
        let base = match c {
            'a'..='z' => b'a',
            'A'..='Z' => b'A',
            _ => return c,
        };
        u8::try_from(c).map_or(c, |b| char::from(base + (b - base + by) % 26))
    };
    text.chars().map(turn).collect()
}

/// The text backwards, by characters.
pub(super) fn backwards(text: &str) -> String {
    text.chars().rev().collect()
}

/// Bytes of base 64, in the usual or the URL alphabet; none if it is not.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let mut bits = 0_u32;
    let mut count = 0_u32;
    for b in text.trim_end_matches('=').bytes() {
        let value = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0x00ff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(out)
}

/// Bytes of numbers in base 2 or 16, their digits in groups or not.
pub(super) fn digits(text: &str, base: u32) -> Option<Vec<u8>> {
    let per_byte = if base == 2 { 8 } else { 2 };
    let digits: Option<Vec<u32>> =
        text.chars().filter(|c| !c.is_ascii_whitespace()).map(|c| c.to_digit(base)).collect();
    let digits = digits?;
    digits
        .chunks_exact(per_byte)
        .map(|chunk| u8::try_from(chunk.iter().fold(0, |n, d| n * base + d)).ok())
        .collect()
}

/// What the bytes say, if that is words: UTF-8, mostly letters and blanks.
pub(super) fn readable(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let all = text.chars().count();
    let wordy =
        text.chars().filter(|c| c.is_alphabetic() || matches!(c, ' ' | '\n' | '.' | ',')).count();
    (all >= 12 && text.contains(' ') && wordy * 10 >= all * 8).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_undone() {
        assert_eq!(base64("aGVsbG8gd29ybGQ=").as_deref(), Some(b"hello world".as_slice()));
        assert_eq!(base64("not base64!"), None);
        assert_eq!(digits("01101000 01101001", 2).as_deref(), Some(b"hi".as_slice()));
        assert_eq!(digits("6869", 16).as_deref(), Some(b"hi".as_slice()));
        assert_eq!(rotate("Vtaber", 13), "Ignore");
        assert_eq!(backwards("erongi"), "ignore");
        assert_eq!(unleet("1gn0r3"), "ignore");
        assert_eq!(plain("ig\u{200b}nоre").as_deref(), Some("ignore"), "a Cyrillic o");
        assert_eq!(plain("plain"), None);
    }
}
