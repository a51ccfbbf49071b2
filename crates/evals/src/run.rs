//! Every case, every repeat, both releases.
//!
//! A task for each case; a window of them under way, as many as calls may be.
//! Within a case all repeats of both releases are asked at once: the asker's
//! permits bound the calls. When a case is done its texts are dropped and its
//! row is kept at its place, so the order of arrival is in nothing that follows.

use crate::ask::{Asker, Question};
use crate::detail::Texts;
use crate::journal::Journal;
use crate::judge::{self, Judge};
use crate::load::Loaded;
use crate::outsiders::{Outsiders, Said};
use crate::row::{ArmRow, CaseRow, judge};
use crate::stop::{Watch, after_round};
use crate::subject::{Cause, NoAnswer, Subject};
use crate::worse::{Example, compare};
use analysis::experiment::random::Random;
use checks::score::{Prepared, consistency, prepare};
use domain::suite::{Answer, Case, Check, Metric, ScoreRule, SuiteKind};
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::task::JoinSet;

/// Cases between two looks at whether a run may stop early.
const LOOK_EVERY: usize = 25;
/// Examples kept of a run.
const EXAMPLES: usize = 20;
/// Stream of the seed's numbers that shuffle cases.
const SHUFFLE: u64 = 0x6361_7365;
/// Causes after which asking on is useless.
const HOPELESS: [Cause; 4] = [Cause::Unusable, Cause::RateLimited, Cause::OverCap, Cause::GivenUp];

/// A suite and who is asked.
#[derive(Debug, Clone)]
pub struct Suite {
    /// The suite.
    pub loaded: Arc<Loaded>,
    /// The release on trial.
    pub candidate: Arc<Subject>,
    /// What serves now, if there is something to compare with.
    pub production: Option<Arc<Subject>>,
    /// Where paid answers of the candidate are kept.
    pub journal: Option<Arc<Journal>>,
    /// Where those of production are kept.
    pub production_journal: Option<Arc<Journal>>,
    /// Who grades, by the place of the measure in the suite.
    pub judges: BTreeMap<usize, Arc<Judge>>,
    /// Who else is asked about answers.
    pub outsiders: Arc<Outsiders>,
}

/// How to run it.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Repeats, instead of the suite's.
    pub repeats: Option<u32>,
    /// Only these cases.
    pub only: Option<BTreeSet<String>>,
    /// Stop as soon as every rule is decided.
    pub stop_early: bool,
    /// Keep answers of cases that are as good as production's too.
    pub details: bool,
}

/// How far a run is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Cases done.
    pub done: usize,
    /// Cases in all.
    pub of: usize,
}

/// The rows of a run.
#[derive(Debug)]
pub struct SuiteRun {
    /// One for each case that counts, in the suite's order.
    pub rows: Vec<CaseRow>,
    /// Repeats of each case that were asked.
    pub repeats: u32,
    /// Repeats that were to be asked.
    pub planned: u32,
    /// Cases the suite has for this run.
    pub cases: usize,
    /// True if it stopped because every rule was decided.
    pub stopped_early: bool,
    /// True if every case is wanted with its texts.
    pub details: bool,
}

/// An answer, or why there is none.
type Asked = Result<Answer, NoAnswer>;

struct Work {
    suite: Suite,
    asker: Arc<Asker>,
    /// The first repeat of the round, and how many it has.
    from: u32,
    repeats: u32,
    refuses: Option<Prepared>,
    details: bool,
}

