//! `app list|get|snippet`.

use super::client::escape;
use super::failure::{Exit, Failure};
use super::output::Out;
use super::run::Run;
use super::snippet::{Call, Lang, snippet};
use super::text;
use clap::Subcommand;
use control::views::{AppView, Page, WhoAmI};
use domain::ids::AppName;

/// Verbs on apps.
#[derive(Debug, Subcommand)]
pub enum App {
    /// Every app
    List,
    /// One app
    Get {
        /// Its name
        app: AppName,
    },
    /// The code that calls an app
    Snippet {
        /// Its name
        app: AppName,
        /// For which language
        #[arg(long, value_enum, default_value_t = Lang::Python)]
        lang: Lang,
    },
}

/// Runs a verb.
pub async fn run(run: &Run, verb: App) -> Result<Exit, Failure> {
    match verb {
        App::List => {
            let page: Page<AppView> = run.api.all("apps").await?;
            list(run, &page.items)?;
        }
        App::Get { app } => {
            let app: AppView = get(run, &app).await?;
            run.out.one(&app, |out| facts(out, &app))?;
        }
        App::Snippet { app, lang } => {
            let app = get(run, &app).await?;
            let me: WhoAmI = run.api.get("whoami").await?;
            let gateway = me.gateway_url.unwrap_or_else(|| "http://127.0.0.1:8081".to_owned());
            let path = format!("apps/{}/call", escape(app.name.as_str()));
            let call: Call = run.api.get(&path).await?;
            run.out.write(&snippet(app.name.as_str(), &gateway, &call, lang))?;
        }
    }
    Ok(Exit::Ok)
}

/// One app.
pub async fn get(run: &Run, app: &AppName) -> Result<AppView, Failure> {
    run.api.get(&format!("apps/{}", escape(app.as_str()))).await
}

/// What an app is doing, in two or three words.
pub fn state(app: &AppView, out: &Out) -> String {
    match (&app.killed, &app.rollout, app.cool_down_until) {
        (Some(since), _, _) => format!("killed {}", out.time(*since)),
        (_, Some(rollout), _) => format!("rolling out {rollout}"),
        (_, _, Some(until)) if until > out.now => format!("cooling down until {}", out.time(until)),
        _ if app.production.is_some() => "live".to_owned(),
        _ => "not released".to_owned(),
    }
}

/// Apps as a table.
pub fn list(run: &Run, apps: &[AppView]) -> Result<(), Failure> {
    run.out
        .list(apps)
        .column("APP", |a, _| a.name.to_string())
        .column("STATE", state)
        .column("PRODUCTION", |a, out: &Out| {
            a.production.as_ref().map_or_else(|| "–".to_owned(), |r| out.release(r))
        })
        .column("CONTENTS", |a, _| text::labels(&a.labels))
        .column("OWNER", |a, _| a.owner.clone())
        .column("RISK", |a, _| a.risk.clone())
        .print()
}

fn facts(out: &Out, app: &AppView) -> String {
    out.facts(&[
        ("app", app.name.to_string()),
        ("state", state(app, out)),
        ("production", app.production.as_ref().map(|r| out.release(r)).unwrap_or_default()),
        ("contents", text::labels(&app.labels)),
        ("environment", app.environment.to_string()),
        ("rollout", app.rollout.map(|r| r.to_string()).unwrap_or_default()),
        ("owner", app.owner.clone()),
        ("risk", app.risk.clone()),
        ("generation", app.generation.to_string()),
        ("url", app.url.clone()),
    ])
}
