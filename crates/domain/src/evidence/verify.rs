//! Is this evidence whole, and whose is it? Asked of bytes alone.
//!
//! The statement's signature covers the SHA-256 of every other file, so one
//! signature is enough against whoever changed the package later. The rest
//! (release id, contents, proofs of the log) is checked against the signer: what
//! they put together must agree with itself and with the log they published.

use super::archive::{BadArchive, File, read};
use super::{Listed, PREDICATE, STATEMENT, STATEMENT_TYPE, Statement, component_file, entry_files};
use crate::audit::Entry;
use crate::change::Change;
use crate::dsse::{self, Envelope, IN_TOTO};
use crate::ids::{AppName, Digest, ReleaseId};
use crate::jcs;
use crate::keys::PublicKey;
use crate::manifest::Manifest;
use crate::note::VerifyingKey;
use crate::tlog_proof::TlogProof;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

/// A key somebody trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// The key of a log, with its name.
    Named(VerifyingKey),
    /// A bare key.
    Bare(PublicKey),
}

impl Key {
    fn public(&self) -> &PublicKey {
        match self {
            Self::Named(key) => key.public(),
            Self::Bare(key) => key,
        }
    }
}

impl FromStr for Key {
    type Err = crate::keys::BadKey;

    /// A verifier key (`name+id+base64`), a public key in PEM, or base64 of 32 bytes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        match text.parse() {
            Ok(key) => Ok(Self::Named(key)),
            Err(_) => text.parse().map(Self::Bare),
        }
    }
}

/// What a whole package says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// `release/…` or `change/…`.
    pub about: String,
    /// The app.
    pub app: AppName,
    /// The installation's name.
    pub origin: String,
    /// The release, if there is one.
    pub release: Option<ReleaseId>,
    /// Files that were signed.
    pub files: usize,
    /// Entries of the audit log that were proven.
    pub entries: usize,
    /// Size of the log they were proven against.
    pub log_size: u64,
    /// The key that signed, as the log names it.
    pub key: String,
    /// True if that key is the one that was asked for; false if none was.
    pub pinned: bool,
    /// What is not in the package, and why, in words.
    pub left_out: Vec<String>,
}

/// The first thing that does not match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", match file { Some(file) => format!("`{file}`: {what}"), None => what.clone() })]
pub struct Broken {
    /// The file, if it is one.
    pub file: Option<String>,
    /// What is wrong, in one sentence.
    pub what: String,
}

impl From<BadArchive> for Broken {
    fn from(bad: BadArchive) -> Self {
        Self { file: None, what: bad.to_string() }
    }
}

fn broken(file: &str, what: impl Into<String>) -> Broken {
    Broken { file: Some(file.to_owned()), what: what.into() }
}

/// Checks a package. Without a pinned key it is checked against the key inside:
/// that says whether it is whole, not whose it is.
///
/// # Errors
/// [`Broken`].
pub fn verify(bytes: &[u8], pinned: Option<&Key>) -> Result<Verified, Broken> {
    let files = read(bytes)?;
    let package = Package::open(&files)?;
    let log = package.key(pinned)?;
    let statement = package.statement(log.public())?;
    package.listed(&statement)?;
    let said = &statement.predicate;
    if said.origin != log.name() {
        let what = format!("it is of `{}`, and the key of `{}`", said.origin, log.name());
        return Err(broken(STATEMENT, what));
    }
    if let Some(id) = said.release {
        package.release(id, log.public())?;
    }
    let (entries, log_size) = package.entries(&said.entries, &log)?;
    // A story with more entries than a package takes may lack the words of some.
    if !said.left_out.iter().any(|l| l.what == super::LOG) {
        package.approvals(&entries)?;
    }
    Ok(Verified {
        about: said.about.clone(),
        app: said.app.clone(),
        origin: said.origin.clone(),
        release: said.release,
        files: files.len().saturating_sub(1),
        entries: entries.len(),
        log_size,
        key: log.to_string(),
        pinned: pinned.is_some(),
        left_out: said.left_out.iter().map(|l| format!("{}: {}", l.what, l.why)).collect(),
    })
}

