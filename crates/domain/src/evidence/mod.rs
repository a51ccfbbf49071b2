//! Evidence: the whole story of a release or a change as one file that anybody
//! can check without this installation, a network, or trust in who hands it over.
//!
//! [`layout`] says which files there are and what is in them; [`package`] lists
//! them with their SHA-256 in an in-toto statement, signs it, and puts all into
//! one archive; [`verify()`] takes nothing but the bytes and, if there is one, a
//! pinned key.
//!
//! What must stay true:
//! - the same story gives the same bytes: there is no clock in here, and the log
//!   is proven as it was when the story's last entry came in, whatever was
//!   written since;
//! - every file but the statement is in the statement, in the archive's order;
//! - what stands in here was redacted before: this crate knows no secrets.
//!
//! `docs/evidence.md` describes the form; its words are those of this file.

mod archive;
mod guide;
mod html;
mod verify;

pub use archive::{BadArchive, File, MAX_ARCHIVE, MAX_ENTRIES, MAX_NAME, read, write};
pub use verify::{Broken, Key, Verified, verify};

use crate::approval;
use crate::change::Change;
use crate::component::ComponentKind;
use crate::dsse::{self, IN_TOTO};
use crate::ids::{AppName, Digest, ReleaseId, RolloutId};
use crate::incident::Incident;
use crate::jcs::{self, NotCanonical};
use crate::keys::SecretKey;
use crate::manifest::{API_VERSION, ComponentDiff, Manifest};
use crate::merkle::Hash;
use crate::note::VerifyingKey;
use crate::rollout::{Report, RolloutState};
use crate::tlog_proof::TlogProof;
use crate::units::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The signed statement, first in the archive.
pub const STATEMENT: &str = "evidence.dsse.json";
/// What is named as left out if not all entries of the log are in a package.
pub const LOG: &str = "log";
/// What the statement says of its files.
pub const PREDICATE: &str = "https://tidegate.dev/attestation/evidence/v1";
/// The type of an in-toto statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// What the evidence is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A release.
    Release(ReleaseId),
    /// A change.
    Change(crate::ids::ChangeId),
}

impl fmt::Display for Subject {
    /// As objects are named in the audit log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release(id) => write!(f, "release/{id}"),
            Self::Change(id) => write!(f, "change/{id}"),
        }
    }
}

/// Everything that is told.
#[derive(Debug, Clone)]
pub struct Story {
    /// What about.
    pub subject: Subject,
    /// The app.
    pub app: AppName,
    /// Name of the installation, as its audit log is signed.
    pub origin: String,
    /// The environment whose alias moved.
    pub environment: String,
    /// Version of Tidegate that tells it.
    pub tool_version: String,
    /// The release; absent for a change that never could be composed.
    pub release: Option<ReleasePart>,
    /// Changes that brought it.
    pub changes: Vec<ChangePart>,
    /// Rollouts of it.
    pub rollouts: Vec<RolloutPart>,
    /// Incidents it had a part in.
    pub incidents: Vec<Incident>,
    /// When the alias pointed at it.
    pub aliases: Vec<AliasPart>,
    /// Entries of the audit log, oldest first.
    pub entries: Vec<LoggedEntry>,
    /// The log's checkpoint that the entries are proven against.
    pub checkpoint: String,
    /// What is not in here, and why.
    pub left_out: Vec<LeftOut>,
}

/// A release, and how it differs from what was live when it was proposed.
#[derive(Debug, Clone)]
pub struct ReleasePart {
    /// Its id.
    pub id: ReleaseId,
    /// Its manifest.
    pub manifest: Manifest,
    /// The manifest as it was signed.
    pub envelope: Value,
    /// Contents that may be shown; one that may not is in [`Story::left_out`].
    pub contents: BTreeMap<ComponentKind, Value>,
    /// Its bill of materials.
    pub bom: Value,
    /// The commit it was composed from.
    pub commit: String,
    /// When.
    pub created_at: Timestamp,
    /// What it is compared with.
    pub before: Option<ReleaseId>,
    /// Component by component.
    pub differences: Vec<ComponentDiff>,
    /// Unified diffs of the contents that differ, by kind.
    pub texts: BTreeMap<ComponentKind, String>,
}

