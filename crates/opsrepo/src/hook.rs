//! What git's hooks run: the binary's `git-hook pre-receive` and
//! `git-hook post-receive`.
//!
//! The pre-receive hook decides whether a push may land: people push branches,
//! which become changes; `main` and Tidegate's own refs move only through the
//! server; a release that failed does not come back by being pushed again. What
//! is wrong *inside* the files is no reason to refuse a push: the gates report it
//! on the change, where everybody sees it.
//!
//! The hooks run in processes of their own, so all they know is in the
//! [`PushContext`] file, and all they leave is in the journal of pushes.

use crate::git::journal::Journal;
use crate::git::{CommitId, HEADS, MAIN, MAIN_REF, OWN_REFS, RefUpdate, RepoError, read};
use crate::limits::MAX_REFS_PER_PUSH;
use crate::parse;
use domain::ids::{PersonName, ReleaseId};
use git2::{Oid, Repository};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::path::Path;

/// Name of the environment variable that holds the path of the [`PushContext`].
pub const CONTEXT_VARIABLE: &str = "TIDEGATE_PUSH_CONTEXT";
/// Name of the environment variable that holds the path of the binary.
pub const EXE_VARIABLE: &str = "TIDEGATE_EXE";

/// Most bytes of ref updates a hook reads.
const MAX_STDIN: u64 = 64 * 1024;

/// What the hooks know about a push: written to a file by the server, because
/// they run in a process of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushContext {
    /// Who pushes: whose token it is.
    pub actor: PersonName,
    /// The e-mail address of this person's commits.
    pub email: String,
    /// May this person push at all?
    pub may_push: bool,
    /// Releases that failed and that nobody cleared.
    pub denied: Vec<DeniedRelease>,
}

/// A release that may not come back by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeniedRelease {
    /// Which release.
    pub release: ReleaseId,
    /// What it failed on, to be read after "failed on", for example
    /// `hallucination (12 of 60 against 2%) on 2026-11-21`.
    pub failed_on: String,
}

/// Why a push may not land. Each is a sentence for the person who pushes.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(
        "`main` moves only by approved changes. Push a branch instead, and it becomes a change:\n  git push origin HEAD:my-change"
    )]
    Main,
    #[error("`{0}` belongs to the server. Push a branch instead, and it becomes a change.")]
    OwnRef(String),
    #[error("`{0}` is no branch. Only branches are pushed here; releases are named by the server.")]
    NoBranch(String),
    #[error(
        "`{0}` cannot be a branch here; use at most {max} letters, digits, `-`, `_` and `/`.",
        max = crate::git::MAX_BRANCH_LEN
    )]
    BadBranch(String),
    #[error(
        "`{branch}` has commits of {others}, which this push would drop. Only the people who made a branch may delete it or rewrite it; push to another branch."
    )]
    NotYours { branch: String, others: String },
    #[error("`{branch}`: {error}")]
    Unreadable { branch: String, error: RepoError },
    #[error(
        "{release} failed on {failed_on} and waits for a person to clear it:\n  tidegate release clear {release}\nUntil then no branch may bring it back."
    )]
    Denied { release: String, failed_on: String },
    #[error("{0} may not push: an editor's token is needed.")]
    MayNot(PersonName),
    #[error("a push may move at most {MAX_REFS_PER_PUSH} branches")]
    TooMany,
    #[error("this push did not come through the server. Push to the address the server names.")]
    NoContext,
    #[error("the server could not check this push: {0}")]
    Broken(String),
}

impl From<RepoError> for Refused {
    fn from(error: RepoError) -> Self {
        Self::Broken(error.to_string())
    }
}

/// Runs one hook: `pre-receive` or `post-receive`. The lines git gives are on
/// `stdin`; what is written to `out` is shown to the person who pushes. The
/// process runs where git started it, with git's environment.
///
/// `context` is the value of [`CONTEXT_VARIABLE`], none if it is not set (a push
/// that did not come through the server, which is refused).
///
/// Returns the exit code of the process: 0 accepts.
pub fn run(hook: &str, context: Option<&Path>, stdin: impl Read, mut out: impl Write) -> u8 {
    let outcome = match hook {
        "pre-receive" => pre_receive(context, stdin),
        "post-receive" => post_receive(context),
        other => Err(Refused::Broken(format!("`{other}` is not a hook"))),
    };
    match outcome {
        Ok(()) => 0,
        Err(refused) => {
            // With nobody left to read it, the refusal is all that matters.
            writeln!(out, "tidegate: {refused}").unwrap_or_default();
            1
        }
    }
}

