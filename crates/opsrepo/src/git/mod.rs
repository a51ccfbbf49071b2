//! The bare git repository behind an ops repo.
//!
//! Reading is free functions over `git2` ([`read`]), because hooks read a
//! repository they do not own. Writing is [`Repo`]: objects first, one ref moved
//! by compare-and-swap last, so a process killed in between leaves nothing but
//! objects nobody refers to.

mod aliases;
mod effects;
pub(crate) mod journal;
pub(crate) mod read;
mod remote;
mod setup;
mod types;
mod write;

pub use remote::{PushOut, Remote};
pub use types::{
    CommitId, CommitInfo, Edits, Identity, MAIN, NewCommit, Push, RefUpdate, RepoError,
};
pub(crate) use write::{MAX_BRANCH_LEN, is_branch};

use crate::Files;
use domain::ids::ReleaseId;
use domain::units::Timestamp;
use effects::EffectIndex;
use git2::{ErrorCode, Oid, Repository};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) type Result<T> = std::result::Result<T, RepoError>;

/// The ref of `main`.
pub(crate) const MAIN_REF: &str = "refs/heads/main";
/// Where branches lie.
pub(crate) const HEADS: &str = "refs/heads/";
/// Refs that are Tidegate's own.
pub(crate) const OWN_REFS: &str = "refs/tidegate/";
/// Refs that keep the commits of releases from garbage collection.
const KEEP_REFS: &str = "refs/tidegate/keep/";

/// A bare git repository that this process owns. Cheap to clone; calls block, so
/// async callers use `spawn_blocking`.
#[derive(Debug, Clone)]
pub struct Repo {
    path: Arc<PathBuf>,
    /// False for the `.git` of a working copy, which is somebody's own.
    owned: bool,
    /// Held while `main` moves: one writer at a time, and no walk twice.
    writing: Arc<Mutex<EffectIndex>>,
}

impl Repo {
    /// Makes a repository whose `main` has one commit with these files.
    ///
    /// It is made beside its place and moved there whole: a process killed in
    /// between leaves no half repository.
    ///
    /// # Errors
    /// The folder is there already and not empty, or cannot be written.
    pub fn init(path: &Path, seed: &Files, author: &Identity, at: Timestamp) -> Result<Self> {
        setup::create(path, |git| {
            let edits: Edits =
                seed.iter().map(|(p, bytes)| (p.clone(), Some(bytes.clone()))).collect();
            let tree = write::tree_with(git, None, &edits)?;
            let new = NewCommit { author, message: "Begin the ops repo", at, effect: "init" };
            let commit = write::commit_object(git, tree, &[], &new)?;
            git.reference(MAIN_REF, commit, false, "begin")?;
            Ok(())
        })?;
        Self::open(path)
    }

    /// Opens a repository this process owns: removes lock files a killed
    /// process left, settles pushes it left half recorded, and installs the hooks.
    ///
    /// The `.git` folder of somebody's working copy may be opened too; it is only
    /// read, and nothing in it is touched.
    ///
    /// # Errors
    /// There is no repository, or it cannot be written.
    pub fn open(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path).map_err(io("finding the repository"))?;
        if !path.join("objects").is_dir() || !path.join("HEAD").is_file() {
            return Err(RepoError::NotRepository(path.display().to_string()));
        }
        let git = Repository::open_bare(&path)?;
        let owned = git.config()?.snapshot()?.get_bool("core.bare").unwrap_or(true);
        if owned {
            setup::remove_locks(&path)?;
            setup::configure(&git)?;
            setup::install_hooks(&path)?;
            journal::Journal::of(&path).recover(&git)?;
        }
        Ok(Self { path: Arc::new(path), owned, writing: Arc::default() })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn git(&self) -> Result<Repository> {
        let git = Repository::open_bare(self.path.as_path())?;
        if self.owned {
            setup::durable(&git)?;
        }
        Ok(git)
    }

    /// For moving refs.
    fn git_to_write(&self) -> Result<Repository> {
        if self.owned {
            self.git()
        } else {
            Err(RepoError::ReadOnly(self.path.display().to_string()))
        }
    }

    fn lock(&self) -> MutexGuard<'_, EffectIndex> {
        // The index is rebuilt from git where it is behind, so a panic of
        // another thread leaves nothing half done in it.
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest commit of `main`.
    ///
    /// # Errors
    /// The repository cannot be read.
    pub fn head(&self) -> Result<CommitId> {
        read::head(&self.git()?).map(CommitId)
    }

    /// The newest commit of a branch, none if there is no such branch.
    ///
    /// # Errors
    /// The repository cannot be read.
    pub fn branch(&self, name: &str) -> Result<Option<CommitId>> {
        Ok(read::target(&self.git()?, &format!("{HEADS}{name}"))?.map(CommitId))
    }

    /// Every branch but `main` with its newest commit.
    ///
    /// # Errors
    /// The repository cannot be read.
    pub fn branches(&self) -> Result<BTreeMap<String, CommitId>> {
        read::branches(&self.git()?)
    }

    /// All files of a commit. Links and submodules are left out: nothing reads them.
    ///
    /// # Errors
    /// No such commit; larger than the limits.
    pub fn files(&self, commit: CommitId) -> Result<Files> {
        read::files(&self.git()?, commit.0)
    }

