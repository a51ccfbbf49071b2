//! Finds secrets and personal data: tables of detectors, one scanner.
//!
//! A detector is a shape plus a judge: the shape says where a match could be,
//! the judge looks at the value and its surroundings and gives a score, or
//! none. Gates, log redaction and guardrails read the same matches and differ
//! only in the score from which they act ([`REPORT_FROM`], [`REDACT_FROM`]):
//! a report that cries wolf is ignored, a log that keeps a doubtful number is
//! not worth it.
//!
//! What must stay true: time is linear in the text. One pass of Aho-Corasick
//! says which shapes can occur at all; shapes are regular expressions without
//! backtracking whose repetitions are bounded; judges look at a bounded
//! neighbourhood. Pure pattern lists without judges were not taken: digits in
//! groups are everywhere, and only checksums and context tell them apart.

pub(crate) mod check;
mod personal;
mod prefixes;
mod secret;

use aho_corasick::AhoCorasick;
use prefixes::PREFIXES;
use regex::Regex;
use std::ops::Range;
use std::sync::LazyLock;

/// Score from which a match is worth a person's time.
pub const REPORT_FROM: u8 = 50;
/// Score from which a match is taken out of a log.
pub const REDACT_FROM: u8 = 25;
/// How far a judge looks around a match for words, in bytes.
const CONTEXT_BYTES: usize = 48;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A key or token with the known shape of a provider.
    ApiKey,
    /// A signed web token.
    WebToken,
    /// A private key block.
    PrivateKey,
    /// A password in a URL or a command line.
    Password,
    /// A random-looking value assigned to a telling name.
    Secret,
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// A payment card number.
    Card,
    /// An international bank account number.
    Iban,
    /// A US social security number.
    Ssn,
    /// A passport, licence or other official number.
    OfficialId,
    /// A date of birth.
    BirthDate,
    /// An internet address.
    IpAddress,
}

impl Kind {
    /// True for what opens doors, false for what names people.
    pub fn is_secret(self) -> bool {
        matches!(
            self,
            Self::ApiKey | Self::WebToken | Self::PrivateKey | Self::Password | Self::Secret
        )
    }

    /// The stem of its placeholder in redacted text.
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::ApiKey => "API_KEY",
            Self::WebToken => "TOKEN",
            Self::PrivateKey => "PRIVATE_KEY",
            Self::Password => "PASSWORD",
            Self::Secret => "SECRET",
            Self::Email => "EMAIL",
            Self::Phone => "PHONE",
            Self::Card => "CARD",
            Self::Iban => "IBAN",
            Self::Ssn => "SSN",
            Self::OfficialId => "ID_NUMBER",
            Self::BirthDate => "BIRTH_DATE",
            Self::IpAddress => "IP",
        }
    }

    /// What it is, for people, with its article.
    pub fn words(self) -> &'static str {
        match self {
            Self::ApiKey => "an API key",
            Self::WebToken => "a signed access token",
            Self::PrivateKey => "a private key",
            Self::Password => "a password",
            Self::Secret => "a secret value",
            Self::Email => "a person's e-mail address",
            Self::Phone => "a telephone number",
            Self::Card => "a payment card number",
            Self::Iban => "a bank account number",
            Self::Ssn => "a US social security number",
            Self::OfficialId => "an official document's number",
            Self::BirthDate => "a date of birth",
            Self::IpAddress => "somebody's internet address",
        }
    }

    pub(crate) const ALL: [Kind; 13] = [
        Self::ApiKey,
        Self::WebToken,
        Self::PrivateKey,
        Self::Password,
        Self::Secret,
        Self::Email,
        Self::Phone,
        Self::Card,
        Self::Iban,
        Self::Ssn,
        Self::OfficialId,
        Self::BirthDate,
        Self::IpAddress,
    ];
}

/// One match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// What it is.
    pub kind: Kind,
    /// Bytes of the text.
    pub range: Range<usize>,
    /// How sure: 0 to 100.
    pub score: u8,
}

/// A shape and its judge.
pub(crate) struct Detector {
    kind: Kind,
    /// The shape can only occur where one of these words does (lower case);
    /// `0` stands for any digit.
    triggers: &'static [&'static str],
    /// The group `v` is the value; the whole match if there is none.
    pattern: &'static str,
    judge: fn(&Caught<'_>) -> Option<Verdict>,
}

/// What a shape caught.
pub(crate) struct Caught<'t> {
    text: &'t str,
    /// The value's bytes.
    range: Range<usize>,
    /// The group `k`: the name a value is assigned to.
    key: &'t str,
}

/// A judge's answer: a score, and the range if it is not the shape's.
pub(crate) struct Verdict {
    score: u8,
    range: Option<Range<usize>>,
}

impl Verdict {
    fn score(score: u8) -> Option<Self> {
        Some(Self { score, range: None })
    }
}

