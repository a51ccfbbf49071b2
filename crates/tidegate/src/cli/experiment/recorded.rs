//! `experiment run`: recorded outcomes, looked at as a live experiment would.
//!
//! A look sees what was known by its time. Looks lie on a grid from 0 in steps
//! of `check_every`; those before which nothing came are left out, as nothing
//! can have changed.

use super::super::failure::{Exit, Failure};
use super::super::output::{Format, Out, talk};
use super::{Recorded, line, read_policy, words};
use analysis::experiment::{Experiment, Report, State};
use domain::units::Timestamp;
use serde::Serialize;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

/// Longest line, in bytes.
const MAX_LINE: u64 = 1 << 20;

/// The report with its sentence.
#[derive(Serialize)]
struct Said<'r> {
    /// The verdict in words.
    summary: String,
    #[serde(rename = "report")]
    report: &'r Report,
}

/// Reads, looks, says.
pub(super) fn run(out: &Out, args: &Recorded) -> Result<Exit, Failure> {
    let experiment = read_policy(&args.policy)?;
    let report = replay(&experiment, &args.data)?;
    let summary = words::summary(&experiment, &report);
    if out.format != Format::Table {
        out.one(&Said { summary, report: &report }, |_| String::new())?;
        return Ok(Exit::Ok);
    }
    let (rows, notes) =
        (words::slots(out, &experiment, &report), words::notes(&experiment, &report));
    if out.tty {
        out.write(&format!("{summary}\n\n{rows}\n{}\n", notes.join("\n")))?;
    } else {
        talk(&summary);
        out.write(&rows)?;
        notes.iter().for_each(|note| talk(note));
    }
    Ok(Exit::Ok)
}

fn replay(experiment: &Experiment, path: &Path) -> Result<Report, Failure> {
    let name = path.display();
    let fail = |e: std::io::Error| {
        Failure::usage(format!("cannot read `{name}`: {e}"))
            .fix("name a file of outcomes you may read with `--data FILE`")
    };
    let mut input = BufReader::new(File::open(path).map_err(fail)?);
    let every = experiment.policy().check_every.millis().max(1);
    let mut state = State::start(experiment, Timestamp(0));
    let (mut bytes, mut number, mut latest) = (Vec::new(), 0_u64, Timestamp(0));
    let mut due: Option<Timestamp> = None;
    loop {
        bytes.clear();
        let read = input.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut bytes).map_err(fail)?;
        if read == 0 {
            break;
        }
        number += 1;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let wrong = |problem: String| {
            Failure::usage(format!("`{name}` line {number}: {problem}"))
                .fix("mend or leave out the line; docs/experiments.md describes every key")
        };
        if read as u64 > MAX_LINE {
            return Err(wrong("it is longer than 1 MiB; one outcome is not".to_owned()));
        }
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| wrong("it is not text; write one JSON object a line".to_owned()))?;
        let answer = line::read(experiment, text).map_err(wrong)?;
        if answer.at < latest {
            let problem = "it is earlier than the line before; lines must be ordered by `t`";
            return Err(wrong(problem.to_owned()));
        }
        latest = answer.at;
        if let Some(look) = due.filter(|look| *look < answer.at) {
            state.look(experiment, look);
            due = None;
        }
        // The first look that is not before the answer.
        let steps = (answer.at.0 + every - 1) / every;
        due.get_or_insert(Timestamp(steps.max(1).saturating_mul(every)));
        state.add(experiment, &answer);
    }
    let Some(last) = due else {
        return Err(Failure::usage(format!("`{name}` has no outcomes"))
            .fix("name a file with one JSON object a line"));
    };
    state.look(experiment, last);
    Ok(state.report(experiment, last))
}
