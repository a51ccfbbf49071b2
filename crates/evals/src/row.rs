//! What is kept of a case once its texts are gone: numbers and short reasons.

use crate::ask::tokens;
use crate::subject::NoAnswer;
use crate::worse::{Example, Worse, compare};
use checks::score::{Prepared, no_answer};
use domain::suite::{Answer, Case, CheckResult, ScoreResult, ScoreRule};
use std::collections::BTreeMap;

/// Longest reason kept, in characters.
const REASON: usize = 200;

/// One case, both releases.
#[derive(Debug)]
pub struct CaseRow {
    /// Its place in the suite.
    pub index: usize,
    /// Its id.
    pub id: String,
    /// What the candidate gave.
    pub candidate: ArmRow,
    /// What production gave, if it was asked.
    pub production: Option<ArmRow>,
    /// True if both gave the very same answers.
    pub same: bool,
    /// In what the candidate is worse, if it is.
    pub worse: Vec<Worse>,
    /// Both answers, for the first few cases that got worse or broke something.
    pub example: Option<Box<Example>>,
    /// Both answers, where all that is kept of them is wanted.
    pub texts: Option<Box<Example>>,
}

impl CaseRow {
    /// With later repeats of the same case.
    pub(crate) fn join(mut self, later: Self, rules: &[ScoreRule]) -> Self {
        self.candidate.join(later.candidate);
        match (&mut self.production, later.production) {
            (Some(mine), Some(theirs)) => mine.join(theirs),
            (mine, theirs) => *mine = mine.take().or(theirs),
        }
        self.same &= later.same;
        let worse = self.production.as_ref().map(|arm| compare(rules, &self.candidate, arm));
        self.worse = worse.unwrap_or_default();
        self
    }
}

/// What one release gave for one case, over all repeats.
#[derive(Debug, Default)]
pub struct ArmRow {
    /// Answers that came.
    pub asked: u32,
    /// Of these, such that kept every check.
    pub kept: u32,
    /// Of these, such with neither text nor tool call.
    pub empty: u32,
    /// Of these, such that decline.
    pub refused: u32,
    /// Broken checks: how often, and the first reason.
    pub broken: BTreeMap<String, (u32, String)>,
    /// For each measure of the suite: sum and number of values.
    pub scores: Vec<(f64, u32)>,
    /// Why a measure had no value, the first time.
    pub unmeasured: Vec<String>,
    /// Why answers are missing, the first time, and how many are.
    pub missing: Option<(NoAnswer, u32)>,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of answers.
    pub completion_tokens: u64,
    /// Milliseconds of each answer whose time is known.
    pub latencies: Vec<u32>,
}

impl ArmRow {
    /// With room for the measures of a suite.
    pub fn new(scores: usize) -> Self {
        Self {
            scores: vec![(0.0, 0); scores],
            unmeasured: vec![String::new(); scores],
            ..Self::default()
        }
    }

    /// Counts an answer.
    pub fn add(&mut self, answer: &Answer, checks: &[CheckResult], scores: &[ScoreResult]) {
        self.asked += 1;
        let mut kept = true;
        if let Some(why) = no_answer(answer) {
            self.empty += 1;
            self.broke("answered", &why);
            kept = false;
        } else {
            for check in checks.iter().filter(|check| !check.kept) {
                self.broke(&check.check, &check.reason);
                kept = false;
            }
        }
        self.kept += u32::from(kept);
        for (i, score) in scores.iter().enumerate() {
            self.score(i, score.value, &score.note);
        }
        self.prompt_tokens += u64::from(answer.prompt_tokens.unwrap_or(0));
        self.completion_tokens += tokens(answer) - u64::from(answer.prompt_tokens.unwrap_or(0));
        self.latencies.extend(answer.latency_ms.and_then(|ms| u32::try_from(ms).ok()));
    }

    /// Counts one value of a measure.
    pub fn score(&mut self, i: usize, value: Option<f64>, note: &str) {
        match value.filter(|value| value.is_finite()) {
            Some(value) => {
                if let Some((sum, n)) = self.scores.get_mut(i) {
                    *sum += value;
                    *n += 1;
                }
            }
            None => {
                if let Some(kept) = self.unmeasured.get_mut(i).filter(|kept| kept.is_empty()) {
                    *kept = note.chars().take(REASON).collect();
                }
            }
        }
    }

    fn broke(&mut self, check: &str, reason: &str) {
        let entry = self.broken.entry(check.to_owned()).or_insert_with(|| {
            (0, checks::redact::redact(&reason.chars().take(REASON).collect::<String>()))
        });
        entry.0 += 1;
    }

    /// Counts an answer that did not come.
    pub fn miss(&mut self, why: NoAnswer) {
        match &mut self.missing {
            Some((first, n)) => {
                *n += 1;
                // The worst reason speaks for all.
                if why.cause > first.cause {
                    *first = why;
                }
            }
            None => self.missing = Some((why, 1)),
        }
    }

    /// Counts everything another row of the same case and release counted.
    pub(crate) fn join(&mut self, other: Self) {
        self.asked += other.asked;
        self.kept += other.kept;
        self.empty += other.empty;
        self.refused += other.refused;
        for (check, (times, reason)) in other.broken {
            self.broken.entry(check).or_insert((0, reason)).0 += times;
        }
        for (mine, (sum, n)) in self.scores.iter_mut().zip(other.scores) {
            mine.0 += sum;
            mine.1 += n;
        }
        for (mine, theirs) in self.unmeasured.iter_mut().zip(other.unmeasured) {
            if mine.is_empty() {
                *mine = theirs;
            }
        }
        if let Some((why, n)) = other.missing {
            let before = self.missing.as_ref().map_or(0, |(_, n)| *n);
            self.miss(why);
            if let Some((_, all)) = &mut self.missing {
                *all = before + n;
            }
        }
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.latencies.extend(other.latencies);
    }

    /// Mean of a measure over the repeats.
    pub fn mean(&self, i: usize) -> Option<f64> {
        self.scores.get(i).filter(|(_, n)| *n > 0).map(|(sum, n)| sum / f64::from(*n))
    }

    /// Tokens of one answer and its prompt, on average.
    pub fn tokens(&self) -> Option<f64> {
        let total = self.prompt_tokens + self.completion_tokens;
        (self.asked > 0).then(|| total as f64 / f64::from(self.asked))
    }
}

/// Judges one answer: its checks and its measures.
pub(crate) fn judge(
    prepared: &Prepared,
    case: &Case,
    answer: &Answer,
) -> (Vec<CheckResult>, Vec<ScoreResult>) {
    (prepared.check(case, answer), prepared.score(case, answer))
}
