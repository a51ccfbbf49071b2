//! The short forms for bad minutes: `rollback`, `kill`, `unkill`, `pause`.
//!
//! Going back is one command and needs no reason beforehand; going on needs
//! one. Nothing here looks first: acting fast must not fail because somebody
//! else acted too.

use super::client::escape;
use super::failure::{Exit, Failure};
use super::output::talk;
use super::rollout;
use super::run::{RolloutRef, Run};
use clap::Args;
use control::views::{ActionResult, NewAction};
use domain::ids::{AppName, Generation};

/// Which app goes back, and to what.
#[derive(Debug, Args)]
pub struct Rollback {
    /// The app
    app: AppName,
    /// To this earlier release instead of the last good one
    #[arg(long, value_name = "RELEASE")]
    to: Option<String>,
    /// Only if the app is still at this generation
    #[arg(long, value_name = "GENERATION")]
    if_match: Option<u64>,
}

/// Which app is answered by its fallback.
#[derive(Debug, Args)]
pub struct Kill {
    /// The app
    app: AppName,
}

/// Which app calls its model again.
#[derive(Debug, Args)]
pub struct Unkill {
    /// The app
    app: AppName,
    /// Only if the app is still at this generation
    #[arg(long, value_name = "GENERATION")]
    if_match: Option<u64>,
}

/// Which app's rollout stops.
#[derive(Debug, Args)]
pub struct Pause {
    /// The app, or a rollout
    rollout: RolloutRef,
}

/// `tidegate rollback APP`.
pub async fn rollback(run: &Run, args: Rollback) -> Result<Exit, Failure> {
    let target = args.to.as_deref().unwrap_or("the last good release");
    run.confirm(&format!("Everyone using `{}` gets {target} at once.", args.app))?;
    let action =
        NewAction { kind: "rollback".to_owned(), reason: run.optional_reason()?, to: args.to };
    act(run, &args.app, &action, args.if_match).await
}

/// `tidegate kill APP`.
pub async fn kill(run: &Run, args: Kill) -> Result<Exit, Failure> {
    run.confirm(&format!(
        "`{}` stops calling its model; users get the fallback at once.",
        args.app
    ))?;
    let action = NewAction { kind: "kill".to_owned(), reason: run.optional_reason()?, to: None };
    act(run, &args.app, &action, None).await
}

/// `tidegate unkill APP`.
pub async fn unkill(run: &Run, args: Unkill) -> Result<Exit, Failure> {
    let reason = run.need_reason("take the kill switch back")?;
    run.confirm(&format!("`{}` calls its model again.", args.app))?;
    let action = NewAction { kind: "unkill".to_owned(), reason: Some(reason), to: None };
    act(run, &args.app, &action, args.if_match).await
}

/// `tidegate pause APP`.
pub async fn pause(run: &Run, args: Pause) -> Result<Exit, Failure> {
    let rollout = rollout::resolve(run, &args.rollout).await?;
    let action =
        NewAction { kind: "pause".to_owned(), reason: run.global.reason.clone(), to: None };
    rollout::act(run, &rollout, &action, None).await
}

async fn act(
    run: &Run,
    app: &AppName,
    action: &NewAction,
    if_match: Option<u64>,
) -> Result<Exit, Failure> {
    let path = format!("apps/{}/actions", escape(app.as_str()));
    let done: ActionResult = run.api.post(&path, action, if_match.map(Generation)).await?;
    show(run, &done, action.reason.is_none())?;
    Ok(Exit::Ok)
}

/// What an action led to, and what is still asked.
pub fn show(run: &Run, done: &ActionResult, reason_missing: bool) -> Result<(), Failure> {
    run.out.one(done, |out| {
        out.facts(&[
            ("done", done.done.text.clone()),
            ("gateways", format!("{} of {} serve it already", done.gateways.0, done.gateways.1)),
            ("rollout", done.rollout.map(|r| r.to_string()).unwrap_or_default()),
            ("incident", done.incident.map(|i| i.to_string()).unwrap_or_default()),
            ("snapshot", done.snapshot.to_string()),
        ])
    })?;
    if let (Some(incident), true) = (done.incident, reason_missing) {
        talk(&format!("Add the reason within the hour: tidegate incident reason {incident} TEXT"));
    }
    Ok(())
}
