//! Bounds on a policy's text, before the parser sees it.
//!
//! Parser, checker and evaluator descend into a policy: how deep is up to who
//! wrote it, and a stack that runs out ends the process. So nesting and length
//! are bounded here, by a scan that needs no stack. It reads strings and
//! comments as Cedar does; where it could be wrong the text does not parse.

use std::ops::Range;

/// Most brackets and `if`s open within each other, in one policy.
pub const MAX_DEPTH: usize = 32;
/// Most operators (`&&`, `||`, `+`, `.`, …) in one policy: a chain of them is as
/// deep as it is long.
pub const MAX_OPERATORS: usize = 256;
/// Longest policy, in bytes.
pub const MAX_POLICY_LEN: usize = 4 * 1024;

/// What is too much of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TooMuch {
    /// Where.
    pub(super) range: Range<usize>,
    /// What is wrong.
    pub(super) problem: String,
}

/// The first policy of the text that is too long or too deep, if there is one.
pub(super) fn bounds(text: &str) -> Option<TooMuch> {
    let bytes = text.as_bytes();
    let (mut at, mut start) = (0, 0);
    let (mut depth, mut ifs, mut operators) = (0_usize, 0_usize, 0_usize);
    while let Some(byte) = bytes.get(at) {
        let from = at;
        at = at.saturating_add(1);
        match byte {
            b'"' => at = string_end(bytes, at),
            b'/' if bytes.get(at) == Some(&b'/') => at = line_end(bytes, at),
            b'(' | b'[' | b'{' => depth = depth.saturating_add(1),
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b';' => (start, depth, ifs, operators) = (at, 0, 0, 0),
            // The second byte of `&&` and `==` counts for nothing.
            b'&' | b'|' | b'=' if from > 0 && bytes.get(from.saturating_sub(1)) == Some(byte) => {}
            b'&' | b'|' | b'=' | b'<' | b'>' | b'!' | b'+' | b'-' | b'*' | b'.' => {
                operators = operators.saturating_add(1);
            }
            b'i' if is_word(bytes, from, b"if") => ifs = ifs.saturating_add(1),
            _ => {}
        }
        if depth.saturating_add(ifs) > MAX_DEPTH {
            let problem = format!("more than {MAX_DEPTH} brackets and `if`s within each other");
            return Some(TooMuch { range: from..at, problem });
        }
        if operators > MAX_OPERATORS {
            let problem = format!("a policy has more than {MAX_OPERATORS} operators");
            return Some(TooMuch { range: from..at, problem });
        }
        if !blank(bytes, start, at) && at.saturating_sub(start) > MAX_POLICY_LEN {
            let problem = format!("a policy is longer than {MAX_POLICY_LEN} bytes");
            return Some(TooMuch { range: start..start.saturating_add(1), problem });
        }
        // What lies between two policies belongs to none.
        if blank(bytes, start, at) {
            start = at;
        }
    }
    None
}

/// True if the policy that began at `start` has no letter yet: only space or a
/// comment, which may be as long as it likes.
fn blank(bytes: &[u8], start: usize, at: usize) -> bool {
    let piece = bytes.get(start..at).unwrap_or_default();
    piece.iter().all(u8::is_ascii_whitespace) || (piece.starts_with(b"//") && at > start)
}

fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        at = at.saturating_add(1);
        match byte {
            b'\\' => at = at.saturating_add(1),
            b'"' => break,
            _ => {}
        }
    }
    at.min(bytes.len())
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    let length = rest.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(rest.len());
    at.saturating_add(length)
}

fn is_word(bytes: &[u8], at: usize, word: &[u8]) -> bool {
    let letter = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let before = at.checked_sub(1).and_then(|at| bytes.get(at));
    let rest = bytes.get(at..).unwrap_or_default();
    rest.starts_with(word) && !letter(before) && !letter(rest.get(word.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_and_length_are_bounded_and_ordinary_policies_are_not() {
        let nested = |n| {
            format!(
                "forbid(principal,action,resource) when {{ {}1{} }};",
                "(".repeat(n),
                ")".repeat(n)
            )
        };
        assert_eq!(bounds(&nested(20)), None);
        assert!(bounds(&nested(40)).unwrap().problem.contains("32"));
        assert!(bounds(&"if a then b else ".repeat(33)).is_some());
        assert_eq!(bounds(&"notif elif gif ".repeat(50)), None);
        for chain in ["a&&", "1+", ".a", "a == "] {
            assert!(bounds(&chain.repeat(300)).unwrap().problem.contains("256"), "{chain}");
            assert_eq!(bounds(&chain.repeat(250)), None, "{chain}");
        }
        assert!(bounds(&"a ".repeat(3000)).unwrap().problem.contains("4096"));
        let many = "permit(principal, action, resource);\n".repeat(1000);
        assert_eq!(bounds(&many), None, "many short ones");
        let comment = format!("// {}\n{}", "((((((((((".repeat(1000), nested(2));
        assert_eq!(bounds(&comment), None, "comments count for nothing");
        assert_eq!(bounds(&format!("when {{ \"{}\" }};", "(".repeat(100))), None, "nor strings");
        assert!(bounds("\"\\").is_none() && bounds("/").is_none());
    }
}
