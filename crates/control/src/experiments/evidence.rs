//! The tests of experiments under way, kept between turns.
//!
//! Looks stand on a fixed grid, the start plus multiples of `check_every`, and
//! a look sees what was known by its time. One before which nothing came is left
//! out, as nothing can have changed. So the reports are a function of the stored
//! outcomes: a restart, a controller that was down for an hour, and a replay
//! make the same looks and say the same.
//!
//! Times are counted from the start, as in recorded outcomes.

use super::ExperimentRecord;
use crate::Control;
use crate::evidence::{apart, measured};
use crate::problem::Problem;
use analysis::experiment::guard::FAILED;
use analysis::experiment::{Answer, Experiment, Report, State};
use domain::experiment::live::Seen;
use domain::ids::ExperimentId;
use domain::units::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use store::{KnownOutcome, Measured, OutcomePlace};
use tokio::sync::Mutex;

/// Outcomes read and tested in one go.
const CHUNK: u32 = 2_000;
/// Chunks of one experiment in one turn of the loop.
const MAX_CHUNKS: u32 = 10;

/// The tests of every experiment under way.
#[derive(Debug, Default)]
pub(crate) struct Trials(Mutex<BTreeMap<ExperimentId, Tests>>);

impl Trials {
    /// An experiment ended: its tests are not needed any more.
    pub(crate) async fn forget(&self, id: ExperimentId) {
        self.0.lock().await.remove(&id);
    }

    /// Only these are under way.
    pub(super) async fn keep(&self, under_way: &BTreeSet<ExperimentId>) {
        self.0.lock().await.retain(|id, _| under_way.contains(id));
    }
}

/// A look that was made.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) seen: Seen,
    pub(super) report: Report,
}

/// The tests of one experiment, and how far they have read.
#[derive(Debug)]
struct Tests {
    experiment: Experiment,
    state: State,
    begun: Timestamp,
    read: Option<OutcomePlace>,
    /// The look that the outcomes taken in wait for.
    due: Option<Timestamp>,
    /// Up to when everything was read, from the start on.
    until: Option<Timestamp>,
    /// Looks up to this one were stored; their reports are not made again.
    stored: Option<Timestamp>,
    looked: Vec<Looked>,
}

impl Tests {
    fn new(record: &ExperimentRecord) -> Self {
        let state = &record.state;
        let experiment = Experiment::new(state.policy.clone());
        Self {
            state: State::start(&experiment, Timestamp(0)),
            experiment,
            begun: state.started_at,
            read: None,
            due: None,
            until: None,
            stored: state.looked_at,
            looked: Vec::new(),
        }
    }

    fn every(&self) -> i64 {
        self.experiment.policy().check_every.millis().max(1)
    }

    /// From the start on.
    fn since(&self, at: Timestamp) -> Timestamp {
        Timestamp(at.0.saturating_sub(self.begun.0).max(0))
    }

    /// True once a look may have become due since everything was read.
    fn is_due(&self, until: Timestamp) -> bool {
        let turn = |at: Timestamp| at.0.div_euclid(self.every());
        self.until.is_none_or(|last| turn(self.since(until)) > turn(last))
    }

    fn add(&mut self, known: &KnownOutcome) {
        let Some(answer) = self.answer(known) else { return };
        if let Some(look) = self.due.filter(|look| *look < answer.at) {
            self.look(look);
        }
        // The first look that is not before it.
        let every = self.every();
        let turns = answer.at.0.saturating_add(every - 1).div_euclid(every).max(1);
        self.due.get_or_insert(Timestamp(turns.saturating_mul(every)));
        self.state.add(&self.experiment, &answer);
    }

    /// All up to this moment was added.
    fn close(&mut self, until: Timestamp) {
        let until = self.since(until);
        if let Some(look) = self.due.filter(|look| *look <= until) {
            self.look(look);
        }
        self.until = Some(until);
    }

    fn look(&mut self, at: Timestamp) {
        self.due = None;
        self.state.look(&self.experiment, at);
        let on_the_clock = Timestamp(self.begun.0.saturating_add(at.0));
        if self.stored.is_some_and(|stored| on_the_clock <= stored) {
            return;
        }
        let report = self.state.report(&self.experiment, at);
        let policy = self.experiment.policy();
        let mut dropped = vec![None; policy.variants.len()];
        for guard in &report.guards {
            let place = policy.variant(&guard.variant).and_then(|v| dropped.get_mut(v));
            if let (Some(slot), Some(drop)) = (place, &guard.dropped) {
                *slot = Some(drop.guard.clone());
            }
        }
        let seen = Seen {
            at: on_the_clock,
            shares: self.state.allocation().shares,
            winner: self.state.winner().map(|(variant, _)| variant),
            dropped,
            wrong_shares: report.shares.alarm,
        };
        self.looked.push(Looked { seen, report });
    }

    /// A stored outcome as the tests take it in; none if nothing was drawn.
    fn answer(&self, known: &KnownOutcome) -> Option<Answer> {
        let drawn = known.drawn.as_ref()?;
        let values: Vec<(u16, f64)> = measured(&known.measured)
            .into_iter()
            .filter_map(|(name, value)| Some((self.experiment.metric(name)?, value)))
            .collect();
        let follows = match known.measured {
            Measured::Answer { .. } => None,
            Measured::Feedback { .. } => Some(drawn.cost_nano_usd as f64 / 1e9),
        };
        let failed = self.experiment.metric(FAILED);
        Some(Answer {
            at: self.since(known.place.known),
            variant: usize::from(drawn.variant),
            shares: drawn.shares.iter().map(|share| share.fraction()).collect(),
            unit: Some(known.unit),
            segment: drawn.segment.map(usize::from),
            failed: match known.measured {
                Measured::Answer { failed, .. } => failed,
                Measured::Feedback { .. } => {
                    values.iter().any(|(metric, value)| Some(*metric) == failed && *value >= 0.5)
                }
            },
            values,
            follows,
        })
    }
}

impl Control {
    /// The looks that became due, oldest first.
    pub(super) async fn looks_due(
        &self,
        record: &ExperimentRecord,
        now: Timestamp,
    ) -> Result<Vec<Looked>, Problem> {
        let id = record.state.id;
        let mut kept = self.trials.0.lock().await;
        let tests = kept.remove(&id).unwrap_or_else(|| Tests::new(record));
        if !tests.is_due(Timestamp(now.0.saturating_sub(store::LOOK_LAG.millis()))) {
            kept.insert(id, tests);
            return Ok(Vec::new());
        }
        // Taken out while it works: what fails half-way is read anew.
        drop(kept);
        let until = self.store.judge_until(id.trial(), now).await?;
        let mut tests = tests;
        let mut whole = false;
        for _ in 0..MAX_CHUNKS {
            let chunk = self.store.outcomes(id.trial(), tests.read, until, CHUNK).await?;
            whole = chunk.len() < CHUNK as usize;
            if let Some(last) = chunk.last() {
                tests.read = Some(last.place);
            }
            tests = apart(move || {
                chunk.iter().for_each(|outcome| tests.add(outcome));
                if whole {
                    tests.close(until);
                }
                tests
            })
            .await?;
            if whole {
                break;
            }
        }
        let looked = std::mem::take(&mut tests.looked);
        if let Some(last) = looked.last() {
            tests.stored = Some(last.seen.at);
        }
        self.trials.0.lock().await.insert(id, tests);
        if !whole {
            self.wake();
        }
        Ok(looked)
    }
}
