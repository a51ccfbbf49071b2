//! `tidegate serve`: the roles, wired together.
//!
//! Order matters at both ends. Ports are bound first, because links name them;
//! then control opens and publishes, then the gateway takes the snapshot, and
//! only then the addresses are told. At the end requests under way are
//! finished, the gateway ships its last counts, and control stops last.

pub mod installation;
mod options;
mod sign_on;

use crate::cli::failure::{Exit, Failure, Said};
use crate::link::LocalLink;
use control::Control;
use control::keys::Keys;
use control::problem::Problem;
use domain::ids::Generation;
use domain::units::Clock;
use gateway::{Gateway, HttpLink, Link, Secrets};
use installation::Installation;
pub use options::Serve;
use options::ServeRole;
use serde::Serialize;
use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long the parts may take to stop before the process ends anyway.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// How long a starting gateway waits for its first snapshot before it is called
/// ready all the same: control may be down for hours.
const FIRST_SNAPSHOT: Duration = Duration::from_secs(5);
/// How often it looks for it.
const LOOK_FOR_SNAPSHOT: Duration = Duration::from_millis(5);

/// Where everything is served, told once it is.
#[derive(Debug, Default, Serialize)]
struct Ready {
    #[serde(skip_serializing_if = "Option::is_none")]
    control: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<String>,
    pid: u32,
}

/// Runs it until SIGINT or SIGTERM.
pub async fn run(options: Serve, clock: Clock) -> Result<Exit, Failure> {
    options.check()?;
    log_to_stderr(&options.log)?;
    let (stop, stopping) = watch::channel(false);
    let mut parts: JoinSet<Result<(), Failure>> = JoinSet::new();
    let (ready, control) = match options.role {
        ServeRole::Gateway => (join(&options, clock, &stopping, &mut parts).await?, None),
        _ => start(&options, clock, &stopping, &mut parts).await?,
    };
    tell(&options, &ready, first_sign_in(control.as_deref()).await)?;
    let ended = tokio::select! {
        part = parts.join_next() => Some(part),
        () = told_to_stop() => None,
    };
    stop.send_replace(true);
    tracing::info!("stopping");
    let finish = async {
        while let Some(part) = parts.join_next().await {
            outcome(part)?;
        }
        Ok(())
    };
    let rest = tokio::time::timeout(STOP_WITHIN, finish).await.unwrap_or_else(|_| {
        tracing::warn!("some requests did not end within {STOP_WITHIN:?}");
        Ok(())
    });
    if let Some(control) = control {
        sign_log(&control).await;
    }
    match ended {
        // A part that ends before it is told to has failed, whatever it says.
        Some(Some(part)) => outcome(part)
            .and(Err(Failure::new(Exit::Failed, "a part of the server ended by itself"))),
        _ => rest.map(|()| Exit::Ok),
    }
}

/// A link that signs the first admin in, for the terminal of whoever starts a
/// server nobody has ever signed in to. Never for a log or a file: it is a key.
async fn first_sign_in(control: Option<&Control>) -> Option<String> {
    if !std::io::stdout().is_terminal() {
        return None;
    }
    match control?.first_sign_in().await {
        Ok(made) => made.map(|made| made.url),
        Err(problem) => {
            tracing::warn!(%problem, "no sign-in link could be made");
            None
        }
    }
}

/// Signs the log as it is, so that a data directory at rest can be verified
/// without its server.
async fn sign_log(control: &Control) {
    if let Err(problem) = control.note_folded_refusals(true).await {
        tracing::warn!(%problem, "refusals could not be written down");
    }
    if let Err(problem) = control.checkpoint().await {
        tracing::warn!(%problem, "the audit log could not be signed");
    }
}

fn outcome(part: Result<Result<(), Failure>, tokio::task::JoinError>) -> Result<(), Failure> {
    part.unwrap_or_else(|e| {
        Err(Failure::new(Exit::Failed, format!("a part of the server failed: {e}")))
    })
}

/// SIGINT or SIGTERM.
async fn told_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    // Without signals the process is ended from outside.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Control, and unless told otherwise a gateway beside it.
async fn start(
    options: &Serve,
    clock: Clock,
    stopping: &watch::Receiver<bool>,
    parts: &mut JoinSet<Result<(), Failure>>,
) -> Result<(Ready, Option<Arc<Control>>), Failure> {
    let installation = Installation::load(&options.data)?;
    let listener = bind(options.listen).await?;
    let public_url = options.public_url.clone().map_or_else(|| url(&listener), Ok)?;
    let gateway_listener = match options.role {
        ServeRole::All => Some(bind(options.gateway_listen).await?),
        _ => None,
    };
    let own_gateway = gateway_listener.as_ref().map(url).transpose()?;
    let mut config = installation.config(&options.data, clock.clone())?;
    config.public_url = public_url;
    config.gateway_url = options.gateway_url.clone().or_else(|| own_gateway.clone());
    config.look_every = options.look_every;
    config.demo = options.demo;
    config.env_keys =
        connect::classifier::Keys::new(|name| std::env::var_os(name)?.into_string().ok());
    config.prometheus = options.prometheus().map_err(|e| Failure::usage(e.to_string()))?;
    config.sign_on = options.sign_on().map_err(|faults| Failure::usage(faults.join("\n")))?;
    let data = config.data.clone();
    let control = Control::open(config).await.map_err(from_problem)?;
    sign_log(&control).await;
    let looking = Arc::clone(&control).run(stopping.clone()).map_err(from_problem)?;
    parts
        .spawn(async move { looking.await.map_err(|e| Failure::new(Exit::Failed, e.to_string())) });
    let ready =
        Ready { control: Some(url(&listener)?), gateway: own_gateway, pid: std::process::id() };
    let router = api::router(Arc::clone(&control), stopping.clone());
    let stop = stopping.clone();
    parts.spawn(async move {
        api::serve(listener, router, stop)
            .await
            .map_err(|e| Failure::new(Exit::Failed, format!("the control port failed: {e}")))
    });
    if let Some(listener) = gateway_listener {
        let keys = Keys::open(&data, &installation.origin).map_err(from_problem)?;
        let config = gateway_config(
            options,
            &data.join("gateway"),
            keys.secret.public(),
            keys.hashing,
            clock,
        );
        let link = Arc::new(LocalLink::new(Arc::clone(&control)));
        serve_gateway(config, link, listener, stopping, parts).await?;
    }
    Ok((ready, Some(control)))
}

