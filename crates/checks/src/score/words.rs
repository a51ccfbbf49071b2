//! Scores, words: cutting texts into words the ways the measures want them.

use std::collections::HashMap;

/// White space as Python's `str.split` sees it: Unicode's, and the four
/// separators of ASCII. The reference programs cut there.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// Pieces between white space, none of them empty.
pub(crate) fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|piece| !piece.is_empty())
}

/// Words in lower case: runs of letters, digits and marks; signs of scripts that
/// write without spaces stand alone.
pub(crate) fn folded(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        if is_sign(c) {
            push(&mut words, &mut word);
            words.push(c.to_string());
        } else if c.is_alphanumeric() || is_mark(c) {
            word.push(c);
        } else if !matches!(c, '\'' | '’') {
            // Apostrophes vanish: `don't` and `dont` are one word.
            push(&mut words, &mut word);
        }
    }
    push(&mut words, &mut word);
    words
}

fn push(words: &mut Vec<String>, word: &mut String) {
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
}

/// Combining marks that belong to the letter before them.
fn is_mark(c: char) -> bool {
    matches!(u32::from(c),
        0x300..=0x36f | 0x591..=0x5c7 | 0x610..=0x61a | 0x64b..=0x65f | 0x900..=0x903
        | 0x93a..=0x94f | 0x981..=0x983 | 0x9bc..=0x9d7 | 0xa01..=0xa51 | 0xa81..=0xacd
        | 0xb82..=0xbcd | 0xc00..=0xc56 | 0xc81..=0xcd6 | 0xd00..=0xd4d | 0xe31..=0xe4e)
}

/// Signs of Chinese and Japanese, which no spaces part.
pub(crate) fn is_sign(c: char) -> bool {
    matches!(u32::from(c), 0x3040..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0x20000..=0x323af)
}

/// How often each item is there.
pub(crate) fn counts<T: std::hash::Hash + Eq>(
    items: impl IntoIterator<Item = T>,
) -> HashMap<T, u64> {
    let mut counts = HashMap::new();
    for item in items {
        *counts.entry(item).or_insert(0) += 1;
    }
    counts
}

/// How many items two multisets share.
pub(crate) fn shared<T: std::hash::Hash + Eq>(a: &HashMap<T, u64>, b: &HashMap<T, u64>) -> u64 {
    let (small, large) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    small.iter().map(|(item, n)| (*n).min(large.get(item).copied().unwrap_or(0))).sum()
}

/// `a / b`, and 0 where `b` is 0.
pub(crate) fn ratio(a: u64, b: u64) -> f64 {
    if b == 0 { 0.0 } else { a as f64 / b as f64 }
}

/// Harmonic mean of precision and recall; 0 where both are.
pub(crate) fn f1(precision: f64, recall: f64) -> f64 {
    let sum = precision + recall;
    if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters_and_signs_stand_alone() {
        let cases: [(&str, &[&str]); 4] = [
            ("Don’t panic, it's 4.5%!", &["dont", "panic", "its", "4", "5"]),
            ("東京 Tower", &["東", "京", "tower"]),
            ("हिन्दी में", &["हिन्दी", "में"]),
            (" -- ", &[]),
        ];
        for (text, words) in cases {
            assert_eq!(folded(text), words, "{text}");
        }
    }
}
