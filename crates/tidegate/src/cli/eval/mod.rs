//! `eval`: run evaluation suites from a checkout of the ops repo, without a
//! server, and record answers for them.

mod bar;
mod import;
mod record;
mod releases;
mod say;

use super::failure::{Exit, Failure};
use super::init::folder;
use super::output::talk;
use super::run::Run;
use bar::Bar;
use clap::{Args, Subcommand, ValueEnum};
use domain::finding::{GateOutcome, Tier};
use domain::ids::AppName;
use domain::units::Span;
use evals::{About, EvalReport, How, Limits, Loaded, Options, Results, evaluate};
use opsrepo::{Desired, Files};
use releases::Against;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Where paid answers and the last report are kept, below the checkout.
const CACHE: &str = ".tidegate/evals";

/// What to do with evaluation suites.
#[derive(Debug, Subcommand)]
pub enum Eval {
    /// Run suites against a release and compare it with production
    Run(Box<RunArgs>),
    /// Ask the real provider once and keep its answers for ever
    Record(Box<RecordArgs>),
    /// Turn another tool's tests into a suite
    Import(import::ImportArgs),
}

/// Which apps and suites.
#[derive(Debug, Args)]
struct Which {
    /// Only this app
    #[arg(short, long)]
    app: Option<AppName>,
    /// Only the suites of this name
    #[arg(long, value_name = "SUITE")]
    suite: Option<String>,
    /// Top folder of a checkout of the ops repo
    #[arg(long, value_name = "DIR", default_value = ".")]
    repo: PathBuf,
    /// Repeats of each case, instead of the suite's
    #[arg(long, value_name = "N")]
    repeats: Option<u32>,
    /// Calls under way at once
    #[arg(long, value_name = "N", default_value_t = 16)]
    concurrency: usize,
    /// Most calls begun in a minute
    #[arg(long, value_name = "N")]
    per_minute: Option<u32>,
    /// Longest one call may take
    #[arg(long, value_name = "TIME", default_value = "60s")]
    timeout: Span,
}

/// How to run.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    which: Which,
    /// What to compare with: `production`, a release, or `none`
    #[arg(long, value_name = "RELEASE", default_value = "production")]
    against: Against,
    /// The environment whose production alias is meant
    #[arg(long, value_name = "ENV", default_value = "production")]
    environment: domain::ids::EnvName,
    /// The dearest tier that may run; `paid` and `scheduled` cost money
    #[arg(long, value_enum, default_value_t = TierArg::Recorded, value_name = "TIER")]
    tier: TierArg,
    /// Go on with the run that was interrupted: its app and suite
    #[arg(long)]
    resume: bool,
    /// Only the cases that failed in the last run
    #[arg(long, value_enum, value_name = "WHICH")]
    only: Option<Only>,
    /// Stop a suite as soon as every rule is decided: between repeats, or between cases
    #[arg(long)]
    stop_early: bool,
    /// Requests a month, for the forecast of what they cost
    #[arg(long, value_name = "N")]
    requests_per_month: Option<u64>,
    /// Day whose prices hold, as YYYY-MM-DD [default: today]
    #[arg(long, value_name = "DAY", value_parser = day)]
    prices_on: Option<i64>,
    /// Write a report into this file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = ReportForm::Json, value_name = "FORM")]
    format: ReportForm,
    /// Where paid answers are kept [default: .tidegate/evals below `--repo`]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

/// How to record.
#[derive(Debug, Args)]
pub struct RecordArgs {
    #[command(flatten)]
    which: Which,
    /// Ask again what is recorded already
    #[arg(long)]
    again: bool,
    /// What judges compare with: `production`, a release, or `none`
    #[arg(long, value_name = "RELEASE", default_value = "production")]
    against: Against,
}

/// Which cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Only {
    /// Those that failed last time.
    Failing,
}

/// A tier on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TierArg {
    /// Recorded answers: free.
    Recorded,
    /// Real providers, within token caps.
    Paid,
    /// The full matrix.
    Scheduled,
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportForm {
    /// Tidegate's own, with every number.
    Json,
    /// JUnit XML.
    Junit,
    /// SARIF 2.1.0.
    Sarif,
}

/// What is remembered between runs.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Last {
    /// The run under way, or interrupted.
    #[serde(default)]
    open: Option<Open>,
    /// Cases that failed, by app and suite.
    #[serde(default)]
    failing: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Open {
    app: Option<AppName>,
    suite: Option<String>,
}

