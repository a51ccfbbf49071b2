//! What people tell a rollout.
//!
//! A command only decides; it never judges numbers, because it sees none. What
//! a yes leads to is worked out by the next look, which is due at once, so that
//! there is one way in which a rollout moves on.

use super::step::Machine;
use super::{Action, Exposure, Observation, PauseCause, Phase, RolloutState, sentences};
use crate::ids::{Generation, PersonName};
use crate::people::Role;
use crate::policy::{SignalAction, Step};
use crate::units::Timestamp;
use serde::{Deserialize, Serialize};

/// A person's command. Authorisation is checked before it gets here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Command {
    /// Stop here; limits stay armed.
    Pause,
    /// Go on from a pause. Signals that paused it are waived. Does not stand in
    /// for an approval.
    Resume,
    /// Say yes to the approval step under way, or to a signal that asks for it.
    Approve,
    /// Promote now, whatever the step.
    Promote,
    /// Everyone back to the stable release, at once.
    Rollback,
}

/// Why a command cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Somebody was faster.
    #[error(
        "the rollout moved on: you looked at version {given}, it is now {now}; look again before you act"
    )]
    Stale {
        /// Generation the person saw.
        given: Generation,
        /// Generation now.
        now: Generation,
    },
    /// It makes no sense in this phase.
    #[error("{0}")]
    NotNow(String),
}

/// Carries out a command on the state.
///
/// # Errors
/// [`CommandError::Stale`] if `expected` is not the state's generation,
/// [`CommandError::NotNow`] if the phase does not allow it. Repeating a
/// command that is under way or done is no error, whatever generation it
/// names: nothing changes.
pub fn apply(
    state: &RolloutState,
    command: &Command,
    by: &PersonName,
    expected: Option<Generation>,
    now: Timestamp,
) -> Result<(RolloutState, Vec<Action>), CommandError> {
    if is_so_already(state, command) {
        return Ok((state.clone(), Vec::new()));
    }
    if let Some(given) = expected.filter(|g| *g != state.generation) {
        return Err(CommandError::Stale { given, now: state.generation });
    }
    possible(state, command).map_err(|why| CommandError::NotNow(why.to_owned()))?;
    let nothing = Observation::default();
    let mut machine = Machine::new(state, &nothing, now);
    match command {
        Command::Pause => {
            let why = sentences::paused_by_person(state, by);
            machine.pause(PauseCause::Person, Role::Operator, Vec::new(), why);
        }
        Command::Resume => machine.resume(),
        Command::Approve => machine.approve(),
        Command::Promote => {
            machine.promote(sentences::promoted_by_person(state, by, now), Some(by.clone()));
        }
        Command::Rollback if state.phase == Phase::RollingBack => machine.give_back_at_once(),
        Command::Rollback => {
            machine.roll_back(sentences::went_back_by_person(state, by, now), Some(by.clone()));
        }
    }
    Ok(machine.into_command_result(state))
}

/// True if the command would change nothing.
fn is_so_already(state: &RolloutState, command: &Command) -> bool {
    match (command, &state.phase) {
        (Command::Pause, Phase::Paused { .. }) | (Command::Resume, Phase::Running) => true,
        (Command::Approve, Phase::Running) => {
            let on_step = matches!(state.current_step(), Some(Step::Approval(_)));
            (on_step && state.approved) || (!on_step && !state.waived.is_empty())
        }
        (Command::Promote, Phase::Promoting | Phase::Promoted) => true,
        (Command::Rollback, Phase::RollingBack) => state.exposure == Exposure::default(),
        (Command::Rollback, Phase::RolledBack) => true,
        _ => false,
    }
}

/// Why a command makes no sense now, if it makes none.
fn possible(state: &RolloutState, command: &Command) -> Result<(), &'static str> {
    match (&state.phase, command) {
        // Who asks a second time does not want to wait for the steps.
        (Phase::RollingBack, Command::Rollback) => Ok(()),
        // Git may be out of reach for long; users must not wait for it.
        (Phase::Promoting, Command::Rollback) => Ok(()),
        (Phase::Promoting, _) => {
            Err("the new version is being promoted; roll back if it does harm")
        }
        (Phase::Promoted, _) => Err(
            "this rollout is over: the new version is live for everyone; roll the app back instead",
        ),
        (Phase::RollingBack | Phase::RolledBack, _) => {
            Err("this rollout went back; propose the change again to try once more")
        }
        (Phase::Paused { cause: PauseCause::ApprovalStep, .. }, Command::Resume) => {
            Err("this step of the plan needs a yes: approve it, or roll back")
        }
        (Phase::Paused { cause: PauseCause::RequireApproval, .. }, Command::Resume) => {
            Err("a signal asks for an approver's yes: approve it, or roll back")
        }
        (
            Phase::Paused { cause: PauseCause::ApprovalStep | PauseCause::RequireApproval, .. },
            Command::Approve,
        ) => Ok(()),
        (_, Command::Approve) => {
            Err("nothing waits for an approval now; resume, promote or roll back")
        }
        _ => Ok(()),
    }
}

impl Machine<'_> {
    /// Goes on from a pause; signals that paused for review are accepted.
    /// Signals that ask for an approver are not: they ask again.
    fn resume(&mut self) {
        let Phase::Paused { cause, .. } = self.state.phase else { return };
        self.waive(SignalAction::Pause);
        self.go_on(cause);
    }

    fn approve(&mut self) {
        let Phase::Paused { cause, .. } = self.state.phase else { return };
        self.waive(SignalAction::RequireApproval);
        self.state.approved |= cause == PauseCause::ApprovalStep;
        self.go_on(cause);
    }

    fn waive(&mut self, action: SignalAction) {
        let paused = self.state.pause.as_ref().map(|p| p.signals.clone()).unwrap_or_default();
        let policy = &self.state.policy.signals;
        let accepted: Vec<_> = paused
            .into_iter()
            .filter(|name| policy.iter().any(|s| s.name == *name && s.action == action))
            .filter(|name| !self.state.is_waived(name))
            .collect();
        self.state.waived.extend(accepted);
    }
}
