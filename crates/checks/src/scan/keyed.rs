//! Random-looking values assigned to telling names: `api_key = "…"`,
//! `"clientSecret": "…"`, `Authorization: Bearer …`, `login("token", "…")`.
//!
//! A small parser instead of a regular expression: names like `key` and
//! `token` are frequent, and most of their places are dismissed by the byte
//! that follows.

use super::check::{entropy, is_masked, is_placeholder};
use super::{Hit, Kind};
use std::ops::Range;

/// What a telling name contains.
pub(super) const ANCHORS: [&str; 10] =
    ["key", "secret", "token", "pass", "pw", "credential", "creds", "auth", "login", "bearer"];

/// Longest part of a name before and after its telling word, in bytes.
const MAX_NAME: usize = 40;
/// Longest value, in bytes.
const MAX_VALUE: usize = 400;
/// Shortest value, in bytes.
const MIN_VALUE: usize = 6;
/// Characters of the digest in the key of a recording.
const RECORDING_DIGEST: usize = 12;
/// A name in the key of a recording is shorter, in bytes: longer ones are judged.
const MAX_RECORDING_NAME: usize = 32;

/// The secret assigned to the name with a telling word at `anchor`.
pub(super) fn judge(text: &str, anchor: Range<usize>) -> Option<Hit> {
    let bytes = text.as_bytes();
    let named = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let after = bytes.get(anchor.end..)?.iter().take(MAX_NAME).take_while(|b| named(b)).count();
    let end = anchor.end + after;
    // Most mentions end here: prose goes on with a word.
    let Value { range: value, quoted, scheme } = value(text, end)?;
    let before = bytes.get(..anchor.start)?.iter().rev().take(MAX_NAME);
    let start = anchor.start - before.take_while(|b| named(b)).count();
    let name = text.get(start..end)?.trim_matches(['.', '-', '_']);
    let raw = text.get(value.clone())?;
    let trimmed = if quoted { raw } else { raw.trim_end_matches(['.', '!', '?', ':', ')', ',']) };
    let score = score(name, trimmed, quoted, scheme)?;
    Some(Hit::new(Kind::Secret, value.start..value.start + trimmed.len(), score))
}

/// What follows a name.
struct Value {
    range: Range<usize>,
    /// In quotes.
    quoted: bool,
    /// After the name of an HTTP authentication scheme.
    scheme: bool,
}

/// The value that follows a name.
fn value(text: &str, end: usize) -> Option<Value> {
    let mut rest = Rest { text, at: end };
    rest.skip(b"\"'`])}>", 3);
    let gap = rest.skip(b" \t", 4);
    let assigned = rest
        .any(&["===", "=>", ":::=", "::=", ":=", "?=", "==", "!=", "||=", "<-", "="])
        || rest.any(&[":", ",", "("]);
    if !assigned && gap == 0 {
        return None;
    }
    rest.skip(b" \t\n\r\\", 4);
    // `["value"]`, `@"value"`, `getenv("name", "value")` come out alike.
    rest.skip(b"@([", 2);
    let opened = rest.at;
    let quotes = rest.skip(b"\"'`", 3);
    let quote = text.as_bytes().get(opened).copied().filter(|_| quotes > 0);
    let scheme = rest.any_ignoring_case(&["bearer ", "basic ", "token ", "apikey "]);
    if !assigned && !scheme && quote.is_none() && !spoken(text, end) {
        return None;
    }
    let bytes = text.as_bytes().get(rest.at..)?;
    let length = match quote {
        Some(quote) => {
            let length = bytes.iter().take(MAX_VALUE).position(|b| *b == quote || *b == b'\n')?;
            (bytes.get(length) == Some(&quote)).then_some(length)?
        }
        None => bytes
            .iter()
            .take(MAX_VALUE)
            .take_while(|b| !b.is_ascii_whitespace() && !b"\"'`;,<>(){}[]\\".contains(b))
            .count()
            .max(if assigned { odd_signs(bytes) } else { 0 }),
    };
    let range = rest.at..rest.at + length;
    (length >= MIN_VALUE).then_some(Value { range, quoted: quote.is_some(), scheme })
}

