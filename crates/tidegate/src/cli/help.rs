//! `help`, `completion`, `version`.

use super::failure::{Exit, Failure};
use super::run::Run;
use clap::Args;
use clap_complete::Shell;
use serde_json::json;

/// What to explain.
#[derive(Debug, Args)]
pub struct Help {
    /// A command such as `change create`, or `words`, `exit-codes`,
    /// `environment`
    topic: Vec<String>,
}

/// For which shell.
#[derive(Debug, Args)]
pub struct Completion {
    /// bash, zsh, fish, powershell or elvish
    shell: Shell,
}

/// `tidegate completion SHELL`.
pub fn completion(
    run: &Run,
    args: &Completion,
    mut command: clap::Command,
) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "tidegate", &mut script);
    run.out.write(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}

/// `tidegate version`.
pub fn version(run: &Run) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    run.out.one(&json!({ "version": version }), |_| format!("tidegate {version}\n"))?;
    Ok(Exit::Ok)
}

/// `tidegate help [TOPIC]`.
pub fn help(run: &Run, args: &Help, mut command: clap::Command) -> Result<Exit, Failure> {
    let topics: Vec<&str> = args.topic.iter().map(String::as_str).collect();
    let text = match topics.as_slice() {
        ["words"] => include_str!("help/words.txt").to_owned(),
        ["exit-codes"] => include_str!("help/exit-codes.txt").to_owned(),
        ["environment"] => include_str!("help/environment.txt").to_owned(),
        path => {
            command.build();
            let found = path.iter().try_fold(&mut command, |at, name| at.find_subcommand_mut(name));
            let Some(found) = found else {
                return Err(Failure::usage(format!("there is no command `{}`", path.join(" ")))
                    .fix("`tidegate help` lists them; topics are words, exit-codes, environment"));
            };
            found.render_long_help().to_string()
        }
    };
    run.out.write(&text)?;
    Ok(Exit::Ok)
}
