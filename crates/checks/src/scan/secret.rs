//! Secrets by structure: key blocks, web tokens, tokens of several parts,
//! passwords in URLs and commands. Prefixed keys are in [`super::prefixes`],
//! values assigned to telling names in [`super::keyed`].

use super::check::{entropy, is_placeholder};
use super::sweep::{Anchor, Sweep, Wake, odd};
use super::{Caught, Hit, Kind, keyed, prefixes};
use regex::Regex;
use std::ops::Range;
use std::sync::LazyLock;

/// Longest private key block, in bytes.
const MAX_KEY_BLOCK: usize = 16 * 1024;
/// Letters and digits a block must have to be more than a mention of one.
const MIN_KEY_BYTES: usize = 10;

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

/// A shape and its judge.
struct Shape {
    kind: Kind,
    /// Words, in lower case, near which it can be.
    words: &'static [&'static str],
    /// How far before and after such a word, in bytes.
    reach: (usize, usize),
    /// The group `v` is the value; the whole match if there is none.
    pattern: &'static str,
    judge: fn(&Caught<'_>) -> Option<Verdict>,
}

/// Shapes near a telling word.
static NEAR: [Shape; 16] = [
    Shape {
        kind: Kind::PrivateKey,
        words: &["private key"],
        reach: (64, 64),
        pattern: r"-----BEGIN [A-Za-z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----",
        judge: key_block,
    },
    Shape {
        kind: Kind::PrivateKey,
        words: &["putty-user-key-file-"],
        reach: (0, 4),
        pattern: r"PuTTY-User-Key-File-[23]",
        judge: |_| Verdict::score(90),
    },
    Shape {
        kind: Kind::WebToken,
        words: &["eyj"],
        reach: (0, 7100),
        pattern: r"\beyJ[A-Za-z0-9_=-]{10,2000}\.ey[A-Za-z0-9_=/\\-]{10,4000}\.?[A-Za-z0-9_=/\\+-]{0,1000}",
        judge: |caught| if entropy(caught.value()) >= 3.0 { Verdict::score(95) } else { None },
    },
    Shape {
        kind: Kind::WebToken,
        words: &["zxlk"],
        reach: (0, 4000),
        pattern: r"\bZXlK[A-Za-z0-9+/]{60,3900}={0,2}",
        judge: |caught| if entropy(caught.value()) >= 3.5 { Verdict::score(80) } else { None },
    },
    Shape {
        kind: Kind::Password,
        words: &["://"],
        reach: (24, 220),
        pattern: r#"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s:/@"'<>]{0,64}:(?P<v>[^\s/@"'<>]{3,100})@[A-Za-z0-9\[]"#,
        judge: |caught| {
            let open = caught.value().starts_with(['$', '{', '%', '[', '*']);
            let hidden = caught.value().bytes().all(|b| matches!(b, b'x' | b'X' | b'.' | b'*'));
            if open || hidden { None } else { Verdict::score(80) }
        },
    },
    Shape {
        kind: Kind::Password,
        words: &["curl"],
        reach: (0, 400),
        pattern: r#"\bcurl\b[^|]{0,300}?\s(?:-u|--user)[\s=]{0,3}(?P<v>"[^"\s]{1,120}"(?::"[^"\s]{1,120}")?|'[^'\s]{1,120}'|[^\s"']{1,60}'[^'\s]{1,60}'|[^\s"']{1,120})"#,
        judge: user_and_password,
    },
    Shape {
        kind: Kind::ApiKey,
        words: &["xoxa-", "xoxb-", "xoxo-", "xoxp-", "xoxr-", "xoxs-", "xoxe-"],
        reach: (0, 255),
        pattern: r"\bxox[abeoprs]-(?:[0-9]{1,2}-)?[0-9A-Za-z-]{8,200}",
        judge: slack,
    },
    Shape {
        kind: Kind::ApiKey,
        words: &["t3blbkfj"],
        reach: (220, 220),
        pattern: r"\bsk-[A-Za-z0-9_-]{20,200}T3BlbkFJ[A-Za-z0-9_-]{20,200}",
        judge: |_| Verdict::score(97),
    },
    Shape {
        kind: Kind::ApiKey,
        words: &["hooks.slack.com/services/"],
        reach: (0, 120),
        pattern: r"services/T[A-Za-z0-9_]{7,20}/B[A-Za-z0-9_]{7,20}/[A-Za-z0-9_]{16,40}",
        judge: |caught| {
            let shown = caught.value().ends_with("XXXX");
            if shown { None } else { Verdict::score(90) }
        },
    },
    Shape {
        kind: Kind::ApiKey,
        words: &["api.softlayer.com/soap/"],
        reach: (0, 120),
        pattern: r"soap/v3(?:\.1)?/(?P<v>[0-9a-f]{64})(?-u:\b)",
        judge: |_| Verdict::score(90),
    },
    Shape {
        kind: Kind::Secret,
        words: &["accountkey=", "sharedaccesskey="],
        reach: (0, 120),
        pattern: r"(?i)AccessKey=(?P<v>[A-Za-z0-9+/=]{40,100})|AccountKey=(?P<w>[A-Za-z0-9+/=]{60,100})",
        judge: |caught| if is_placeholder(caught.value()) { None } else { Verdict::score(90) },
    },
    Shape {
        kind: Kind::ApiKey,
        words: &["q~"],
        reach: (6, 40),
        pattern: r"[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}",
        judge: |caught| if entropy(caught.value()) >= 3.0 { Verdict::score(90) } else { None },
    },
    Shape {
        kind: Kind::ApiKey,
        words: &[".atlasv1."],
        reach: (20, 80),
        pattern: r"(?-u:\b)[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70}",
        judge: |_| Verdict::score(95),
    },
    Shape {
        kind: Kind::ApiKey,
        words: &[".webhook.office.com/webhookb2/"],
        reach: (0, 240),
        pattern: r"webhookb2/[a-z0-9-]{36}@[a-z0-9-]{36}/IncomingWebhook/[a-z0-9]{32}/[a-z0-9-]{36}",
        judge: |_| Verdict::score(90),
    },
    Shape {
        kind: Kind::Secret,
        words: &["kind: secret", "kind: \"secret", "kind: 'secret", "kind:secret"],
        reach: (600, 600),
        pattern: r#"(?m)^[ \t]*(?P<k>[\w.-]{1,64}):[ \t]*(?:\||>[-+]?)?\s*["']?(?P<v>[A-Za-z0-9+/]{10,}={0,3})["']?[ \t]*$"#,
        judge: cluster_secret,
    },
    Shape {
        kind: Kind::Password,
        words: &["password\" value", "password' value"],
        reach: (0, 100),
        pattern: r#"value\s{0,3}=\s{0,3}["'](?P<v>[^"'\s]{8,80})["']"#,
        judge: |caught| {
            let value = caught.value();
            let open = value.starts_with(['%', '$']) || value.contains("${");
            if open || is_placeholder(value) { None } else { Verdict::score(75) }
        },
    },
];

