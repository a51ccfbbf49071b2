//! Attacks in disguise: encoded, written backwards, in digits for letters,
//! letter by letter, with invisible or look-alike characters. What can be
//! undone is undone and looked at again.

use super::{About, Sign, THRESHOLD, fold, plain, worst};
use crate::scan::Wanted;
use crate::scan::sweep::{Anchor, ENGINE, Sweep, Wake, odd};
use std::ops::Range;

/// How much a disguise adds to what is below it.
const DISGUISED: u8 = 25;
/// How far around a rotated or reversed word the text is undone, in bytes.
const AROUND: usize = 300;
/// Least length of an encoded run, in bytes.
const MIN_RUN: usize = 20;
/// Longest encoded run that is undone, in bytes; more of it is left alone.
const MAX_RUN: usize = 64 * 1024;
/// Words with digits inside that make a text worth reading as letters.
const MIN_LEET: usize = 2;

/// Telling words in ROT13 and backwards, with how to undo them.
const TURNED: [(&str, Turn); 16] = [
    ("vtaber", Turn::Rotated),
    ("vafgehpgvba", Turn::Rotated),
    ("cerivbhf", Turn::Rotated),
    ("cnffjbeq", Turn::Rotated),
    ("flfgrz cebzcg", Turn::Rotated),
    ("cergraq", Turn::Rotated),
    ("qvfertneq", Turn::Rotated),
    ("sbetrg", Turn::Rotated),
    ("erongi", Turn::Backwards),
    ("snoitcurtsni", Turn::Backwards),
    ("suoiverp", Turn::Backwards),
    ("drowssap", Turn::Backwards),
    ("tpmorp metsys", Turn::Backwards),
    ("draugsid", Turn::Backwards),
    ("dragersid", Turn::Backwards),
    ("tegrof", Turn::Backwards),
];

#[derive(Clone, Copy)]
enum Turn {
    Rotated,
    Backwards,
}

/// The turned words, for the automaton.
pub(in crate::scan) fn anchors() -> impl Iterator<Item = (&'static str, Wake)> {
    (0_u16..).zip(&TURNED).map(|(at, (word, _))| (*word, Wake::Disguise(at)))
}

/// What the disguises of a text hide.
pub(super) fn find(text: &str, sweep: &Sweep, depth: usize) -> Vec<Sign> {
    let mut signs = Vec::new();
    turned(text, sweep, depth, &mut signs);
    encoded(text, sweep, depth, &mut signs);
    spelled(text, sweep, &mut signs);
    leet(text, sweep, depth, &mut signs);
    if foldable(text, sweep)
        && let Some(folded) = fold::plain(text)
        && adds(text, &folded)
    {
        below(&folded, 0..text.len(), "hides it in unusual characters", depth, &mut signs);
    }
    signs
}

/// True if a text says more against itself when read in another way.
fn adds(as_is: &str, undone: &str) -> bool {
    let score = |text: &str| {
        let sweep = ENGINE.sweep(text, Wanted::INJECTION);
        worst(&plain(text, &sweep, &[], true)).score
    };
    score(undone) > score(as_is).saturating_add(THRESHOLD / 2)
}

/// True if some odd word has a character that folding changes.
fn foldable(text: &str, sweep: &Sweep) -> bool {
    let wide = sweep.words.iter().filter(|w| w.odd & odd::WIDE != 0);
    wide.filter_map(|w| text.get(w.range.clone())).any(|word| word.chars().any(fold::changes))
}

/// Looks at what was undone, and reports it at the place where it was hidden.
fn below(
    undone: &str,
    place: Range<usize>,
    reason: &'static str,
    depth: usize,
    signs: &mut Vec<Sign>,
) {
    let sweep = ENGINE.sweep(undone, Wanted::INJECTION);
    let judged = worst(&super::signs(undone, &sweep, depth + 1));
    if judged.score < THRESHOLD / 2 {
        return;
    }
    signs.push(Sign { reason, weight: DISGUISED, range: place.clone(), about: About::Attack });
    let said = judged.reasons.first().map_or("", |(reason, _)| reason);
    let sign = Sign { reason: said, weight: judged.score, range: place, about: About::Attack };
    signs.push(sign);
}

fn turned(text: &str, sweep: &Sweep, depth: usize, signs: &mut Vec<Sign>) {
    let pick = |anchor: &Anchor| match anchor.wake {
        Wake::Disguise(at) => Some(at),
        _ => None,
    };
    for (at, window) in sweep.windows(text, pick, |_| (AROUND, AROUND)) {
        let Some((_, turn)) = TURNED.get(usize::from(at)) else { continue };
        let slice = text.get(window.clone()).unwrap_or("");
        let (undone, reason) = match turn {
            Turn::Rotated => (fold::rotate(slice, 13), "hides it in ROT13"),
            Turn::Backwards => (fold::backwards(slice), "hides it backwards"),
        };
        below(&undone, window, reason, depth, signs);
    }
}

