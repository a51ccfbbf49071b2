//! Every case of a run, for people: input, what is expected, both answers, and
//! why the new one is worse. Kept apart from the report, as JSON lines in the
//! order of the suites, so that a reader can take a page without the rest.
//!
//! Texts are redacted and cut. Answers of at most [`NOTABLE`] cases that got
//! worse or failed and of [`OTHERS`] others are kept, the first ones of a suite;
//! of the rest the numbers and reasons are.

use crate::load::Loaded;
use crate::report::ScoreReport;
use crate::row::{ArmRow, CaseRow};
use crate::worse::{Example, Reason};
use domain::suite::Case;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Most cases of a suite that got worse or failed whose answers are kept.
pub const NOTABLE: usize = 2_000;
/// Most other cases of a suite whose answers are kept.
pub const OTHERS: usize = 1_000;
/// Longest input or expectation kept, in characters.
const SHOWN: usize = 2_000;

/// Which cases of a run are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// All.
    #[default]
    All,
    /// Such that got worse than production's.
    Worse,
    /// Such that broke a check or have no answer.
    Failed,
    /// Such whose answers differ from production's.
    Different,
}

impl Filter {
    /// True if a case is wanted.
    pub fn takes(self, marks: &Marks) -> bool {
        match self {
            Self::All => true,
            Self::Worse => marks.worse,
            Self::Failed => marks.failed,
            Self::Different => marks.different,
        }
    }
}

/// What a case is found by: the first fields of its line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// It got worse than production's.
    pub worse: bool,
    /// It broke a check, or has no answer.
    pub failed: bool,
    /// Its answers differ from production's.
    pub different: bool,
}

/// One case of a run.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseReport {
    /// Got worse than production's.
    pub worse: bool,
    /// Broke a check, or has no answer.
    pub failed: bool,
    /// Its answers differ from production's.
    pub different: bool,
    /// The suite.
    pub suite: String,
    /// The case.
    pub case: String,
    /// Groups it belongs to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Its variables, messages and context.
    pub input: String,
    /// Its reference answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected: Vec<String>,
    /// Today's answer, of the first repeat that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub today: Option<String>,
    /// The new answer, of the first repeat that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
    /// False if answers came and their texts were not kept, see [`NOTABLE`].
    pub texts: bool,
    /// Why it is worse, failed or could not be asked; the gravest first.
    pub reasons: Vec<CaseReason>,
    /// Repeats that were answered.
    pub asked: u32,
    /// Of these, such that kept every check.
    pub kept: u32,
    /// The measures, beside today's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<CaseScore>,
}

impl fmt::Debug for CaseReport {
    /// Texts of people and models stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaseReport")
            .field("suite", &self.suite)
            .field("case", &self.case)
            .field("reasons", &self.reasons.len())
            .finish_non_exhaustive()
    }
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseReason {
    /// A [`Reason`] of getting worse; `check_broken`; or `no_answer`.
    pub kind: String,
    /// What exactly.
    pub what: String,
}

/// A measure of one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseScore {
    /// The measure, as the suite names it.
    pub metric: String,
    /// The new value, on average over the repeats; absent if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<f64>,
    /// Today's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub today: Option<f64>,
}

/// The answers that are kept while a suite runs: the first ones of it, whichever
/// came first.
#[derive(Default)]
pub(crate) struct Texts {
    notable: BTreeMap<usize, Example>,
    others: BTreeMap<usize, Example>,
}

impl Texts {
    pub(crate) fn put(&mut self, index: usize, notable: bool, example: Example) {
        let (kept, most) = match notable {
            true => (&mut self.notable, NOTABLE),
            false => (&mut self.others, OTHERS),
        };
        kept.insert(index, example);
        if kept.len() > most {
            kept.pop_last();
        }
    }

    pub(crate) fn take(&mut self, index: usize) -> Option<Box<Example>> {
        self.notable.remove(&index).or_else(|| self.others.remove(&index)).map(Box::new)
    }
}

/// The cases of a run, in the suite's order.
pub(crate) fn details(
    loaded: &Loaded,
    rows: &[CaseRow],
    scores: &[ScoreReport],
) -> Vec<CaseReport> {
    rows.iter()
        .filter_map(|row| Some(detail(loaded, loaded.cases.get(row.index)?, row, scores)))
        .collect()
}

fn detail(loaded: &Loaded, case: &Case, row: &CaseRow, scores: &[ScoreReport]) -> CaseReport {
    let (ours, theirs) = (&row.candidate, row.production.as_ref());
    let texts = row.texts.as_deref();
    let round = |value: f64| (value * 1e9).round() / 1e9;
    CaseReport {
        worse: !row.worse.is_empty(),
        failed: ours.kept < ours.asked || ours.missing.is_some(),
        different: theirs.is_some() && !row.same,
        suite: loaded.name.clone(),
        case: row.id.clone(),
        tags: case.tags.clone(),
        input: shown(&crate::judge::input(case)),
        expected: case.expected.iter().map(|text| shown(text)).collect(),
        today: texts.and_then(|texts| texts.production.clone()),
        new: texts.filter(|_| ours.asked > 0).map(|texts| texts.candidate.clone()),
        texts: texts.is_some() || ours.asked == 0,
        reasons: reasons(row, ours),
        asked: ours.asked,
        kept: ours.kept,
        scores: scores
            .iter()
            .enumerate()
            .map(|(i, score)| CaseScore {
                metric: score.metric.clone(),
                new: ours.mean(i).map(round),
                today: theirs.and_then(|arm| arm.mean(i)).map(round),
            })
            .collect(),
    }
}

