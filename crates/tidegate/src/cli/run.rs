//! What every command is handed: the server, the output, and the questions.

use super::client::Api;
use super::context::{ContextFile, Contexts};
use super::failure::{Exit, Failure};
use super::global::{DEFAULT_SERVER, Global};
use super::output::{Out, talk};
use domain::ids::{AppName, RolloutId};
use domain::units::{Clock, Span, Timestamp};
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

/// How often a waiting command looks.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// Shortest written reason for what needs one, in characters.
pub const MIN_REASON: usize = 10;

/// One command's surroundings.
pub struct Run {
    /// Flags.
    pub global: Global,
    /// Where results go.
    pub out: Out,
    /// The server.
    pub api: Api,
    /// Remembered servers.
    pub contexts: ContextFile,
    /// The system's clock.
    pub clock: Clock,
}

impl Run {
    /// From the flags and what `login` remembered.
    pub fn new(global: Global, clock: Clock) -> Result<Self, Failure> {
        let remembered = ContextFile::at(global.config.as_deref()).load()?;
        Self::with(global, clock, &remembered)
    }

    /// For commands that ask no server: what `login` remembered, damaged or
    /// not, does not touch them.
    pub fn local(mut global: Global, clock: Clock) -> Result<Self, Failure> {
        (global.token, global.token_file) = (None, None);
        Self::with(global, clock, &Contexts::default())
    }

    fn with(global: Global, clock: Clock, remembered: &Contexts) -> Result<Self, Failure> {
        let contexts = ContextFile::at(global.config.as_deref());
        let server = server(&global, remembered);
        let token = token(&global, remembered, &server)?;
        let out = Out::new(global.output, global.no_color, clock.now());
        Ok(Self { api: Api::new(&server, token), out, contexts, clock, global })
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Asks before something that others will notice. Where nobody can answer,
    /// `--yes` must say so beforehand.
    pub fn confirm(&self, consequence: &str) -> Result<(), Failure> {
        if self.global.yes {
            return Ok(());
        }
        if self.global.no_input || !std::io::stdin().is_terminal() {
            return Err(Failure::usage(format!("this needs a yes: {consequence}"))
                .fix("repeat the command with `--yes`"));
        }
        let answer = ask(&format!("{consequence}\nGo on? [y/N] "))?;
        if matches!(answer.to_lowercase().as_str(), "y" | "yes") {
            return Ok(());
        }
        Err(Failure::new(Exit::Cancelled, "cancelled; nothing was changed"))
    }

    /// The written reason a risky action needs.
    pub fn need_reason(&self, what: &str) -> Result<String, Failure> {
        let reason = match &self.global.reason {
            Some(reason) => reason.trim().to_owned(),
            None if self.can_ask() => ask(&format!("Why do you {what}? "))?,
            None => String::new(),
        };
        if reason.chars().count() >= MIN_REASON {
            return Ok(reason);
        }
        Err(Failure::usage(format!("a written reason is needed to {what}"))
            .fix(format!("add `--reason` with at least {MIN_REASON} characters")))
    }

    /// The reason of an action that must not wait for one: asked, skippable.
    pub fn optional_reason(&self) -> Result<Option<String>, Failure> {
        if self.global.reason.is_some() || !self.can_ask() || self.global.yes {
            return Ok(self.global.reason.clone());
        }
        let reason = ask("Why? (Enter to give the reason within the hour) ")?;
        Ok((!reason.is_empty()).then_some(reason))
    }

    fn can_ask(&self) -> bool {
        !self.global.no_input && std::io::stdin().is_terminal()
    }

    /// The end of a wait that began now; never later than `--wait` says.
    pub fn deadline(&self, default: Span) -> Timestamp {
        self.now().plus(self.global.wait.unwrap_or(default))
    }

    /// Waits for the next look of a waiting command, or fails at the deadline.
    pub async fn next_look(
        &self,
        deadline: Timestamp,
        what: &str,
        again: &str,
    ) -> Result<(), Failure> {
        if self.now() >= deadline {
            return Err(Failure::new(Exit::Cancelled, format!("`--wait` ran out: {what}"))
                .fix(format!("the work goes on; look again with `{again}`")));
        }
        tokio::time::sleep(LOOK_EVERY).await;
        Ok(())
    }

    /// Runs a waiting command's work. Ctrl-C ends the waiting, not what is
    /// waited for, from before the first line is shown to the last: the signal
    /// is asked for before the work begins.
    pub async fn wait_for<T>(
        &self,
        again: &str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => {
                talk(&format!("Still running: {again}"));
                Err(Failure::new(Exit::Interrupted, "stopped watching"))
            }
            done = work => done,
        }
    }
}

fn server(global: &Global, remembered: &Contexts) -> String {
    global
        .server
        .clone()
        .or_else(|| remembered.current.clone())
        .unwrap_or_else(|| DEFAULT_SERVER.to_owned())
        .trim_end_matches('/')
        .to_owned()
}

fn token(global: &Global, remembered: &Contexts, server: &str) -> Result<Option<String>, Failure> {
    if let (Some(_), Some(path)) = (&global.token, &global.token_file) {
        return Err(Failure::usage(format!(
            "a token is given, and the token file `{}` too",
            path.display()
        ))
        .fix("give one of them; TIDEGATE_TOKEN and TIDEGATE_TOKEN_FILE count as well"));
    }
    if let Some(token) = &global.token {
        return Ok(Some(token.trim().to_owned()));
    }
    if let Some(path) = &global.token_file {
        let text = std::fs::read_to_string(path).map_err(|e| {
            Failure::usage(format!("cannot read the token from `{}`: {e}", path.display()))
        })?;
        return Ok(Some(text.trim().to_owned()));
    }
    Ok(remembered.servers.get(server).and_then(|known| known.token.clone()))
}

/// Asks one line on the terminal.
pub fn ask(question: &str) -> Result<String, Failure> {
    std::io::stderr().lock().write_all(question.as_bytes())?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// What people name a rollout by: its number, or the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutRef {
    /// `ro-128`.
    Id(RolloutId),
    /// The app's newest one.
    App(AppName),
}

impl std::str::FromStr for RolloutRef {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("ro-") || text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().map(Self::Id).map_err(|e: domain::ids::InvalidId| e.to_string());
        }
        text.parse().map(Self::App).map_err(|e: domain::ids::InvalidId| e.to_string())
    }
}