/// A change with what was found out about it.
#[derive(Debug, Clone)]
pub struct ChangePart {
    /// The record.
    pub change: Change,
    /// Its unified diff.
    pub diff: String,
    /// What its suites measured.
    pub evaluation: Option<Value>,
    /// Their cases, a line of JSON each.
    pub cases: Option<String>,
}

/// A rollout with its looks.
#[derive(Debug, Clone)]
pub struct RolloutPart {
    /// The machine's state, the plan included.
    pub state: RolloutState,
    /// What is kept around it: harm, commit, time to swing back.
    pub around: Value,
    /// Looks that said something else than the one before, the first and the last.
    pub looks: Vec<Report>,
    /// Looks that are kept in all.
    pub all_looks: u64,
}

/// One time the alias pointed at a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AliasPart {
    /// The release.
    pub release: ReleaseId,
    /// Since when.
    pub from: Timestamp,
    /// Until when; absent if it still does.
    pub until: Option<Timestamp>,
    /// By what: `start`, `rollout`, `rollback`.
    pub by: String,
}

/// An entry of the audit log with its proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEntry {
    /// Its place, from 0.
    pub index: u64,
    /// Its canonical bytes.
    pub bytes: Vec<u8>,
    /// Hashes from leaf to root.
    pub proof: Vec<Hash>,
}

/// Something that is not in the package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// What, as a file name or in words.
    pub what: String,
    /// Why.
    pub why: String,
    /// Digest of it, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// Why there is no package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPackage {
    /// Over a limit, or a name that cannot be.
    #[error(transparent)]
    Archive(#[from] BadArchive),
    /// A content without canonical form.
    #[error(transparent)]
    NotCanonical(#[from] NotCanonical),
    /// Something that has no JSON form.
    #[error("a part of the evidence has no JSON form: {0}")]
    Json(String),
    /// A key that cannot be written.
    #[error("the installation's key cannot be written: {0}")]
    Key(String),
}

/// The statement that is signed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Statement {
    #[serde(rename = "_type")]
    pub(crate) kind: String,
    pub(crate) subject: Vec<Listed>,
    #[serde(rename = "predicateType")]
    pub(crate) predicate_type: String,
    pub(crate) predicate: Predicate,
}

/// One file of the statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) digest: BTreeMap<String, String>,
}

/// What else the statement says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Predicate {
    #[serde(rename = "apiVersion")]
    pub(crate) api_version: String,
    /// `release/…` or `change/…`.
    pub(crate) about: String,
    pub(crate) app: AppName,
    pub(crate) origin: String,
    #[serde(rename = "toolVersion")]
    pub(crate) tool_version: String,
    pub(crate) release: Option<ReleaseId>,
    /// Places of the entries in the log, in the package's order.
    pub(crate) entries: Vec<u64>,
    #[serde(rename = "leftOut")]
    pub(crate) left_out: Vec<LeftOut>,
}

