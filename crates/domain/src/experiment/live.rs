//! A live experiment: pure state and what a look or a person makes of it.
//!
//! What must stay true:
//! - whoever answers in it was composed from reviewed files at its start, and
//!   control is production's release: there is nothing to go back from;
//! - a variant that was dropped gets no traffic again, whatever later numbers
//!   say;
//! - with a winner the division stays as it is until a person decides; drops go
//!   on. Nothing is ever promoted from here;
//! - an experiment that ended is over: everyone is on production's release.

use super::ExperimentPolicy;
use super::division::{Division, whole};
use crate::ids::{AppName, EnvName, ExperimentId, PersonName, ReleaseId};
use crate::params;
use crate::policy::SubjectKey;
use crate::sentence::Sentence;
use crate::snapshot::{ExperimentExposure, VariantExposure};
use crate::units::{Share, Timestamp};
use serde::{Deserialize, Serialize};

/// Shares that changed by less than this, in basis points, stay as they are:
/// moving people for a belief that changed a little costs more than it brings.
pub const MIN_MOVE: u16 = 100;

/// Where an experiment stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "name")]
pub enum Phase {
    /// Traffic is divided, and there is no winner.
    Running,
    /// There is a winner. Traffic stays divided until a person decides.
    Won {
        /// The variant.
        variant: String,
    },
    /// Everyone is on production's release. Final.
    Ended {
        /// What ended it.
        how: Ending,
    },
}

impl Phase {
    /// True if nothing follows.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }

    /// One word for tables and filters.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Won { .. } => "won",
            Self::Ended { .. } => "ended",
        }
    }
}

/// What ended an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// A person took note of the result.
    Concluded,
    /// A person ended it before there was one.
    Stopped,
    /// Variants did not get their shares: its numbers mean nothing.
    WrongShares,
    /// Every variant but control was dropped.
    OnlyControl,
    /// The app's kill switch was thrown.
    Killed,
    /// A person rolled the app back.
    RolledBack,
}

impl Ending {
    /// The word in lists and in the audit log.
    pub fn key(self) -> &'static str {
        match self {
            Self::Concluded => "concluded",
            Self::Stopped => "stopped",
            Self::WrongShares => "wrong_shares",
            Self::OnlyControl => "only_control",
            Self::Killed => "killed",
            Self::RolledBack => "rolled_back",
        }
    }
}

/// What a new experiment is made of.
#[derive(Debug, Clone)]
pub struct NewExperiment {
    /// Its number.
    pub id: ExperimentId,
    /// Its app.
    pub app: AppName,
    /// Where it runs.
    pub environment: EnvName,
    /// The name of its file.
    pub name: String,
    /// The file.
    pub policy: ExperimentPolicy,
    /// Whose requests stick together.
    pub subject: SubjectKey,
    /// Salt of its own: who got which variant says nothing about who gets what
    /// in any other experiment or rollout.
    pub salt: String,
    /// The release of each variant, in the policy's order.
    pub releases: Vec<ReleaseId>,
    /// Who started it.
    pub by: PersonName,
}

/// Everything that is decided about an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExperimentState {
    /// Its number.
    pub id: ExperimentId,
    /// Its app.
    pub app: AppName,
    /// Where it runs.
    pub environment: EnvName,
    /// The name of its file.
    pub name: String,
    /// The file as it was at the start.
    pub policy: ExperimentPolicy,
    /// Whose requests stick together.
    pub subject: SubjectKey,
    /// Salt of its assignment.
    pub salt: String,
    /// The release of each variant, in the policy's order.
    pub releases: Vec<ReleaseId>,
    /// Who gets what: of each segment, and of everybody else at the end.
    pub divisions: Vec<Division>,
    /// By variant: the guard that dropped it.
    pub dropped: Vec<Option<String>>,
    /// Where it stands.
    pub phase: Phase,
    /// When it began.
    pub started_at: Timestamp,
    /// Who started it.
    pub started_by: PersonName,
    /// The last look that was taken in, by the grid of looks.
    pub looked_at: Option<Timestamp>,
    /// When it was won or ended.
    pub decided_at: Option<Timestamp>,
    /// What was decided last, in a sentence.
    pub decision: Option<Sentence>,
}

/// What a look found.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The look, by the grid.
    pub at: Timestamp,
    /// Shares for the next requests: of each segment, and of everybody else.
    pub shares: Vec<Vec<f64>>,
    /// The winner among all answers, if there is one.
    pub winner: Option<usize>,
    /// By variant: the guard that broke.
    pub dropped: Vec<Option<String>>,
    /// Variants did not get their shares.
    pub wrong_shares: bool,
}

