//! `rollout plan|list|get|watch|status|export|sample|pause|resume|promote|approve|rollback`.

use super::client::query;
use super::failure::{Exit, Failure};
use super::output::Out;
use super::paging::Paging;
use super::run::{RolloutRef, Run};
use super::{export, plan, short, text, watch};
use clap::{Args, Subcommand};
use control::views::{ActionResult, ChangeView, NewAction, Page, RolloutView, SampleView};
use domain::change::ChangeState;
use domain::ids::{AppName, Generation};
use domain::rollout::Phase;
use domain::units::Span;

/// How long `watch` looks without `--wait=TIME`: longer than any rollout
/// somebody would sit through.
const DEFAULT_WATCH: Span = Span::from_secs(30 * 86_400);

/// Verbs on rollouts.
#[derive(Debug, Subcommand)]
pub enum Rollout {
    /// What a plan can and cannot detect on the app's traffic, before it starts
    Plan(plan::Plan),
    /// Rollouts, newest first
    List {
        /// Only of this app
        #[arg(short, long)]
        app: Option<AppName>,
        /// Only those under way
        #[arg(long)]
        active: bool,
        #[command(flatten)]
        paging: Paging,
    },
    /// One rollout
    Get {
        /// The rollout, or an app for its newest one
        rollout: RolloutRef,
    },
    /// Follow a rollout to its end: 0 promoted, 9 rolled back
    Watch(Watch),
    /// How it stands, as an exit status: 0 promoted, 8 under way, 9 rolled
    /// back, 10 paused
    Status {
        /// The rollout, or an app for its newest one
        rollout: RolloutRef,
    },
    /// Its outcomes as a recording for `backtest`
    Export(export::Export),
    /// Answers, chosen by chance, that people are asked to label
    Sample(Sample),
    /// Stop here; limits stay armed
    Pause(Act),
    /// Go on from a pause
    Resume(Act),
    /// Say yes to an approval step
    Approve(Act),
    /// Promote now, whatever the step; needs `--reason`
    Promote(Act),
    /// Everyone back to the last good release, at once
    Rollback(Act),
}

/// What to follow, and how.
#[derive(Debug, Args)]
pub struct Watch {
    /// The rollout, or an app for its newest one
    pub rollout: RolloutRef,
    /// One line per change instead of a picture
    #[arg(long)]
    pub plain: bool,
    /// Also end when it is paused, with 10
    #[arg(long)]
    pub until_paused: bool,
}

/// Which chosen answers to list.
#[derive(Debug, Args)]
pub struct Sample {
    /// The rollout, or an app for its newest one
    rollout: RolloutRef,
    /// The signal; needed if several ask for labels
    #[arg(long, value_name = "NAME")]
    signal: Option<String>,
    /// Those that are labelled already too
    #[arg(long)]
    labelled: bool,
    #[command(flatten)]
    paging: Paging,
}

/// Which rollout to act on.
#[derive(Debug, Args)]
pub struct Act {
    /// The rollout, or an app for its newest one
    rollout: RolloutRef,
    /// Only if the rollout is still at this generation
    #[arg(long, value_name = "GENERATION")]
    if_match: Option<u64>,
}

/// Runs a verb.
pub async fn run(run: &Run, verb: Rollout) -> Result<Exit, Failure> {
    match verb {
        Rollout::Plan(args) => plan::run(run, args).await,
        Rollout::List { app, active, paging } => list(run, app, active, &paging).await,
        Rollout::Get { rollout } => {
            let rollout = resolve(run, &rollout).await?;
            show(run, &rollout)?;
            Ok(Exit::Ok)
        }
        Rollout::Watch(args) => watch::run(run, args, run.deadline(DEFAULT_WATCH)).await,
        Rollout::Status { rollout } => {
            let rollout = resolve(run, &rollout).await?;
            show(run, &rollout)?;
            Ok(standing(&rollout.phase))
        }
        Rollout::Export(args) => export::run(run, args).await,
        Rollout::Sample(args) => sample(run, args).await,
        Rollout::Pause(args) => command(run, args, "pause").await,
        Rollout::Resume(args) => command(run, args, "resume").await,
        Rollout::Approve(args) => command(run, args, "approve").await,
        Rollout::Promote(args) => command(run, args, "promote").await,
        Rollout::Rollback(args) => command(run, args, "rollback").await,
    }
}

