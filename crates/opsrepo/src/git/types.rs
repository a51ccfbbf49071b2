//! The nouns of the git half.

use domain::ids::PersonName;
use domain::units::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// The branch that is live.
pub const MAIN: &str = "main";

/// A commit: 40 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitId(pub(crate) git2::Oid);

impl FromStr for CommitId {
    type Err = RepoError;
    fn from_str(text: &str) -> Result<Self, RepoError> {
        let full = text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let id = full.then(|| git2::Oid::from_str(text).ok()).flatten();
        id.map(Self).ok_or_else(|| RepoError::NotCommit(text.to_owned()))
    }
}

impl TryFrom<String> for CommitId {
    type Error = RepoError;
    fn try_from(text: String) -> Result<Self, RepoError> {
        text.parse()
    }
}

impl From<CommitId> for String {
    fn from(id: CommitId) -> String {
        id.to_string()
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Whose commit it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Name as people say it.
    pub name: String,
    /// E-mail address.
    pub email: String,
}

/// What a new commit says beside its content.
#[derive(Debug, Clone, Copy)]
pub struct NewCommit<'a> {
    /// Whose it is.
    pub author: &'a Identity,
    /// Subject and body, without the trailer.
    pub message: &'a str,
    /// When.
    pub at: Timestamp,
    /// Idempotency key: the same operation done again gives the same commit.
    /// One line; written as the trailer `Tidegate-Effect`.
    pub effect: &'a str,
}

/// Changes to files: new content, or none to delete.
pub type Edits = BTreeMap<String, Option<Vec<u8>>>;

/// A commit as people read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// Which commit.
    pub id: CommitId,
    /// What it builds on; two for a merge.
    pub parents: Vec<CommitId>,
    /// Whose it is.
    pub author: Identity,
    /// When it was made.
    pub at: Timestamp,
    /// The whole message.
    pub message: String,
    /// The effect it carries, if Tidegate made it.
    pub effect: Option<String>,
}

impl CommitInfo {
    /// First line of the message.
    pub fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }
}

/// A push that arrived, kept until everything that follows from it is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Push {
    /// Its name in the journal.
    pub id: String,
    /// Who pushed: whose token it was.
    pub actor: PersonName,
    /// What moved.
    pub updates: Vec<RefUpdate>,
}

/// One branch that moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefUpdate {
    /// The branch, without `refs/heads/`.
    pub branch: String,
    /// Where it was; none if it is new.
    pub before: Option<CommitId>,
    /// Where it is; none if it was deleted.
    pub after: Option<CommitId>,
}

/// Why git said no.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    /// Not a commit id, or no such commit.
    #[error("`{0}` is not a commit of this repository")]
    NotCommit(String),
    /// Files changed on both sides.
    #[error("changed on both sides: {}; merge `main` into the branch, settle these files and push again", files.iter().map(|f| format!("`{f}`")).collect::<Vec<_>>().join(", "))]
    Conflict {
        /// The files.
        files: BTreeSet<String>,
    },
    /// Nothing to merge.
    #[error("`main` has everything of commit {0} already")]
    AlreadyMerged(CommitId),
    /// Not in the history of `main`, or its first commit.
    #[error("commit {0} is not one that can be taken back from `main`")]
    NotOnMain(CommitId),
    /// No common history with `main`.
    #[error(
        "commit {0} has no history in common with `main`; clone this repository and begin a branch there"
    )]
    Unrelated(CommitId),
    /// The branch is elsewhere.
    #[error("the branch `{branch}` moved meanwhile; read it again and repeat")]
    Moved {
        /// Which branch.
        branch: String,
        /// Where it is.
        actual: Option<CommitId>,
    },
    /// A branch name git or Tidegate does not accept.
    #[error("`{0}` cannot be a branch here; use letters, digits, `-`, `_` and `/`, and not `main`")]
    BadBranch(String),
    /// A path git or Tidegate does not accept.
    #[error("`{0}` cannot be a path in the repository")]
    BadPath(String),
    /// A trailer must be one line.
    #[error("an effect key must be one line of text without spaces around it")]
    BadEffect,
    /// Over a limit.
    #[error("{0}")]
    TooLarge(String),
    /// The file does not have the form that is needed to edit it.
    #[error("`{file}` cannot be edited: {problem}")]
    NotEditable {
        /// Which file.
        file: String,
        /// Why.
        problem: String,
    },
    /// There is something there already.
    #[error("`{0}` exists and is not empty")]
    Exists(String),
    /// Somebody's working copy.
    #[error("`{0}` belongs to a working copy and is only read here; push to the server instead")]
    ReadOnly(String),
    /// No repository.
    #[error("`{0}` is not a bare git repository; make one with `tidegate init`")]
    NotRepository(String),
    /// git itself failed.
    #[error("git: {0}")]
    Git(#[from] git2::Error),
    /// The file system failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// Why not.
        source: std::io::Error,
    },
}
