//! Secrets without a provider's prefix: key blocks, web tokens, passwords in
//! URLs and commands, and random values assigned to telling names.

use super::check::{entropy, is_placeholder};
use super::{Caught, Detector, Kind, Verdict};

/// Longest private key block, in bytes.
const MAX_KEY_BLOCK: usize = 16 * 1024;
/// Letters and digits a block must have to be more than a mention of one.
const MIN_KEY_BYTES: usize = 32;

pub(super) static DETECTORS: [Detector; 7] = [
    Detector {
        kind: Kind::PrivateKey,
        triggers: &["private key"],
        pattern: r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----",
        judge: key_block,
    },
    Detector {
        kind: Kind::WebToken,
        triggers: &["eyj"],
        pattern: r"\beyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,1000}",
        judge: |_| Verdict::score(95),
    },
    Detector {
        kind: Kind::Password,
        triggers: &["://"],
        pattern: r#"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s:/@"'<>]{0,64}:(?P<v>[^\s/@"'<>]{3,100})@[A-Za-z0-9\[]"#,
        judge: |caught| {
            let open = caught.value().starts_with(['$', '{', '%', '[', '*']);
            if open { None } else { Verdict::score(80) }
        },
    },
    Detector {
        kind: Kind::Password,
        triggers: &["curl"],
        pattern: r#"\bcurl\b[^\n|]{0,200}?\s(?:-u|--user)[\s=]{1,3}(?P<v>"[^"\s]{1,120}"(?::"[^"\s]{1,120}")?|'[^'\s]{1,120}'|[^\s"']{1,60}'[^'\s]{1,60}'|[^\s"']{1,120})"#,
        judge: user_and_password,
    },
    Detector {
        kind: Kind::ApiKey,
        triggers: &["-us"],
        pattern: r"\b[0-9a-f]{32}-us[0-9]{1,2}\b",
        judge: |_| Verdict::score(90),
    },
    Detector {
        kind: Kind::ApiKey,
        triggers: &[":aa"],
        pattern: r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{33}\b",
        judge: |_| Verdict::score(90),
    },
    Detector {
        kind: Kind::Secret,
        triggers: &[
            "key",
            "secret",
            "token",
            "passw",
            "pwd",
            "passphrase",
            "credential",
            "auth",
            "login",
            "bearer",
        ],
        pattern: ASSIGNMENT,
        judge: assignment,
    },
];

/// `name = value`, `"name": "value"`, `name => value`, `f("name", "value")`,
/// `Authorization: Bearer value`.
const ASSIGNMENT: &str = r#"(?i)(?P<k>[a-z0-9_.\-]{0,40}(?:key|secret|token|passwo?r?d|pwd|passphrase|credentials?|auth|authorization|login|bearer)[a-z0-9_.\-]{0,20})["'\]>]{0,2}\s{0,3}(?:=>|:{0,3}=|\?=|:|,|\s)\s{0,3}(?:bearer\s|basic\s)?["'`]{0,3}(?P<v>[^\s"'`;,<>(){}\[\]\\]{6,400})"#;

fn key_block(caught: &Caught<'_>) -> Option<Verdict> {
    let rest = caught.text.get(caught.range.end..)?;
    let block = rest.get(..crate::source::floor_boundary(rest, MAX_KEY_BLOCK))?;
    let (body, end) = match block.find("-----END") {
        Some(at) => (block.get(..at)?, at + end_line(block.get(at..)?)),
        None => {
            let cut = unfinished(block);
            (block.get(..cut)?, cut)
        }
    };
    let payload = body.bytes().filter(u8::is_ascii_alphanumeric).take(MIN_KEY_BYTES).count();
    let range = Some(caught.range.start..caught.range.end + end);
    (payload == MIN_KEY_BYTES).then_some(Verdict { score: 99, range })
}

/// Length of `-----END … PRIVATE KEY-----`.
fn end_line(text: &str) -> usize {
    let body = text.len().min("-----".len());
    let close = text.get(body..).and_then(|s| s.find("-----")).map(|at| body + at + "-----".len());
    let line = text.find('\n').unwrap_or(text.len());
    close.unwrap_or(line).min(line)
}

/// How far a key whose end was cut off reaches: lines of base64, line breaks
/// possibly written as `\n`.
fn unfinished(block: &str) -> usize {
    let base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=\\\r\n".contains(&b);
    let lines = block.split_inclusive('\n').take_while(|line| line.bytes().all(base64));
    lines.map(str::len).sum()
}

/// `user:password`, either part possibly quoted.
fn user_and_password(caught: &Caught<'_>) -> Option<Verdict> {
    let plain = caught.value().replace(['"', '\''], "");
    let (user, password) = plain.split_once(':')?;
    let variable = |part: &str| {
        part.starts_with(['$', '<', '[', '%', '*'])
            || part.contains("${")
            || part.contains("$(")
            || part.contains("{{")
    };
    // A token may stand where the user's name does, with no password.
    let value = if password.is_empty() { user } else { password };
    let judged = !variable(user) && !variable(value) && !is_placeholder(value) && value.len() >= 4;
    if judged { Verdict::score(80) } else { None }
}

fn assignment(caught: &Caught<'_>) -> Option<Verdict> {
    let value = caught.value().trim_end_matches(['.', '!', '?', ':', ')']);
    let telling = telling(caught.key)?;
    let letters = value.bytes().any(|b| b.is_ascii_alphabetic());
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let enough = match telling {
        Telling::Password => value.len() >= 8 && digits >= 1 && letters && entropy(value) >= 2.5,
        Telling::Key => value.len() >= 16 && digits >= 2 && letters && entropy(value) >= 3.0,
        Telling::Perhaps => value.len() >= 32 && digits >= 4 && letters && entropy(value) >= 3.0,
    };
    if !enough || is_placeholder(value) || is_reference(value) {
        return None;
    }
    let range = caught.range.start..caught.range.start + value.len();
    let score = if telling == Telling::Perhaps { 60 } else { 75 };
    Some(Verdict { score, range: Some(range) })
}

/// A URL, path, dotted name or call: a name of something, not a value.
fn is_reference(value: &str) -> bool {
    let dotted = value.split('.').count() > 1
        && value.split('.').all(|part| part.starts_with(|c: char| c.is_ascii_alphabetic()));
    let parts: Vec<&str> = value.split(['-', '_', '.']).collect();
    let word = |part: &&str| {
        part.bytes().all(|b| b.is_ascii_alphabetic())
            || part.len() <= 4 && part.bytes().all(|b| b.is_ascii_digit())
    };
    let spoken = parts.len() >= 3 && parts.iter().all(word);
    dotted || spoken || value.contains("://") || value.starts_with(['/', '.', '$', '@', '%', '#'])
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
    if ["password", "passwd", "pwd", "passphrase", "passwrd"].iter().any(|w| has(w)) {
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
    use super::words;

    #[test]
    fn names_are_split_into_words() {
        for name in ["myApiKey", "MY_API_KEY", "my.api-key", "My-Api.Key"] {
            assert_eq!(words(name), ["my", "api", "key"], "{name}");
        }
    }
}
