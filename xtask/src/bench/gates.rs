//! What evaluation gates say of changes from one real model to another.

use crate::{Failed, args::Args, tools};
use std::path::Path;
use std::process::{Command, ExitCode};

const HELP: &str = "\
cargo xtask bench gates --data DIR [--output table|json]

Puts recorded answers of real systems through evaluation suites, as changes from one
system to another, and compares what comes out with what must: worse and dearer fails,
better and dearer asks whoever pays, omission and lost safety fail, and an answerer of
junk passes no gate that is a judge alone. Says how often checks of instructions and of
JSON Schemas agree with labels. Ends with 1 if something is not as it must be.

  --data DIR     folder with `aci_bench`, `mts_dialog`, `xstest`, `ifeval` and, if there,
                 `json_schema`; TIDEGATE_BENCH_DATA if absent
  --output FORM  `table` or `json`
";

/// Runs it.
pub fn run(words: &[String]) -> Result<ExitCode, Failed> {
    let Some(mut args) = Args::read(words, HELP) else { return Ok(ExitCode::SUCCESS) };
    let data = super::data_folder(&mut args)?
        .ok_or("no data folder: give `--data DIR` or set TIDEGATE_BENCH_DATA")?;
    let as_json = super::as_json(&mut args)?;
    args.done()?;
    measure(&data, as_json)
}

/// All stories; an error if one comes out wrong.
pub fn all(data: &Path) -> Result<(), Failed> {
    let wrong = || "an outcome is not what it must be (see above)".to_owned();
    if measure(data, false)? == ExitCode::SUCCESS { Ok(()) } else { Err(wrong()) }
}

fn measure(data: &Path, as_json: bool) -> Result<ExitCode, Failed> {
    // As a part of the tests, and beside the one `tools::tidegate` builds: alone it
    // would give other crates other features, and most would be built again.
    let tests = ["--test", "tidy", "--test", "stories"];
    tools::run(tools::cargo().args(["test", "--workspace", "--locked", "--no-run"]).args(tests))?;
    let mut bench = Command::new(tools::target().join("debug").join("gates"));
    bench.arg("--data").arg(data);
    if as_json {
        bench.arg("--json");
    }
    super::ended(&mut bench)
}