fn pre_receive(context: Option<&Path>, stdin: impl Read) -> Result<(), Refused> {
    let path = context.ok_or(Refused::NoContext)?;
    let (journal, number) = Journal::of_context(path).ok_or(Refused::NoContext)?;
    let bytes = std::fs::read(path).map_err(|e| Refused::Broken(e.to_string()))?;
    let context: PushContext =
        serde_json::from_slice(&bytes).map_err(|e| Refused::Broken(e.to_string()))?;
    if !context.may_push {
        return Err(Refused::MayNot(context.actor));
    }
    let updates = updates(stdin)?;
    // The pushed objects wait in quarantine, which git's environment names.
    let git = Repository::open_from_env().map_err(RepoError::from)?;
    for update in &updates {
        judge(&git, &context, update)?;
    }
    journal.intend(&number, &context.actor, &updates)?;
    Ok(())
}

fn post_receive(context: Option<&Path>) -> Result<(), Refused> {
    let path = context.ok_or(Refused::NoContext)?;
    let (journal, number) = Journal::of_context(path).ok_or(Refused::NoContext)?;
    Ok(journal.landed(&number)?)
}

/// The lines `<old> <new> <ref>` git gives a hook.
fn updates(stdin: impl Read) -> Result<Vec<RefUpdate>, Refused> {
    let mut text = String::new();
    stdin.take(MAX_STDIN).read_to_string(&mut text).map_err(|e| Refused::Broken(e.to_string()))?;
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.splitn(3, ' ');
        let (Some(old), Some(new), Some(name)) = (words.next(), words.next(), words.next()) else {
            return Err(Refused::Broken("git gave a line of another form".to_owned()));
        };
        let commit = |text: &str| -> Result<Option<CommitId>, Refused> {
            let id: CommitId = text.parse()?;
            Ok((!id.0.is_zero()).then_some(id))
        };
        let branch = branch_of(name)?;
        found.push(RefUpdate { branch, before: commit(old)?, after: commit(new)? });
        if found.len() > MAX_REFS_PER_PUSH {
            return Err(Refused::TooMany);
        }
    }
    Ok(found)
}

fn branch_of(name: &str) -> Result<String, Refused> {
    if name.starts_with(OWN_REFS) {
        return Err(Refused::OwnRef(name.to_owned()));
    }
    match name.strip_prefix(HEADS) {
        Some(MAIN) => Err(Refused::Main),
        Some(branch) if crate::git::is_branch(branch) => Ok(branch.to_owned()),
        Some(branch) => Err(Refused::BadBranch(branch.to_owned())),
        None => Err(Refused::NoBranch(name.to_owned())),
    }
}

/// May this branch move like this?
fn judge(git: &Repository, context: &PushContext, update: &RefUpdate) -> Result<(), Refused> {
    let main = read::target(git, MAIN_REF)?
        .ok_or_else(|| Refused::Broken("there is no `main`".to_owned()))?;
    if let Some(before) = update.before {
        only_own_dropped(git, context, update, before.0, main)?;
    }
    let Some(after) = update.after else { return Ok(()) };
    let unreadable = |error| Refused::Unreadable { branch: update.branch.clone(), error };
    let base = read::merge_base(git, main, after.0)
        .map_err(unreadable)?
        .ok_or_else(|| unreadable(RepoError::Unrelated(after)))?;
    let files = read::files(git, after.0).map_err(unreadable)?;
    if context.denied.is_empty() {
        return Ok(());
    }
    not_denied(git, context, &parse(&files).0, base)
}

/// A deletion or a rewrite drops commits; they must be the person's own.
fn only_own_dropped(
    git: &Repository,
    context: &PushContext,
    update: &RefUpdate,
    before: Oid,
    main: Oid,
) -> Result<(), Refused> {
    let kept = update.after.map_or(main, |after| after.0);
    let mut dropped = read::contributors(git, kept, before)?;
    dropped.remove(&context.email.trim().to_lowercase());
    if dropped.is_empty() {
        return Ok(());
    }
    // What is on `main` is not lost, whatever becomes of the branch.
    let lost = read::contributors(git, main, before)?;
    let others: Vec<String> = dropped.intersection(&lost).cloned().collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(Refused::NotYours { branch: update.branch.clone(), others: others.join(", ") })
}

/// Does this branch bring a failed release (back)?
///
/// A branch that began while the failed release was on `main` has it without
/// bringing it: merging it would not undo the revert. So only what differs from
/// where the branch began counts.
fn not_denied(
    git: &Repository,
    context: &PushContext,
    pushed: &crate::Desired,
    base: Oid,
) -> Result<(), Refused> {
    let mut began = None;
    for app in pushed.apps.keys() {
        let Ok(release) = pushed.compose(app) else { continue };
        let Some(denied) = context.denied.iter().find(|denied| denied.release == release.id) else {
            continue;
        };
        let before = match &began {
            Some(before) => before,
            None => began.insert(parse(&read::files(git, base)?).0),
        };
        if before.compose(app).is_ok_and(|before| before.id == release.id) {
            continue;
        }
        return Err(Refused::Denied {
            release: release.id.short(),
            failed_on: denied.failed_on.clone(),
        });
    }
    Ok(())
}
