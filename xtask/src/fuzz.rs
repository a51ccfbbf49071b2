//! `cargo xtask fuzz`: libFuzzer on every parser that meets the outside.

use crate::{Failed, args::Args, tools};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask fuzz [--seconds N] [--target NAME]

Builds the targets of `fuzz/` with libFuzzer and runs each for N seconds (60 if
absent), beginning with the committed corpus. Stops at the first crash and says
where the input lies.

  --seconds N     per target
  --target NAME   only this one: yaml, template, request, sse, recordings, scan,
                  suite, cases
";

/// The targets: one per kind of input.
const TARGETS: [&str; 8] =
    ["yaml", "template", "request", "sse", "recordings", "scan", "suite", "cases"];

/// Builds once, then runs each target.
pub fn run(words: &[String]) -> Result<ExitCode, Failed> {
    let Some(mut args) = Args::read(words, HELP) else { return Ok(ExitCode::SUCCESS) };
    let seconds = args.number("--seconds", 60)?;
    let only = args.value("--target")?;
    args.done()?;
    if let Some(name) = &only
        && !TARGETS.contains(&name.as_str())
    {
        return Err(crate::args::unknown("target", name, &TARGETS));
    }
    let folder = tools::root().join("fuzz");
    let build = tools::target().join("fuzz");
    println!("building the fuzz targets (the first time takes some minutes)");
    tools::run(
        tools::cargo()
            .args(["build", "--quiet", "--release", "--manifest-path"])
            .arg(folder.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&build)
            // With a target named, build scripts and macros stay plain.
            .args(["--target", HOST])
            .env("RUSTFLAGS", COVERAGE.join(" ")),
    )?;
    for target in TARGETS.into_iter().filter(|t| only.as_deref().is_none_or(|o| o == *t)) {
        let found = folder.join("corpus").join(target);
        let artifacts = folder.join("artifacts").join(target);
        for path in [&found, &artifacts] {
            std::fs::create_dir_all(path)
                .map_err(|e| format!("`{}` cannot be made: {e}", path.display()))?;
        }
        let mut command = std::process::Command::new(build.join(HOST).join("release").join(target));
        command
            .arg(&found)
            .arg(folder.join("seeds").join(target))
            .arg(format!("-max_total_time={seconds}"))
            .args(["-max_len=4096", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"])
            .arg(format!("-artifact_prefix={}/", artifacts.display()));
        println!("{target}: {}", fuzz(&mut command, &artifacts)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs one target; gives how many inputs it took. libFuzzer talks a lot, so its
/// words are only shown if something is wrong.
fn fuzz(
    command: &mut std::process::Command,
    artifacts: &std::path::Path,
) -> Result<String, Failed> {
    let output = command
        .output()
        .map_err(|e| format!("`{}` could not be started: {e}", tools::shown(command)))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        let done = said.lines().rev().find(|line| line.starts_with("Done "));
        return Ok(format!("{}, no crash", done.unwrap_or("done").to_lowercase()));
    }
    let last: Vec<&str> = said.lines().rev().take(60).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    Err(format!(
        "{}\na crash; the input lies in `{}`, give it to the target to see it again",
        last.join("\n"),
        artifacts.display()
    ))
}

/// What libFuzzer is guided by. No address sanitizer: the workspace forbids
/// `unsafe`, and without it each second tries several times as many inputs.
const COVERAGE: [&str; 8] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
];

/// The host triple.
const HOST: &str = env!("XTASK_HOST");
