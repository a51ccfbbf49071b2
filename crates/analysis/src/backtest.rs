//! A rollout policy on recorded traffic: what would have been decided, and when.
//!
//! The engine is asked at the first look of its grid that sees something new:
//! an outcome known at 12.3 s is seen by the look at 60 s, one known at exactly
//! 60 s too. That look is made as soon as an outcome of a later time arrives, or
//! the recording ends, so it sees everything known by then and nothing else: a
//! recording that is cut right after a decision yields the same decision.
//!
//! Looks at which nothing new is known are not made. Silence decides nothing
//! here: a recording may end or have holes for reasons of its own, so missing
//! data never stops a backtest, and a breach lasts by looks that saw something.

use crate::engine::{Engine, Place};
use crate::outcome::{Label, Outcome, Side};
use domain::policy::{RolloutPolicy, SignalAction, Sustained};
use domain::rollout::Breach;
use domain::units::Timestamp;
use domain::verdict::{Outcome as Judged, Verdict};
use serde::Serialize;

/// When every recording begins. Times of outcomes count from here.
pub const START: Timestamp = Timestamp(0);

/// Users are being served all the time a recording lasts.
const PLACE: Place = Place { step: 0, exposed: true };

/// What the controller would have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Everyone back to the last good release.
    Rollback,
    /// Stopped for a person's decision.
    Pause,
    /// Every signal that compares was shown not worse.
    Promote,
    /// The recording ended without enough evidence either way.
    Continue,
}

/// Outcomes seen, by who served them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Served by the candidate.
    pub candidate: u64,
    /// Served by the baseline.
    pub baseline: u64,
}

/// How a recording ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What was decided.
    pub action: Action,
    /// The look at which it was. None if nothing was.
    pub at: Option<Timestamp>,
    /// The signal that stopped it, by its index in the policy.
    pub signal: Option<usize>,
    /// How long that signal had been failing.
    pub breach: Option<Breach>,
    /// Outcomes seen by that look.
    pub seen: Seen,
    /// What that look said, in the policy's order. Empty without outcomes.
    pub verdicts: Vec<Verdict>,
}

/// One look.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// When.
    pub at: Timestamp,
    /// Outcomes seen so far.
    pub seen: Seen,
    /// One verdict for each signal, in the policy's order.
    pub verdicts: Vec<Verdict>,
}

/// The replay of one recording.
#[derive(Debug)]
pub struct Backtest {
    engine: Engine,
    rules: Rules,
    every: i64,
    /// When the latest outcome became known.
    latest: Timestamp,
    /// The look that sees what no look has seen yet.
    due: Option<Timestamp>,
    seen: Seen,
    last: Option<Look>,
    decision: Option<Decision>,
}

impl Backtest {
    /// A replay that begins at [`START`].
    pub fn new(policy: &RolloutPolicy) -> Self {
        Self {
            engine: Engine::new(policy, START, policy.risk.false_stop.0),
            rules: Rules::new(policy),
            every: policy.check_every.millis().max(1),
            latest: START,
            due: None,
            seen: Seen::default(),
            last: None,
            decision: None,
        }
    }

    /// Takes in one outcome, after all looks before it. The decision, once there
    /// is one: this outcome and all later ones are not seen by it.
    ///
    /// Outcomes come in the order of `at`; one that comes out of order counts as
    /// known when the latest one before it was.
    pub fn push(&mut self, outcome: &Outcome) -> Option<&Decision> {
        self.reach(outcome.at);
        if self.decision.is_none() {
            self.add(outcome);
        }
        self.decision.as_ref()
    }

    /// Takes in what a person said of an answer, known at the time last reached.
    /// It makes no look due and decides nothing.
    pub fn label(&mut self, label: &Label) {
        if self.decision.is_none() {
            self.engine.label(label);
        }
    }

    /// Goes to a time at which something becomes known: everything known before
    /// has been looked at. The decision, once there is one.
    pub fn reach(&mut self, at: Timestamp) -> Option<&Decision> {
        if let Some(due) = self.due.filter(|due| *due < at) {
            self.look(due);
        }
        self.latest = self.latest.max(at);
        self.decision.as_ref()
    }

    /// The recording ends here.
    pub fn finish(mut self) -> Decision {
        self.end();
        let Self { decision, seen, last, .. } = self;
        decision.unwrap_or_else(|| Decision {
            action: Action::Continue,
            at: None,
            signal: None,
            breach: None,
            seen,
            verdicts: last.map(|look| look.verdicts).unwrap_or_default(),
        })
    }