/// What follows outside of the state.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A variant did harm: an incident, and its release is refused from now on.
    Drop {
        /// Which, by place in the policy.
        variant: usize,
        /// In words.
        what: Sentence,
    },
}

impl ExperimentState {
    /// An experiment that begins now, divided as planned.
    pub fn begin(new: NewExperiment, now: Timestamp) -> Self {
        let planned = Division::of(&whole(&new.policy.planned_shares()));
        let groups = match new.policy.segments.len() {
            0 => 1,
            segments => segments + 1,
        };
        Self {
            divisions: vec![planned; groups],
            dropped: vec![None; new.policy.variants.len()],
            id: new.id,
            app: new.app,
            environment: new.environment,
            name: new.name,
            policy: new.policy,
            subject: new.subject,
            salt: new.salt,
            releases: new.releases,
            phase: Phase::Running,
            started_at: now,
            started_by: new.by,
            looked_at: None,
            decided_at: None,
            decision: None,
        }
    }

    /// The name of a variant.
    pub fn variant(&self, place: usize) -> &str {
        self.policy.variants.get(place).map_or("", |variant| variant.name.as_str())
    }

    /// Production's release, which control is.
    pub fn stable(&self) -> Option<ReleaseId> {
        self.releases.get(self.policy.control()).copied()
    }

    /// What gateways are told; nothing once it ended.
    pub fn exposure(&self) -> Option<ExperimentExposure> {
        if self.phase.is_final() {
            return None;
        }
        let variants = self.policy.variants.iter().zip(&self.releases);
        Some(ExperimentExposure {
            experiment: self.id,
            salt: self.salt.clone(),
            segment_by: self.policy.segment_by.clone(),
            segments: self.policy.segments.clone(),
            variants: variants
                .map(|(variant, release)| VariantExposure {
                    name: variant.name.clone(),
                    release: *release,
                })
                .collect(),
            divisions: self.divisions.clone(),
        })
    }

    /// What each variant gets now: of each segment, and of everybody else.
    pub fn shares(&self) -> Vec<Vec<Share>> {
        let variants = self.policy.variants.len();
        self.divisions.iter().map(|division| division.shares(variants)).collect()
    }

    /// Takes in a look. Pure, and harmless to repeat.
    #[must_use]
    pub fn look(&self, seen: &Seen, now: Timestamp) -> (Self, Vec<Action>) {
        if self.phase.is_final() || self.looked_at.is_some_and(|last| last >= seen.at) {
            return (self.clone(), Vec::new());
        }
        let mut next = self.clone();
        next.looked_at = Some(seen.at);
        let actions = next.drop_variants(seen);
        let live = next.dropped.iter().filter(|dropped| dropped.is_none()).count();
        let winner = seen.winner.filter(|v| next.dropped.get(*v).is_some_and(Option::is_none));
        if seen.wrong_shares {
            return (next.ended(Ending::WrongShares, now), actions);
        }
        if live < 2 {
            return (next.ended(Ending::OnlyControl, now), actions);
        }
        match winner {
            Some(place) => {
                let variant = next.variant(place).to_owned();
                if next.phase != (Phase::Won { variant: variant.clone() }) {
                    next.decision = Some(won(&next, &variant));
                    next.decided_at = Some(now);
                }
                next.phase = Phase::Won { variant };
            }
            None if next.phase != Phase::Running => {
                next.phase = Phase::Running;
                next.decision = None;
                next.decided_at = None;
            }
            None => {}
        }
        let settled = matches!(self.phase, Phase::Won { .. });
        next.divide(seen, settled);
        (next, actions)
    }

    fn drop_variants(&mut self, seen: &Seen) -> Vec<Action> {
        let mut actions = Vec::new();
        let control = self.policy.control();
        for (variant, guard) in seen.dropped.iter().enumerate() {
            let Some(guard) = guard.as_ref().filter(|_| variant != control) else { continue };
            let what = dropped(self, variant, guard);
            if let Some(slot @ None) = self.dropped.get_mut(variant) {
                *slot = Some(guard.clone());
                actions.push(Action::Drop { variant, what });
            }
        }
        actions
    }

