//! The command line: nouns, verbs, and the short forms for bad minutes.
//!
//! One file per noun. A command asks the server, prints what it says, and ends
//! with a status scripts can tell apart; it takes no decision of its own, with
//! one exception: `audit verify` and `evidence verify` trust nothing a server says.

pub mod app;
mod audit;
mod backtest;
mod change;
pub mod client;
mod context;
mod cost;
mod danger;
mod edits;
mod eval;
mod evidence;
mod experiment;
mod export;
pub mod failure;
mod features;
mod feedback;
pub mod findings;
mod gateway;
mod git;
pub mod global;
mod help;
mod hook;
mod incident;
mod init;
mod kpi;
mod login;
mod notification;
pub mod output;
pub mod paging;
mod person;
mod plan;
mod policy;
mod preview;
pub mod release;
mod rollout;
pub mod run;
mod short;
mod snippet;
mod status;
pub mod text;
mod token;
mod traffic;
mod validate;
mod watch;
mod why;

use clap::{CommandFactory as _, Parser, Subcommand};
use failure::{Exit, Failure};
use global::Global;
use output::Format;
use run::Run;
use std::process::ExitCode;

/// Release engineering for small LLM apps: a change to a prompt or a model
/// reaches users only as fast as the evidence allows, and goes back by itself.
#[derive(Debug, Parser)]
#[command(
    name = "tidegate",
    version,
    disable_help_subcommand = true,
    after_help = "See also: tidegate help words | exit-codes | environment"
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a data directory: ops repo, keys, first admin
    Init(init::Init),
    /// See the main job end to end on the shipped example
    Demo(crate::demo::Demo),
    /// Run the server: control, gateway, or both
    Serve(Box<crate::serve::Serve>),
    /// Remember a server and a token, and pin the key of its audit log
    Login(login::Login),
    /// Who the server takes you for
    Whoami,
    /// Every app at a glance
    Status,
    /// Apps
    #[command(subcommand)]
    App(app::App),
    /// Changes: propose, check, approve
    #[command(subcommand)]
    Change(change::Change),
    /// Cases that failed once, kept as tests
    #[command(subcommand)]
    Danger(danger::Danger),
    /// Rollouts: watch, pause, resume, promote
    #[command(subcommand)]
    Rollout(rollout::Rollout),
    /// What a rollout policy would have decided on recorded traffic
    Backtest(backtest::Backtest),
    /// Experiments: several variants, live, on recorded or on assumed outcomes
    #[command(subcommand)]
    Experiment(experiment::Experiment),
    /// Feature values for evaluations
    #[command(subcommand)]
    Features(features::Features),
    /// The team's policies: check them, test them, ask them
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Evaluation suites: run them, record answers for them
    #[command(subcommand)]
    Eval(eval::Eval),
    /// Every static check over a folder of the ops repo; asks no server
    Validate(validate::Validate),
    /// Releases: what exactly answered
    #[command(subcommand)]
    Release(release::Release),
    /// Incidents: what went wrong, and why somebody acted
    #[command(subcommand)]
    Incident(incident::Incident),
    /// The audit log
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Who is told of what, and how
    #[command(subcommand)]
    Notification(notification::Notification),
    /// What answers cost: this month, by app and model, and what releases changed
    Cost(cost::Cost),
    /// Key figures: speed, rollbacks, and mistakes of the checks
    Kpi(kpi::Kpi),
    /// Evidence: the signed story of a release or a change, for people outside
    #[command(subcommand)]
    Evidence(evidence::Evidence),
    /// People and their roles
    #[command(subcommand)]
    Person(person::Person),
    /// Tokens for people, apps and gateways
    #[command(subcommand)]
    Token(token::Token),
    /// The ops repo
    #[command(subcommand)]
    Git(git::Git),
    /// Gateways
    #[command(subcommand)]
    Gateway(gateway::Gateway),
    /// Say something about an answer: a label, a rejection, an outcome
    Feedback(feedback::Feedback),
    /// Traffic through a gateway
    #[command(subcommand)]
    Traffic(traffic::Traffic),
    /// Everyone back to the last good release, at once
    Rollback(short::Rollback),
    /// Stop calling the model: answer from the fallback, at once
    Kill(short::Kill),
    /// Take the kill switch back
    Unkill(short::Unkill),
    /// Stop the app's rollout where it is; limits stay armed
    Pause(short::Pause),
    /// Why a request was answered the way it was
    Why(why::Why),
    /// Print a completion script for a shell
    Completion(help::Completion),
    /// Print the version
    Version,
    /// Help on a command, or on: words, exit-codes, environment
    Help(help::Help),
    /// Called by the ops repo's hooks
    #[command(hide = true)]
    GitHook(hook::GitHook),
}

