//! From a notice to messages: who is told where, and when.

use super::{Event, Mode, Notice, Preferences};
use crate::ids::{AppName, PersonName};
use crate::people::{Person, Role};
use crate::sentence::Sentence;
use crate::units::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// How long repeats of one cause are kept together after a message about it.
pub const FOLD_WITHIN: Span = Span::from_secs(600);

/// A channel, as far as it decides who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its id.
    pub channel: String,
    /// True if each person is written to; else one message goes to a room or a
    /// program.
    pub personal: bool,
    /// Only of these; of all if empty.
    pub events: BTreeSet<Event>,
    /// Only about these apps; about all if empty.
    pub apps: BTreeSet<AppName>,
    /// Not of what happened before.
    pub since: Timestamp,
}

impl Route {
    fn takes(&self, notice: &Notice) -> bool {
        notice.at >= self.since
            && (self.events.is_empty() || self.events.contains(&notice.event))
            && (self.apps.is_empty() || self.apps.contains(&notice.app))
    }
}

/// One message to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// By which channel.
    pub channel: String,
    /// To whom; a room or a program if absent.
    pub to: Option<PersonName>,
    /// In the digest of the hour instead of at once.
    pub hourly: bool,
    /// What is asked of this person.
    pub ask: Option<Sentence>,
}

/// Who is told of a notice, where.
pub fn plan(
    notice: &Notice,
    routes: &[Route],
    people: &[Person],
    preferences: &BTreeMap<PersonName, Preferences>,
) -> Vec<Planned> {
    let mut all = Vec::new();
    for route in routes.iter().filter(|route| route.takes(notice)) {
        let channel = route.channel.clone();
        if !route.personal {
            all.push(Planned { channel, to: None, hourly: false, ask: None });
            continue;
        }
        for person in people.iter().filter(|person| reachable(person)) {
            let ask = notice.asked.get(&person.name);
            if ask.is_none() && !notice.told.contains(&person.name) {
                continue;
            }
            let wish = preferences.get(&person.name).cloned().unwrap_or_default();
            let mode = wish.mode(notice.event, &person.roles);
            if mode != Mode::Off {
                let to = Some(person.name.clone());
                let hourly = mode == Mode::Hourly;
                all.push(Planned { channel: channel.clone(), to, hourly, ask: ask.cloned() });
            }
        }
    }
    all
}

/// A program reads its messages elsewhere, and names below `.invalid` are what
/// people have who gave no address (RFC 2606).
fn reachable(person: &Person) -> bool {
    let host = person.email.rsplit_once('@').map_or("", |(_, host)| host).to_ascii_lowercase();
    let invalid = host.is_empty() || host == "invalid" || host.ends_with(".invalid");
    !invalid && !person.roles.contains(&Role::Agent)
}

/// The last message with the same cause, to the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Last {
    /// It waits, and was not tried yet.
    pub untouched: bool,
    /// When it was made.
    pub at: Timestamp,
}

/// What becomes of a repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// A message of its own, now.
    Send,
    /// A message of its own, not before this moment: others may join it.
    Hold(Timestamp),
    /// Part of the last message, which is still here.
    Join,
}

/// Keeps repeats of one cause together.
pub fn fold(last: Option<Last>, now: Timestamp) -> Fold {
    match last {
        Some(last) if last.untouched => Fold::Join,
        Some(last) if now >= last.at && now.since(last.at) < FOLD_WITHIN => {
            Fold::Hold(last.at.plus(FOLD_WITHIN))
        }
        _ => Fold::Send,
    }
}
