//! The two passes that find where a closer look is worth it.
//!
//! Most telling words begin where a word of the text begins: one loop over the
//! bytes looks there into small tables of bits ([`Table`]) whether one can, and
//! on its way notices odd words. The few that may begin inside a word, like
//! `key` in `clientKey`, are in an automaton (Aho-Corasick). One automaton for
//! all was measured: a thousand words make a table that no cache holds, at a
//! third of the speed.
//!
//! What both find is a list of places; nothing is judged here.

use super::injection::{self, disguise};
use super::{Wanted, keyed, personal, prefixes, secret};
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::LazyLock;

/// A word of at least so many bytes may be a token or hold a hidden payload.
const LONG_WORD: usize = 20;
/// So many single characters in a row, with gaps, may spell a word.
const SPELLED: usize = 6;

/// Who looks closer at a telling word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wake {
    /// A provider's prefix, by its place in the table.
    Prefix(u16),
    /// A secret's shape, by its place in the table.
    Secret(u16),
    /// A name that may have a secret value.
    Keyed,
    /// A personal shape, by its place in the table.
    Personal(u16),
    /// A cue of an attack, by its place in the table.
    Cue(u16),
    /// A telling word written backwards or rotated.
    Disguise(u16),
}

/// A telling word in the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Anchor {
    pub(super) wake: Wake,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What is odd about a word.
pub(super) mod odd {
    pub(in crate::scan) const DIGIT: u8 = 1;
    pub(in crate::scan) const AT: u8 = 2;
    pub(in crate::scan) const WIDE: u8 = 4;
    pub(in crate::scan) const LETTER: u8 = 8;
    pub(in crate::scan) const CONTROL: u8 = 16;
    pub(in crate::scan) const LONG: u8 = 32;
    /// Not a word but a row of single characters.
    pub(in crate::scan) const SPELLED: u8 = 64;
    pub(super) const SPACE: u8 = 128;
}

/// An odd word.
#[derive(Debug, Clone)]
pub(super) struct Word {
    pub(super) range: Range<usize>,
    pub(super) odd: u8,
}

/// The places of one text.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// In order of kind, then of place.
    pub(super) anchors: Vec<Anchor>,
    /// In order of place.
    pub(super) words: Vec<Word>,
}

impl Sweep {
    pub(super) fn is_empty(&self) -> bool {
        self.anchors.is_empty() && self.words.is_empty()
    }

    /// True if some character is not plain ASCII text.
    pub(super) fn has_unusual(&self) -> bool {
        self.words.iter().any(|w| w.odd & (odd::WIDE | odd::CONTROL) != 0)
    }

    /// Windows around the anchors `pick` names, by its number, those of one
    /// number in order and merged where they touch.
    pub(super) fn windows(
        &self,
        text: &str,
        pick: impl Fn(&Anchor) -> Option<u16>,
        reach: impl Fn(u16) -> (usize, usize),
    ) -> Vec<(u16, Range<usize>)> {
        let mut windows: Vec<(u16, Range<usize>)> = Vec::new();
        for anchor in &self.anchors {
            let Some(number) = pick(anchor) else { continue };
            let (before, after) = reach(number);
            let start = crate::source::floor_boundary(text, anchor.start.saturating_sub(before));
            let end = crate::source::floor_boundary(text, anchor.end.saturating_add(after));
            match windows.last_mut() {
                Some((last, range)) if *last == number && start <= range.end => {
                    range.end = range.end.max(end);
                }
                _ => windows.push((number, start..end)),
            }
        }
        windows
    }
}

const CLASS: [u8; 256] = {
    let mut class = [0_u8; 256];
    let mut b = 0;
    while b < 256 {
        class[b] = match b as u8 {
            b'\t' | b'\n' | b'\r' | b' ' => odd::SPACE,
            0..=0x1f | 0x7f => odd::CONTROL,
            b'0'..=b'9' => odd::DIGIT,
            b'@' => odd::AT,
            b'A'..=b'Z' | b'a'..=b'z' => odd::LETTER,
            0x80.. => odd::WIDE,
            _ => 0,
        };
        b += 1;
    }
    class
};