/// Length of a value without quotes whose brackets are no syntax, because they
/// do not match: a generated password. 0 if it is not one.
fn odd_signs(bytes: &[u8]) -> usize {
    let length = bytes.iter().take(MAX_VALUE).take_while(|b| !b.is_ascii_whitespace()).count();
    let value = bytes.get(..length).unwrap_or(&[]);
    let count = |which: u8| value.iter().filter(|b| **b == which).count();
    let apart =
        [(b'(', b')'), (b'[', b']'), (b'{', b'}')].iter().any(|(a, b)| count(*a) != count(*b));
    let signs: std::collections::BTreeSet<u8> = value
        .iter()
        .copied()
        .filter(|b| b.is_ascii_punctuation() && !b"_-./:,;\"'".contains(b))
        .collect();
    let quotes = value.iter().any(|b| b"\"'`".contains(b));
    if apart && signs.len() >= 5 && !quotes { length } else { 0 }
}

/// True if the name ends in a word after which a value may come without a
/// sign: `Bearer abc…`, `password abc…`.
fn spoken(text: &str, end: usize) -> bool {
    let head = crate::source::floor_boundary(text, end.saturating_sub(10));
    let head = text.get(head..end).unwrap_or("").to_ascii_lowercase();
    ["bearer", "password", "token", "secret", "key"].iter().any(|w| head.ends_with(w))
}

struct Rest<'t> {
    text: &'t str,
    at: usize,
}

impl Rest<'_> {
    /// Skips at most `most` of these bytes, which are ASCII.
    fn skip(&mut self, which: &[u8], most: usize) -> usize {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or(&[]);
        let skipped = rest.iter().take(most).take_while(|b| which.contains(b)).count();
        self.at += skipped;
        skipped
    }

    fn any(&mut self, signs: &[&str]) -> bool {
        let rest = self.text.get(self.at..).unwrap_or("");
        let sign = signs.iter().find(|sign| rest.starts_with(**sign));
        self.at += sign.map_or(0, |s| s.len());
        sign.is_some()
    }

    fn any_ignoring_case(&mut self, signs: &[&str]) -> bool {
        let rest = self.text.get(self.at..).unwrap_or("");
        let is = |s: &&&str| rest.get(..s.len()).is_some_and(|head| head.eq_ignore_ascii_case(s));
        let sign = signs.iter().find(is);
        self.at += sign.map_or(0, |s| s.len());
        sign.is_some()
    }
}

fn score(name: &str, value: &str, quoted: bool, scheme: bool) -> Option<u8> {
    let telling = telling(name)?;
    let letters = value.bytes().any(|b| b.is_ascii_alphabetic());
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let lower = value.bytes().any(|b| b.is_ascii_lowercase());
    let upper = value.bytes().skip(1).any(|b| b.is_ascii_uppercase());
    let signs = value.bytes().filter(|b| b.is_ascii_punctuation() && !b"-_.".contains(b)).count();
    let long = value.len() >= 20 && value.bytes().all(|b| b.is_ascii_alphanumeric());
    let mixed = digits >= 1 || quoted && (lower && upper || signs >= 2) || signs >= 5 || long;
    // Amazon's secrets are known by their length alone.
    let amazon = quoted && value.len() == 40 && words(name).iter().any(|w| w == "aws");
    let enough = match telling {
        _ if amazon && !value.contains(['-', '.', ' ']) && !is_masked(value) => return Some(75),
        _ if scheme && value.len() >= 12 && (digits >= 1 || lower && upper) => {
            letters && entropy(value) >= 2.75
        }
        Telling::Password => value.len() >= 7 && mixed && letters && entropy(value) >= 2.5,
        Telling::Key => value.len() >= 16 && digits >= 2 && letters && entropy(value) >= 3.0,
        Telling::Perhaps => value.len() >= 32 && digits >= 4 && letters && entropy(value) >= 3.0,
    };
    let prose = value.contains(' ') && signs < 3;
    if !enough || prose || is_placeholder(value) || is_reference(value, telling) {
        return None;
    }
    Some(if telling == Telling::Perhaps { 60 } else { 75 })
}

