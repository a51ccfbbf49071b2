//! `backtest`: what a rollout policy would have decided on recorded traffic.
//!
//! Traces are read side by side; each verdict is a function of its own file and
//! the policy, so neither names nor order nor the number of workers matter. The
//! output appears whole or not at all.

mod explain;
mod line;
mod say;
mod trace;
mod verdict;

use super::failure::{Exit, Failure};
use super::findings;
use super::output::{Out, table};
use super::run::Run;
use clap::Args;
use domain::policy::RolloutPolicy;
use explain::Log;
use line::Names;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use trace::Fault;
use verdict::TraceVerdict;

/// Largest policy read, in bytes.
const MAX_POLICY: u64 = 1 << 20;

/// Which policy, which recordings.
#[derive(Debug, Args)]
#[command(after_help = "A trace is one file `*.jsonl`, one outcome a line, ordered by `t`:\n\
    \n    {\"t\": 12.3, \"arm\": \"candidate\", \"metrics\": {\"error\": 0, \"latency_ms\": 812}}\n\
    \nBeside these a line may carry `share`, `unit`, `segment` and `pair`; see docs/backtest.md.")]
pub struct Backtest {
    /// The rollout policy, YAML or JSON; `steps` may be absent
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Folder of the traces: every `*.jsonl` in it
    #[arg(long, value_name = "DIR")]
    traces: PathBuf,
    /// Write the verdicts into this file, one JSON object a line
    #[arg(long, value_name = "FILE", required_unless_present = "explain")]
    out: Option<PathBuf>,
    /// Traces read at once [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Say how the verdict on this trace came about
    #[arg(long, value_name = "TRACE")]
    explain: Option<String>,
}

/// Runs it.
pub async fn run(run: &Run, args: Backtest) -> Result<Exit, Failure> {
    let out = run.out.clone();
    let work = tokio::task::spawn_blocking(move || replay_all(&out, &args));
    work.await.unwrap_or_else(|e| Err(Failure::new(Exit::Failed, format!("the replay died: {e}"))))
}

fn replay_all(out: &Out, args: &Backtest) -> Result<Exit, Failure> {
    let policy = read_policy(&args.policy)?;
    let traces = list(&args.traces, args.out.as_deref())?;
    let explained = args.explain.as_deref().map(|name| find(&traces, name)).transpose()?;
    if let Some(path) = &args.out {
        let aside = Aside::of(path)?;
        let jobs = args.jobs.map_or_else(cores, NonZeroUsize::get);
        let verdicts = verdicts(&policy, &traces, jobs)?;
        aside.fill(&verdicts)?;
        if explained.is_none() {
            summary(out, path, &verdicts)?;
        }
    }
    if let Some(trace) = explained {
        explain(out, &policy, trace)?;
    }
    Ok(Exit::Ok)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

fn read_policy(path: &Path) -> Result<RolloutPolicy, Failure> {
    let name = path.display().to_string();
    let fail = |problem: String| {
        Failure::usage(format!("cannot read `{name}`: {problem}"))
            .fix("name a rollout policy you may read with `--policy FILE`")
    };
    let size = fs::metadata(path).map_err(|e| fail(e.to_string()))?.len();
    if size > MAX_POLICY {
        return Err(fail(format!("it is {size} bytes long")).fix("name a rollout policy"));
    }
    let bytes = fs::read(path).map_err(|e| fail(e.to_string()))?;
    opsrepo::replayed_policy(&name, &bytes).map_err(|found| {
        let texts: Vec<_> = found.iter().map(findings::line).collect();
        Failure::usage(format!("`{name}` is not a rollout policy that holds"))
            .why(texts.join("\n"))
            .fix("mend the file; docs/files.md describes every key")
    })
}

/// One file to replay.
struct Trace {
    name: String,
    path: PathBuf,
    size: u64,
}

/// The traces of a folder, by name. Hidden files and the output are none.
fn list(dir: &Path, output: Option<&Path>) -> Result<Vec<Trace>, Failure> {
    let fail = |e: std::io::Error| {
        Failure::usage(format!("cannot read the folder `{}`: {e}", dir.display()))
            .fix("`--traces` names a folder that holds `*.jsonl` files")
    };
    let output = output.and_then(|path| fs::canonicalize(path).ok());
    let mut traces = Vec::new();
    for entry in fs::read_dir(dir).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let Some(name) = name.filter(|name| !name.starts_with('.')) else { continue };
        if path.extension() != Some(OsStr::new("jsonl")) || path.is_dir() {
            continue;
        }
        if output.is_some() && fs::canonicalize(&path).ok() == output {
            continue;
        }
        // One that cannot be asked will say so when it is read.
        let size = fs::metadata(&path).map_or(0, |meta| meta.len());
        traces.push(Trace { name, path, size });
    }
    traces.sort_by(|a, b| a.name.cmp(&b.name));
    if traces.is_empty() {
        return Err(Failure::usage(format!("there is no trace in `{}`", dir.display()))
            .fix("a trace is a file `*.jsonl`, one outcome a line; see `tidegate help backtest`"));
    }
    Ok(traces)
}

fn find<'t>(traces: &'t [Trace], name: &str) -> Result<&'t Trace, Failure> {
    let is = |trace: &&Trace| trace.name == name || trace.name.strip_suffix(".jsonl") == Some(name);
    traces.iter().find(is).ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("there is no trace `{name}` in the folder"))
            .fix("`--explain` takes the name of a file in the folder of `--traces`")
    })
}

