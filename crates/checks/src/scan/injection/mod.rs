//! Attempts to steer the model: weighted cues, summed over a passage.
//!
//! A [`cue`](cues) is a telling word with a shape around it and a weight that
//! says how much it speaks for an attack; [`disguise`] undoes encodings and
//! looks for cues below; [`stray`] notices requests where a document should
//! have none. No cue convicts a long text by many small doubts: what counts is
//! the worst passage of [`PASSAGE_BYTES`], and a cue counts once in it, a
//! repetition a quarter.
//!
//! This is not proof of an attack, and its absence is no proof of peace: what
//! is asked in plain words, without a sign of its own, is not found.

mod cues;
pub(super) mod disguise;
mod fold;
mod personas;
mod stray;
mod tongues;

use super::sweep::{Anchor, ENGINE, Sweep, Wake};
use super::{Hit, Kind, Wanted};
use regex::Regex;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

/// Sum of weights from which a passage is an attack.
pub const THRESHOLD: u8 = 50;
/// Length of the passages whose cues are summed, in bytes.
pub const PASSAGE_BYTES: usize = 3000;
/// How deep encodings are undone: text in base64 in base64 is one deep.
const MAX_DEPTH: usize = 2;

/// What a cue is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// Unmistakable wherever it stands.
    Attack,
    /// How to answer: an order that a document must not give, though a prompt
    /// and its user may.
    Order,
}

/// A telling word with a shape around it.
struct Cue {
    about: About,
    /// A few words for people.
    reason: &'static str,
    /// How much it speaks for an attack; [`THRESHOLD`] convicts alone.
    weight: u8,
    /// Words, in lower case, near which it can be.
    words: &'static [&'static str],
    /// A regular expression in shorthand: see [`expand`].
    pattern: &'static str,
}

/// A cue of an attack.
const fn attack(
    reason: &'static str,
    weight: u8,
    words: &'static [&'static str],
    pattern: &'static str,
) -> Cue {
    Cue { about: About::Attack, reason, weight, words, pattern }
}

/// A cue of an order how to answer.
const fn order(
    reason: &'static str,
    weight: u8,
    words: &'static [&'static str],
    pattern: &'static str,
) -> Cue {
    Cue { about: About::Order, reason, weight, words, pattern }
}

/// How far around a telling word a shape may reach, in bytes.
const REACH: (usize, usize) = (110, 160);

/// One cue in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sign {
    reason: &'static str,
    weight: u8,
    range: Range<usize>,
    about: About,
}

/// What a text says to the model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// 0 to 100; an attack from [`THRESHOLD`].
    pub score: u8,
    /// What spoke for it: a few words and where, the heaviest first.
    pub reasons: Vec<(&'static str, Range<usize>)>,
    /// The passage, in bytes; empty if nothing spoke for an attack.
    pub range: Range<usize>,
}

impl Judgement {
    /// True if this is held for an attack.
    pub fn is_attack(&self) -> bool {
        self.score >= THRESHOLD
    }
}

static COMPILED: LazyLock<Vec<Option<Regex>>> = LazyLock::new(|| {
    // A test holds that every pattern compiles.
    all().map(|cue| Regex::new(&expand(cue.pattern)).ok()).collect()
});

fn all() -> impl Iterator<Item = &'static Cue> {
    cues::CUES.iter().chain(personas::CUES).chain(tongues::CUES)
}

static ALL: LazyLock<Vec<&'static Cue>> = LazyLock::new(|| all().collect());

/// The shorthand of patterns: a blank is any short white space, `~` some words
/// of the same sentence, `'` an apostrophe of any kind or none, `^^` the begin
/// of a sentence or line. Case does not matter.
fn expand(pattern: &str) -> String {
    let body = pattern
        .replace(' ', r"[\s,]{1,4}")
        .replace('~', r"[^.!?\n]{0,40}?")
        .replace('\'', "['’`]?")
        .replace(r"\b", r"(?-u:\b)")
        .replace("^^", "(?:^|[.!?:;>|\\n\\]\"”)]\\s?)[\\s\"'“*#>-]{0,4}");
    format!("(?i){body}")
}