/// Shapes of long words with digits.
static LONG: [(Kind, &str, f64, u8); 9] = [
    (Kind::ApiKey, r"(?-u:\b)[0-9a-f]{32}-us[0-9]{1,2}\b", 2.5, 90),
    (Kind::ApiKey, r"(?-u:\b)[0-9]{8,16}:A[A-Za-z0-9_-]{34}\b", 3.0, 90),
    (Kind::ApiKey, r"(?-u:\b)(?:AC|SK)[0-9a-z]{32}\b", 0.0, 90),
    (Kind::ApiKey, r"\bSG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}\b", 2.5, 95),
    (
        Kind::ApiKey,
        r"(?-u:\b)[MNO][A-Za-z0-9_-]{23,25}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38}\b",
        3.5,
        90,
    ),
    (Kind::ApiKey, r"\bpat[A-Za-z0-9]{14}\.[a-f0-9]{64}\b", 3.0, 95),
    (
        Kind::ApiKey,
        r"(?-u:\b)(?:pat|sat)\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{20}\b",
        3.0,
        95,
    ),
    (Kind::ApiKey, r"(?-u:\b)[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk\b", 3.0, 95),
    (
        Kind::ApiKey,
        r"\bA3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})(?:-[A-Z0-9]{5}){3}\b",
        3.0,
        95,
    ),
];

/// Words of JFrog's Artifactory, whose prefixes are too short for the automaton.
static SHORT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?:^|[\s=:"'])(?P<v>AKC[a-zA-Z0-9]{10,100}|AP[0-9A-F][a-zA-Z0-9]{8,100})(?:[\s"',;]|$)"#,
    )
    .ok()
});

static NEAR_COMPILED: LazyLock<Vec<Option<Regex>>> =
    LazyLock::new(|| NEAR.iter().map(|s| Regex::new(s.pattern).ok()).collect());
static LONG_COMPILED: LazyLock<Vec<Option<Regex>>> =
    LazyLock::new(|| LONG.iter().map(|(_, pattern, ..)| Regex::new(pattern).ok()).collect());

#[cfg(test)]
pub(super) fn all_compile() -> bool {
    SHORT.is_some() && NEAR_COMPILED.iter().chain(LONG_COMPILED.iter()).all(Option::is_some)
}

/// The telling words, for the automaton.
pub(super) fn anchors() -> impl Iterator<Item = (&'static str, Wake)> {
    (0_u16..)
        .zip(&NEAR)
        .flat_map(|(at, s)| s.words.iter().map(move |word| (*word, Wake::Secret(at))))
        .chain(SHORT_WORDS.iter().map(|word| (*word, Wake::Secret(SHORT_WAKE))))
}

/// Telling words that may begin inside another.
pub(super) const INSIDE: [&str; 8] = [
    "t3blbkfj",
    "q~",
    ".atlasv1.",
    ".webhook.office.com/webhookb2/",
    "accountkey=",
    "sharedaccesskey=",
    "password\" value",
    "password' value",
];

