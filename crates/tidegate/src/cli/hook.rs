//! `git-hook NAME`: what the ops repo's hooks run. The context of the push is
//! in a file the server wrote; without it the push is refused.

use super::failure::{Exit, Failure};
use super::run::Run;
use clap::Args;
use std::path::PathBuf;

/// Which hook.
#[derive(Debug, Args)]
pub struct GitHook {
    /// `pre-receive` or `post-receive`
    hook: String,
    /// File with what the server knows about the push
    #[arg(long, env = opsrepo::hook::CONTEXT_VARIABLE)]
    context: Option<PathBuf>,
}

/// Runs it. What is written to standard output reaches the person who pushes.
pub async fn run(_run: &Run, args: GitHook) -> Result<Exit, Failure> {
    let code = tokio::task::spawn_blocking(move || {
        opsrepo::hook::run(&args.hook, args.context.as_deref(), std::io::stdin(), std::io::stdout())
    })
    .await
    .unwrap_or(1);
    Ok(if code == 0 { Exit::Ok } else { Exit::Failed })
}
