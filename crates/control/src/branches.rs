//! The branch behind a change: made from edits, read for what it says.

use crate::Control;
use crate::caller::Caller;
use crate::changes::{invalid, parse_bump};
use crate::git::blocking;
use crate::problem::Problem;
use crate::views::Edit;
use domain::ids::{AppName, Digest, PersonName};
use domain::units::Timestamp;
use opsrepo::{CommitId, Edits, Identity, NewCommit, Repo, RepoError};
use std::collections::BTreeSet;

/// Most files in one change.
const MAX_EDITS: usize = 200;

impl Control {
    /// This name, or with a number behind it if somebody pushed such a branch.
    pub(crate) async fn free_branch(&self, name: String) -> Result<String, Problem> {
        let repo = self.repo.clone();
        let taken = blocking(move || repo.branches()).await?;
        let numbered = (2..).map(|n| format!("{name}-{n}"));
        let free = std::iter::once(name.clone()).chain(numbered).find(|n| !taken.contains_key(n));
        Ok(free.unwrap_or(name))
    }

    /// Commits a person's edits on a branch.
    pub(crate) async fn commit_edits(
        &self,
        caller: &Caller,
        commit: Authored,
        now: Timestamp,
    ) -> Result<CommitId, Problem> {
        if commit.edits.len() > MAX_EDITS {
            return Err(invalid(
                "too_many_files",
                "a change holds at most 200 files",
                "split it",
                "edits",
            ));
        }
        let bump = commit.bump.as_deref().map(parse_bump).transpose()?;
        let author =
            Identity { name: caller.person.display.clone(), email: caller.person.email.clone() };
        let repo = self.repo.clone();
        let head = blocking(move || {
            let files = repo.files(commit.parent)?;
            let mut edits: Edits = commit
                .edits
                .into_iter()
                .map(|Edit { path, content }| (path, content.map(String::into_bytes)))
                .filter(|(path, content)| files.get(path) != content.as_ref())
                .collect();
            if edits.is_empty() {
                return Ok(None);
            }
            if let Some(bump) = bump {
                crate::bump::raise_versions(&files, &mut edits, bump);
            }
            let new = NewCommit {
                author: &author,
                message: &commit.message,
                at: now,
                effect: &commit.effect,
            };
            repo.commit(&commit.branch, commit.parent, &edits, &new).map(Some)
        })
        .await?;
        head.ok_or_else(|| {
            invalid(
                "nothing_changed",
                "the files are the same as before: there is nothing to send",
                "change something first",
                "edits",
            )
        })
    }

    /// Base, content digest and contributors of a branch.
    pub(crate) async fn look_at_branch(
        &self,
        app: &AppName,
        head: CommitId,
        by: &PersonName,
    ) -> Result<Look, Problem> {
        let (repo, name) = (self.repo.clone(), app.clone());
        let (base, content, emails) = blocking(move || {
            let main = repo.head()?;
            let base = repo.merge_base(main, head)?.unwrap_or(main);
            Ok((base, content_of(&repo, base, head, &name)?, repo.contributors(base, head)?))
        })
        .await?;
        let mut contributors = self.people_by_email(&emails).await?;
        contributors.insert(by.clone());
        Ok(Look { base, content, contributors })
    }
}

/// What a branch is.
pub(crate) struct Look {
    pub(crate) base: CommitId,
    pub(crate) content: Digest,
    pub(crate) contributors: BTreeSet<PersonName>,
}

/// A commit about to be made.
pub(crate) struct Authored {
    pub(crate) branch: String,
    pub(crate) parent: CommitId,
    pub(crate) edits: Vec<Edit>,
    pub(crate) bump: Option<String>,
    pub(crate) message: String,
    pub(crate) effect: String,
}

/// What approvals bind to: every file the app depends on, and every other file
/// the branch alters, because all of it is merged on their word.
pub(crate) fn content_of(
    repo: &Repo,
    base: CommitId,
    head: CommitId,
    app: &AppName,
) -> Result<Digest, RepoError> {
    let files = repo.files(head)?;
    let mut text = opsrepo::parse(&files).0.content_digest(app).hex();
    for path in repo.changed_paths(base, head)? {
        let digest = files.get(&path).map_or_else(|| "gone".to_owned(), |b| Digest::of(b).hex());
        // Debug form: a path may hold a line end, its quoted form cannot.
        text.push_str(&format!("\n{digest} {path:?}"));
    }
    Ok(Digest::of(text.as_bytes()))
}
