//! The page in `web/`: build it, test it, work on it.

use crate::{Failed, args::Args, tools};
use std::process::{Command, ExitCode};

const HELP: &str = "\
cargo xtask web [--test]

Builds the page into `web/dist`: the packages as locked, the types of the API, the
bundle. A debug `tidegate` serves the folder from then on, a release build embeds it.

  --test   also types, unit tests, sizes, and the journeys in a real browser
           (Chromium; `TIDEGATE_CHROMIUM` names another one)
";

const DEV_HELP: &str = "\
cargo xtask dev

The page with changes shown as you save, at http://127.0.0.1:5173. Asks the server at
`TIDEGATE_SERVER` (http://127.0.0.1:8080); with `TIDEGATE_TOKEN` set the dev server
signs every request in with it, and the page itself never sees the token.
";

/// Runs `cargo xtask web`.
pub fn run(words: &[String]) -> Result<ExitCode, Failed> {
    let Some(mut args) = Args::read(words, HELP) else { return Ok(ExitCode::SUCCESS) };
    let test = args.flag("--test");
    args.done()?;
    build()?;
    if test {
        tools::tidegate()?;
        check()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs `cargo xtask dev`.
pub fn dev(words: &[String]) -> Result<ExitCode, Failed> {
    let Some(args) = Args::read(words, DEV_HELP) else { return Ok(ExitCode::SUCCESS) };
    args.done()?;
    packages()?;
    tools::run(npm().args(["run", "dev"]))?;
    Ok(ExitCode::SUCCESS)
}

/// True if there is a bundle, whatever its age.
pub fn is_built() -> bool {
    folder().join("dist/index.html").is_file()
}

/// Packages, generated types, bundle.
pub fn build() -> Result<(), Failed> {
    packages()?;
    if folder().join("../crates/api/openapi.json").is_file() {
        tools::run_quietly(npm().args(["run", "gen"]))?;
    }
    tools::run_quietly(npm().args(["run", "build"])).map(drop)
}

/// Everything that must hold of the page. Needs the bundle and the binary.
pub fn check() -> Result<(), Failed> {
    for script in ["types", "test", "budget", "e2e"] {
        tools::run(npm().args(["run", "--silent", script]))?;
    }
    Ok(())
}

/// The packages as locked; nothing to do if they are there already. Scripts of
/// packages are never run: none of ours needs one.
fn packages() -> Result<(), Failed> {
    let lock = folder().join("package-lock.json");
    let installed = folder().join("node_modules/.package-lock.json");
    let age = |path| std::fs::metadata(path).and_then(|m| m.modified()).ok();
    if installed.is_file() && age(&installed) >= age(&lock) {
        return Ok(());
    }
    println!("installing the packages of the page");
    tools::run_quietly(npm().args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]))
    .map(drop)
}

fn folder() -> std::path::PathBuf {
    tools::root().join("web")
}

fn npm() -> Command {
    let mut command = Command::new("npm");
    command.current_dir(folder());
    command.env("TIDEGATE_BIN", tools::target().join("debug").join("tidegate"));
    command
}
