//! What `control` keeps in the store, one document per noun. Versioned from
//! day one by the store's schema; fields are only ever added with a default.

use analysis::cells::{Cell, CellKey};
use domain::component::{Component, ComponentKind};
use domain::fallback::Fallback;
use domain::ids::{
    AppName, ChangeId, Digest, ExperimentId, IncidentId, PersonName, ReleaseId, RolloutId,
};
use domain::manifest::Manifest;
use domain::policy::{RolloutPolicy, SignalKind, Worse};
use domain::rollout::{Report, RolloutState};
use domain::routing::Arm;
use domain::sentence::Sentence;
use domain::snapshot::{Kill, OnError, PreviewGrant, ServedRelease};

use domain::units::{Span, Timestamp};
use opsrepo::AppSpec;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The live state of an app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppRecord {
    /// Which app.
    pub app: AppName,
    /// What `production` points at.
    pub production: ReleaseId,
    /// Every release that was production, oldest first; the last is production.
    pub history: Vec<Promotion>,
    /// Salt of the sticky assignment.
    pub salt: String,
    /// The kill switch.
    pub killed: Option<Kill>,
    /// No new rollout before then.
    pub cool_down_until: Option<Timestamp>,
    /// The rollout under way.
    pub rollout: Option<RolloutId>,
    /// The experiment under way; never beside a rollout.
    #[serde(default)]
    pub experiment: Option<ExperimentId>,
}

impl AppRecord {
    /// What is around production's release.
    pub fn around(&self) -> Option<&Around> {
        self.history.last().and_then(|promotion| promotion.around.as_ref())
    }
}

/// What shapes answers beside the release: fallback and patience.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Around {
    /// Deterministic answers.
    pub fallback: Option<Fallback>,
    /// What users get when the provider fails.
    pub on_error: OnError,
    /// Longest a provider may take.
    pub timeout: Span,
    /// Retries before the first byte.
    pub retries: u32,
}

impl Around {
    /// As the files say.
    pub fn of(spec: &AppSpec) -> Self {
        Self {
            fallback: spec.fallback.clone(),
            on_error: spec.on_error,
            timeout: spec.timeout,
            retries: spec.retries,
        }
    }
}

/// How a release became production.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Promotion {
    /// The release.
    pub release: ReleaseId,
    /// When.
    pub at: Timestamp,
    /// By what.
    pub by: PromotedBy,
    /// The change that brought it, if one did.
    pub change: Option<ChangeId>,
    /// What is around it. Taken from git when the release becomes production,
    /// not when its change is merged: what a candidate brings along must not
    /// reach everybody before the candidate does.
    #[serde(default)]
    pub around: Option<Around>,
}

/// What made a release production.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromotedBy {
    /// The first composition of a new app.
    Start,
    /// A rollout.
    Rollout,
    /// A person's rollback to it.
    Rollback,
}

/// A release with everything needed to serve it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReleaseRecord {
    /// Id.
    pub id: ReleaseId,
    /// Manifest.
    pub manifest: Manifest,
    /// DSSE envelope over the manifest's canonical form.
    pub envelope: serde_json::Value,
    /// Resolved content.
    pub served: ServedRelease,
    /// Recordings it names.
    pub blobs: BTreeSet<Digest>,
    /// Change that first brought it.
    pub change: Option<ChangeId>,
    /// Commit it was first composed from.
    pub commit: String,
    /// When.
    pub created_at: Timestamp,
}

/// A rollout with what happened around it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutRecord {
    /// The machine's state.
    pub state: RolloutState,
    /// True once git says what the decision said.
    pub git_settled: bool,
    /// The commit that promoted or reverted.
    pub git_commit: Option<String>,
    /// From the decision until every gateway had taken it up.
    pub swing_back: Option<Span>,
    /// What the candidate did to users so far.
    pub harm: Harm,
    /// Incident it opened.
    pub incident: Option<IncidentId>,
    /// The newest look.
    pub report: Option<Report>,
    /// The risk of a false stop this attempt may spend; the policy's if none is
    /// noted.
    #[serde(default)]
    pub risk: Option<f64>,
    /// What it has spent of it.
    #[serde(default)]
    pub spent: f64,
}

impl RolloutRecord {
    /// The risk of a false stop this attempt may spend.
    pub fn risk(&self) -> f64 {
        self.risk.unwrap_or(self.state.policy.risk.false_stop.0)
    }
}

/// The risk of a false stop for the next attempt of a release, after others
/// that spent `spent` each. The budget is for the release, not for the attempt,
/// or whoever tries often enough stops a good one: what is left of it, but at
/// least a half for the second attempt, a quarter for the third, and so on, so
/// that every attempt is watched. All together stay below twice the budget.
pub fn risk_left(false_stop: f64, spent: &[f64]) -> f64 {
    let left = false_stop - spent.iter().sum::<f64>();
    let halved = false_stop * 0.5_f64.powi(i32::try_from(spent.len()).unwrap_or(i32::MAX));
    left.max(halved)
}

