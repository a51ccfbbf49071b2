//! What is said about answers, recorded: grades of judges, similarities,
//! moderations.
//!
//! A run with a recorder takes answers from recordings and asks only those who
//! judge them; each reply is redacted and kept, and the run goes on with what was
//! kept, so that a replay sees what it saw.

use crate::record::Recorded;
use domain::recording::{Asked, Recording, parse_jsonl};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// The lines of one recordings file, as they grow.
#[derive(Debug)]
pub struct Recorder {
    inner: Mutex<Inner>,
    /// Ask again what was recorded before.
    again: bool,
    /// Today, `YYYY-MM-DD`.
    day: String,
}

#[derive(Debug, Default)]
struct Inner {
    lines: BTreeMap<(String, String), Recording>,
    /// What this run used or wrote.
    new: BTreeSet<(String, String)>,
    used: BTreeSet<(String, String)>,
}

impl Recorder {
    /// Goes on with a file. What is there and fits is not asked again, unless
    /// `again`.
    pub fn new(existing: &[u8], again: bool, day: &str) -> Self {
        let lines = parse_jsonl(existing).0.into_iter();
        let lines = lines.map(|line| ((line.model.clone(), line.key.clone()), line)).collect();
        let inner = Mutex::new(Inner { lines, ..Inner::default() });
        Self { inner, again, day: day.to_owned() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept of a question, if it is to serve.
    pub(crate) fn find(&self, model: &str, key: &str) -> Option<Recording> {
        let name = (model.to_owned(), key.to_owned());
        let mut inner = self.lock();
        if self.again && !inner.new.contains(&name) {
            return None;
        }
        let found = inner.lines.get(&name).cloned();
        if found.is_some() && !inner.new.contains(&name) {
            inner.used.insert(name);
        }
        found
    }

    /// True if what was recorded or paid for before is to be asked anew.
    pub(crate) fn asks_again(&self) -> bool {
        self.again
    }

    /// Today.
    pub(crate) fn day(&self) -> &str {
        &self.day
    }

    /// What a reply answers.
    pub(crate) fn asked(&self, prompt: domain::ids::Digest, with: domain::ids::Digest) -> Asked {
        Asked { prompt, parameters: with, on: self.day().to_owned() }
    }

    /// Keeps a reply.
    pub(crate) fn keep(&self, line: Recording) {
        let name = (line.model.clone(), line.key.clone());
        let mut inner = self.lock();
        inner.lines.insert(name.clone(), line);
        inner.new.insert(name);
    }

    /// The file as it is now.
    pub fn recorded(&self) -> Recorded {
        let inner = self.lock();
        Recorded {
            lines: inner.lines.values().cloned().collect(),
            new: inner.new.len(),
            kept: inner.used.len(),
            failed: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(key: &str, response: &str) -> Recording {
        Recording {
            model: "m".to_owned(),
            key: key.to_owned(),
            response: response.to_owned(),
            prompt_tokens: None,
            completion_tokens: None,
            latency_ms: None,
            tool_calls: Vec::new(),
            asked: None,
        }
    }

    #[test]
    fn what_was_recorded_serves_unless_it_is_asked_again() {
        let file = r#"{"model":"m","key":"a","response":"old"}"#.as_bytes();
        let usual = Recorder::new(file, false, "2026-01-01");
        assert_eq!(usual.find("m", "a").unwrap().response, "old");
        assert_eq!(usual.find("m", "b"), None);
        usual.keep(line("b", "new"));
        let done = usual.recorded();
        assert_eq!((done.new, done.kept, done.lines.len()), (1, 1, 2));
        let again = Recorder::new(file, true, "2026-01-01");
        assert_eq!(again.find("m", "a"), None);
        again.keep(line("a", "newer"));
        assert_eq!(again.find("m", "a").unwrap().response, "newer", "once is enough");
    }
}