/// The exit status that says how a rollout stands.
pub fn standing(phase: &Phase) -> Exit {
    match phase {
        Phase::Promoted => Exit::Ok,
        Phase::RolledBack => Exit::RolledBack,
        Phase::Paused { .. } => Exit::Paused,
        Phase::Running | Phase::Promoting | Phase::RollingBack => Exit::Pending,
    }
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

async fn sample(run: &Run, args: Sample) -> Result<Exit, Failure> {
    let rollout = resolve(run, &args.rollout).await?;
    let parameters =
        [("signal", args.signal), ("labelled", args.labelled.then(|| "true".to_owned()))];
    let path = format!("rollouts/{}/sample", rollout.id);
    let rows = args.paging.fetch::<SampleView>(run, &path, &parameters).await?;
    run.out
        .list(&rows.items)
        .column("REQUEST", |r, _| r.request.to_string())
        .column("POST AS", |r, _| r.post_as.clone())
        .column("MIRRORED", |r, _| yes(r.shadow))
        .column("LABELLED", |r, _| yes(r.labelled))
        .column("JUDGED", |r, out: &Out| out.time(r.at))
        .print()?;
    rows.say();
    Ok(Exit::Ok)
}

async fn list(
    run: &Run,
    app: Option<AppName>,
    active: bool,
    paging: &Paging,
) -> Result<Exit, Failure> {
    let parameters =
        [("app", app.map(String::from)), ("active", active.then(|| "true".to_owned()))];
    let rows = paging.fetch::<RolloutView>(run, "rollouts", &parameters).await?;
    run.out
        .list(&rows.items)
        .column("ROLLOUT", |r, _| r.id.to_string())
        .column("APP", |r, _| r.app.to_string())
        .column("PHASE", |r, _| r.phase.word().to_owned())
        .column("STEP", |r, _| step(r))
        .column("SHARE", |r, _| r.exposure.weight.to_string())
        .column("EXPOSED", |r, _| r.requests_exposed.to_string())
        .column("CHANGE", |r, _| r.change.to_string())
        .column("STARTED", |r, out: &Out| out.time(r.started_at))
        .print()?;
    rows.say();
    Ok(Exit::Ok)
}

/// `2/4`. Who got to everybody has all steps behind, also those skipped.
pub fn step(rollout: &RolloutView) -> String {
    let all = rollout.steps.len();
    let at = match rollout.phase {
        Phase::Promoting | Phase::Promoted => all,
        _ => rollout.step.saturating_add(1).min(all),
    };
    format!("{at}/{all}")
}

/// `2/4 weight 25%`.
fn step_in_words(rollout: &RolloutView) -> String {
    let words = match rollout.phase {
        Phase::Promoting | Phase::Promoted => rollout.steps.last(),
        _ => rollout.steps.get(rollout.step),
    };
    format!("{} {}", step(rollout), words.map_or("", String::as_str)).trim_end().to_owned()
}

/// One rollout, by number or as the newest of an app.
pub async fn resolve(run: &Run, which: &RolloutRef) -> Result<RolloutView, Failure> {
    match which {
        RolloutRef::Id(id) => run.api.get(&format!("rollouts/{id}")).await,
        RolloutRef::App(app) => newest(run, app).await?.ok_or_else(|| {
            Failure::new(Exit::NotFound, format!("`{app}` has had no rollout yet"))
                .fix("propose a change: tidegate change create --help")
        }),
    }
}

async fn newest(run: &Run, app: &AppName) -> Result<Option<RolloutView>, Failure> {
    let parameters = [("app", Some(app.to_string())), ("limit", Some("1".to_owned()))];
    let page: Page<RolloutView> = run.api.get(&format!("rollouts{}", query(&parameters))).await?;
    Ok(page.items.into_iter().next())
}

/// The rollout to watch. Right after an approval there is none yet: the merge
/// comes first, and watching waits for it instead of showing the one before.
pub async fn resolve_for_watch(
    run: &Run,
    which: &RolloutRef,
    deadline: domain::units::Timestamp,
) -> Result<RolloutView, Failure> {
    let RolloutRef::App(app) = which else { return resolve(run, which).await };
    let again = format!("tidegate rollout watch {app}");
    run.wait_for(&again, newest_or_next(run, app, deadline, &again)).await
}

/// The rollout under way or about to begin, else the newest.
async fn newest_or_next(
    run: &Run,
    app: &AppName,
    deadline: domain::units::Timestamp,
    again: &str,
) -> Result<RolloutView, Failure> {
    loop {
        let newest = newest(run, app).await?;
        let under_way = newest.as_ref().is_some_and(|r| !r.phase.is_final());
        if under_way || !merging(run, app).await? {
            return match newest {
                Some(rollout) => Ok(rollout),
                None => resolve(run, &RolloutRef::App(app.clone())).await,
            };
        }
        run.next_look(deadline, "the change is being merged", again).await?;
    }
}

/// True while an approved change of this app has no rollout yet.
async fn merging(run: &Run, app: &AppName) -> Result<bool, Failure> {
    let parameters = [("app", Some(app.to_string())), ("limit", Some("10".to_owned()))];
    let page: Page<ChangeView> = run.api.get(&format!("changes{}", query(&parameters))).await?;
    Ok(page.items.iter().any(|c| {
        matches!(c.state, ChangeState::Merging | ChangeState::RollingOut) && c.rollout.is_none()
    }))
}

async fn command(run: &Run, args: Act, kind: &str) -> Result<Exit, Failure> {
    let rollout = resolve(run, &args.rollout).await?;
    let reason = match kind {
        "promote" => {
            let reason = run.need_reason("promote before the plan is done")?;
            run.confirm(&format!(
                "{} becomes production of `{}`.",
                rollout.candidate.short(),
                rollout.app
            ))?;
            Some(reason)
        }
        "rollback" => {
            run.confirm(&format!(
                "Everyone using `{}` gets {} again.",
                rollout.app,
                rollout.stable.short()
            ))?;
            run.optional_reason()?
        }
        _ => run.global.reason.clone(),
    };
    let action = NewAction { kind: kind.to_owned(), reason, to: None };
    act(run, &rollout, &action, args.if_match).await
}

/// Sends an action on the rollout as it was just seen. Going back is never
/// held up by what was seen.
pub async fn act(
    run: &Run,
    rollout: &RolloutView,
    action: &NewAction,
    if_match: Option<u64>,
) -> Result<Exit, Failure> {
    let generation = match if_match {
        Some(generation) => Some(Generation(generation)),
        None if action.kind == "rollback" => None,
        None => Some(rollout.generation),
    };
    let path = format!("rollouts/{}/actions", rollout.id);
    let done: ActionResult = run.api.post(&path, action, generation).await?;
    short::show(run, &done, action.reason.is_none())?;
    Ok(Exit::Ok)
}

/// What to call the time from the decision until every gateway had taken it up.
fn took_effect(phase: &Phase) -> &'static str {
    match phase {
        Phase::Promoting | Phase::Promoted => "for all after",
        _ => "swing back",
    }
}

