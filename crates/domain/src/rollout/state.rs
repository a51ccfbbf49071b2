//! The data a rollout is.

use crate::ids::{AppName, ChangeId, EnvName, Generation, PersonName, ReleaseId, RolloutId};
use crate::people::Role;
use crate::policy::{Restore, RolloutPolicy, SignalAction, Step};
use crate::sentence::Sentence;
use crate::units::{Share, Timestamp};
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Where a rollout stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "name")]
pub enum Phase {
    /// A step is under way.
    Running,
    /// Nothing moves until a person decides; limits stay armed.
    Paused {
        /// Why.
        cause: PauseCause,
        /// Who may decide.
        role: Role,
    },
    /// The candidate serves everyone; git is being told.
    Promoting,
    /// The candidate serves nobody, or ever fewer where the plan goes back by
    /// steps; git is being told.
    RollingBack,
    /// Live for everyone. Final.
    Promoted,
    /// Everyone is on the last good release. Final.
    RolledBack,
}

impl Phase {
    /// True while the plan is followed: limits are armed, commands are taken.
    pub fn is_open(&self) -> bool {
        matches!(self, Phase::Running | Phase::Paused { .. })
    }

    /// True if nothing follows.
    pub fn is_final(&self) -> bool {
        matches!(self, Phase::Promoted | Phase::RolledBack)
    }

    /// One word for tables and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Phase::Running => "running",
            Phase::Paused { .. } => "paused",
            Phase::Promoting => "promoting",
            Phase::RollingBack => "rolling_back",
            Phase::Promoted => "promoted",
            Phase::RolledBack => "rolled_back",
        }
    }
}

/// Why a rollout waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseCause {
    /// The plan has an approval step here.
    ApprovalStep,
    /// A signal failed whose action is `pause`.
    Signal,
    /// A signal failed whose action is `require_approval`.
    RequireApproval,
    /// Measurements stayed away.
    MissingData,
    /// `at_most` passed without evidence.
    NoEvidence,
    /// A person paused it.
    Person,
}

/// What gateways are told about a rollout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposure {
    /// Share of subjects the candidate answers.
    pub weight: Share,
    /// Share of subjects whose requests are mirrored to the candidate.
    pub shadow: Share,
}

/// An unbroken run of failing checks of one signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breach {
    /// First failing check.
    pub since: Timestamp,
    /// Failing checks in a row.
    pub checks: u32,
}

/// What a pause remembers beside its cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when. The clock of the step stands still meanwhile.
    pub since: Timestamp,
    /// The signals that asked for it, if signals did.
    pub signals: Vec<String>,
    /// Why, and who decides, in a sentence.
    pub why: Sentence,
}

/// What a rollout begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRollout {
    /// Its number.
    pub id: RolloutId,
    /// The app.
    pub app: AppName,
    /// The environment whose alias will move.
    pub environment: EnvName,
    /// The change it carries out.
    pub change: ChangeId,
    /// The release on trial.
    pub candidate: ReleaseId,
    /// The release everyone has now, and goes back to.
    pub stable: ReleaseId,
    /// The plan, as merged.
    pub policy: RolloutPolicy,
}

/// Everything the controller remembers about a rollout. Plain data; only
/// [`RolloutState::begin`], [`super::step`] and [`super::apply`] make new ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutState {
    /// Its number.
    pub id: RolloutId,
    /// The app.
    pub app: AppName,
    /// The environment whose alias will move.
    pub environment: EnvName,
    /// The change it carries out.
    pub change: ChangeId,
    /// The release on trial.
    pub candidate: ReleaseId,
    /// The release everyone has now, and goes back to.
    pub stable: ReleaseId,
    /// The plan, as merged. It does not change under a running rollout.
    pub policy: RolloutPolicy,
    /// Phase.
    pub phase: Phase,
    /// Index into `policy.steps` of the step under way.
    pub step: usize,
    /// When that step began.
    pub step_since: Timestamp,
    /// What gateways are told.
    pub exposure: Exposure,
    /// Runs of failing checks, by signal.
    pub breaches: BTreeMap<String, Breach>,
    /// Signals a person has looked at and accepted (`resume` after a pause);
    /// they no longer pause, but still roll back where the policy says so.
    pub waived: Vec<String>,
    /// Signals that had their `min_samples` on the candidate at some time.
    #[serde(default)]
    pub sampled: BTreeSet<String>,
    /// Signals whose failure people were told of (action `notify`).
    #[serde(default)]
    pub notified: BTreeSet<String>,
    /// A person said yes to the approval step under way.
    #[serde(default)]
    pub approved: bool,
    /// Set while the phase is `paused`.
    #[serde(default)]
    pub pause: Option<Pause>,
    /// Since when measurements have been missing.
    pub missing_since: Option<Timestamp>,
    /// When the rollout began.
    pub started_at: Timestamp,
    /// When the controller last looked.
    pub last_check: Option<Timestamp>,
    /// When the final decision (promote, roll back) was taken.
    pub decided_at: Option<Timestamp>,
    /// Shares by which a rollback goes, one every `check_every` from `decided_at`
    /// on; empty where everyone went back at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub going_back: Vec<Share>,
    /// The final decision in a sentence.
    pub decision: Option<Sentence>,
    /// The person behind the final decision, if it was one.
    pub decided_by: Option<PersonName>,
    /// Version of this record. Any difference but `last_check` makes the next,
    /// so that a person who looked a while ago can still act if nothing
    /// happened since.
    pub generation: Generation,
}