/// Runs it.
pub async fn run(run: &Run, verb: Eval) -> Result<Exit, Failure> {
    match verb {
        Eval::Run(args) => run_suites(run, *args).await,
        Eval::Record(args) => record::run(run, &args).await,
        Eval::Import(args) => import::run(run, &args),
    }
}

/// Reads a day.
fn day(text: &str) -> Result<i64, String> {
    domain::units::day_number(text).ok_or_else(|| "write a day such as `2026-03-01`".to_owned())
}

/// Days from 1970-01-01.
fn today(run: &Run) -> i64 {
    run.now().second().div_euclid(86_400)
}

impl Which {
    fn limits(&self) -> Limits {
        let millis = u64::try_from(self.timeout.millis()).unwrap_or(0).max(1);
        Limits {
            concurrency: self.concurrency.max(1),
            per_minute: self.per_minute,
            timeout: Duration::from_millis(millis),
            ..Limits::default()
        }
    }

    fn read(&self) -> Result<(Files, Desired), Failure> {
        let files = folder(&self.repo)?;
        let (desired, _) = opsrepo::parse(&files);
        if desired.apps.is_empty() {
            return Err(Failure::usage(format!("`{}` has no app that reads", self.repo.display()))
                .fix("name the top folder of the ops repo with `--repo DIR`; `tidegate validate` says what is wrong"));
        }
        if let Some(app) = self.app.as_ref().filter(|app| !desired.apps.contains_key(*app)) {
            return Err(Failure::new(
                Exit::NotFound,
                format!("there is no app `{app}` that reads"),
            )
            .fix("`tidegate validate` says what is wrong with its files"));
        }
        Ok((files, desired))
    }

    /// The app's suites that were asked for.
    fn suites(&self, files: &Files, app: &AppName) -> Result<Vec<Arc<Loaded>>, Failure> {
        let (loaded, findings) = Loaded::all(files, app);
        if let Some(first) = findings.first() {
            return Err(Failure::new(Exit::Refused, "a suite cannot be run as it is")
                .why(super::findings::line(first))
                .fix("mend the file; `tidegate validate` lists every fault"));
        }
        let wanted = |one: &Loaded| self.suite.as_ref().is_none_or(|name| *name == one.name);
        Ok(loaded.into_iter().filter(wanted).map(Arc::new).collect())
    }
}

async fn run_suites(run: &Run, mut args: RunArgs) -> Result<Exit, Failure> {
    let cache = args.cache.clone().unwrap_or_else(|| args.which.repo.join(CACHE));
    let mut last = read_last(&cache);
    if args.resume {
        let open = last.open.clone().ok_or_else(|| {
            Failure::usage("no run was interrupted here").fix("run without `--resume`")
        })?;
        (args.which.app, args.which.suite) = (open.app, open.suite);
    }
    last.open = Some(Open { app: args.which.app.clone(), suite: args.which.suite.clone() });
    write_last(&cache, &last)?;
    let (files, desired) = args.which.read()?;
    let mut reports = Vec::new();
    for app in desired.apps.keys().filter(|app| args.which.app.as_ref().is_none_or(|a| a == *app)) {
        let suites = args.which.suites(&files, app)?;
        let allowed = |one: &Arc<Loaded>| one.suite.tier <= args.tier.tier();
        let suites: Vec<_> = suites.into_iter().filter(allowed).collect();
        if !suites.is_empty() {
            let report = app_report(run, &args, &cache, &last, (&files, &desired, app), suites);
            reports.push(report.await?);
        }
    }
    if reports.is_empty() {
        return Err(Failure::new(Exit::NotFound, "there is no suite to run")
            .fix("add one below `apps/<app>/evals/`, or allow a dearer `--tier`"));
    }
    last.open = None;
    for report in &reports {
        for suite in &report.suites {
            last.failing.insert(key(&report.app, &suite.suite), suite.failing.clone());
        }
    }
    write_last(&cache, &last)?;
    if let Some(path) = &args.report {
        let gates: Vec<(String, Vec<_>)> = reports
            .iter()
            .map(|r| (r.app.to_string(), r.suites.iter().map(evals::SuiteReport::gate).collect()))
            .collect();
        let results: Vec<Results<'_>> =
            gates.iter().map(|(name, gates)| Results { name, gates }).collect();
        write_report(path, args.format, &results, || reports_json(&reports))?;
    }
    run.out.one(&reports, |out| say::reports(out, &reports))?;
    let failed = reports.iter().any(|report| report.outcome == GateOutcome::Failed);
    Ok(if failed { Exit::Refused } else { Exit::Ok })
}

