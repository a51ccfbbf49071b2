//! `experiment`: several variants, one reward: live, on recorded outcomes, or on
//! assumed ones.
//!
//! `run` says what an experiment has shown and how to divide traffic next;
//! `simulate` says beforehand how long it would take. These two ask no server;
//! the others are `live`.

mod line;
mod live;
mod recorded;
mod simulate;
mod words;

use super::failure::{Exit, Failure};
use super::findings;
use super::run::Run;
use analysis::experiment::Experiment as Ready;
use clap::{Args, Subcommand};
use std::fs;
use std::path::{Path, PathBuf};

/// Largest policy read, in bytes.
const MAX_POLICY: u64 = 1 << 20;

/// Verbs on experiments.
#[derive(Debug, Subcommand)]
pub enum Experiment {
    /// Divide an app's live traffic among the variants of a reviewed file
    Start(live::Start),
    /// Live experiments, newest first
    List(live::List),
    /// One live experiment
    Get(live::Which),
    /// Follow a live experiment: 0 it has a winner, 9 it ended without one
    Watch(live::Which),
    /// End it: everyone gets production's release again
    Stop(live::Act),
    /// End one that has a winner, and say how to propose it
    Conclude(live::Act),
    /// Say what recorded outcomes show, and how to divide traffic next
    Run(Recorded),
    /// Say how long an experiment would take if the truth were this
    Simulate(simulate::Simulate),
}

/// Which policy, which outcomes.
#[derive(Debug, Args)]
#[command(after_help = "The outcomes are a file with one answer a line, ordered by `t`:\n\
    \n    {\"t\": 12.3, \"variant\": \"short\", \"metrics\": {\"accepted\": 1, \"cost\": 0.002}}\n\
    \nBeside these a line may carry `share`, `segment` and `unit`; see docs/experiments.md.")]
pub struct Recorded {
    /// The experiment policy, YAML or JSON
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The outcomes, one JSON object a line
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
}

impl Experiment {
    /// True if this asks no server.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Simulate(_))
    }
}

/// Runs a verb.
pub async fn run(run: &Run, verb: Experiment) -> Result<Exit, Failure> {
    let out = run.out.clone();
    match verb {
        Experiment::Start(args) => live::start(run, args).await,
        Experiment::List(args) => live::list(run, args).await,
        Experiment::Get(args) => live::get(run, args).await,
        Experiment::Watch(args) => live::watch(run, args).await,
        Experiment::Stop(args) => live::act(run, args, "stop").await,
        Experiment::Conclude(args) => live::act(run, args, "conclude").await,
        Experiment::Run(args) => apart(move || recorded::run(&out, &args)).await,
        Experiment::Simulate(args) => apart(move || simulate::run(&out, &args)).await,
    }
}

/// Work for the processor.
async fn apart(
    work: impl FnOnce() -> Result<Exit, Failure> + Send + 'static,
) -> Result<Exit, Failure> {
    let work = tokio::task::spawn_blocking(work);
    work.await.unwrap_or_else(|e| Err(Failure::new(Exit::Failed, format!("the work died: {e}"))))
}

/// Reads a policy and makes it ready.
fn read_policy(path: &Path) -> Result<Ready, Failure> {
    let name = path.display().to_string();
    let fail = |problem: String| {
        Failure::usage(format!("cannot read `{name}`: {problem}"))
            .fix("name an experiment policy you may read with `--policy FILE`")
    };
    let size = fs::metadata(path).map_err(|e| fail(e.to_string()))?.len();
    if size > MAX_POLICY {
        return Err(fail(format!("it is {size} bytes long")).fix("name an experiment policy"));
    }
    let bytes = fs::read(path).map_err(|e| fail(e.to_string()))?;
    opsrepo::experiment_policy(&name, &bytes).map(Ready::new).map_err(|found| {
        let texts: Vec<_> = found.iter().map(findings::line).collect();
        Failure::usage(format!("`{name}` is not an experiment policy that holds"))
            .why(texts.join("\n"))
            .fix("mend the file; docs/experiments.md describes every key")
    })
}
