//! Scores and checks of single answers: what a suite asks of every answer, and
//! how good the answer is.
//!
//! [`prepare`] compiles a suite once; [`Prepared::check`] and
//! [`Prepared::score`] then judge answers, from any thread. `docs/scores.md`
//! lists every check and measure with its source.
//!
//! What must stay true: no answer is no pass. An answer with an error, or with
//! neither text nor a tool call, breaks every check and scores 0. What cannot be
//! measured has no value; it never counts as a good one.

mod bleu;
mod consistent;
mod free;
mod grounded;
mod growth;
mod instruction;
mod json;
mod language;
mod overlap;
mod refusal;
mod retrieval;
mod rule;
mod text;
mod tools;
mod words;

pub use bleu::bleu;
pub use consistent::{MAX_OTHERS, consistency};
pub use grounded::{Statement, groundedness, statements};
pub use growth::{MAX_APPLIED, MAX_CHAIN, MAX_NESTED, MAX_STEPS};
pub use json::{MAX_SCHEMA_LEN, Schema, SchemaFault};
pub use language::{MIN_LETTERS, language};
pub use overlap::{Rouge, RougePair, cosine, exact_match, has_rouge_tokens, normalised, squad_f1};
pub use refusal::refuses;
pub use retrieval::{DEFAULT_K, ndcg_at_k, recall_at_k};
pub use rule::{MAX_PATTERN_LEN, MAX_PATTERN_SIZE, near_enough};

use domain::finding::{Finding, Place, Severity};
use domain::suite::{Answer, Case, Check, CheckResult, Metric, ScoreResult, ScoreRule, Suite};
use rule::Rule;

/// Why a check cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Dotted path below the check, for example `matches`.
    pub field: String,
    /// Stable code of the finding.
    pub code: &'static str,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do.
    pub mend: String,
    /// What to write instead, if it is that simple.
    pub replacement: Option<String>,
}

impl Fault {
    pub(crate) fn new(
        field: &str,
        code: &'static str,
        message: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            field: field.to_owned(),
            code,
            message: message.into(),
            mend: mend.into(),
            replacement: None,
        }
    }
}

/// Faults of one check, as far as it can be judged without other files: a schema
/// named by its path is not looked at.
pub fn faults(check: &Check) -> Vec<Fault> {
    if let Check::JsonSchema(serde_json::Value::String(_)) = check {
        return Vec::new();
    }
    faults_with(check, &|_| None)
}

/// Faults of one check, with the files beside its suite.
pub fn faults_with(check: &Check, files: &dyn Fn(&str) -> Option<Vec<u8>>) -> Vec<Fault> {
    Rule::new(check, files).err().into_iter().collect()
}

/// A suite's checks, compiled, and its measures.
pub struct Prepared {
    rules: Vec<Rule>,
    scores: Vec<ScoreRule>,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared")
            .field("checks", &self.rules.len())
            .field("scores", &self.scores.len())
            .finish_non_exhaustive()
    }
}

