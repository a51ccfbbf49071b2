//! A line on the terminal that says how far a suite is, and how long it still
//! takes. Nothing where nobody looks.

use domain::units::{Clock, Timestamp};
use evals::Progress;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};

/// Marks of a full bar.
const WIDTH: usize = 24;
/// Milliseconds between two drawings.
const DRAW_EVERY: i64 = 100;

/// The line of one suite.
pub(super) struct Bar {
    name: String,
    clock: Clock,
    begun: Timestamp,
    drawn: Option<Mutex<Timestamp>>,
}

impl Bar {
    pub(super) fn new(name: &str, clock: Clock) -> Self {
        let begun = clock.now();
        let drawn = std::io::stderr().is_terminal().then(|| Mutex::new(Timestamp(0)));
        Self { name: name.to_owned(), clock, begun, drawn }
    }

    pub(super) fn show(&self, at: Progress) {
        let Some(drawn) = &self.drawn else { return };
        let now = self.clock.now();
        let mut drawn = drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if now.0 - drawn.0 < DRAW_EVERY && at.done < at.of {
            return;
        }
        *drawn = now;
        let text = line(&self.name, at, now.0 - self.begun.0);
        // A closed standard error is nobody's loss.
        write!(std::io::stderr().lock(), "\r{text}\x1b[K").ok();
    }

    pub(super) fn end(&self) {
        if self.drawn.is_some() {
            write!(std::io::stderr().lock(), "\r\x1b[K").ok();
        }
    }
}

fn line(name: &str, at: Progress, ms: i64) -> String {
    let full = (at.done * WIDTH).checked_div(at.of).unwrap_or(WIDTH);
    let bar: String = (0..WIDTH).map(|i| if i < full { '█' } else { '░' }).collect();
    let left = match at.done {
        0 => String::new(),
        done => {
            let left = ms as f64 / done as f64 * (at.of - done) as f64 / 1000.0;
            format!("  {left:.0} s left")
        }
    };
    format!("{name}  {bar}  {}/{}{left}", at.done, at.of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_how_much_is_left() {
        let at = Progress { done: 10, of: 40 };
        assert_eq!(
            line("golden", at, 5_000),
            format!("golden  {}{}  10/40  15 s left", "█".repeat(6), "░".repeat(18))
        );
        assert!(line("x", Progress { done: 0, of: 0 }, 0).contains("0/0"));
    }
}