/// The files of a story in their order, without the statement.
///
/// # Errors
/// [`NoPackage`].
pub fn layout(story: &Story, key: &VerifyingKey) -> Result<Vec<File>, NoPackage> {
    let mut files = vec![
        File::new("VERIFY.md", guide::text(story, key)),
        File::new("report.html", html::report(story)),
        pretty("story.json", &summary(story))?,
    ];
    if let Some(release) = &story.release {
        files.push(File::new("release/manifest.json", release.manifest.canonical()?));
        files.push(pretty("release/manifest.dsse.json", &release.envelope)?);
        for (kind, content) in &release.contents {
            files.push(File::new(component_file(*kind), jcs::canonical(content)?));
        }
        files.push(pretty("release/bom.cdx.json", &release.bom)?);
        let compared = json!({
            "before": release.before, "after": release.id, "components": release.differences,
        });
        files.push(pretty("release/difference.json", &compared)?);
        for (kind, text) in &release.texts {
            files.push(File::new(format!("release/difference/{}.diff", kind.key()), text.as_str()));
        }
    }
    for part in &story.changes {
        let folder = format!("change/{}", part.change.id);
        files.push(pretty(&format!("{folder}/change.json"), &part.change)?);
        files.push(File::new(format!("{folder}/change.diff"), part.diff.as_str()));
        files.push(pretty(&format!("{folder}/checks.json"), &part.change.report)?);
        files.push(pretty(&format!("{folder}/approvals.json"), &approvals(&part.change))?);
        if let Some(evaluation) = &part.evaluation {
            files.push(pretty(&format!("{folder}/evaluation.json"), evaluation)?);
        }
        if let Some(cases) = &part.cases {
            files.push(File::new(format!("{folder}/cases.jsonl"), cases.as_str()));
        }
    }
    for part in &story.rollouts {
        let folder = format!("rollout/{}", part.state.id);
        let document = json!({
            "state": part.state, "around": part.around,
            "looks": {"all": part.all_looks, "told": part.looks.len()},
        });
        files.push(pretty(&format!("{folder}/rollout.json"), &document)?);
        let mut lines = Vec::new();
        for look in &part.looks {
            lines.extend(canonical(look)?);
            lines.push(b'\n');
        }
        files.push(File::new(format!("{folder}/looks.jsonl"), lines));
    }
    for incident in &story.incidents {
        files.push(pretty(&format!("incident/{}.json", incident.id), incident)?);
    }
    files.push(File::new("log/checkpoint", story.checkpoint.as_str()));
    for entry in &story.entries {
        let (leaf, proof) = entry_files(entry.index);
        files.push(File::new(leaf, entry.bytes.as_slice()));
        let text = TlogProof {
            index: entry.index,
            hashes: entry.proof.clone(),
            checkpoint: story.checkpoint.clone(),
        };
        files.push(File::new(proof, text.text()));
    }
    let pem = key.public().to_pem().map_err(|e| NoPackage::Key(e.to_string()))?;
    files.push(File::new("keys/installation.pem", pem));
    files.push(File::new("keys/log.vkey", format!("{key}\n")));
    Ok(files)
}

/// The archive: the statement over the files of [`layout`], and the files.
///
/// # Errors
/// [`NoPackage`].
pub fn package(story: &Story, key: &SecretKey, log: &VerifyingKey) -> Result<Vec<u8>, NoPackage> {
    let mut files = layout(story, log)?;
    let statement = statement(story, &files);
    let envelope = dsse::sign(IN_TOTO, &canonical(&statement)?, key);
    files.insert(0, File::new(STATEMENT, canonical(&envelope)?));
    Ok(write(&files)?)
}

fn statement(story: &Story, files: &[File]) -> Statement {
    Statement {
        kind: STATEMENT_TYPE.to_owned(),
        subject: files.iter().map(Listed::of).collect(),
        predicate_type: PREDICATE.to_owned(),
        predicate: Predicate {
            api_version: API_VERSION.to_owned(),
            about: story.subject.to_string(),
            app: story.app.clone(),
            origin: story.origin.clone(),
            tool_version: story.tool_version.clone(),
            release: story.release.as_ref().map(|r| r.id),
            entries: story.entries.iter().map(|e| e.index).collect(),
            left_out: story.left_out.clone(),
        },
    }
}

impl Listed {
    pub(crate) fn of(file: &File) -> Self {
        let hash = Digest::of(&file.bytes).hex();
        Self { name: file.name.clone(), digest: [("sha256".to_owned(), hash)].into() }
    }
}

/// Where the content of a component is.
pub(crate) fn component_file(kind: ComponentKind) -> String {
    format!("release/components/{}.json", kind.key())
}

/// Where an entry of the log and its proof are. Ten digits, so that names sort as
/// entries do.
pub(crate) fn entry_files(index: u64) -> (String, String) {
    (format!("log/{index:010}.json"), format!("log/{index:010}.tlog-proof"))
}

/// Most looks of a rollout that are told; the last one always is.
pub const MAX_TOLD: usize = 2_000;