impl RolloutState {
    /// A rollout at the beginning of its first step. Publish a snapshot once it
    /// is stored.
    pub fn begin(new: NewRollout, now: Timestamp) -> Self {
        let mut state = Self {
            id: new.id,
            app: new.app,
            environment: new.environment,
            change: new.change,
            candidate: new.candidate,
            stable: new.stable,
            policy: new.policy,
            phase: Phase::Running,
            step: 0,
            step_since: now,
            exposure: Exposure::default(),
            breaches: BTreeMap::new(),
            waived: Vec::new(),
            sampled: BTreeSet::new(),
            notified: BTreeSet::new(),
            approved: false,
            pause: None,
            missing_since: None,
            started_at: now,
            last_check: None,
            decided_at: None,
            going_back: Vec::new(),
            decision: None,
            decided_by: None,
            generation: Generation(1),
        };
        state.exposure = state.planned_exposure();
        state
    }

    /// The step under way; none past the end of the plan.
    pub fn current_step(&self) -> Option<&Step> {
        self.policy.steps.get(self.step)
    }

    /// What the plan says gateways are told in the step under way. A shadow
    /// lasts until the next weight; weights only grow.
    pub(super) fn planned_exposure(&self) -> Exposure {
        let mut exposure = Exposure::default();
        for step in self.policy.steps.iter().take(self.step.saturating_add(1)) {
            match step {
                Step::Shadow(shadow) => exposure.shadow = shadow.share,
                Step::Weight(weight) => {
                    let weight = exposure.weight.max(weight.share);
                    exposure = Exposure { weight, shadow: Share::NONE };
                }
                Step::Hold(_) | Step::Approval(_) | Step::Promote(_) => {}
            }
        }
        exposure
    }

    /// The shares a rollback would go by if it were decided now; empty if
    /// everyone would go back at once. It takes two for a step.
    pub(super) fn steps_back(&self) -> Vec<Share> {
        let Restore::Steps(shares) = &self.policy.after_rollback.restore else { return Vec::new() };
        let below = shares.iter().copied().filter(|share| *share < self.exposure.weight);
        let steps: Vec<_> = below.collect();
        if steps.len() > 1 { steps } else { Vec::new() }
    }

    /// What gateways are told at `now` while a rollback goes by steps. A function
    /// of time alone: a controller that was away goes on where it should be. The
    /// weight never rises; when the clock was set back, nobody knows how long it
    /// has been, and everyone goes back.
    pub(super) fn exposure_going_back(&self, now: Timestamp) -> Exposure {
        let decided = self.decided_at.filter(|decided| *decided <= now);
        let weight = decided.map_or(Share::NONE, |decided| {
            let every = self.policy.check_every.millis().max(1);
            let step = usize::try_from(now.since(decided).millis() / every).unwrap_or(usize::MAX);
            self.going_back.get(step).copied().unwrap_or(Share::NONE)
        });
        Exposure { weight: weight.min(self.exposure.weight), shadow: Share::NONE }
    }

    /// True if a person has looked at this signal's failure and accepted it.
    pub fn is_waived(&self, signal: &str) -> bool {
        self.waived.iter().any(|s| s == signal)
    }

    /// True if a failure of this signal would stop something that goes on: a
    /// rollback always would, a pause unless it holds already or a person has
    /// accepted the failure.
    pub fn would_stop_for(&self, signal: &str) -> bool {
        let asked = self.policy.signals.iter().find(|s| s.name == signal).map(|s| s.action);
        let paused_for =
            self.pause.as_ref().is_some_and(|pause| pause.signals.iter().any(|s| s == signal));
        let stops = match asked {
            None | Some(SignalAction::Notify) => false,
            Some(SignalAction::Rollback) => true,
            Some(SignalAction::Pause | SignalAction::RequireApproval) => {
                !paused_for && !self.is_waived(signal)
            }
        };
        stops && self.phase.is_open()
    }
}

/// Answers counted in the step under way, for `min_requests` and `until`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepCounts {
    /// Candidate answers to users.
    pub candidate: u64,
    /// Control answers.
    pub control: u64,
    /// Mirrored answers of the candidate.
    pub shadow: u64,
}

/// What the controller sees at one look. Built by `control` from cells and by
/// `analysis` from policies.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// One verdict per signal of the policy, in its order.
    pub verdicts: Vec<Verdict>,
    /// Answers in the step under way.
    pub step: StepCounts,
    /// Answers of the candidate since the rollout began, users and mirror.
    pub exposed: u64,
    /// True once the effects of the final decision are done in git
    /// (alias committed, or revert committed).
    pub git_settled: bool,
    /// True once every reachable gateway serves the present exposure.
    pub gateways_settled: bool,
}
