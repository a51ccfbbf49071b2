//! The outcomes of a rollout as a recording that `tidegate backtest` reads.

use crate::Control;
use crate::caller::Caller;
use crate::evidence::measured;
use crate::problem::Problem;
use crate::records::RolloutRecord;
use analysis::Side;
use domain::ids::RolloutId;
use domain::units::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use store::{KnownOutcome, LOOK_LAG, OutcomePlace};

/// Outcomes read in one go.
const CHUNK: u32 = 2_000;

/// One outcome of a recording. Hashes are sixteen hexadecimal digits.
#[derive(Debug, Serialize)]
struct Line<'a> {
    /// Seconds since the rollout started, when it became known.
    t: f64,
    arm: &'static str,
    /// None for what was no number.
    metrics: BTreeMap<&'a str, Option<f64>>,
    share: f64,
    unit: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    segment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pair: Option<String>,
    input: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
}

/// A recording on its way out, chunk by chunk.
#[derive(Debug, Clone)]
pub struct Export {
    rollout: RolloutId,
    started_at: Timestamp,
    until: Timestamp,
    after: Option<OutcomePlace>,
    done: bool,
}

impl Control {
    /// Begins to export the outcomes of a rollout: all of one that has ended,
    /// those that looks could have judged by now of one under way.
    ///
    /// # Errors
    /// There is no such rollout.
    pub async fn export(&self, _caller: &Caller, id: RolloutId) -> Result<Export, Problem> {
        let RolloutRecord { state, .. } = self.rollout_record(id).await?.doc;
        let judged = self.clock.now().0.saturating_sub(LOOK_LAG.millis());
        let until = if state.phase.is_final() { i64::MAX } else { judged };
        Ok(Export {
            rollout: id,
            started_at: state.started_at,
            until: Timestamp(until),
            after: None,
            done: false,
        })
    }

    /// The next lines of JSON, in the order in which outcomes became known;
    /// nothing at the end.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn export_on(&self, export: &mut Export) -> Result<Vec<u8>, Problem> {
        let mut text = Vec::new();
        if export.done {
            return Ok(text);
        }
        let Export { rollout, after, until, .. } = *export;
        let chunk = self.store.outcomes(rollout, after, until, CHUNK).await?;
        export.after = chunk.last().map(|outcome| outcome.place).or(after);
        export.done = chunk.len() < CHUNK as usize;
        for outcome in &chunk {
            serde_json::to_writer(&mut text, &line(export.started_at, outcome))
                .map_err(|e| crate::wrong("writing an outcome", &e))?;
            text.push(b'\n');
        }
        Ok(text)
    }
}

fn line(started_at: Timestamp, outcome: &KnownOutcome) -> Line<'_> {
    let hex = |hash: u64| format!("{hash:016x}");
    let metrics = measured(&outcome.measured).into_iter();
    Line {
        t: outcome.place.known.0.saturating_sub(started_at.0) as f64 / 1e3,
        arm: match outcome.side {
            Side::Baseline => "baseline",
            Side::Candidate => "candidate",
        },
        metrics: metrics
            .map(|(name, value)| (name, Some(value).filter(|v| v.is_finite())))
            .collect(),
        share: outcome.share.fraction(),
        unit: hex(outcome.unit),
        segment: outcome.segment.map(hex),
        pair: outcome.pair.map(hex),
        input: hex(outcome.input),
        answer: outcome.answer.map(hex),
    }
}
