//! Personal data with a shape: e-mail addresses, and numbers, dates, names and
//! addresses that the words before them announce. Numbers that tell by
//! themselves are in [`super::numbers`].

use super::numbers;
use super::sweep::{Sweep, Wake, odd};
use super::{Caught, Hit, Kind};
use regex::Regex;
use std::sync::LazyLock;

/// How far after its announcement a value may begin, in bytes.
const REACH: usize = 56;

/// A value that is announced.
struct Announced {
    kind: Kind,
    score: u8,
    /// The words, in lower case, that announce it.
    words: &'static [&'static str],
    /// What may stand between: the group `v` is the value.
    pattern: &'static str,
    judge: fn(&Caught<'_>) -> bool,
}

const MONTH: &str = "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)";

static ANNOUNCED: [Announced; 7] = [
    Announced {
        kind: Kind::Ssn,
        score: 90,
        words: &["ssn", "social security", "social is", "social number", "my social"],
        pattern: r"^\D{0,40}?(?P<v>[0-9](?:[ -]{0,3}[0-9]){8})(?:[^0-9]|$)",
        judge: |caught| {
            let digits: Vec<char> = caught.value().chars().filter(char::is_ascii_digit).collect();
            digits.windows(2).any(|pair| pair.first() != pair.last())
        },
    },
    Announced {
        kind: Kind::BirthDate,
        score: 75,
        words: &["born", "birth", "dob", "d.o.b"],
        pattern: r"(?i)^[^\n0-9]{0,40}?\b(?P<v>[0-9]{1,4}[./-][0-9]{1,2}[./-][0-9]{1,4}|[0-9]{1,2}(?:st|nd|rd|th)?(?: of)? MONTH,? [0-9]{4}|MONTH [0-9]{1,2}(?:st|nd|rd|th)?,? [0-9]{4}|[0-9]{1,2} [0-9]{1,2} (?:19|20)[0-9]{2})",
        judge: |caught| caught.stands_alone(),
    },
    Announced {
        kind: Kind::OfficialId,
        score: 65,
        words: &[
            "passport",
            "driver",
            "driving",
            "national id",
            "tax id",
            "license number",
            "licence number",
            "license no",
            "licence no",
            "identity card",
            "id card",
        ],
        pattern: r"^[^\n0-9]{0,40}?\b(?P<v>[A-Za-z]{0,3}[0-9]{6,12})",
        judge: |caught| caught.stands_alone(),
    },
    Announced {
        kind: Kind::Email,
        score: 65,
        words: &["email", "e-mail", "mail me", "mail address", "mail is"],
        pattern: r"(?i)^[^\n]{0,24}?\b(?P<v>[a-z0-9][a-z0-9._-]{1,40}(?: at | )(?:gmail|yahoo|hotmail|outlook|icloud|aol|protonmail)(?: dot |\.| )(?:com|net|org|co\.uk|de|fr|in))\b",
        judge: |_| true,
    },
    Announced {
        kind: Kind::Name,
        score: 45,
        words: &["name is", "i am called", "name:", "named"],
        pattern: r"^(?i:name is|i am called|name:|named)\s{1,3}(?P<v>\p{Lu}[\p{L}'’-]{1,24}(?: (?:\p{Lu}\.|\p{Lu}[\p{L}'’-]{0,24})){0,3})",
        judge: |_| true,
    },
    Announced {
        kind: Kind::Name,
        score: 45,
        words: &["mr.", "mrs.", "ms.", "dr.", "prof.", "mr ", "mrs ", "dr "],
        pattern: r"^(?:Mr|Mrs|Ms|Dr|Prof)\.? (?P<v>\p{Lu}[\p{L}'’-]{1,24}(?: \p{Lu}[\p{L}'’-]{1,24}){0,2})",
        judge: |_| true,
    },
    Announced {
        kind: Kind::Address,
        score: 45,
        words: &["lives at", "live at", "address is", "address:", "located at", "moved to"],
        pattern: r"(?i)^(?:lives? at|address is|address:|located at|moved to)\s{1,4}(?P<v>(?:[0-9]{1,6}[a-z]?,? (?:[\p{L}0-9.'’-]{1,24}[ ,]{1,2}){1,5}|(?:[\p{L}.'’-]{2,24} ){1,4}[0-9]{1,5})[\p{L}0-9-]{0,24})",
        judge: |_| true,
    },
];

static EMAIL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,5}[A-Za-z]{2,24}").ok()
});

static COMPILED: LazyLock<Vec<Option<Regex>>> = LazyLock::new(|| {
    // A test holds that every pattern compiles.
    ANNOUNCED.iter().map(|a| Regex::new(&a.pattern.replace("MONTH", MONTH)).ok()).collect()
});

#[cfg(test)]
pub(super) fn all_compile() -> bool {
    EMAIL.is_some() && COMPILED.iter().all(Option::is_some) && numbers::all_compile()
}

/// The announcing words, for the automaton.
pub(super) fn anchors() -> impl Iterator<Item = (&'static str, Wake)> {
    (0_u16..)
        .zip(&ANNOUNCED)
        .flat_map(|(at, a)| a.words.iter().map(move |word| (*word, Wake::Personal(at))))
}

/// The personal data of a text.
pub(super) fn find(text: &str, sweep: &Sweep, found: &mut Vec<Hit>) {
    for word in sweep.words.iter().filter(|w| w.odd & odd::AT != 0) {
        let slice = text.get(word.range.clone()).unwrap_or("");
        for shaped in EMAIL.iter().flat_map(|regex| regex.find_iter(slice)) {
            let range = word.range.start + shaped.start()..word.range.start + shaped.end();
            found.extend(email(&Caught { text, range }));
        }
    }
    numbers::find(text, sweep, found);
    for anchor in &sweep.anchors {
        let Wake::Personal(at) = anchor.wake else { continue };
        let at = usize::from(at);
        let (Some(shape), Some(Some(regex))) = (ANNOUNCED.get(at), COMPILED.get(at)) else {
            continue;
        };
        let end = anchor.end.saturating_add(REACH).min(text.len());
        let end = crate::source::floor_boundary(text, end);
        let slice = text.get(anchor.start..end).unwrap_or("");
        let Some(value) = regex.captures(slice).and_then(|c| c.name("v")) else { continue };
        let range = anchor.start + value.start()..anchor.start + value.end();
        let caught = Caught { text, range: range.clone() };
        if (shape.judge)(&caught) {
            found.push(Hit::new(shape.kind, range, shape.score));
        }
    }
}

fn email(caught: &Caught<'_>) -> Option<Hit> {
    let (local, domain) = caught.value().rsplit_once('@')?;
    let domain = domain.to_ascii_lowercase();
    let before = caught.before();
    let word = before.rsplit(char::is_whitespace).next().unwrap_or("");
    // `https://user:password@host` has a sign of its own.
    if word.rsplit_once("://").is_some_and(|(_, user)| !user.contains(['/', '?', '#'])) {
        return None;
    }
    if local.starts_with('.') && local.trim_matches('.').is_empty() {
        return None;
    }
    // Names reserved for documentation belong to nobody (RFC 2606).
    let reserved = ["example.com", "example.org", "example.net"]
        .iter()
        .any(|d| domain == *d || domain.ends_with(&format!(".{d}")))
        || ["example", "test", "invalid", "localhost"]
            .iter()
            .any(|top| domain.ends_with(&format!(".{top}")));
    Some(Hit::new(Kind::Email, caught.range.clone(), if reserved { 30 } else { 95 }))
}
