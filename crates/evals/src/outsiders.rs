//! Which of a suite's rules ask somebody outside, whom, and what came of it for
//! the answers of a case.

use crate::ask::Asker;
use crate::journal::Journal;
use crate::load::Loaded;
use crate::outside::Outside;
use crate::plan::Releases;
use crate::report::SuiteReport;
use crate::subject::{Cause, NoAnswer};
use checks::score::{near_enough, no_answer};
use domain::finding::Finding;
use domain::suite::{Answer, Case, Check, CheckResult, Metric, ScoreResult};
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Who is asked, by the name the suite has for them.
#[derive(Debug, Default)]
pub struct Outsiders {
    embeddings: BTreeMap<String, Outside>,
    classifiers: BTreeMap<String, Outside>,
}

/// What was said of the answers of one release to a case, by repeat and by the
/// place of the rule.
#[derive(Debug, Default)]
pub(crate) struct Said {
    checks: BTreeMap<(usize, usize), Result<Result<(), String>, NoAnswer>>,
    scores: BTreeMap<(usize, usize), Result<f64, NoAnswer>>,
}

impl Outsiders {
    /// Those a suite asks.
    pub(crate) fn of(
        loaded: &Loaded,
        releases: &Releases,
        journals: Option<&Path>,
    ) -> Result<Self, NoAnswer> {
        let checks =
            || loaded.suite.checks.iter().chain(loaded.cases.iter().flat_map(|c| &c.checks));
        let measures = loaded.suite.scores.iter().filter_map(|rule| rule.embeddings.as_deref());
        let models: BTreeSet<&str> =
            checks().filter_map(Check::embeddings).chain(measures).collect();
        let names: BTreeSet<&str> = checks()
            .filter_map(|check| match check {
                Check::Moderation(name) => Some(name.as_str()),
                _ => None,
            })
            .collect();
        let tier = loaded.suite.tier;
        let keep = |outside: Outside| -> Result<Outside, NoAnswer> {
            let Some(folder) = journals.filter(|_| outside.is_live()) else { return Ok(outside) };
            let who = outside.digest();
            let journal = Journal::open(folder, who, loaded.digest, who).map_err(|e| {
                NoAnswer::new(Cause::GivenUp, e.to_string(), "make the folder writable")
            })?;
            Ok(outside.kept_in(Some(Arc::new(journal))))
        };
        let mut all = Self::default();
        for name in models {
            let outside = keep(Outside::embeddings(name, releases, tier)?)?;
            all.embeddings.insert(name.to_owned(), outside);
        }
        for name in names {
            let outside = keep(Outside::classifier(name, releases, tier)?)?;
            all.classifiers.insert(name.to_owned(), outside);
        }
        Ok(all)
    }

    /// Asks about the answers of a case. One that is none is not asked about.
    pub(crate) async fn about(
        &self,
        asker: &Asker,
        loaded: &Loaded,
        case: &Case,
        answers: &[Result<Answer, NoAnswer>],
    ) -> Said {
        let mut said = Said::default();
        if self.embeddings.is_empty() && self.classifiers.is_empty() {
            return said;
        }
        let texts: Vec<(usize, &str)> = answers
            .iter()
            .enumerate()
            .filter_map(|(repeat, answer)| {
                let answer = answer.as_ref().ok().filter(|answer| no_answer(answer).is_none())?;
                Some((repeat, answer.text.as_str()))
            })
            .collect();
        let near = self.near(asker, case, &texts).await;
        for (place, check) in loaded.suite.checks.iter().chain(&case.checks).enumerate() {
            match check {
                Check::Similarity(rule) => {
                    let Some(model) = &rule.embeddings else { continue };
                    for (repeat, value) in near.get(model).into_iter().flatten() {
                        let kept = match value {
                            Ok(value) => Ok(near_enough(*value, rule.at_least.0)),
                            Err(why) => Err(why.clone()),
                        };
                        said.checks.insert((*repeat, place), kept);
                    }
                }
                Check::Moderation(name) => {
                    let Some(outside) = self.classifiers.get(name) else { continue };
                    let asked = texts.iter().map(|(_, text)| outside.moderate(asker, case, text));
                    for ((repeat, _), came) in texts.iter().zip(join_all(asked).await) {
                        let kept = came.map(|judgement| {
                            if !judgement.flagged {
                                return Ok(());
                            }
                            let words: Vec<&str> =
                                judgement.categories.iter().map(|(c, _)| c.as_str()).collect();
                            Err(format!("`{name}` flags it: {}", words.join(", ")))
                        });
                        said.checks.insert((*repeat, place), kept);
                    }
                }
                _ => {}
            }
        }
        for (place, rule) in loaded.suite.scores.iter().enumerate() {
            let Some(model) =
                rule.embeddings.as_ref().filter(|_| rule.metric == Metric::Similarity)
            else {
                continue;
            };
            for (repeat, value) in near.get(model).into_iter().flatten() {
                // Without a reference nothing was measured; the lexical one says why.
                match value {
                    Ok(Some(value)) => {
                        said.scores.insert((*repeat, place), Ok(*value));
                    }
                    Ok(None) => {}
                    Err(why) => {
                        said.scores.insert((*repeat, place), Err(why.clone()));
                    }
                }
            }
        }
        said
    }

