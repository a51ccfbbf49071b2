//! Instructions about the form of an answer: paragraphs, lists, marks, ends.

use super::short;
use regex::Regex;
use std::sync::LazyLock;

type Pattern = LazyLock<Option<Regex>>;

static STARS: Pattern = LazyLock::new(|| Regex::new(r"\s?\*\*\*\s?").ok());
static PLACEHOLDER: Pattern = LazyLock::new(|| Regex::new(r"\[.*?\]").ok());
static STAR_BULLET: Pattern = LazyLock::new(|| Regex::new(r"(?m)^\s*\*[^\*].*$").ok());
static DASH_BULLET: Pattern = LazyLock::new(|| Regex::new(r"(?m)^\s*-.*$").ok());
static HIGHLIGHT: Pattern = LazyLock::new(|| Regex::new(r"\*[^\n\*]*\*").ok());
static STRONG: Pattern = LazyLock::new(|| Regex::new(r"\*\*[^\n\*]*\*\*").ok());
static TITLE: Pattern = LazyLock::new(|| Regex::new(r"<<[^\n]+>>").ok());
static PS: Pattern = LazyLock::new(|| Regex::new(r"p\.\s?s\.").ok());
static PPS: Pattern = LazyLock::new(|| Regex::new(r"p\.\s?p\.\s?s").ok());

#[cfg(test)]
pub(super) const PATTERNS: [&Pattern; 9] =
    [&STARS, &PLACEHOLDER, &STAR_BULLET, &DASH_BULLET, &HIGHLIGHT, &STRONG, &TITLE, &PS, &PPS];

fn count(pattern: &Pattern, text: &str) -> usize {
    pattern.as_ref().map_or(0, |pattern| pattern.find_iter(text).count())
}

fn yes_or(kept: bool, why: &str) -> Result<(), String> {
    if kept { Ok(()) } else { Err(why.to_owned()) }
}

/// Paragraphs between `***`; an empty one counts only at the edges, as none.
pub(super) fn paragraphs(answer: &str, wanted: u64) -> Result<(), String> {
    let parts: Vec<&str> = match STARS.as_ref() {
        Some(stars) => stars.split(answer).collect(),
        None => vec![answer],
    };
    let last = parts.len().saturating_sub(1);
    let mut found = 0_u64;
    for (i, part) in parts.iter().enumerate() {
        match part.trim().is_empty() {
            true if i != 0 && i != last => {
                return Err("a paragraph between two `***` is empty".to_owned());
            }
            true => {}
            false => found += 1,
        }
    }
    yes_or(found == wanted, &format!("the answer has {found} paragraphs, not {wanted}"))
}

/// The first word of a paragraph, paragraphs being parted by empty lines.
pub(super) fn nth_paragraph(answer: &str, wanted: u64, nth: u64, word: &str) -> Result<(), String> {
    let parts: Vec<&str> = answer.split("\n\n").collect();
    let found = parts.iter().filter(|part| !part.trim().is_empty()).count() as u64;
    if found != wanted {
        return Err(format!("the answer has {found} paragraphs, not {wanted}"));
    }
    let at = usize::try_from(nth).ok().and_then(|nth| nth.checked_sub(1));
    let part = at.and_then(|at| parts.get(at)).filter(|_| nth <= found);
    let Some(first) = part.and_then(|part| part.split_whitespace().next()) else {
        return Err(format!("there is no paragraph {nth} with a word in it"));
    };
    let bare = first.trim_start_matches('\'').trim_start_matches('"');
    let bare = bare.split(['.', ',', '?', '!', '\'', '"']).next().unwrap_or_default();
    let same = bare.to_lowercase() == word;
    yes_or(same, &format!("paragraph {nth} does not begin with `{}`", short(word)))
}

pub(super) fn placeholders(answer: &str) -> usize {
    count(&PLACEHOLDER, answer)
}

