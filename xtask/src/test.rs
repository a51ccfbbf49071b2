//! `cargo xtask test`: everything that must pass, from a fresh clone.
//!
//! The same command for people and CI. A part that cannot run is a failure, not
//! a skip: a green line means that all of it was done.

use crate::{Failed, args::Args, bench, tools, web};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

const HELP: &str = "\
cargo xtask test [--data DIR] [--fast]

Formatting, lints, all tests, the page in a real browser, `demo --exit`, the promises
of the verdicts on simulated rollouts, and with a data folder the quality of the
scanners, and gates and canaries on recorded answers of real models. Installs what
the tests need where it can (Debian packages as root; Python and Node clients below
`target/` and the tests).

  --data DIR   folder with `ragtruth_qa`, `xstest`, `secrets`, `pii`, `injection`,
               `banking77`, `aci_bench`, `mts_dialog`, `ifeval` and `json_schema`;
               TIDEGATE_BENCH_DATA if absent
  --fast       only the tests
";

/// Passed and failed so far.
#[derive(Default)]
struct Score {
    passed: u64,
    failed: u64,
    complaints: Vec<String>,
}

impl Score {
    /// One step that either works or does not.
    fn step(&mut self, name: &str, work: impl FnOnce() -> Result<(), Failed>) {
        println!("\n== {name}");
        let began = Instant::now();
        let result = work();
        let took = began.elapsed().as_secs_f64();
        match result {
            Ok(()) => {
                self.passed += 1;
                println!("== {name}: passed in {took:.0} s");
            }
            Err(why) => {
                self.failed += 1;
                println!("== {name}: FAILED in {took:.0} s: {why}");
                self.complaints.push(format!("{name}: {why}"));
            }
        }
    }
}