/// Runs a suite.
pub async fn run(
    suite: Suite,
    asker: Arc<Asker>,
    options: &Options,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> SuiteRun {
    let planned = options.repeats.unwrap_or(suite.loaded.suite.repeats).max(1);
    let stop = may_stop(&suite.loaded, options);
    let order = order(&suite.loaded, stop && planned == 1);
    let order: Vec<usize> =
        order.into_iter().filter(|i| wanted(&suite.loaded, options, *i)).collect();
    // Whoever may stop asks every case once before any is asked again.
    let (rounds, each) = if stop { (planned, 1) } else { (1, planned) };
    let of = order.len() * rounds as usize;
    let mut all: Option<Done> = None;
    let (mut repeats, mut stopped, mut cases) = (0, false, None);
    for round in 0..rounds {
        let (from, details) = (round * each, options.details);
        let (of_round, asker) = (suite.clone(), asker.clone());
        let work =
            Work { suite: of_round, asker, from, repeats: each, refuses: refusal(), details };
        let before = order.len() * round as usize;
        let show = |at: Progress| progress(Progress { done: before + at.done, of });
        let (done, at) = asked(Arc::new(work), &order, stop && planned == 1, &show).await;
        let hopeless = done.hopeless;
        let all = match &mut all {
            Some(all) => {
                all.join(done, &suite.loaded);
                all
            }
            None => all.insert(done),
        };
        repeats += each;
        cases = at;
        stopped = at.is_some();
        if stop && repeats < planned {
            let rows = all.rows.iter().flatten();
            let compared = suite.production.is_some();
            stopped = after_round(&suite.loaded, rows, compared, planned).is_some();
        }
        if stopped || hopeless {
            break;
        }
    }
    let done = all.unwrap_or_else(|| Done::new(0, options.details));
    SuiteRun { planned, stopped_early: stopped, ..done.finish(cases, repeats, order.len()) }
}

/// True if a run may stop before its end: cases that failed in production are
/// always all asked, so are cases somebody named, and all repeats where they are
/// compared with each other.
fn may_stop(loaded: &Loaded, options: &Options) -> bool {
    let compared = |rule: &ScoreRule| rule.metric == Metric::Consistency;
    options.stop_early
        && options.only.is_none()
        && loaded.suite.kind != SuiteKind::Danger
        && !loaded.suite.scores.iter().any(compared)
}

/// Asks every case for the repeats of a round, and with `watched` until every
/// rule is decided: then the number of cases after which that was so.
async fn asked(
    work: Arc<Work>,
    order: &[usize],
    watched: bool,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> (Done, Option<usize>) {
    let window = work.asker.limits().concurrency.max(1);
    let mut done = Done::new(order.len(), work.details);
    if watched {
        done.watch = Some(Watch::new(&work.suite.loaded, work.suite.production.is_some()));
    }
    let mut tasks: JoinSet<(usize, CaseRow, Option<Example>)> = JoinSet::new();
    let mut next = 0;
    let mut stopped = None;
    while stopped.is_none() {
        while next < order.len() && tasks.len() < window && !done.hopeless {
            let (work, place) = (work.clone(), next);
            let index = order.get(place).copied().unwrap_or_default();
            tasks.spawn(async move {
                let (row, example) = work.case(index).await;
                (place, row, example)
            });
            next += 1;
        }
        let Some(ended) = tasks.join_next().await else { break };
        // A case that panicked leaves a hole: `decide` counts cases without a row.
        if let Ok((place, row, example)) = ended {
            done.put(place, row, example);
        }
        progress(Progress { done: done.count, of: order.len() });
        stopped = done.decided();
    }
    tasks.abort_all();
    (done, stopped)
}

/// True if a case is to be asked.
fn wanted(loaded: &Loaded, options: &Options, i: usize) -> bool {
    match (&options.only, loaded.cases.get(i)) {
        (Some(only), Some(case)) => only.contains(&case.id),
        _ => true,
    }
}

/// Places of the cases, in the order in which they are asked.
fn order(loaded: &Loaded, shuffled: bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..loaded.cases.len()).collect();
    if shuffled {
        // Only an order that does not depend on answers may be stopped anywhere.
        let mut random = Random::new(loaded.suite.seed, SHUFFLE);
        for i in (1..order.len()).rev() {
            order.swap(i, random.below(i + 1));
        }
    }
    order
}

/// The check that finds refusals, as suites have it.
fn refusal() -> Option<Prepared> {
    let suite = serde_json::json!({"apiVersion": "tidegate/v1", "title": "refusal"});
    let mut suite: domain::suite::Suite = serde_json::from_value(suite).ok()?;
    suite.checks = vec![Check::Refuses(true)];
    prepare(&suite, &|_| None).ok()
}

/// Rows so far.
struct Done {
    rows: Vec<Option<CaseRow>>,
    examples: BTreeMap<usize, Example>,
    texts: Option<Texts>,
    count: usize,
    /// Cases done without a gap from the start.
    prefix: usize,
    watch: Option<Watch>,
    hopeless: bool,
}

impl Done {
    fn new(cases: usize, details: bool) -> Self {
        Self {
            rows: std::iter::repeat_with(|| None).take(cases).collect(),
            examples: BTreeMap::new(),
            texts: details.then(Texts::default),
            count: 0,
            prefix: 0,
            watch: None,
            hopeless: false,
        }
    }

    fn put(&mut self, place: usize, row: CaseRow, example: Option<Example>) {
        let missing = row.candidate.missing.as_ref();
        self.hopeless |= missing.is_some_and(|(why, _)| HOPELESS.contains(&why.cause));
        let notable = !row.worse.is_empty() || row.candidate.kept < row.candidate.asked;
        if let (Some(texts), Some(example)) = (&mut self.texts, &example) {
            texts.put(row.index, notable, example.clone());
        }
        if let Some(example) = example.filter(|_| notable) {
            // The first ones of the suite, whichever came first.
            self.examples.insert(row.index, example);
            if self.examples.len() > EXAMPLES {
                self.examples.pop_last();
            }
        }
        if let Some(slot) = self.rows.get_mut(place) {
            *slot = Some(row);
            self.count += 1;
        }
    }

    /// The number of cases after which every rule was decided, if it is. Looks
    /// stand on a fixed grid of cases, so the end does not depend on arrival.
    fn decided(&mut self) -> Option<usize> {
        let watch = self.watch.as_mut()?;
        while let Some(Some(row)) = self.rows.get(self.prefix) {
            watch.push(row);
            self.prefix += 1;
            if self.prefix.is_multiple_of(LOOK_EVERY) && watch.settled().is_some() {
                return Some(self.prefix);
            }
        }
        None
    }

    /// Adds a later round of the same cases. A case that has no row in one has
    /// none: half of it would be compared with the whole of others.
    fn join(&mut self, later: Self, loaded: &Loaded) {
        for (mine, theirs) in self.rows.iter_mut().zip(later.rows) {
            *mine = match (mine.take(), theirs) {
                (Some(mine), Some(theirs)) => Some(mine.join(theirs, &loaded.suite.scores)),
                _ => None,
            };
        }
        for (index, example) in later.examples {
            self.examples.entry(index).or_insert(example);
        }
        while self.examples.len() > EXAMPLES {
            self.examples.pop_last();
        }
        self.hopeless |= later.hopeless;
    }

    fn finish(mut self, stopped: Option<usize>, repeats: u32, cases: usize) -> SuiteRun {
        let count = stopped.unwrap_or(self.rows.len());
        let mut rows: Vec<CaseRow> = self.rows.into_iter().take(count).flatten().collect();
        rows.sort_by_key(|row| row.index);
        for row in &mut rows {
            row.example = self.examples.get(&row.index).cloned().map(Box::new);
            row.texts = self.texts.as_mut().and_then(|texts| texts.take(row.index));
        }
        SuiteRun {
            rows,
            repeats,
            planned: repeats,
            cases,
            stopped_early: stopped.is_some(),
            details: self.texts.is_some(),
        }
    }
}

impl Work {
    async fn case(&self, index: usize) -> (CaseRow, Option<Example>) {
        let loaded = &self.suite.loaded;
        let Some(case) = loaded.cases.get(index) else {
            let candidate = ArmRow::default();
            let id = String::new();
            let (production, worse) = (None, Vec::new());
            let (example, texts) = (None, None);
            let row =
                CaseRow { index, id, candidate, production, same: false, worse, example, texts };
            return (row, None);
        };
        let (ours, theirs) = tokio::join!(
            self.answers(&self.suite.candidate, self.suite.journal.as_deref(), index),
            async {
                match &self.suite.production {
                    Some(subject) => Some(
                        self.answers(subject, self.suite.production_journal.as_deref(), index)
                            .await,
                    ),
                    None => None,
                }
            },
        );
        let said = self.suite.outsiders.about(&self.asker, loaded, case, &ours).await;
        let mut candidate = self.row(index, &ours, said);
        let mut production = match &theirs {
            Some(theirs) => {
                let said = self.suite.outsiders.about(&self.asker, loaded, case, theirs).await;
                Some(self.row(index, theirs, said))
            }
            None => None,
        };
        self.grade(case, (&ours, &mut candidate), theirs.as_deref().zip(production.as_mut())).await;
        let rules = &loaded.suite.scores;
        let worse = production.as_ref().map(|theirs| compare(rules, &candidate, theirs));
        let worse = worse.unwrap_or_default();
        let shown = self.details || !worse.is_empty() || candidate.kept < candidate.asked;
        let first = |answers: &[Result<Answer, NoAnswer>]| {
            answers.iter().find_map(|answer| answer.as_ref().ok().cloned())
        };
        let example = shown.then(|| {
            let theirs = theirs.as_deref().and_then(first);
            Example::of(&case.id, first(&ours).as_ref(), theirs.as_ref())
        });
        let texts = |answers: &[Result<Answer, NoAnswer>]| -> Option<Vec<_>> {
            answers
                .iter()
                .map(|answer| answer.as_ref().ok().map(|a| (a.text.clone(), a.tool_calls.clone())))
                .collect()
        };
        let same = theirs.as_deref().is_some_and(|theirs| {
            let ours = texts(&ours);
            ours.is_some() && ours == texts(theirs)
        });
        let id = case.id.clone();
        let (shown, texts) = (None, None);
        let row = CaseRow { index, id, candidate, production, same, worse, example: shown, texts };
        (row, example)
    }

    /// Has judges grade the answers of a case, repeat by repeat.
    async fn grade(
        &self,
        case: &Case,
        (ours, candidate): (&[Asked], &mut ArmRow),
        mut theirs: Option<(&[Asked], &mut ArmRow)>,
    ) {
        let input = judge::input(case);
        for (i, judge) in &self.suite.judges {
            for (repeat, answer) in ours.iter().enumerate() {
                let Ok(answer) = answer else { continue };
                let number = self.from as usize + repeat;
                let id = format!("{}/{}/{number}", self.suite.loaded.name, case.id);
                let other = theirs.as_ref().and_then(|(all, _)| all.get(repeat)?.as_ref().ok());
                let about = (id.as_str(), input.as_str(), self.suite.loaded.suite.seed);
                let other = other.map(|answer| answer.text.as_str());
                match judge.grade(&self.asker, about, &answer.text, other).await {
                    Ok((ours, graded)) => {
                        candidate.score(*i, Some(ours), "");
                        if let (Some(value), Some((_, row))) = (graded, &mut theirs) {
                            row.score(*i, Some(value), "");
                        }
                    }
                    Err(why) => candidate.miss(why),
                }
            }
        }
    }

    async fn answers(
        &self,
        subject: &Subject,
        journal: Option<&Journal>,
        index: usize,
    ) -> Vec<Result<Answer, NoAnswer>> {
        let loaded = &self.suite.loaded;
        let Some(case) = loaded.cases.get(index) else { return Vec::new() };
        let asked = (self.from..self.from + self.repeats).map(async |repeat| {
            let suite = loaded.name.as_str();
            let question = Question { suite, case, repeat, seed: loaded.suite.seed };
            self.asker.ask(subject, journal, &question).await
        });
        join_all(asked).await
    }

    fn row(&self, index: usize, answers: &[Asked], mut said: Said) -> ArmRow {
        let loaded = &self.suite.loaded;
        let mut row = ArmRow::new(loaded.suite.scores.len());
        let Some(case) = loaded.cases.get(index) else { return row };
        for (repeat, answer) in answers.iter().enumerate() {
            match answer {
                Ok(answer) => {
                    let (mut checks, mut scores) = judge(&loaded.prepared, case, answer);
                    for why in said.put(repeat, &mut checks, &mut scores) {
                        row.miss(why);
                    }
                    row.add(answer, &checks, &scores);
                    let declines = self.refuses.as_ref().is_some_and(|refuses| {
                        let found = refuses.check(case, answer);
                        found.first().is_some_and(|first| first.kept)
                    });
                    row.refused += u32::from(declines);
                }
                Err(why) => row.miss(why.clone()),
            }
        }
        self.agree(answers, &mut row);
        row
    }

    /// Measures how far the repeats of a case agree.
    fn agree(&self, answers: &[Asked], row: &mut ArmRow) {
        let rules = self.suite.loaded.suite.scores.iter().enumerate();
        let texts: Vec<&str> =
            answers.iter().filter_map(|answer| Some(answer.as_ref().ok()?.text.as_str())).collect();
        for (i, _) in rules.filter(|(_, rule)| rule.metric == Metric::Consistency) {
            for value in consistency(&texts).into_iter().flatten() {
                row.score(i, Some(value), "");
            }
        }
    }
}
