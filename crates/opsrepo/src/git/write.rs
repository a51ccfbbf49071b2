//! Moving branches and `main`.
//!
//! Every operation reads, writes objects, and moves one ref by compare-and-swap
//! as its last act. Merges and reverts happen in memory: there is no work tree
//! and no index file that a killed process could leave half written.

use super::effects::{effect_of, is_key, with_trailer};
use super::{
    CommitId, Edits, HEADS, MAIN, MAIN_REF, NewCommit, Repo, RepoError, Result, read, swap,
};
use crate::limits::{MAX_EFFECT_WALK, MAX_SWAP_TRIES};
use git2::{Index, MergeOptions, Oid, Repository, Signature, Time, build::TreeUpdateBuilder};
use std::collections::BTreeSet;

/// Longest name of a branch, in bytes.
pub(crate) const MAX_BRANCH_LEN: usize = 200;

impl Repo {
    /// The commit of `main` that carries this effect.
    ///
    /// # Errors
    /// The repository cannot be read.
    pub fn find_effect(&self, effect: &str) -> Result<Option<CommitId>> {
        let git = self.git()?;
        let head = read::head(&git)?;
        Ok(self.lock().find(&git, head, effect)?.map(CommitId))
    }

    /// Commits edits on a branch. The branch must be where `parent` is, or not
    /// exist yet (then it begins there). Done again with the same effect it
    /// gives the same commit.
    ///
    /// # Errors
    /// The branch moved; the branch is `main`; a path is not acceptable.
    pub fn commit(
        &self,
        branch: &str,
        parent: CommitId,
        edits: &Edits,
        new: &NewCommit<'_>,
    ) -> Result<CommitId> {
        let name = branch_ref(branch)?;
        check_effect(new)?;
        let git = self.git_to_write()?;
        let actual = read::target(&git, &name)?;
        if let Some(done) =
            actual.map(|head| done_on(&git, head, parent.0, new.effect)).transpose()?.flatten()
        {
            return Ok(CommitId(done));
        }
        let moved = |actual: Option<Oid>| RepoError::Moved {
            branch: branch.to_owned(),
            actual: actual.map(CommitId),
        };
        if actual.is_some_and(|head| head != parent.0) {
            return Err(moved(actual));
        }
        let base = read::commit(&git, parent.0)?;
        let tree = tree_with(&git, Some(base.tree_id()), edits)?;
        let commit = commit_object(&git, tree, &[parent.0], new)?;
        if swap(&git, &name, actual, commit, "commit")? {
            Ok(CommitId(commit))
        } else {
            Err(moved(read::target(&git, &name)?))
        }
    }

    /// Commits edits straight on `main`, on whatever it is now.
    ///
    /// # Errors
    /// A path is not acceptable.
    pub fn commit_main(&self, edits: &Edits, new: &NewCommit<'_>) -> Result<CommitId> {
        self.move_main(new, |git, head| {
            let tree = tree_with(git, Some(read::commit(git, head)?.tree_id()), edits)?;
            commit_object(git, tree, &[head], new)
        })
    }

    /// Merges a commit into `main` by a merge commit.
    ///
    /// # Errors
    /// [`RepoError::Conflict`] with the files; [`RepoError::AlreadyMerged`].
    pub fn merge(&self, commit: CommitId, new: &NewCommit<'_>) -> Result<CommitId> {
        self.move_main(new, |git, head| {
            if read::contains(git, head, commit.0)? {
                return Err(RepoError::AlreadyMerged(commit));
            }
            let index = merged(git, head, commit.0)?;
            let tree = settled(git, index)?;
            commit_object(git, tree, &[head, commit.0], new)
        })
    }

    /// Would this commit merge into `main` as it is now? The files in conflict.
    ///
    /// # Errors
    /// No such commit.
    pub fn conflicts(&self, commit: CommitId) -> Result<BTreeSet<String>> {
        let git = self.git()?;
        conflicted(&merged(&git, read::head(&git)?, commit.0)?)
    }

