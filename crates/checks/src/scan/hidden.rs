//! Characters that people do not see, or take for others: a reviewer reads one
//! text, the model another.
//!
//! Sources: Unicode Standard Annex 9 (bidirectional controls), Technical
//! Standard 39 (confusables), Technical Report 36 (security considerations).

use super::{Hit, Kind};
use std::ops::Range;

/// True for characters without a glyph that text can do without.
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' | '\u{e0100}'..='\u{e01ef}')
}

/// The letter or digit of ASCII that this character looks like or is a styled
/// form of.
pub fn plain_letter(c: char) -> Option<char> {
    if matches!(c, '\u{370}'..='\u{52f}')
        && let Some(at) = CYRILLIC_GREEK.chars().position(|x| x == c)
    {
        return CYRILLIC_GREEK_PLAIN.chars().nth(at);
    }
    let n = u32::from(c);
    let offset = |base: u32, first: char| char::from_u32(u32::from(first) + (n - base));
    match n {
        // Full width.
        0xff01..=0xff5e => offset(0xff01, '!'),
        // Mathematical letters: thirteen alphabets of fifty-two.
        0x1d400..=0x1d6a3 => {
            let at = (n - 0x1d400) % 52;
            let first = if at < 26 { 'A' } else { 'a' };
            char::from_u32(u32::from(first) + at % 26)
        }
        // Mathematical digits: five alphabets of ten.
        0x1d7ce..=0x1d7ff => char::from_u32(u32::from('0') + (n - 0x1d7ce) % 10),
        // Circled, parenthesised, regional and squared letters.
        0x24b6..=0x24cf => offset(0x24b6, 'A'),
        0x24d0..=0x24e9 => offset(0x24d0, 'a'),
        0x249c..=0x24b5 => offset(0x249c, 'a'),
        0x1f130..=0x1f149 => offset(0x1f130, 'A'),
        0x1f150..=0x1f169 => offset(0x1f150, 'A'),
        0x1f170..=0x1f189 => offset(0x1f170, 'A'),
        _ => None,
    }
}

/// Cyrillic and Greek letters that are drawn as Latin ones are.
const CYRILLIC_GREEK: &str = "асеорхуіјѕһԁԛԝАВЕЅІЈКМНОРСТХУΑΒΕΖΗΙΚΜΝΟΡΤΥΧον";
const CYRILLIC_GREEK_PLAIN: &str = "aceopxyijshdqwABESIJKMHOPCTXYABEZHIKMNOPTYXov";

/// Hidden and confusable characters of a text, each run or word once.
pub fn find(text: &str) -> Vec<Hit> {
    let mut found = Vec::new();
    let mut run: Option<(Range<usize>, &'static str, u8)> = None;
    let mut before: Option<char> = None;
    // Flags of regions are spelled with tags after a black flag.
    let mut flag = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, c)| *c);
        let end = at + c.len_utf8();
        flag = c == BLACK_FLAG || flag && is_tag(c);
        let concern = if flag { None } else { concern(at, before, c, next) };
        match concern {
            Some((reason, score)) => {
                run = match run.take() {
                    Some((range, same, most)) if same == reason => {
                        Some((range.start..end, same, most.max(score)))
                    }
                    other => {
                        found.extend(other.map(hit));
                        Some((at..end, reason, score))
                    }
                };
            }
            None => found.extend(run.take().map(hit)),
        }
        before = Some(c);
    }
    found.extend(run.map(hit));
    mixed(text, &mut found);
    found.sort_by_key(|hit| hit.range.start);
    found
}

