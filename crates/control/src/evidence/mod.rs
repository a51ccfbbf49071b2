//! The evidence of rollouts under way, kept between looks.
//!
//! Verdicts are made of single outcomes, in the order in which they became
//! known: each rollout has its tests in memory, and a look feeds them what is
//! new since the last one. They are a function of the sequence alone, and the
//! store never adds to what was judged, so whoever starts again from the first
//! outcome (a restart, another controller, a replay) says the same.
//!
//! Counts of answers come from the cells of the seconds, which have everybody:
//! a flood is thinned for the tests only.

mod answers;
mod signals;

use crate::Control;
use crate::problem::Problem;
use crate::records::{Harm, RolloutRecord};
use analysis::{Engine, observe};
use answers::Answers;
use domain::ids::RolloutId;
use domain::rollout::Observation;
use domain::units::Timestamp;
use signals::Signals;
pub(crate) use signals::measured;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError};
use store::OutcomePlace;
use tokio::sync::Mutex;

/// Outcomes read and tested in one go.
const CHUNK: u32 = 2_000;
/// Chunks of one rollout in one turn of the loop. After a restart a long rollout
/// takes some turns to catch up, and keeps no other from its limits meanwhile.
const MAX_CHUNKS: u32 = 10;

/// The evidence of every rollout under way, each with a lock of its own.
#[derive(Debug, Default)]
pub(crate) struct Kept(std::sync::Mutex<BTreeMap<RolloutId, Arc<Slot>>>);

/// The place of one rollout's evidence.
#[derive(Debug)]
struct Slot {
    /// None until the first look, and after one that failed half-way.
    evidence: Mutex<Option<Evidence>>,
    /// Earliest second whose cells changed and were not counted again yet. Apart
    /// from the lock: who delivers cells does not wait for a look.
    recalled: AtomicI64,
}

impl Kept {
    fn slot(&self, id: RolloutId) -> Arc<Slot> {
        let empty = || Slot { evidence: Mutex::default(), recalled: AtomicI64::new(i64::MAX) };
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(id).or_insert_with(|| Arc::new(empty())))
    }
}

/// What is known of one rollout.
#[derive(Debug)]
pub(crate) struct Evidence {
    tests: Tests,
    answers: Answers,
}

/// The tests, and how far they have read.
#[derive(Debug)]
struct Tests {
    engine: Engine,
    signals: Signals,
    read: Option<OutcomePlace>,
}

/// What one look sees.
#[derive(Debug)]
pub(crate) struct Seen {
    /// For the machine.
    pub(crate) observation: Observation,
    /// What the candidate did to users so far.
    pub(crate) harm: Harm,
    /// Risk of a false stop spent so far.
    pub(crate) spent: f64,
}

impl Evidence {
    fn new(record: &RolloutRecord) -> Self {
        let state = &record.state;
        let engine = Engine::new(&state.policy, state.started_at, record.risk());
        let tests = Tests { engine, signals: Signals::new(&state.policy), read: None };
        Self { tests, answers: Answers::default() }
    }
}

impl Control {
    /// What a look at `now` sees of a rollout; nothing while its tests still
    /// catch up with what was stored.
    pub(crate) async fn evidence(
        &self,
        record: &RolloutRecord,
        now: Timestamp,
    ) -> Result<Option<Seen>, Problem> {
        let id = record.state.id;
        let until = self.store.judge_until(id, now).await?;
        let slot = self.evidence.slot(id);
        let mut kept = slot.evidence.lock().await;
        let Some(Evidence { tests, mut answers }) = self.read_on(record, &mut kept, until).await?
        else {
            return Ok(None);
        };
        answers.recall(slot.recalled.swap(i64::MAX, Ordering::SeqCst));
        let (answered, harm) = answers.count(&self.store, &record.state, now).await?;
        let state = record.state.clone();
        let (tests, observation) = apart(move || {
            let mut tests = tests;
            let observation = observe(&mut tests.engine, &state, answered, until);
            (tests, observation)
        })
        .await?;
        let spent = tests.engine.spent();
        *kept = Some(Evidence { tests, answers });
        Ok(Some(Seen { observation, harm, spent }))
    }

    /// True if a breaker has tripped that would stop this rollout: it need not
    /// wait for the next look. Reads what is new since the last turn; a rollout
    /// without a breaker costs nothing here.
    pub(crate) async fn is_broken(
        &self,
        record: &RolloutRecord,
        now: Timestamp,
    ) -> Result<bool, Problem> {
        let id = record.state.id;
        let slot = self.evidence.slot(id);
        let mut kept = slot.evidence.lock().await;
        let begun = kept.get_or_insert_with(|| Evidence::new(record));
        if !record.state.phase.is_open() || !begun.tests.engine.can_break() {
            return Ok(false);
        }
        let until = self.store.judge_until(id, now).await?;
        let Some(evidence) = self.read_on(record, &mut kept, until).await? else {
            return Ok(false);
        };
        let mut broken = evidence.tests.engine.broken();
        let stops = broken.any(|signal| record.state.would_stop_for(signal));
        drop(broken);
        *kept = Some(evidence);
        Ok(stops)
    }

    /// Feeds the tests what became known since they last read. The evidence is
    /// taken out, so that what fails half-way is read anew; nothing comes out,
    /// and it is put back, if there is more to read than one turn takes.
    async fn read_on(
        &self,
        record: &RolloutRecord,
        kept: &mut Option<Evidence>,
        until: Timestamp,
    ) -> Result<Option<Evidence>, Problem> {
        let id = record.state.id;
        let Evidence { mut tests, answers } = kept.take().unwrap_or_else(|| Evidence::new(record));
        for _ in 0..MAX_CHUNKS {
            let chunk = self.store.outcomes(id, tests.read, until, CHUNK).await?;
            let whole = chunk.len() < CHUNK as usize;
            if let Some(last) = chunk.last() {
                tests.read = Some(last.place);
                tests = apart(move || {
                    for outcome in &chunk {
                        tests.signals.feed(&mut tests.engine, outcome);
                    }
                    tests
                })
                .await?;
            }
            if whole {
                return Ok(Some(Evidence { tests, answers }));
            }
        }
        *kept = Some(Evidence { tests, answers });
        self.wake();
        Ok(None)
    }

    /// Cells that come later than cells usually change, from a gateway that was
    /// cut off, count like any other: what was settled is read again.
    pub(crate) fn recall_answers(&self, cells: &[(analysis::CellKey, analysis::Cell)]) {
        let slots = self.evidence.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, _) in cells {
            if let Some(slot) = key.rollout.and_then(|id| slots.get(&id)) {
                slot.recalled.fetch_min(key.second, Ordering::SeqCst);
            }
        }
    }

    /// A rollout ended: its evidence is not needed any more.
    pub(crate) fn forget_evidence(&self, id: RolloutId) {
        self.evidence.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

/// Tests are work for the processor: they must not take turns with requests.
pub(crate) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|e| crate::wrong("testing outcomes", &e))
}
