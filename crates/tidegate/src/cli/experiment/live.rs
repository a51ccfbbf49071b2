//! `experiment start|list|get|watch|stop|conclude`: on live traffic.
//!
//! An experiment is a reviewed file of the ops repo; a command starts and ends
//! it. Its winner is never promoted from here: `conclude` says what to propose.

use super::super::client::query;
use super::super::failure::{Exit, Failure};
use super::super::output::{Out, talk};
use super::super::paging::Paging;
use super::super::run::Run;
use super::super::{short, text};
use super::words::percent;
use clap::Args;
use control::experiments::view::{ExperimentView, StartExperiment, VariantView};
use control::views::{ActionResult, NewAction, Page};
use domain::experiment::live::{Ending, Phase};
use domain::ids::{AppName, ExperimentId, Generation};
use domain::units::{Share, Span};

/// How long `watch` looks without `--wait=TIME`.
const DEFAULT_WATCH: Span = Span::from_secs(30 * 86_400);

/// What to start.
#[derive(Debug, Args)]
pub struct Start {
    /// The app
    app: AppName,
    /// The experiment: `apps/APP/experiments/NAME.yaml` of the ops repo
    name: String,
}

/// Which ones to list.
#[derive(Debug, Args)]
pub struct List {
    /// Only of this app
    #[arg(short, long)]
    app: Option<AppName>,
    /// Only those under way
    #[arg(long)]
    active: bool,
    #[command(flatten)]
    paging: Paging,
}

/// Which one.
#[derive(Debug, Args)]
pub struct Which {
    /// The experiment, or an app for its newest one
    experiment: ExperimentRef,
}

/// Which one to act on.
#[derive(Debug, Args)]
pub struct Act {
    /// The experiment, or an app for its newest one
    experiment: ExperimentRef,
    /// Only if the experiment is still at this generation
    #[arg(long, value_name = "GENERATION")]
    if_match: Option<u64>,
}

/// What people name an experiment by: its number, or the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExperimentRef {
    /// `ex-12`.
    Id(ExperimentId),
    /// The app's newest one.
    App(AppName),
}

impl std::str::FromStr for ExperimentRef {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let is_id = text.starts_with("ex-") || text.bytes().all(|b| b.is_ascii_digit());
        if is_id && let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        text.parse().map(Self::App).map_err(|e: domain::ids::InvalidId| e.to_string())
    }
}

pub(super) async fn start(run: &Run, args: Start) -> Result<Exit, Failure> {
    run.confirm(&format!(
        "The users of `{}` are divided among the variants of `{}`.",
        args.app, args.name
    ))?;
    let new = StartExperiment { app: args.app, name: args.name, reason: run.global.reason.clone() };
    let started: ExperimentView = run.api.post("experiments", &new, None).await?;
    show(run, &started)?;
    Ok(Exit::Ok)
}

pub(super) async fn list(run: &Run, args: List) -> Result<Exit, Failure> {
    let active = args.active.then(|| "true".to_owned());
    let parameters = [("app", args.app.map(String::from)), ("active", active)];
    let rows = args.paging.fetch::<ExperimentView>(run, "experiments", &parameters).await?;
    run.out
        .list(&rows.items)
        .column("EXPERIMENT", |e, _| e.id.to_string())
        .column("APP", |e, _| e.app.to_string())
        .column("NAME", |e, _| e.name.clone())
        .column("PHASE", |e, _| phase(e))
        .column("VARIANTS", |e, _| {
            e.variants
                .iter()
                .map(|v| format!("{} {}", v.name, shares(v)))
                .collect::<Vec<_>>()
                .join(", ")
        })
        .column("STARTED", |e, out: &Out| out.time(e.started_at))
        .print()?;
    rows.say();
    Ok(Exit::Ok)
}

pub(super) async fn get(run: &Run, args: Which) -> Result<Exit, Failure> {
    let experiment = resolve(run, &args.experiment).await?;
    show(run, &experiment)?;
    Ok(Exit::Ok)
}

/// Follows an experiment until it has a winner or is over.
pub(super) async fn watch(run: &Run, args: Which) -> Result<Exit, Failure> {
    let deadline = run.deadline(DEFAULT_WATCH);
    let first = resolve(run, &args.experiment).await?;
    let again = format!("tidegate experiment watch {}", first.id);
    let follow = async {
        let mut said = String::new();
        let mut seen = first;
        loop {
            if seen.summary.text != said {
                talk(&seen.summary.text);
                said.clone_from(&seen.summary.text);
            }
            if seen.phase != Phase::Running {
                return Ok(seen);
            }
            run.next_look(deadline, "the experiment goes on", &again).await?;
            seen = run.api.get(&format!("experiments/{}", seen.id)).await?;
        }
    };
    let end = run.wait_for(&again, follow).await?;
    show(run, &end)?;
    Ok(standing(&end.phase))
}

