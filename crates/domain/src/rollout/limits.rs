//! What failing and missing signals lead to, in every phase that is open.
//!
//! A breach of an absolute limit must last as long as the policy says
//! (`sustained`). What is made over all looks at a stated risk ("worse than
//! control", a budget that burns) or cannot wait (the breaker) acts at once. A
//! look without numbers neither counts toward a breach nor clears it.
//!
//! Silence is no reason to stop until it is one: at one request in twenty
//! seconds and a share of 5 %, an hour without an answer of the candidate is
//! usual, and so are hours without a thumb up or down. Whoever measures says
//! `stale` where what was measured stays away for longer than the traffic
//! explains. What was never measured counts as missing once so many
//! measurements were due that none at all would be a million to one. Until
//! then nothing moves on, but no deadline runs.

use super::step::{Action, Machine};
use super::{Breach, PauseCause, Phase, sentences};
use crate::people::Role;
use crate::policy::{MissingAction, Signal, SignalAction, Sustained};
use crate::units::Timestamp;
use crate::verdict::{Outcome, Reason, Verdict};

/// Measurements due of which none came: e⁻¹⁴ is a million to one.
const DUE: f64 = 14.0;
/// Answers to one that people or judges say something about, at the fewest,
/// where today's version does not tell.
const ANSWERS_PER_FEEDBACK: f64 = 50.0;

impl Breach {
    /// What this look makes of a run of failing checks.
    ///
    /// Without numbers it neither counts nor clears. With too few, checks in a
    /// row are those that could tell; a stretch of time is broken by one that
    /// could not.
    pub fn after(
        before: Option<Self>,
        sustained: Option<Sustained>,
        verdict: &Verdict,
        now: Timestamp,
    ) -> Option<Self> {
        let by_checks = matches!(sustained, Some(Sustained::Checks(_)));
        match verdict.outcome {
            Outcome::Fail => {
                let run = before.unwrap_or(Self { since: now, checks: 0 });
                Some(Self { checks: run.checks.saturating_add(1), ..run })
            }
            Outcome::Hold if by_checks && verdict.reason == Reason::TooFew => before,
            Outcome::Pass | Outcome::Hold => None,
            Outcome::NoData | Outcome::Inconclusive => before,
        }
    }

    /// True if it has lasted as long as the policy says.
    pub fn lasts(&self, sustained: Option<Sustained>, now: Timestamp) -> bool {
        match sustained {
            None => true,
            Some(Sustained::Checks(checks)) => self.checks >= checks,
            Some(Sustained::For(span)) => now.since(self.since) >= span,
        }
    }
}

