//! National numbers with a checksum, by country.
//!
//! Each entry is a shape, its arithmetic, and the words that must be near if
//! the shape alone could be any number. Sources: the issuers' published rules
//! (NHS, HMRC, BOE, INSEE, Agenzia delle Entrate, BZSt, Belastingdienst, GUS,
//! Receita Federal, UIDAI, ATO, Skatteverket, DVV, ICA, CRA).

use super::check::luhn;

/// A kind of number.
pub(super) struct Id {
    /// Length without separators.
    pub(super) length: usize,
    /// True if letters and digits are arranged as they are in this number and
    /// the check is right.
    pub(super) valid: fn(&[u8]) -> bool,
    /// Words one of which must be near; none if the shape is enough.
    pub(super) near: &'static [&'static str],
}

/// The numbers that are known.
pub(super) static IDS: [Id; 17] = [
    Id { length: 9, valid: spanish, near: &[] },
    Id { length: 16, valid: italian, near: &[] },
    Id { length: 11, valid: finnish, near: &[] },
    Id { length: 9, valid: singaporean, near: &[] },
    Id { length: 9, valid: british, near: &["insurance", "nino", "ni number", "n.i."] },
    Id { length: 10, valid: nhs, near: &["nhs", "health service", "patient"] },
    Id { length: 9, valid: canadian, near: &["sin", "social insurance"] },
    Id { length: 15, valid: french, near: &["insee", "sécu", "secu", "nir", "sociale"] },
    Id { length: 11, valid: german, near: &["steuer", "idnr", "tax id", "tin"] },
    Id { length: 9, valid: dutch, near: &["bsn", "burgerservice", "sofi"] },
    Id { length: 11, valid: polish, near: &["pesel"] },
    Id { length: 11, valid: brazilian, near: &["cpf"] },
    Id { length: 12, valid: aadhaar, near: &["aadhaar", "aadhar", "uidai"] },
    Id { length: 10, valid: pan, near: &["pan", "permanent account"] },
    Id { length: 9, valid: australian, near: &["tfn", "tax file"] },
    Id { length: 10, valid: swedish, near: &["personnummer", "personal number", "ssn"] },
    Id {
        length: 11,
        valid: belgian,
        near: &["rijksregister", "national register", "insz", "niss"],
    },
];

fn digit(b: u8) -> Option<u32> {
    char::from(b).to_digit(10)
}

/// The digits, if there is nothing else.
fn digits(text: &[u8]) -> Option<Vec<u32>> {
    text.iter().map(|b| digit(*b)).collect()
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(d, w)| d * w).sum()
}

fn same(digits: &[u32]) -> bool {
    digits.windows(2).all(|pair| pair.first() == pair.last())
}

fn upper(text: &[u8]) -> Vec<u8> {
    text.to_ascii_uppercase()
}

/// DNI and NIE: the letter is the number modulo 23.
fn spanish(text: &[u8]) -> bool {
    let text = upper(text);
    let Some((last, rest)) = text.split_last() else { return false };
    let mut rest = rest.to_vec();
    if let Some(first) = rest.first_mut() {
        *first = match *first {
            b'X' => b'0',
            b'Y' => b'1',
            b'Z' => b'2',
            other => other,
        };
    }
    let letter = number(&rest)
        .and_then(|n| b"TRWAGMYFPDXBNJZSQVHLCKE".get(usize::try_from(n % 23).ok()?).copied());
    letter == Some(*last)
}

/// Codice fiscale: letters for names, a date, a place, a check letter.
fn italian(text: &[u8]) -> bool {
    const ODD: [u32; 36] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3,
        6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
    ];
    let text = upper(text);
    let shape = b"AAAAAA00A00A000A";
    let fits = text.iter().zip(shape).all(|(b, s)| match s {
        b'0' => b.is_ascii_digit(),
        _ => b.is_ascii_uppercase(),
    });
    let sum: u32 = text
        .iter()
        .take(15)
        .enumerate()
        .map(|(at, b)| {
            let value = char::from(*b).to_digit(36).unwrap_or(0);
            let even = if value > 9 { value - 10 } else { value };
            let odd = ODD.get(value as usize).copied().unwrap_or(0);
            if at % 2 == 0 { odd } else { even }
        })
        .sum();
    let check = u8::try_from(sum % 26).ok().map(|n| b'A' + n);
    fits && text.last().copied() == check
}