/// The exit status that says how an experiment stands.
fn standing(phase: &Phase) -> Exit {
    match phase {
        Phase::Won { .. } | Phase::Ended { how: Ending::Concluded } => Exit::Ok,
        Phase::Running => Exit::Pending,
        Phase::Ended { .. } => Exit::RolledBack,
    }
}

pub(super) async fn act(run: &Run, args: Act, kind: &str) -> Result<Exit, Failure> {
    let experiment = resolve(run, &args.experiment).await?;
    run.confirm(&format!("Everyone using `{}` gets production's release again.", experiment.app))?;
    let action = NewAction { kind: kind.to_owned(), reason: run.global.reason.clone(), to: None };
    let generation = args.if_match.map(Generation);
    let path = format!("experiments/{}/actions", experiment.id);
    let done: ActionResult = run.api.post(&path, &action, generation).await?;
    short::show(run, &done, false)?;
    if let (Phase::Won { variant }, "conclude") = (&experiment.phase, kind) {
        propose(&experiment, variant);
    }
    Ok(Exit::Ok)
}

/// What makes a winner production: an ordinary change.
fn propose(experiment: &ExperimentView, winner: &str) {
    let Some(variant) = experiment.policy.variants.iter().find(|v| v.name == winner) else {
        return;
    };
    if variant.is_release() {
        return talk(&format!("`{winner}` is what everybody has already: nothing to propose."));
    }
    let lines = [("prompt", &variant.prompt), ("model", &variant.model)];
    let lines: Vec<_> = lines
        .into_iter()
        .filter_map(|(key, name)| Some(format!("`{key}: {}`", name.as_ref()?)))
        .collect();
    let app = &experiment.app;
    talk(&format!(
        "To roll `{winner}` out, write {} into apps/{app}/release.yaml and propose it: \
         tidegate change create --app {app} --file apps/{app}/release.yaml=@release.yaml --why TEXT",
        lines.join(" and ")
    ));
}

async fn resolve(run: &Run, which: &ExperimentRef) -> Result<ExperimentView, Failure> {
    match which {
        ExperimentRef::Id(id) => run.api.get(&format!("experiments/{id}")).await,
        ExperimentRef::App(app) => {
            let parameters = [("app", Some(app.to_string())), ("limit", Some("1".to_owned()))];
            let page: Page<ExperimentView> =
                run.api.get(&format!("experiments{}", query(&parameters))).await?;
            page.items.into_iter().next().ok_or_else(|| {
                Failure::new(Exit::NotFound, format!("`{app}` has had no experiment yet"))
                    .fix("start one: tidegate experiment start --help")
            })
        }
    }
}

fn phase(experiment: &ExperimentView) -> String {
    match &experiment.phase {
        Phase::Won { variant } => format!("won by {variant}"),
        Phase::Ended { how } => format!("ended: {}", how.key().replace('_', " ")),
        Phase::Running => "running".to_owned(),
    }
}

/// A share, or one for each segment and everybody else.
fn shares(variant: &VariantView) -> String {
    variant.shares.iter().map(Share::to_string).collect::<Vec<_>>().join("/")
}

fn numbers(variant: &VariantView) -> String {
    if let Some(guard) = &variant.dropped {
        return format!("dropped: `{guard}` failed");
    }
    let Some(numbers) = &variant.numbers else { return "no look yet".to_owned() };
    let plain = |value: f64| text::amount("", false, Some(value));
    let mean = numbers.mean.map_or_else(|| "–".to_owned(), plain);
    let against = match (numbers.against_control, numbers.interval) {
        (Some(value), Some((low, high))) => {
            format!(", against control {} ({} to {})", plain(value), plain(low), plain(high))
        }
        _ => String::new(),
    };
    format!(
        "mean {mean} of {}{against}, best with {}",
        text::plural(numbers.rewards, "reward"),
        percent(numbers.probably_best)
    )
}

fn show(run: &Run, experiment: &ExperimentView) -> Result<(), Failure> {
    run.out.one(experiment, |out| {
        let mut facts = vec![
            ("experiment", experiment.id.to_string()),
            ("app", experiment.app.to_string()),
            ("name", experiment.name.clone()),
            ("phase", phase(experiment)),
            ("now", experiment.summary.text.clone()),
        ];
        for variant in &experiment.variants {
            let control = if variant.name == experiment.control { ", control" } else { "" };
            facts.push((
                "variant",
                format!(
                    "{}{control}: {}; {}; {} {}",
                    variant.name,
                    shares(variant),
                    numbers(variant),
                    out.release(&variant.release),
                    text::labels(&variant.labels)
                ),
            ));
        }
        let incidents: Vec<_> = experiment.incidents.iter().map(ToString::to_string).collect();
        facts.extend([
            ("incidents", incidents.join(", ")),
            ("started", out.time(experiment.started_at)),
            ("decided", experiment.decided_at.map(|t| out.time(t)).unwrap_or_default()),
            ("commit", experiment.commit.clone()),
            ("generation", experiment.generation.to_string()),
            ("url", experiment.url.clone()),
        ]);
        out.facts(&facts)
    })
}
