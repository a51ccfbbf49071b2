//! `git status`: does the ops repo say what is live?

use super::failure::{Exit, Failure};
use super::run::Run;
use clap::Subcommand;
use control::views::GitView;

/// Verbs on the ops repo.
#[derive(Debug, Subcommand)]
pub enum Git {
    /// Newest commit, where to clone, and any difference to what is live
    Status,
}

/// Runs a verb.
pub async fn run(run: &Run, verb: Git) -> Result<Exit, Failure> {
    let Git::Status = verb;
    let git: GitView = run.api.get("git").await?;
    run.out.one(&git, |out| {
        let drift: Vec<_> = git.drift.iter().map(|s| s.text.clone()).collect();
        let drift = if drift.is_empty() {
            "none: git says what is live".to_owned()
        } else {
            drift.join("\n")
        };
        out.facts(&[
            ("head", git.head.clone()),
            ("clone", format!("git clone {}", git.clone_url)),
            ("drift", drift),
            ("pending", git.pending.join("\n")),
            ("forge", git.forge.as_ref().map(|f| f.text.text.clone()).unwrap_or_default()),
        ])
    })?;
    Ok(if git.pending.is_empty() { Exit::Ok } else { Exit::Pending })
}