fn show(run: &Run, rollout: &RolloutView) -> Result<(), Failure> {
    run.out.one(rollout, |out| {
        let said = rollout.report.as_ref().map(|r| r.summary.text.clone()).unwrap_or_default();
        let decision = rollout.decision.as_ref().map(|d| d.text.clone()).unwrap_or_default();
        out.facts(&[
            ("rollout", rollout.id.to_string()),
            ("app", rollout.app.to_string()),
            ("change", format!("{} \"{}\"", rollout.change, rollout.title)),
            ("phase", rollout.phase.word().to_owned()),
            ("step", step_in_words(rollout)),
            ("share", rollout.exposure.weight.to_string()),
            ("mirrored", rollout.exposure.shadow.to_string()),
            ("now", said),
            ("decision", decision),
            ("decided", rollout.decided_at.map(|t| out.time(t)).unwrap_or_default()),
            (
                took_effect(&rollout.phase),
                rollout.swing_back.map(|s| s.to_string()).unwrap_or_default(),
            ),
            (
                "new",
                format!(
                    "{} {}",
                    out.release(&rollout.candidate),
                    text::labels(&rollout.candidate_labels)
                ),
            ),
            (
                "today",
                format!(
                    "{} {}",
                    out.release(&rollout.stable),
                    text::labels(&rollout.stable_labels)
                ),
            ),
            ("exposed", text::plural(rollout.requests_exposed, "request")),
            ("harmed", text::plural(rollout.requests_harmed, "request")),
            ("incident", rollout.incident.map(|i| i.to_string()).unwrap_or_default()),
            ("commit", rollout.git_commit.clone().unwrap_or_default()),
            ("generation", rollout.generation.to_string()),
            ("url", rollout.url.clone()),
        ])
    })
}
