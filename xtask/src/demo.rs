//! `cargo xtask demo`: build and run the demo, in the profile the tests use.

use crate::{Failed, args::Args, tools, web};
use std::process::{Command, ExitCode};

const HELP: &str = "\
cargo xtask demo [--exit]

A micro app with live traffic on this machine: a good prompt change goes live by
evidence, a bad one hurts a few users and is rolled back by itself. No key, no
network, no Docker. What it makes lies in `./tidegate-demo`.

  --exit   end when both are decided; status 0 only if all of it really happened
";

/// Runs `tidegate demo`.
pub fn run(words: &[String]) -> Result<ExitCode, Failed> {
    let Some(mut args) = Args::read(words, HELP) else { return Ok(ExitCode::SUCCESS) };
    let exit = args.flag("--exit");
    args.done()?;
    println!("building (the first time takes some minutes)");
    // Without it the server shows its basic page, which does for stopping things.
    if !web::is_built()
        && let Err(why) = web::build()
    {
        println!("the page could not be built, so there is only the basic one: {why}");
    }
    let binary = tools::tidegate()?;
    let mut command = Command::new(binary);
    command.arg("demo");
    if exit {
        command.arg("--exit");
    }
    let status = command
        .status()
        .map_err(|e| format!("`{}` could not be started: {e}", tools::shown(&command)))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
