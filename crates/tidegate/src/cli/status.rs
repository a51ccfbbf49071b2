//! `status`: every app at a glance, and what waits for a person.

use super::failure::{Exit, Failure};
use super::output::{Format, Style, talk};
use super::run::Run;
use super::{app, text};
use control::views::{AppView, ChangeView, GatewayView, Page, RolloutView};
use serde::Serialize;

#[derive(Serialize)]
struct Status {
    apps: Vec<AppView>,
    rollouts: Vec<RolloutView>,
    waiting: Vec<ChangeView>,
    gateways: Vec<GatewayView>,
}

/// Runs it.
pub async fn run(run: &Run) -> Result<Exit, Failure> {
    let apps: Page<AppView> = run.api.all("apps").await?;
    let rollouts: Page<RolloutView> = run.api.get("rollouts?active=true").await?;
    let waiting: Page<ChangeView> = run.api.get("changes?state=needs_approval").await?;
    let gateways: Page<GatewayView> = run.api.all("gateways").await?;
    let status = Status {
        apps: apps.items,
        rollouts: rollouts.items,
        waiting: waiting.items,
        gateways: gateways.items,
    };
    if run.out.format != Format::Table {
        run.out.one(&status, |_| String::new())?;
        return Ok(Exit::Ok);
    }
    app::list(run, &status.apps)?;
    for rollout in &status.rollouts {
        let said =
            rollout.report.as_ref().map_or(rollout.phase.word(), |r| r.summary.text.as_str());
        talk(&format!("{} {}: {said}", rollout.id, rollout.app));
    }
    for change in &status.waiting {
        talk(&format!(
            "{} \"{}\" waits for approval: {}",
            change.id, change.title, change.summary.text
        ));
    }
    let behind = status.gateways.iter().filter(|g| g.serving < g.newest).count();
    let line = text::plural(u64::try_from(status.gateways.len()).unwrap_or(0), "gateway");
    if behind > 0 {
        talk(&run.out.paint(Style::Warn, &format!("{line}, {behind} behind the newest snapshot")));
    } else {
        talk(&format!("{line}, all serving the newest snapshot"));
    }
    Ok(Exit::Ok)
}