/// The telling words, for the automaton.
pub(super) fn anchors() -> impl Iterator<Item = (&'static str, Wake)> {
    (0_u16..)
        .zip(all())
        .flat_map(|(at, cue)| cue.words.iter().map(move |word| (*word, Wake::Cue(at))))
}

/// Judges a text that should hold data: what a user wrote, a document, the
/// answer of a tool.
pub fn judge(text: &str) -> Judgement {
    let sweep = ENGINE.sweep(text, Wanted::INJECTION);
    worst(&signs(text, &sweep, 0))
}

/// Judges a text that holds orders by right, as a prompt does: how to answer is
/// not held against it, and neither is what it tells the model to refuse.
pub fn judge_authored(text: &str) -> Judgement {
    let sweep = ENGINE.sweep(text, Wanted::INJECTION);
    let mut signs = signs(text, &sweep, 0);
    signs.retain(|sign| sign.about == About::Attack && !refused(text, sign.range.start));
    worst(&signs)
}

/// The passages held for attacks; those of a text that go into each other are
/// one.
pub(super) fn passages(text: &str, sweep: &Sweep) -> Option<Hit> {
    if sweep.is_empty() {
        return None;
    }
    let judged = worst(&signs(text, sweep, 0));
    judged.is_attack().then(|| {
        let mut hit = Hit::new(Kind::Injection, judged.range, judged.score);
        hit.reasons = judged.reasons.into_iter().map(|(reason, _)| reason).collect();
        hit.reasons.dedup();
        hit
    })
}

/// True if the words before say that this is to be refused: `never`, `do not`.
fn refused(text: &str, start: usize) -> bool {
    let from = crate::source::floor_boundary(text, start.saturating_sub(60));
    let before = text.get(from..start).unwrap_or("").to_lowercase();
    ["never", "not", "don't", "refuse", "if ", "even when", "attempts to", "asks to", "asking to"]
        .iter()
        .any(|word| before.contains(word))
}

fn signs(text: &str, sweep: &Sweep, depth: usize) -> Vec<Sign> {
    let mut signs = stray::find(text, sweep);
    if depth < MAX_DEPTH {
        signs.extend(disguise::find(text, sweep, depth));
    }
    signs.extend(plain(text, sweep, &signs, depth > 0));
    signs.sort_by_key(|sign| sign.range.start);
    signs
}

/// For each cue, the first one with its reason: cues of one reason count once.
static SAME: LazyLock<Vec<usize>> = LazyLock::new(|| {
    let first = |cue: &&Cue| ALL.iter().position(|other| other.reason == cue.reason);
    ALL.iter().map(|cue| first(cue).unwrap_or(0)).collect()
});

/// The cues of a text as it stands: first those that convict alone, then the
/// others, but only in passages that they could convict together with `given`
/// and what was found. With `every`, all of them.
fn plain(text: &str, sweep: &Sweep, given: &[Sign], every: bool) -> Vec<Sign> {
    let heavy = |at: u16| ALL.get(usize::from(at)).is_some_and(|cue| cue.weight >= THRESHOLD);
    let mut signs = tried(text, sweep, |at, _| heavy(at));
    // Numbers no cue has: each of these counts for itself.
    let sure = given.iter().chain(&signs).zip(ALL.len()..);
    let mut places: Vec<(usize, usize, u8)> =
        sure.map(|(sign, own)| (sign.range.start, own, sign.weight)).collect();
    for anchor in &sweep.anchors {
        let Wake::Cue(at) = anchor.wake else { continue };
        if let (Some(cue), Some(same), false) =
            (ALL.get(usize::from(at)), SAME.get(usize::from(at)), heavy(at))
        {
            places.push((anchor.start, *same, cue.weight));
        }
    }
    let ranges = promising(places);
    let within = |place: usize| {
        let next = ranges.partition_point(|range| range.start <= place);
        next.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|r| place <= r.end)
    };
    if every || !ranges.is_empty() {
        signs.extend(tried(text, sweep, |at, place| !heavy(at) && (every || within(place))));
    }
    signs
}