/// What Artifactory's own names begin with.
const SHORT_WORDS: [&str; 17] = [
    "akc", "ap0", "ap1", "ap2", "ap3", "ap4", "ap5", "ap6", "ap7", "ap8", "ap9", "apa", "apb",
    "apc", "apd", "ape", "apf",
];
const SHORT_WAKE: u16 = u16::MAX;

/// The secrets of a text.
pub(super) fn find(text: &str, sweep: &Sweep, found: &mut Vec<Hit>) {
    for anchor in &sweep.anchors {
        match anchor.wake {
            Wake::Prefix(at) => found.extend(prefixes::judge(at, text, anchor.start)),
            Wake::Keyed => found.extend(keyed::judge(text, anchor.start..anchor.end)),
            Wake::Secret(SHORT_WAKE) => found.extend(short(text, anchor.start)),
            _ => {}
        }
    }
    let pick = |anchor: &Anchor| match anchor.wake {
        Wake::Secret(at) if at != SHORT_WAKE => Some(at),
        _ => None,
    };
    let reach = |at: u16| NEAR.get(usize::from(at)).map_or((0, 0), |s| s.reach);
    for (at, window) in sweep.windows(text, pick, reach) {
        let at = usize::from(at);
        let (Some(shape), Some(Some(regex))) = (NEAR.get(at), NEAR_COMPILED.get(at)) else {
            continue;
        };
        let slice = text.get(window.clone()).unwrap_or("");
        for captures in regex.captures_iter(slice) {
            let value =
                captures.name("v").or_else(|| captures.name("w")).or_else(|| captures.get(0));
            let Some(value) = value else { continue };
            let range = window.start + value.start()..window.start + value.end();
            let caught = Caught { text, range };
            if let Some(verdict) = (shape.judge)(&caught) {
                let range = verdict.range.unwrap_or(caught.range);
                found.push(Hit::new(shape.kind, range, verdict.score));
            }
        }
    }
    let long = odd::LONG | odd::LETTER;
    for word in sweep.words.iter().filter(|w| w.odd & long == long) {
        long_word(text, &word.range, found);
    }
}

fn long_word(text: &str, range: &Range<usize>, found: &mut Vec<Hit>) {
    let slice = text.get(range.clone()).unwrap_or("");
    // The least length any of the shapes has.
    if slice.len() < 34 {
        return;
    }
    for ((kind, _, least, score), regex) in LONG.iter().zip(LONG_COMPILED.iter()) {
        for shaped in regex.iter().flat_map(|regex| regex.find_iter(slice)) {
            if entropy(shaped.as_str()) >= *least {
                let range = range.start + shaped.start()..range.start + shaped.end();
                found.push(Hit::new(*kind, range, *score));
            }
        }
    }
}

fn short(text: &str, start: usize) -> Option<Hit> {
    let from = crate::source::floor_boundary(text, start.saturating_sub(1));
    let end = crate::source::floor_boundary(text, start.saturating_add(110));
    let value = SHORT.as_ref()?.captures(text.get(from..end)?)?.name("v")?;
    let tail = value.as_str().get(3..)?;
    // Whole tokens have variety; cut ones are taken as they are.
    if value.as_str().starts_with("AKCp") && tail.len() >= 60 && entropy(tail) < 3.0 {
        return None;
    }
    // Words in capitals begin like this too.
    let token = from + value.start() == start
        && tail.bytes().any(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
    token.then(|| Hit::new(Kind::ApiKey, start..from + value.end(), 80))
}

/// Slack's tokens have parts of digits, each of some length.
fn slack(caught: &Caught<'_>) -> Option<Verdict> {
    let value = caught.value();
    let tail = value.get(5..)?;
    let digits =
        tail.split('-').any(|part| part.len() >= 8 && part.bytes().all(|b| b.is_ascii_digit()));
    let mixed = tail.split('-').any(|part| {
        part.len() >= 8 && part.bytes().any(|b| b.is_ascii_digit()) && entropy(part) >= 2.5
    });
    if digits || mixed { Verdict::score(95) } else { None }
}

/// A value of a Kubernetes secret: base64 below `data`.
fn cluster_secret(caught: &Caught<'_>) -> Option<Verdict> {
    let from = crate::source::floor_boundary(caught.text, caught.range.start.saturating_sub(400));
    let before = caught.text.get(from..caught.range.start)?;
    let data = before.rfind("data:").or_else(|| before.rfind("Data:"))?;
    // A key at the left edge ends the block.
    let ended = before.get(data + 5..)?.lines().skip(1).any(|line| {
        line.starts_with(|c: char| c.is_ascii_alphabetic()) && !line.starts_with("data")
    });
    let value = caught.value();
    if ended || is_placeholder(value) || value.len() < 10 { None } else { Verdict::score(70) }
}

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
    // `{value}` with the braces left from a form to fill in.
    let inner = value.trim_matches(['{', '}']);
    let filled = !value.contains("{{") && inner.bytes().any(|b| b.is_ascii_digit());
    let value = if filled { inner } else { value };
    let judged = !variable(user) && !variable(value) && !is_placeholder(value) && value.len() >= 4;
    if judged { Verdict::score(80) } else { None }
}
