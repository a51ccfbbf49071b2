//! Words an app's settings forbid: names of competitors, promises nobody may
//! make, words of another brand's voice.

use super::{Hit, Kind};
use aho_corasick::{AhoCorasick, MatchKind};
use std::sync::Arc;

/// Most terms of one app.
pub const MAX_TERMS: usize = 500;
/// Longest term, in bytes.
pub const MAX_TERM_BYTES: usize = 200;

/// A set of forbidden words or phrases. Case does not matter (that of ASCII
/// letters), and a term is only found where words begin and end.
#[derive(Clone, Default)]
pub struct Terms {
    automaton: Option<Arc<AhoCorasick>>,
}

impl std::fmt::Debug for Terms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let terms = self.automaton.as_ref().map_or(0, |a| a.patterns_len());
        f.debug_struct("Terms").field("terms", &terms).finish()
    }
}

impl Terms {
    /// From a list, or from two. Empty terms, those over [`MAX_TERM_BYTES`] and
    /// those after twice [`MAX_TERMS`] are left out: the reader of the settings
    /// refuses such lists before.
    pub fn new<'a>(terms: impl IntoIterator<Item = &'a str>) -> Self {
        let terms: Vec<&str> = terms
            .into_iter()
            .map(str::trim)
            .filter(|t| !t.is_empty() && t.len() <= MAX_TERM_BYTES)
            .take(2 * MAX_TERMS)
            .collect();
        if terms.is_empty() {
            return Self::default();
        }
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            .build(terms)
            .ok();
        Self { automaton: automaton.map(Arc::new) }
    }

    /// True if nothing is forbidden.
    pub fn is_empty(&self) -> bool {
        self.automaton.is_none()
    }

    /// Every forbidden term of a text, in order.
    pub fn find(&self, text: &str) -> Vec<Hit> {
        let Some(automaton) = &self.automaton else { return Vec::new() };
        let whole = |range: &std::ops::Range<usize>| {
            let value = text.get(range.clone()).unwrap_or("");
            let joins = |a: Option<char>, b: Option<char>| {
                a.zip(b).is_some_and(|(a, b)| a.is_alphanumeric() && b.is_alphanumeric())
            };
            let before = text.get(..range.start).and_then(|s| s.chars().next_back());
            let after = text.get(range.end..).and_then(|s| s.chars().next());
            !joins(before, value.chars().next()) && !joins(value.chars().next_back(), after)
        };
        automaton
            .find_iter(text)
            .map(|m| m.range())
            .filter(whole)
            .map(|range| Hit::new(Kind::ForbiddenTerm, range, 100))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_found_as_whole_words_in_any_case() {
        let terms = Terms::new(["Acme", "risk free", " "]);
        let text = "ACME and acmeist: it is Risk Free, risk freedom";
        let found: Vec<&str> = terms.find(text).into_iter().map(|h| &text[h.range]).collect();
        assert_eq!(found, ["ACME", "Risk Free"]);
        assert!(Terms::new([]).is_empty() && Terms::new([""]).find("x").is_empty());
    }
}
