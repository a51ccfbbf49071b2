//! Who answers a request: `route(app, facts) → decision`.
//!
//! Sticky without a store: a subject's place in [0, 10 000) is
//! `SHA-256(salt ‖ 0x00 ‖ subject)`, its first eight bytes as a big-endian
//! number, modulo 10 000. SHA-256, because every language has it and every
//! port must agree to the bit.
//!
//! The candidate takes `[0, w)`. Growing `w` moves nobody off the candidate.
//! Everyone else gets the stable release, and all of them are what the candidate
//! is compared with: a candidate at 5 % that is compared with everybody needs
//! hardly more requests than one whose baseline is known, compared with a group
//! of its own size about twice as many. Of the others, an equally large group,
//! `[10 000 − w, 10 000)` or what is left when `w` exceeds half, is called
//! control, so that people see two groups of one size side by side.
//!
//! An experiment has a salt of its own and a table that says which places are
//! whose ([`Division`](crate::experiment::division::Division)), one for each
//! segment it names.

use crate::ids::{ExperimentId, ReleaseId, RolloutId};
use crate::rollout::Exposure;
use crate::snapshot::{AppSnapshot, ExperimentExposure};
use crate::units::{FULL, Share};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What routing may know about a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// The sticky key.
    pub subject: &'a str,
    /// What the request says of its segment: the value of the attribute that
    /// the experiment under way asks for.
    pub segment: Option<&'a str>,
}

/// Who answers, and how the answer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// Serves the stable release; with control the baseline of verdicts.
    Stable,
    /// Serves the stable release to a group as large as the candidate's; while
    /// requests are mirrored, to those whose requests are.
    Control,
    /// Serves the candidate.
    Candidate,
    /// A mirrored copy answered by the candidate, never shown.
    Shadow,
    /// Serves a variant of an experiment; [`Drawn`] says which.
    Variant,
    /// Serves the release of a change to whoever holds the token of its preview.
    /// Nobody is drawn for it and nothing is compared with it: it counts in no
    /// cell and is no evidence.
    Preview,
}

impl Arm {
    /// The word in headers, metrics and logs.
    pub fn key(self) -> &'static str {
        match self {
            Arm::Stable => "stable",
            Arm::Control => "control",
            Arm::Candidate => "candidate",
            Arm::Shadow => "shadow",
            Arm::Variant => "variant",
            Arm::Preview => "preview",
        }
    }
}

/// What a gateway does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// How the answer counts.
    pub arm: Arm,
    /// The release that answers.
    pub release: ReleaseId,
    /// The subject's place in [0, 10 000).
    pub bucket: u16,
    /// The rollout under way.
    pub rollout: Option<RolloutId>,
    /// Its step.
    pub step: u32,
    /// The probability with which this request could have gone to the
    /// candidate: the weight. None without a rollout, and while the candidate
    /// only answers mirrored copies. In an experiment that of its variant.
    pub share: Share,
    /// The draw of an experiment.
    pub drawn: Option<Drawn>,
    /// Also send a copy to this release.
    pub shadow: Option<ReleaseId>,
    /// The kill switch is thrown: answer from the fallback.
    pub killed: bool,
}

/// Which variant of an experiment a request was given, and what it might have
/// been given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drawn {
    /// The experiment.
    pub experiment: ExperimentId,
    /// The name of the variant.
    pub name: String,
    /// Its place in the policy.
    pub variant: u8,
    /// The segment, by its place in the policy; none for everybody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<u8>,
    /// The probability of each variant for this request, in the policy's order.
    pub shares: Vec<Share>,
}