/// Telling words by what they begin with, in lower case: a table of bits says
/// "perhaps", a map says which.
struct Table {
    /// Bytes that are looked at.
    width: usize,
    bits: Vec<u64>,
    words: HashMap<u64, Vec<(&'static str, Vec<Wake>)>>,
}

/// Bits of a table; a multiple of 64.
const BITS: u64 = 1 << 15;

impl Table {
    fn new(width: usize) -> Self {
        Self { width, bits: vec![0; (BITS / 64) as usize], words: HashMap::new() }
    }

    /// Which bit stands for these bytes (the multiplier is that of Knuth's
    /// multiplicative hashing).
    fn bit(key: u64) -> u64 {
        key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - BITS.ilog2())
    }

    fn add(&mut self, word: &'static str, wakes: Vec<Wake>) {
        let key = self.key(Self::first(word.as_bytes()));
        let bit = Self::bit(key);
        if let Some(slot) = self.bits.get_mut((bit / 64) as usize) {
            *slot |= 1 << (bit % 64);
        }
        self.words.entry(key).or_default().push((word, wakes));
    }

    /// The first eight bytes, in lower case as far as a filter needs it.
    fn first(bytes: &[u8]) -> u64 {
        let word = match bytes.first_chunk::<8>() {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => {
                let mut chunk = [0; 8];
                for (to, from) in chunk.iter_mut().zip(bytes) {
                    *to = *from;
                }
                u64::from_le_bytes(chunk)
            }
        };
        word | 0x2020_2020_2020_2020
    }

    fn key(&self, first: u64) -> u64 {
        if self.width >= 8 { first } else { first & ((1 << (8 * self.width)) - 1) }
    }

    fn find(&self, first: u64, rest: &[u8], mut found: impl FnMut(usize, &[Wake])) {
        let key = self.key(first);
        let bit = Self::bit(key);
        if self.bits.get((bit / 64) as usize).is_none_or(|slot| slot >> (bit % 64) & 1 == 0) {
            return;
        }
        for (word, wakes) in self.words.get(&key).into_iter().flatten() {
            let same = rest.get(..word.len());
            if same.is_some_and(|same| same.eq_ignore_ascii_case(word.as_bytes())) {
                found(word.len(), wakes);
            }
        }
    }
}

pub(super) struct Engine {
    /// Words that begin where words begin: those of eight bytes and more, of
    /// four and more, of three.
    tables: [Table; 3],
    /// Words that may begin anywhere.
    inside: Option<AhoCorasick>,
    inside_wakes: Vec<Vec<Wake>>,
}

/// Built at the first use, for all texts.
pub(super) static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::new);

/// True if words begin with this byte.
fn opens(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b >= 0xc0
}

/// Whether a word may begin inside another, by whom it wakes.
fn anywhere(word: &str, wake: Wake) -> bool {
    wake == Wake::Keyed
        || matches!(wake, Wake::Secret(_)) && secret::INSIDE.contains(&word)
        || !word.bytes().next().is_some_and(opens)
}

impl Engine {
    fn new() -> Self {
        let mut begin: BTreeMap<&'static str, Vec<Wake>> = BTreeMap::new();
        let mut inside: BTreeMap<&'static str, Vec<Wake>> = BTreeMap::new();
        let all = prefixes::anchors()
            .chain(secret::anchors())
            .chain(keyed::ANCHORS.iter().map(|word| (*word, Wake::Keyed)))
            .chain(personal::anchors())
            .chain(injection::anchors())
            .chain(disguise::anchors());
        for (word, wake) in all {
            let to = if anywhere(word, wake) { &mut inside } else { &mut begin };
            let wakes = to.entry(word).or_default();
            if !wakes.contains(&wake) {
                wakes.push(wake);
            }
        }
        let mut tables = [Table::new(8), Table::new(4), Table::new(3)];
        for (word, wakes) in begin {
            if let Some(table) = tables.iter_mut().find(|table| word.len() >= table.width) {
                table.add(word, wakes);
            }
        }
        // A test holds that the automaton can be built.
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .build(inside.keys())
            .ok();
        Self { tables, inside: automaton, inside_wakes: inside.into_values().collect() }
    }