/// A gateway that joins a control elsewhere.
async fn join(
    options: &Serve,
    clock: Clock,
    stopping: &watch::Receiver<bool>,
    parts: &mut JoinSet<Result<(), Failure>>,
) -> Result<Ready, Failure> {
    let join = options.join().ok_or_else(|| Failure::usage("`--role gateway` lacks an option"))?;
    let listener = bind(options.gateway_listen).await?;
    let link = HttpLink::new(connect::http::Client::new(), &join.control, &join.token)
        .map_err(|e| Failure::usage(e.to_string()))?;
    let ready = Ready { control: None, gateway: Some(url(&listener)?), pid: std::process::id() };
    let config = gateway_config(options, &options.data, *join.key.public(), join.hash_key, clock);
    serve_gateway(config, Arc::new(link), listener, stopping, parts).await?;
    Ok(ready)
}

fn gateway_config(
    options: &Serve,
    dir: &Path,
    trusted: domain::keys::PublicKey,
    hash_key: [u8; 32],
    clock: Clock,
) -> gateway::Config {
    let mut config = gateway::Config::new(
        options.gateway_name.clone(),
        dir.to_owned(),
        trusted,
        hash_key,
        clock,
    );
    config.bodies = options.keep_texts;
    config.secrets = Secrets::new(|name| std::env::var_os(name)?.into_string().ok());
    config
}

async fn serve_gateway(
    config: gateway::Config,
    link: Arc<dyn Link>,
    listener: TcpListener,
    stopping: &watch::Receiver<bool>,
    parts: &mut JoinSet<Result<(), Failure>>,
) -> Result<(), Failure> {
    let gateway = Gateway::start(config, link)
        .await
        .map_err(|e| Failure::new(Exit::Failed, format!("the gateway cannot start: {e}")))?;
    let first = async {
        while gateway.generation() == Generation(0) {
            tokio::time::sleep(LOOK_FOR_SNAPSHOT).await;
        }
    };
    if tokio::time::timeout(FIRST_SNAPSHOT, first).await.is_err() {
        tracing::warn!("no snapshot yet: requests are refused until control is reached");
    }
    let mut stop = stopping.clone();
    parts.spawn(async move {
        let stopped = async move {
            // A sender that is gone means the same as the word to stop.
            stop.wait_for(|stop| *stop).await.ok();
        };
        gateway.serve(listener, stopped).await;
        Ok(())
    });
    Ok(())
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|e| {
        Failure::new(Exit::Failed, format!("cannot listen on {address}: {e}"))
            .fix("stop what listens there, or name another address with `--listen` and `--gateway-listen`")
    })
}

fn url(listener: &TcpListener) -> Result<String, Failure> {
    let address = listener
        .local_addr()
        .map_err(|e| Failure::new(Exit::Failed, format!("cannot tell where this listens: {e}")))?;
    Ok(format!("http://{address}"))
}

/// Says where everything is served: a sentence for people, a line of JSON for
/// programs, and the file that was asked for, whole or not at all.
fn tell(options: &Serve, ready: &Ready, sign_in: Option<String>) -> Result<(), Failure> {
    let line =
        serde_json::to_string(ready).map_err(|e| Failure::new(Exit::Failed, e.to_string()))?;
    if let Some(path) = &options.ready_file {
        let aside = path.with_extension("new");
        std::fs::write(&aside, format!("{line}\n"))
            .and_then(|()| std::fs::rename(&aside, path))
            .map_err(|e| Failure::usage(format!("cannot write `{}`: {e}", path.display())))?;
    }
    let mut stdout = std::io::stdout();
    let text = if stdout.is_terminal() {
        let part = |name: &str, url: &Option<String>| {
            url.as_ref().map(|url| format!("  {name:<8} {url}\n")).unwrap_or_default()
        };
        format!(
            "Tidegate is ready. Stop it with Ctrl-C.\n{}{}{}",
            part("control", &ready.control),
            part("gateway", &ready.gateway),
            part("sign in", &sign_in),
        )
    } else {
        format!("{line}\n")
    };
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

fn log_to_stderr(filter: &str) -> Result<(), Failure> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .map_err(|e| Failure::usage(format!("`--log {filter}` is not a filter: {e}")))?;
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        .init();
    Ok(())
}

/// A problem of `control` as this program's failure.
pub fn from_problem(problem: Problem) -> Failure {
    let mut failure = Failure::new(Exit::of(problem.kind), problem.detail).fix(problem.hint);
    failure.said = Some(Box::new(Said { code: Some(problem.code), ..Said::default() }));
    failure
}
