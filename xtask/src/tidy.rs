//! `cargo xtask tidy`: the rules about the repository's shape, alone.

use crate::{Failed, args::Args, tools};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask tidy

The tests about the shape of the repository: which crate knows which, who may
speak SQL, run git, dial out or listen, module headers, lengths, leftovers.
`cargo xtask test` runs them too.
";

/// Runs the tidy tests.
pub fn run(words: &[String]) -> Result<ExitCode, Failed> {
    let Some(args) = Args::read(words, HELP) else { return Ok(ExitCode::SUCCESS) };
    args.done()?;
    tools::run(tools::cargo().args([
        "test",
        "--quiet",
        "--package",
        "tidegate",
        "--test",
        "tidy",
    ]))?;
    Ok(ExitCode::SUCCESS)
}
