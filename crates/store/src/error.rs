//! What can go wrong with durable state, and what to do about it.
//!
//! The database speaks in result codes; people need to know whether anything
//! was changed and what to do next. This is the only place that translates.

use crate::object::Kind;
use domain::ids::Generation;
use std::path::PathBuf;

/// A read or write that did not happen.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No space left.
    #[error(
        "the disk that holds the data directory is full, so nothing was changed; free some space and repeat"
    )]
    Full,
    /// Not writable.
    #[error(
        "the data directory cannot be written; make it writable for the user Tidegate runs as and repeat ({0})"
    )]
    ReadOnly(String),
    /// The file is not what was written.
    #[error(
        "the database is damaged; stop Tidegate and restore the data directory from a backup ({0})"
    )]
    Corrupt(String),
    /// Another process holds the database, or writers queue up for too long.
    #[error(
        "the database is busy, so nothing was changed; repeat in a moment, and see that no other program has it open ({0})"
    )]
    Busy(String),
    /// The operating system failed.
    #[error(
        "the data directory cannot be read or written; look at the disk and the system's log ({0})"
    )]
    Io(String),
    /// A stored document has a form this version does not know.
    #[error(
        "the stored {what} cannot be read; it was written by another version of Tidegate or altered ({problem})"
    )]
    Unreadable {
        /// Which document.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A value does not fit what the database keeps.
    #[error("{what} is out of range")]
    OutOfRange {
        /// Which value.
        what: &'static str,
    },
    /// Anything else: a bug.
    #[error("the database refused a statement; this is a bug in Tidegate ({0})")]
    Refused(String),
}

impl StoreError {
    pub(crate) fn unreadable(what: impl Into<String>, problem: impl ToString) -> Self {
        Self::Unreadable { what: what.into(), problem: problem.to_string() }
    }

    /// The place only: serde quotes the value it stumbles over, and that may be
    /// somebody's answer.
    pub(crate) fn not_json(what: impl Into<String>, error: &serde_json::Error) -> Self {
        let kind = match error.classify() {
            serde_json::error::Category::Data => "a field is missing or of another kind",
            _ => "it is not whole JSON",
        };
        let (line, column) = (error.line(), error.column());
        Self::unreadable(what, format!("{kind}, line {line} column {column}"))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let text = error.to_string();
        match &error {
            sqlx::Error::Database(database) => {
                // The low byte of SQLite's extended codes is the primary code
                // (https://www.sqlite.org/rescode.html).
                let code: i32 = database.code().and_then(|c| c.parse().ok()).unwrap_or(0);
                match code & 0xff {
                    13 => Self::Full,
                    3 | 8 => Self::ReadOnly(text),
                    11 | 26 => Self::Corrupt(text),
                    5 | 6 => Self::Busy(text),
                    10 | 14 => Self::Io(text),
                    _ => Self::Refused(text),
                }
            }
            sqlx::Error::PoolTimedOut => Self::Busy(text),
            sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed | sqlx::Error::PoolClosed => {
                Self::Io(text)
            }
            sqlx::Error::ColumnDecode { index, source } => {
                Self::unreadable(format!("column {index}"), source)
            }
            _ => Self::Refused(text),
        }
    }
}

/// A store that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory is not there and cannot be made.
    #[error("the data directory `{}` cannot be made; name another one or make it writable ({problem})", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        problem: std::io::Error,
    },
    /// Written by a newer version.
    #[error("`{}` has schema {found}, and this version of Tidegate knows up to {known}; run the newer version, or restore the backup from before the upgrade", file.display())]
    Newer {
        /// Which file.
        file: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// Some other program's database.
    #[error("`{}` is a database, but not one of Tidegate's; name another data directory", file.display())]
    Foreign {
        /// Which file.
        file: PathBuf,
    },
    /// A migration failed; the file is as it was.
    #[error("`{}` could not be brought to schema {version} and is as it was: {problem}", file.display())]
    Migration {
        /// Which file.
        file: PathBuf,
        /// The schema aimed at.
        version: i64,
        /// What went wrong.
        problem: StoreError,
    },
    /// The telemetry file is unusable; it may be given up.
    #[error("`{}` cannot be opened: {problem}; it holds measurements only, so you may also move it away and start again without its history", file.display())]
    Telemetry {
        /// Which file.
        file: PathBuf,
        /// What went wrong.
        problem: StoreError,
    },
    /// The state file is unusable.
    #[error("`{}` cannot be opened: {problem}", file.display())]
    State {
        /// Which file.
        file: PathBuf,
        /// What went wrong.
        problem: StoreError,
    },
    /// Another process works on this data directory.
    #[error("the data directory `{}` is in use by another Tidegate; stop that one first, or name another directory", path.display())]
    InUse {
        /// Which.
        path: PathBuf,
    },
}

/// A transaction that was not carried out; except for [`CommitError::Unknown`],
/// nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Somebody else was faster.
    #[error("{}", conflict(*kind, id, *expected, *actual))]
    Conflict {
        /// What kind of object.
        kind: Kind,
        /// Which.
        id: String,
        /// The generation the command was based on; none if it should not have
        /// existed.
        expected: Option<Generation>,
        /// The generation there is; none if it does not exist.
        actual: Option<Generation>,
    },
    /// An effect was reported done that is not pending (any more).
    #[error("effect {id} was already done by somebody else")]
    EffectNotPending {
        /// Which.
        id: i64,
    },
    /// An audit entry has no canonical form.
    #[error("the audit entry `{action}` cannot be written: {problem}")]
    Entry {
        /// Its action.
        action: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A document cannot be written as JSON.
    #[error("the {kind} `{id}` cannot be written as JSON: {problem}")]
    Document {
        /// What kind of object.
        kind: Kind,
        /// Which.
        id: String,
        /// What is wrong.
        problem: String,
    },
    /// The disk failed in the moment of making it durable.
    #[error(
        "it is unknown whether the change was stored, because the disk failed in that moment; look at the present state before you repeat it ({0})"
    )]
    Unknown(StoreError),
    /// The store failed; nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for CommitError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

fn conflict(
    kind: Kind,
    id: &str,
    expected: Option<Generation>,
    actual: Option<Generation>,
) -> String {
    match (expected, actual) {
        (None, _) => format!("the {kind} `{id}` exists already"),
        (Some(_), None) => format!("the {kind} `{id}` does not exist"),
        (Some(expected), Some(actual)) => format!(
            "the {kind} `{id}` was changed by somebody else: expected generation {expected}, found {actual}; look at it again and repeat"
        ),
    }
}

/// A question about the audit log without an answer.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// No such proof can exist.
    #[error(transparent)]
    NotProvable(#[from] domain::merkle::NotProvable),
    /// The log is not that long yet.
    #[error("the audit log has {have} entries, not {size}")]
    NotThatLong {
        /// Asked for.
        size: u64,
        /// There are.
        have: u64,
    },
    /// A checkpoint with another root than the log's.
    #[error(
        "the root signed for {size} entries is not the audit log's root at that size; nothing was saved"
    )]
    OtherRoot {
        /// Size of the checkpoint.
        size: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for LogError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}
