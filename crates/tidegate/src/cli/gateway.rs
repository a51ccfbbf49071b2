//! `gateway list`.

use super::failure::{Exit, Failure};
use super::output::Out;
use super::run::Run;
use clap::Subcommand;
use control::views::{GatewayView, Page};

/// Verbs on gateways.
#[derive(Debug, Subcommand)]
pub enum Gateway {
    /// Every gateway that was heard of, and what it serves
    List,
}

/// Runs a verb.
pub async fn run(run: &Run, verb: Gateway) -> Result<Exit, Failure> {
    let Gateway::List = verb;
    let page: Page<GatewayView> = run.api.all("gateways").await?;
    run.out
        .list(&page.items)
        .column("GATEWAY", |g, _| g.name.clone())
        .column("SERVES", |g, _| g.serving.to_string())
        .column("NEWEST", |g, _| g.newest.to_string())
        .column("SEEN", |g, out: &Out| out.time(g.seen_at))
        .print()?;
    Ok(Exit::Ok)
}