    /// One file of a commit.
    ///
    /// # Errors
    /// No such commit; larger than the limits.
    pub fn file(&self, commit: CommitId, path: &str) -> Result<Option<Vec<u8>>> {
        read::file(&self.git()?, commit.0, path)
    }

    /// What somebody committed, by whom and when.
    ///
    /// # Errors
    /// No such commit.
    pub fn info(&self, commit: CommitId) -> Result<CommitInfo> {
        let git = self.git()?;
        Ok(read::info(&read::commit(&git, commit.0)?))
    }

    /// The commits of `main`, newest first: promotions, merges, reverts.
    ///
    /// # Errors
    /// The repository cannot be read.
    pub fn history(&self, limit: usize) -> Result<Vec<CommitInfo>> {
        let git = self.git()?;
        let mut found = Vec::new();
        let mut next = Some(read::head(&git)?);
        while let Some(id) = next.filter(|_| found.len() < limit) {
            let commit = read::commit(&git, id)?;
            found.push(read::info(&commit));
            next = commit.parent_id(0).ok();
        }
        Ok(found)
    }

    /// Commits from all branches, remote ones included, and from where the
    /// working copy stands, newest first.
    ///
    /// # Errors
    /// The repository cannot be read.
    pub fn reachable(&self, limit: usize) -> Result<Vec<CommitId>> {
        let git = self.git()?;
        let mut walk = git.revwalk()?;
        walk.set_sorting(git2::Sort::TIME)?;
        walk.push_glob("refs/heads/*")?;
        walk.push_glob("refs/remotes/*")?;
        if git.head().is_ok() {
            walk.push_head()?;
        }
        walk.take(limit).map(|id| Ok(CommitId(id?))).collect()
    }

    /// Paths that differ between two commits.
    ///
    /// # Errors
    /// No such commit.
    pub fn changed_paths(&self, before: CommitId, after: CommitId) -> Result<BTreeSet<String>> {
        read::changed_paths(&self.git()?, before.0, after.0)
    }

    /// The unified diff between two commits, cut at a limit.
    ///
    /// # Errors
    /// No such commit.
    pub fn diff(&self, before: CommitId, after: CommitId) -> Result<String> {
        read::diff(&self.git()?, before.0, after.0)
    }

    /// The newest commit both have in their history.
    ///
    /// # Errors
    /// No such commit.
    pub fn merge_base(&self, a: CommitId, b: CommitId) -> Result<Option<CommitId>> {
        let git = self.git()?;
        for id in [a, b] {
            read::commit(&git, id.0)?;
        }
        Ok(read::merge_base(&git, a.0, b.0)?.map(CommitId))
    }

    /// E-mail addresses of everybody with a commit in `head` that `base` has
    /// not: authors, committers and `Co-authored-by` trailers, lower case.
    ///
    /// # Errors
    /// No such commit; more commits than the limit.
    pub fn contributors(&self, base: CommitId, head: CommitId) -> Result<BTreeSet<String>> {
        read::contributors(&self.git()?, base.0, head.0)
    }

    /// Keeps a release's commit addressable for ever, whatever happens to its
    /// branch. The first commit kept for a release stays: same id, same content.
    ///
    /// # Errors
    /// No such commit.
    pub fn keep(&self, release: ReleaseId, commit: CommitId) -> Result<()> {
        let git = self.git_to_write()?;
        read::commit(&git, commit.0)?;
        match git.reference(&keep_ref(release), commit.0, false, "keep") {
            Err(error) if error.code() == ErrorCode::Exists => Ok(()),
            other => other.map(drop).map_err(RepoError::from),
        }
    }

    /// The commit kept for a release.
    ///
    /// # Errors
    /// The repository cannot be read.
    pub fn kept(&self, release: ReleaseId) -> Result<Option<CommitId>> {
        Ok(read::target(&self.git()?, &keep_ref(release))?.map(CommitId))
    }

    /// Pushes that people made and nobody has dealt with, oldest first. Each is
    /// given again until [`Repo::push_done`].
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn take_pushes(&self) -> Result<Vec<Push>> {
        journal::Journal::of(&self.path).take(&self.git()?)
    }

    /// Forgets a push: everything that follows from it is durable now. Forgetting
    /// twice is fine.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn push_done(&self, id: &str) -> Result<()> {
        journal::Journal::of(&self.path).done(id)
    }
}

fn keep_ref(release: ReleaseId) -> String {
    format!("{KEEP_REFS}{}", release.0.hex())
}

/// Says what was being done when the file system failed.
pub(crate) fn io(what: &str) -> impl Fn(std::io::Error) -> RepoError + '_ {
    move |source| RepoError::Io { what: what.to_owned(), source }
}

/// Moves a ref from `old` to `new`, or makes it if `old` is none. False if it
/// is not at `old` (any more), or somebody else is moving it.
fn swap(git: &Repository, name: &str, old: Option<Oid>, new: Oid, log: &str) -> Result<bool> {
    let moved = match old {
        Some(old) => git.reference_matching(name, new, true, old, log),
        None => git.reference(name, new, false, log),
    };
    match moved {
        Ok(_) => Ok(true),
        Err(error) => match error.code() {
            ErrorCode::Modified | ErrorCode::Locked | ErrorCode::Exists | ErrorCode::NotFound => {
                Ok(false)
            }
            _ => Err(error.into()),
        },
    }
}

#[cfg(test)]
mod tests;
