//! Reading a repository. Everything is bounded by [`crate::limits`].

use super::effects::effect_of;
use super::{CommitId, CommitInfo, HEADS, Identity, MAIN, MAIN_REF, RepoError, Result};
use crate::Files;
use crate::limits::{MAX_COMMIT_LEN, MAX_CONTRIBUTOR_WALK, MAX_DIFF_LEN, MAX_FILE_LEN, MAX_FILES};
use domain::units::Timestamp;
use git2::{
    Commit, DiffFormat, DiffOptions, ErrorCode, ObjectType, Oid, Repository, Tree, TreeWalkMode,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// File modes that are plain files.
const PLAIN_MODES: [i32; 3] = [0o100_644, 0o100_755, 0o100_664];

/// The commit, or that there is none.
pub(crate) fn commit(git: &Repository, id: Oid) -> Result<Commit<'_>> {
    git.find_commit(id).map_err(|_| RepoError::NotCommit(id.to_string()))
}

/// What a ref points at.
pub(crate) fn target(git: &Repository, name: &str) -> Result<Option<Oid>> {
    match git.find_reference(name) {
        Ok(reference) => Ok(reference.target()),
        Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The newest commit of `main`.
pub(crate) fn head(git: &Repository) -> Result<Oid> {
    target(git, MAIN_REF)?.ok_or_else(|| {
        RepoError::NotRepository(format!("{} (no branch `main`)", git.path().display()))
    })
}

/// Every branch but `main`.
pub(crate) fn branches(git: &Repository) -> Result<BTreeMap<String, CommitId>> {
    let mut found = BTreeMap::new();
    for reference in git.references_glob(&format!("{HEADS}*"))? {
        let reference = reference?;
        let name = reference.name().ok().and_then(|name| name.strip_prefix(HEADS));
        if let (Some(name), Some(target)) = (name, reference.target())
            && name != MAIN
        {
            found.insert(name.to_owned(), CommitId(target));
        }
    }
    Ok(found)
}

/// All plain files of a commit.
pub(crate) fn files(git: &Repository, id: Oid) -> Result<Files> {
    let blobs = blobs(&commit(git, id)?.tree()?)?;
    let mut total = 0_usize;
    let mut files = Files::new();
    for (path, blob) in blobs {
        let bytes = content(git, &path, blob)?;
        total = total.saturating_add(bytes.len());
        if total > MAX_COMMIT_LEN {
            return Err(RepoError::TooLarge(format!(
                "the files of commit {id} have more than {MAX_COMMIT_LEN} bytes together"
            )));
        }
        files.insert(path, bytes);
    }
    Ok(files)
}

/// Path and blob of every plain file.
fn blobs(tree: &Tree<'_>) -> Result<Vec<(String, Oid)>> {
    let mut found = Vec::new();
    let mut problem = None;
    let walked = tree.walk(TreeWalkMode::PreOrder, |folder, entry| {
        if entry.kind() != Some(ObjectType::Blob) || !PLAIN_MODES.contains(&entry.filemode()) {
            return 0;
        }
        match entry.name() {
            Ok(name) => found.push((format!("{folder}{name}"), entry.id())),
            Err(_) => {
                problem = Some(RepoError::BadPath(
                    String::from_utf8_lossy(entry.name_bytes()).into_owned(),
                ));
                return -1;
            }
        }
        if found.len() > MAX_FILES {
            problem =
                Some(RepoError::TooLarge(format!("a commit has more than {MAX_FILES} files")));
            return -1;
        }
        0
    });
    match problem {
        Some(problem) => Err(problem),
        None => {
            walked?;
            Ok(found)
        }
    }
}

fn content(git: &Repository, path: &str, blob: Oid) -> Result<Vec<u8>> {
    // The header tells the size before the content is unpacked.
    let (len, _) = git.odb()?.read_header(blob)?;
    if len > MAX_FILE_LEN {
        return Err(RepoError::TooLarge(format!(
            "`{path}` has {len} bytes; at most {MAX_FILE_LEN} are read"
        )));
    }
    Ok(git.find_blob(blob)?.content().to_vec())
}

/// One plain file of a commit.
pub(crate) fn file(git: &Repository, id: Oid, path: &str) -> Result<Option<Vec<u8>>> {
    if path.contains('\0') {
        return Err(RepoError::BadPath(path.to_owned()));
    }
    match commit(git, id)?.tree()?.get_path(Path::new(path)) {
        Ok(entry) if PLAIN_MODES.contains(&entry.filemode()) => {
            content(git, path, entry.id()).map(Some)
        }
        Ok(_) => Ok(None),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A commit as people read it.
pub(crate) fn info(commit: &Commit<'_>) -> CommitInfo {
    let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
    CommitInfo {
        id: CommitId(commit.id()),
        parents: commit.parent_ids().map(CommitId).collect(),
        author: identity(&commit.author()),
        at: Timestamp(commit.time().seconds().saturating_mul(1000)),
        effect: effect_of(&message).map(str::to_owned),
        message,
    }
}

fn identity(signature: &git2::Signature<'_>) -> Identity {
    Identity {
        name: String::from_utf8_lossy(signature.name_bytes()).into_owned(),
        email: String::from_utf8_lossy(signature.email_bytes()).into_owned(),
    }
}

fn difference<'r>(git: &'r Repository, before: Oid, after: Oid) -> Result<git2::Diff<'r>> {
    let (before, after) = (commit(git, before)?.tree()?, commit(git, after)?.tree()?);
    let mut options = DiffOptions::new();
    options.context_lines(3).ignore_submodules(true).max_size(1 << 20);
    Ok(git.diff_tree_to_tree(Some(&before), Some(&after), Some(&mut options))?)
}

/// Paths that differ.
pub(crate) fn changed_paths(git: &Repository, before: Oid, after: Oid) -> Result<BTreeSet<String>> {
    let diff = difference(git, before, after)?;
    Ok(diff
        .deltas()
        .flat_map(|delta| [delta.old_file().path_bytes(), delta.new_file().path_bytes()])
        .flatten()
        .map(|path| String::from_utf8_lossy(path).into_owned())
        .collect())
}

/// Unified diff.
pub(crate) fn diff(git: &Repository, before: Oid, after: Oid) -> Result<String> {
    let mut text = Vec::new();
    let mut cut = false;
    difference(git, before, after)?.print(DiffFormat::Patch, |_, _, line| {
        if text.len() + line.content().len() > MAX_DIFF_LEN {
            cut = true;
        } else if !cut {
            if matches!(line.origin(), '+' | '-' | ' ') {
                text.extend(line.origin().to_string().bytes());
            }
            text.extend_from_slice(line.content());
        }
        true
    })?;
    let mut text = String::from_utf8_lossy(&text).into_owned();
    if cut {
        text.push_str(&format!("\n[cut: the difference is longer than {MAX_DIFF_LEN} bytes]\n"));
    }
    Ok(text)
}

/// The newest commit both have in their history.
pub(crate) fn merge_base(git: &Repository, a: Oid, b: Oid) -> Result<Option<Oid>> {
    match git.merge_base(a, b) {
        Ok(base) => Ok(Some(base)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// True if `history` has `commit` in its history, or is it.
pub(crate) fn contains(git: &Repository, history: Oid, commit: Oid) -> Result<bool> {
    Ok(history == commit || git.graph_descendant_of(history, commit)?)
}

/// Who has commits in `head` that `base` has not.
pub(crate) fn contributors(git: &Repository, base: Oid, head: Oid) -> Result<BTreeSet<String>> {
    commit(git, base)?;
    commit(git, head)?;
    let mut walk = git.revwalk()?;
    walk.push(head)?;
    walk.hide(base)?;
    let mut emails = BTreeSet::new();
    for (n, id) in walk.enumerate() {
        if n >= MAX_CONTRIBUTOR_WALK {
            return Err(RepoError::TooLarge(format!(
                "the branch has more than {MAX_CONTRIBUTOR_WALK} commits of its own"
            )));
        }
        let commit = commit(git, id?)?;
        for signature in [commit.author(), commit.committer()] {
            emails.insert(identity(&signature).email);
        }
        emails.extend(co_authors(&String::from_utf8_lossy(commit.message_bytes())));
    }
    Ok(emails
        .into_iter()
        .map(|email| email.trim().to_lowercase())
        .filter(|e| !e.is_empty())
        .collect())
}

fn co_authors(message: &str) -> Vec<String> {
    message
        .lines()
        .filter_map(|line| {
            let (key, value) = line.split_once(':')?;
            let (_, rest) = value.split_once('<')?;
            let (email, _) = rest.split_once('>')?;
            key.trim().eq_ignore_ascii_case("co-authored-by").then(|| email.to_owned())
        })
        .collect()
}