    /// Divides traffic by what was seen. `settled`: only what was dropped moves.
    fn divide(&mut self, seen: &Seen, settled: bool) {
        let live: Vec<bool> = self.dropped.iter().map(Option::is_none).collect();
        for (division, shares) in self.divisions.iter_mut().zip(&seen.shares) {
            let has = division.shares(live.len());
            let loses = |(has, live): (&Share, &bool)| !live && *has > Share::NONE;
            let drops = has.iter().zip(&live).any(loses);
            if settled && !drops {
                continue;
            }
            let mine: Vec<f64> = shares
                .iter()
                .zip(&live)
                .map(|(share, live)| if *live { *share } else { 0.0 })
                .collect();
            let wanted = whole(&mine);
            if wanted.iter().all(|share| *share == Share::NONE) {
                continue;
            }
            let moves = |(has, due): (&Share, &Share)| has.bp().abs_diff(due.bp()) >= MIN_MOVE;
            if drops || has.iter().zip(&wanted).any(moves) {
                *division = division.moved(&wanted);
            }
        }
    }

    /// Ends it: everyone is on production's release. One that ended before
    /// stays as it ended.
    #[must_use]
    pub fn ended(&self, how: Ending, now: Timestamp) -> Self {
        if self.phase.is_final() {
            return self.clone();
        }
        let mut next = self.clone();
        next.decision = Some(ended(self, how));
        next.phase = Phase::Ended { how };
        next.decided_at = Some(now);
        next
    }
}

fn won(state: &ExperimentState, variant: &str) -> Sentence {
    Sentence::render(
        "experiment_won",
        "{experiment} of {app} has a winner: `{variant}`, at a risk of {risk} of being wrong. A person decides what follows.",
        params! {
            "experiment" => state.id, "app" => state.app, "variant" => variant,
            "risk" => format!("{}%", state.policy.risk.wrong_winner.0 * 100.0),
        },
    )
}

fn dropped(state: &ExperimentState, variant: usize, guard: &str) -> Sentence {
    Sentence::render(
        "variant_dropped",
        "Variant `{variant}` of {experiment} was dropped: `{metric}` failed against control. Its share went to the others.",
        params! {
            "experiment" => state.id, "app" => state.app, "variant" => state.variant(variant),
            "metric" => guard,
        },
    )
}

