//! The rollout machine under test: helpers here, stories of one rollout each
//! in `stories`, what failing and
//! missing signals lead to in `limits`, laws over random rollouts in `laws`, and that everything has a
//! sentence in `wording`.

mod commands;
mod laws;
mod limits;
mod stories;
mod wording;

use super::*;
use crate::ids::{Digest, PersonName, ReleaseId};
use crate::policy::{RolloutPolicy, Signal, Worse};
use crate::units::{Span, Timestamp};
use crate::verdict::{ArmNumbers, Outcome, Reason, Verdict};
use serde_json::{Value, json};

/// 2026-11-21T14:00:00Z.
pub(super) const START: Timestamp = Timestamp(1_795_269_600_000);

pub(super) fn signal(value: Value) -> Signal {
    serde_json::from_value(value).unwrap()
}

/// A plan with these steps and signals that is checked every minute.
pub(super) fn policy(steps: Value, signals: Value) -> RolloutPolicy {
    let policy: RolloutPolicy = serde_json::from_value(json!({
        "apiVersion": "tidegate/v1",
        "check_every": "60s",
        "steps": steps,
        "signals": signals,
        "missing": {"hold_for": "30m", "then": "pause"},
    }))
    .unwrap();
    assert_eq!(policy.faults(), vec![], "the plan of a test must be sound");
    policy
}

pub(super) fn begin(policy: RolloutPolicy) -> RolloutState {
    let release = |text: &str| ReleaseId(Digest::of(text.as_bytes()));
    let new = NewRollout {
        id: "ro-128".parse().unwrap(),
        app: "support-summary".parse().unwrap(),
        environment: "production".parse().unwrap(),
        change: "ch-41".parse().unwrap(),
        candidate: release("candidate"),
        stable: release("stable"),
        policy,
    };
    RolloutState::begin(new, START)
}

pub(super) fn person(name: &str) -> PersonName {
    name.parse().unwrap()
}

/// A verdict with plausible numbers: 85 answers of the candidate, 83 of control.
pub(super) fn verdict(signal: &Signal, outcome: Outcome, reason: Reason) -> Verdict {
    let numbers = |n: u64, bad: u64| {
        let hits = if signal.worse == Worse::Higher { bad } else { n - bad };
        ArmNumbers { n, value: Some(hits as f64 / n as f64), bad: Some(bad) }
    };
    Verdict {
        signal: signal.name.clone(),
        outcome,
        reason,
        action: signal.action,
        control: numbers(83, 1),
        candidate: numbers(85, if outcome == Outcome::Fail { 28 } else { 1 }),
        limit: signal.limit.map(|l| l.0),
        interval: None,
        evidence: None,
        boundary: None,
        needed: None,
        corrected: None,
        labels: None,
    }
}

/// The usual reason of an outcome.
pub(super) fn usual(outcome: Outcome) -> Reason {
    match outcome {
        Outcome::Pass => Reason::NotWorse,
        Outcome::Hold => Reason::Undecided,
        Outcome::Inconclusive => Reason::Unusable,
        Outcome::NoData => Reason::Nothing,
        Outcome::Fail => Reason::OverLimit,
    }
}

/// A rollout that is looked at by hand: what it is, what is seen, what time it is.
pub(super) struct Story {
    pub(super) state: RolloutState,
    pub(super) seen: Observation,
    pub(super) now: Timestamp,
    /// What the last look or command asked for.
    pub(super) actions: Vec<Action>,
    pub(super) summary: String,
}

impl Story {
    /// Every signal holds on 85 answers, and answers are plenty.
    pub(super) fn of(steps: Value, signals: Value) -> Self {
        let state = begin(policy(steps, signals));
        let all = |s: &Signal| verdict(s, Outcome::Hold, Reason::Undecided);
        let seen = Observation {
            verdicts: state.policy.signals.iter().map(all).collect(),
            step: StepCounts { candidate: 1000, control: 1000, shadow: 1000 },
            exposed: 1000,
            git_settled: false,
            gateways_settled: false,
        };
        Self { state, seen, now: START, actions: vec![], summary: String::new() }
    }

    /// From now on this signal is seen so.
    pub(super) fn see(&mut self, name: &str, outcome: Outcome) -> &mut Self {
        self.see_because(name, outcome, usual(outcome))
    }

    pub(super) fn see_because(
        &mut self,
        name: &str,
        outcome: Outcome,
        reason: Reason,
    ) -> &mut Self {
        let signal = self.state.policy.signals.iter().find(|s| s.name == name).unwrap();
        let new = verdict(signal, outcome, reason);
        *self.seen.verdicts.iter_mut().find(|v| v.signal == name).unwrap() = new;
        self
    }

    pub(super) fn look(&mut self) -> &mut Self {
        let stepped = step(&self.state, &self.seen, self.now);
        self.state = stepped.state;
        self.actions = stepped.actions;
        self.summary = stepped.report.summary.text;
        self
    }

    /// Time passes and the controller looks every minute, `text` long.
    pub(super) fn wait(&mut self, text: &str) -> &mut Self {
        let end = self.now.plus(text.parse().unwrap());
        let mut actions = vec![];
        while self.now < end {
            self.now = self.now.plus(Span::from_secs(60)).min(end);
            self.look();
            actions.append(&mut self.actions);
        }
        self.actions = actions;
        self
    }

    pub(super) fn tell(&mut self, command: Command) -> Result<&mut Self, CommandError> {
        let (state, actions) = apply(&self.state, &command, &person("sam"), None, self.now)?;
        self.state = state;
        self.actions = actions;
        Ok(self)
    }

    pub(super) fn weight(&self) -> String {
        self.state.exposure.weight.to_string()
    }

    pub(super) fn cause(&self) -> Option<PauseCause> {
        match self.state.phase {
            Phase::Paused { cause, .. } => Some(cause),
            _ => None,
        }
    }

    pub(super) fn kinds(&self) -> Vec<String> {
        let kind =
            |a: &Action| serde_json::to_value(a).unwrap()["kind"].as_str().unwrap().to_owned();
        self.actions.iter().map(kind).collect()
    }
}

pub(super) fn error() -> Value {
    json!({"name": "error", "kind": "rate", "limit": "1.5%", "action": "rollback"})
}

pub(super) fn accepted() -> Value {
    json!({"name": "accepted", "kind": "rate", "worse": "lower", "notice": {"by": 0.05}, "action": "pause"})
}
