//! `audit list|verify|proof`.

mod source;
mod verify;

use super::context::Verified;
use super::failure::{Exit, Failure};
use super::output::{Out, talk};
use super::paging::Paging;
use super::run::Run;
use super::text;
use clap::{Args, Subcommand};
use control::views::{AuditView, WhoAmI};
use domain::audit::Actor;
use domain::ids::AppName;
use domain::note::VerifyingKey;
use source::Source;
use std::path::PathBuf;

/// Verbs on the audit log.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Entries, newest first
    List(List),
    /// Recompute the whole log and check it against its signed checkpoint;
    /// nothing is taken from the server's word
    Verify(Verify),
    /// The proof that one entry is in the log, for offline verifiers
    Proof {
        /// Its place in the log, from 0
        index: u64,
    },
}

/// Which entries.
#[derive(Debug, Args)]
pub struct List {
    /// Only of this app
    #[arg(short, long)]
    app: Option<AppName>,
    /// Only of this person
    #[arg(long)]
    actor: Option<String>,
    /// Only this verb, for example `change.approved`
    #[arg(long)]
    action: Option<String>,
    /// Only on this object, for example `change/ch-41`
    #[arg(long)]
    object: Option<String>,
    #[command(flatten)]
    paging: Paging,
}

/// Which log, and whose key.
#[derive(Debug, Args)]
pub struct Verify {
    /// Verifier key of the log [default: the one pinned by `login`]
    #[arg(long, env = "TIDEGATE_VKEY")]
    vkey: Option<String>,
    /// Read the log from a data directory instead of a server
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Runs a verb.
pub async fn run(run: &Run, verb: Audit) -> Result<Exit, Failure> {
    match verb {
        Audit::List(args) => list(run, args).await,
        Audit::Verify(args) => check(run, args).await,
        Audit::Proof { index } => {
            let proof = run.api.bytes(&format!("/api/v1/audit/{index}/proof")).await?;
            run.out.write(&String::from_utf8_lossy(&proof))?;
            Ok(Exit::Ok)
        }
    }
}

async fn list(run: &Run, args: List) -> Result<Exit, Failure> {
    let parameters = [
        ("app", args.app.map(String::from)),
        ("actor", args.actor),
        ("action", args.action),
        ("object", args.object),
    ];
    let rows = args.paging.fetch::<AuditView>(run, "audit", &parameters).await?;
    run.out
        .list(&rows.items)
        .column("ENTRY", |e, _| e.index.to_string())
        .column("WHEN", |e, out: &Out| out.time(e.entry.at))
        .column("WHO", |e, _| match &e.entry.actor {
            Actor::Person(name) => name.to_string(),
            Actor::Controller => "controller".to_owned(),
            Actor::System => "system".to_owned(),
        })
        .column("WHAT", |e, _| e.entry.action.clone())
        .column("ON", |e, _| e.entry.object.clone())
        .column("WHY", |e, out: &Out| {
            let why = e.entry.reason.clone().unwrap_or_default();
            if out.tty { text::shorten(&why, 60) } else { why }
        })
        .print()?;
    rows.say();
    Ok(Exit::Ok)
}

/// The key to trust: the one given, or the one pinned for this server. Only a
/// server never seen before is asked, and its answer is pinned from then on.
pub async fn verifier_key(
    run: &Run,
    given: Option<String>,
    first_seen: impl AsyncFnOnce() -> Result<String, Failure>,
) -> Result<VerifyingKey, Failure> {
    let text = match given {
        Some(text) => text,
        None => pinned(run, first_seen).await?,
    };
    text.trim().parse().map_err(|e: domain::note::NoteError| {
        Failure::usage(e.to_string()).fix("`tidegate whoami` shows the key of a server you trust")
    })
}

async fn pinned(
    run: &Run,
    first_seen: impl AsyncFnOnce() -> Result<String, Failure>,
) -> Result<String, Failure> {
    let mut contexts = run.contexts.load()?;
    let server = run.api.base().to_owned();
    if let Some(key) = contexts.servers.get(&server).and_then(|known| known.log_key.clone()) {
        return Ok(key);
    }
    let key = first_seen().await?;
    talk(&format!("First look at this server's log: its key is pinned from now on ({key})."));
    contexts.servers.entry(server).or_default().log_key = Some(key.clone());
    run.contexts.save(&contexts)?;
    Ok(key)
}

async fn check(run: &Run, args: Verify) -> Result<Exit, Failure> {
    let server = run.api.base().to_owned();
    let (source, key, before) = match &args.data {
        Some(dir) => {
            let (source, own_key) = Source::directory(dir).await?;
            if args.vkey.is_none() {
                talk(
                    "The key is the data directory's own; give the one you noted down with `--vkey`.",
                );
            }
            let key =
                verifier_key(run, Some(args.vkey.unwrap_or(own_key)), async || Ok(String::new()))
                    .await?;
            (source, key, None)
        }
        None => {
            let key = verifier_key(run, args.vkey, async || {
                let me: WhoAmI = run.api.get("whoami").await?;
                Ok(me.log_key)
            })
            .await?;
            let before = run.contexts.load()?.servers.get(&server).and_then(|k| k.verified.clone());
            (Source::Server(Box::new(run.api.clone())), key, before)
        }
    };
    let verified = verify::verify(&source, &key, before.as_ref()).await;
    source.close().await;
    let verified = verified?;
    if args.data.is_none() {
        remember(run, &server, &verified)?;
    }
    let now = run.now();
    let document = serde_json::json!({
        "whole": true,
        "entries": verified.entries,
        "unsigned": verified.unsigned,
        "root": verified.root_hex(),
        "origin": verified.origin,
        "last_entry_at": verified.last_at,
    });
    run.out.one(&document, |_| {
        let unsigned = match verified.unsigned {
            0 => String::new(),
            n => format!(" ({n} more, not yet signed)"),
        };
        format!(
            "{} entries{unsigned}, unbroken, checkpoint signed by {}, last entry {}\n",
            text::count(verified.entries),
            verified.origin,
            verified.last_at.map_or_else(|| "never".to_owned(), |at| text::ago(now, at)),
        )
    })?;
    Ok(Exit::Ok)
}

/// Keeps what was verified: next time the log may only have grown.
fn remember(run: &Run, server: &str, verified: &verify::Whole) -> Result<(), Failure> {
    let mut contexts = run.contexts.load()?;
    let known = contexts.servers.entry(server.to_owned()).or_default();
    known.verified = Some(Verified { size: verified.entries, root: verified.root_hex() });
    run.contexts.save(&contexts)
}
