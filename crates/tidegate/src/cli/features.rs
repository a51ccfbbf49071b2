//! `features join`: values as they were known at the time, joined to labels for
//! an evaluation. Asks no server.

use super::failure::{Exit, Failure};
use super::output::{Format, talk};
use super::run::Run;
use checks::features::{History, Joined, LabelRow, ValueRow};
use clap::{Args, Subcommand};
use domain::units::Span;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

/// Longest line, in bytes.
const MAX_LINE: u64 = 1 << 20;
/// Most rows of values held at once.
const MAX_VALUE_ROWS: u64 = 5_000_000;

/// Verbs on feature values.
#[derive(Debug, Subcommand)]
pub enum Features {
    /// Join labels with the values that were known when they happened, never later ones
    Join(Join),
}

/// What is joined.
#[derive(Debug, Args)]
pub struct Join {
    /// JSONL of labels: `entity`, `at` (milliseconds since 1970) and anything else
    #[arg(long, value_name = "FILE")]
    labels: PathBuf,
    /// JSONL of values: `entity`, `at`, `values`
    #[arg(long, value_name = "FILE")]
    values: PathBuf,
    /// How old a value may be, such as `24h`; no limit if absent
    #[arg(long, value_name = "TIME")]
    max_age: Option<Span>,
}

/// Runs a verb.
pub fn run(run: &Run, verb: &Features) -> Result<Exit, Failure> {
    let Features::Join(args) = verb;
    let mut history = History::default();
    let mut rows = 0_u64;
    each::<ValueRow>(&args.values, "`entity`, `at`, `values`", |row| {
        rows = rows.saturating_add(1);
        if rows > MAX_VALUE_ROWS {
            let name = args.values.display();
            return Err(Failure::usage(format!("`{name}` has more than {MAX_VALUE_ROWS} rows"))
                .fix("split it by entity and join the parts one after the other"));
        }
        history.add(row);
        Ok(())
    })?;
    let mut count = Joined::default();
    each::<LabelRow>(&args.labels, "`entity` and `at`", |row| {
        let values = history.at(&row.entity, row.at, args.max_age, &mut count);
        let mut joined = json!(row);
        if let Some(object) = joined.as_object_mut() {
            object.insert("features".to_owned(), json!(values));
        }
        run.out.json_line(&joined)
    })?;
    if run.out.format == Format::Table || count.joined == 0 {
        talk(&format!(
            "{} joined, {} before the first value, {} with values that were too old",
            count.joined, count.none_yet, count.too_old
        ));
    }
    Ok(Exit::Ok)
}

/// Every line of a file; the first one that does not read ends it.
fn each<T: DeserializeOwned>(
    path: &Path,
    keys: &str,
    mut take: impl FnMut(T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let name = path.display();
    let fail = |e: std::io::Error| {
        Failure::usage(format!("cannot read `{name}`: {e}")).fix("give the path of a JSONL file")
    };
    let mut input = BufReader::new(File::open(path).map_err(fail)?);
    let (mut line, mut bytes) = (0_u64, Vec::new());
    loop {
        bytes.clear();
        line = line.saturating_add(1);
        if input.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut bytes).map_err(fail)? == 0 {
            return Ok(());
        }
        if bytes.len() as u64 > MAX_LINE {
            return Err(Failure::usage(format!("{name}:{line}: longer than {MAX_LINE} bytes"))
                .fix("write one JSON object a line"));
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        // The parser's own words could quote a value.
        let row = serde_json::from_slice(&bytes).map_err(|_| {
            Failure::usage(format!("{name}:{line}: not a row with {keys}"))
                .fix("write one JSON object a line; times are whole milliseconds since 1970")
        })?;
        take(row)?;
    }
}