impl<'t> Caught<'t> {
    fn value(&self) -> &'t str {
        self.text.get(self.range.clone()).unwrap_or("")
    }

    /// The text just before, in lower case.
    fn before(&self) -> String {
        let from = crate::source::floor_boundary(
            self.text,
            self.range.start.saturating_sub(CONTEXT_BYTES),
        );
        self.text.get(from..self.range.start).unwrap_or("").to_lowercase()
    }

    /// True if one of the words is just before.
    fn follows(&self, words: &[&str]) -> bool {
        let before = self.before();
        words.iter().any(|word| before.contains(word))
    }

    /// True if the value does not continue a longer word or number.
    fn stands_alone(&self) -> bool {
        let before = self.text.get(..self.range.start).and_then(|s| s.chars().next_back());
        let after = self.text.get(self.range.end..).unwrap_or("");
        let mut after = after.chars();
        let joins = |c: char| c.is_alphanumeric() || c == '_';
        let next = after.next();
        // A full stop ends a sentence, unless a digit follows it.
        let continues =
            matches!(next, Some('.' | '-')) && after.next().is_some_and(|c| c.is_ascii_digit());
        !before.is_some_and(|c| joins(c) || matches!(c, '-' | '.' | '#'))
            && !next.is_some_and(joins)
            && !continues
    }
}

struct Scanner {
    prefixes: Option<AhoCorasick>,
    triggers: Option<AhoCorasick>,
    /// Which detector each trigger wakes.
    wakes: Vec<usize>,
    detectors: Vec<(&'static Detector, Regex)>,
}

static SCANNER: LazyLock<Scanner> = LazyLock::new(Scanner::new);

impl Scanner {
    fn new() -> Self {
        let mut detectors = Vec::new();
        let mut words = Vec::new();
        let mut wakes = Vec::new();
        // A test holds that every pattern compiles.
        let compiled = secret::DETECTORS
            .iter()
            .chain(&personal::DETECTORS)
            .filter_map(|d| Regex::new(d.pattern).ok().map(|regex| (d, regex)));
        for (index, (detector, regex)) in compiled.enumerate() {
            for trigger in detector.triggers {
                words.push(*trigger);
                wakes.push(index);
            }
            detectors.push((detector, regex));
        }
        Self {
            prefixes: AhoCorasick::new(PREFIXES.iter().map(|p| p.prefix)).ok(),
            triggers: AhoCorasick::builder().ascii_case_insensitive(true).build(words).ok(),
            wakes,
            detectors,
        }
    }

    fn awake(&self, text: &str) -> Vec<bool> {
        let mut awake = vec![false; self.detectors.len()];
        if let Some(triggers) = &self.triggers {
            for hit in triggers.find_overlapping_iter(text) {
                let index = self.wakes.get(hit.pattern().as_usize());
                if let Some(slot) = index.and_then(|i| awake.get_mut(*i)) {
                    *slot = true;
                }
            }
        }
        if text.bytes().any(|b| b.is_ascii_digit()) {
            for ((detector, _), slot) in self.detectors.iter().zip(&mut awake) {
                *slot |= detector.triggers.contains(&"0");
            }
        }
        awake
    }

    fn matches(&self, text: &str) -> Vec<Match> {
        let mut found = Vec::new();
        if let Some(prefixes) = &self.prefixes {
            for hit in prefixes.find_overlapping_iter(text) {
                let shape = PREFIXES.get(hit.pattern().as_usize());
                found.extend(shape.and_then(|shape| shape.judge(text, hit.start())));
            }
        }
        for ((detector, regex), awake) in self.detectors.iter().zip(self.awake(text)) {
            if awake {
                found.extend(detector.matches(regex, text));
            }
        }
        found
    }
}

impl Detector {
    fn matches<'a>(&'a self, regex: &'a Regex, text: &'a str) -> impl Iterator<Item = Match> + 'a {
        regex.captures_iter(text).filter_map(|captures| {
            let value = captures.name("v").or_else(|| captures.get(0))?;
            let caught = Caught {
                text,
                range: value.range(),
                key: captures.name("k").map_or("", |k| k.as_str()),
            };
            let verdict = (self.judge)(&caught)?;
            let range = verdict.range.unwrap_or(caught.range);
            Some(Match { kind: self.kind, range, score: verdict.score })
        })
    }
}

/// Every match of at least `from`, in order, without overlaps: where two claim
/// the same bytes the surer wins, then the longer.
pub fn scan(text: &str, from: u8) -> Vec<Match> {
    let mut found = SCANNER.matches(text);
    found.retain(|m| m.score >= from && !m.range.is_empty());
    found.sort_by(|a, b| {
        (b.score, b.range.len(), a.range.start, a.kind).cmp(&(
            a.score,
            a.range.len(),
            b.range.start,
            b.kind,
        ))
    });
    let mut taken: std::collections::BTreeMap<usize, Match> = std::collections::BTreeMap::new();
    for candidate in found {
        let before = taken.range(..candidate.range.end).next_back();
        if before.is_none_or(|(_, m)| m.range.end <= candidate.range.start) {
            taken.insert(candidate.range.start, candidate);
        }
    }
    taken.into_values().collect()
}

#[cfg(test)]
mod tests;
