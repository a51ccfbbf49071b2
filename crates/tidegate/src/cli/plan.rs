//! `rollout plan`: what a plan can and cannot detect, before it starts.
//!
//! With a policy file and a number of requests a day it asks no server; with
//! less, the server fills in what it knows of the app.

use super::client::{escape, query};
use super::failure::{Exit, Failure};
use super::output::{Format, Out, Style};
use super::run::Run;
use analysis::power::{PlanReport, Traffic, plan};
use clap::Args;
use control::plan::PlanQuestion;
use control::views::ChangeView;
use domain::finding::Finding;
use domain::ids::{AppName, ChangeId};
use domain::policy::RolloutPolicy;
use domain::sentence::Sentence;
use std::path::{Path, PathBuf};

/// Longest policy file read, in bytes.
const MAX_POLICY: u64 = 1 << 20;
/// Most requests a day that are believed.
const MAX_REQUESTS: f64 = 1e12;

/// Which plan, at which traffic.
#[derive(Debug, Args)]
pub struct Plan {
    /// The app whose plan and traffic are meant
    #[arg(short, long, required_unless_present = "policy")]
    app: Option<AppName>,
    /// A rollout policy, YAML or JSON; the app's own if absent
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The plan of this change
    #[arg(long, conflicts_with = "policy")]
    change: Option<ChangeId>,
    /// Requests a day; with `--policy`, no server is asked
    #[arg(long, value_name = "N")]
    requests_per_day: Option<f64>,
}

/// Asks and prints.
pub async fn run(run: &Run, args: Plan) -> Result<Exit, Failure> {
    if let Some(per_day) = args.requests_per_day
        && !(0.0..=MAX_REQUESTS).contains(&per_day)
    {
        return Err(Failure::usage(format!("`--requests-per-day` cannot be {per_day:?}"))
            .fix(format!("give a number from 0 to {MAX_REQUESTS}")));
    }
    let report = forecast(run, &args).await?;
    run.out.one(&report, |out| text(out, &report))?;
    Ok(Exit::Ok)
}

async fn forecast(run: &Run, args: &Plan) -> Result<PlanReport, Failure> {
    let policy = args.policy.as_deref().map(read_policy).transpose()?;
    match (&args.app, policy, args.requests_per_day) {
        (_, Some(policy), Some(per_day)) => Ok(plan(&policy, &Traffic::given(per_day))),
        (None, Some(policy), None) => Ok(plan(&policy, &Traffic::expected(&policy))),
        (Some(app), Some(policy), None) => {
            let question = PlanQuestion { policy: Some(policy), ..PlanQuestion::default() };
            run.api.post(&path(app), &question, None).await
        }
        (Some(app), None, per_day) => {
            let parameters = [
                ("change", args.change.map(|id| id.to_string())),
                ("requests_per_day", per_day.map(|n| n.to_string())),
            ];
            run.api.get(&format!("{}{}", path(app), query(&parameters))).await
        }
        (None, None, _) => Err(Failure::usage("which plan? name an app or a policy file")
            .fix("add `--app NAME` or `--policy FILE`")),
    }
}

fn path(app: &AppName) -> String {
    format!("apps/{}/plan", escape(app.as_str()))
}

/// One sentence on what the plan of an open change detects, for people; nothing
/// where it cannot be told.
pub async fn detects(run: &Run, change: &ChangeView) -> String {
    if run.out.format != Format::Table || !change.state.is_open() {
        return String::new();
    }
    let asked = format!("{}?change={}", path(&change.app), change.id);
    let report: Result<PlanReport, Failure> = run.api.get(&asked).await;
    report.map_or_else(|_| String::new(), |report| report.summary.text)
}

fn read_policy(path: &Path) -> Result<RolloutPolicy, Failure> {
    let name = path.display().to_string();
    let unreadable = |problem: String| {
        Failure::usage(format!("cannot read `{name}`: {problem}"))
            .fix("name a rollout policy you may read with `--policy FILE`")
    };
    let size = std::fs::metadata(path).map_err(|e| unreadable(e.to_string()))?.len();
    if size > MAX_POLICY {
        return Err(unreadable(format!("it is {size} bytes long")).fix("name a rollout policy"));
    }
    let bytes = std::fs::read(path).map_err(|e| unreadable(e.to_string()))?;
    opsrepo::replayed_policy(&name, &bytes).map_err(|findings| {
        let faults: Vec<_> = findings.iter().map(fault).collect();
        Failure::usage(format!("`{name}` is not a rollout policy that holds"))
            .why(faults.join("\n"))
            .fix("mend the file; docs/files.md describes every key")
    })
}

/// `FILE:3:14: what is wrong; what to do`.
fn fault(finding: &Finding) -> String {
    let place = finding.place.as_ref().map_or_else(String::new, |place| {
        let numbers: String =
            [place.line, place.column].into_iter().flatten().map(|n| format!(":{n}")).collect();
        format!("{}{numbers}: ", place.file)
    });
    format!("{place}{}; {}", finding.message, finding.mend)
}

fn text(out: &Out, report: &PlanReport) -> String {
    let mut text =
        format!("{}\n{}\n", out.paint(Style::Bold, &report.summary.text), report.promotion.text);
    let steps: Vec<&Sentence> = report.steps.iter().map(|step| &step.text).collect();
    let signals: Vec<&Sentence> = report.signals.iter().map(|signal| &signal.text).collect();
    let hints: Vec<&Sentence> = report.hints.iter().collect();
    let assumptions: Vec<&Sentence> = report.assumptions.iter().collect();
    for (title, sentences) in [
        ("Step by step", steps),
        ("Signal by signal", signals),
        ("What would help", hints),
        ("Computed from", assumptions),
    ] {
        if !sentences.is_empty() {
            text.push_str(&format!("\n{}\n", out.paint(Style::Bold, title)));
        }
        for sentence in sentences {
            text.push_str(&format!("  {}\n", sentence.text));
        }
    }
    text
}
