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
use store::OutcomePlace;

/// Outcomes read and tested in one go.
const CHUNK: u32 = 2_000;

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
    /// What a look at `now` sees of a rollout.
    pub(crate) async fn evidence(
        &self,
        record: &RolloutRecord,
        now: Timestamp,
    ) -> Result<Seen, Problem> {
        let id = record.state.id;
        let until = self.store.judge_until(id, now).await?;
        let mut kept = self.evidence.lock().await;
        // Taken out while it changes: what fails half-way is read anew.
        let Evidence { tests, mut answers } =
            kept.remove(&id).unwrap_or_else(|| Evidence::new(record));
        let tests = self.read_on(id, tests, until).await?;
        let (answered, harm) = answers.count(&self.store, &record.state, now).await?;
        let state = record.state.clone();
        let (tests, observation) = apart(move || {
            let mut tests = tests;
            let observation = observe(&mut tests.engine, &state, answered, until);
            (tests, observation)
        })
        .await?;
        let spent = tests.engine.spent();
        kept.insert(id, Evidence { tests, answers });
        Ok(Seen { observation, harm, spent })
    }

    /// Feeds the tests what became known since they last read.
    async fn read_on(
        &self,
        id: RolloutId,
        mut tests: Tests,
        until: Timestamp,
    ) -> Result<Tests, Problem> {
        loop {
            let chunk = self.store.outcomes(id, tests.read, until, CHUNK).await?;
            let Some(last) = chunk.last() else { return Ok(tests) };
            tests.read = Some(last.place);
            let whole = chunk.len() < CHUNK as usize;
            tests = apart(move || {
                for outcome in &chunk {
                    tests.engine.add(&tests.signals.outcome(outcome));
                }
                tests
            })
            .await?;
            if whole {
                return Ok(tests);
            }
        }
    }

    /// Cells that come later than cells usually change, from a gateway that was
    /// cut off, count like any other: what was settled is read again.
    pub(crate) async fn recall_answers(&self, cells: &[(analysis::CellKey, analysis::Cell)]) {
        let mut kept = self.evidence.lock().await;
        for (key, _) in cells {
            if let Some(evidence) = key.rollout.and_then(|id| kept.get_mut(&id)) {
                evidence.answers.recall(key.second);
            }
        }
    }

    /// A rollout ended: its evidence is not needed any more.
    pub(crate) async fn forget_evidence(&self, id: RolloutId) {
        self.evidence.lock().await.remove(&id);
    }
}

/// Tests are work for the processor: they must not take turns with requests.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|e| crate::wrong("testing outcomes", &e))
}
