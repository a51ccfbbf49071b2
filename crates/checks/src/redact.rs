//! Takes secrets and personal data out of a text.
//!
//! [`redact`] replaces each by a typed placeholder, `<EMAIL_1>`; the same value
//! gets the same placeholder throughout the text, so a log still tells who
//! wrote twice. [`mask`] overwrites in place, so that columns keep their
//! meaning.
//!
//! What must stay true: redacting twice is redacting once. Placeholders are
//! never looked into, and what lies between two of them is looked at by itself
//! until nothing is found in it, so a second run sees the same pieces and finds
//! nothing either. Time is linear: pieces are looked at a bounded number of
//! times ([`MAX_ROUNDS`]).

use crate::scan::{Hit, Kind, REDACT_FROM, scan};
use std::collections::HashMap;
use std::ops::Range;

/// How often a piece of text is looked at. What still shows something after
/// that many cuts around earlier finds is taken out whole.
pub const MAX_ROUNDS: usize = 6;

/// What replaces a piece that keeps showing something.
const HIDDEN: &str = "HIDDEN";
/// Most digits of a placeholder's number that is recognised.
const MAX_NUMBER_DIGITS: usize = 9;
/// Numbers written by others count only up to this, so that ours stay short.
const MAX_FOREIGN_NUMBER: u32 = 1_000_000;

/// The text with placeholders instead of secrets and personal data.
pub fn redact(text: &str) -> String {
    let mut names = Names::after(text);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for placeholder in placeholders(text) {
        piece(text.get(at..placeholder.start).unwrap_or(""), 0, &mut names, &mut out);
        out.push_str(text.get(placeholder.clone()).unwrap_or(""));
        at = placeholder.end;
    }
    piece(text.get(at..).unwrap_or(""), 0, &mut names, &mut out);
    out
}

/// The text of the same length with `*` over the letters and digits of secrets
/// and personal data.
pub fn mask(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for found in scan(text, REDACT_FROM) {
        out.push_str(text.get(at..found.range.start).unwrap_or(""));
        let value = text.get(found.range.clone()).unwrap_or("");
        out.extend(value.chars().map(|c| if c.is_ascii_alphanumeric() { '*' } else { c }));
        at = found.range.end;
    }
    out.push_str(text.get(at..).unwrap_or(""));
    out
}

fn piece(text: &str, round: usize, names: &mut Names, out: &mut String) {
    let found: Vec<Hit> = if text.is_empty() { Vec::new() } else { scan(text, REDACT_FROM) };
    if found.is_empty() {
        out.push_str(text);
        return;
    }
    if round >= MAX_ROUNDS {
        names.write(HIDDEN, text, out);
        return;
    }
    let mut at = 0;
    for hit in found {
        piece(text.get(at..hit.range.start).unwrap_or(""), round + 1, names, out);
        let value = text.get(hit.range.clone()).unwrap_or("");
        names.write(hit.kind.placeholder(), value, out);
        at = hit.range.end;
    }
    piece(text.get(at..).unwrap_or(""), round + 1, names, out);
}

/// Numbers given so far.
struct Names {
    next: HashMap<&'static str, u32>,
    given: HashMap<(&'static str, String), u32>,
}

impl Names {
    /// Begins after the numbers the text already has.
    fn after(text: &str) -> Self {
        let mut next = HashMap::new();
        for range in placeholders(text) {
            let Some(inner) = text.get(range.start + 1..range.end - 1) else { continue };
            let Some((stem, number)) = inner.rsplit_once('_') else { continue };
            let number = number.parse().unwrap_or(0_u32);
            if let Some(stem) = stems().find(|known| *known == stem)
                && number <= MAX_FOREIGN_NUMBER
            {
                let slot = next.entry(stem).or_insert(0);
                *slot = number.max(*slot);
            }
        }
        Self { next, given: HashMap::new() }
    }

    fn write(&mut self, stem: &'static str, value: &str, out: &mut String) {
        let number = *self.given.entry((stem, value.to_owned())).or_insert_with(|| {
            let next = self.next.entry(stem).or_insert(0);
            *next = next.saturating_add(1);
            *next
        });
        out.push_str(&format!("<{stem}_{number}>"));
    }
}

fn stems() -> impl Iterator<Item = &'static str> {
    Kind::REDACTED.into_iter().map(Kind::placeholder).chain([HIDDEN])
}

/// Where the text already has placeholders.
fn placeholders(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    text.match_indices('<').filter_map(|(start, _)| {
        let rest = text.get(start + 1..)?;
        let stem = stems().filter(|stem| rest.starts_with(stem)).max_by_key(|stem| stem.len())?;
        let number = rest.get(stem.len()..)?.strip_prefix('_')?;
        let digits = number.bytes().take_while(u8::is_ascii_digit).count();
        let closed = number.get(digits..)?.starts_with('>');
        (closed && (1..=MAX_NUMBER_DIGITS).contains(&digits))
            .then(|| start..start + stem.len() + digits + 3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_same_value_gets_the_same_name() {
        let text = "ana@acme.io to bob@acme.io, cc ana@acme.io, call +49 30 901820";
        assert_eq!(redact(text), "<EMAIL_1> to <EMAIL_2>, cc <EMAIL_1>, call <PHONE_1>");
    }

    #[test]
    fn numbers_already_there_are_not_given_again() {
        assert_eq!(redact("<EMAIL_4> and ana@acme.io"), "<EMAIL_4> and <EMAIL_5>");
    }

    #[test]
    fn doubtful_values_leave_logs_too() {
        assert_eq!(redact("someone@example.com at 127.0.0.1"), "<EMAIL_1> at <IP_1>");
    }

    #[test]
    fn a_mask_keeps_every_column() {
        let text = "Ürsula, ana@acme.io!";
        assert_eq!(mask(text), "Ürsula, ***@****.**!");
    }

    /// Texts full of things that nearly match and overlap.
    fn busy() -> impl Strategy<Value = String> {
        let parts = prop_oneof![
            "[0-9]{1,6}",
            "[-+.:@/ ()<>_\n]",
            Just("password = ".to_owned()),
            Just("phone ".to_owned()),
            Just("ana@acme.io".to_owned()),
            Just("4111 1111 1111 1111".to_owned()),
            Just("GB82WEST12345698765432".to_owned()),
            Just("<EMAIL_1>".to_owned()),
            Just("<PHONE_999999999>".to_owned()),
            Just("<CARD_".to_owned()),
            "[a-zA-Z0-9]{8,20}",
            "\\PC",
        ];
        prop::collection::vec(parts, 0..40).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn twice_is_once(text in busy()) {
            let once = redact(&text);
            prop_assert_eq!(redact(&once), once);
        }

        #[test]
        fn the_length_is_bounded(text in busy()) {
            // The shortest find has six bytes, the longest placeholder under thirty.
            prop_assert!(redact(&text).len() <= text.len() * 5 + 32);
            prop_assert_eq!(mask(&text).len(), text.len());
        }

        #[test]
        fn any_text_is_taken(text in "\\PC{0,200}") {
            prop_assert_eq!(redact(&redact(&text)), redact(&text));
        }
    }
}
