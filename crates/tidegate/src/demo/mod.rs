//! `tidegate demo`: the main job end to end on the shipped example, in front of
//! the user's eyes.
//!
//! Nothing here is staged. The demo starts the ordinary server, sends ordinary
//! traffic through its gateway, and acts through the same API as the command
//! line. Simulated readers judge the text they get; which version is good and
//! which is bad is written down nowhere. What is printed is read back from the
//! server, and `--exit` checks each claim again from the server's own state,
//! from git and from the audit log.

mod claims;
mod content;
mod desk;
mod folder;
mod gallery;
mod people;
mod server;
mod story;

use crate::cli::failure::{Exit, Failure};
use clap::Args;
use domain::units::Clock;
use std::path::PathBuf;

/// What `demo` takes.
#[derive(Debug, Args)]
pub struct Demo {
    /// End when both changes are decided; status 0 only if everything that was
    /// told really happened
    #[arg(long)]
    exit: bool,
    /// Folder for everything the demo makes
    #[arg(long, value_name = "DIR", default_value = "tidegate-demo")]
    dir: PathBuf,
}

/// Why the demo cannot go on.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct DemoError(String);

impl DemoError {
    /// In words.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl From<Failure> for DemoError {
    fn from(failure: Failure) -> Self {
        let why = failure.why.map(|why| format!(" ({why})")).unwrap_or_default();
        let fix = failure.fix.map(|fix| format!("; {fix}")).unwrap_or_default();
        Self(format!("{}{why}{fix}", failure.error))
    }
}

impl From<DemoError> for Failure {
    fn from(error: DemoError) -> Self {
        Failure::new(Exit::Failed, error.0)
    }
}

/// Runs the demo.
///
/// # Errors
/// Whatever keeps the story from coming true.
pub async fn run(args: Demo, clock: Clock) -> Result<Exit, Failure> {
    let folder = folder::Folder::fresh(&args.dir)?;
    let teller = story::Teller::new(clock);
    let server = server::Server::start(&folder).await.map_err(|e| with_log(e, &folder))?;
    let told = tokio::select! {
        told = tell(&args, &teller, &server, &folder) => told,
        ended = server.ended() => Err(ended),
        _ = tokio::signal::ctrl_c() => return Ok(Exit::Interrupted),
    };
    server.stop().await;
    told.map_err(|e| with_log(e, &folder).into())
}

async fn tell(
    args: &Demo,
    teller: &story::Teller,
    server: &server::Server,
    folder: &folder::Folder,
) -> Result<Exit, DemoError> {
    let cast = people::Cast::gather(server, folder).await?;
    if !args.exit {
        teller.watch(&link(&cast).await?);
    }
    let desk = desk::Desk::open(&server.gateway, &cast.app_token, content::tickets()?);
    let happened = story::run(teller, server, &cast, &desk).await?;
    let checked = claims::check(server, &cast, &desk, folder, &happened).await?;
    let all = claims::print(teller, &checked);
    if args.exit {
        return Ok(if all { Exit::Ok } else { Exit::Failed });
    }
    // More to look at; what was told is true without it.
    let gallery = gallery::open(teller, server, &cast, folder).await;
    if let Err(why) = &gallery {
        teller.say(&format!("not all of it came about: {why}"));
    }
    teller.stay(server, folder, &link(&cast).await?);
    let _traffic = gallery.ok();
    std::future::pending().await
}

/// A link that signs in once. Not as the admin, who could end the demo for everybody: as the
/// editor.
async fn link(cast: &people::Cast) -> Result<String, DemoError> {
    let made: control::sessions::MadeCode =
        cast.ana.post("people/ana/sign-in-code", &(), None).await?;
    Ok(made.url)
}

fn with_log(error: DemoError, folder: &folder::Folder) -> DemoError {
    DemoError::new(format!("{error}\n        the server's log: {}", folder.log().display()))
}