    /// How near each text is to the case's references, by model; nothing where
    /// there is no reference.
    async fn near(
        &self,
        asker: &Asker,
        case: &Case,
        texts: &[(usize, &str)],
    ) -> BTreeMap<String, Vec<(usize, Result<Option<f64>, NoAnswer>)>> {
        let mut all = BTreeMap::new();
        for (name, outside) in &self.embeddings {
            let only: Vec<&str> = texts.iter().map(|(_, text)| *text).collect();
            let values = if case.expected.is_empty() {
                only.iter().map(|_| Ok(None)).collect()
            } else {
                let came = outside.similarities(asker, case, &only).await.into_iter();
                came.map(|value| value.map(Some)).collect::<Vec<_>>()
            };
            let repeats = texts.iter().map(|(repeat, _)| *repeat);
            all.insert(name.clone(), repeats.zip(values).collect());
        }
        all
    }
}

/// True if a suite has rules that are judged by others than its own checks:
/// judges, embeddings, classifiers.
pub fn asks_others(loaded: &Loaded) -> bool {
    let mut checks = loaded.suite.checks.iter().chain(loaded.cases.iter().flat_map(|c| &c.checks));
    checks.any(|check| check.embeddings().is_some() || matches!(check, Check::Moderation(_)))
        || loaded.suite.scores.iter().any(|rule| rule.embeddings.is_some() || rule.judge.is_some())
}

/// What a run could not ask, of all that it found.
pub fn unasked(report: &SuiteReport) -> impl Iterator<Item = &Finding> {
    report.findings.iter().filter(|finding| {
        finding.code == "judge_not_probed"
            || Cause::ALL.iter().any(|cause| cause.code() == finding.code)
    })
}

impl Said {
    /// Puts what was said of a repeat in its place; gives what could not be
    /// asked, which is neither kept nor broken.
    pub(crate) fn put(
        &mut self,
        repeat: usize,
        checks: &mut Vec<CheckResult>,
        scores: &mut [ScoreResult],
    ) -> Vec<NoAnswer> {
        let mut missed = Vec::new();
        let mut gone = BTreeSet::new();
        for (place, check) in checks.iter_mut().enumerate() {
            match self.checks.remove(&(repeat, place)) {
                Some(Ok(kept)) => {
                    check.kept = kept.is_ok();
                    check.reason = kept.err().unwrap_or_default();
                }
                Some(Err(why)) => {
                    gone.insert(place);
                    missed.push(why);
                }
                None => {}
            }
        }
        let mut place = 0;
        checks.retain(|_| {
            place += 1;
            !gone.contains(&(place - 1))
        });
        for (place, score) in scores.iter_mut().enumerate() {
            match self.scores.remove(&(repeat, place)) {
                Some(Ok(value)) => score.value = Some(value),
                Some(Err(why)) => {
                    score.value = None;
                    why.message.clone_into(&mut score.note);
                    missed.push(why);
                }
                None => {}
            }
        }
        missed
    }
}
