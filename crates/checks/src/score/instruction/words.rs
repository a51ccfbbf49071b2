//! Instructions about words, letters and sentences.

use super::short;

/// Abbreviations a sentence does not end with.
const ABBREVIATIONS: [&str; 22] = [
    "mr", "mrs", "ms", "dr", "prof", "st", "vs", "etc", "e.g", "i.e", "jr", "sr", "inc", "ltd",
    "co", "no", "fig", "approx", "dept", "gen", "rev", "u.s",
];

pub(super) fn existence(answer: &str, keywords: &[String]) -> Result<(), String> {
    let lower = answer.to_lowercase();
    match keywords.iter().find(|keyword| !lower.contains(&keyword.to_lowercase())) {
        Some(missing) => Err(format!("`{}` is not in the answer", short(missing))),
        None => Ok(()),
    }
}

/// How often a text is there, in any case, overlaps not counted.
pub(super) fn occurrences(answer: &str, keyword: &str) -> usize {
    answer.to_lowercase().matches(&keyword.to_lowercase()).count()
}

/// None of the texts stands as a word of its own.
pub(super) fn forbidden(answer: &str, unwanted: &[String]) -> Result<(), String> {
    let lower = answer.to_lowercase();
    match unwanted.iter().find(|text| stands_in(&lower, &text.to_lowercase())) {
        Some(found) => Err(format!("`{}` is in the answer", short(found))),
        None => Ok(()),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A boundary lies where a letter meets what is none, as `\b` has it.
fn stands_in(text: &str, word: &str) -> bool {
    let edge = |a: Option<char>, b: Option<char>| a.is_some_and(is_word) != b.is_some_and(is_word);
    text.match_indices(word).any(|(at, found)| {
        let (before, after) = (text.get(..at), text.get(at + found.len()..));
        edge(before.and_then(|t| t.chars().next_back()), found.chars().next())
            && edge(found.chars().next_back(), after.and_then(|t| t.chars().next()))
    })
}

/// Runs of letters, digits and `_`, as `\w+` finds them.
pub(super) fn count(answer: &str) -> usize {
    answer.split(|c| !is_word(c)).filter(|run| !run.is_empty()).count()
}

/// Sentences as a reader counts them: they end with `.`, `!` or `?` and white
/// space, unless the point belongs to an abbreviation, an initial or the number
/// of a list, or goes on in lower case. What has no end counts as one.
pub(super) fn sentences(answer: &str) -> usize {
    let mut count = 0;
    let mut open = false;
    let mut word = String::new();
    let mut rest = answer.trim().chars().peekable();
    while let Some(c) = rest.next() {
        if c.is_whitespace() {
            word.clear();
            continue;
        }
        open = true;
        if !matches!(c, '.' | '!' | '?' | '。' | '！' | '？' | '।') {
            word.extend(c.to_lowercase());
            continue;
        }
        let point = c == '.';
        while rest
            .next_if(|c| matches!(c, '.' | '!' | '?' | '"' | '\'' | ')' | '”' | '’' | '*'))
            .is_some()
        {}
        let wide = matches!(c, '。' | '！' | '？');
        let ends = wide || rest.peek().is_none_or(|next| next.is_whitespace());
        if !ends {
            word.push('.');
            continue;
        }
        let mut after = rest.clone();
        while after.next_if(|c| c.is_whitespace()).is_some() {}
        let goes_on = point && after.peek().is_some_and(|c| c.is_lowercase());
        let short_form = point && is_short_form(&word) && after.peek().is_some();
        if !(goes_on || short_form) {
            count += 1;
            open = false;
        }
        word.clear();
    }
    count + usize::from(open)
}

fn is_short_form(word: &str) -> bool {
    let bare = word.trim_start_matches(['(', '"', '\'', '*']);
    let mut chars = bare.chars();
    let single =
        chars.next().is_some_and(char::is_alphabetic) && chars.next().is_none() && bare != "i";
    let number = !bare.is_empty() && bare.len() <= 3 && bare.chars().all(|c| c.is_ascii_digit());
    single || number || ABBREVIATIONS.contains(&bare)
}

/// Words without a letter in lower case.
pub(super) fn capitals(answer: &str) -> usize {
    let is_part = |c: char| is_word(c) || matches!(c, '-' | '.' | '/');
    answer.split(|c| !is_part(c)).filter(|word| is_upper(word)).count()
}

/// At least one letter with a case, and none in lower case.
fn is_upper(text: &str) -> bool {
    text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase)
}

pub(super) fn all_capital(answer: &str) -> Result<(), String> {
    if is_upper(answer) { english(answer) } else { Err("not every letter is a capital".to_owned()) }
}

pub(super) fn all_lowercase(answer: &str) -> Result<(), String> {
    let lower = answer.chars().any(char::is_lowercase) && !answer.chars().any(char::is_uppercase);
    if lower { english(answer) } else { Err("not every letter is in lower case".to_owned()) }
}

/// What is too short to tell may be English.
fn english(answer: &str) -> Result<(), String> {
    match crate::score::language::language(answer) {
        None | Some("en") => Ok(()),
        Some(other) => Err(format!("the answer is in `{other}`, not in `en`")),
    }
}
