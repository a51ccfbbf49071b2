//! `change create|list|get|diff|checks|preview|approve|reject|recheck|withdraw`.

use super::edits;
use super::failure::{Exit, Failure};
use super::output::{Format, Out, Style, talk};
use super::paging::Paging;
use super::run::Run;
use super::text;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use control::views::{ChangeView, Edit, NewApproval, NewChange, UpdateChange};
use domain::approval::{Decision, Requirement};
use domain::change::ChangeState;
use domain::finding::{Finding, Severity};
use domain::ids::{AppName, ChangeId, Digest, Generation};
use domain::units::Span;
use serde::Deserialize;
use std::path::PathBuf;

/// How long a wait lasts without `--wait=TIME`.
const DEFAULT_WAIT: Span = Span::from_secs(1800);

/// Verbs on changes.
#[derive(Debug, Subcommand)]
pub enum Change {
    /// Propose a change
    Create(Create),
    /// New content under the same number: mends what the checks found
    Update {
        /// Its number
        change: ChangeId,
        #[command(flatten)]
        content: Content,
        /// Only if the change is still at this generation
        #[arg(long, value_name = "GENERATION")]
        if_match: Option<u64>,
    },
    /// Changes, newest first
    List {
        /// Only of this app
        #[arg(short, long)]
        app: Option<AppName>,
        /// Only in this state
        #[arg(long, value_parser = PossibleValuesParser::new(api::CHANGE_STATES))]
        state: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One change
    Get {
        /// Its number
        change: ChangeId,
    },
    /// What it alters, line by line
    Diff {
        /// Its number
        change: ChangeId,
    },
    /// What the checks said; ends with 7 if they failed, 8 while they run
    Checks {
        /// Its number
        change: ChangeId,
    },
    /// An endpoint that answers as the change would, for a while
    Preview(super::preview::Preview),
    /// Say yes to exactly the content there is now; with `--wait`, until the
    /// rollout has begun
    Approve(Decide),
    /// Send it back to its author; says what to mend
    RequestChanges(Decide),
    /// Say no, and end it; needs a reason
    Reject(Decide),
    /// Check the same content again: a provider was down, a policy is another
    Recheck {
        /// Its number
        change: ChangeId,
    },
    /// Take one's own change back
    Withdraw {
        /// Its number
        change: ChangeId,
        /// Only if the change is still at this generation
        #[arg(long, value_name = "GENERATION")]
        if_match: Option<u64>,
    },
}

/// What to propose.
#[derive(Debug, Args)]
pub struct Create {
    /// The app it is for
    #[arg(short, long)]
    app: AppName,
    /// Why, in at least ten characters; kept for ever
    #[arg(long)]
    why: String,
    /// One line for lists; made from the why if absent
    #[arg(long)]
    title: Option<String>,
    #[command(flatten)]
    content: Content,
    /// A branch that was pushed already
    #[arg(long, conflicts_with_all = ["prompt", "file", "from"])]
    branch: Option<String>,
}

/// The files of a change, in whatever form the author has them.
#[derive(Debug, Args)]
pub struct Content {
    /// New text of a prompt: `@FILE` for the one in production, or
    /// `NAME/system.j2=@FILE`
    #[arg(long, value_name = "[TEMPLATE=]@FILE")]
    prompt: Vec<String>,
    /// Any file of the ops repo: `PATH=@LOCAL`; `PATH=` removes it
    #[arg(long, value_name = "PATH=@LOCAL")]
    file: Vec<String>,
    /// A working copy of the ops repo: its files that differ
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Which part of a changed prompt's version to raise
    #[arg(long, value_parser = ["patch", "minor", "major", "none"], default_value = "minor")]
    bump: String,
}

/// A yes or a no.
#[derive(Debug, Args)]
pub struct Decide {
    /// The change's number
    change: ChangeId,
    /// In words; needed for a no
    #[arg(long, default_value = "")]
    comment: String,
    /// The content that was looked at; the present one if absent
    #[arg(long, value_name = "DIGEST")]
    content: Option<Digest>,
    /// Only if the change is still at this generation
    #[arg(long, value_name = "GENERATION")]
    if_match: Option<u64>,
}

/// Runs a verb.
pub async fn run(run: &Run, verb: Change) -> Result<Exit, Failure> {
    match verb {
        Change::Create(args) => create(run, args).await,
        Change::Update { change, content, if_match } => {
            update(run, change, content, if_match).await
        }
        Change::List { app, state, paging } => list(run, app, state, &paging).await,
        Change::Get { change } => {
            let change = get(run, change).await?;
            show(run, &change).await?;
            Ok(Exit::Ok)
        }
        Change::Diff { change } => diff(run, change).await,
        Change::Checks { change } => checks(run, change).await,
        Change::Preview(args) => super::preview::run(run, args).await,
        Change::Approve(args) => decide(run, args, Decision::Approve).await,
        Change::RequestChanges(args) => decide(run, args, Decision::Ask).await,
        Change::Reject(args) => decide(run, args, Decision::Reject).await,
        Change::Recheck { change } => recheck(run, change).await,
        Change::Withdraw { change, if_match } => withdraw(run, change, if_match).await,
    }
}

/// One change.
pub async fn get(run: &Run, change: ChangeId) -> Result<ChangeView, Failure> {
    run.api.get(&format!("changes/{change}")).await
}

async fn create(run: &Run, args: Create) -> Result<Exit, Failure> {
    let files = files(run, &args.app, &args.content).await?;
    if files.is_empty() && args.branch.is_none() {
        return Err(nothing_to_change());
    }
    let new = NewChange {
        app: args.app,
        title: args.title,
        why: args.why,
        edits: files,
        branch: args.branch,
        bump: args.content.bump(),
    };
    let change: ChangeView = run.api.post("changes", &new, None).await?;
    proposed(run, change).await
}

async fn update(
    run: &Run,
    id: ChangeId,
    content: Content,
    if_match: Option<u64>,
) -> Result<Exit, Failure> {
    let seen = get(run, id).await?;
    let edits = files(run, &seen.app, &content).await?;
    if edits.is_empty() {
        return Err(nothing_to_change());
    }
    let generation = if_match.map_or(seen.generation, Generation);
    let update = UpdateChange { edits, bump: content.bump() };
    let change: ChangeView =
        run.api.patch(&format!("changes/{id}"), &update, Some(generation)).await?;
    proposed(run, change).await
}

fn nothing_to_change() -> Failure {
    Failure::usage("there is nothing to change")
        .fix("add `--prompt @FILE`, `--file PATH=@LOCAL` or `--from DIR`; or `--branch NAME` for one that was pushed")
}

impl Content {
    fn bump(&self) -> Option<String> {
        (self.bump != "none").then(|| self.bump.clone())
    }
}

/// The edits of a change, from whatever form they were given in.
async fn files(run: &Run, app: &AppName, content: &Content) -> Result<Vec<Edit>, Failure> {
    let mut files = Vec::new();
    if !content.prompt.is_empty() {
        let app = super::app::get(run, app).await?;
        for value in &content.prompt {
            files.push(edits::prompt_edit(&app, value)?);
        }
    }
    for value in &content.file {
        files.push(edits::file_edit(value)?);
    }
    if let Some(dir) = &content.from {
        files.extend(edits::from_dir(dir)?);
    }
    Ok(files)
}

/// Shows a change that was just sent; with `--wait`, what the checks say.
pub async fn proposed(run: &Run, change: ChangeView) -> Result<Exit, Failure> {
    if run.global.wait.is_none() {
        show(run, &change).await?;
        talk(&format!("Next: tidegate change checks {} --wait", change.id.0));
        return Ok(Exit::Ok);
    }
    let change = wait_checked(run, change).await?;
    show(run, &change).await?;
    Ok(if change.state == ChangeState::NeedsFixes { Exit::Refused } else { Exit::Ok })
}

/// Looks until the checks have an answer.
async fn wait_checked(run: &Run, mut change: ChangeView) -> Result<ChangeView, Failure> {
    let deadline = run.deadline(DEFAULT_WAIT);
    let again = format!("tidegate change checks {} --wait", change.id.0);
    let looks = async {
        while change.state == ChangeState::Checking {
            run.next_look(deadline, "the checks are still running", &again).await?;
            change = get(run, change.id).await?;
        }
        Ok(change)
    };
    run.wait_for(&again, looks).await
}

async fn list(
    run: &Run,
    app: Option<AppName>,
    state: Option<String>,
    paging: &Paging,
) -> Result<Exit, Failure> {
    let parameters = [("app", app.map(String::from)), ("state", state)];
    let rows = paging.fetch::<ChangeView>(run, "changes", &parameters).await?;
    run.out
        .list(&rows.items)
        .column("CHANGE", |c, _| c.id.to_string())
        .column("APP", |c, _| c.app.to_string())
        .column("STATE", |c, _| word(c.state))
        .column(
            "TITLE",
            |c, out: &Out| if out.tty { text::shorten(&c.title, 48) } else { c.title.clone() },
        )
        .column("AUTHOR", |c, _| c.author.to_string())
        .column("UPDATED", |c, out: &Out| out.time(c.updated_at))
        .print()?;
    rows.say();
    Ok(Exit::Ok)
}

/// The state as the API spells it.
fn word(state: ChangeState) -> String {
    serde_json::to_value(state).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

fn asked(requirements: &[Requirement]) -> String {
    requirements
        .iter()
        .map(|r| format!("{} × {}: {}", r.count, r.role, r.reason))
        .collect::<Vec<_>>()
        .join("\n")
}

async fn show(run: &Run, change: &ChangeView) -> Result<(), Failure> {
    let detects = super::plan::detects(run, change).await;
    run.out.one(change, |out| {
        let differences: Vec<_> = change
            .differences
            .iter()
            .filter(|d| !d.same())
            .map(super::release::difference)
            .collect();
        let approvals: Vec<_> = change
            .approvals
            .iter()
            .map(|a| {
                let yes = match a.decision {
                    Decision::Approve => "yes",
                    Decision::Reject => "no",
                    Decision::Ask => "asks for changes",
                };
                let void =
                    if a.content == change.content { "" } else { " (void: the content changed)" };
                format!("{yes} by {} {}{void} {}", a.by, out.time(a.at), a.comment)
            })
            .collect();
        out.facts(&[
            ("change", format!("{} \"{}\"", change.id, change.title)),
            ("state", word(change.state)),
            ("now", change.summary.text.clone()),
            ("plan", detects),
            ("app", change.app.to_string()),
            ("author", change.author.to_string()),
            ("why", change.why.clone()),
            ("differs", differences.join("\n")),
            ("release", change.release.as_ref().map(|r| out.release(r)).unwrap_or_default()),
            ("branch", change.branch.clone()),
            ("content", change.content.to_string()),
            ("missing", asked(&change.missing)),
            ("approvals", approvals.join("\n")),
            ("rollout", change.rollout.map(|r| r.to_string()).unwrap_or_default()),
            ("merged", change.merge_commit.clone().unwrap_or_default()),
            ("reverted", change.revert_commit.clone().unwrap_or_default()),
            ("generation", change.generation.to_string()),
            ("url", change.url.clone()),
        ])
    })
}

#[derive(Deserialize, serde::Serialize)]
struct Diff {
    diff: String,
}

async fn diff(run: &Run, change: ChangeId) -> Result<Exit, Failure> {
    let diff: Diff = run.api.get(&format!("changes/{change}/diff")).await?;
    run.out.one(&diff, |out| paint_diff(out, &diff.diff))?;
    Ok(Exit::Ok)
}

/// A unified diff with its lines in colour.
pub fn paint_diff(out: &Out, diff: &str) -> String {
    diff.lines()
        .map(|line| {
            let painted = match line.as_bytes().first() {
                Some(b'+') => out.paint(Style::Good, line),
                Some(b'-') => out.paint(Style::Bad, line),
                Some(b'@') => out.paint(Style::Dim, line),
                _ => line.to_owned(),
            };
            painted + "\n"
        })
        .collect()
}

async fn checks(run: &Run, id: ChangeId) -> Result<Exit, Failure> {
    let mut change = get(run, id).await?;
    if run.global.wait.is_some() {
        change = wait_checked(run, change).await?;
    }
    let Some(report) = change.report else {
        talk(&format!(
            "The checks of {id} are still running. Wait for them: tidegate change checks {} --wait",
            id.0
        ));
        return Ok(Exit::Pending);
    };
    match run.out.format {
        Format::Table => run.out.write(&super::findings::report(&run.out, &report))?,
        _ => run.out.one(&report, |_| String::new())?,
    }
    if change.state == ChangeState::Checking {
        talk("This is about an earlier push; the checks of the newest one are still running.");
        return Ok(Exit::Pending);
    }
    Ok(if report.passed() { Exit::Ok } else { Exit::Refused })
}

async fn decide(run: &Run, args: Decide, decision: Decision) -> Result<Exit, Failure> {
    let seen = get(run, args.change).await?;
    let comment = if args.comment.is_empty() {
        run.global.reason.clone().unwrap_or_default()
    } else {
        args.comment
    };
    if decision != Decision::Approve && comment.is_empty() {
        return Err(Failure::usage("it needs a reason: the author must know what to mend")
            .fix("add `--comment TEXT`"));
    }
    let new = NewApproval { decision, comment, content: args.content.unwrap_or(seen.content) };
    let generation = args.if_match.map_or(seen.generation, Generation);
    let path = format!("changes/{}/approvals", args.change);
    let change: ChangeView = run.api.post(&path, &new, Some(generation)).await?;
    let change = if run.global.wait.is_some() { wait_merged(run, change).await? } else { change };
    show(run, &change).await?;
    if let Some(failure) = sent_back(&change).filter(|_| decision == Decision::Approve) {
        return Err(failure);
    }
    if decision == Decision::Approve && change.missing.is_empty() {
        talk(&format!("Next: tidegate rollout watch {}", change.app));
    }
    Ok(Exit::Ok)
}

/// Why a change that was approved is the author's again: production may move
/// between the last yes and the merge.
fn sent_back(change: &ChangeView) -> Option<Failure> {
    if change.state != ChangeState::NeedsFixes {
        return None;
    }
    let gates = change.report.iter().flat_map(|report| report.gates.iter().rev());
    let errors = gates.flat_map(|gate| &gate.findings).filter(|f| f.severity == Severity::Error);
    let failure =
        Failure::new(Exit::Refused, format!("{} was approved, but could not be merged", change.id));
    Some(match errors.into_iter().next() {
        Some(Finding { code, message, mend, .. }) => failure
            .why(format!("{message} ({code})"))
            .fix(format!("{mend}\nsend it again: tidegate change update {} …", change.id.0)),
        None => failure.fix(format!("see: tidegate change checks {}", change.id.0)),
    })
}

/// Looks until an approved change is merged and its rollout has begun.
async fn wait_merged(run: &Run, mut change: ChangeView) -> Result<ChangeView, Failure> {
    let deadline = run.deadline(DEFAULT_WAIT);
    let again = format!("tidegate rollout watch {}", change.app);
    let under_way = |c: &ChangeView| {
        c.state == ChangeState::Merging
            || (c.state == ChangeState::RollingOut && c.rollout.is_none())
    };
    let looks = async {
        while under_way(&change) {
            run.next_look(deadline, "the change is being merged", &again).await?;
            change = get(run, change.id).await?;
        }
        Ok(change)
    };
    run.wait_for(&again, looks).await
}

async fn recheck(run: &Run, id: ChangeId) -> Result<Exit, Failure> {
    let nothing = serde_json::json!({});
    let change: ChangeView = run.api.post(&format!("changes/{id}/recheck"), &nothing, None).await?;
    show(run, &change).await?;
    Ok(Exit::Ok)
}

async fn withdraw(run: &Run, id: ChangeId, if_match: Option<u64>) -> Result<Exit, Failure> {
    let seen = get(run, id).await?;
    run.confirm(&format!("This withdraws {id} \"{}\".", seen.title))?;
    let generation = if_match.map_or(seen.generation, Generation);
    let nothing = serde_json::json!({});
    let change: ChangeView =
        run.api.post(&format!("changes/{id}/withdraw"), &nothing, Some(generation)).await?;
    show(run, &change).await?;
    Ok(Exit::Ok)
}