/// A URL, path, dotted name or call: a name of something, not a value.
fn is_reference(value: &str, telling: Telling) -> bool {
    let dotted = value.split('.').count() > 1
        && value.split('.').all(|part| part.starts_with(|c: char| c.is_ascii_alphabetic()));
    let parts: Vec<&str> = value.split(['-', '_', '.']).collect();
    let word = |part: &&str| {
        part.bytes().all(|b| b.is_ascii_alphabetic())
            || part.len() <= 4 && part.bytes().all(|b| b.is_ascii_digit())
    };
    let spoken = parts.len() >= 3 && parts.iter().all(word);
    dotted
        || spoken
        || value.contains("://")
        || value.starts_with(['/', '.', '$'])
        || telling != Telling::Password && value.starts_with(['@', '%', '#'])
        || telling == Telling::Perhaps && names_a_recording(value)
}

/// True for the key of a recording, as `eval record` writes it: a path of names,
/// none as long as a secret, and the beginning of a digest.
fn names_a_recording(value: &str) -> bool {
    let Some((path, digest)) = value.strip_prefix("eval/").and_then(|v| v.rsplit_once('@')) else {
        return false;
    };
    digest.len() == RECORDING_DIGEST
        && digest.bytes().all(|b| b.is_ascii_hexdigit())
        && path.split('/').all(|name| name.len() < MAX_RECORDING_NAME)
}

/// What a name says about its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Telling {
    Password,
    Key,
    Perhaps,
}

fn telling(name: &str) -> Option<Telling> {
    // Words that turn a secret's name into the name of something about it.
    const ABOUT: [&str; 34] = [
        "id", "ids", "name", "names", "url", "uri", "path", "file", "size", "length", "len",
        "type", "version", "header", "field", "expiry", "expires", "ttl", "count", "limit", "max",
        "min", "store", "vault", "selector", "source", "location", "endpoint", "variable", "host",
        "hash", "digest", "format", "tag",
    ];
    let words = words(name);
    let last = words.last()?.as_str();
    if ABOUT.contains(&last)
        || words.iter().any(|w| matches!(w.as_str(), "public" | "pub" | "csrf" | "xsrf"))
    {
        return None;
    }
    let has = |word: &str| words.iter().any(|w| w == word);
    if ["password", "passwd", "pwd", "passphrase", "passwrd", "pass", "pw", "pswd"]
        .iter()
        .any(|w| has(w))
    {
        return Some(Telling::Password);
    }
    let of_key = [
        "api",
        "access",
        "private",
        "secret",
        "account",
        "auth",
        "master",
        "client",
        "encryption",
        "signing",
        "service",
    ];
    if has("secret")
        || has("token")
        || has("apikey")
        || has("credential")
        || has("credentials")
        || has("bearer")
        || has("authorization")
        || (last == "key" && of_key.iter().any(|w| has(w)))
    {
        return Some(Telling::Key);
    }
    matches!(last, "key" | "auth" | "login").then_some(Telling::Perhaps)
}

/// The words of a name: `myApiKey`, `MY_API-KEY` and `my.api.key` are the same.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for c in name.chars() {
        let starts = !c.is_ascii_alphanumeric() || (c.is_ascii_uppercase() && after_lower);
        if starts && words.last().is_some_and(|w| !w.is_empty()) {
            words.push(String::new());
        }
        if c.is_ascii_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.push(c.to_ascii_lowercase());
        }
        after_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::{names_a_recording, words};

    #[test]
    fn names_are_split_into_words() {
        for name in ["myApiKey", "MY_API_KEY", "my.api-key", "My-Api.Key"] {
            assert_eq!(words(name), ["my", "api", "key"], "{name}");
        }
    }

    #[test]
    fn keys_of_recordings_are_no_secrets_and_hide_none() {
        let long = "eval/judge-names/summaries/t-001/0/1@3f9a0b1c2d4e";
        assert!(names_a_recording(long));
        let line = |key: &str| format!(r#"{{"model":"m","key":"{key}","response":"ok"}}"#);
        assert_eq!(crate::secrets::scan(&line(long)), []);
        for secret in [
            "eval/a8F3kd92LmQp04ZxT7wB1cN6vH5jR2yS/0@3f9a0b1c2d4e",
            "eval/summaries/t-001/0@a8F3kd92LmQp04ZxT7wB1cN6vH5jR2yS",
            "a8F3kd92LmQp/04ZxT7wB1cN6vH5jR2yS@3f9a0b1c2d4e",
        ] {
            assert!(!crate::secrets::scan(&line(secret)).is_empty(), "{secret}");
        }
    }
}