    /// Takes a commit of `main` (a merge or a plain one) back by a new commit.
    /// If nothing of it is left in the files the new commit changes nothing and
    /// still says so in the history.
    ///
    /// # Errors
    /// [`RepoError::Conflict`] with the files; [`RepoError::NotOnMain`].
    pub fn revert(&self, commit: CommitId, new: &NewCommit<'_>) -> Result<CommitId> {
        self.move_main(new, |git, head| {
            let taken_back = read::commit(git, commit.0)?;
            if !read::contains(git, head, commit.0)? || taken_back.parent_count() == 0 {
                return Err(RepoError::NotOnMain(commit));
            }
            // Of a merge, the side that was merged in is taken back.
            let mainline = u32::from(taken_back.parent_count() > 1);
            let ours = read::commit(git, head)?;
            let index =
                git.revert_commit(&taken_back, &ours, mainline, Some(&MergeOptions::new()))?;
            let tree = settled(git, index)?;
            commit_object(git, tree, &[head], new)
        })
    }

    /// Deletes a branch if it still is at `expected`. A branch that is gone is
    /// deleted.
    ///
    /// # Errors
    /// The branch moved; the branch is `main`.
    pub fn delete_branch(&self, branch: &str, expected: CommitId) -> Result<()> {
        let name = branch_ref(branch)?;
        let git = self.git_to_write()?;
        let moved = |actual| RepoError::Moved { branch: branch.to_owned(), actual };
        match git.find_reference(&name) {
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(()),
            Err(error) => Err(error.into()),
            // `delete` compares with what was just read, so nothing can slip between.
            Ok(mut reference) if reference.target() == Some(expected.0) => match reference.delete()
            {
                Err(error) if error.code() == git2::ErrorCode::Modified => {
                    Err(moved(self.branch(branch)?))
                }
                other => other.map_err(RepoError::from),
            },
            Ok(reference) => Err(moved(reference.target().map(CommitId))),
        }
    }

    /// The one way `main` moves: look for the effect, make the commit, swap;
    /// again from the start if somebody else was faster.
    pub(super) fn move_main(
        &self,
        new: &NewCommit<'_>,
        make: impl Fn(&Repository, Oid) -> Result<Oid>,
    ) -> Result<CommitId> {
        check_effect(new)?;
        let git = self.git_to_write()?;
        let mut effects = self.lock();
        let mut head = read::head(&git)?;
        for _ in 0..MAX_SWAP_TRIES {
            if let Some(done) = effects.find(&git, head, new.effect)? {
                return Ok(CommitId(done));
            }
            let commit = make(&git, head)?;
            if commit == head || swap(&git, MAIN_REF, Some(head), commit, new.effect)? {
                return Ok(CommitId(commit));
            }
            head = read::head(&git)?;
        }
        Err(RepoError::Moved { branch: MAIN.to_owned(), actual: Some(CommitId(head)) })
    }
}

fn check_effect(new: &NewCommit<'_>) -> Result<()> {
    if is_key(new.effect) { Ok(()) } else { Err(RepoError::BadEffect) }
}

/// The ref of a branch that is not `main`.
fn branch_ref(branch: &str) -> Result<String> {
    if is_branch(branch) {
        Ok(format!("{HEADS}{branch}"))
    } else {
        Err(RepoError::BadBranch(branch.to_owned()))
    }
}

/// True for a name a branch other than `main` may have. Names end up in file
/// paths, shells and addresses, so fewer are accepted than git would.
pub(crate) fn is_branch(branch: &str) -> bool {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/' | '.' | '+' | '@' | '#');
    branch != MAIN
        && branch.len() <= MAX_BRANCH_LEN
        && !branch.starts_with("main/")
        && !branch.starts_with('-')
        && branch.chars().all(plain)
        && git2::Reference::is_valid_name(&format!("{HEADS}{branch}"))
}