/// Where the cues at these places (with their reason and weight) could together
/// reach [`THRESHOLD`], were all their shapes there, repetitions included. What
/// lies outside cannot be an attack.
fn promising(mut places: Vec<(usize, usize, u8)>) -> Vec<Range<usize>> {
    let most = |weight: u8| u32::from(weight) + u32::from(weight) / 4;
    let mut ranges: Vec<Range<usize>> = Vec::new();
    if places.iter().map(|(_, _, weight)| most(*weight)).sum::<u32>() < u32::from(THRESHOLD) {
        return ranges;
    }
    places.sort_unstable();
    let mut counts: BTreeMap<usize, (u32, u8)> = BTreeMap::new();
    let mut sum = 0_u32;
    let mut first = 0;
    for (start, same, weight) in &places {
        let slot = counts.entry(*same).or_insert((0, 0));
        sum += most((*weight).max(slot.1)) - most(slot.1);
        *slot = (slot.0 + 1, slot.1.max(*weight));
        while let Some((oldest, of, _)) = places.get(first)
            && *start > oldest + PASSAGE_BYTES + REACH.0 + REACH.1
        {
            if let Some(slot) = counts.get_mut(of) {
                slot.0 -= 1;
                if slot.0 == 0 {
                    sum -= most(slot.1);
                    counts.remove(of);
                }
            }
            first += 1;
        }
        if sum >= u32::from(THRESHOLD) {
            let from = places.get(first).map_or(*start, |(oldest, ..)| *oldest);
            match ranges.last_mut() {
                Some(last) if from <= last.end => last.end = *start,
                _ => ranges.push(from..*start),
            }
        }
    }
    ranges
}

/// The cues whose shapes are there, of those `wanted` by number and place.
fn tried(text: &str, sweep: &Sweep, wanted: impl Fn(u16, usize) -> bool) -> Vec<Sign> {
    let mut signs = Vec::new();
    let pick = |anchor: &Anchor| match anchor.wake {
        Wake::Cue(at) if wanted(at, anchor.start) => Some(at),
        _ => None,
    };
    for (at, window) in sweep.windows(text, pick, |_| REACH) {
        let at = usize::from(at);
        let (Some(cue), Some(Some(regex))) = (ALL.get(at), COMPILED.get(at)) else { continue };
        // What stands before the window must stay visible to `\b` and `^`.
        let Some(seen) = text.get(..window.end) else { continue };
        let mut from = window.start;
        while let Some(found) = regex.find_at(seen, from) {
            signs.push(Sign {
                reason: cue.reason,
                weight: cue.weight,
                range: found.range(),
                about: cue.about,
            });
            if found.end() <= from {
                break;
            }
            from = found.end();
        }
    }
    signs
}

/// The passage with the greatest sum.
fn worst(signs: &[Sign]) -> Judgement {
    let mut counts: BTreeMap<&'static str, (u32, u32)> = BTreeMap::new();
    let mut best = Judgement::default();
    let mut best_span = 0..0;
    let mut first = 0;
    let weigh = |counts: &BTreeMap<&'static str, (u32, u32)>| -> u32 {
        counts.values().map(|(n, weight)| weight + u32::from(*n > 1) * weight / 4).sum()
    };
    for (last, sign) in signs.iter().enumerate() {
        let slot = counts.entry(sign.reason).or_insert((0, 0));
        *slot = (slot.0 + 1, slot.1.max(u32::from(sign.weight)));
        while let Some(oldest) = signs.get(first)
            && sign.range.start > oldest.range.start + PASSAGE_BYTES
        {
            if let Some(slot) = counts.get_mut(oldest.reason) {
                slot.0 -= 1;
                if slot.0 == 0 {
                    counts.remove(oldest.reason);
                }
            }
            first += 1;
        }
        let score = u8::try_from(weigh(&counts).min(100)).unwrap_or(100);
        if score > best.score {
            best.score = score;
            best_span = first..last + 1;
        }
    }
    let chosen = signs.get(best_span).unwrap_or(&[]);
    let start = chosen.iter().map(|s| s.range.start).min().unwrap_or(0);
    let end = chosen.iter().map(|s| s.range.end).max().unwrap_or(0);
    best.range = start..end;
    let mut heavy: Vec<&Sign> = chosen.iter().collect();
    heavy.sort_by_key(|s| (std::cmp::Reverse(s.weight), s.range.start));
    best.reasons = heavy.into_iter().map(|s| (s.reason, s.range.clone())).collect();
    best.reasons.dedup_by_key(|(reason, _)| *reason);
    best
}

#[cfg(test)]
mod tests;
