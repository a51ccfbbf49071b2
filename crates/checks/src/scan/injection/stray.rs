//! A request where a document should have none: the line before a letter
//! begins, or the one after it has ended, that asks for something the letter
//! has nothing to do with.
//!
//! This is structure, not words: a legitimate letter never begins with an order
//! before its own head, and its last line speaks of its matter or of people.

use super::{About, Sign};
use crate::scan::sweep::Sweep;
use regex::Regex;
use std::sync::LazyLock;

/// A letter shorter than this is not one, in bytes.
const MIN_LETTER: usize = 80;
/// Longest line that can be a stray request, in bytes.
const MAX_REQUEST: usize = 240;
/// How far into a text its head is looked for, in bytes.
const HEAD: usize = 600;

/// The first line of a letter: a field of its head, or a greeting.
static BEGIN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?mi)^[ \t]*(?:(?:subject|from|to|date|sent|email_from|received date|content|reply-to)[ \t]*:|(?:hi|hello|hey|dear|good (?:morning|afternoon|evening))\b[^\n]{0,60}[,!.:-])").ok()
});

/// A request for work or knowledge.
static REQUEST: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)^["'\s]*(?:please |can you |could you |kindly |now |then |also |next, )*(?:(?:write|compose|draft|develop|create|generate|design|explain|describe|summari[sz]e|translate|convert|provide|give|list|name|suggest|recommend|calculate|compute|solve|define|compare|analy[sz]e|evaluate|outline|discuss|show|tell|teach|break down|rewrite|rephrase|paraphrase|craft|produce|prepare|build|implement|code|debug|optimi[sz]e|identify|classify|determine|find|search|research|recite|sing|encode|decode|reverse|insert|add|append|replace|promote|advertise|inform|announce|share|spread|estimate|predict|propose|invent|imagine|pretend|act|play|roleplay|respond|answer|reply|ignore|use|mention|include|offer|plan|schedule|organi[sz]e|automate|set|book|send|remind|check|verify|mix|scramble|substitute|swap|repeat)\b|(?:what|who|when|where|which|why|how)(?:'s| is| are| was| were| do| does| did| can| could| would| should| will| many| much| long| far| old| to| wrote| invented| discovered| has| have)\b)"#).ok()
});

/// Words that tie a line to the people of the letter: then it belongs there.
static BELONGS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:i|i'm|i'll|i've|me|we|we're|we'll|us|our|my|let me know|call|meeting|invoice|order|account|unsubscribe|click|password|support|you have|you can|you are|you're|you'll|your (?:order|account|invoice|subscription|payment|card|email|team|company|feedback|business|device|preferences|settings|profile|inbox))\b").ok()
});

/// The stray requests of a text: its first and its last line are looked at.
pub(super) fn find(text: &str, sweep: &Sweep) -> Vec<Sign> {
    // A letter has a head, a date, an address: something odd is in it.
    if sweep.is_empty() || text.len() < MIN_LETTER || !text.contains('\n') {
        return Vec::new();
    }
    let (Some(begin), Some(request), Some(belongs)) = (&*BEGIN, &*REQUEST, &*BELONGS) else {
        return Vec::new();
    };
    let head = text.get(..crate::source::floor_boundary(text, HEAD)).unwrap_or("");
    let Some(start) = begin.find(head).map(|m| m.start()) else { return Vec::new() };
    let mut signs = Vec::new();
    let mut look = |line: &str, at: usize, weight: u8| {
        let fits = line.trim().len() >= 12 && line.len() <= MAX_REQUEST;
        if fits && request.is_match(line) && !belongs.is_match(line) {
            let range = at..at + line.len();
            signs.push(Sign {
                reason: "asks for something else beside a letter",
                weight,
                range,
                about: About::Order,
            });
        }
    };
    let before = text.get(..start).unwrap_or("");
    if let Some(first) = before.lines().find(|line| !line.trim().is_empty())
        && text.len() - start >= MIN_LETTER
    {
        look(first, before.find(first).unwrap_or(0), 55);
    }
    let body = text.trim_end();
    if let Some(at) = body.rfind('\n')
        && at >= start + MIN_LETTER
    {
        look(body.get(at + 1..).unwrap_or(""), at + 1, 50);
    }
    signs
}
