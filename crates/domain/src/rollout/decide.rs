//! The things that can be decided, for the machine and for people alike: go
//! back, promote, pause, go on, and that a decision has settled.

use super::step::{Action, Machine};
use super::{Exposure, Pause, PauseCause, Phase};
use crate::ids::PersonName;
use crate::people::Role;
use crate::sentence::Sentence;
use crate::units::Share;

impl Machine<'_> {
    /// Everyone back to the stable release. Happens at most once, because it is
    /// only reached from a phase that is not final and leaves it for ever. From
    /// `promoting` only a person gets here: git may already say, or still come
    /// to say, that the candidate is production, so whoever tells git sets the
    /// alias back too.
    pub(super) fn roll_back(&mut self, why: Sentence, by: Option<PersonName>) {
        self.go_back(why, by, Vec::new());
    }

    /// The same by the steps the plan names, if it names any.
    pub(super) fn roll_back_by_steps(&mut self, why: Sentence) {
        let steps = self.state.steps_back();
        self.go_back(why, None, steps);
    }

    fn go_back(&mut self, why: Sentence, by: Option<PersonName>, steps: Vec<Share>) {
        let weight = steps.first().copied().unwrap_or(Share::NONE);
        self.decide(Phase::RollingBack, Exposure { weight, shadow: Share::NONE }, &why, by);
        self.state.going_back = steps;
        self.actions.extend([
            Action::Publish,
            Action::DenyCandidate,
            Action::RevertChange,
            Action::OpenIncident { what: why.clone() },
            Action::Notify { what: why },
        ]);
    }

    /// The candidate for everyone.
    pub(super) fn promote(&mut self, why: Sentence, by: Option<PersonName>) {
        let everyone = Exposure { weight: Share::ALL, shadow: Share::NONE };
        self.decide(Phase::Promoting, everyone, &why, by);
        self.actions.extend([
            Action::Publish,
            Action::CommitPromotion,
            Action::Notify { what: why },
        ]);
    }

    fn decide(&mut self, phase: Phase, exposure: Exposure, why: &Sentence, by: Option<PersonName>) {
        // What was to be published or told before is overtaken.
        self.actions.clear();
        self.state.phase = phase;
        self.state.exposure = exposure;
        self.state.pause = None;
        self.state.missing_since = None;
        self.state.decided_at = Some(self.now);
        self.state.decision = Some(why.clone());
        self.state.decided_by = by;
    }

    /// The next step of going back, if it is time, or everyone at once: when a
    /// breaker trips meanwhile, the plan's patience is over.
    pub(super) fn go_on_back(&mut self) {
        let mut exposure = self.state.exposure_going_back(self.now);
        if self.is_broken() {
            exposure = Exposure::default();
        }
        self.give_back(exposure);
    }

    /// Nobody keeps the candidate while the rest of a rollback is under way.
    pub(super) fn give_back_at_once(&mut self) {
        self.give_back(Exposure::default());
    }

    fn give_back(&mut self, exposure: Exposure) {
        if self.state.exposure != exposure {
            self.state.exposure = exposure;
            self.actions.push(Action::Publish);
        }
    }

    /// Git (and gateways, for a rollback) have followed the decision. The
    /// snapshot no longer needs the rollout.
    pub(super) fn settle(&mut self, phase: Phase) {
        self.state.phase = phase;
        self.actions.push(Action::Publish);
    }

    /// Nothing moves until `role` decides. A pause within a pause keeps its
    /// beginning.
    pub(super) fn pause(
        &mut self,
        cause: PauseCause,
        role: Role,
        signals: Vec<String>,
        why: Sentence,
    ) {
        let since = self.state.pause.as_ref().map_or(self.now, |p| p.since);
        self.actions.push(Action::Notify { what: why.clone() });
        self.state.pause = Some(Pause { since, signals, why });
        self.state.phase = Phase::Paused { cause, role };
    }

    /// Ends a pause. The step's clock stood still meanwhile; after "no evidence"
    /// it starts anew, or the same pause would follow at once. The next look is
    /// due immediately.
    pub(super) fn go_on(&mut self, cause: PauseCause) {
        let Some(pause) = self.state.pause.take() else { return };
        self.state.step_since = match cause {
            PauseCause::NoEvidence => self.now,
            _ => self.state.step_since.plus(self.now.since(pause.since)),
        };
        if cause == PauseCause::MissingData {
            self.state.missing_since = None;
        }
        self.state.phase = Phase::Running;
        self.state.last_check = None;
    }
}
