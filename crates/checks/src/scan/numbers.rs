//! Personal numbers: cards, accounts, telephones, internet addresses, official
//! numbers. Looked for where words with digits stand close together.

use super::check::{iban, iban_length, luhn};
use super::ids::IDS;
use super::sweep::{Sweep, odd};
use super::{Caught, Hit, Kind};
use regex::Regex;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::sync::LazyLock;

/// Words with digits this close, in bytes, may be parts of one number.
const MAX_GAP: usize = 6;
/// Digits under which a group of words is no personal number.
const MIN_DIGITS: usize = 4;

/// A judge's answer: a score, and the range if it is not the shape's.
struct Verdict {
    score: u8,
    range: Option<Range<usize>>,
}

impl Verdict {
    fn score(score: u8) -> Option<Self> {
        Some(Self { score, range: None })
    }
}

/// A shape of digits and its judge.
struct Shape {
    kind: Kind,
    /// Digits under which it cannot occur.
    digits: usize,
    /// A mark it must have, and how often.
    mark: (u8, usize),
    pattern: &'static str,
    judge: fn(&Caught<'_>) -> Option<Verdict>,
}

static SHAPES: [Shape; 7] = [
    Shape {
        kind: Kind::Card,
        digits: 12,
        mark: (0, 0),
        pattern: r"[0-9](?:[ -]?[0-9]){11,18}",
        judge: card,
    },
    Shape {
        kind: Kind::Iban,
        digits: 8,
        mark: (0, 0),
        pattern: r"\b[A-Za-z]{2}[0-9]{2} ?[A-Za-z0-9]",
        judge: account,
    },
    Shape {
        kind: Kind::Ssn,
        digits: 9,
        mark: (0, 0),
        pattern: r"[0-9]{3}[- ][0-9]{2}[- ][0-9]{4}",
        judge: social_security,
    },
    Shape {
        kind: Kind::IpAddress,
        digits: 4,
        mark: (b'.', 3),
        pattern: r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}",
        judge: ipv4,
    },
    Shape {
        kind: Kind::IpAddress,
        digits: 4,
        mark: (b':', 2),
        pattern: r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}",
        judge: ipv6,
    },
    Shape {
        kind: Kind::Phone,
        digits: 7,
        mark: (0, 0),
        pattern: r"(?:\+|\()?[0-9]{1,12}\)?(?:[ ./-]?[ ]?\(?[0-9]{1,12}\)?){0,7}(?:[ ]?(?:x|ext\.?)[ ]?[0-9]{2,5})?",
        judge: phone,
    },
    Shape {
        kind: Kind::OfficialId,
        digits: 4,
        mark: (0, 0),
        pattern: r"[0-9A-Za-z](?:[ ./-]?[0-9A-Za-z]){8,17}",
        judge: official,
    },
];

static COMPILED: LazyLock<Vec<(&'static Shape, Regex)>> = LazyLock::new(|| {
    // A test holds that every pattern compiles.
    SHAPES.iter().filter_map(|s| Regex::new(s.pattern).ok().map(|regex| (s, regex))).collect()
});

#[cfg(test)]
pub(super) fn all_compile() -> bool {
    COMPILED.len() == SHAPES.len()
}

/// The personal numbers of a text.
pub(super) fn find(text: &str, sweep: &Sweep, found: &mut Vec<Hit>) {
    let mut group: Option<Range<usize>> = None;
    for word in sweep.words.iter().filter(|w| w.odd & odd::DIGIT != 0) {
        match &mut group {
            Some(range) if word.range.start <= range.end + MAX_GAP => range.end = word.range.end,
            _ => {
                if let Some(range) = group.replace(word.range.clone()) {
                    look(text, range, found);
                }
            }
        }
    }
    if let Some(range) = group {
        look(text, range, found);
    }
}

