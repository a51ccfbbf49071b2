//! One trace, line by line, until it is decided or ends.
//!
//! Memory is bounded by one line and what the tests remember; what comes after
//! a decision is not read.

use super::line::{Line, Names, Wrong, millis};
use analysis::backtest::{Backtest, Decision, Look};
use domain::policy::RolloutPolicy;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

/// Longest line, in bytes. One outcome has a few hundred.
const MAX_LINE: u64 = 1 << 20;
/// What some editors put before the first line of a text in UTF-8.
const MARK: &[u8] = "\u{feff}".as_bytes();
/// Bytes read at once.
const BUFFER: usize = 1 << 18;

/// Why a trace got no verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Counted from 1. None if the file as a whole is at fault.
    pub line: Option<u64>,
    /// Counted from 1, if it is at one place.
    pub column: Option<usize>,
    /// What is wrong and what to do.
    pub problem: String,
}

impl Fault {
    /// `t1.jsonl, line 3, column 14: ...`
    pub fn text(&self, name: &str) -> String {
        let line = self.line.map_or_else(String::new, |line| format!(", line {line}"));
        let column = self.column.map_or_else(String::new, |column| format!(", column {column}"));
        format!("`{name}`{line}{column}: {}", self.problem)
    }

    fn of(line: u64, wrong: Wrong) -> Self {
        Self { line: Some(line), column: wrong.column, problem: wrong.problem }
    }

    fn at(line: u64, problem: impl Into<String>) -> Self {
        Self { line: Some(line), column: None, problem: problem.into() }
    }

    fn whole(error: &io::Error) -> Self {
        Self { line: None, column: None, problem: format!("cannot be read: {error}") }
    }
}

/// What the policy would have decided on this trace. `watch` is shown every
/// look, in order.
pub fn replay(
    path: &Path,
    policy: &RolloutPolicy,
    names: &Names,
    watch: impl FnMut(&Look),
) -> Result<Decision, Fault> {
    let file = File::open(path).map_err(|e| Fault::whole(&e))?;
    let replay = Replay {
        test: Backtest::new(policy),
        line: Line::new(names),
        last: 0.0,
        watch: Watch { shown: None, watch },
    };
    replay.run(&mut BufReader::with_capacity(BUFFER, file))
}

struct Replay<'n, W> {
    test: Backtest,
    line: Line<'n>,
    /// Time of the line before, in seconds.
    last: f64,
    watch: Watch<W>,
}

impl<W: FnMut(&Look)> Replay<'_, W> {
    fn run(mut self, input: &mut BufReader<File>) -> Result<Decision, Fault> {
        let mut bytes = Vec::new();
        for number in 1_u64.. {
            bytes.clear();
            let read = input.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut bytes);
            let read = read.map_err(|e| Fault::at(number, format!("cannot be read: {e}")))?;
            if read == 0 {
                break;
            }
            if bytes.len() as u64 > MAX_LINE {
                return Err(Fault::at(number, "the line is longer than 1 MiB; one outcome is not"));
            }
            let line = match bytes.strip_prefix(MARK) {
                Some(line) if number == 1 => line,
                _ => &bytes,
            };
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            if self.is_decided_by(number, line)? {
                break;
            }
        }
        self.test.end();
        self.watch.show(&self.test);
        Ok(self.test.finish())
    }

    /// Takes in one line; true once there is a decision. A line that is wrong
    /// does not matter if its time says that it comes after the decision.
    fn is_decided_by(&mut self, number: u64, bytes: &[u8]) -> Result<bool, Fault> {
        let read = self.line.read(bytes);
        let time = self.line.time;
        if let Some(time) = time.filter(|time| *time < self.last) {
            let last = self.last;
            let problem = format!(
                "`t` is {time}, and {last} on a line before; order the lines by `t`, which is when an outcome became known"
            );
            return Err(Fault::at(number, problem));
        }
        if let Some(time) = time {
            self.last = time;
            let decided = self.test.reach(millis(time)).is_some();
            self.watch.show(&self.test);
            if decided {
                return Ok(true);
            }
        }
        read.map_err(|wrong| Fault::of(number, wrong))?;
        for label in self.line.labels() {
            self.test.label(&label);
        }
        Ok(!self.line.is_label() && self.test.push(&self.line.outcome).is_some())
    }
}

/// Shows every look once.
struct Watch<W> {
    shown: Option<domain::units::Timestamp>,
    watch: W,
}

impl<W: FnMut(&Look)> Watch<W> {
    fn show(&mut self, test: &Backtest) {
        if let Some(look) = test.last().filter(|look| Some(look.at) != self.shown) {
            self.shown = Some(look.at);
            (self.watch)(look);
        }
    }
}
