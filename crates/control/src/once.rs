//! The same command sent twice is done once: `Idempotency-Key`.
//!
//! Before a command runs, its key is written down with what was asked; with its
//! answer, the key is written again. So a caller that never heard the answer
//! sends the same again and is told what the first time was told.
//!
//! What must stay true:
//! - a key belongs to whoever used it: nobody reads another's answers;
//! - only what was done is remembered (2xx): a command that was refused did
//!   nothing, and may be sent again under its key;
//! - after a crash in between nobody knows, and the caller is told just that;
//! - answers that hold a secret are not kept: there is one place for secrets.

use crate::caller::secret_hash;
use crate::problem::{Problem, ProblemKind};
use crate::{Caller, Control};
use domain::units::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use store::{CommitError, Index, Kind, Tx};

/// How long a key is remembered.
pub const REMEMBERED: Span = Span::from_secs(86_400);
/// Longest key, in characters.
pub const MAX_KEY: usize = 128;
/// Largest answer that is kept, in bytes.
pub const MAX_ANSWER: usize = 1 << 20;
/// Keys one caller may have at a time; the oldest end first.
pub const MAX_KEYS: u32 = 1000;

/// An answer as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: String,
    /// The body; none if it was not kept.
    pub body: Option<String>,
}

/// A key, in the store. Its id is the hash of caller and key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KeyRecord {
    /// Hash of what was asked.
    asked: String,
    /// The process that began it.
    run: u64,
    at: Timestamp,
    given: Option<Given>,
}

/// What to do about a command with a key.
#[derive(Debug)]
pub enum Once {
    /// Run it, and say how it went.
    Run(Ticket),
    /// It was done; this was the answer.
    Done(Given),
}

/// A command under way.
#[derive(Debug)]
pub struct Ticket {
    id: String,
    generation: domain::ids::Generation,
    record: KeyRecord,
    owner: String,
}

fn problem(kind: ProblemKind, code: &str, detail: &str, hint: &str) -> Problem {
    Problem::new(kind, code, detail, hint)
}

impl Control {
    /// Looks a key up, and takes it if it is new. `asked` is all of the request
    /// that matters: the same under another key is another command.
    ///
    /// # Errors
    /// `bad_idempotency_key`, `idempotency_key_reused`, `in_flight`,
    /// `outcome_unknown`, `answer_not_kept`.
    pub async fn begin_once(
        &self,
        caller: &Caller,
        key: &str,
        asked: &str,
    ) -> Result<Once, Problem> {
        let fine =
            !key.is_empty() && key.len() <= MAX_KEY && key.bytes().all(|b| b.is_ascii_graphic());
        if !fine {
            return Err(problem(
                ProblemKind::Invalid,
                "bad_idempotency_key",
                &format!("an Idempotency-Key has 1 to {MAX_KEY} visible ASCII characters"),
                "send a new UUID with each command",
            ));
        }
        let owner = caller.name().to_string();
        let id = secret_hash(&format!("{owner}\n{key}"));
        let asked = secret_hash(asked);
        let now = self.clock.now();
        let record = KeyRecord { asked, run: self.run, at: now, given: None };
        let known = self.store.get::<KeyRecord>(Kind::Once, &id).await?;
        let mut tx = Tx::new(now);
        match known {
            Some(known) if now.since(known.doc.at) < REMEMBERED => {
                return self.known_key(known.doc, &record.asked).map(Once::Done);
            }
            Some(old) => {
                tx.delete(Kind::Once, &id, old.generation);
                self.store.commit(tx).await?;
                tx = Tx::new(now);
            }
            None => {}
        }
        self.make_room(&owner, &mut tx).await?;
        tx.create(Kind::Once, &id, &record, Index::none().parent(&owner));
        match self.store.commit(tx).await {
            Ok(_) => {}
            Err(CommitError::Conflict { .. }) => return Err(in_flight()),
            Err(other) => return Err(other.into()),
        }
        let made = self.store.get::<KeyRecord>(Kind::Once, &id).await?.ok_or_else(in_flight)?;
        Ok(Once::Run(Ticket { id, generation: made.generation, record, owner }))
    }

    fn known_key(&self, known: KeyRecord, asked: &str) -> Result<Given, Problem> {
        if known.asked != asked {
            return Err(problem(
                ProblemKind::Invalid,
                "idempotency_key_reused",
                "this Idempotency-Key was sent with another request",
                "send a new key with each command, and the same only with the same command",
            ));
        }
        match known.given {
            Some(given) if given.body.is_some() => Ok(given),
            Some(_) => Err(problem(
                ProblemKind::Refused,
                "answer_not_kept",
                "this was done already; its answer held a secret or was too large to be kept",
                "look at what there is now; for another one send a new Idempotency-Key",
            )),
            None if known.run == self.run => Err(in_flight()),
            None => Err(problem(
                ProblemKind::Refused,
                "outcome_unknown",
                "the server was stopped while it did this: nobody knows whether it was done",
                "look at what there is now; to do it again send a new Idempotency-Key",
            )),
        }
    }

    /// The oldest keys of a caller end when there are too many.
    async fn make_room(&self, owner: &str, tx: &mut Tx) -> Result<(), Problem> {
        let query = store::Query::of(Kind::Once).parent(owner);
        if self.store.count(&query).await? < u64::from(MAX_KEYS) {
            return Ok(());
        }
        for old in self.store.list::<KeyRecord>(query.limit(1)).await?.items {
            tx.delete(Kind::Once, &old.id, old.generation);
        }
        Ok(())
    }

    /// Says how it went: the answer of what was done, or nothing for what was not.
    pub async fn finish_once(&self, ticket: Ticket, given: Option<Given>) {
        let Ticket { id, generation, mut record, owner } = ticket;
        let mut tx = Tx::new(self.clock.now());
        match given {
            Some(given) => {
                record.given = Some(given);
                tx.update(Kind::Once, &id, generation, &record, Index::none().parent(owner));
            }
            None => {
                tx.delete(Kind::Once, &id, generation);
            }
        }
        if let Err(error) = self.store.commit(tx).await {
            // Whoever asks again is told that the outcome is not known.
            tracing::warn!(%error, "the answer to a command could not be kept");
        }
    }

    /// Forgets keys that are past their time.
    pub(crate) async fn forget_keys(&self, now: Timestamp) -> Result<(), Problem> {
        let mut tx = Tx::new(now);
        for key in self.all::<KeyRecord>(Kind::Once).await? {
            if now.since(key.doc.at) >= REMEMBERED {
                tx.delete(Kind::Once, &key.id, key.generation);
            }
        }
        if tx.is_empty() {
            return Ok(());
        }
        match self.store.commit(tx).await {
            // One was taken anew meanwhile: the next turn takes the rest.
            Ok(_) | Err(CommitError::Conflict { .. }) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }
}

fn in_flight() -> Problem {
    problem(
        ProblemKind::Refused,
        "in_flight",
        "the same command is still being carried out",
        "ask again in a moment with the same Idempotency-Key",
    )
    .after(Span::from_secs(1))
}