fn encoded(text: &str, sweep: &Sweep, depth: usize, signs: &mut Vec<Sign>) {
    let mut row: Option<(Range<usize>, u32)> = None;
    for word in sweep.words.iter().filter(|w| w.odd & odd::SPELLED == 0) {
        let slice = text.get(word.range.clone()).unwrap_or("");
        if word.odd & odd::LONG != 0 && slice.len() <= MAX_RUN {
            for (at, run) in runs(slice) {
                let place = word.range.start + at..word.range.start + at + run.len();
                let hex = fold::digits(run, 16).filter(|b| !b.is_empty());
                if let Some(said) = hex.as_deref().and_then(fold::readable) {
                    below(said, place, "hides it in hexadecimal", depth, signs);
                } else if let Some(bytes) = fold::base64(run)
                    && let Some(said) = fold::readable(&bytes)
                {
                    below(said, place, "hides it in base 64", depth, signs);
                }
            }
        }
        // Rows of bytes: `01101000 01101001`, `68 69`.
        let trimmed = slice.trim_matches(['\'', '"', '`', '.', ',', '(', ')']);
        let base = match trimmed.len() {
            8 if trimmed.bytes().all(|b| matches!(b, b'0' | b'1')) => 2,
            2 if trimmed.bytes().all(|b| b.is_ascii_hexdigit()) => 16,
            _ => 0,
        };
        row = match row.take() {
            Some((range, of)) if of == base && word.range.start <= range.end + 4 => {
                Some((range.start..word.range.end, of))
            }
            other => {
                if let Some(ended) = other {
                    bytes(text, ended, depth, signs);
                }
                (base != 0).then(|| (word.range.clone(), base))
            }
        };
    }
    if let Some(ended) = row {
        bytes(text, ended, depth, signs);
    }
}

fn bytes(text: &str, (range, base): (Range<usize>, u32), depth: usize, signs: &mut Vec<Sign>) {
    let slice = text.get(range.clone()).unwrap_or("");
    let digits: String = slice.chars().filter(char::is_ascii_hexdigit).collect();
    let Some(bytes) = fold::digits(&digits, base) else { return };
    if let Some(said) = fold::readable(&bytes) {
        let reason = "hides it in numbers";
        signs.push(Sign { reason, weight: DISGUISED, range: range.clone(), about: About::Attack });
        below(said, range, reason, depth, signs);
    }
}

/// Runs of the letters of base 64 and 16 inside a word.
fn runs(word: &str) -> impl Iterator<Item = (usize, &str)> {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_' | '=');
    let mut at = 0;
    word.split_inclusive(move |c| !inside(c)).filter_map(move |piece| {
        let start = at;
        at += piece.len();
        let run = piece.trim_end_matches(|c| !inside(c)).trim_end_matches('=');
        (run.len() >= MIN_RUN).then_some((start, run))
    })
}

/// Letters one by one, with gaps: `i g n o r e`.
fn spelled(text: &str, sweep: &Sweep, signs: &mut Vec<Sign>) {
    const TELLING: [&str; 9] = [
        "ignore",
        "disregard",
        "instruct",
        "systemprompt",
        "password",
        "jailbreak",
        "bypass",
        "pretend",
        "previous",
    ];
    for word in sweep.words.iter().filter(|w| w.odd & odd::SPELLED != 0) {
        let slice = text.get(word.range.clone()).unwrap_or("");
        let joined: String =
            slice.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        if TELLING.iter().any(|t| joined.contains(t)) {
            signs.push(Sign {
                reason: "spells it letter by letter",
                weight: THRESHOLD,
                range: word.range.clone(),
                about: About::Attack,
            });
        }
    }
}

/// Digits that stand for letters: `1gn0r3 4ll`.
fn leet(text: &str, sweep: &Sweep, depth: usize, signs: &mut Vec<Sign>) {
    let mixed = odd::DIGIT | odd::LETTER;
    let is_leet = |range: &Range<usize>| {
        let word =
            text.get(range.clone()).unwrap_or("").trim_matches(|c: char| !c.is_alphanumeric());
        let letters = word.bytes().filter(u8::is_ascii_alphabetic).count();
        let inner = word
            .as_bytes()
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if a.is_ascii_digit() && b.is_ascii_alphabetic()));
        (4..=20).contains(&word.len()) && letters >= 2 && inner
    };
    let found: Vec<&Range<usize>> = sweep
        .words
        .iter()
        .filter(|w| w.odd & mixed == mixed && w.odd & odd::SPELLED == 0)
        .map(|w| &w.range)
        .filter(|range| is_leet(range))
        .collect();
    let (Some(first), Some(last)) = (found.first(), found.last()) else { return };
    if found.len() < MIN_LEET {
        return;
    }
    let from = crate::source::floor_boundary(text, first.start.saturating_sub(AROUND));
    let to = crate::source::floor_boundary(text, last.end.saturating_add(AROUND));
    let slice = text.get(from..to).unwrap_or("");
    let undone = fold::unleet(slice);
    if adds(slice, &undone) {
        below(&undone, first.start..last.end, "writes digits for letters", depth, signs);
    }
}
