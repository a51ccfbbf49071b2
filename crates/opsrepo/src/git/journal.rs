//! The journal of pushes: what people pushed and nobody has dealt with yet.
//!
//! A push happens in processes of git's own, so the server may be gone when it
//! ends. Hence a file per push in `tidegate/pushes/`, by number:
//!
//! | file | written by | means |
//! | --- | --- | --- |
//! | `N.context.json` | the server, before git runs | the push is under way |
//! | `N.intent.json` | the pre-receive hook | git is about to move these refs |
//! | `N.json` | the post-receive hook (a rename) | git moved them |
//! | `N.done` | the server | everything that follows is durable |
//!
//! An intent whose context is gone belongs to a push that was cut off between
//! the hooks: if a ref is where the push wanted it, the push happened. Numbers are
//! never used again: the newest `N.done` stays.

use super::{HEADS, Push, RefUpdate, RepoError, Result, io, read};
use crate::hook::PushContext;
use domain::ids::PersonName;
use git2::Repository;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

const CONTEXT: &str = ".context.json";
const INTENT: &str = ".intent.json";
const LANDED: &str = ".json";
const DONE: &str = ".done";

/// The folder of the journal.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    folder: PathBuf,
}

/// What is in a file of the journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    actor: PersonName,
    updates: Vec<RefUpdate>,
}

impl Journal {
    /// The journal of the repository in this folder.
    pub(crate) fn of(repository: &Path) -> Self {
        Self { folder: repository.join("tidegate").join("pushes") }
    }

    /// The journal and number a context belongs to.
    pub(crate) fn of_context(context: &Path) -> Option<(Self, String)> {
        let number = context.file_name()?.to_str()?.strip_suffix(CONTEXT)?;
        is_number(number).then_some(())?;
        Some((Self { folder: context.parent()?.to_owned() }, number.to_owned()))
    }

    /// Begins a push: writes its context under a number of its own.
    pub(crate) fn begin(&self, context: &PushContext) -> Result<PathBuf> {
        let what = "writing the context of a push";
        fs::create_dir_all(&self.folder).map_err(io(what))?;
        let json = serde_json::to_vec(context).map_err(|e| io(what)(e.into()))?;
        let mut number = self.newest()?;
        loop {
            number = number.saturating_add(1);
            let path = self.folder.join(format!("{number:012}{CONTEXT}"));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(mut file) => {
                    file.write_all(&json).map_err(io(what))?;
                    return Ok(path);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(io(what)(error)),
            }
        }
    }

    /// Ends a push: git is done with it, one way or the other.
    pub(crate) fn end(&self, context: &Path) -> Result<()> {
        remove(context)
    }

    /// Records what git is about to move.
    pub(crate) fn intend(
        &self,
        number: &str,
        actor: &PersonName,
        updates: &[RefUpdate],
    ) -> Result<()> {
        let record = Record { actor: actor.clone(), updates: updates.to_vec() };
        let json = serde_json::to_vec(&record).map_err(|e| io("recording a push")(e.into()))?;
        let fresh = self.folder.join(format!("{number}.new"));
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&fresh)?;
            file.write_all(&json)?;
            file.sync_all()?;
            fs::rename(&fresh, self.file(number, INTENT))?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(io("recording a push"))
    }

    /// Records that git moved it.
    pub(crate) fn landed(&self, number: &str) -> Result<()> {
        match fs::rename(self.file(number, INTENT), self.file(number, LANDED)) {
            // Recovered already, from the refs.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other.map_err(io("recording a push")),
        }
    }

    /// At start: no push is under way, so every context is left over.
    pub(super) fn recover(&self, git: &Repository) -> Result<()> {
        for number in self.numbers(CONTEXT)? {
            remove(&self.file(&number, CONTEXT))?;
        }
        self.settle(git)
    }

    /// Pushes that landed, oldest first.
    pub(super) fn take(&self, git: &Repository) -> Result<Vec<Push>> {
        self.settle(git)?;
        let mut pushes = Vec::new();
        for number in self.numbers(LANDED)? {
            if let Some(record) = self.record(&number, LANDED)? {
                pushes.push(Push { id: number, actor: record.actor, updates: record.updates });
            }
        }
        Ok(pushes)
    }

    /// Everything that follows from a push is durable.
    pub(super) fn done(&self, id: &str) -> Result<()> {
        if !is_number(id) {
            return Err(RepoError::BadPath(id.to_owned()));
        }
        match fs::rename(self.file(id, LANDED), self.file(id, DONE)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            other => other.map_err(io("forgetting a push"))?,
        }
        let done = self.numbers(DONE)?;
        for old in done.iter().rev().skip(1) {
            remove(&self.file(old, DONE))?;
        }
        Ok(())
    }

    /// Intents of pushes that are no longer under way become pushes or nothing.
    fn settle(&self, git: &Repository) -> Result<()> {
        for number in self.numbers(INTENT)? {
            if self.file(&number, CONTEXT).exists() {
                continue;
            }
            let Some(record) = self.record(&number, INTENT)? else { continue };
            let mut happened = false;
            for update in &record.updates {
                let actual = read::target(git, &format!("{HEADS}{}", update.branch))?;
                happened |= actual == update.after.map(|id| id.0);
            }
            if happened {
                self.landed(&number)?;
            } else {
                remove(&self.file(&number, INTENT))?;
            }
        }
        Ok(())
    }

    /// What a file says; none if another thread took it meanwhile.
    fn record(&self, number: &str, end: &str) -> Result<Option<Record>> {
        match fs::read(self.file(number, end)) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|e| io("reading the journal of pushes")(e.into())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io("reading the journal of pushes")(error)),
        }
    }

    fn file(&self, number: &str, end: &str) -> PathBuf {
        self.folder.join(format!("{number}{end}"))
    }

    /// Numbers of the files with this ending, in order.
    fn numbers(&self, end: &str) -> Result<Vec<String>> {
        let mut found: Vec<String> = self
            .names()?
            .iter()
            .filter_map(|name| name.strip_suffix(end))
            .filter(|number| is_number(number))
            .map(str::to_owned)
            .collect();
        found.sort_unstable();
        Ok(found)
    }

    /// The highest number in use or once used.
    fn newest(&self) -> Result<u64> {
        let numbers = self.names()?;
        Ok(numbers
            .iter()
            .filter_map(|name| name.split('.').next()?.parse().ok())
            .max()
            .unwrap_or(0))
    }

    fn names(&self) -> Result<Vec<String>> {
        let what = "reading the journal of pushes";
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io(what)(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            if let Ok(name) = entry.map_err(io(what))?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(io("tidying the journal of pushes")(error))
        }
        _ => Ok(()),
    }
}