impl Command {
    /// True if this asks no server.
    fn is_local(&self) -> bool {
        if let Self::Policy(verb) = self {
            return verb.is_local();
        }
        if let Self::Experiment(verb) = self {
            return verb.is_local();
        }
        if let Self::Evidence(verb) = self {
            return verb.is_local();
        }
        matches!(
            self,
            Self::Init(_)
                | Self::Demo(_)
                | Self::Serve(_)
                | Self::Backtest(_)
                | Self::Features(_)
                | Self::Eval(_)
                | Self::Validate(_)
                | Self::Completion(_)
                | Self::Version
                | Self::Help(_)
                | Self::GitHook(_)
        )
    }
}

/// Reads the command line, runs the command, says how it ended.
pub async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect();
    let cli = match Cli::try_parse_from(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error, Global::format_of(&args)),
    };
    let format = cli.global.output;
    match dispatch(cli).await {
        Ok(exit) => exit.into(),
        Err(failure) => {
            report(&failure, format);
            failure.exit.into()
        }
    }
}

/// Help and version are no failures; anything else of clap's is a usage error.
fn not_understood(error: &clap::Error, format: Format) -> ExitCode {
    if !error.use_stderr() || format == Format::Table {
        // A closed terminal is nobody's loss.
        error.print().ok();
        return if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() };
    }
    report(&Failure::usage(error.to_string().trim().to_owned()), format);
    Exit::Usage.into()
}

fn report(failure: &Failure, format: Format) {
    match (failure.exit, format) {
        (Exit::Ok, _) => {}
        (_, Format::Table) => output::talk(failure.text().trim_end()),
        _ => output::talk(&failure.document().to_string()),
    }
}

async fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    let clock = crate::clock::system();
    let run = if cli.command.is_local() {
        Run::local(cli.global, clock)?
    } else {
        Run::new(cli.global, clock)?
    };
    match cli.command {
        Command::Init(args) => init::run(&run, args).await,
        Command::Demo(args) => crate::demo::run(args, run.clock.clone()).await,
        Command::Serve(args) => crate::serve::run(*args, run.clock.clone()).await,
        Command::Login(args) => login::login(&run, args).await,
        Command::Whoami => login::whoami(&run).await,
        Command::Status => status::run(&run).await,
        Command::App(verb) => app::run(&run, verb).await,
        Command::Change(verb) => change::run(&run, verb).await,
        Command::Danger(verb) => danger::run(&run, verb).await,
        Command::Rollout(verb) => rollout::run(&run, verb).await,
        Command::Backtest(args) => backtest::run(&run, args).await,
        Command::Experiment(verb) => experiment::run(&run, verb).await,
        Command::Features(verb) => features::run(&run, &verb),
        Command::Policy(verb) => policy::run(&run, verb).await,
        Command::Eval(verb) => eval::run(&run, verb).await,
        Command::Validate(args) => validate::run(&run, &args),
        Command::Release(verb) => release::run(&run, verb).await,
        Command::Incident(verb) => incident::run(&run, verb).await,
        Command::Audit(verb) => audit::run(&run, verb).await,
        Command::Notification(verb) => notification::run(&run, verb).await,
        Command::Cost(args) => cost::run(&run, args).await,
        Command::Kpi(args) => kpi::run(&run, args).await,
        Command::Evidence(verb) => evidence::run(&run, verb).await,
        Command::Person(verb) => person::run(&run, verb).await,
        Command::Token(verb) => token::run(&run, verb).await,
        Command::Git(verb) => git::run(&run, verb).await,
        Command::Gateway(verb) => gateway::run(&run, verb).await,
        Command::Feedback(args) => feedback::run(&run, args).await,
        Command::Traffic(verb) => traffic::run(&run, verb).await,
        Command::Rollback(args) => short::rollback(&run, args).await,
        Command::Kill(args) => short::kill(&run, args).await,
        Command::Unkill(args) => short::unkill(&run, args).await,
        Command::Pause(args) => short::pause(&run, args).await,
        Command::Why(args) => why::run(&run, args).await,
        Command::Completion(args) => help::completion(&run, &args, Cli::command()),
        Command::Version => help::version(&run),
        Command::Help(args) => help::help(&run, &args, Cli::command()),
        Command::GitHook(args) => hook::run(&run, args).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
