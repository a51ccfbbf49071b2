//! What a step waits for, and the move to the next.
//!
//! One function says what is still wanted ([`Machine::waiting`]); a step is
//! left when that is nothing. So the report can never disagree with the
//! machine about why nothing moves.

use super::state::StepCounts;
use super::step::{Action, Machine};
use super::{PauseCause, Phase, Waiting, sentences};
use crate::people::Role;
use crate::policy::{Signal, SignalAction, Step, Until};
use crate::units::Span;
use crate::verdict::{Outcome, Reason};

impl Machine<'_> {
    /// Brings the exposure to what the plan says for this step.
    pub(super) fn follow_plan(&mut self) {
        let planned = self.state.planned_exposure();
        if self.state.exposure != planned {
            self.state.exposure = planned;
            self.actions.push(Action::Publish);
        }
    }

    /// Moves on, asks a person, or stays.
    pub(super) fn advance(&mut self) {
        match self.state.current_step().cloned() {
            Some(Step::Approval(step)) if !self.state.approved => {
                let why = sentences::approval_step(&self.state, step.role);
                self.pause(PauseCause::ApprovalStep, step.role, Vec::new(), why);
            }
            Some(_) if self.waiting() == Waiting::default() => self.next_step(),
            Some(step) => self.give_up_waiting(&step),
            None => {}
        }
    }

    fn next_step(&mut self) {
        if self.promotes_next() {
            let why = sentences::promoted_by_plan(self);
            self.promote(why, None);
            return;
        }
        let next = self.state.step.saturating_add(1);
        if next >= self.state.policy.steps.len() {
            return;
        }
        self.state.step = next;
        self.state.step_since = self.now;
        self.state.approved = false;
        self.counts = StepCounts::default();
        self.follow_plan();
        if matches!(self.state.current_step(), Some(Step::Approval(_))) {
            self.advance();
        }
    }

    /// Evidence that does not come within `at_most` is a person's business.
    fn give_up_waiting(&mut self, step: &Step) {
        let Step::Weight(weight) = step else { return };
        let late = weight.at_most.is_some_and(|most| self.in_step() >= most);
        let open = self.waiting().evidence;
        if late && !open.is_empty() {
            let why = sentences::no_evidence(&self.state, &open);
            self.pause(PauseCause::NoEvidence, Role::Approver, Vec::new(), why);
        }
    }

    fn in_step(&self) -> Span {
        self.now.since(self.state.step_since)
    }

    /// True if the plan's next word is `promote`, or its present one.
    fn promotes_next(&self) -> bool {
        let step = |i: usize| self.state.policy.steps.get(i);
        matches!(step(self.state.step), Some(Step::Promote(_)))
            || matches!(step(self.state.step.saturating_add(1)), Some(Step::Promote(_)))
    }

    /// What is still wanted before the next step.
    pub(super) fn waiting(&self) -> Waiting {
        match &self.state.phase {
            Phase::Running => self.waiting_in_step(),
            Phase::Paused { role, .. } => Waiting { person: Some(*role), ..Waiting::default() },
            _ => Waiting::default(),
        }
    }

    fn waiting_in_step(&self) -> Waiting {
        let mut waiting = Waiting::default();
        let time = |needed: Span| left(needed, self.in_step());
        match self.state.current_step() {
            Some(Step::Shadow(shadow)) => {
                waiting.time = shadow.until.time.and_then(time);
                waiting.requests = shadow
                    .until
                    .requests
                    .and_then(|n| positive(n.saturating_sub(self.counts.shadow)));
            }
            Some(Step::Weight(weight)) => {
                waiting.time = time(weight.hold);
                waiting.requests = positive(weight.min_requests.saturating_sub(self.answers()));
            }
            Some(Step::Hold(hold)) => {
                waiting.time = time(hold.time);
                waiting.requests = positive(hold.requests.saturating_sub(self.answers()));
            }
            Some(Step::Approval(step)) => {
                waiting.person = (!self.state.approved).then_some(step.role);
            }
            Some(Step::Promote(_)) | None => {}
        }
        waiting.evidence = self.unconvinced();
        waiting
    }

    /// The candidate's answers in this step: to users, or mirrored ones while
    /// no user gets any.
    fn answers(&self) -> u64 {
        if self.state.exposure.weight.bp() > 0 { self.counts.candidate } else { self.counts.shadow }
    }

    /// Signals that forbid the next move, in the policy's order.
    fn unconvinced(&self) -> Vec<String> {
        let missing: Vec<_> = self.missing().iter().map(|s| s.name.clone()).collect();
        let evidence = self.step_asks_evidence();
        let promotes = self.promotes_next();
        let signals = self.state.policy.signals.iter();
        signals
            .filter(|s| {
                missing.contains(&s.name)
                    || self.stops_growth(s)
                    || (evidence && self.is_unproven(s))
                    || (promotes && !self.may_promote(s))
            })
            .map(|s| s.name.clone())
            .collect()
    }

    fn step_asks_evidence(&self) -> bool {
        matches!(self.state.current_step(), Some(Step::Weight(w)) if w.until == Some(Until::Evidence))
    }

    /// A failure under watch stops growth, unless it is only to be told or was
    /// accepted by a person.
    fn stops_growth(&self, signal: &Signal) -> bool {
        self.outcome(signal) == Outcome::Fail
            && signal.action != SignalAction::Notify
            && !self.state.is_waived(&signal.name)
    }

    /// `until: evidence` asks a pass of every signal that compares with control.
    fn is_unproven(&self, signal: &Signal) -> bool {
        signal.notice.is_some()
            && self.outcome(signal) != Outcome::Pass
            && !self.state.is_waived(&signal.name)
    }

    /// Only enough samples without bad news promote. Where the plan asks for
    /// evidence anywhere, comparisons need a pass.
    fn may_promote(&self, signal: &Signal) -> bool {
        let accepted = self.state.is_waived(&signal.name);
        let enough = match self.outcome(signal) {
            Outcome::Pass => true,
            Outcome::Hold if self.has_too_few(signal) => accepted,
            Outcome::Hold => accepted || signal.notice.is_none() || !self.plan_asks_evidence(),
            Outcome::Fail => accepted,
            Outcome::NoData | Outcome::Inconclusive => false,
        };
        enough && self.state.sampled.contains(&signal.name)
    }

    /// Enough once is not enough now: a limit looks at its own window.
    fn has_too_few(&self, signal: &Signal) -> bool {
        self.verdict(signal).is_some_and(|v| v.reason == Reason::TooFew)
    }

    fn plan_asks_evidence(&self) -> bool {
        let asks = |s: &Step| matches!(s, Step::Weight(w) if w.until == Some(Until::Evidence));
        self.state.policy.steps.iter().any(asks)
    }
}

fn left(needed: Span, passed: Span) -> Option<Span> {
    let left = needed.millis() - passed.millis();
    (left > 0).then(|| Span::from_millis(left))
}

fn positive(count: u64) -> Option<u64> {
    (count > 0).then_some(count)
}
