//! `cost`: the month so far, what it will come to, what releases changed.

use super::client::query;
use super::failure::{Exit, Failure};
use super::output::talk;
use super::run::Run;
use clap::Args;
use control::costs::{CostsView, Named};
use domain::ids::AppName;

/// Whose costs, and when.
#[derive(Debug, Args)]
pub struct Cost {
    /// Only of this app
    #[arg(short, long)]
    app: Option<AppName>,
    /// Another month, for example 2026-11 [default: this one, in UTC]
    #[arg(long)]
    month: Option<String>,
}

/// Runs the command.
pub async fn run(run: &Run, args: Cost) -> Result<Exit, Failure> {
    let query = query(&[("app", args.app.map(String::from)), ("month", args.month)]);
    let costs: CostsView = run.api.get(&format!("costs{query}")).await?;
    run.out.one(&costs, |_| text(&costs))?;
    if !costs.unpriced.is_empty() {
        let names: Vec<&str> = costs.unpriced.iter().map(|u| u.model.as_str()).collect();
        talk(&format!("without a price: {}; add it in models/*.yaml", names.join(", ")));
    }
    Ok(Exit::Ok)
}

fn text(costs: &CostsView) -> String {
    let mut out =
        format!("{}  {}\n{}\n", costs.month, costs.summary.text, costs.forecast.text.text);
    for (head, rows) in [
        ("by app", &costs.by_app),
        ("by model", &costs.by_model),
        ("by provider", &costs.by_provider),
    ] {
        out.push_str(&format!("\n{head}\n"));
        rows.iter().for_each(|row| out.push_str(&line(row)));
    }
    out.push_str("\nbesides answers to users\n");
    for part in &costs.beside {
        let row = Named { key: part.kind.clone(), requests: part.requests, usd: part.usd };
        out.push_str(&line(&row));
    }
    if !costs.releases.is_empty() {
        out.push_str("\nwhat releases changed\n");
    }
    for release in &costs.releases {
        let change = release.change.map(|c| c.to_string()).unwrap_or_default();
        out.push_str(&format!(
            "  {}  {:<10} {:<24} {}\n",
            release.live_from.date(),
            change,
            release.app.to_string(),
            release.text.text
        ));
    }
    out
}

fn line(row: &Named) -> String {
    format!("  {:<32} ${:>12.4}  {:>10} answers\n", row.key, row.usd, row.requests)
}
