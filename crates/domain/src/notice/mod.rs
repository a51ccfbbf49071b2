//! What people are told of, decided without a world.
//!
//! - [`decide`]: from what happened to whom it concerns and what is asked of them;
//! - [`plan`]: from that to who is told, where and when;
//! - [`Preferences`]: how a person wants to be told;
//! - [`retry_after`]: when a message that failed is tried again.
//!
//! What must stay true: a person is asked only for what they may do; who may
//! stop harm cannot silence harm ([`always`]).

mod decide;
mod plan;
#[cfg(test)]
mod tests;

pub use decide::{About, concerns, decide};
pub use plan::{Fold, Last, Planned, Route, fold, plan};

use crate::ids::{AppName, PersonName};
use crate::people::{Permission, Role, may};
use crate::sentence::Sentence;
use crate::units::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::{fmt, str::FromStr};

/// A kind of thing that people are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A change waits for somebody's yes or no.
    NeedsApproval,
    /// A change has something to mend.
    ChecksFailed,
    /// A rollout waits for a decision.
    Paused,
    /// Everyone is on the last good release again.
    WentBack,
    /// The kill switch was thrown.
    Killed,
    /// A release is live for everyone.
    Promoted,
    /// An incident that is neither of the two above, or one that lacks a reason.
    Incident,
    /// A budget was reached.
    Budget,
}

impl Event {
    /// Every event.
    pub const ALL: [Event; 8] = [
        Self::NeedsApproval,
        Self::ChecksFailed,
        Self::Paused,
        Self::WentBack,
        Self::Killed,
        Self::Promoted,
        Self::Incident,
        Self::Budget,
    ];

    /// The word in messages and files.
    pub fn key(self) -> &'static str {
        match self {
            Self::NeedsApproval => "needs_approval",
            Self::ChecksFailed => "checks_failed",
            Self::Paused => "paused",
            Self::WentBack => "went_back",
            Self::Killed => "killed",
            Self::Promoted => "promoted",
            Self::Incident => "incident",
            Self::Budget => "budget",
        }
    }

    /// What a subject begins with for those of whom nothing is asked.
    pub fn title(self) -> &'static str {
        match self {
            Self::NeedsApproval => "Sent for approval",
            Self::ChecksFailed => "Something to mend",
            Self::Paused => "Paused",
            Self::WentBack => "Went back",
            Self::Killed => "Stopped",
            Self::Promoted => "Live for everyone",
            Self::Incident => "Incident",
            Self::Budget => "Budget",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

impl FromStr for Event {
    type Err = crate::ids::InvalidId;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|e| e.key() == text).ok_or_else(|| crate::ids::InvalidId {
            given: text.to_owned(),
            wanted: "an event: needs_approval, checks_failed, paused, went_back, killed, promoted, incident or budget",
        })
    }
}

/// Something that happened, and whom it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What kind of thing.
    pub event: Event,
    /// The app.
    pub app: AppName,
    /// What repeats of it have in common; they are folded into one message.
    pub cause: String,
    /// What it is about, for a subject line, for example `mail, change #41`.
    pub about: String,
    /// What happened, as the server says it everywhere.
    pub what: Sentence,
    /// The page where the decision is taken, below the server's address.
    pub place: String,
    /// Of whom something is asked, and what.
    pub asked: BTreeMap<PersonName, Sentence>,
    /// Who else is told.
    pub told: BTreeSet<PersonName>,
    /// When.
    pub at: Timestamp,
}

impl Notice {
    /// The subject line for somebody.
    pub fn subject(&self, asked: bool) -> String {
        let title = if asked { "Needs you" } else { self.event.title() };
        format!("{title}: {}", self.about)
    }
}

/// How soon a person wants to be told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// With a message of its own.
    #[default]
    AtOnce,
    /// In one message an hour.
    Hourly,
    /// Not at all; the inbox shows what waits.
    Off,
}

impl FromStr for Mode {
    type Err = crate::ids::InvalidId;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "at_once" => Ok(Self::AtOnce),
            "hourly" => Ok(Self::Hourly),
            "off" => Ok(Self::Off),
            _ => Err(crate::ids::InvalidId {
                given: text.to_owned(),
                wanted: "at_once, hourly or off",
            }),
        }
    }
}

/// How a person wants to be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preferences {
    /// Of what is not named.
    #[serde(default)]
    pub mode: Mode,
    /// By event.
    #[serde(default)]
    pub events: BTreeMap<Event, Mode>,
}

impl Preferences {
    /// How somebody with these roles is told of this.
    pub fn mode(&self, event: Event, roles: &BTreeSet<Role>) -> Mode {
        if always(roles).contains(&event) {
            return Mode::AtOnce;
        }
        self.events.get(&event).copied().unwrap_or(self.mode)
    }
}

/// What somebody with these roles is told of at once, whatever they prefer: who
/// may stop harm is told of harm.
pub fn always(roles: &BTreeSet<Role>) -> &'static [Event] {
    if may(roles, Permission::Operate) {
        &[Event::WentBack, Event::Killed, Event::Incident]
    } else {
        &[]
    }
}

/// Waits before each try, the first included, as Standard Webhooks 1.0 suggests:
/// about three days in all.
const SCHEDULE: [Span; 10] = [
    Span::ZERO,
    Span::from_secs(5),
    Span::from_secs(5 * 60),
    Span::from_secs(30 * 60),
    Span::from_secs(2 * 3600),
    Span::from_secs(5 * 3600),
    Span::from_secs(10 * 3600),
    Span::from_secs(14 * 3600),
    Span::from_secs(20 * 3600),
    Span::from_secs(24 * 3600),
];

/// Tries of a message before it is a dead letter.
pub const TRIES: u32 = SCHEDULE.len() as u32;

/// The largest part of a wait that is added by jitter.
const JITTER: f64 = 0.2;

/// How long to wait after so many failed tries; none if that was the last.
/// `jitter` is drawn evenly from [0, 1), so that messages which failed together
/// are not tried again together.
pub fn retry_after(failed: u32, jitter: f64) -> Option<Span> {
    let wait = SCHEDULE.get(usize::try_from(failed).ok()?)?;
    #[allow(clippy::cast_possible_truncation, reason = "at most a fifth of a day")]
    let more = (wait.secs() * 1000.0 * JITTER * jitter.clamp(0.0, 1.0)) as i64;
    Some(Span::from_millis(wait.millis().saturating_add(more)))
}
