//! Telling people: what happened becomes messages, and messages arrive.
//!
//! Two steps, each repeated until there is nothing left to do:
//! - `take`: entries of the audit log that nobody was told of yet become
//!   messages, in the transaction that moves the place in the log on;
//! - `send`: each message is an effect of the outbox, tried until it arrived or
//!   is a dead letter.
//!
//! Kill the process anywhere: an entry was taken with all its messages or not at
//! all, and a message that may have arrived is sent again under the same id.
//!
//! - `channels`: what admins configure; `secrets`: how its secrets are kept;
//! - `inspect`: previews, tests, the list of messages, preferences;
//! - `render`: the words.
//!
//! What must stay true: no secret of a channel leaves this module but toward
//! its receiver; nothing here holds up the loop that looks at rollouts.

mod channels;
mod inspect;
mod render;
mod secrets;
mod send;
mod take;
mod views;

pub use views::{
    ChannelKind, ChannelView, DeliveryView, EmailSettings, MadeChannel, NewChannel, NewPreferences,
    PreferencesView, PreviewView, Tested,
};

use crate::Control;
use crate::problem::Problem;
use domain::ids::PersonName;
use domain::notice::Event;
use domain::sentence::Sentence;
use domain::units::{Span, Timestamp};
use secrets::Held;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use store::{Index, Kind};
use tokio::sync::watch;

/// Their kind in the outbox.
pub(crate) const KIND: &str = "notify";
/// Longest time between two rounds, should a wake-up ever be missed.
const AT_LEAST_EVERY: Span = Span::from_secs(30);

/// A channel as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ChannelRecord {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: ChannelKind,
    pub(crate) enabled: bool,
    pub(crate) url: Option<Held>,
    pub(crate) secret: Option<Held>,
    /// What of the address may be shown.
    pub(crate) target: String,
    pub(crate) email: Option<EmailSettings>,
    pub(crate) events: BTreeSet<Event>,
    pub(crate) apps: BTreeSet<domain::ids::AppName>,
    pub(crate) allow_private: bool,
    pub(crate) created_at: Timestamp,
    /// Why it was switched off, if not by a person.
    pub(crate) disabled: Option<Sentence>,
}

/// How the last try of a channel went. Apart from the channel, so that sending
/// never gets into the way of editing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LastTry {
    pub(crate) at: Timestamp,
    pub(crate) ok: bool,
    pub(crate) text: String,
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    Waiting,
    Sent,
    Dead,
    Dropped,
}

impl Standing {
    fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Dead => "dead",
            Self::Dropped => "dropped",
        }
    }
}

/// One thing a message tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) event: Event,
    pub(crate) app: domain::ids::AppName,
    pub(crate) cause: String,
    pub(crate) subject: String,
    pub(crate) what: Sentence,
    /// What is asked of the person it goes to.
    pub(crate) ask: Option<Sentence>,
    /// Who is asked, for a room or a program.
    pub(crate) asked: Vec<PersonName>,
    pub(crate) url: String,
    pub(crate) at: Timestamp,
    /// Repeats folded into it.
    pub(crate) again: u32,
}

/// A message: to one person, room or program, by one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DeliveryRecord {
    pub(crate) id: String,
    pub(crate) channel: String,
    pub(crate) to: Option<PersonName>,
    /// What repeats and digests are found by.
    pub(crate) fold: String,
    pub(crate) items: Vec<Item>,
    /// Items that no longer fitted a digest.
    pub(crate) left_out: u32,
    pub(crate) state: Standing,
    /// Tries begun, in this round.
    pub(crate) attempts: u32,
    /// How often a person had it sent again.
    pub(crate) round: u32,
    pub(crate) next_at: Timestamp,
    pub(crate) created_at: Timestamp,
    pub(crate) done_at: Option<Timestamp>,
    pub(crate) error: Option<String>,
}

impl DeliveryRecord {
    /// True if it waits and nobody may have received it.
    fn untouched(&self) -> bool {
        self.state == Standing::Waiting && self.attempts == 0 && self.round == 0
    }

    fn index(&self) -> Index {
        Index::none().state(self.state.word()).parent(&self.fold)
    }

    /// The effect that carries out its next try.
    fn effect(&self) -> store::NewEffect {
        let key = format!("{KIND}/{}/{}.{}", self.id, self.round, self.attempts);
        store::NewEffect::new(key, KIND, serde_json::json!({"delivery": self.id}))
            .not_before(self.next_at)
    }
}

/// The place in the audit log up to which people were told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Entries before this one were taken.
    pub(crate) next: u64,
}

impl Control {
    /// Tells people until `shutdown` turns true. Wakes with every commit.
    pub(crate) async fn keep_telling(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) {
        let mut commits = self.store.subscribe();
        while !*shutdown.borrow() {
            let failed = self.tell_people().await.is_err_and(|problem| {
                tracing::warn!(%problem, "people could not be told; trying again");
                true
            });
            // What this round wrote is no news to it.
            commits.mark_unchanged();
            let wait = self.until_next_message(failed).await;
            tokio::select! {
                () = tokio::time::sleep(wait.into()) => {}
                _ = commits.changed(), if !failed => {}
                _ = shutdown.changed() => {}
            }
        }
    }

    async fn until_next_message(&self, failed: bool) -> Span {
        if failed {
            return self.config.look_every;
        }
        let next = self.store.next_effect_at(KIND).await.ok().flatten();
        let now = self.clock.now();
        match next {
            Some(next) if next <= now => self.config.look_every,
            Some(next) => next.since(now).min(AT_LEAST_EVERY),
            None => AT_LEAST_EVERY,
        }
    }

    /// One round: takes what happened, sends what is due.
    ///
    /// # Errors
    /// The store could not be read or written; the next round goes on from there.
    pub async fn tell_people(&self) -> Result<(), Problem> {
        self.take_notices().await?;
        self.send_due().await
    }

    /// Begins to tell from the end of the log as it is now, where nothing was
    /// told yet: nobody is told the history of an installation.
    pub(crate) async fn begin_telling(&self) -> Result<(), Problem> {
        if self.store.get::<Place>(Kind::Meta, take::PLACE).await?.is_some() {
            return Ok(());
        }
        let place = Place { next: self.store.log_size().await? };
        let mut tx = store::Tx::new(self.clock.now());
        tx.create(Kind::Meta, take::PLACE, &place, Index::none());
        self.store.commit(tx).await?;
        Ok(())
    }
}
