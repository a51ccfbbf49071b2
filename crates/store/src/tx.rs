//! A change of state, put together before it is carried out.
//!
//! The state, the audit entries and the effects of one command belong into one
//! [`Tx`]; [`Store::commit`](crate::Store::commit) carries out all of it or
//! nothing. Putting it together touches nothing, so a command can be decided
//! purely and dropped at any point.
//!
//! Every write names the generation it was decided on. The one exception,
//! [`Tx::put`], is for observations (a gateway's last sign of life), where the
//! latest word is right by definition.

use crate::error::CommitError;
use crate::object::{Index, Kind};
use domain::audit::{Actor, Entry, MAX_ENTRY_LEN};
use domain::ids::{Digest, Generation};
use domain::units::Timestamp;
use serde::Serialize;
use serde_json::Value;
use std::fmt;

/// Something to be done in the world once the state is durable: a git commit,
/// a webhook. Carried out at least once; whoever does it looks first whether it
/// is done already.
#[derive(Clone, PartialEq)]
pub struct NewEffect {
    /// Unique for ever: the same key again enqueues nothing.
    pub key: String,
    /// What to do, for the one who does it.
    pub kind: String,
    /// What is needed to do it.
    pub payload: Value,
    /// Not before this moment.
    pub not_before: Timestamp,
}

impl NewEffect {
    /// To be done at once.
    pub fn new(key: impl Into<String>, kind: impl Into<String>, payload: Value) -> Self {
        Self { key: key.into(), kind: kind.into(), payload, not_before: Timestamp(0) }
    }

    /// To be done at this moment or later.
    #[must_use]
    pub fn not_before(mut self, at: Timestamp) -> Self {
        self.not_before = at;
        self
    }
}

impl fmt::Debug for NewEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewEffect({} `{}`)", self.kind, self.key)
    }
}

/// One write of one object.
pub(crate) struct Write {
    pub(crate) kind: Kind,
    pub(crate) id: String,
    pub(crate) what: What,
}

pub(crate) enum What {
    Create(Document),
    Update(Generation, Document),
    Put(Document),
    Delete(Generation),
    Check(Option<Generation>),
}

pub(crate) struct Document {
    pub(crate) json: String,
    pub(crate) index: Index,
}

/// An audit entry, ready to be a leaf.
pub(crate) struct Leaf {
    pub(crate) at: Timestamp,
    pub(crate) actor: String,
    pub(crate) action: String,
    pub(crate) object: String,
    pub(crate) app: Option<String>,
    pub(crate) bytes: Vec<u8>,
}

/// A change of state: all of it or nothing. The first thing that cannot be
/// written is remembered and makes the commit fail.
#[must_use = "nothing happens until it is committed"]
pub struct Tx {
    pub(crate) now: Timestamp,
    pub(crate) writes: Vec<Write>,
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) effects: Vec<NewEffect>,
    pub(crate) done: Vec<i64>,
    pub(crate) blobs: Vec<(Digest, Vec<u8>)>,
    pub(crate) error: Option<CommitError>,
}

