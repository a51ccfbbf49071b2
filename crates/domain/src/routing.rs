//! Who answers a request: `route(app, facts) → decision`.
//!
//! Sticky without a store: a subject's place in [0, 10 000) is
//! `SHA-256(salt ‖ 0x00 ‖ subject)`, its first eight bytes as a big-endian
//! number, modulo 10 000. SHA-256, because every language has it and every
//! port must agree to the bit.
//!
//! The candidate takes `[0, w)`. An equally large control for comparison takes
//! `[10 000 − w, 10 000)`, or what is left when `w` exceeds half. Everyone else
//! serves the stable release and is not compared. Growing `w` moves nobody off
//! the candidate.

use crate::ids::{ReleaseId, RolloutId};
use crate::snapshot::AppSnapshot;
use crate::units::{FULL, Share};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What routing may know about a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// The sticky key.
    pub subject: &'a str,
}

/// Who answers, and how the answer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// Serves the stable release; not compared.
    Stable,
    /// Serves the stable release; compared with the candidate.
    Control,
    /// Serves the candidate.
    Candidate,
    /// A mirrored copy answered by the candidate, never shown.
    Shadow,
}

impl Arm {
    /// The word in headers, metrics and logs.
    pub fn key(self) -> &'static str {
        match self {
            Arm::Stable => "stable",
            Arm::Control => "control",
            Arm::Candidate => "candidate",
            Arm::Shadow => "shadow",
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
    /// candidate *given that it is compared*: candidate ÷ (candidate + control).
    pub share: Share,
    /// Also send a copy to this release.
    pub shadow: Option<ReleaseId>,
    /// The kill switch is thrown: answer from the fallback.
    pub killed: bool,
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
        shadow: None,
        killed: app.killed.is_some(),
    };
    let Some(rollout) = &app.rollout else { return stable };
    let weight = rollout.exposure.weight.bp();
    let control = FULL - control_start(weight);
    let share = match weight {
        0 => Share::NONE,
        w => Share::from_bp(
            (u32::from(w) * u32::from(FULL) / (u32::from(w) + u32::from(control))) as u16,
        ),
    };
    let mirrored = bucket < rollout.exposure.shadow.bp();
    let arm = if bucket < weight {
        Arm::Candidate
    } else if (weight > 0 && bucket >= control_start(weight)) || (weight == 0 && mirrored) {
        Arm::Control
    } else {
        Arm::Stable
    };
    Decision {
        arm,
        release: if arm == Arm::Candidate { rollout.candidate } else { app.production },
        rollout: Some(rollout.rollout),
        step: rollout.step,
        share,
        shadow: (mirrored && arm != Arm::Candidate).then_some(rollout.candidate),
        ..stable
    }
}

/// First bucket of the control group.
fn control_start(weight: u16) -> u16 {
    weight.max(FULL - weight.min(FULL))
}