    /// Makes the look that is due; labels that came after the last one are shown
    /// with it. Only for the end of a recording: what comes later is not seen.
    pub fn end(&mut self) {
        if let Some(due) = self.due {
            self.look(due);
        }
        if let Some(last) = self.last.as_mut().filter(|_| self.decision.is_none()) {
            self.engine.relabel(&mut last.verdicts);
        }
    }

    /// The latest look, if there was one.
    pub fn last(&self) -> Option<&Look> {
        self.last.as_ref()
    }

    fn add(&mut self, outcome: &Outcome) {
        match outcome.side {
            Side::Candidate => self.seen.candidate = self.seen.candidate.saturating_add(1),
            Side::Baseline => self.seen.baseline = self.seen.baseline.saturating_add(1),
        }
        self.due = Some(self.look_at(self.latest));
        self.engine.add(outcome);
    }

    /// The first look that is not before this time. There is none at the start.
    fn look_at(&self, time: Timestamp) -> Timestamp {
        let since = time.0.saturating_sub(START.0);
        let looks = since.div_euclid(self.every) + i64::from(since.rem_euclid(self.every) > 0);
        Timestamp(START.0.saturating_add(looks.max(1).saturating_mul(self.every)))
    }

    fn look(&mut self, at: Timestamp) {
        self.due = None;
        if self.decision.is_some() {
            return;
        }
        let verdicts = self.engine.look(at, &PLACE);
        if let Some(Ruled { action, signal, breach }) = self.rules.look(at, &verdicts) {
            let (at, verdicts) = (Some(at), verdicts.clone());
            self.decision =
                Some(Decision { action, at, signal, breach, seen: self.seen, verdicts });
        }
        self.last = Some(Look { at, seen: self.seen, verdicts });
    }
}

/// What verdicts lead to, as in a rollout that is under way
/// (`domain::rollout`): an absolute limit must stay broken for as long as the
/// policy says, "worse than control" acts at once, a rollback outweighs a pause.
#[derive(Debug, Clone)]
struct Rules {
    signals: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    compares: bool,
    action: SignalAction,
    sustained: Option<Sustained>,
    breach: Option<Breach>,
}

struct Ruled {
    action: Action,
    signal: Option<usize>,
    breach: Option<Breach>,
}

impl Rules {
    fn new(policy: &RolloutPolicy) -> Self {
        let rule = |signal: &domain::policy::Signal| Rule {
            // What is read elsewhere is in no recording.
            compares: signal.notice.is_some() && signal.source.is_none(),
            action: signal.action,
            sustained: signal.sustained,
            breach: None,
        };
        Self { signals: policy.signals.iter().map(rule).collect() }
    }

    /// Verdicts come in the policy's order.
    fn look(&mut self, now: Timestamp, verdicts: &[Verdict]) -> Option<Ruled> {
        for (rule, verdict) in self.signals.iter_mut().zip(verdicts) {
            rule.remember(now, verdict);
        }
        let looked = || self.signals.iter().zip(verdicts);
        let stop = |action: Action, acts: fn(SignalAction) -> bool| {
            let signal = looked().position(|(rule, v)| acts(rule.action) && rule.stops(now, v))?;
            let breach = self.signals.get(signal).and_then(|rule| rule.breach);
            Some(Ruled { action, signal: Some(signal), breach })
        };
        let asks = |a| matches!(a, SignalAction::Pause | SignalAction::RequireApproval);
        stop(Action::Rollback, |a| a == SignalAction::Rollback)
            .or_else(|| stop(Action::Pause, asks))
            .or_else(|| {
                let compared = looked().any(|(rule, _)| rule.compares);
                let good = looked().all(|(rule, v)| {
                    if rule.compares {
                        v.outcome == Judged::Pass
                    } else {
                        v.outcome != Judged::Fail
                    }
                });
                let whole = verdicts.len() == self.signals.len();
                (compared && good && whole).then_some(Ruled {
                    action: Action::Promote,
                    signal: None,
                    breach: None,
                })
            })
    }
}

impl Rule {
    fn remember(&mut self, now: Timestamp, verdict: &Verdict) {
        self.breach = Breach::after(self.breach, self.sustained, verdict, now);
    }

    /// True if this fails, and has failed for long enough to act on.
    fn stops(&self, now: Timestamp, verdict: &Verdict) -> bool {
        let lasts = || self.breach.is_some_and(|breach| breach.lasts(self.sustained, now));
        verdict.outcome == Judged::Fail && (verdict.reason.acts_at_once() || lasts())
    }
}

#[cfg(test)]
mod tests;