/// A subject's place in [0, 10 000).
pub fn bucket(salt: &str, subject: &str) -> u16 {
    let mut hash = Sha256::new();
    hash.update(salt.as_bytes());
    hash.update([0]);
    hash.update(subject.as_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let head = digest[..8].iter().fold(0_u64, |acc, b| acc << 8 | u64::from(*b));
    (head % u64::from(FULL)) as u16
}

/// The arm of a place under an exposure: everything sticky assignment is,
/// without hashing. Ports in other languages need this and [`bucket`], and no
/// more.
pub fn arm(bucket: u16, exposure: Exposure) -> Arm {
    let weight = exposure.weight.bp();
    // Without a weight, those whose requests are mirrored are the control.
    let control =
        if weight > 0 { bucket >= control_start(weight) } else { bucket < exposure.shadow.bp() };
    match bucket < weight {
        true => Arm::Candidate,
        false if control => Arm::Control,
        false => Arm::Stable,
    }
}

/// Who answers.
pub fn route(app: &AppSnapshot, facts: Facts<'_>) -> Decision {
    let bucket = bucket(&app.salt, facts.subject);
    let stable = Decision {
        arm: Arm::Stable,
        release: app.production,
        bucket,
        rollout: None,
        step: 0,
        share: Share::NONE,
        drawn: None,
        shadow: None,
        killed: app.killed.is_some(),
    };
    let Some(rollout) = &app.rollout else {
        let drawn = app.experiment.as_ref().and_then(|experiment| draw(experiment, facts));
        let Some((bucket, release, drawn)) = drawn else { return stable };
        let share = drawn.shares.get(usize::from(drawn.variant)).copied().unwrap_or(Share::NONE);
        return Decision {
            arm: Arm::Variant,
            release,
            bucket,
            share,
            drawn: Some(drawn),
            ..stable
        };
    };
    let arm = arm(bucket, rollout.exposure);
    let mirrored = is_mirrored(bucket, rollout.exposure);
    Decision {
        arm,
        release: if arm == Arm::Candidate { rollout.candidate } else { app.production },
        rollout: Some(rollout.rollout),
        step: rollout.step,
        share: rollout.exposure.weight,
        shadow: mirrored.then_some(rollout.candidate),
        ..stable
    }
}

/// The place, release and draw of a request in an experiment; none where its
/// table has nobody for the place, which a table control made never has.
fn draw(experiment: &ExperimentExposure, facts: Facts<'_>) -> Option<(u16, ReleaseId, Drawn)> {
    let bucket = bucket(&experiment.salt, facts.subject);
    let named = |segment| experiment.segments.iter().position(|name| name == segment);
    let segment = facts.segment.and_then(named);
    let division = experiment.divisions.get(segment.unwrap_or(experiment.segments.len()))?;
    let place = division.variant(bucket)?;
    let variant = experiment.variants.get(usize::from(place))?;
    let drawn = Drawn {
        experiment: experiment.experiment,
        name: variant.name.clone(),
        variant: place,
        segment: segment.and_then(|segment| u8::try_from(segment).ok()),
        shares: division.shares(experiment.variants.len()),
    };
    Some((bucket, variant.release, drawn))
}

/// True if a copy of the request goes to the candidate as well. Those who get
/// the candidate's own answers need no copy.
pub fn is_mirrored(bucket: u16, exposure: Exposure) -> bool {
    bucket < exposure.shadow.bp() && bucket >= exposure.weight.bp()
}

/// First bucket of the control group.
fn control_start(weight: u16) -> u16 {
    weight.max(FULL - weight.min(FULL))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::division::Division;
    use crate::ids::Digest;
    use crate::snapshot::{Kill, OnError, RolloutExposure, VariantExposure};
    use crate::units::{Span, Timestamp};

    fn release(text: &str) -> ReleaseId {
        ReleaseId(Digest::of(text.as_bytes()))
    }

    fn app(weight: u16, shadow: u16) -> AppSnapshot {
        let exposure = Exposure { weight: Share::from_bp(weight), shadow: Share::from_bp(shadow) };
        AppSnapshot {
            production: release("stable"),
            salt: "salt".to_owned(),
            subject: crate::policy::SubjectKey::User,
            rollout: Some(RolloutExposure {
                rollout: RolloutId(128),
                step: 2,
                candidate: release("candidate"),
                exposure,
            }),
            experiment: None,
            killed: None,
            fallback: None,
            on_error: OnError::Error,
            timeout: Span::from_secs(30),
            retries: 0,
        }
    }

    #[test]
    fn every_arm_gets_its_release() {
        let (stable, candidate) = (release("stable"), release("candidate"));
        for subject in (0..2000).map(|i| format!("user-{i}")) {
            let facts = Facts { subject: &subject, segment: None };
            let decision = route(&app(2500, 1000), facts);
            let wanted = if decision.arm == Arm::Candidate { candidate } else { stable };
            assert_eq!(decision.release, wanted);
            assert_eq!((decision.rollout, decision.step), (Some(RolloutId(128)), 2));
            assert_eq!(decision.shadow, None, "the first tenth has the candidate anyway");
            assert_eq!(decision.share.bp(), 2500, "whoever asks, a quarter could get it");
            let decision = route(&app(0, 1000), facts);
            assert_eq!(decision.release, stable);
            assert_eq!(decision.shadow.is_some(), decision.arm == Arm::Control);
            assert_eq!(decision.share, Share::NONE);
        }
    }

    #[test]
    fn without_a_rollout_everyone_is_stable_and_a_kill_is_told() {
        let mut app = app(5000, 0);
        app.rollout = None;
        app.killed = Some(Kill { since: Timestamp(0), by: "sam".parse().unwrap() });
        let decision = route(&app, Facts { subject: "ana", segment: None });
        assert_eq!((decision.arm, decision.release), (Arm::Stable, release("stable")));
        assert!(decision.killed && decision.rollout.is_none() && decision.shadow.is_none());
    }

    fn experiment() -> AppSnapshot {
        let shares = |bp: [u16; 3]| bp.map(Share::from_bp);
        let variant =
            |name: &str| VariantExposure { name: name.to_owned(), release: release(name) };
        AppSnapshot {
            rollout: None,
            experiment: Some(ExperimentExposure {
                experiment: ExperimentId(12),
                salt: "greeter/experiment".to_owned(),
                segment_by: Some("channel".to_owned()),
                segments: vec!["web".to_owned()],
                variants: ["stable", "short", "kind"].map(variant).to_vec(),
                divisions: vec![
                    Division::of(&shares([5000, 5000, 0])),
                    Division::of(&shares([2000, 2000, 6000])),
                ],
            }),
            ..app(0, 0)
        }
    }

    #[test]
    fn an_experiment_divides_by_its_own_salt_and_each_segment_by_its_own_table() {
        let app = experiment();
        let mut got = [[0_u32; 3]; 2];
        for subject in (0..20_000).map(|i| format!("user-{i}")) {
            for (segment, row) in [Some("web"), Some("phone")].into_iter().zip(&mut got) {
                let decision = route(&app, Facts { subject: &subject, segment });
                let drawn = decision.drawn.unwrap();
                let place = usize::from(drawn.variant);
                assert_eq!(decision.arm, Arm::Variant);
                assert_eq!(decision.release, release(["stable", "short", "kind"][place]));
                assert_eq!(decision.share, drawn.shares[place]);
                assert_eq!(decision.bucket, bucket("greeter/experiment", &subject));
                assert_eq!(drawn.segment, segment.filter(|s| *s == "web").map(|_| 0));
                row[place] += 1;
            }
        }
        for (row, wanted) in got.iter().zip([[0.5, 0.5, 0.0], [0.2, 0.2, 0.6]]) {
            for (n, share) in row.iter().zip(wanted) {
                assert!((f64::from(*n) / 20_000.0 - share).abs() < 0.012, "{got:?}");
            }
        }
        assert_eq!(got[0][2], 0, "nobody of a share of nothing");
    }

    #[test]
    fn a_rollout_goes_before_an_experiment_and_a_broken_table_is_production() {
        let mut both = experiment();
        both.rollout = app(10_000, 0).rollout;
        let facts = Facts { subject: "ana", segment: None };
        assert_eq!(route(&both, facts).arm, Arm::Candidate);
        let mut broken = experiment();
        if let Some(experiment) = &mut broken.experiment {
            experiment.divisions.clear();
        }
        let decision = route(&broken, facts);
        assert_eq!((decision.arm, decision.release), (Arm::Stable, release("stable")));
    }

    /// Golden: what a port in another language must reproduce. Places were
    /// computed with `printf 'greeter/experiment\0NAME' | sha256sum`.
    #[test]
    fn draws_are_these() {
        let app = experiment();
        let drawn = |subject, segment| {
            let decision = route(&app, Facts { subject, segment });
            (decision.bucket, decision.drawn.unwrap().name)
        };
        let all: Vec<_> = ["ana", "ben", "cleo", "dmitri", ""]
            .into_iter()
            .flat_map(|subject| [drawn(subject, Some("web")), drawn(subject, None)])
            .map(|(bucket, name)| format!("{bucket} {name}"))
            .collect();
        assert_eq!(all, GOLDEN);
    }

    const GOLDEN: [&str; 10] = [
        "2510 stable",
        "2510 short",
        "6219 short",
        "6219 kind",
        "7510 short",
        "7510 kind",
        "1263 stable",
        "1263 stable",
        "6142 short",
        "6142 kind",
    ];
}