impl Tx {
    /// Nothing yet; objects written will carry this time.
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            writes: Vec::new(),
            leaves: Vec::new(),
            effects: Vec::new(),
            done: Vec::new(),
            blobs: Vec::new(),
            error: None,
        }
    }

    /// An object that must not exist yet.
    pub fn create<T: Serialize>(
        &mut self,
        kind: Kind,
        id: impl fmt::Display,
        doc: &T,
        index: Index,
    ) -> &mut Self {
        self.write(kind, id, doc, index, What::Create)
    }

    /// A new version of an object that must be of generation `expected`.
    pub fn update<T: Serialize>(
        &mut self,
        kind: Kind,
        id: impl fmt::Display,
        expected: Generation,
        doc: &T,
        index: Index,
    ) -> &mut Self {
        self.write(kind, id, doc, index, |document| What::Update(expected, document))
    }

    /// A new version, whatever there is. For observations only: it overwrites
    /// what others wrote.
    pub fn put<T: Serialize>(
        &mut self,
        kind: Kind,
        id: impl fmt::Display,
        doc: &T,
        index: Index,
    ) -> &mut Self {
        self.write(kind, id, doc, index, What::Put)
    }

    /// Takes away an object that must be of generation `expected`.
    pub fn delete(&mut self, kind: Kind, id: impl fmt::Display, expected: Generation) -> &mut Self {
        self.writes.push(Write { kind, id: id.to_string(), what: What::Delete(expected) });
        self
    }

    /// Writes nothing, but fails unless the object still is of this generation
    /// (`None`: still does not exist). For what a decision was based on.
    pub fn expect(
        &mut self,
        kind: Kind,
        id: impl fmt::Display,
        generation: Option<Generation>,
    ) -> &mut Self {
        self.writes.push(Write { kind, id: id.to_string(), what: What::Check(generation) });
        self
    }

    /// An entry of the audit log.
    pub fn audit(&mut self, entry: Entry) -> &mut Self {
        match leaf(entry) {
            Ok(leaf) => self.leaves.push(leaf),
            Err(error) => self.fail(error),
        }
        self
    }

    /// An effect; a key that was enqueued before is passed over.
    pub fn effect(&mut self, effect: NewEffect) -> &mut Self {
        self.effects.push(effect);
        self
    }

    /// The effect is done, and what it changed stands in the same transaction.
    pub fn effect_done(&mut self, id: i64) -> &mut Self {
        self.done.push(id);
        self
    }

    /// A blob; returns its digest.
    pub fn insert_blob(&mut self, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        self.blobs.push((digest, bytes));
        digest
    }

    /// True if nothing was put in.
    pub fn is_empty(&self) -> bool {
        self.error.is_none()
            && self.writes.is_empty()
            && self.leaves.is_empty()
            && self.effects.is_empty()
            && self.done.is_empty()
            && self.blobs.is_empty()
    }

    fn write<T: Serialize>(
        &mut self,
        kind: Kind,
        id: impl fmt::Display,
        doc: &T,
        index: Index,
        what: impl FnOnce(Document) -> What,
    ) -> &mut Self {
        let id = id.to_string();
        match serde_json::to_string(doc) {
            Ok(json) => self.writes.push(Write { kind, id, what: what(Document { json, index }) }),
            Err(e) => self.fail(CommitError::Document { kind, id, problem: e.to_string() }),
        }
        self
    }

    fn fail(&mut self, error: CommitError) {
        self.error.get_or_insert(error);
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let objects: Vec<String> =
            self.writes.iter().map(|write| format!("{} {}", write.kind, write.id)).collect();
        let entries: Vec<&str> = self.leaves.iter().map(|leaf| leaf.action.as_str()).collect();
        f.debug_struct("Tx")
            .field("objects", &objects)
            .field("entries", &entries)
            .field("effects", &self.effects)
            .finish_non_exhaustive()
    }
}

/// The actor as one word, for filters: `person:ana`, `controller`, `system`.
pub(crate) fn actor_key(actor: &Actor) -> String {
    match actor {
        Actor::Person(name) => format!("person:{name}"),
        Actor::Controller => "controller".to_owned(),
        Actor::System => "system".to_owned(),
    }
}

fn leaf(entry: Entry) -> Result<Leaf, CommitError> {
    let fail = |problem| CommitError::Entry { action: entry.action.clone(), problem };
    let bytes = domain::jcs::canonical(&entry).map_err(|e| fail(e.to_string()))?;
    if bytes.len() > MAX_ENTRY_LEN {
        return Err(fail(format!(
            "it has {} bytes, the longest is {MAX_ENTRY_LEN}; store the large part as a blob and name its digest",
            bytes.len()
        )));
    }
    Ok(Leaf {
        at: entry.at,
        actor: actor_key(&entry.actor),
        app: entry.app.map(String::from),
        action: entry.action,
        object: entry.object,
        bytes,
    })
}
