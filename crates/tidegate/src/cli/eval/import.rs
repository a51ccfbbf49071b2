//! `eval import`: another tool's tests as a suite of an app.

use super::super::failure::{Exit, Failure};
use super::super::output::talk;
use super::super::run::Run;
use clap::{Args, ValueEnum};
use domain::ids::AppName;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What to read, and where the suite goes.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Whose tests they are
    #[arg(long, value_enum, value_name = "TOOL")]
    from: Tool,
    /// The file with the tests
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The app the suite is for
    #[arg(short, long)]
    app: AppName,
    /// Name of the suite
    #[arg(long, value_name = "SUITE", default_value = "imported")]
    name: AppName,
    /// Top folder of a checkout of the ops repo
    #[arg(long, value_name = "DIR", default_value = ".")]
    repo: PathBuf,
}

/// Tools whose tests are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tool {
    /// A `promptfooconfig.yaml`.
    Promptfoo,
}

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    suite: PathBuf,
    cases_file: PathBuf,
    cases: usize,
    /// What was left out or changed.
    notes: Vec<String>,
}

/// Runs it. Nothing is overwritten.
pub fn run(run: &Run, args: &ImportArgs) -> Result<Exit, Failure> {
    let bytes = std::fs::read(&args.file).map_err(|error| {
        Failure::usage(format!("`{}` cannot be read: {error}", args.file.display()))
            .fix("name the file with the tests")
    })?;
    let folder = args.repo.join("apps").join(args.app.as_str());
    if !folder.join("app.yaml").is_file() {
        return Err(Failure::new(Exit::NotFound, format!("there is no app `{}`", args.app))
            .fix("name the top folder of the ops repo with `--repo DIR`"));
    }
    let cases = format!("golden/{}.jsonl", args.name);
    let shown = args.file.display().to_string();
    let Tool::Promptfoo = args.from;
    let imported = opsrepo::import::promptfoo(&shown, &bytes, &cases).map_err(|finding| {
        Failure::new(Exit::Usage, "the file cannot be imported")
            .why(super::super::findings::line(&finding))
            .fix(finding.mend.clone())
    })?;
    let evals = folder.join("evals");
    let suite = evals.join(format!("{}.yaml", args.name));
    let cases_file = evals.join(&cases);
    for path in [&suite, &cases_file] {
        if path.exists() {
            return Err(Failure::new(
                Exit::Conflict,
                format!("`{}` is there already", path.display()),
            )
            .fix("choose another `--name`, or remove the file first"));
        }
    }
    write(&cases_file, &imported.cases_text())?;
    write(&suite, &imported.suite_text())?;
    let written = Written { suite, cases_file, cases: imported.cases.len(), notes: imported.notes };
    run.out.one(&written, |_| {
        format!(
            "{} cases in {}\nsuite {}\n",
            written.cases,
            written.cases_file.display(),
            written.suite.display()
        )
    })?;
    for note in &written.notes {
        talk(note);
    }
    Ok(Exit::Ok)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).and_then(|()| std::fs::write(path, text)).map_err(|error| {
        Failure::new(Exit::Failed, format!("`{}` cannot be written: {error}", path.display()))
    })
}