fn look(text: &str, group: Range<usize>, found: &mut Vec<Hit>) {
    let Some(slice) = text.get(group.clone()) else { return };
    let digits = slice.bytes().filter(u8::is_ascii_digit).count();
    if digits < MIN_DIGITS {
        return;
    }
    let marks = |(mark, count): (u8, usize)| {
        count == 0 || slice.bytes().filter(|b| *b == mark).count() >= count
    };
    for (shape, regex) in COMPILED.iter() {
        if shape.digits > digits || !marks(shape.mark) {
            continue;
        }
        for shaped in regex.find_iter(slice) {
            let range = group.start + shaped.start()..group.start + shaped.end();
            let caught = Caught { text, range };
            if let Some(verdict) = (shape.judge)(&caught) {
                let range = verdict.range.unwrap_or(caught.range);
                found.push(Hit::new(shape.kind, range, verdict.score));
            }
        }
    }
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

fn card(caught: &Caught<'_>) -> Option<Verdict> {
    let digits = digits(caught.value());
    if !luhn(&digits) || !caught.stands_alone() || digits.bytes().all(|b| b == b'0') {
        return None;
    }
    let head = |n: usize| digits.get(..n).and_then(|s| s.parse::<u32>().ok()).unwrap_or(0);
    let issuer = match digits.len() {
        13 | 16 | 19 if head(1) == 4 => true,
        15 => matches!(head(2), 34 | 37) || matches!(head(4), 2131 | 1800),
        14 => matches!(head(2), 36 | 38 | 39) || (300..=305).contains(&head(3)),
        16 => {
            (51..=55).contains(&head(2))
                || (2221..=2720).contains(&head(4))
                || (3528..=3589).contains(&head(4))
                || matches!(head(2), 35 | 60 | 62 | 64 | 65)
        }
        _ => false,
    };
    let about = ["card", "credit", "debit", "visa", "master", "amex", " cc ", "cc:", "payment"];
    match (issuer, caught.follows(&about)) {
        (true, true) => Verdict::score(95),
        (true, false) => Verdict::score(80),
        (false, true) => Verdict::score(65),
        (false, false) => None,
    }
}

/// The shape finds the head; the country tells the length. Groups of four may
/// be apart by one space.
fn account(caught: &Caught<'_>) -> Option<Verdict> {
    let start = caught.range.start;
    let rest = caught.text.get(start..)?;
    let country = rest.get(..2)?.to_ascii_uppercase();
    let length = iban_length(&country)?;
    let mut compact = String::new();
    let mut end = 0;
    let mut spaced = false;
    for (at, c) in rest.char_indices() {
        if compact.len() == length {
            break;
        }
        match c {
            ' ' if !spaced && compact.len().is_multiple_of(4) => spaced = true,
            c if c.is_ascii_alphanumeric() => {
                spaced = false;
                compact.push(c);
                end = at + 1;
            }
            _ => break,
        }
    }
    let ends = !rest.get(end..)?.starts_with(|c: char| c.is_alphanumeric());
    if compact.len() == length && ends && iban(&compact) {
        Some(Verdict { score: 98, range: Some(start..start + end) })
    } else {
        None
    }
}

fn social_security(caught: &Caught<'_>) -> Option<Verdict> {
    let digits = digits(caught.value());
    let (area, group, serial) = (digits.get(..3)?, digits.get(3..5)?, digits.get(5..)?);
    let about = caught.follows(&["ssn", "social security"]);
    let issued = area != "000"
        && area != "666"
        && !area.starts_with('9')
        && group != "00"
        && serial != "0000";
    let separators: Vec<char> = caught.value().chars().filter(|c| !c.is_ascii_digit()).collect();
    let even = separators.windows(2).all(|pair| pair.first() == pair.last());
    if !caught.stands_alone() || !even || !issued {
        return None;
    }
    match (about, separators.first()) {
        (true, _) => Verdict::score(98),
        (false, Some('-')) => Verdict::score(75),
        _ => None,
    }
}

fn ipv4(caught: &Caught<'_>) -> Option<Verdict> {
    let address: Ipv4Addr = caught.value().parse().ok()?;
    let before = caught.before();
    let versioned = before.ends_with('v')
        || ["version", "release", "ver."]
            .iter()
            .any(|w| before.trim_end_matches([' ', ':', '=']).ends_with(w));
    if !caught.stands_alone() || versioned {
        return None;
    }
    let nobody = address.is_private()
        || address.is_loopback()
        || address.is_unspecified()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_link_local()
        || address.octets().first() == Some(&0);
    Verdict::score(if nobody { 30 } else { 70 })
}

fn ipv6(caught: &Caught<'_>) -> Option<Verdict> {
    let value = caught.value();
    let address: Ipv6Addr = value.parse().ok()?;
    let groups = value.split(':').filter(|group| !group.is_empty()).count();
    if groups < 3 || !caught.stands_alone() || address.is_loopback() {
        return None;
    }
    let first = address.segments().first().copied().unwrap_or(0);
    let documentation = value.to_ascii_lowercase().starts_with("2001:db8");
    let local = first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80;
    Verdict::score(if documentation || local { 30 } else { 75 })
}

/// Words before which, or after which, a row of digits is a telephone number.
const PHONE_WORDS: [&str; 25] = [
    "phone",
    "mobile",
    "cell",
    "tel:",
    "tel.",
    "tel ",
    "fax",
    "call",
    "dial",
    "sms",
    "whatsapp",
    "hotline",
    "reach me",
    "desk:",
    "office:",
    "ring me",
    "telefon",
    "téléphone",
    "teléfono",
    "contact number",
    "answering",
    "messages to",
    "message on",
    "text me",
    "registered",
];
const AFTER_PHONE: [&str; 8] =
    ["office", "fax", "mobile", "cell", "home", "work", "desk", "(phone"];
/// How far after a number such a word may begin, in bytes.
const AFTER: usize = 10;

/// True if a word of telephones is near.
fn about_phones(caught: &Caught<'_>) -> bool {
    let end = caught.range.end;
    let to = crate::source::floor_boundary(caught.text, end.saturating_add(AFTER));
    let after = caught.text.get(end..to).unwrap_or("").to_lowercase();
    let after = after.trim_start_matches([' ', '-', '(', ',']);
    caught.follows(&PHONE_WORDS) || AFTER_PHONE.iter().any(|word| after.starts_with(word))
}

fn phone(caught: &Caught<'_>) -> Option<Verdict> {
    let value = caught.value().trim_end();
    let digits = digits(value);
    let range = Some(caught.range.start..caught.range.start + value.len());
    if !(7..=18).contains(&digits.len()) || !caught.stands_alone() {
        return None;
    }
    let groups: Vec<&str> =
        value.split(|c: char| !c.is_ascii_digit()).filter(|g| !g.is_empty()).collect();
    let international = value.starts_with('+')
        || groups.len() > 2
            && value
                .strip_prefix("00")
                .is_some_and(|rest| rest.starts_with(|c| ('1'..='9').contains(&c)));
    let national = matches!(groups.as_slice(), [a, b, c, ..] if a.len() == 3 && b.len() == 3 && c.len() == 4)
        && (2..=9).contains(
            &groups
                .first()
                .and_then(|g| g.chars().next())
                .and_then(|c| c.to_digit(10))
                .unwrap_or(0),
        );
    let date = matches!(groups.as_slice(), [y, m, d] if y.len() == 4 && m.len() <= 2 && d.len() <= 2)
        || matches!(groups.as_slice(), [d, m, y] if y.len() == 4 && m.len() <= 2 && d.len() <= 2 && value.contains(['/', '.', '-']));
    let address = groups.len() == 4 && value.matches('.').count() == 3;
    // The 0 before an area code, as most of the world writes it.
    let trunk = groups.len() >= 3
        && (9..=12).contains(&digits.len())
        && groups.first().is_some_and(|g| {
            g.starts_with('0') && !g.starts_with("00") && (2..=5).contains(&g.len())
        });
    let score = match (international, national, about_phones(caught)) {
        (true, ..) if digits.len() >= 8 => 85,
        (_, true, true) => 80,
        (_, true, false) => 65,
        (_, _, true) if !date && !address => 60,
        _ if trunk && !date && !address => 55,
        // Groups, but nothing says of what: kept out of logs, not reported.
        _ if groups.len() >= 3 && !date && !address && digits.len() >= 8 && digits.len() <= 13 => {
            30
        }
        _ => return None,
    };
    Some(Verdict { score, range })
}

/// National numbers: the shape catches any row of letters and digits, their
/// own arithmetic decides.
fn official(caught: &Caught<'_>) -> Option<Verdict> {
    let compact: Vec<u8> = caught.value().bytes().filter(u8::is_ascii_alphanumeric).collect();
    // The Finnish century sign is a part of the number.
    let whole = caught.value().as_bytes();
    let candidates = [compact.as_slice(), whole];
    let alone = caught.stands_alone();
    let fits = |id: &&super::ids::Id| {
        candidates.iter().any(|text| text.len() == id.length && (id.valid)(text))
    };
    let mut best = None;
    for id in IDS.iter().filter(fits) {
        let score = match (id.near.is_empty(), caught.follows(id.near), alone) {
            (_, _, false) => continue,
            (true, ..) if id.length >= 11 => 70,
            (true, ..) => 55,
            (false, true, _) => 85,
            (false, false, _) => continue,
        };
        best = best.max(Some(score));
    }
    let formatted = caught.value().len() == 14
        && caught.value().bytes().enumerate().all(|(at, b)| match at {
            3 | 7 => b == b'.',
            11 => b == b'-',
            _ => b.is_ascii_digit(),
        });
    if formatted && alone && IDS.iter().any(|id| id.near.contains(&"cpf") && (id.valid)(&compact)) {
        best = best.max(Some(75));
    }
    Verdict::score(best?)
}
