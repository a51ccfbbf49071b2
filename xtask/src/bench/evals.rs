//! What the evaluation engine costs beside the model.

use crate::{Failed, args::Args, tools};
use std::process::{Command, ExitCode};

const HELP: &str = "\
cargo xtask bench evals [--output table|json]

Wall time of a suite against a provider with 200 ms of latency, beside the floor: calls
x latency / calls at once. Peak memory and time of 1 000 and 10 000 cases x 5 repeats of
two releases from recordings, and whether two runs give the same bytes. Builds optimised
first. Ends with 1 above 5 % overhead, above 512 MiB, or if the bytes differ.

  --output FORM  `table` or `json`
";

/// Runs it.
pub fn run(words: &[String]) -> Result<ExitCode, Failed> {
    let Some(mut args) = Args::read(words, HELP) else { return Ok(ExitCode::SUCCESS) };
    let as_json = super::as_json(&mut args)?;
    args.done()?;
    let mut build = tools::cargo();
    build.args(["build", "--quiet", "--release", "--locked", "--package", "tidegate-bench-gates"]);
    tools::run(&mut build)?;
    let mut bench = Command::new(tools::target().join("release").join("gates"));
    bench.arg("--engine");
    if as_json {
        bench.arg("--json");
    }
    super::ended(&mut bench)
}