/// Runs everything.
pub fn run(words: &[String]) -> Result<ExitCode, Failed> {
    let Some(mut args) = Args::read(words, HELP) else { return Ok(ExitCode::SUCCESS) };
    let fast = args.flag("--fast");
    let data = bench::data_folder(&mut args)?;
    args.done()?;

    let began = Instant::now();
    tools::install_missing()?;
    let python = tools::python_client()?;
    tools::node_client()?;
    tools::openid_provider()?;

    let mut score = Score::default();
    if !fast {
        score.step("format", || tools::run(tools::cargo().args(["fmt", "--all", "--check"])));
        score.step("lints", || {
            tools::run(tools::cargo().args([
                "clippy",
                "--quiet",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ]))
        });
    }
    // Before the tests: they look at the page that the server serves.
    score.step("page: build", web::build);
    tests(&mut score, &python);
    score.step("page: types, units, sizes, journeys in Chromium", web::check);
    if !fast {
        score.step("demo --exit", demo);
        score.step("bench verdicts --quick", bench::verdicts::promises);
        match data {
            Some(data) => {
                score.step("bench scanners --quality", || bench::scanners::quality(&data));
                score.step("bench gates", || bench::gates::all(&data));
                score.step("bench canaries", || bench::canaries::all(&data));
            }
            None => {
                println!(
                    "\n== bench scanners, gates and canaries: no data folder given (`--data DIR`)"
                )
            }
        }
    }

    println!("\nfinished in {:.0} s", began.elapsed().as_secs_f64());
    for complaint in &score.complaints {
        println!("FAILED {complaint}");
    }
    println!("{} passed, {} failed", score.passed, score.failed);
    Ok(if score.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The demo, with the binary the tests have built already.
fn demo() -> Result<(), Failed> {
    let binary = tools::target().join("debug").join("tidegate");
    let folder = tools::target().join("demo-in-test");
    tools::run(Command::new(binary).args(["demo", "--exit", "--dir"]).arg(folder))
}

/// All tests of the workspace, under nextest where there is one.
fn tests(score: &mut Score, python: &PathBuf) {
    let nextest = tools::on_path("cargo-nextest");
    let mut command = tools::cargo();
    if nextest {
        command.args([
            "nextest",
            "run",
            "--workspace",
            "--locked",
            "--no-fail-fast",
            "--status-level",
            "slow",
        ]);
    } else {
        command.args(["test", "--workspace", "--locked", "--no-fail-fast"]);
    }
    command.env("TIDEGATE_TEST_PYTHON", python);
    println!("\n== tests ({})", tools::shown(&command));
    match counted(&mut command, nextest) {
        Ok((passed, failed, success)) => {
            score.passed += passed;
            score.failed += failed;
            if passed == 0 && failed == 0 {
                score.failed += 1;
                score.complaints.push("tests: none ran; did the build fail?".to_owned());
            } else if failed > 0 || !success {
                score.failed += u64::from(failed == 0);
                score.complaints.push(format!("tests: {failed} failed (see above)"));
            }
        }
        Err(why) => {
            score.failed += 1;
            score.complaints.push(format!("tests: {why}"));
        }
    }
}

/// Runs the tests, shows what they say, and counts: passed, failed, and whether
/// the runner itself was content.
fn counted(command: &mut Command, nextest: bool) -> Result<(u64, u64, bool), Failed> {
    let shown = tools::shown(command);
    // nextest reports on stderr, cargo's own harness on stdout.
    if nextest {
        command.stderr(Stdio::piped());
    } else {
        command.stdout(Stdio::piped());
    }
    let mut child = command.spawn().map_err(|e| format!("`{shown}` could not be started: {e}"))?;
    let stream: Box<dyn std::io::Read> = match (child.stderr.take(), child.stdout.take()) {
        (Some(err), _) => Box::new(err),
        (None, Some(out)) => Box::new(out),
        (None, None) => return Err(format!("`{shown}` has no output")),
    };
    let (mut passed, mut failed) = (0, 0);
    for line in BufReader::new(stream).split(b'\n') {
        let line = line.map_err(|e| format!("`{shown}` broke off: {e}"))?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        let (p, f) = counts(&line, nextest);
        passed += p;
        failed += f;
    }
    let status = child.wait().map_err(|e| format!("`{shown}` was lost: {e}"))?;
    Ok((passed, failed, status.success()))
}

/// Passed and failed of a runner's summary line; zeros for any other. nextest
/// repeats what a failed test said, and that holds lines of the other runner.
fn counts(line: &str, nextest: bool) -> (u64, u64) {
    let plain = without_colour(line);
    let begin = if nextest { "Summary [" } else { "test result:" };
    if !plain.trim_start().starts_with(begin) {
        return (0, 0);
    }
    let before = |word: &str| -> u64 {
        let words: Vec<&str> = plain
            .split(|c: char| c.is_whitespace() || c == ',' || c == ';')
            .filter(|w| !w.is_empty())
            .collect();
        words
            .windows(2)
            .filter(|pair| pair[1] == word)
            .filter_map(|pair| pair[0].parse::<u64>().ok())
            .sum()
    };
    (before("passed"), before("failed") + before("timed"))
}

fn without_colour(line: &str) -> String {
    let mut plain = String::new();
    let mut rest = line;
    while let Some((text, coloured)) = rest.split_once('\u{1b}') {
        plain.push_str(text);
        rest = coloured.split_once('m').map_or("", |(_, after)| after);
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_of_both_runners_are_counted() {
        let table = [
            (
                true,
                "     Summary [  12.345s] 120 tests run: 118 passed (1 slow), 2 failed, 3 skipped",
                (118, 2),
            ),
            (
                true,
                "\u{1b}[32;1m     Summary\u{1b}[0m [   0.1s] \u{1b}[1m4\u{1b}[0m tests run: \u{1b}[1m4\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, \u{1b}[1m0\u{1b}[0m skipped",
                (4, 0),
            ),
            (true, "     Summary [   5.0s] 3 tests run: 2 passed, 1 timed out, 0 skipped", (2, 1)),
            (
                false,
                "test result: ok. 7 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out",
                (7, 1),
            ),
            (true, "        PASS [   0.1s] domain 3 passed", (0, 0)),
            (true, "    test result: FAILED. 0 passed; 1 failed; 0 ignored", (0, 0)),
        ];
        for (nextest, line, expected) in table {
            assert_eq!(counts(line, nextest), expected, "{line}");
        }
    }
}