/// What a candidate did to users: answers that were shown, mirrors not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Harm {
    /// Answers of the candidate to users.
    pub exposed: u64,
    /// Of these, bad ones by signal: errors, and what people posted as 1.
    pub bad: BTreeMap<String, u64>,
}

impl Harm {
    /// Counts the answers of the candidate arm; the policy says which posted
    /// numbers are bad.
    pub fn of(cells: &[(CellKey, Cell)], policy: &RolloutPolicy) -> Self {
        Self::count(cells.iter().filter(|(key, _)| key.arm == Arm::Candidate), Some(policy))
    }

    /// Counts what a release answered to users in whatever arm.
    pub fn of_release(
        cells: &[(CellKey, Cell)],
        release: ReleaseId,
        policy: Option<&RolloutPolicy>,
    ) -> Self {
        let shown = |(key, _): &&(CellKey, Cell)| key.release == release && key.arm != Arm::Shadow;
        Self::count(cells.iter().filter(shown), policy)
    }

    fn count<'a>(
        cells: impl Iterator<Item = &'a (CellKey, Cell)>,
        policy: Option<&RolloutPolicy>,
    ) -> Self {
        let mut harm = Self::default();
        for (_, cell) in cells {
            harm.exposed = harm.exposed.saturating_add(cell.n);
            harm.add("error", cell.errors());
            harm.add("fallback", cell.fallbacks);
            harm.add("schema_failure", cell.schema_failures);
            let signals = policy.iter().flat_map(|p| &p.signals);
            for signal in signals.filter(|s| s.kind == SignalKind::Rate) {
                let Some(feedback) = cell.feedback.get(&signal.name) else { continue };
                harm.add(
                    &signal.name,
                    match signal.worse {
                        Worse::Higher => feedback.ones,
                        Worse::Lower => feedback.zeros,
                    },
                );
            }
        }
        harm
    }

    /// Adds what other cells counted.
    pub fn merge(&mut self, other: &Self) {
        self.exposed = self.exposed.saturating_add(other.exposed);
        for (signal, bad) in &other.bad {
            self.add(signal, *bad);
        }
    }

    fn add(&mut self, signal: &str, bad: u64) {
        if bad > 0 {
            let sum = self.bad.entry(signal.to_owned()).or_default();
            *sum = sum.saturating_add(bad);
        }
    }

    /// The most that any one signal counts as bad.
    pub fn worst(&self) -> u64 {
        self.bad.values().copied().max().unwrap_or(0)
    }

    /// Bad answers of the signal that a decision names. A signal without single
    /// bad answers (latency, cost) harmed everyone who was exposed.
    pub fn of_decision(&self, decision: Option<&Sentence>) -> u64 {
        let signal = decision.and_then(|d| d.params.get("metric")).and_then(|m| m.as_str());
        match signal {
            Some(signal) => self.bad.get(signal).copied().unwrap_or(self.exposed),
            None => 0,
        }
    }
}

/// A release that may not be proposed again until a person clears it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeniedRecord {
    /// The release.
    pub release: ReleaseId,
    /// The app.
    pub app: AppName,
    /// What it did, in a sentence.
    pub because: String,
    /// When.
    pub at: Timestamp,
}

/// A token: never the secret, only its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Hexadecimal SHA-256 of the secret.
    pub hash: String,
    /// The person it speaks for.
    pub person: Option<PersonName>,
    /// Apps it may call; with a person, all apps the person may.
    pub apps: BTreeSet<AppName>,
    /// Lets a gateway join.
    pub gateway: bool,
    /// What it is for.
    pub note: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Not valid from then on.
    pub expires_at: Timestamp,
    /// Its requests are answered by a change's release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<PreviewGrant>,
}

/// The last published snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedRecord {
    /// Its generation.
    pub generation: domain::ids::Generation,
    /// Digest of everything in it but generation and time.
    pub content: Digest,
}

/// `kind → name@version`, as tables show a release.
pub fn labels(components: &BTreeMap<ComponentKind, Component>) -> BTreeMap<String, String> {
    components.iter().map(|(kind, c)| (kind.key().to_owned(), c.label())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_of_one_release_share_one_budget() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        close(risk_left(0.05, &[]), 0.05);
        close(risk_left(0.05, &[0.0]), 0.05);
        close(risk_left(0.05, &[0.01]), 0.04);
        close(risk_left(0.05, &[0.05]), 0.025);
        close(risk_left(0.05, &[0.05, 0.025]), 0.0125);
        close(risk_left(0.05, &[0.01, 0.005, 0.01]), 0.025);
        // However often: whoever spends all there is each time.
        let mut spent = Vec::new();
        for _ in 0..2_000 {
            spent.push(risk_left(0.05, &spent));
        }
        assert!(spent.iter().sum::<f64>() <= 0.1 && spent.iter().all(|risk| *risk >= 0.0));
    }
}
