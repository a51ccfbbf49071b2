//! The ops repo: a team's apps, prompts, models and promoted releases in git.
//!
//! Two halves. The pure half reads files: [`parse`] turns [`Files`] into
//! [`Desired`] state and findings, [`Desired::compose`] turns one app into a
//! release. The other half is git: [`Repo`] reads and writes a bare repository,
//! [`http`] lets people clone and push, [`hook`] guards what they push.
//!
//! What must stay true:
//! - bad files are findings with file, line, column and mend, never a panic and
//!   never an early end: every fault of every file is reported at once;
//! - nothing but content enters a release id: comments, key order, YAML style
//!   and line ends do not;
//! - git refs move by compare-and-swap as the last act of an operation, and
//!   every commit Tidegate makes carries the key of the effect it belongs to, so
//!   an operation killed anywhere can simply be done again.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")
)]

mod compose;
mod desired;
mod format;
mod git;
pub mod hook;
pub mod http;
pub mod import;
pub mod limits;
mod parse;
pub mod scaffold;
mod text;
mod yaml;

use std::collections::BTreeMap;

pub use desired::Desired;
pub use format::aliases::{Alias, Aliases};
pub use format::app::{AppSpec, Audience, Risk, default_requirements};
pub use format::experiment::experiment_policy;
pub use format::feature::{IndexSpec, ViewSpec};
pub use format::judge::{JudgeSpec, Labelled, Scale, judge};
pub use format::model::{ModelSpec, Prices, RecordingsFile};
pub use format::prompt::{PromptMessageSpec, PromptSpec};
pub use format::release::{Inline, ReleaseSpec};
pub use format::rollout::replayed_policy;
pub use format::settings::{PaidEvals, Settings};
pub use format::sign_on::{SignOnSpec, sign_on};
pub use format::suite;
pub use git::{
    CommitId, CommitInfo, Edits, Identity, MAIN, NewCommit, Push, PushOut, RefUpdate, Remote, Repo,
    RepoError,
};
pub use parse::parse;

/// The files of one commit: path from the root of the repository, with `/`,
/// and content.
pub type Files = BTreeMap<String, Vec<u8>>;