/// The commit that did this effect on this parent, if the branch has it.
fn done_on(git: &Repository, head: Oid, parent: Oid, effect: &str) -> Result<Option<Oid>> {
    let mut next = Some(head);
    for _ in 0..MAX_EFFECT_WALK {
        let Some(id) = next.filter(|id| *id != parent) else { return Ok(None) };
        let commit = read::commit(git, id)?;
        next = commit.parent_id(0).ok();
        let message = String::from_utf8_lossy(commit.message_bytes());
        if next == Some(parent) && effect_of(&message) == Some(effect) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Writes a commit that no ref points at yet.
pub(super) fn commit_object(
    git: &Repository,
    tree: Oid,
    parents: &[Oid],
    new: &NewCommit<'_>,
) -> Result<Oid> {
    let time = Time::new(new.at.second(), 0);
    let (name, email) = (clean(&new.author.name), clean(&new.author.email));
    let signature = Signature::new(&name, &email, &time)?;
    let parents = parents.iter().map(|id| read::commit(git, *id)).collect::<Result<Vec<_>>>()?;
    let parents: Vec<_> = parents.iter().collect();
    let message = with_trailer(new.message, new.effect);
    let tree = git.find_tree(tree)?;
    Ok(git.commit(None, &signature, &signature, &message, &tree, &parents)?)
}

/// git forbids these characters in names; an empty name is refused.
fn clean(text: &str) -> String {
    let text: String =
        text.chars().filter(|c| !matches!(c, '<' | '>') && !c.is_control()).collect();
    let text = text.trim();
    if text.is_empty() { "unknown".to_owned() } else { text.to_owned() }
}

/// The tree with these edits.
pub(super) fn tree_with(git: &Repository, base: Option<Oid>, edits: &Edits) -> Result<Oid> {
    let empty = git.treebuilder(None)?.write()?;
    let base = git.find_tree(base.unwrap_or(empty))?;
    let mut update = TreeUpdateBuilder::new();
    for (path, content) in edits {
        check_path(path)?;
        match content {
            Some(bytes) => {
                update.upsert(path.as_str(), git.blob(bytes)?, git2::FileMode::Blob);
            }
            None if base.get_path(std::path::Path::new(path)).is_ok() => {
                update.remove(path.as_str());
            }
            // Gone already.
            None => {}
        }
    }
    Ok(update.create_updated(git, &base)?)
}

/// Paths that every git client can check out.
fn check_path(path: &str) -> Result<()> {
    let part_ok = |part: &str| {
        let lower = part.to_ascii_lowercase();
        !part.is_empty()
            && part != "."
            && part != ".."
            && (part == ".gitignore" || !lower.starts_with(".git"))
            && !part.ends_with('.')
    };
    let fine = path.len() <= 1024
        && path.split('/').all(part_ok)
        && !path.contains('\\')
        && !path.chars().any(char::is_control);
    if fine { Ok(()) } else { Err(RepoError::BadPath(path.to_owned())) }
}

fn merged(git: &Repository, ours: Oid, theirs: Oid) -> Result<Index> {
    let (ours, theirs) = (read::commit(git, ours)?, read::commit(git, theirs)?);
    if read::merge_base(git, ours.id(), theirs.id())?.is_none() {
        return Err(RepoError::Unrelated(CommitId(theirs.id())));
    }
    Ok(git.merge_commits(&ours, &theirs, Some(&MergeOptions::new()))?)
}

/// The tree of an index without conflicts.
fn settled(git: &Repository, mut index: Index) -> Result<Oid> {
    let files = conflicted(&index)?;
    if files.is_empty() {
        Ok(index.write_tree_to(git)?)
    } else {
        Err(RepoError::Conflict { files })
    }
}

fn conflicted(index: &Index) -> Result<BTreeSet<String>> {
    let mut files = BTreeSet::new();
    for conflict in index.conflicts()? {
        let conflict = conflict?;
        for side in [conflict.our, conflict.their, conflict.ancestor].into_iter().flatten() {
            files.insert(String::from_utf8_lossy(&side.path).into_owned());
        }
    }
    Ok(files)
}
