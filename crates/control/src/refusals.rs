//! What was refused, in the audit log: writes somebody may not do, and sign-ins
//! that failed.
//!
//! Anybody can be refused as often as they like, and the log keeps everything
//! for ever. So the first refusal of its kind is written at once, its like are
//! counted and written as one entry when the window ends, and a window takes at
//! most [`MAX_KINDS`] kinds; what is beyond them is counted too.
//!
//! What must stay true: memory and log grow with windows, never with requests;
//! an entry holds who, from where, what and which rule, and nothing that was
//! sent. Counts of a window that had not ended when the process was killed are
//! lost; its first entries are not.

use crate::Control;
use crate::incidents::plain_entry;
use crate::problem::Problem;
use domain::audit::Actor;
use domain::ids::PersonName;
use domain::params;
use domain::units::{Span, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use store::Tx;

/// How long refusals of one kind are folded into one.
pub const WINDOW: Span = Span::from_secs(900);
/// Kinds of refusals told apart in one window: so many entries at its beginning,
/// and at most one more each at its end.
pub const MAX_KINDS: usize = 100;

/// What was refused. Two that are equal are of one kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// Who, if that is known.
    pub who: Option<PersonName>,
    /// From which address.
    pub source: Option<String>,
    /// What: the method and the route, never the address with what is in it.
    pub what: String,
    /// The code of the problem that was answered.
    pub code: String,
}

#[derive(Default)]
struct Window {
    since: Option<Timestamp>,
    kinds: BTreeMap<Refusal, u64>,
    beyond: u64,
}

/// The window that is open.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<Window>);

/// What a window that ended had more than was written at its beginning.
#[derive(Debug, Default, PartialEq, Eq)]
struct Folded {
    kinds: Vec<(Refusal, u64)>,
    beyond: u64,
}

impl Refusals {
    /// Counts one; true if it is the first of its kind and is to be written.
    fn count(&self, refusal: &Refusal, now: Timestamp) -> bool {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        window.since.get_or_insert(now);
        if let Some(times) = window.kinds.get_mut(refusal) {
            *times = times.saturating_add(1);
            return false;
        }
        if window.kinds.len() >= MAX_KINDS {
            window.beyond = window.beyond.saturating_add(1);
            return false;
        }
        window.kinds.insert(refusal.clone(), 1);
        true
    }

    /// Ends the window if it is over, or at the end of the process.
    fn ended(&self, now: Timestamp, at_once: bool) -> Folded {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !window.since.is_some_and(|since| at_once || now.since(since) >= WINDOW) {
            return Folded::default();
        }
        let Window { kinds, beyond, .. } = std::mem::take(&mut *window);
        Folded { kinds: kinds.into_iter().filter(|(_, times)| *times > 1).collect(), beyond }
    }
}

impl Control {
    /// Writes down that something was refused. A log that cannot be written
    /// changes nothing about the refusal.
    pub async fn note_refused(&self, refusal: Refusal) {
        let now = self.clock.now();
        if let Err(problem) = self.note_folded_refusals(false).await {
            tracing::warn!(%problem, "refusals could not be written down");
        }
        if !self.refusals.count(&refusal, now) {
            return;
        }
        let mut tx = Tx::new(now);
        put(&mut tx, now, &refusal, None);
        if let Err(problem) = self.store.commit(tx).await {
            tracing::warn!(%problem, "a refusal could not be written down");
        }
    }

    /// Writes down what was folded in a window that is over; at the end of the
    /// process (`at_once`), whatever there is.
    ///
    /// # Errors
    /// The store could not be written.
    pub async fn note_folded_refusals(&self, at_once: bool) -> Result<(), Problem> {
        let now = self.clock.now();
        let Folded { kinds, beyond } = self.refusals.ended(now, at_once);
        let mut tx = Tx::new(now);
        for (refusal, times) in kinds {
            put(&mut tx, now, &refusal, Some(times.saturating_sub(1)));
        }
        if beyond > 0 {
            let entry = plain_entry(now, Actor::System, "refusals.folded", "api".to_owned());
            tx.audit(
                entry.with(params! {"more" => beyond, "kinds_told_apart" => MAX_KINDS}).into(),
            );
        }
        if !tx.is_empty() {
            self.store.commit(tx).await?;
        }
        Ok(())
    }
}

fn put(tx: &mut Tx, now: Timestamp, refusal: &Refusal, more: Option<u64>) {
    let actor = refusal.who.clone().map_or(Actor::System, Actor::Person);
    let signing_in = refusal.what.starts_with("sign in");
    let action = if signing_in { "session.refused" } else { "write.refused" };
    let object = if signing_in { "session" } else { "api" };
    let details = match more {
        Some(more) => params! {"what" => refusal.what, "code" => refusal.code, "more" => more},
        None => params! {"what" => refusal.what, "code" => refusal.code},
    };
    let entry = plain_entry(now, actor, action, object.to_owned());
    tx.audit(entry.from(refusal.source.as_deref()).with(details).into());
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timestamp = Timestamp(1_000_000);

    fn refusal(n: usize) -> Refusal {
        Refusal {
            who: None,
            source: Some(format!("10.0.0.{n}")),
            what: "x".into(),
            code: "y".into(),
        }
    }

    #[test]
    fn a_flood_is_one_entry_now_and_one_at_the_end_of_the_window() {
        let refusals = Refusals::default();
        let written = (0..10_000).filter(|_| refusals.count(&refusal(1), T)).count();
        assert_eq!(written, 1);
        let early = T.plus(Span::from_millis(WINDOW.millis() - 1));
        assert_eq!(refusals.ended(early, false), Folded::default());
        let folded = refusals.ended(T.plus(WINDOW), false);
        assert_eq!(folded, Folded { kinds: vec![(refusal(1), 10_000)], beyond: 0 });
        assert_eq!(refusals.ended(T.plus(WINDOW), true), Folded::default(), "told once");
        assert!(refusals.count(&refusal(1), T.plus(WINDOW)), "a new window tells it again");
    }

    #[test]
    fn many_kinds_are_bounded_and_still_counted() {
        let refusals = Refusals::default();
        let written = (0..5_000).filter(|n| refusals.count(&refusal(*n), T)).count();
        assert_eq!(written, MAX_KINDS);
        let folded = refusals.ended(T, true);
        assert_eq!((folded.kinds.len(), folded.beyond), (0, 5_000 - MAX_KINDS as u64));
    }
}
