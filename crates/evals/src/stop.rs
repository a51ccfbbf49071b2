//! When a run may stop asking: a rule of the suite is lost, or all are held,
//! whatever the rest would say.
//!
//! Two ways to ask less. With several repeats, all cases are asked once before
//! any is asked again, and after each round there is a look: every case is in
//! the report, with fewer repeats. The looks share the suite's doubt evenly
//! (Bonferroni), so that looking more often proves nothing by itself. With one
//! repeat, cases come in an order drawn by the seed, and a confidence sequence
//! for each rule may be looked at as often as one likes.
//!
//! A rule of "all" is never held before the end, and loses with its first broken
//! check. What was stopped is a function of the answers alone.

use crate::load::Loaded;
use crate::row::{ArmRow, CaseRow};
use analysis::compare::sequence::Sequence;
use analysis::compare::{Interval, paired, share};

/// How it will end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// Every rule holds.
    Held,
    /// One does not.
    Lost,
}

/// What a rule is about.
#[derive(Debug, Clone, Copy)]
enum What {
    /// Answers that keep their checks.
    Kept,
    /// The same, less production's.
    KeptMore,
    /// A measure.
    Score(usize),
    /// The same, less production's.
    ScoreMore(usize),
}

impl What {
    /// What a case says, in [0, 1], or in [−1, 1] against production.
    fn of(self, row: &CaseRow) -> Option<f64> {
        let kept =
            |arm: &ArmRow| (arm.asked > 0).then(|| f64::from(arm.kept) / f64::from(arm.asked));
        let theirs = row.production.as_ref();
        match self {
            Self::Kept => kept(&row.candidate),
            Self::KeptMore => Some(kept(&row.candidate)? - kept(theirs?)?),
            Self::Score(i) => row.candidate.mean(i),
            Self::ScoreMore(i) => Some(row.candidate.mean(i)? - theirs?.mean(i)?),
        }
    }

    fn is_difference(self) -> bool {
        matches!(self, Self::KeptMore | Self::ScoreMore(_))
    }
}

/// The rules of a suite, each with the least its interval's lower end may be;
/// and whether every answer must keep every check.
fn rules(loaded: &Loaded, compared: bool) -> (Vec<(What, f64)>, bool) {
    let mut rules = Vec::new();
    let pass = loaded.suite.pass;
    let strict = pass.is_none_or(|pass| pass.at_least.0 >= 1.0);
    if let Some(pass) = pass {
        if !strict {
            rules.push((What::Kept, pass.at_least.0));
        }
        rules.extend(pass.not_worse_by.filter(|_| compared).map(|m| (What::KeptMore, -m.0)));
    }
    for (i, rule) in loaded.suite.scores.iter().enumerate() {
        rules.extend(rule.at_least.map(|least| (What::Score(i), least.0)));
        let margin = rule.not_worse_by.filter(|_| compared);
        rules.extend(margin.map(|m| (What::ScoreMore(i), -m.0)));
    }
    (rules, strict)
}

fn settled(
    intervals: impl Iterator<Item = (Interval, f64)>,
    strict: bool,
    broken: bool,
) -> Option<Settled> {
    if strict && broken {
        return Some(Settled::Lost);
    }
    let (mut open, mut any) = (strict, strict);
    for (interval, least) in intervals {
        any = true;
        if interval.high < least {
            return Some(Settled::Lost);
        }
        open |= interval.low < least;
    }
    (any && !open).then_some(Settled::Held)
}

/// After a round of repeats of all cases, of which there are `looks` looks.
pub(crate) fn after_round<'r>(
    loaded: &Loaded,
    rows: impl Iterator<Item = &'r CaseRow> + Clone,
    compared: bool,
    looks: u32,
) -> Option<Settled> {
    let confidence = 1.0 - (1.0 - loaded.suite.confidence.0) / f64::from(looks.max(1));
    let (rules, strict) = rules(loaded, compared);
    let broken = rows.clone().any(|row| row.candidate.kept < row.candidate.asked);
    let seed = loaded.suite.seed;
    let interval = |what: What| -> Interval {
        let values: Vec<f64> = rows.clone().filter_map(|row| what.of(row)).collect();
        match what {
            What::Kept => {
                let counts: Vec<(u32, u32)> = rows
                    .clone()
                    .filter(|row| row.candidate.asked > 0)
                    .map(|row| (row.candidate.kept, row.candidate.asked))
                    .collect();
                share::clustered(&counts, confidence)
            }
            What::Score(_) => paired::mean_score(&values, confidence, seed),
            _ => paired::mean_difference(&values, confidence, seed),
        }
    };
    settled(rules.into_iter().map(|(what, least)| (interval(what), least)), strict, broken)
}

/// Looks at cases as they come, in an order that does not depend on them.
#[derive(Debug)]
pub(crate) struct Watch {
    rules: Vec<(What, f64, Sequence)>,
    strict: bool,
    broken: bool,
}

impl Watch {
    pub(crate) fn new(loaded: &Loaded, compared: bool) -> Self {
        let (rules, strict) = rules(loaded, compared);
        let confidence = loaded.suite.confidence.0;
        let with = |(what, least)| (what, least, Sequence::new(confidence));
        Self { rules: rules.into_iter().map(with).collect(), strict, broken: false }
    }

    /// The next case.
    pub(crate) fn push(&mut self, row: &CaseRow) {
        self.broken |= row.candidate.kept < row.candidate.asked;
        for (what, _, sequence) in &mut self.rules {
            if let Some(value) = what.of(row) {
                // Sequences are of values in [0, 1].
                sequence.push(if what.is_difference() { f64::midpoint(value, 1.0) } else { value });
            }
        }
    }

    /// How it will end, if that is sure.
    pub(crate) fn settled(&self) -> Option<Settled> {
        let intervals = self.rules.iter().map(|(what, least, sequence)| {
            let of = sequence.interval();
            let least = if what.is_difference() { f64::midpoint(*least, 1.0) } else { *least };
            (of, least)
        });
        settled(intervals, self.strict, self.broken)
    }
}