impl Machine<'_> {
    /// The verdict on a signal of the policy, if there is one.
    pub(super) fn verdict(&self, signal: &Signal) -> Option<&Verdict> {
        self.seen.verdicts.iter().find(|v| v.signal == signal.name)
    }

    /// A signal nobody judged counts as one without data.
    pub(super) fn outcome(&self, signal: &Signal) -> Outcome {
        self.verdict(signal).map_or(Outcome::NoData, |v| v.outcome)
    }

    /// True if the present exposure can yield numbers for this signal. Nobody
    /// sees a mirrored answer, so nobody posts feedback on it.
    fn is_measurable(&self, signal: &Signal) -> bool {
        let exposure = self.state.exposure;
        exposure.weight.bp() > 0 || (exposure.shadow.bp() > 0 && signal.is_built_in())
    }

    /// Signals that should have numbers now and have none that can be used.
    pub(super) fn missing(&self) -> Vec<&Signal> {
        let silent =
            |s: &&Signal| matches!(self.outcome(s), Outcome::NoData | Outcome::Inconclusive);
        self.state.policy.signals.iter().filter(|s| self.is_measurable(s)).filter(silent).collect()
    }

    /// Signals that should have been measured by now, by the answers there were,
    /// and never were. What gateways measure comes with the answers: there is
    /// nothing anybody could mend.
    pub(super) fn never_measured(&self) -> Vec<&Signal> {
        let answers = self.seen.exposed.max(self.counts.control);
        let never = |signal: &&Signal| {
            let silent = self.verdict(signal).is_none_or(sentences::is_unmeasured);
            silent
                && !signal.is_measured_by_gateways()
                && answers >= signal.min_samples.max(1)
                && !self.state.sampled.contains(&signal.name)
        };
        let signals = self.state.policy.signals.iter();
        signals.filter(|signal| self.is_measurable(signal)).filter(never).collect()
    }

    /// Notes what this look adds to memory: samples, breaches, silence.
    pub(super) fn remember(&mut self) {
        for signal in self.state.policy.signals.clone() {
            let Some(verdict) = self.verdict(&signal).cloned() else { continue };
            if verdict.candidate.n >= signal.min_samples.max(1) {
                self.state.sampled.insert(signal.name.clone());
            }
            self.remember_breach(&signal, &verdict);
        }
        let silent = !self.overdue().is_empty();
        self.state.missing_since = silent.then(|| self.state.missing_since.unwrap_or(self.now));
    }

    /// Missing signals whose measurements were due.
    pub(super) fn overdue(&self) -> Vec<&Signal> {
        self.missing().into_iter().filter(|s| self.was_due(s)).collect()
    }

    /// True unless nothing was measured yet and that may be chance.
    fn was_due(&self, signal: &Signal) -> bool {
        let Some(verdict) = self.verdict(signal).filter(|v| v.reason == Reason::Nothing) else {
            return true;
        };
        // A metrics server is asked at every look, traffic or not.
        if signal.source.is_some() {
            return true;
        }
        // Control is as large a group as the candidate's, or the mirrored one.
        let answers = self.seen.exposed.max(self.counts.control) as f64;
        let by_answers =
            if signal.is_built_in() { answers } else { answers / ANSWERS_PER_FEEDBACK };
        let share = self.state.exposure.weight.fraction();
        let by_control = match verdict.control.n {
            0 => 0.0,
            _ if share >= 1.0 => DUE,
            n => n as f64 * share / (1.0 - share),
        };
        by_answers.max(by_control) >= DUE
    }

    fn remember_breach(&mut self, signal: &Signal, verdict: &Verdict) {
        let before = self.state.breaches.remove(&signal.name);
        if let Some(breach) = Breach::after(before, signal.sustained, verdict, self.now) {
            self.state.breaches.insert(signal.name.clone(), breach);
        }
    }

    /// True if this failure has lasted long enough to act on.
    fn is_sustained(&self, signal: &Signal, verdict: &Verdict) -> bool {
        let breach = self.state.breaches.get(&signal.name);
        verdict.reason.acts_at_once()
            || breach.is_some_and(|breach| breach.lasts(signal.sustained, self.now))
    }

    /// Failures that count now, with the policy's action, in the policy's order.
    fn failures(&self) -> Vec<(Signal, Verdict)> {
        let signals = self.state.policy.signals.iter();
        signals
            .filter_map(|s| self.verdict(s).map(|v| (s, v)))
            .filter(|(s, v)| v.outcome == Outcome::Fail && self.is_sustained(s, v))
            .map(|(s, v)| (s.clone(), v.clone()))
            .collect()
    }

    /// Between looks only breakers act, and each only once.
    pub(super) fn react_to_breakers(&mut self) {
        let mut broken = self.failures();
        broken.retain(|(s, v)| v.reason == Reason::Breaker && self.state.would_stop_for(&s.name));
        self.react_to(broken);
    }

    /// True if a breaker of a signal that stops something has tripped.
    pub(super) fn is_broken(&self) -> bool {
        self.failures().iter().any(|(s, v)| is_broken(s, v))
    }

    pub(super) fn react_to_failures(&mut self) {
        let failures = self.failures();
        self.react_to(failures);
    }

    /// The worst action among the failing signals wins.
    fn react_to(&mut self, failures: Vec<(Signal, Verdict)>) {
        if let Some((signal, verdict)) =
            failures.iter().find(|(s, _)| s.action == SignalAction::Rollback)
        {
            let breach = self.state.breaches.get(&signal.name).copied();
            let exposed = self.seen.exposed;
            let broken = failures.iter().any(|(s, v)| is_broken(s, v));
            let steps = if broken { Vec::new() } else { self.state.steps_back() };
            let why = sentences::went_back_on_signal(
                &self.state,
                signal,
                verdict,
                breach,
                (exposed, &steps),
                self.now,
            );
            match broken {
                true => self.roll_back(why, None),
                false => self.roll_back_by_steps(why),
            }
            return;
        }
        self.tell(&failures);
        let stops: Vec<_> = failures
            .into_iter()
            .filter(|(s, _)| {
                matches!(s.action, SignalAction::Pause | SignalAction::RequireApproval)
            })
            .filter(|(s, _)| !self.state.is_waived(&s.name))
            .collect();
        self.stop_for(&stops);
    }

    fn tell(&mut self, failures: &[(Signal, Verdict)]) {
        for (signal, verdict) in failures.iter().filter(|(s, _)| s.action == SignalAction::Notify) {
            if self.state.notified.insert(signal.name.clone()) {
                let what = sentences::row(&self.state, signal, Some(verdict), self.now);
                self.actions.push(Action::Notify { what });
            }
        }
    }

    /// Pauses, or adds to a pause, for signals nobody has accepted yet. A pause
    /// keeps its weightier cause.
    fn stop_for(&mut self, stops: &[(Signal, Verdict)]) {
        let asks_review = stops.iter().find(|(s, _)| s.action == SignalAction::Pause);
        let Some((signal, verdict)) = asks_review.or(stops.first()) else { return };
        let (cause, role) = match asks_review {
            Some(_) => (PauseCause::Signal, Role::Operator),
            None => (PauseCause::RequireApproval, Role::Approver),
        };
        let mut signals = self.state.pause.as_ref().map(|p| p.signals.clone()).unwrap_or_default();
        let known = signals.len();
        for (stop, _) in stops {
            if !signals.contains(&stop.name) {
                signals.push(stop.name.clone());
            }
        }
        match (&self.state.phase, &mut self.state.pause) {
            (Phase::Paused { cause: present, .. }, Some(pause))
                if weight(*present) > weight(cause)
                    || (weight(*present) == weight(cause) && signals.len() == known) =>
            {
                pause.signals = signals;
            }
            _ => {
                let why = sentences::paused_by_signal(&self.state, signal, verdict, cause, role);
                self.pause(cause, role, signals, why);
            }
        }
    }

    /// Data that stays away holds, then does what the policy says.
    pub(super) fn react_to_silence(&mut self) {
        let policy = self.state.policy.missing;
        let Some(since) = self.state.missing_since.filter(|_| self.state.phase.is_open()) else {
            return;
        };
        if self.now.since(since) < policy.hold_for {
            return;
        }
        let names: Vec<_> = self.overdue().iter().map(|s| s.name.clone()).collect();
        match policy.then {
            MissingAction::Rollback => {
                let why = sentences::went_back_on_silence(&self.state, &names, since, self.now);
                self.roll_back_by_steps(why);
            }
            MissingAction::Pause if self.state.phase == Phase::Running => {
                let why = sentences::paused_by_silence(self, &names, since);
                self.pause(PauseCause::MissingData, Role::Operator, Vec::new(), why);
            }
            MissingAction::Pause => {}
        }
    }
}

/// True if this is a tripped breaker, and not only to be told.
fn is_broken(signal: &Signal, verdict: &Verdict) -> bool {
    verdict.reason == Reason::Breaker && signal.action != SignalAction::Notify
}

/// Which cause a pause shows when several hold.
fn weight(cause: PauseCause) -> u8 {
    match cause {
        PauseCause::Signal => 2,
        PauseCause::RequireApproval => 1,
        PauseCause::ApprovalStep
        | PauseCause::MissingData
        | PauseCause::NoEvidence
        | PauseCause::Person => 0,
    }
}
