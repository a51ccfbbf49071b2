//! Finds what must not be in a text: secrets, personal data, attacks on the
//! model, hidden characters, forbidden words.
//!
//! One [`Scanner`] serves gates, log redaction and guardrails. They read the
//! same hits and differ only in what they ask for ([`Wanted`]) and in the score
//! from which they act ([`REPORT_FROM`], [`REDACT_FROM`]): a report that cries
//! wolf is ignored, a log that keeps a doubtful number is not worth it.
//!
//! How: two passes over the bytes find places ([`sweep`]): one automaton knows
//! every telling word of every detector, one loop notices words with digits,
//! `@`, unusual length or unusual characters. Only there a shape (a regular
//! expression, or a small parser) looks closer, and a judge gives a score by
//! checksum, variety and surroundings. Clean text costs the two passes.
//!
//! What must stay true: time is linear in the text. Shapes are regular
//! expressions without backtracking, windows around places are bounded and
//! merged, judges look at a bounded neighbourhood. Pure pattern lists without
//! judges were not taken: digits in groups are everywhere, and only checksums
//! and context tell them apart.

pub(crate) mod check;
pub mod hidden;
mod ids;
pub mod injection;
mod keyed;
mod numbers;
mod personal;
mod prefixes;
mod secret;
mod sweep;
pub mod terms;

use std::ops::Range;
use sweep::{ENGINE, Sweep};
use terms::Terms;

/// Score from which a hit is worth a person's time.
pub const REPORT_FROM: u8 = 50;
/// Score from which a hit is taken out of a log.
pub const REDACT_FROM: u8 = 25;
/// How far a judge looks around a place for words, in bytes.
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
    /// A passport, licence, tax or other official number.
    OfficialId,
    /// A date of birth.
    BirthDate,
    /// An internet address.
    IpAddress,
    /// A person's name, where the text says that it is one.
    Name,
    /// A street address.
    Address,
    /// A passage that tries to steer the model.
    Injection,
    /// Characters that people do not see or take for others.
    HiddenText,
    /// A word the app's settings forbid.
    ForbiddenTerm,
}

impl Kind {
    /// True for what opens doors.
    pub fn is_secret(self) -> bool {
        matches!(
            self,
            Self::ApiKey | Self::WebToken | Self::PrivateKey | Self::Password | Self::Secret
        )
    }

    /// True for what names people.
    pub fn is_personal(self) -> bool {
        !self.is_secret()
            && !matches!(self, Self::Injection | Self::HiddenText | Self::ForbiddenTerm)
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
            Self::Name => "NAME",
            Self::Address => "ADDRESS",
            Self::Injection => "INJECTION",
            Self::HiddenText => "HIDDEN_TEXT",
            Self::ForbiddenTerm => "TERM",
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
            Self::Name => "a person's name",
            Self::Address => "a street address",
            Self::Injection => "an attempt to steer the model",
            Self::HiddenText => "text that people do not see",
            Self::ForbiddenTerm => "a forbidden term",
        }
    }

    pub(crate) const REDACTED: [Kind; 15] = [
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
        Self::Name,
        Self::Address,
    ];
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// What it is.
    pub kind: Kind,
    /// Bytes of the text; always on character boundaries.
    pub range: Range<usize>,
    /// How sure: 0 to 100.
    pub score: u8,
    /// What spoke for it, in a few words.
    pub reasons: Vec<&'static str>,
}

impl Hit {
    fn new(kind: Kind, range: Range<usize>, score: u8) -> Self {
        Self { kind, range, score, reasons: Vec::new() }
    }
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Keys, tokens, passwords.
    pub secrets: bool,
    /// Personal data.
    pub personal: bool,
    /// Attempts to steer the model.
    pub injection: bool,
    /// Hidden and confusable characters.
    pub hidden: bool,
}

impl Wanted {
    /// Everything.
    pub const ALL: Self = Self { secrets: true, personal: true, injection: true, hidden: true };
    /// What must not be in a log.
    pub const PRIVATE: Self =
        Self { secrets: true, personal: true, injection: false, hidden: false };
    /// Attempts to steer the model, and nothing else.
    pub const INJECTION: Self =
        Self { secrets: false, personal: false, injection: true, hidden: false };
}

/// Looks for what was asked, in any number of texts.
#[derive(Debug, Clone)]
pub struct Scanner {
    wanted: Wanted,
    from: u8,
    terms: Terms,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new(Wanted::ALL)
    }
}

impl Scanner {
    /// A scanner that reports from [`REPORT_FROM`].
    pub fn new(wanted: Wanted) -> Self {
        Self { wanted, from: REPORT_FROM, terms: Terms::default() }
    }

    /// With another least score. That of injections is
    /// [`injection::THRESHOLD`] and does not change.
    #[must_use]
    pub fn from_score(mut self, from: u8) -> Self {
        self.from = from;
        self
    }

    /// That looks for these words too.
    #[must_use]
    pub fn with_terms(mut self, terms: Terms) -> Self {
        self.terms = terms;
        self
    }

    /// Everything found, in order of place. Secrets and personal data do not
    /// overlap each other: where two claim the same bytes the surer wins, then
    /// the longer. The other kinds may lie over anything.
    pub fn scan(&self, text: &str) -> Vec<Hit> {
        let sweep = ENGINE.sweep(text, self.wanted);
        let mut found = Vec::new();
        if self.wanted.secrets || self.wanted.personal {
            private(text, &sweep, self.wanted, &mut found);
            settle(&mut found, self.from);
        }
        if self.wanted.injection {
            found.extend(injection::passages(text, &sweep));
        }
        if self.wanted.hidden && sweep.has_unusual() {
            found.extend(hidden::find(text));
        }
        found.extend(self.terms.find(text));
        if found.len() > 1 {
            found.sort_by_key(|hit| (hit.range.start, hit.range.end, hit.kind));
        }
        found
    }
}

/// Secrets and personal data of at least `from`, in order, without overlaps.
pub fn scan(text: &str, from: u8) -> Vec<Hit> {
    Scanner::new(Wanted::PRIVATE).from_score(from).scan(text)
}

fn private(text: &str, sweep: &Sweep, wanted: Wanted, found: &mut Vec<Hit>) {
    if sweep.is_empty() {
        return;
    }
    if wanted.secrets {
        secret::find(text, sweep, found);
    }
    if wanted.personal {
        personal::find(text, sweep, found);
    }
}

/// Leaves the surest of what overlaps, in order of place.
fn settle(found: &mut Vec<Hit>, from: u8) {
    found.retain(|hit| hit.score >= from && !hit.range.is_empty());
    if found.len() < 2 {
        return;
    }
    found.sort_by(|a, b| {
        (b.score, b.range.len(), a.range.start, a.kind).cmp(&(
            a.score,
            a.range.len(),
            b.range.start,
            b.kind,
        ))
    });
    let mut taken: std::collections::BTreeMap<usize, Hit> = std::collections::BTreeMap::new();
    for candidate in found.drain(..) {
        let before = taken.range(..candidate.range.end).next_back();
        if before.is_none_or(|(_, hit)| hit.range.end <= candidate.range.start) {
            taken.insert(candidate.range.start, candidate);
        }
    }
    found.extend(taken.into_values());
}

/// A value with its surroundings, as judges see it.
struct Caught<'t> {
    text: &'t str,
    range: Range<usize>,
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

#[cfg(test)]
mod tests;