/// One app's report, or a list if there are several.
fn reports_json(reports: &[EvalReport]) -> Result<String, serde_json::Error> {
    match reports {
        [one] => one.json(),
        many => {
            let parts: Result<Vec<String>, _> = many.iter().map(EvalReport::json).collect();
            let joined: Vec<String> =
                parts?.iter().map(|part| part.trim_end().to_owned()).collect();
            Ok(format!("[\n{}\n]\n", joined.join(",\n")))
        }
    }
}

async fn app_report(
    run: &Run,
    args: &RunArgs,
    cache: &Path,
    last: &Last,
    (files, desired, app): (&Files, &Desired, &AppName),
    suites: Vec<Arc<Loaded>>,
) -> Result<EvalReport, Failure> {
    let wanted = match &args.against {
        Against::Nothing => None,
        Against::Production => desired.production(&args.environment, app).map(|id| id.to_string()),
        Against::Release(id) => Some(id.clone()),
    };
    let paid = args.tier != TierArg::Recorded;
    let day = args.prices_on.unwrap_or_else(|| today(run));
    let releases = releases::of(&args.which.repo, (files, desired, app), wanted, (paid, day))?;
    let risk = desired.apps.get(app).map(|spec| spec.risk);
    let mut reports = Vec::new();
    for loaded in suites {
        let failing = last.failing.get(&key(app, &loaded.name));
        let only = args.only.map(|Only::Failing| -> BTreeSet<String> {
            failing.into_iter().flatten().cloned().collect()
        });
        if only.as_ref().is_some_and(BTreeSet::is_empty) {
            talk(&format!("{}: no case failed last time", loaded.name));
            continue;
        }
        let how = How {
            options: Options {
                repeats: args.which.repeats,
                only,
                stop_early: args.stop_early,
                details: false,
            },
            limits: args.which.limits(),
            journal: Some(cache.to_owned()),
            about: About {
                requests_per_month: args.requests_per_month.map(|n| n as f64),
                ..About::of(risk)
            },
            ..How::default()
        };
        let bar = Bar::new(&loaded.name, run.clock.clone());
        reports.push(evaluate(loaded, &releases, &how, &|at| bar.show(at)).await);
        bar.end();
    }
    let against = releases.production.as_ref().map(|release| release.id);
    Ok(EvalReport::new(app.clone(), releases.candidate.id, against, reports))
}

/// Writes results in the form asked for.
pub fn write_report(
    path: &Path,
    form: ReportForm,
    results: &[Results<'_>],
    json: impl FnOnce() -> Result<String, serde_json::Error>,
) -> Result<(), Failure> {
    let text = match form {
        ReportForm::Json => json(),
        ReportForm::Junit => Ok(evals::junit(results)),
        ReportForm::Sarif => evals::sarif(results, env!("CARGO_PKG_VERSION")),
    };
    let text =
        text.map_err(|e| Failure::new(Exit::Failed, format!("cannot write the report: {e}")))?;
    write_whole(path, &text)
}

/// A file appears whole or not at all.
fn write_whole(path: &Path, text: &str) -> Result<(), Failure> {
    let fail =
        |e: std::io::Error| Failure::usage(format!("cannot write `{}`: {e}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(fail)?;
    }
    let aside = path.with_extension("part");
    std::fs::write(&aside, text).map_err(fail)?;
    std::fs::rename(&aside, path).map_err(fail)
}

fn key(app: &AppName, suite: &str) -> String {
    format!("{app}/{suite}")
}

/// What the last run left; nothing if it cannot be read, as it only saves work.
fn read_last(cache: &Path) -> Last {
    let text = std::fs::read(cache.join("last.json")).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn write_last(cache: &Path, last: &Last) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(last);
    let text = text.map_err(|e| Failure::new(Exit::Failed, e.to_string()))?;
    write_whole(&cache.join("last.json"), &format!("{text}\n"))
}

impl TierArg {
    fn tier(self) -> Tier {
        match self {
            Self::Recorded => Tier::Recorded,
            Self::Paid => Tier::Paid,
            Self::Scheduled => Tier::Scheduled,
        }
    }
}
