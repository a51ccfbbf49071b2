//! What one look said, kept for "why is it waiting?".

use super::sentences;
use super::state::{Exposure, StepCounts};
use super::step::Machine;
use crate::ids::{Generation, RolloutId};
use crate::policy::{Signal, Sustained};
use crate::sentence::Sentence;
use crate::units::{Span, Timestamp};
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};

/// What a rollout still needs before its next step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// Time left in this step.
    pub time: Option<Span>,
    /// Answers of the candidate left in this step.
    pub requests: Option<u64>,
    /// Signals without a pass, where the step waits for evidence.
    pub evidence: Vec<String>,
    /// The role that must decide.
    pub person: Option<crate::people::Role>,
}

/// One signal as a tile or table row shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalReport {
    /// The verdict with its numbers.
    pub verdict: Verdict,
    /// Failing checks in a row.
    pub over: u32,
    /// Failing checks in a row before the action follows, if counted in checks.
    pub over_needed: u32,
    /// The row in a sentence.
    pub text: Sentence,
}

/// What one look at a rollout said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[must_use = "a report explains why nothing happened; store it"]
pub struct Report {
    /// Which rollout.
    pub rollout: RolloutId,
    /// The state this look led to.
    pub generation: Generation,
    /// When.
    pub at: Timestamp,
    /// Phase after this look, in one word.
    pub phase: String,
    /// Index of the step under way.
    pub step: usize,
    /// Number of steps.
    pub steps: usize,
    /// Exposure after this look.
    pub exposure: Exposure,
    /// Answers in the step.
    pub counts: StepCounts,
    /// What it waits for.
    pub waiting: Waiting,
    /// Every signal.
    pub signals: Vec<SignalReport>,
    /// The whole in a sentence (verdict levels of the interface: `going_well`,
    /// `not_enough_data`, `watching`, `paused_for_review`, `rolled_back`, …).
    pub summary: Sentence,
}

/// What this look says, made from the state it led to.
pub(super) fn of(machine: &Machine<'_>) -> Report {
    let state = &machine.state;
    let waiting = machine.waiting();
    Report {
        rollout: state.id,
        generation: state.generation,
        at: machine.now,
        phase: state.phase.word().to_owned(),
        step: state.step,
        steps: state.policy.steps.len(),
        exposure: state.exposure,
        counts: machine.counts,
        signals: state
            .policy
            .signals
            .iter()
            .filter_map(|s| machine.verdict(s).map(|v| signal(machine, s, v)))
            .collect(),
        summary: sentences::summary(machine, &waiting),
        waiting,
    }
}

fn signal(machine: &Machine<'_>, signal: &Signal, verdict: &Verdict) -> SignalReport {
    let state = &machine.state;
    SignalReport {
        verdict: verdict.clone(),
        over: state.breaches.get(&signal.name).map_or(0, |b| b.checks),
        over_needed: match signal.sustained {
            Some(Sustained::Checks(checks)) => checks,
            _ => 0,
        },
        text: sentences::row(state, signal, Some(verdict), machine.now),
    }
}
