//! The rollout: a pure machine that is told what was seen and what time it is.
//!
//! `step(plan, state, observation, now) → (state, actions, report)`. The
//! executor in `control` has no choices left: it stores the state, carries out
//! the actions (each safe to repeat) and keeps the report.
//!
//! What must stay true:
//! - limits are evaluated in every phase that is not final, pauses and
//!   approvals included: promotion may wait for a person, rollback never does;
//! - missing, stale or unusable numbers hold; they never advance;
//! - a final phase is final: no action ever follows it;
//! - a rollout rolls back at most once, and a rollback is not rolled back;
//! - the candidate's weight never falls except to zero, at once or by the steps
//!   its plan goes back by, and never rises on that way.
//!
//! Where to look: `step` is the order of one look, `limits` what failing and
//! missing signals lead to, `advance` what a step waits for, `decide` the four
//! things that can be decided, `command` what people tell it, `sentences` and
//! `show` how it is said.

mod advance;
mod command;
mod decide;
mod limits;
mod report;
mod sentences;
pub mod show;
mod state;
mod step;
#[cfg(test)]
mod tests;

pub use command::{Command, CommandError, apply};
pub use report::{Report, SignalReport, Waiting};
pub use sentences::found;
pub use state::{
    Breach, Exposure, NewRollout, Observation, Pause, PauseCause, Phase, RolloutState, StepCounts,
};
pub use step::{Action, Stepped, step};
