//! `traffic replay`: drive a gateway with recorded requests.
//!
//! Open loop: requests start on the clock, not when the one before is done, so
//! that a slow release is measured under the load users would make. What a
//! request is and who asks follow from the seed; what comes back does not.

mod drive;
mod line;
mod tally;

use super::failure::{Exit, Failure};
use super::output::{Format, talk};
use super::rollout;
use super::run::Run;
use super::text;
use clap::{Args, Subcommand, ValueEnum};
use domain::ids::AppName;
use domain::units::Span;
use line::Line;
use std::path::PathBuf;
use std::sync::Arc;
use tally::Report;

/// Most requests under way at once, unless told otherwise.
const CONCURRENCY: usize = 64;

/// Verbs on traffic.
#[derive(Debug, Subcommand)]
pub enum Traffic {
    /// Send recorded requests at a steady rate
    Replay(Box<Replay>),
}

/// What to send, how fast, for how long.
#[derive(Debug, Args)]
pub struct Replay {
    /// The app to call
    #[arg(short, long)]
    app: AppName,
    /// Requests, one JSON object a line: `vars`, and if wanted `subject`,
    /// `messages`, `intent`, `attrs`, `feedback`
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Address of the gateway [default: the one the server names]
    #[arg(long, env = "TIDEGATE_GATEWAY", value_name = "URL")]
    gateway: Option<String>,
    /// Token for the gateway [default: --token]
    #[arg(long, env = "TIDEGATE_APP_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    app_token: Option<String>,
    /// Requests a second
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
    /// Go through the file so many times
    #[arg(long, conflicts_with = "duration")]
    repeat: Option<u64>,
    /// Go round for so long
    #[arg(long, value_name = "TIME")]
    duration: Option<Span>,
    /// Go round until the app's rollout has ended
    #[arg(long)]
    until_rollout_ends: bool,
    /// With --until-rollout-ends: a pause is an end too
    #[arg(long, requires = "until_rollout_ends")]
    until_paused: bool,
    /// Who asks
    #[arg(long, value_enum, default_value_t = Subjects::FromFile)]
    subjects: Subjects,
    /// The same seed sends the same requests of the same subjects
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Send each pass through the file in another order
    #[arg(long)]
    shuffle: bool,
    /// Requests under way at once; more wait, and are counted as late
    #[arg(long, default_value_t = CONCURRENCY)]
    concurrency: usize,
    /// A label of 1 under this name means the user was harmed; repeat for
    /// more [default: every label given per model]
    #[arg(long, value_name = "NAME")]
    harm: Vec<String>,
    /// Also label the mirrored answers, as the model in --shadow-model
    #[arg(long, requires = "shadow_model")]
    label_shadow: bool,
    /// The model that answers mirrored requests
    #[arg(long, value_name = "MODEL")]
    shadow_model: Option<String>,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Subjects {
    /// A new subject for every request.
    Random,
    /// The one in the file; where there is none, a new one.
    FromFile,
}

/// Runs a verb.
pub async fn run(run: &Run, verb: Traffic) -> Result<Exit, Failure> {
    let Traffic::Replay(args) = verb;
    if !(args.rate.is_finite() && args.rate > 0.0) || args.concurrency == 0 {
        return Err(Failure::usage("`--rate` and `--concurrency` must be greater than 0"));
    }
    let lines = line::read(&args.file)?;
    let gateway = super::feedback::gateway(run, args.gateway.clone()).await?;
    let token = args.app_token.clone().or_else(|| run.api.token().map(str::to_owned));
    let plan = Arc::new(plan(&args, lines, gateway, token));
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let report = tokio::select! {
        report = drive::drive(Arc::clone(&plan), stopped) => report,
        failure = stop_when_told(run, &args, stop) => return Err(failure),
    };
    show(run, &report)?;
    Ok(if report.sent > 0 && report.answered() == 0 { Exit::Failed } else { Exit::Ok })
}

fn plan(args: &Replay, lines: Vec<Line>, gateway: String, token: Option<String>) -> drive::Plan {
    let whole_file = u64::try_from(lines.len()).unwrap_or(u64::MAX);
    let unbounded = args.until_rollout_ends || args.duration.is_some();
    let most = match (args.repeat, unbounded) {
        (Some(times), _) => Some(whole_file.saturating_mul(times)),
        (None, true) => None,
        (None, false) => Some(whole_file),
    };
    drive::Plan {
        app: args.app.clone(),
        gateway,
        token,
        lines,
        rate: args.rate,
        most,
        duration: args.duration,
        random_subjects: args.subjects == Subjects::Random,
        seed: args.seed,
        shuffle: args.shuffle,
        concurrency: args.concurrency,
        harm: args.harm.clone(),
        shadow_model: args.shadow_model.clone().filter(|_| args.label_shadow),
    }
}

/// Tells the driver to stop at the end of the rollout, or at Ctrl-C. Ends only
/// with a failure; otherwise the driver ends first.
async fn stop_when_told(
    run: &Run,
    args: &Replay,
    stop: tokio::sync::watch::Sender<bool>,
) -> Failure {
    let end = async {
        if args.until_rollout_ends {
            wait_for_end(run, args).await
        } else {
            std::future::pending().await
        }
    };
    tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => {
            talk("Stopping; requests under way are finished.");
            stop.send_replace(true);
        }
        ended = end => match ended {
            Ok(()) => { stop.send_replace(true); }
            Err(failure) => return failure,
        },
    }
    std::future::pending().await
}

/// Follows the app's rollout to its end. One that has not begun is waited for.
async fn wait_for_end(run: &Run, args: &Replay) -> Result<(), Failure> {
    let deadline = run.deadline(Span::from_secs(30 * 86_400));
    let which = super::run::RolloutRef::App(args.app.clone());
    let first = rollout::resolve_for_watch(run, &which, deadline).await?;
    let which = super::run::RolloutRef::Id(first.id);
    loop {
        let now = rollout::resolve(run, &which).await?;
        let paused =
            args.until_paused && matches!(now.phase, domain::rollout::Phase::Paused { .. });
        if now.phase.is_final() || paused {
            return Ok(());
        }
        run.next_look(
            deadline,
            "the rollout goes on",
            &format!("tidegate rollout watch {}", first.id),
        )
        .await?;
    }
}

fn show(run: &Run, report: &Report) -> Result<(), Failure> {
    if run.out.format != Format::Table {
        return run.out.one(report, |_| String::new());
    }
    let titles =
        ["ARM", "ANSWERS", "ERRORS", "FALLBACK", "HARMED", "MEAN MS", "LABELS"].map(str::to_owned);
    let rows: Vec<Vec<String>> = report
        .arms
        .iter()
        .map(|(arm, counts)| {
            let labels: Vec<_> = counts
                .labels
                .iter()
                .map(|(name, l)| format!("{name} {:.4} of {}", l.mean(), l.n))
                .collect();
            vec![
                arm.clone(),
                counts.answers.to_string(),
                counts.errors.to_string(),
                counts.fallback.to_string(),
                counts.harmed.to_string(),
                format!("{:.1}", counts.mean_ms()),
                labels.join(", "),
            ]
        })
        .collect();
    run.out.write(&super::output::table(&titles, &rows, run.out.tty))?;
    talk(&format!(
        "{} sent, {} started late, {} labels not accepted",
        text::plural(report.sent, "request"),
        text::count(report.late),
        text::count(report.labels_failed)
    ));
    Ok(())
}
