//! Checksums and measures: pure arithmetic that tells a number from a number.

/// True if the digits of `text` pass the Luhn check of payment cards.
pub(crate) fn luhn(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match (at % 2, digit * 2) {
            (0, _) => *digit,
            (_, double) if double > 9 => double - 9,
            (_, double) => double,
        })
        .sum();
    !digits.is_empty() && sum.is_multiple_of(10)
}

/// True if letters and digits pass the check of ISO 13616 (mod 97).
pub(crate) fn iban(compact: &str) -> bool {
    let Some((head, tail)) = compact.split_at_checked(4) else { return false };
    let mut rest = 0_u32;
    for c in tail.chars().chain(head.chars()) {
        let Some(value) = c.to_digit(36) else { return false };
        rest = (rest * if value > 9 { 100 } else { 10 } + value) % 97;
    }
    rest == 1
}

/// Length of a country's IBAN, in characters.
pub(crate) fn iban_length(country: &str) -> Option<usize> {
    const LENGTHS: &[(usize, &str)] = &[
        (15, "NO"),
        (16, "BE"),
        (18, "DK FI FO GL NL SD FK"),
        (19, "MK SI"),
        (20, "AT BA EE KZ LT LU XK MN"),
        (21, "CH HR LI LV"),
        (22, "BG BH CR DE GB GE IE ME RS VA"),
        (23, "AE GI IL IQ TL OM SO"),
        (24, "AD CZ ES MD PK RO SA SE SK TN VG"),
        (25, "PT ST LY"),
        (26, "IS TR"),
        (27, "FR GR IT MC MR SM BI DJ"),
        (28, "AL AZ CY DO GT HU LB PL SV BY NI"),
        (29, "BR EG PS QA UA"),
        (30, "JO KW MU YE"),
        (31, "MT SC"),
        (32, "LC"),
        (33, "RU"),
    ];
    LENGTHS
        .iter()
        .find(|(_, countries)| countries.split(' ').any(|c| c == country))
        .map(|(length, _)| *length)
}

/// Shannon entropy in bits per byte.
pub(crate) fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count = count.saturating_add(1);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "texts are far shorter than 2^52 bytes")]
    let total = text.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / total)
        .map(|share| -share * share.log2())
        .sum()
}

/// True for text that stands for a value without being one: `xxxx`, `<token>`,
/// `${TOKEN}`, `changeme`.
pub(crate) fn is_placeholder(value: &str) -> bool {
    const WORDS: [&str; 10] = [
        "changeme",
        "change_me",
        "placeholder",
        "redacted",
        "dummy",
        "insert",
        "0123456789",
        "sample",
        "example",
        "fake",
    ];
    const WHOLE: [&str; 14] = [
        "test", "pass", "password", "passwd", "token", "secret", "user", "username", "example",
        "xxx", "yyy", "none", "null", "string",
    ];
    let lower = value.to_lowercase();
    let distinct: std::collections::BTreeSet<char> = lower.chars().collect();
    is_masked(value)
        || is_variable(value)
        || WORDS.iter().any(|word| lower.contains(word))
        || WHOLE.contains(&lower.as_str())
        || distinct.len() < 3
}

/// True if characters are blotted out, or the reader is asked for their own.
pub(crate) fn is_masked(value: &str) -> bool {
    let lower = value.to_lowercase();
    ["xxxx", "****", "....", "your_", "your-"].iter().any(|word| lower.contains(word))
}

/// True for a reference that something fills in: `$NAME`, `%NAME%`, `<name>`,
/// `[name]`, `{name}`, or a text with `${name}`, `$(name)` or `{{ name }}` in it.
fn is_variable(value: &str) -> bool {
    let named = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | ':');
    let wrapped = [("<", ">"), ("[", "]"), ("{", "}"), ("%", "%"), ("$", ""), ("*", "*")];
    let whole = wrapped.iter().any(|(open, close)| {
        let inner = value.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        inner.is_some_and(|inner| inner.chars().all(named))
    });
    let holds =
        [("${", "}"), ("$(", ")"), ("{{", "}}"), ("<%", "%>")].iter().any(|(open, close)| {
            value.match_indices(open).any(|(at, _)| {
                let rest = value.get(at + open.len()..).unwrap_or("");
                let inner = rest.find(close).and_then(|end| rest.get(..end));
                inner.is_some_and(|inner| !inner.contains(['{', '}', '[', ']', '<', '>']))
            })
        });
    whole || holds || value.contains('…')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_accept_valid_numbers_and_refuse_a_changed_digit() {
        assert!(luhn("4111 1111 1111 1111") && !luhn("4111 1111 1111 1112"));
        assert!(iban("GB82WEST12345698765432") && !iban("GB82WEST12345698765433"));
        assert!(iban("de89370400440532013000"), "case does not matter");
        assert!(!luhn("") && !iban("") && !iban("é€"));
    }

    #[test]
    fn entropy_grows_with_variety() {
        assert_eq!(entropy("aaaa"), 0.0);
        assert!((entropy("abcd") - 2.0).abs() < 1e-9);
        assert_eq!(entropy(""), 0.0);
    }

    #[test]
    fn stand_ins_are_no_secrets() {
        for value in
            ["xxxxxxxxxxxx", "<your token>", "${TOKEN}", "password", "aaaaaaaa", "changeme123"]
        {
            assert!(is_placeholder(value), "{value}");
        }
        for value in ["hunter2aB9", "P@ssw0rd$1", "6fe4476ee5a18328", "a{{b}c)d${e]f(g", "$3cret!x"]
        {
            assert!(!is_placeholder(value), "{value}");
        }
    }
}
