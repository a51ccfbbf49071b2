//! Personal data with a shape: addresses of the net, numbers of phones, cards,
//! accounts and documents, dates of birth.
//!
//! Names and postal addresses have no shape; they need other means than these.

use super::check::{iban, iban_length, luhn};
use super::{Caught, Detector, Kind, Verdict};
use std::net::{Ipv4Addr, Ipv6Addr};

pub(super) static DETECTORS: [Detector; 10] = [
    Detector {
        kind: Kind::Email,
        triggers: &["@"],
        pattern: r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,5}[A-Za-z]{2,24}",
        judge: email,
    },
    Detector {
        kind: Kind::Card,
        triggers: &["0"],
        pattern: r"[0-9](?:[ -]?[0-9]){11,18}",
        judge: card,
    },
    Detector {
        kind: Kind::Iban,
        triggers: &["0"],
        pattern: r"\b[A-Za-z]{2}[0-9]{2} ?[A-Za-z0-9]",
        judge: account,
    },
    Detector {
        kind: Kind::Ssn,
        triggers: &["0"],
        pattern: r"[0-9]{3}[- ][0-9]{2}[- ][0-9]{4}",
        judge: social_security,
    },
    Detector {
        kind: Kind::Ssn,
        triggers: &["ssn", "social security"],
        pattern: r"[0-9]{9}",
        judge: |caught| {
            if caught.follows(&["ssn", "social security"]) { social_security(caught) } else { None }
        },
    },
    Detector {
        kind: Kind::IpAddress,
        triggers: &["0"],
        pattern: r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}",
        judge: ipv4,
    },
    Detector {
        kind: Kind::IpAddress,
        triggers: &["::", "0"],
        pattern: r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}",
        judge: ipv6,
    },
    Detector {
        kind: Kind::Phone,
        triggers: &["0"],
        pattern: r"(?:\+|\()?[0-9]{1,12}\)?(?:[ ./-]?[ ]?\(?[0-9]{1,12}\)?){0,7}(?:[ ]?(?:x|ext\.?)[ ]?[0-9]{2,5})?",
        judge: phone,
    },
    Detector {
        kind: Kind::BirthDate,
        triggers: &["born", "birth", "dob"],
        pattern: r"[0-9]{1,4}[./-][0-9]{1,2}[./-][0-9]{1,4}|[0-9]{1,2} [A-Z][a-z]{2,8},? [0-9]{4}|[A-Z][a-z]{2,8} [0-9]{1,2},? [0-9]{4}",
        judge: |caught| {
            let near = caught.follows(&["born", "birth", "dob"]) && caught.stands_alone();
            if near { Verdict::score(75) } else { None }
        },
    },
    Detector {
        kind: Kind::OfficialId,
        triggers: &["passport", "license", "licence", "national id", "tax id"],
        pattern: r"[A-Za-z]{0,3}[0-9]{6,12}",
        judge: |caught| {
            let words = [
                "passport",
                "driver",
                "driving",
                "national id",
                "tax id",
                "license number",
                "licence number",
            ];
            if caught.follows(&words) && caught.stands_alone() { Verdict::score(65) } else { None }
        },
    },
];

fn email(caught: &Caught<'_>) -> Option<Verdict> {
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
    Verdict::score(if reserved { 30 } else { 95 })
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

/// Words near which a row of digits is a telephone number.
const PHONE_WORDS: [&str; 16] = [
    "phone", "mobile", "cell", "tel:", "tel.", "tel ", "fax", "call", "dial", "sms", "whatsapp",
    "hotline", "reach me", "desk:", "office:", "ring me",
];

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
    let score = match (international, national, caught.follows(&PHONE_WORDS)) {
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