/// The files, found by name.
struct Package<'a> {
    files: &'a [File],
    by_name: BTreeMap<&'a str, &'a [u8]>,
}

impl<'a> Package<'a> {
    fn open(files: &'a [File]) -> Result<Self, Broken> {
        if files.first().is_none_or(|file| file.name != STATEMENT) {
            return Err(broken(STATEMENT, "is not the first file: this is no evidence package"));
        }
        let by_name = files.iter().map(|f| (f.name.as_str(), f.bytes.as_slice())).collect();
        Ok(Self { files, by_name })
    }

    fn bytes(&self, name: &str) -> Result<&'a [u8], Broken> {
        self.by_name.get(name).copied().ok_or_else(|| broken(name, "is missing"))
    }

    fn text(&self, name: &str) -> Result<&'a str, Broken> {
        std::str::from_utf8(self.bytes(name)?).map_err(|_| broken(name, "is no text"))
    }

    /// The key of the log inside, which must be the pinned one.
    fn key(&self, pinned: Option<&Key>) -> Result<VerifyingKey, Broken> {
        let name = "keys/log.vkey";
        let key: VerifyingKey = self
            .text(name)?
            .strip_suffix('\n')
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| broken(name, "is no verifier key"))?;
        let same = match pinned {
            None => true,
            Some(Key::Named(pinned)) => *pinned == key,
            Some(bare) => bare.public() == key.public(),
        };
        if !same {
            let what = format!("the package was signed with another key than yours: {key}");
            return Err(broken(name, what));
        }
        let pem = "keys/installation.pem";
        if key.public().to_pem().ok().as_deref() != Some(self.text(pem)?) {
            return Err(broken(pem, "is another key than `keys/log.vkey`"));
        }
        Ok(key)
    }

    fn statement(&self, key: &PublicKey) -> Result<Statement, Broken> {
        let no = |what: &str| broken(STATEMENT, what);
        let bytes = self.bytes(STATEMENT)?;
        let envelope: Envelope = serde_json::from_slice(bytes)
            .map_err(|_| no("is no signed statement (a DSSE envelope)"))?;
        // One envelope has one text: nothing in it is outside what is checked.
        let one_form = jcs::canonical(&envelope).is_ok_and(|text| text == bytes)
            && envelope.signatures.iter().all(|s| s.keyid == key.id())
            && envelope.signatures.len() == 1;
        let payload = dsse::verify(&envelope, IN_TOTO, std::slice::from_ref(key))
            .map_err(|e| no(&format!("the signature does not hold: {e}")))?;
        if !one_form || !envelope.is_written_plainly(&payload) {
            return Err(no("holds more than its signature covers"));
        }
        let statement: Statement = serde_json::from_slice(&payload)
            .map_err(|e| no(&format!("is a statement of another version: {e}")))?;
        if statement.kind != STATEMENT_TYPE || statement.predicate_type != PREDICATE {
            return Err(no("is a statement about something else"));
        }
        Ok(statement)
    }

    /// The files of the archive are those of the statement, in its order.
    fn listed(&self, statement: &Statement) -> Result<(), Broken> {
        let here: Vec<&File> = self.files.iter().skip(1).collect();
        let names: BTreeSet<&str> = here.iter().map(|f| f.name.as_str()).collect();
        let signed: BTreeSet<&str> = statement.subject.iter().map(|l| l.name.as_str()).collect();
        if let Some(missing) = signed.difference(&names).next() {
            return Err(broken(missing, "was signed and is missing"));
        }
        if let Some(extra) = names.difference(&signed).next() {
            return Err(broken(extra, "was not signed: it was added"));
        }
        for (file, listed) in here.iter().zip(&statement.subject) {
            if file.name != listed.name {
                let what = format!("is not in its place: here was `{}`", listed.name);
                return Err(broken(&file.name, what));
            }
            if Listed::of(file) != *listed {
                return Err(broken(&file.name, "is not the file that was signed"));
            }
        }
        if here.len() != statement.subject.len() {
            return Err(broken(STATEMENT, "names a file twice"));
        }
        Ok(())
    }

    /// The release id follows from the manifest, and the manifest from the
    /// contents.
    fn release(&self, id: ReleaseId, key: &PublicKey) -> Result<(), Broken> {
        let name = "release/manifest.json";
        let bytes = self.bytes(name)?;
        if Digest::of(bytes) != id.0 {
            return Err(broken(name, format!("has another digest than {id}")));
        }
        let manifest: Manifest =
            serde_json::from_slice(bytes).map_err(|_| broken(name, "is no manifest"))?;
        let signed = "release/manifest.dsse.json";
        let payload = serde_json::from_slice::<Envelope>(self.bytes(signed)?)
            .ok()
            .and_then(|e| dsse::verify(&e, dsse::MANIFEST, std::slice::from_ref(key)).ok());
        if payload.as_deref() != Some(bytes) {
            return Err(broken(signed, "is not a signature over the manifest"));
        }
        for (kind, component) in &manifest.components {
            let name = component_file(*kind);
            // One that is left out is named in the statement; its digest stays.
            if let Some(bytes) = self.by_name.get(name.as_str())
                && Digest::of(bytes) != component.digest
            {
                let what = format!("is not the {kind} that the manifest names");
                return Err(broken(&name, what));
            }
        }
        Ok(())
    }

    /// Every entry is proven against one checkpoint of the log.
    fn entries(&self, places: &[u64], log: &VerifyingKey) -> Result<(Vec<Entry>, u64), Broken> {
        let checkpoint = self.text("log/checkpoint")?;
        let at = crate::note::open_checkpoint(checkpoint, log.name(), std::slice::from_ref(log))
            .map_err(|e| broken("log/checkpoint", e.to_string()))?;
        let mut entries = Vec::with_capacity(places.len());
        for index in places {
            let (leaf, proof) = entry_files(*index);
            let bytes = self.bytes(&leaf)?;
            let no = |e: crate::tlog_proof::NoProof| broken(&proof, e.to_string());
            let read = TlogProof::parse(self.text(&proof)?).map_err(no)?;
            if read.index != *index || read.checkpoint != checkpoint {
                return Err(broken(&proof, "is the proof of another entry"));
            }
            read.verify(bytes, log).map_err(no)?;
            let entry = serde_json::from_slice(bytes)
                .map_err(|e| broken(&leaf, format!("is no entry of an audit log: {e}")))?;
            entries.push(entry);
        }
        Ok((entries, at.size))
    }

    /// Every decision of a change is in the log, for the content it names.
    fn approvals(&self, entries: &[Entry]) -> Result<(), Broken> {
        for (name, bytes) in &self.by_name {
            if !(name.starts_with("change/") && name.ends_with("/change.json")) {
                continue;
            }
            let change: Change = serde_json::from_slice(bytes)
                .map_err(|e| broken(name, format!("is no change: {e}")))?;
            let object = format!("change/{}", change.id);
            for approval in &change.approvals {
                let logged = entries.iter().any(|entry| {
                    let content = entry.details.get("content").and_then(|c| c.as_str());
                    entry.object == object
                        && matches!(entry.action.as_str(), "change.approved" | "change.rejected")
                        && entry.actor == crate::audit::Actor::Person(approval.by.clone())
                        && content == Some(approval.content.to_string().as_str())
                });
                if !logged {
                    let what = format!("the log has no word of `{}` on this content", approval.by);
                    return Err(broken(name, what));
                }
            }
        }
        Ok(())
    }
}