fn hit((range, reason, score): (Range<usize>, &'static str, u8)) -> Hit {
    Hit { kind: Kind::HiddenText, range, score, reasons: vec![reason] }
}

/// What is wrong with a character between two others.
fn concern(
    at: usize,
    before: Option<char>,
    c: char,
    next: Option<char>,
) -> Option<(&'static str, u8)> {
    let latin = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let rtl = |c: Option<char>| {
        c.is_some_and(|c| matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}'))
    };
    match c {
        // A mark of byte order at the begin says nothing.
        '\u{feff}' if at == 0 => None,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Some(("bidirectional controls change the order in which text is read", 90))
        }
        '\u{e0000}'..='\u{e007f}' => Some(("tag characters spell a text nobody sees", 95)),
        '\u{e0100}'..='\u{e01ef}' => Some(("variation selectors can carry a text nobody sees", 80)),
        '\u{200e}' | '\u{200f}' | '\u{61c}' if rtl(before) || rtl(next) => None,
        // Joiners belong to emoji and to scripts that join letters.
        '\u{200c}' | '\u{200d}' if !latin(before) || !latin(next) => {
            (before.is_none() || next.is_none()).then_some(("an invisible character", 50))
        }
        '\u{ad}' => latin(before).then_some(("soft hyphens split words invisibly", 50)),
        '\u{fff9}'..='\u{fffb}' => Some(("annotation characters hide text", 80)),
        c if is_invisible(c) => {
            let inside = latin(before) && latin(next);
            Some(("an invisible character", if inside { 80 } else { 60 }))
        }
        '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => {
            Some(("a control character", 60))
        }
        '\u{1d400}'..='\u{1d7ff}' | '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}' => {
            let styled = |c: Option<char>| {
                c.is_some_and(|c| {
                    c.is_ascii_alphabetic() || !c.is_ascii() && plain_letter(c).is_some()
                })
            };
            (styled(before) || styled(next))
                .then_some(("styled letters escape searches and filters", 55))
        }
        _ => None,
    }
}

const BLACK_FLAG: char = '\u{1f3f4}';

fn is_tag(c: char) -> bool {
    matches!(c, '\u{e0020}'..='\u{e007f}')
}

/// Words of Latin letters with some of another alphabet that look the same.
fn mixed(text: &str, found: &mut Vec<Hit>) {
    let mut word = 0..0;
    let (mut latin, mut alike, mut other) = (0_u32, 0_u32, 0_u32);
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        if c.is_alphabetic() {
            word.end = at + c.len_utf8();
            if c.is_ascii() || matches!(c, '\u{c0}'..='\u{24f}') {
                latin += 1;
            } else if CYRILLIC_GREEK.contains(c) {
                alike += 1;
            } else {
                other += 1;
            }
            continue;
        }
        // A single foreign letter beside one or two is a formula, not a word.
        if alike > 0 && other == 0 && latin >= 2 {
            let reason = "letters of another alphabet look like Latin ones";
            found.push(hit((word.clone(), reason, 75)));
        }
        word = at + c.len_utf8()..at + c.len_utf8();
        (latin, alike, other) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_look_alikes_have_one_length() {
        assert_eq!(CYRILLIC_GREEK.chars().count(), CYRILLIC_GREEK_PLAIN.chars().count());
        assert_eq!(plain_letter('а'), Some('a'));
        assert_eq!(plain_letter('Ａ'), Some('A'));
        assert_eq!(plain_letter('𝓪'), Some('a'));
        assert_eq!(plain_letter('a'), None);
    }

    #[test]
    fn what_nobody_sees_is_found_and_honest_text_is_not() {
        for (text, value) in [
            ("pay\u{200b}pal", "\u{200b}"),
            ("x \u{202e}txt.exe\u{202c}", "\u{202e}"),
            ("hi\u{e0068}\u{e0069} there", "\u{e0068}\u{e0069}"),
            ("a раssword here", "раssword"),
            ("so 𝓫𝓸𝓵𝓭 it is", "𝓫𝓸𝓵𝓭"),
            ("bell\u{7}", "\u{7}"),
        ] {
            let found = find(text);
            assert_eq!(found.first().map(|h| &text[h.range.clone()]), Some(value), "{text:?}");
        }
        for text in [
            "\u{feff}Grüße, naïve café, Łódź",
            "family 👨\u{200d}👩\u{200d}👧 and 🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            "Привет, мир и Αθήνα",
            "نامه\u{200c}ای به دوست",
            "5 μm and Δx, line\nnext\tcolumn",
            "日本語のテキスト",
        ] {
            assert_eq!(find(text), [], "{text:?}");
        }
    }
}
