//! How often and how late the rules stop simulated rollouts.

use crate::{Failed, tools};
use std::process::{Command, ExitCode};

const HELP: &str = "\
cargo xtask bench verdicts [--quick] [OPTION..]

Simulates rollouts, with and without a difference, and leads them past Tidegate's
engine and past other rules: false stops, detection, candidate requests exposed
against the least any rule needs. `--quick` takes about a minute of one core and
ends with status 1 if a promise is broken. Builds in release first.

";

/// Runs it; the options are the simulator's.
pub fn run(words: &[String]) -> Result<ExitCode, Failed> {
    if words.iter().any(|w| w == "--help" || w == "-h") {
        print!("{HELP}");
    }
    let mut build = tools::cargo();
    build.args(["build", "--quiet", "--release", "--package", "tidegate-bench-verdicts"]);
    tools::run(&mut build)?;
    let mut simulator = Command::new(tools::target().join("release").join("verdicts"));
    let shown = tools::shown(simulator.args(words));
    let status = simulator.status().map_err(|e| format!("`{shown}` could not be started: {e}"))?;
    match status.code() {
        Some(0) => Ok(ExitCode::SUCCESS),
        Some(1) => Ok(ExitCode::FAILURE),
        _ => Err(format!("`{shown}` failed ({status})")),
    }
}

/// The quick look at all families; an error if a promise is broken.
pub fn promises() -> Result<(), Failed> {
    let broken = || "a promise is broken (see above)".to_owned();
    if run(&["--quick".to_owned()])? == ExitCode::SUCCESS { Ok(()) } else { Err(broken()) }
}
