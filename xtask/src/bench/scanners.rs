//! How well and how fast the scanners find secrets, personal data and attacks.

use crate::{Failed, args::Args, tools};
use std::path::Path;
use std::process::{Command, ExitCode};

const HELP: &str = "\
cargo xtask bench scanners --data DIR [--output table|json] [--half develop|report]
                           [--errors N] [--quality]

Precision, recall and F1 of secrets and personal data, recall and false positives of
attacks, and MB/s of all three together, on labelled texts. Builds optimised first.

  --data DIR     folder with `secrets`, `pii`, `injection` and, if there, `banking77`
                 and `xstest`; TIDEGATE_BENCH_DATA if absent
  --output FORM  `table` or `json`
  --half WHICH   only the half the detectors were developed on, or only the other
  --errors N     show up to N texts of each kind that were judged wrong
  --quality      no speed; status 1 if a target is missed
";

/// Runs it.
pub fn run(words: &[String]) -> Result<ExitCode, Failed> {
    let Some(mut args) = Args::read(words, HELP) else { return Ok(ExitCode::SUCCESS) };
    let data = super::data_folder(&mut args)?
        .ok_or("no data folder: give `--data DIR` or set TIDEGATE_BENCH_DATA")?;
    let mut more = Vec::new();
    for option in ["--output", "--half", "--errors"] {
        if let Some(value) = args.value(option)? {
            more.extend([option.to_owned(), value]);
        }
    }
    if args.flag("--quality") {
        more.push("--quality".to_owned());
    }
    args.done()?;
    measure(&data, &more)
}

/// The targets of quality on this data; an error if one is missed.
pub fn quality(data: &Path) -> Result<(), Failed> {
    let missed = || "a target is missed (see above)".to_owned();
    let done = measure(data, &["--quality".to_owned()])?;
    if done == ExitCode::SUCCESS { Ok(()) } else { Err(missed()) }
}

fn measure(data: &Path, more: &[String]) -> Result<ExitCode, Failed> {
    let mut build = tools::cargo();
    build.args(["build", "--quiet", "--release", "--package", "tidegate-bench-scanners"]);
    tools::run(&mut build)?;
    let mut bench = Command::new(tools::target().join("release").join("scanners"));
    super::ended(bench.arg("--data").arg(data).args(more))
}