pub(super) fn postscript(answer: &str, marker: &str) -> Result<(), String> {
    let lower = answer.to_lowercase();
    let found = match marker {
        "P.P.S" => count(&PPS, &lower) > 0,
        "P.S." => count(&PS, &lower) > 0,
        marker => lower.contains(&marker.to_lowercase()),
    };
    yes_or(found, &format!("there is no postscript `{}`", short(marker)))
}

pub(super) fn bullets(answer: &str, wanted: u64) -> Result<(), String> {
    let found = (count(&STAR_BULLET, answer) + count(&DASH_BULLET, answer)) as u64;
    yes_or(found == wanted, &format!("the answer has {found} bullets, not {wanted}"))
}

pub(super) fn constrained(answer: &str) -> Result<(), String> {
    let options = ["My answer is yes.", "My answer is no.", "My answer is maybe."];
    yes_or(
        options.iter().any(|option| answer.contains(option)),
        "the answer is none of `My answer is yes.`, `My answer is no.` and `My answer is maybe.`",
    )
}

pub(super) fn highlights(answer: &str) -> usize {
    let filled = |pattern: &Pattern| {
        pattern.as_ref().map_or(0, |pattern| {
            pattern
                .find_iter(answer)
                .filter(|found| !found.as_str().trim_matches('*').trim().is_empty())
                .count()
        })
    };
    filled(&HIGHLIGHT) + filled(&STRONG)
}

/// How often the splitter stands before a number.
pub(super) fn sections(answer: &str, splitter: &str) -> usize {
    answer
        .match_indices(splitter)
        .filter(|(at, found)| {
            let after = answer.get(at + found.len()..).unwrap_or_default();
            let after = after.strip_prefix(char::is_whitespace).unwrap_or(after);
            after.starts_with(|c: char| c.is_numeric())
        })
        .count()
}

/// JSON, in a code fence or not.
pub(super) fn json(answer: &str) -> Result<(), String> {
    let mut text = answer.trim();
    for fence in ["```json", "```Json", "```JSON", "```"] {
        text = text.strip_prefix(fence).unwrap_or(text);
    }
    let text = text.strip_suffix("```").unwrap_or(text).trim();
    let read: Result<serde::de::IgnoredAny, _> = serde_json::from_str(text);
    yes_or(read.is_ok(), "the answer is not JSON")
}

pub(super) fn title(answer: &str) -> Result<(), String> {
    let found = TITLE.as_ref().is_some_and(|pattern| {
        pattern.find_iter(answer).any(|found| {
            !found.as_str().trim_start_matches('<').trim_end_matches('>').trim().is_empty()
        })
    });
    yes_or(found, "there is no title such as `<<title>>`")
}

/// Two different answers with `******` between them.
pub(super) fn two_responses(answer: &str) -> Result<(), String> {
    let parts: Vec<&str> = answer.split("******").collect();
    let last = parts.len().saturating_sub(1);
    let empty_inside =
        parts.iter().enumerate().any(|(i, part)| part.trim().is_empty() && i != 0 && i != last);
    let filled: Vec<&str> =
        parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).collect();
    let kept = !empty_inside && matches!(filled.as_slice(), [a, b] if a != b);
    yes_or(kept, "these are not two different answers with `******` between them")
}

pub(super) fn repeats(answer: &str, prompt: &str) -> Result<(), String> {
    let kept = answer.trim().to_lowercase().starts_with(&prompt.trim().to_lowercase());
    yes_or(kept, "the answer does not begin with the prompt")
}

pub(super) fn ends(answer: &str, phrase: &str) -> Result<(), String> {
    let text = answer.trim().trim_matches('"').to_lowercase();
    let kept = text.ends_with(&phrase.trim().to_lowercase());
    yes_or(kept, &format!("the answer does not end with `{}`", short(phrase)))
}

pub(super) fn quoted(answer: &str) -> Result<(), String> {
    let text = answer.trim();
    let kept = text.len() > 1 && text.starts_with('"') && text.ends_with('"');
    yes_or(kept, "the answer is not in double quotation marks")
}
