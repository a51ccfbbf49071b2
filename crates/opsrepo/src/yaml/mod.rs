//! YAML with places: every fault of a file at once, each with line and column.
//!
//! text → [`scan`] → tree → [`decode`] → struct → the format's own rules.
//! What is wrong is reported, taken out of the tree, and the rest decoded again.

mod decode;
mod document;
mod scalar;
mod scan;
pub(crate) mod tree;

pub(crate) use document::{Document, Reading, first_fault, read};

/// The tree of a text whose syntax is right.
pub(crate) fn tree_of(text: &str) -> Option<tree::Node> {
    let (tree, faults) = scan::scan(text);
    tree.filter(|_| faults.is_empty())
}

/// Shortest beginning of a word that is taken for the word.
const MIN_PREFIX: usize = 3;

/// The candidate that is spelt most like `given`, if one is near enough: a third
/// of its letters may differ, or it is cut short.
pub(crate) fn nearest<'a>(
    given: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(given, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= (candidate.chars().count() / 3).max(1)
                || (given.len() >= MIN_PREFIX && candidate.starts_with(given))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