/// Compiles a suite. `files` gives the bytes of a file beside the suite, named as
/// the suite names it.
///
/// Errors: every check that cannot be used. Their places have the field and no
/// file, because only the caller knows which file the suite is.
pub fn prepare(
    suite: &Suite,
    files: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Result<Prepared, Vec<Finding>> {
    let mut rules = Vec::new();
    let mut findings = Vec::new();
    for (i, check) in suite.checks.iter().enumerate() {
        match Rule::new(check, files) {
            Ok(rule) => rules.push(rule),
            Err(fault) => findings.push(finding(&format!("checks[{i}]"), fault)),
        }
    }
    for (i, case) in suite.cases.iter().enumerate() {
        for (j, check) in case.checks.iter().enumerate() {
            let faults = faults(check).into_iter();
            findings.extend(faults.map(|f| finding(&format!("cases[{i}].checks[{j}]"), f)));
        }
    }
    if findings.is_empty() {
        Ok(Prepared { rules, scores: suite.scores.clone() })
    } else {
        Err(findings)
    }
}

fn finding(at: &str, fault: Fault) -> Finding {
    let dot = if fault.field.is_empty() || fault.field.starts_with('[') { "" } else { "." };
    Finding {
        code: fault.code.to_owned(),
        severity: Severity::Error,
        place: Some(Place { field: Some(format!("{at}{dot}{}", fault.field)), ..Place::default() }),
        message: fault.message,
        explanation: "a check that cannot be used proves nothing about any answer".to_owned(),
        mend: fault.mend,
        replacement: fault.replacement,
        excerpt: None,
    }
}

impl Prepared {
    /// How an answer kept the suite's checks, in their order, and then the
    /// case's own.
    pub fn check(&self, case: &Case, answer: &Answer) -> Vec<CheckResult> {
        let own = case.checks.iter().map(|check| {
            let kept = match Rule::new(check, &|_| None) {
                Ok(rule) => rule.kept(case, answer),
                Err(fault) => Err(format!("the check cannot be used: {}", fault.message)),
            };
            result(check.word(), kept)
        });
        self.rules
            .iter()
            .map(|rule| result(rule.word(), rule.kept(case, answer)))
            .chain(own)
            .collect()
    }

    /// The suite's measures of an answer, in their order. Measures that need a
    /// network ([`Metric::Judge`]) or other answers ([`Metric::Consistency`]) have no
    /// value here.
    pub fn score(&self, case: &Case, answer: &Answer) -> Vec<ScoreResult> {
        self.scores.iter().map(|rule| score(rule, case, answer)).collect()
    }
}

fn result(check: &str, kept: Result<(), String>) -> CheckResult {
    CheckResult {
        check: check.to_owned(),
        kept: kept.is_ok(),
        reason: kept.err().unwrap_or_default(),
    }
}

/// Why an answer is none; nothing if it is one.
pub fn no_answer(answer: &Answer) -> Option<String> {
    if let Some(error) = &answer.error {
        return Some(format!("there is no answer: {error}"));
    }
    let blank = answer.text.trim().is_empty() && answer.tool_calls.is_empty();
    blank.then(|| "the answer is empty".to_owned())
}

/// One measure of one answer.
pub fn score(rule: &ScoreRule, case: &Case, answer: &Answer) -> ScoreResult {
    let metric = rule.metric;
    if metric == Metric::Consistency {
        let note = "it takes two repeats that were answered".to_owned();
        return ScoreResult { metric, value: None, note };
    }
    if let Some(why) = no_answer(answer) {
        return ScoreResult { metric, value: Some(0.0), note: why };
    }
    let none = |note: &str| ScoreResult { metric, value: None, note: note.to_owned() };
    let some = |value: f64| ScoreResult { metric, value: Some(value), note: String::new() };
    let best = |measure: &dyn Fn(&str, &str) -> f64| match case.expected.as_slice() {
        [] => none("the case has no reference answer (`expected`)"),
        references => {
            some(references.iter().map(|wanted| measure(&answer.text, wanted)).fold(0.0, f64::max))
        }
    };
    let rouge = |part: &dyn Fn(&RougePair) -> f64| {
        let mut result = best(&|given, wanted| part(&RougePair::new(given, wanted)));
        if result.value == Some(0.0) && !case.expected.iter().any(|text| has_rouge_tokens(text)) {
            result = none("ROUGE sees Latin letters and digits only, and no reference has any");
        }
        result
    };
    let k = rule.k.unwrap_or(DEFAULT_K);
    let retrieved = || tools::retrieved(case, answer);
    match metric {
        Metric::ExactMatch => best(&exact_match),
        Metric::F1 => best(&squad_f1),
        Metric::Bleu if case.expected.is_empty() => best(&|_, _| 0.0),
        Metric::Bleu => some(bleu(&answer.text, &case.expected)),
        Metric::Rouge1 => rouge(&|pair| pair.n(1).f),
        Metric::Rouge2 => rouge(&|pair| pair.n(2).f),
        Metric::RougeL => rouge(&|pair| pair.l().f),
        Metric::Recall => rouge(&|pair| pair.n(1).recall),
        Metric::Similarity => best(&cosine),
        Metric::Groundedness => match case.context.as_deref() {
            None => none("the case has no `context` to be grounded in"),
            Some(context) => match groundedness(&answer.text, context) {
                Some(value) => some(value),
                None => none("the answer states nothing, or the context is empty"),
            },
        },
        Metric::RecallAtK | Metric::Ndcg => {
            let measure = if metric == Metric::Ndcg { ndcg_at_k } else { recall_at_k };
            match measure(&retrieved(), &case.relevant, k) {
                Some(value) => some(value),
                None => none("the case names no relevant document (`relevant`)"),
            }
        }
        Metric::Judge | Metric::Consistency => none("it is measured elsewhere"),
    }
}

#[cfg(test)]
mod tests;
