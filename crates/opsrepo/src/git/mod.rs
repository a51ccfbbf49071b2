//! The bare git repository behind an ops repo.

mod types;

pub use types::{CommitId, CommitInfo, Edits, Identity, MAIN, NewCommit, Push, RefUpdate, RepoError};

use crate::{Alias, Files};
use domain::ids::{AppName, EnvName, ReleaseId};
use domain::units::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A bare git repository that this process owns. Cheap to clone; calls block, so
/// async callers use `spawn_blocking`.
#[derive(Debug, Clone)]
pub struct Repo {
    path: Arc<PathBuf>,
    writing: Arc<Mutex<()>>,
}

type Result<T> = std::result::Result<T, RepoError>;

impl Repo {
    /// Makes a repository whose `main` has one commit with these files.
    ///
    /// # Errors
    /// The folder is there already and not empty, or cannot be written.
    pub fn init(path: &Path, seed: &Files, author: &Identity, at: Timestamp) -> Result<Self> {
        let _ = (path, seed, author, at);
        Err(RepoError::Unfinished)
    }
    /// Opens a repository this process owns: removes lock files a killed
    /// process left, and installs the hooks.
    ///
    /// # Errors
    /// There is no repository, or it cannot be written.
    pub fn open(path: &Path) -> Result<Self> {
        let _ = path;
        Err(RepoError::Unfinished)
    }
    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// The newest commit of `main`.
    ///
    /// # Errors
    /// The repository cannot be read.
    pub fn head(&self) -> Result<CommitId> {
        Err(RepoError::Unfinished)
    }
    /// The newest commit of a branch, none if there is no such branch.
    ///
    /// # Errors
    /// The repository cannot be read.
    pub fn branch(&self, name: &str) -> Result<Option<CommitId>> {
        let _ = name;
        Err(RepoError::Unfinished)
    }
    /// Every branch but `main` with its newest commit.
    ///
    /// # Errors
    /// The repository cannot be read.
    pub fn branches(&self) -> Result<BTreeMap<String, CommitId>> {
        Err(RepoError::Unfinished)
    }
    /// All files of a commit.
    ///
    /// # Errors
    /// No such commit; larger than the limits.
    pub fn files(&self, commit: CommitId) -> Result<Files> {
        let _ = commit;
        Err(RepoError::Unfinished)
    }
    /// One file of a commit.
    ///
    /// # Errors
    /// No such commit; larger than the limits.
    pub fn file(&self, commit: CommitId, path: &str) -> Result<Option<Vec<u8>>> {
        let _ = (commit, path);
        Err(RepoError::Unfinished)
    }
    /// What somebody committed, by whom and when.
    ///
    /// # Errors
    /// No such commit.
    pub fn info(&self, commit: CommitId) -> Result<CommitInfo> {
        let _ = commit;
        Err(RepoError::Unfinished)
    }
    /// Paths that differ between two commits.
    ///
    /// # Errors
    /// No such commit.
    pub fn changed_paths(&self, before: CommitId, after: CommitId) -> Result<BTreeSet<String>> {
        let _ = (before, after);
        Err(RepoError::Unfinished)
    }
    /// The unified diff between two commits, cut at a limit.
    ///
    /// # Errors
    /// No such commit.
    pub fn diff(&self, before: CommitId, after: CommitId) -> Result<String> {
        let _ = (before, after);
        Err(RepoError::Unfinished)
    }
    /// The newest commit both have in their history.
    ///
    /// # Errors
    /// No such commit.
    pub fn merge_base(&self, a: CommitId, b: CommitId) -> Result<Option<CommitId>> {
        let _ = (a, b);
        Err(RepoError::Unfinished)
    }
    /// E-mail addresses of everybody with a commit in `head` that `base` has
    /// not: authors, committers and `Co-authored-by` trailers, lower case.
    ///
    /// # Errors
    /// No such commit; more commits than the limit.
    pub fn contributors(&self, base: CommitId, head: CommitId) -> Result<BTreeSet<String>> {
        let _ = (base, head);
        Err(RepoError::Unfinished)
    }
    /// The commit of `main` that carries this effect.
    ///
    /// # Errors
    /// The repository cannot be read.
    pub fn find_effect(&self, effect: &str) -> Result<Option<CommitId>> {
        let _ = effect;
        Err(RepoError::Unfinished)
    }
    /// Commits edits on a branch. The branch must be where `parent` is, or not
    /// exist yet (then it begins there). Done again with the same effect it
    /// gives the same commit.
    ///
    /// # Errors
    /// The branch moved; the branch is `main`; a path is not acceptable.
    pub fn commit(&self, branch: &str, parent: CommitId, edits: &Edits, new: &NewCommit<'_>) -> Result<CommitId> {
        let _ = (branch, parent, edits, new);
        Err(RepoError::Unfinished)
    }
    /// Commits edits straight on `main`, on whatever it is now.
    ///
    /// # Errors
    /// A path is not acceptable.
    pub fn commit_main(&self, edits: &Edits, new: &NewCommit<'_>) -> Result<CommitId> {
        let _ = (edits, new);
        Err(RepoError::Unfinished)
    }
    /// Merges a commit into `main` by a merge commit.
    ///
    /// # Errors
    /// [`RepoError::Conflict`] with the files; [`RepoError::AlreadyMerged`].
    pub fn merge(&self, commit: CommitId, new: &NewCommit<'_>) -> Result<CommitId> {
        let _ = (commit, new);
        Err(RepoError::Unfinished)
    }
    /// Would this commit merge into `main` as it is now? The files in conflict.
    ///
    /// # Errors
    /// No such commit.
    pub fn conflicts(&self, commit: CommitId) -> Result<BTreeSet<String>> {
        let _ = commit;
        Err(RepoError::Unfinished)
    }
    /// Takes a commit of `main` (a merge or a plain one) back by a new commit.
    ///
    /// # Errors
    /// [`RepoError::Conflict`] with the files.
    pub fn revert(&self, commit: CommitId, new: &NewCommit<'_>) -> Result<CommitId> {
        let _ = (commit, new);
        Err(RepoError::Unfinished)
    }
    /// Sets or clears aliases of an app in one commit on `main`; other lines of
    /// the file keep their order and comments. Returns `main` as it is if the
    /// aliases already are what they should be.
    ///
    /// # Errors
    /// The aliases file does not read.
    pub fn set_aliases(
        &self,
        env: &EnvName,
        app: &AppName,
        aliases: &[(Alias, Option<ReleaseId>)],
        new: &NewCommit<'_>,
    ) -> Result<CommitId> {
        let _ = (env, app, aliases, new);
        Err(RepoError::Unfinished)
    }
    /// Deletes a branch if it still is at `expected`.
    ///
    /// # Errors
    /// The branch moved; the branch is `main`.
    pub fn delete_branch(&self, name: &str, expected: CommitId) -> Result<()> {
        let _ = (name, expected);
        Err(RepoError::Unfinished)
    }
    /// Keeps a release's commit addressable for ever, whatever happens to its branch.
    ///
    /// # Errors
    /// No such commit.
    pub fn keep(&self, release: ReleaseId, commit: CommitId) -> Result<()> {
        let _ = (release, commit);
        Err(RepoError::Unfinished)
    }
    /// The commit kept for a release.
    ///
    /// # Errors
    /// The repository cannot be read.
    pub fn kept(&self, release: ReleaseId) -> Result<Option<CommitId>> {
        let _ = release;
        Err(RepoError::Unfinished)
    }
    /// Pushes that people made and nobody has dealt with, oldest first.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn take_pushes(&self) -> Result<Vec<Push>> {
        Err(RepoError::Unfinished)
    }
    /// Forgets a push: everything that follows from it is durable now.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn push_done(&self, id: &str) -> Result<()> {
        let _ = id;
        Err(RepoError::Unfinished)
    }
}
