//! What the gateway costs, as ratios to a floor measured in the same run.
//!
//! `cargo xtask bench gateway` starts an upstream, a bare proxy (the floor) and
//! the gateway, each a process of its own, and then a load generator that visits
//! them in turn. The floor is the same HTTP stack doing nothing but forwarding,
//! so that a ratio says what Tidegate adds and not what the machine is.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a benchmark talks to its terminal and measures time"
)]

mod cpu;
mod floor;
mod load;
mod report;
mod upstream;

use std::process::ExitCode;

const HELP: &str = "\
bench upstream                 a server that answers every chat completion at once
bench floor UPSTREAM_URL       a bare proxy in front of it
bench load JSON                visit the targets in turn; see `load::Plan`
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // One worker a process: on a small machine the processes would otherwise
    // measure each other's scheduling.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(e) => return failed(&format!("the runtime does not start: {e}")),
    };
    let done = match words.as_slice() {
        ["upstream"] => runtime.block_on(upstream::run()),
        ["floor", upstream] => runtime.block_on(floor::run(upstream)),
        ["load", plan] => runtime.block_on(load::run(plan)),
        _ => Err(format!("unknown words; there is\n{HELP}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => failed(&why),
    }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("error: {why}");
    ExitCode::FAILURE
}