fn ended(state: &ExperimentState, how: Ending) -> Sentence {
    let template = match (how, &state.phase) {
        (Ending::Concluded, Phase::Won { .. }) => {
            "{experiment} of {app} ended with the winner `{winner}`; everyone gets production's release until a change makes the winner one."
        }
        (Ending::Concluded | Ending::Stopped, _) => {
            "{experiment} of {app} was stopped; everyone gets production's release again."
        }
        (Ending::WrongShares, _) => {
            "{experiment} of {app} was stopped: its variants did not get their shares, so its numbers mean nothing. Everyone gets production's release again."
        }
        (Ending::OnlyControl, _) => {
            "{experiment} of {app} is over: every variant but `{control}` was dropped. Everyone gets production's release."
        }
        (Ending::Killed, _) => {
            "{experiment} of {app} ended with the kill switch; everyone is on production's release once it is taken back."
        }
        (Ending::RolledBack, _) => {
            "{experiment} of {app} was rolled back; everyone gets production's release again."
        }
    };
    let winner = match &state.phase {
        Phase::Won { variant } => variant.as_str(),
        _ => "",
    };
    let mut params = params! {
        "experiment" => state.id, "app" => state.app, "how" => how.key(),
        "control" => state.variant(state.policy.control()),
    };
    if !winner.is_empty() {
        params.insert("winner".to_owned(), serde_json::json!(winner));
    }
    Sentence::render("experiment_ended", template, params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Digest;
    use serde_json::json;

    fn state(policy: serde_json::Value) -> ExperimentState {
        let mut all = json!({
            "apiVersion": "tidegate/v1",
            "variants": [{"name": "today"}, {"name": "short"}, {"name": "kind"}],
            "reward": {"signal": "accepted", "kind": "rate"},
        });
        let fields = policy.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(fields);
        let releases = ["today", "short", "kind"];
        ExperimentState::begin(
            NewExperiment {
                id: ExperimentId(7),
                app: "greeter".parse().unwrap(),
                environment: "production".parse().unwrap(),
                name: "tone".to_owned(),
                policy: serde_json::from_value(all).unwrap(),
                subject: SubjectKey::User,
                salt: "salt".to_owned(),
                releases: releases.map(|r| ReleaseId(Digest::of(r.as_bytes()))).to_vec(),
                by: "omar".parse().unwrap(),
            },
            Timestamp(1000),
        )
    }

    fn seen(at: i64, shares: [f64; 3]) -> Seen {
        Seen {
            at: Timestamp(at),
            shares: vec![shares.to_vec()],
            winner: None,
            dropped: vec![None; 3],
            wrong_shares: false,
        }
    }

    fn bp(state: &ExperimentState) -> Vec<u16> {
        state.shares()[0].iter().map(|share| share.bp()).collect()
    }

    #[test]
    fn shares_follow_looks_unless_they_hardly_change() {
        let begun = state(json!({}));
        assert_eq!(bp(&begun), [3334, 3333, 3333]);
        let (first, _) = begun.look(&seen(2000, [0.335, 0.335, 0.33]), Timestamp(2500));
        assert_eq!(bp(&first), [3334, 3333, 3333], "less than a point");
        let (second, actions) = first.look(&seen(3000, [0.2, 0.5, 0.3]), Timestamp(3500));
        assert_eq!((bp(&second), actions), (vec![2000, 5000, 3000], vec![]));
        let (again, _) = second.look(&seen(3000, [0.1, 0.8, 0.1]), Timestamp(3600));
        assert_eq!(again, second, "a look is taken in once");
    }

    #[test]
    fn a_dropped_variant_never_comes_back_and_is_told_once() {
        let mut broken = seen(2000, [0.5, 0.25, 0.25]);
        broken.dropped[1] = Some("error".to_owned());
        let (next, actions) = state(json!({})).look(&broken, Timestamp(2500));
        assert_eq!(bp(&next), [6667, 0, 3333]);
        assert!(matches!(&actions[..], [Action::Drop { variant: 1, .. }]), "{actions:?}");
        let (later, actions) = next.look(&seen(3000, [0.1, 0.8, 0.1]), Timestamp(3500));
        assert_eq!((bp(&later)[1], actions), (0, vec![]));
        broken.at = Timestamp(4000);
        assert_eq!(later.look(&broken, Timestamp(4500)).1, vec![]);
        broken.dropped[2] = Some("error".to_owned());
        broken.at = Timestamp(5000);
        let (over, actions) = later.look(&broken, Timestamp(5500));
        assert_eq!(over.phase, Phase::Ended { how: Ending::OnlyControl });
        assert_eq!((actions.len(), over.exposure()), (1, None));
    }

    #[test]
    fn control_cannot_be_dropped() {
        let mut broken = seen(2000, [0.5, 0.25, 0.25]);
        broken.dropped[0] = Some("error".to_owned());
        let (next, actions) = state(json!({})).look(&broken, Timestamp(2500));
        assert!(actions.is_empty() && next.dropped[0].is_none());
    }

    #[test]
    fn with_a_winner_the_division_stays_and_nothing_is_promoted() {
        let mut won = seen(2000, [0.1, 0.8, 0.1]);
        won.winner = Some(1);
        let (next, actions) = state(json!({})).look(&won, Timestamp(2500));
        assert_eq!(next.phase, Phase::Won { variant: "short".to_owned() });
        assert_eq!((next.decided_at, actions), (Some(Timestamp(2500)), vec![]));
        let mut later = seen(3000, [0.4, 0.2, 0.4]);
        later.winner = Some(1);
        let (still, _) = next.look(&later, Timestamp(3500));
        assert_eq!((bp(&still), still.decided_at), (bp(&next), next.decided_at));
        assert!(still.exposure().is_some(), "traffic stays divided");
        // A winner that does harm is none.
        later.at = Timestamp(4000);
        later.dropped[1] = Some("error".to_owned());
        let (after, actions) = still.look(&later, Timestamp(4500));
        assert_eq!((&after.phase, bp(&after)[1], actions.len()), (&Phase::Running, 0, 1));
        let over = still.ended(Ending::Concluded, Timestamp(9000));
        assert!(over.decision.as_ref().unwrap().text.contains("winner `short`"));
        assert_eq!(over.ended(Ending::Killed, Timestamp(9999)), over, "it ends once");
        assert_eq!(over.look(&later, Timestamp(9999)).0, over);
    }

    #[test]
    fn wrong_shares_end_it() {
        let mut off = seen(2000, [0.3, 0.4, 0.3]);
        off.wrong_shares = true;
        off.winner = Some(1);
        let (next, _) = state(json!({})).look(&off, Timestamp(2500));
        assert_eq!(next.phase, Phase::Ended { how: Ending::WrongShares });
    }

    #[test]
    fn each_segment_has_a_division_of_its_own() {
        let begun = state(json!({"segments": ["web"], "segment_by": "channel"}));
        assert_eq!(begun.divisions.len(), 2);
        let mut web = seen(2000, [0.1, 0.8, 0.1]);
        web.shares.push(vec![0.3334, 0.3333, 0.3333]);
        let (next, _) = begun.look(&web, Timestamp(2500));
        assert_eq!(next.shares()[0][1].bp(), 8000);
        assert_eq!(next.divisions[1], begun.divisions[1]);
    }
}