fn reasons(row: &CaseRow, ours: &ArmRow) -> Vec<CaseReason> {
    let word = |reason: Reason| {
        let word = serde_json::to_value(reason).ok();
        word.and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
    };
    let mut worse: Vec<_> = row.worse.iter().collect();
    worse.sort_by(|a, b| a.reason.cmp(&b.reason).then(b.by.total_cmp(&a.by)));
    let mut reasons: Vec<CaseReason> = Vec::new();
    if let Some((why, times)) = &ours.missing {
        let what = format!("{times} answers are missing: {}", why.message);
        reasons.push(CaseReason { kind: "no_answer".to_owned(), what });
    }
    reasons.extend(
        worse.into_iter().map(|w| CaseReason { kind: word(w.reason), what: w.what.clone() }),
    );
    reasons.extend(ours.broken.iter().map(|(check, (times, reason))| CaseReason {
        kind: "check_broken".to_owned(),
        what: format!("`{check}` {times} of {} times: {reason}", ours.asked),
    }));
    reasons
}

fn shown(text: &str) -> String {
    let mut cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    checks::redact::redact(&cut)
}

/// The cases as JSON lines.
///
/// # Errors
/// A number has no JSON form.
pub fn lines(cases: &[&CaseReport]) -> Result<String, serde_json::Error> {
    let mut text = String::new();
    for case in cases {
        text.push_str(&serde_json::to_string(case)?);
        text.push('\n');
    }
    Ok(text)
}

/// A page of cases from [`lines`], the line to go on at, and how many there are
/// of each kind. Lines that are not on the page are read for their marks only.
///
/// # Errors
/// A line does not read: where and why.
pub fn page(
    text: &str,
    filter: Filter,
    from: usize,
    limit: usize,
) -> Result<CasePage, (usize, serde_json::Error)> {
    let mut page = CasePage::default();
    for (i, line) in text.lines().enumerate() {
        let marks: Marks = serde_json::from_str(line).map_err(|e| (i + 1, e))?;
        page.all += 1;
        page.worse += usize::from(marks.worse);
        page.failed += usize::from(marks.failed);
        page.different += usize::from(marks.different);
        if i < from || !filter.takes(&marks) {
            continue;
        }
        if page.items.len() < limit {
            page.items.push(serde_json::from_str(line).map_err(|e| (i + 1, e))?);
        } else if page.next.is_none() {
            page.next = Some(i);
        }
    }
    Ok(page)
}

/// A page of cases.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CasePage {
    /// The cases.
    pub items: Vec<CaseReport>,
    /// The line of the next one, if there is one.
    pub next: Option<usize>,
    /// Cases in all.
    pub all: usize,
    /// Of these, such that got worse.
    pub worse: usize,
    /// Of these, such that failed.
    pub failed: usize,
    /// Of these, such whose answers differ.
    pub different: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(n: usize, worse: bool, failed: bool) -> CaseReport {
        CaseReport {
            worse,
            failed,
            different: worse || failed,
            suite: "s".to_owned(),
            case: format!("c-{n}"),
            tags: Vec::new(),
            input: "in".to_owned(),
            expected: Vec::new(),
            today: None,
            new: None,
            texts: true,
            reasons: Vec::new(),
            asked: 1,
            kept: u32::from(!failed),
            scores: Vec::new(),
        }
    }

    #[test]
    fn pages_are_cut_by_the_line_and_miss_nothing() {
        let cases: Vec<_> = (0..25).map(|n| case(n, n % 5 == 0, n % 7 == 0)).collect();
        let text = lines(&cases.iter().collect::<Vec<_>>()).unwrap();
        for (filter, wanted) in
            [(Filter::All, 25), (Filter::Worse, 5), (Filter::Failed, 4), (Filter::Different, 8)]
        {
            let (mut from, mut seen) = (0, Vec::new());
            loop {
                let page = page(&text, filter, from, 3).unwrap();
                assert_eq!((page.all, page.worse, page.failed, page.different), (25, 5, 4, 8));
                seen.extend(page.items);
                let Some(next) = page.next else { break };
                from = next;
            }
            assert_eq!(seen.len(), wanted, "{filter:?}");
            let expected: Vec<_> = cases
                .iter()
                .filter(|c| {
                    let (worse, failed, different) = (c.worse, c.failed, c.different);
                    filter.takes(&Marks { worse, failed, different })
                })
                .cloned()
                .collect();
            assert_eq!(seen, expected, "{filter:?}");
        }
        assert_eq!(page("{}\n", Filter::All, 0, 1).unwrap_err().0, 1, "a line that does not read");
    }

    #[test]
    fn the_first_answers_of_a_suite_are_kept_whichever_came_first() {
        let example = |n: usize| Example {
            case: format!("c-{n}"),
            candidate: "x".to_owned(),
            production: None,
        };
        let mut texts = Texts::default();
        for n in (0..NOTABLE + 5).rev() {
            texts.put(n, true, example(n));
            texts.put(NOTABLE + 5 + n, false, example(n));
        }
        assert!(texts.take(0).is_some() && texts.take(NOTABLE - 1).is_some());
        assert!(texts.take(NOTABLE).is_none());
        assert!(texts.take(NOTABLE + 5 + OTHERS - 1).is_some());
        assert!(texts.take(NOTABLE + 5 + OTHERS).is_none());
    }
}
