//! `kpi`: how fast changes reach users safely, and how often the checks are wrong.

use super::client::query;
use super::failure::{Exit, Failure};
use super::run::Run;
use clap::Args;
use control::kpis::KpisView;
use domain::ids::AppName;

/// Whose figures, and over which time.
#[derive(Debug, Args)]
pub struct Kpi {
    /// Only of this app
    #[arg(short, long)]
    app: Option<AppName>,
    /// Over so many days, up to 366
    #[arg(long, default_value_t = 90)]
    days: u32,
    /// The single happenings as CSV
    #[arg(long)]
    csv: bool,
}

/// Runs the command.
pub async fn run(run: &Run, args: Kpi) -> Result<Exit, Failure> {
    let query =
        query(&[("app", args.app.map(String::from)), ("days", Some(args.days.to_string()))]);
    if args.csv {
        let bytes = run.api.bytes(&format!("/api/v1/kpis.csv{query}")).await?;
        run.out.write(&String::from_utf8_lossy(&bytes))?;
        return Ok(Exit::Ok);
    }
    let kpis: KpisView = run.api.get(&format!("kpis{query}")).await?;
    run.out.one(&kpis, |_| {
        kpis.cards
            .iter()
            .map(|card| format!("{}\n  {}\n  {}\n\n", card.title, card.text.text, card.definition))
            .collect()
    })?;
    Ok(Exit::Ok)
}
