//! Flags every command takes, and what they become.

use super::output::Format;
use clap::{Args, ValueEnum as _};
use domain::units::Span;
use std::path::PathBuf;

/// Where the server is assumed when nothing says otherwise.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";

/// Flags every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Address of the control port [default: the server of the last `login`,
    /// or http://127.0.0.1:8080]
    #[arg(
        short,
        long,
        global = true,
        value_name = "URL",
        env = "TIDEGATE_SERVER",
        hide_env_values = true
    )]
    pub server: Option<String>,

    /// Token to act with. Prefer the environment or a file: other users of the
    /// machine see command lines
    #[arg(
        long,
        global = true,
        env = "TIDEGATE_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub token: Option<String>,

    /// File that holds the token
    #[arg(long, global = true, env = "TIDEGATE_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// File with servers, tokens and pinned keys, written by `login`
    #[arg(long, global = true, env = "TIDEGATE_CONFIG", value_name = "FILE", hide = true)]
    pub config: Option<PathBuf>,

    /// How to print results
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub output: Format,

    /// Do not ask for confirmation
    #[arg(short, long, global = true)]
    pub yes: bool,

    /// Why; kept in the audit log
    #[arg(long, global = true, value_name = "TEXT")]
    pub reason: Option<String>,

    /// Never ask anything; fail where an answer would be needed
    #[arg(long, global = true)]
    pub no_input: bool,

    /// Wait until the work is done, at most so long [default: 30m]
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "30m", value_name = "TIME")]
    pub wait: Option<Span>,

    /// No colours (also with NO_COLOR set)
    #[arg(long, global = true)]
    pub no_color: bool,
}

impl Global {
    /// The format asked for in these arguments, for errors that arise before
    /// the command line is understood.
    pub fn format_of(args: &[String]) -> Format {
        args.iter()
            .zip(args.iter().skip(1))
            .filter(|(flag, _)| matches!(flag.as_str(), "-o" | "--output"))
            .find_map(|(_, value)| Format::from_str(value, true).ok())
            .unwrap_or(Format::Table)
    }
}
