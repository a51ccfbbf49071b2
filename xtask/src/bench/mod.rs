//! `cargo xtask bench`: measurements that are run, not believed.

mod api;
pub mod canaries;
mod evals;
pub mod gates;
mod gateway;
pub mod scanners;
mod sets;
pub mod verdicts;

use crate::tools;
use crate::{Failed, args::Args};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

const HELP: &str = "\
cargo xtask bench <api|canaries|evals|gates|gateway|scanners|verdicts>

  api        lists and pages with a thousand apps and a million requests
  canaries   roll real models out against each other on recorded answers with
             human labels, and compare the decisions with what they must be
  evals      time and memory of the evaluation engine, beside the model's own
  gates      what evaluation gates say of changes between real systems
  gateway    CPU and latency of the gateway, as ratios to a bare proxy
  scanners   secrets, personal data and attacks: what is found, what not, how fast
  verdicts   false stops and lateness of rules on simulated rollouts

`cargo xtask bench <name> --help` tells more.
";

/// Runs one benchmark.
pub fn run(words: &[String]) -> Result<ExitCode, Failed> {
    match words.split_first() {
        Some((verb, rest)) if verb == "api" => api::run(rest),
        Some((verb, rest)) if verb == "canaries" => canaries::run(rest),
        Some((verb, rest)) if verb == "evals" => evals::run(rest),
        Some((verb, rest)) if verb == "gates" => gates::run(rest),
        Some((verb, rest)) if verb == "gateway" => gateway::run(rest),
        Some((verb, rest)) if verb == "scanners" => scanners::run(rest),
        Some((verb, rest)) if verb == "verdicts" => verdicts::run(rest),
        Some((verb, _)) if verb != "--help" && verb != "-h" => Err(crate::args::unknown(
            "benchmark",
            verb,
            &["api", "canaries", "evals", "gates", "gateway", "scanners", "verdicts"],
        )),
        _ => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The data folder, from `--data` or TIDEGATE_BENCH_DATA; none if neither is given.
pub fn data_folder(args: &mut Args) -> Result<Option<PathBuf>, Failed> {
    let given = match args.value("--data")? {
        Some(path) => Some(PathBuf::from(path)),
        None => {
            std::env::var_os("TIDEGATE_BENCH_DATA").filter(|v| !v.is_empty()).map(PathBuf::from)
        }
    };
    match given {
        Some(path) if !path.is_dir() => {
            Err(format!("the data folder `{}` is not there", path.display()))
        }
        other => Ok(other),
    }
}

/// True if `--output json` is asked for.
fn as_json(args: &mut Args) -> Result<bool, Failed> {
    match args.value("--output")?.as_deref() {
        None | Some("table") => Ok(false),
        Some("json") => Ok(true),
        Some(other) => Err(crate::args::unknown("output", other, &["table", "json"])),
    }
}

/// Runs a benchmark's own program, which ends with 1 if something is wrong.
fn ended(bench: &mut Command) -> Result<ExitCode, Failed> {
    let shown = tools::shown(bench);
    let status = bench.status().map_err(|e| format!("`{shown}` could not be started: {e}"))?;
    match status.code() {
        Some(0) => Ok(ExitCode::SUCCESS),
        Some(1) => Ok(ExitCode::FAILURE),
        _ => Err(format!("`{shown}` failed ({status})")),
    }
}