/// Henkilötunnus: a date, a century sign, a number, a check character.
fn finnish(text: &[u8]) -> bool {
    let text = upper(text);
    let (Some(date), Some(sign), Some(serial), Some(check)) =
        (text.get(..6), text.get(6), text.get(7..10), text.get(10))
    else {
        return false;
    };
    let joined: Vec<u8> = date.iter().chain(serial).copied().collect();
    let expected = number(&joined)
        .and_then(|n| b"0123456789ABCDEFHJKLMNPRSTUVWXY".get(usize::try_from(n % 31).ok()?));
    matches!(sign, b'+' | b'-' | b'A'..=b'F' | b'U'..=b'Y') && expected == Some(check)
}

/// NRIC and FIN.
fn singaporean(text: &[u8]) -> bool {
    let text = upper(text);
    let (Some(first), Some(middle), Some(last)) = (text.first(), text.get(1..8), text.get(8))
    else {
        return false;
    };
    let Some(middle) = digits(middle) else { return false };
    let (offset, letters) = match first {
        b'S' => (0, b"JZIHGFEDCBA"),
        b'T' => (4, b"JZIHGFEDCBA"),
        b'F' => (0, b"XWUTRQPNMLK"),
        b'G' => (4, b"XWUTRQPNMLK"),
        _ => return false,
    };
    let sum = weighted(&middle, &[2, 7, 6, 5, 4, 3, 2]) + offset;
    letters.get((sum % 11) as usize) == Some(last)
}

/// National insurance number: no checksum, but letters that are never used.
fn british(text: &[u8]) -> bool {
    let text = upper(text);
    let (Some(head), Some(middle), Some(last)) = (text.get(..2), text.get(2..8), text.get(8))
    else {
        return false;
    };
    let never = ["BG", "GB", "KN", "NK", "NT", "TN", "ZZ"];
    head.iter().all(|b| b.is_ascii_uppercase() && !b"DFIQUV".contains(b))
        && head.get(1) != Some(&b'O')
        && !never.iter().any(|n| n.as_bytes() == head)
        && middle.iter().all(u8::is_ascii_digit)
        && (b'A'..=b'D').contains(last)
}

fn nhs(text: &[u8]) -> bool {
    let Some(digits) = digits(text) else { return false };
    let sum = weighted(&digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2]);
    digits.last().copied() == Some((11 - sum % 11) % 11)
}

fn canadian(text: &[u8]) -> bool {
    digits(text).is_some_and(|d| !same(&d) && d.first() != Some(&0))
        && luhn(&String::from_utf8_lossy(text))
}

fn french(text: &[u8]) -> bool {
    let (Some(body), Some(key)) =
        (text.get(..13).and_then(number), text.get(13..).and_then(number))
    else {
        return false;
    };
    matches!(text.first(), Some(b'1' | b'2')) && 97 - body % 97 == key
}

/// Identifikationsnummer: ISO 7064, mod 11, 10.
fn german(text: &[u8]) -> bool {
    let Some(digits) = digits(text) else { return false };
    let product = digits.iter().take(10).fold(10, |product, digit| {
        let sum = (digit + product) % 10;
        (if sum == 0 { 10 } else { sum } * 2) % 11
    });
    !same(&digits)
        && digits.first() != Some(&0)
        && digits.last().copied() == Some((11 - product) % 10)
}

