//! `release list|get|bom|diff|verify|clear`.

use super::client::escape;
use super::failure::{Exit, Failure};
use super::output::{Out, talk};
use super::paging::Paging;
use super::run::Run;
use super::text;
use clap::Subcommand;
use control::views::{ReleaseView, WhoAmI};
use domain::ids::AppName;
use domain::manifest::{ComponentDiff, diff};
use std::collections::BTreeMap;

/// Verbs on releases.
#[derive(Debug, Subcommand)]
pub enum Release {
    /// Releases, newest first
    List {
        /// Only of this app
        #[arg(short, long)]
        app: Option<AppName>,
        /// Only those composed from this commit, or merged by it; four digits are enough
        #[arg(long)]
        commit: Option<String>,
        /// Only those with this component: NAME, NAME@VERSION or KIND:NAME@VERSION
        #[arg(long, value_name = "COMPONENT")]
        with: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One release
    Get {
        /// Its id, or the beginning of it
        release: String,
    },
    /// Its bill of materials, models, prompts and data included (CycloneDX 1.6, JSON)
    Bom {
        /// Its id, or the beginning of it
        release: String,
    },
    /// How two releases differ, component by component
    Diff {
        /// The one
        before: String,
        /// The other
        after: String,
    },
    /// Recompute the id and check the signature, trusting only the pinned key
    Verify {
        /// Its id, or the beginning of it
        release: String,
        /// The installation's verifier key [default: the one pinned by `login`]
        #[arg(long, env = "TIDEGATE_VKEY")]
        vkey: Option<String>,
    },
    /// Take a failed release off the deny list; needs `--reason`
    Clear {
        /// Its id, or the beginning of it
        release: String,
    },
}

/// Runs a verb.
pub async fn run(run: &Run, verb: Release) -> Result<Exit, Failure> {
    match verb {
        Release::List { app, commit, with, paging } => {
            let only = [("app", app.map(String::from)), ("commit", commit), ("component", with)];
            list(run, &only, &paging).await
        }
        Release::Get { release } => {
            let release = get(run, &release).await?;
            show(run, &release)
        }
        Release::Bom { release } => {
            let path = format!("releases/{}/bom", escape(&release));
            let bom: serde_json::Value = run.api.get(&path).await?;
            run.out.json(&bom)?;
            Ok(Exit::Ok)
        }
        Release::Diff { before, after } => compare(run, &before, &after).await,
        Release::Verify { release, vkey } => verify(run, &release, vkey).await,
        Release::Clear { release } => clear(run, &release).await,
    }
}

async fn get(run: &Run, id: &str) -> Result<ReleaseView, Failure> {
    run.api.get(&format!("releases/{}", escape(id))).await
}

async fn list(
    run: &Run,
    only: &[(&str, Option<String>)],
    paging: &Paging,
) -> Result<Exit, Failure> {
    let rows = paging.fetch::<ReleaseView>(run, "releases", only).await?;
    run.out
        .list(&rows.items)
        .column("RELEASE", |r, out: &Out| out.release(&r.id))
        .column("APP", |r, _| r.app.to_string())
        .column("STATE", |r, _| state(r).to_owned())
        .column("CONTENTS", |r, _| contents(r))
        .column("CHANGE", |r, _| r.change.map(|c| c.to_string()).unwrap_or_default())
        .column("CREATED", |r, out: &Out| out.time(r.created_at))
        .print()?;
    rows.say();
    Ok(Exit::Ok)
}

fn state(release: &ReleaseView) -> &'static str {
    match (release.live, &release.denied) {
        (true, _) => "live",
        (_, Some(_)) => "denied",
        _ => "kept",
    }
}

fn contents(release: &ReleaseView) -> String {
    let labels: BTreeMap<String, String> =
        release.manifest.components.iter().map(|(k, c)| (k.key().to_owned(), c.label())).collect();
    text::labels(&labels)
}

/// One changed component: `prompt summary@1.0.0 -> summary@1.1.0`.
pub fn difference(d: &ComponentDiff) -> String {
    let label = |c: &Option<domain::component::Component>| {
        c.as_ref().map_or_else(|| "none".to_owned(), domain::component::Component::label)
    };
    format!("{} {} -> {}", d.kind, label(&d.before), label(&d.after))
}

fn show(run: &Run, release: &ReleaseView) -> Result<Exit, Failure> {
    run.out.one(release, |out| {
        let components: Vec<_> = release
            .manifest
            .components
            .iter()
            .map(|(kind, c)| format!("{kind} {} {}", c.label(), c.digest))
            .collect();
        out.facts(&[
            ("release", release.id.to_string()),
            ("app", release.app.to_string()),
            ("state", state(release).to_owned()),
            ("denied", release.denied.clone().unwrap_or_default()),
            ("components", components.join("\n")),
            ("change", release.change.map(|c| c.to_string()).unwrap_or_default()),
            ("commit", release.commit.clone()),
            ("created", out.time(release.created_at)),
            ("url", release.url.clone()),
        ])
    })?;
    Ok(Exit::Ok)
}

async fn compare(run: &Run, before: &str, after: &str) -> Result<Exit, Failure> {
    let (before, after) = (get(run, before).await?, get(run, after).await?);
    let differences = diff(&before.manifest, &after.manifest);
    run.out
        .list(&differences)
        .column("COMPONENT", |d, _| d.kind.to_string())
        .column("BEFORE", |d, _| d.before.as_ref().map(|c| c.label()).unwrap_or_default())
        .column("AFTER", |d, _| d.after.as_ref().map(|c| c.label()).unwrap_or_default())
        .column("", |d, _| if d.same() { "same" } else { "changed" }.to_owned())
        .print()?;
    Ok(Exit::Ok)
}

/// The id follows from the manifest, and the signature from the pinned key:
/// neither is taken from the server's word.
async fn verify(run: &Run, id: &str, vkey: Option<String>) -> Result<Exit, Failure> {
    let release = get(run, id).await?;
    let no = |why: String| {
        Failure::new(Exit::NotVerified, format!("release `{id}` does not verify")).why(why)
    };
    let canonical = release.manifest.canonical().map_err(|e| no(e.to_string()))?;
    let recomputed = release.manifest.id().map_err(|e| no(e.to_string()))?;
    if recomputed != release.id {
        return Err(no(format!("its manifest has the id {recomputed}, not {}", release.id)));
    }
    let key = super::audit::verifier_key(run, vkey, async || {
        let me: WhoAmI = run.api.get("whoami").await?;
        Ok(me.log_key)
    })
    .await?;
    let envelope: domain::dsse::Envelope =
        serde_json::from_value(release.envelope.clone()).map_err(|e| no(e.to_string()))?;
    let payload = domain::dsse::verify(&envelope, domain::dsse::MANIFEST, &[*key.public()])
        .map_err(|e| no(e.to_string()))?;
    if payload != canonical {
        return Err(no("the signature is over another manifest".to_owned()));
    }
    talk(&format!(
        "{} verifies: its id follows from its manifest, signed by {}.",
        release.id.short(),
        key.name()
    ));
    show(run, &release)
}

async fn clear(run: &Run, id: &str) -> Result<Exit, Failure> {
    let release = get(run, id).await?;
    let reason = run.need_reason("let a failed release be proposed again")?;
    run.confirm(&format!("{} may be pushed and proposed again.", release.id.short()))?;
    let body = serde_json::json!({ "reason": reason });
    let path = format!("releases/{}/clear", escape(&release.id.to_string()));
    let release: ReleaseView = run.api.post(&path, &body, None).await?;
    show(run, &release)
}
