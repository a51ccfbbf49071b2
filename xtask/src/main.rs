//! The front door for chores: `cargo xtask <verb>`.
//!
//! Knows nothing of Tidegate's code: it runs cargo, the tools the tests need,
//! and the `tidegate` binary, as a person would. What people and CI type is the
//! same, so what passes here passes there.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a chore runner talks to its terminal, reads the environment and measures time"
)]

mod args;
mod bench;
mod demo;
mod fuzz;
mod server;
mod test;
mod tidy;
mod tools;
mod web;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <verb>: everything a clone of this repository can do

  demo [--exit]        see a good change go live and a bad one go back by itself
  test [--data DIR]    everything that must pass: format, lints, tests, demo, benchmarks
  web [--test]         build the page (and test it)
  dev                  work on the page: changes are shown as you save
  tidy                 only the rules about the shape of the repository
  bench canaries       canaries on recorded answers of real models with human labels
  bench evals          what the evaluation engine costs beside the model
  bench gates          what gates say of changes between real systems
  bench gateway        cost of the gateway, as ratios to a bare proxy
  bench scanners       what the scanners find in labelled texts, and how fast
  bench verdicts       how often and how late the rules stop simulated rollouts
  fuzz [--seconds N]   feed hostile input to every parser that meets the outside

`cargo xtask <verb> --help` tells more. TIDEGATE_BENCH_DATA names the data folder where
`--data` is not given.
";

/// What went wrong, in words for the person at the terminal.
type Failed = String;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (verb, rest) = match words.split_first() {
        None => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Some((verb, rest)) => (verb.as_str(), rest),
    };
    let done = match verb {
        "demo" => demo::run(rest),
        "test" => test::run(rest),
        "web" => web::run(rest),
        "dev" => web::dev(rest),
        "tidy" => tidy::run(rest),
        "bench" => bench::run(rest),
        "fuzz" => fuzz::run(rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        other => Err(args::unknown(
            "verb",
            other,
            &["demo", "test", "web", "dev", "tidy", "bench", "fuzz", "help"],
        )),
    };
    match done {
        Ok(code) => code,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}
