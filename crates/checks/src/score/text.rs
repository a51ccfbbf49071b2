//! Scores, text: what an answer's words must be.

use super::Fault;
use super::rule::short;
use domain::suite::{LengthRule, LengthUnit};
use unicode_segmentation::UnicodeSegmentation;

/// A text as `contains` and its kin compare it: lower case, one space for any
/// white space, straight quotes.
pub(crate) fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut space = true;
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_whitespace() {
            if !space {
                out.push(' ');
            }
            space = true;
        } else {
            space = false;
            out.push(match c {
                '\u{2018}' | '\u{2019}' => '\'',
                '\u{201c}' | '\u{201d}' => '"',
                c => c,
            });
        }
    }
    out.truncate(out.trim_end().len());
    out
}

pub(crate) fn equals(answer: &str, wanted: &str) -> Result<(), String> {
    let answer = answer.trim();
    if answer == wanted {
        return Ok(());
    }
    let same = answer.chars().zip(wanted.chars()).take_while(|(a, b)| a == b).count();
    Err(format!("the answer is not `{}`: it differs from character {} on", short(wanted), same + 1))
}

pub(crate) fn contains(answer: &str, wanted: &[String], all: bool) -> Result<(), String> {
    let answer = folded(answer);
    let missing: Vec<&String> =
        wanted.iter().filter(|text| !answer.contains(text.as_str())).collect();
    if missing.is_empty() || (!all && missing.len() < wanted.len()) {
        return Ok(());
    }
    Err(match (missing.as_slice(), all) {
        ([one], _) => format!("`{}` is not in the answer", short(one)),
        ([first, ..], true) => {
            format!(
                "{} of {} texts are not in the answer, first `{}`",
                missing.len(),
                wanted.len(),
                short(first)
            )
        }
        _ => format!("none of {} texts is in the answer", wanted.len()),
    })
}

pub(crate) fn contains_none(answer: &str, unwanted: &[String]) -> Result<(), String> {
    let answer = folded(answer);
    match unwanted.iter().find(|text| answer.contains(text.as_str())) {
        Some(text) => Err(format!("`{}` is in the answer", short(text))),
        None => Ok(()),
    }
}

/// What is wrong with a rule of length.
pub(crate) fn length_fault(rule: &LengthRule) -> Option<Fault> {
    let (message, mend) = match (rule.at_least, rule.at_most) {
        (None, None) => ("`length` has no limit".to_owned(), "write `at_least`, `at_most` or both"),
        (Some(least), Some(most)) if least > most => (
            format!("`at_least` is {least} and `at_most` {most}, so no answer fits"),
            "write the smaller number as `at_least`",
        ),
        _ => return None,
    };
    Some(Fault::new("length", "out_of_range", message, mend))
}

pub(crate) fn length(answer: &str, rule: &LengthRule) -> Result<(), String> {
    let (n, unit) = match rule.unit {
        LengthUnit::Characters => (answer.trim().chars().count(), "characters"),
        LengthUnit::Words => (answer.unicode_words().count(), "words"),
        LengthUnit::Sentences => (sentences(answer).count(), "sentences"),
        LengthUnit::Lines => {
            (answer.lines().filter(|line| !line.trim().is_empty()).count(), "lines")
        }
    };
    let n = n as u64;
    match (rule.at_least, rule.at_most) {
        (Some(least), _) if n < least => {
            Err(format!("the answer has {n} {unit}, fewer than {least}"))
        }
        (_, Some(most)) if n > most => Err(format!("the answer has {n} {unit}, more than {most}")),
        _ => Ok(()),
    }
}

/// Sentences after UAX #29, without those that have no letter or digit.
pub(crate) fn sentences(text: &str) -> impl Iterator<Item = &str> {
    // Without the iterator's own `size_hint`, which underflows at the end of a text.
    let mut all = text.unicode_sentences();
    std::iter::from_fn(move || all.next())
        .map(str::trim)
        .filter(|sentence| sentence.chars().any(char::is_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_whatever_case_and_quotes() {
        assert_eq!(contains("I’m\n  SORRY.", &[folded("i'm sorry")], true), Ok(()));
        let two = [folded("refund"), folded("invoice")];
        assert_eq!(contains("A Refund.", &two, false), Ok(()));
        assert_eq!(
            contains("A Refund.", &two, true).unwrap_err(),
            "`invoice` is not in the answer"
        );
        assert!(contains_none("A Refund.", &two).is_err());
    }

    #[test]
    fn lengths_are_counted_in_their_unit() {
        let rule = |unit, at_most| LengthRule { unit, at_least: Some(2), at_most: Some(at_most) };
        let answer = "Two words.\n\nAnd 3.5 more!  ";
        assert_eq!(length(answer, &rule(LengthUnit::Words, 5)), Ok(()));
        assert_eq!(
            length(answer, &rule(LengthUnit::Words, 4)).unwrap_err(),
            "the answer has 5 words, more than 4"
        );
        assert_eq!(length(answer, &rule(LengthUnit::Sentences, 2)), Ok(()));
        assert_eq!(length(answer, &rule(LengthUnit::Lines, 2)), Ok(()));
        assert!(length("é", &rule(LengthUnit::Characters, 2)).is_err());
    }
}
