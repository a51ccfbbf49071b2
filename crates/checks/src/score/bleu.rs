//! Scores, BLEU of one sentence as `sacrebleu` computes it: tokenizer `13a`,
//! exponential smoothing, effective order.
//!
//! Papineni et al. 2002; smoothing 3 of Chen and Cherry 2014; the tokens are
//! those of `mteval-v13a`. Several references count together, as BLEU defines
//! it: each run of words up to the most any reference has, the length against
//! the nearest reference's.

use super::words::{counts, split};
use std::collections::HashMap;

/// Longest run of words.
const MAX_ORDER: usize = 4;

/// BLEU in [0, 1]: `sacrebleu`'s value divided by 100.
pub fn bleu(answer: &str, references: &[String]) -> f64 {
    let answer = tokens(answer);
    let references: Vec<Vec<String>> = references.iter().map(|text| tokens(text)).collect();
    let given = answer.len();
    let Some(wanted) =
        references.iter().map(Vec::len).min_by_key(|length| (length.abs_diff(given), *length))
    else {
        return 0.0;
    };
    let mut correct = [0_u64; MAX_ORDER];
    for (n, hits) in (1..).zip(&mut correct) {
        let mut most: HashMap<&[String], u64> = HashMap::new();
        for reference in &references {
            for (run, count) in counts(reference.windows(n)) {
                let known = most.entry(run).or_insert(0);
                *known = count.max(*known);
            }
        }
        *hits = super::words::shared(&counts(answer.windows(n)), &most);
    }
    if correct.iter().all(|hits| *hits == 0) {
        return 0.0;
    }
    let mut logs = 0.0;
    let mut order = 0.0;
    let mut halved = 1.0;
    for (n, hits) in correct.iter().enumerate() {
        let total = given.saturating_sub(n);
        if total == 0 {
            break;
        }
        let precision = if *hits == 0 {
            // Every order without a hit counts as half the one before.
            halved *= 2.0;
            1.0 / (halved * total as f64)
        } else {
            *hits as f64 / total as f64
        };
        logs += precision.ln();
        order += 1.0;
    }
    let brevity = if given < wanted { (1.0 - wanted as f64 / given as f64).exp() } else { 1.0 };
    (brevity * f64::exp(logs / order)).clamp(0.0, 1.0)
}

/// The words `13a` makes: signs of ASCII stand alone, points and commas only
/// outside numbers, dashes after digits.
fn tokens(text: &str) -> Vec<String> {
    let text = text.trim_end_matches(super::words::is_space);
    let mut text = text.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    if text.contains('&') {
        for (entity, sign) in [("&quot;", "\""), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")] {
            text = text.replace(entity, sign);
        }
    }
    let mut out = String::with_capacity(text.len() * 2);
    out.push(' ');
    for c in text.chars() {
        if is_alone(c) {
            out.extend([' ', c, ' ']);
        } else {
            out.push(c);
        }
    }
    out.push(' ');
    let is_point = |c: char| matches!(c, '.' | ',');
    let digit = |c: char| c.is_ascii_digit();
    let out = pairs(&out, |a, b| !digit(a) && is_point(b), |a, b| [a, ' ', b, ' ']);
    let out = pairs(&out, |a, b| is_point(a) && !digit(b), |a, b| [' ', a, ' ', b]);
    let out = pairs(&out, |a, b| digit(a) && b == '-', |a, b| [a, ' ', b, ' ']);
    split(&out).map(str::to_owned).collect()
}

/// Replaces pairs of neighbours from left to right; a character that was part of
/// a pair is not looked at again, as with a regular expression.
fn pairs(
    text: &str,
    found: impl Fn(char, char) -> bool,
    instead: impl Fn(char, char) -> [char; 4],
) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut rest = text.chars().peekable();
    while let Some(a) = rest.next() {
        match rest.peek() {
            Some(b) if found(a, *b) => {
                out.extend(instead(a, *b));
                rest.next();
            }
            _ => out.push(a),
        }
    }
    out
}

/// ASCII signs that are words of their own; not quotes of one stroke, commas,
/// dashes and points, which have rules of theirs.
fn is_alone(c: char) -> bool {
    matches!(c, ' '..='&' | '('..='+' | '/' | ':'..='@' | '['..='`' | '{'..='~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_stay_in_numbers_and_leave_words() {
        let cases: [(&str, &[&str]); 4] = [
            ("It cost $1,234.50, wow.", &["It", "cost", "$", "1,234.50", ",", "wow", "."]),
            ("2019-20 e-mail", &["2019", "-", "20", "e-mail"]),
            ("a &amp; b", &["a", "&", "b"]),
            ("don't", &["don't"]),
        ];
        for (text, wanted) in cases {
            assert_eq!(tokens(text), wanted, "{text}");
        }
    }

    #[test]
    fn the_same_is_one_and_nothing_in_common_is_zero() {
        let reference = ["the cat sat on the mat".to_owned()];
        assert_eq!(bleu("the cat sat on the mat", &reference), 1.0);
        assert_eq!(bleu("dogs", &reference), 0.0);
        assert_eq!(bleu("", &reference), 0.0);
        assert_eq!(bleu("x", &[]), 0.0);
    }
}
