//! `rollout export`: the outcomes of a rollout as a recording for `backtest`.

use super::failure::{Exit, Failure};
use super::output::talk;
use super::rollout::resolve;
use super::run::{RolloutRef, Run};
use clap::Args;
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// What to export, and where to.
#[derive(Debug, Args)]
pub struct Export {
    /// The rollout, or an app for its newest one
    rollout: RolloutRef,
    /// Folder for the recording, `<rollout>.jsonl`; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// What was written.
#[derive(Debug, Serialize)]
struct Exported {
    file: PathBuf,
    outcomes: u64,
}

/// Runs the verb.
pub async fn run(run: &Run, args: Export) -> Result<Exit, Failure> {
    let rollout = resolve(run, &args.rollout).await?;
    std::fs::create_dir_all(&args.out).map_err(|e| unwritable(&args.out, &e))?;
    let file = args.out.join(format!("{}.jsonl", rollout.id));
    // Whoever reads the folder meanwhile sees a whole recording or none: files
    // whose names begin with a dot are no recordings.
    let partial = args.out.join(format!(".{}.partial", rollout.id));
    let outcomes = match write(run, &rollout.id.to_string(), &partial).await {
        Ok(outcomes) => outcomes,
        Err(failure) => {
            // It may never have been made; the failure is what matters.
            std::fs::remove_file(&partial).unwrap_or_default();
            return Err(failure);
        }
    };
    std::fs::rename(&partial, &file).map_err(|e| unwritable(&file, &e))?;
    let exported = Exported { file, outcomes };
    run.out.one(&exported, |out| {
        out.facts(&[
            ("recording", exported.file.display().to_string()),
            ("outcomes", exported.outcomes.to_string()),
        ])
    })?;
    if !rollout.phase.is_final() {
        talk("the rollout goes on: this is what is known by now");
    }
    Ok(Exit::Ok)
}

/// Writes the lines as they come; says how many.
async fn write(run: &Run, rollout: &str, partial: &Path) -> Result<u64, Failure> {
    let file = File::create(partial).map_err(|e| unwritable(partial, &e))?;
    let mut file = BufWriter::new(file);
    let mut lines = 0_u64;
    run.api
        .stream(&format!("rollouts/{rollout}/outcomes"), |bytes| {
            let new = bytes.iter().filter(|byte| **byte == b'\n').count();
            lines = lines.saturating_add(u64::try_from(new).unwrap_or(u64::MAX));
            file.write_all(bytes).map_err(|e| unwritable(partial, &e))
        })
        .await?;
    file.flush().map_err(|e| unwritable(partial, &e))?;
    Ok(lines)
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot write `{}`", path.display()))
        .why(error.to_string())
        .fix("name a folder you may write with `--out DIR`")
}