/// Replays all traces, the largest first so that no worker is left with a long
/// one at the end. All verdicts by name of the trace, or every fault.
fn verdicts(
    policy: &RolloutPolicy,
    traces: &[Trace],
    jobs: usize,
) -> Result<Vec<TraceVerdict>, Failure> {
    let mut order: Vec<&Trace> = traces.iter().collect();
    order.sort_by_key(|trace| std::cmp::Reverse(trace.size));
    let (names, next) = (Names::of(policy), AtomicUsize::new(0));
    let work = || {
        let mut done = Vec::new();
        while let Some(trace) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let decided = trace::replay(&trace.path, policy, &names, |_| {});
            let verdict =
                decided.map(|decision| TraceVerdict::new(trace.name.clone(), policy, decision));
            done.push((trace.name.as_str(), verdict));
        }
        done
    };
    let mut all =
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs.min(order.len())).map(|_| scope.spawn(work)).collect();
            let mut all = Vec::with_capacity(order.len());
            for worker in workers {
                all.extend(worker.join().map_err(|_| {
                    Failure::new(Exit::Failed, "a worker died; nothing was written")
                })?);
            }
            Ok::<_, Failure>(all)
        })?;
    all.sort_by_key(|(name, _)| *name);
    let faults: Vec<String> =
        all.iter().filter_map(|(name, verdict)| Some(verdict.as_ref().err()?.text(name))).collect();
    if !faults.is_empty() {
        return Err(unreadable(&faults, traces.len()));
    }
    Ok(all.into_iter().filter_map(|(_, verdict)| verdict.ok()).collect())
}

/// Every bad trace by its name.
fn unreadable(faults: &[String], traces: usize) -> Failure {
    let failure = match faults {
        [only] => Failure::usage(only.clone()),
        many => Failure::usage(format!("{} of {traces} traces cannot be replayed", many.len()))
            .why(many.join("\n")),
    };
    failure.fix("mend or remove what is named; nothing was written")
}

/// The output while it is not whole: a file beside the one it will be.
struct Aside {
    path: PathBuf,
    goal: PathBuf,
}

impl Aside {
    /// Tries at once whether the file can be written, and leaves nothing behind
    /// until there is something to write: a replay may be interrupted.
    fn of(goal: &Path) -> Result<Self, Failure> {
        let unusable = || {
            Failure::usage(format!("cannot write `{}`: it names no file", goal.display()))
                .fix("name a file in a folder that exists with `--out`")
        };
        let name = goal.file_name().ok_or_else(unusable)?.to_string_lossy();
        let path = goal.with_file_name(format!(".{name}.new-{}", std::process::id()));
        let aside = Self { path, goal: goal.to_owned() };
        if goal.is_dir() {
            return Err(unusable());
        }
        let tried = fs::File::create(&aside.path).and_then(|_| fs::remove_file(&aside.path));
        tried.map_err(|e| aside.fail(&e))?;
        Ok(aside)
    }

    /// Writes everything and moves it into place.
    fn fill(self, verdicts: &[TraceVerdict]) -> Result<(), Failure> {
        let write = || -> std::io::Result<()> {
            let mut file = BufWriter::new(fs::File::create(&self.path)?);
            for verdict in verdicts {
                serde_json::to_writer(&mut file, verdict)?;
                file.write_all(b"\n")?;
            }
            file.into_inner()?.sync_all()?;
            fs::rename(&self.path, &self.goal)
        };
        write().map_err(|e| self.fail(&e))
    }

    fn fail(&self, error: &std::io::Error) -> Failure {
        Failure::new(Exit::Failed, format!("cannot write `{}`: {error}", self.goal.display()))
            .fix("name a file in a folder that exists and may be written with `--out`")
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // Gone already if it was moved into place.
        fs::remove_file(&self.path).ok();
    }
}

/// How many traces ended how.
#[derive(Serialize)]
struct Summary<'a> {
    out: String,
    traces: usize,
    decisions: BTreeMap<&'a str, usize>,
}

fn summary(out: &Out, path: &Path, verdicts: &[TraceVerdict]) -> Result<(), Failure> {
    use analysis::backtest::Action;
    let named = [
        ("rollback", Action::Rollback),
        ("pause", Action::Pause),
        ("promote", Action::Promote),
        ("continue", Action::Continue),
    ];
    let count = |action| verdicts.iter().filter(|verdict| verdict.decision == action).count();
    let decisions: BTreeMap<_, _> =
        named.iter().map(|(name, action)| (*name, count(*action))).collect();
    let rows: Vec<Vec<String>> = named
        .iter()
        .map(|(name, action)| vec![(*name).to_owned(), count(*action).to_string()])
        .collect();
    let summary = Summary { out: path.display().to_string(), traces: verdicts.len(), decisions };
    out.one(&summary, |out| table(&["DECISION", "TRACES"].map(str::to_owned), &rows, out.tty))
}

fn explain(out: &Out, policy: &RolloutPolicy, trace: &Trace) -> Result<(), Failure> {
    let mut log = Log::default();
    let decided = trace::replay(&trace.path, policy, &Names::of(policy), |look| log.look(look));
    let decision = decided.map_err(|fault: Fault| unreadable(&[fault.text(&trace.name)], 1))?;
    let verdict = TraceVerdict::new(trace.name.clone(), policy, decision);
    log.print(out, policy, &verdict)
}