/// Picks the looks that are told, as they are read, oldest first: the first, the
/// last, and every one that says something else than the one before it.
#[derive(Debug, Default)]
pub struct Telling {
    told: Vec<Report>,
    last: Option<Report>,
    said: Option<Value>,
    all: u64,
    passed_over: u64,
}

impl Telling {
    /// The next look.
    pub fn push(&mut self, look: Report) {
        let signals: Vec<_> = look
            .signals
            .iter()
            .map(|s| json!([s.verdict.signal, s.verdict.outcome, s.over]))
            .collect();
        let says = json!([look.phase, look.step, look.exposure, look.summary.code, signals]);
        self.all = self.all.saturating_add(1);
        if self.said.as_ref() == Some(&says) {
            self.last = Some(look);
        } else if self.told.len() < MAX_TOLD {
            self.told.push(look);
            self.last = None;
        } else {
            self.passed_over = self.passed_over.saturating_add(1);
            self.last = Some(look);
        }
        self.said = Some(says);
    }

    /// The told looks, how many there were, and how many had no room.
    pub fn done(mut self) -> (Vec<Report>, u64, u64) {
        self.told.extend(self.last);
        (self.told, self.all, self.passed_over)
    }
}

/// The decisions on a change, each with whether it counts for its content as it
/// was merged.
fn approvals(change: &Change) -> Value {
    let authors: BTreeSet<_> =
        change.contributors.iter().chain([&change.author]).cloned().collect();
    let decisions: Vec<Value> = change
        .approvals
        .iter()
        .map(|a| {
            let counts = a.content == change.content && !authors.contains(&a.by);
            json!({"decision": a, "counts": counts})
        })
        .collect();
    let missing =
        approval::missing(&change.requirements, &change.approvals, &authors, change.content);
    json!({
        "content": change.content, "authors": authors, "required": change.requirements,
        "decisions": decisions, "missing": missing,
    })
}

/// `story.json`: what is in here, and how it hangs together.
fn summary(story: &Story) -> Value {
    let rollouts: Vec<RolloutId> = story.rollouts.iter().map(|r| r.state.id).collect();
    json!({
        "apiVersion": API_VERSION,
        "about": story.subject.to_string(),
        "app": story.app,
        "environment": story.environment,
        "origin": story.origin,
        "toolVersion": story.tool_version,
        "asOf": story.entries.iter().filter_map(at).max(),
        "release": story.release.as_ref().map(|r| json!({
            "id": r.id, "commit": r.commit, "created_at": r.created_at, "before": r.before,
        })),
        "changes": story.changes.iter().map(|c| json!({
            "id": c.change.id, "title": c.change.title, "state": c.change.state,
            "branch": c.change.branch, "base": c.change.base, "head": c.change.head,
            "content": c.change.content, "merge_commit": c.change.merge_commit,
            "revert_commit": c.change.revert_commit,
        })).collect::<Vec<_>>(),
        "rollouts": rollouts,
        "incidents": story.incidents.iter().map(|i| i.id).collect::<Vec<_>>(),
        "aliases": story.aliases,
        "leftOut": story.left_out,
    })
}

/// When an entry was made.
fn at(entry: &LoggedEntry) -> Option<Timestamp> {
    let entry: crate::audit::Entry = serde_json::from_slice(&entry.bytes).ok()?;
    Some(entry.at)
}

/// A document for people, keys in one order, with a line end.
fn pretty(name: &str, document: &impl Serialize) -> Result<File, NoPackage> {
    let mut value = serde_json::to_value(document).map_err(|e| NoPackage::Json(e.to_string()))?;
    value.sort_all_objects();
    let text = serde_json::to_string_pretty(&value).map_err(|e| NoPackage::Json(e.to_string()))?;
    Ok(File::new(name, format!("{text}\n")))
}

/// The canonical form, by way of a value: some types have maps with keys of
/// their own.
fn canonical(document: &impl Serialize) -> Result<Vec<u8>, NoPackage> {
    let value = serde_json::to_value(document).map_err(|e| NoPackage::Json(e.to_string()))?;
    Ok(jcs::canonical(&value)?)
}