fn dutch(text: &[u8]) -> bool {
    let Some(digits) = digits(text) else { return false };
    let sum = weighted(&digits, &[9, 8, 7, 6, 5, 4, 3, 2]);
    let last = digits.last().copied().unwrap_or(0);
    !same(&digits) && sum % 11 == last
}

fn polish(text: &[u8]) -> bool {
    let Some(digits) = digits(text) else { return false };
    let sum = weighted(&digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]);
    !same(&digits) && digits.last().copied() == Some((10 - sum % 10) % 10)
}

fn brazilian(text: &[u8]) -> bool {
    let Some(digits) = digits(text) else { return false };
    let check = |n: usize| {
        let from = n as u32 + 1;
        let sum: u32 = digits.iter().take(n).zip((2..=from).rev()).map(|(d, w)| d * w).sum();
        digits.get(n).copied() == Some(sum * 10 % 11 % 10)
    };
    !same(&digits) && check(9) && check(10)
}

/// Verhoeff's check, with the dihedral group computed instead of tabulated.
fn aadhaar(text: &[u8]) -> bool {
    const TURN: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let times = |a: u32, b: u32| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a + 5 - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    };
    let Some(digits) = digits(text) else { return false };
    let sum = digits.iter().rev().enumerate().fold(0, |sum, (at, digit)| {
        let turned = (0..at % 8).fold(*digit, |d, _| TURN.get(d as usize).copied().unwrap_or(0));
        times(sum, turned)
    });
    sum == 0 && digits.first().is_some_and(|d| *d > 1)
}

/// Permanent account number: letters and digits in a fixed order.
fn pan(text: &[u8]) -> bool {
    let text = upper(text);
    text.iter().enumerate().all(|(at, b)| match at {
        5..=8 => b.is_ascii_digit(),
        3 => b"ABCFGHJLPT".contains(b),
        _ => b.is_ascii_uppercase(),
    })
}

fn australian(text: &[u8]) -> bool {
    let Some(digits) = digits(text) else { return false };
    !same(&digits) && weighted(&digits, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)
}

fn swedish(text: &[u8]) -> bool {
    let month = text.get(2..4).and_then(number).unwrap_or(0);
    (1..=12).contains(&month) && luhn(&String::from_utf8_lossy(text))
}

fn belgian(text: &[u8]) -> bool {
    let (Some(body), Some(key)) = (text.get(..9).and_then(number), text.get(9..).and_then(number))
    else {
        return false;
    };
    97 - body % 97 == key || 97 - (2_000_000_000 + body) % 97 == key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_examples_pass_and_a_changed_character_does_not() {
        type Case = (fn(&[u8]) -> bool, &'static str, &'static str);
        let table: [Case; 18] = [
            (spanish, "12345678Z", "12345678A"),
            (spanish, "X1234567L", "X1234567M"),
            (italian, "RSSMRA85T10A562S", "RSSMRA85T10A562T"),
            (finnish, "131052-308T", "131052-308U"),
            (singaporean, "S1234567D", "S1234567E"),
            (british, "AB123456C", "AB123456E"),
            (nhs, "9434765919", "9434765918"),
            (canadian, "130692544", "130692545"),
            (french, "255081416802538", "255081416802539"),
            (german, "86095742719", "86095742718"),
            (dutch, "111222333", "111222334"),
            (polish, "44051401359", "44051401358"),
            (brazilian, "52998224725", "52998224724"),
            (aadhaar, "234123412346", "234123412347"),
            (australian, "123456782", "123456783"),
            (belgian, "85073003328", "85073003329"),
            (swedish, "8112189876", "8112189875"),
            (pan, "ABCPE1234F", "ABCPE12345"),
        ];
        for (valid, good, bad) in table {
            assert!(valid(good.as_bytes()), "{good}");
            assert!(!valid(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn no_check_minds_any_bytes() {
        for id in &IDS {
            for text in ["", "é", "0000000000000000", "ÄÖÜ", "-----------"] {
                (id.valid)(text.as_bytes());
            }
        }
    }
}
