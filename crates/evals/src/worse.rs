//! In what an answer is worse than production's on the same input.

use crate::row::ArmRow;
use domain::suite::{Answer, Metric, ScoreRule};
use serde::{Deserialize, Serialize};

/// Loss of a measure that counts as worse, for one case.
const LOSS: f64 = 0.10;
/// Growth of tokens that counts as longer, for one case.
const LONGER: f64 = 1.5;
/// Longest text of an example, in characters.
const SHOWN: usize = 1200;

/// Why a case got worse, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There is nothing where production has an answer.
    Empty,
    /// It declines what production answers.
    Refused,
    /// It breaks a check that production keeps.
    BrokeCheck,
    /// It leaves out what production says of the reference.
    Omission,
    /// Fewer of its statements are supported by the context.
    Unsupported,
    /// Another measure fell.
    LowerScore,
    /// It is much longer, and so dearer.
    Longer,
}

impl Reason {
    /// In words, after a number of cases.
    pub fn words(self) -> &'static str {
        match self {
            Self::Empty => "give nothing",
            Self::Refused => "refuse",
            Self::BrokeCheck => "break a check that production keeps",
            Self::Omission => "leave something out",
            Self::Unsupported => "say what the context does not support",
            Self::LowerScore => "score lower",
            Self::Longer => "are much longer",
        }
    }
}

/// One way in which a case got worse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Worse {
    /// Which way.
    pub reason: Reason,
    /// What exactly, in a few words.
    pub what: String,
    /// How much, for the order of examples; more is worse.
    pub by: f64,
}

/// Two answers beside each other. Redacted.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// The case.
    pub case: String,
    /// What the candidate says.
    pub candidate: String,
    /// What production says, if it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production: Option<String>,
}

impl std::fmt::Debug for Example {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Example").field("case", &self.case).finish_non_exhaustive()
    }
}

impl Example {
    /// From the first answers of both.
    pub(crate) fn of(case: &str, candidate: Option<&Answer>, production: Option<&Answer>) -> Self {
        Self {
            case: case.to_owned(),
            candidate: candidate.map(shown).unwrap_or_default(),
            production: production.map(shown),
        }
    }
}

fn shown(answer: &Answer) -> String {
    let mut text = answer.text.clone();
    for call in &answer.tool_calls {
        text.push_str(&format!("\n[calls `{}` with {}]", call.name, call.arguments));
    }
    let mut cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    checks::redact::redact(&cut)
}

/// All ways in which the candidate is worse on one case.
pub(crate) fn compare(rules: &[ScoreRule], candidate: &ArmRow, production: &ArmRow) -> Vec<Worse> {
    let mut worse = Vec::new();
    if candidate.asked == 0 || production.asked == 0 {
        return worse;
    }
    let share = |n: u32, row: &ArmRow| f64::from(n) / f64::from(row.asked);
    let mut more = |reason, what: &str, ours: u32, theirs: u32| {
        let by = share(ours, candidate) - share(theirs, production);
        if by > 0.0 {
            worse.push(Worse { reason, what: what.to_owned(), by });
        }
    };
    more(Reason::Empty, "nothing is answered", candidate.empty, production.empty);
    more(Reason::Refused, "it declines", candidate.refused, production.refused);
    for (check, (times, reason)) in candidate.broken.iter().filter(|(c, _)| *c != "answered") {
        let theirs = production.broken.get(check).map_or(0, |(times, _)| *times);
        more(Reason::BrokeCheck, &format!("`{check}`: {reason}"), *times, theirs);
    }
    for (i, rule) in rules.iter().enumerate() {
        let (Some(ours), Some(theirs)) = (candidate.mean(i), production.mean(i)) else { continue };
        if theirs - ours > LOSS {
            let reason = match rule.metric {
                Metric::Recall | Metric::RecallAtK => Reason::Omission,
                Metric::Groundedness => Reason::Unsupported,
                _ => Reason::LowerScore,
            };
            let what = format!("`{}` is {ours:.2}, production's {theirs:.2}", metric_word(rule));
            worse.push(Worse { reason, what, by: theirs - ours });
        }
    }
    if let (Some(ours), Some(theirs)) = (candidate.tokens(), production.tokens())
        && ours > theirs * LONGER
    {
        let what = format!("{ours:.0} tokens, production {theirs:.0}");
        worse.push(Worse { reason: Reason::Longer, what, by: ours / theirs.max(1.0) });
    }
    worse
}

/// How a measure is named in a suite.
pub(crate) fn metric_word(rule: &ScoreRule) -> String {
    let word = serde_json::to_value(rule.metric).ok();
    let word = word.as_ref().and_then(|w| w.as_str()).unwrap_or("score").to_owned();
    match (&rule.judge, rule.k) {
        (Some(judge), _) => format!("{word} {judge}"),
        (None, Some(k)) => format!("{word} {k}"),
        (None, None) => word,
    }
}