    #[cfg(test)]
    pub(super) fn works(&self) -> bool {
        self.inside.is_some()
    }

    /// The places worth a look.
    pub(super) fn sweep(&self, text: &str, wanted: Wanted) -> Sweep {
        let mut sweep = Sweep::default();
        self.words(text, wanted, &mut sweep);
        self.inside(text, wanted, &mut sweep.anchors);
        if sweep.anchors.len() > 1 {
            sweep.anchors.sort_unstable_by_key(|a| (a.wake, a.start, a.end));
        }
        sweep
    }

    fn inside(&self, text: &str, wanted: Wanted, anchors: &mut Vec<Anchor>) {
        let Some(automaton) = &self.inside else { return };
        for hit in automaton.find_overlapping_iter(text) {
            let Some(wakes) = self.inside_wakes.get(hit.pattern().as_usize()) else { continue };
            for wake in wakes.iter().filter(|wake| asked(**wake, wanted)) {
                anchors.push(Anchor { wake: *wake, start: hit.start(), end: hit.end() });
            }
        }
    }

    fn words(&self, text: &str, wanted: Wanted, sweep: &mut Sweep) {
        let bytes = text.as_bytes();
        let mut odd = OddWords::default();
        let mut joined = false;
        for (at, byte) in bytes.iter().enumerate() {
            let class = CLASS.get(usize::from(*byte)).copied().unwrap_or(0);
            odd.see(at, class, &mut sweep.words);
            let part = class & (odd::LETTER | odd::DIGIT) != 0;
            if !joined && (part || *byte >= 0xc0) {
                let rest = bytes.get(at..).unwrap_or(&[]);
                let first = Table::first(rest);
                for table in &self.tables {
                    table.find(first, rest, |length, wakes| {
                        for wake in wakes.iter().filter(|wake| asked(**wake, wanted)) {
                            let (start, end) = (at, at + length);
                            sweep.anchors.push(Anchor { wake: *wake, start, end });
                        }
                    });
                }
            }
            joined = part;
        }
        odd.finish(bytes.len(), &mut sweep.words);
    }
}

fn asked(wake: Wake, wanted: Wanted) -> bool {
    match wake {
        Wake::Prefix(_) | Wake::Secret(_) | Wake::Keyed => wanted.secrets,
        Wake::Personal(_) => wanted.personal,
        Wake::Cue(_) | Wake::Disguise(_) => wanted.injection,
    }
}

/// Notices odd words as their bytes go by.
#[derive(Default)]
struct OddWords {
    start: usize,
    seen: u8,
    /// Single characters in a row, and where the row began.
    singles: (usize, usize),
}

impl OddWords {
    fn see(&mut self, at: usize, class: u8, words: &mut Vec<Word>) {
        if class == odd::SPACE {
            self.end_word(at, words);
            self.start = at + 1;
            self.seen = 0;
        } else {
            self.seen |= class;
        }
    }

    fn end_word(&mut self, end: usize, words: &mut Vec<Word>) {
        let length = end - self.start;
        match length {
            0 => {}
            1 => {
                if self.singles.0 == 0 {
                    self.singles.1 = self.start;
                }
                self.singles.0 += 1;
            }
            _ => self.end_row(self.start, words),
        }
        let long = if length >= LONG_WORD { odd::LONG } else { 0 };
        if self.seen & (odd::DIGIT | odd::AT | odd::WIDE | odd::CONTROL) != 0 || long != 0 {
            words.push(Word { range: self.start..end, odd: self.seen | long });
        }
    }

    fn end_row(&mut self, end: usize, words: &mut Vec<Word>) {
        if self.singles.0 >= SPELLED {
            words.push(Word { range: self.singles.1..end, odd: odd::SPELLED });
        }
        self.singles.0 = 0;
    }

    fn finish(&mut self, end: usize, words: &mut Vec<Word>) {
        self.end_word(end, words);
        self.end_row(end, words);
    }
}
