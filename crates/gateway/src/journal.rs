//! The kill switch of this gateway, with everything else down.
//!
//! An operator's token throws it here; it acts at once, is written to this
//! gateway's own disk, and is delivered to control when control is back. Until
//! a snapshot takes it into account, the gateway's own word stands: a snapshot
//! compiled before control knew must not switch a killed app on again.
//!
//! States of an entry: thrown → written → delivered (control named the
//! generation that reflects it) → settled (that generation is served) → gone.
//! Lost, at worst, if the disk fails before the first write; then the operator
//! is told that it is not written, and the switch acts all the same.

use crate::link::Link;
use crate::snapshot::Disk;
use crate::state::{Serving, Shared};
use domain::ids::{AppName, Generation};
use domain::snapshot::LocalKill;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

const FILE: &str = "kills.json";
/// Version of the file.
const FORMAT: u32 = 1;
/// First pause after a failed delivery; doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause between deliveries.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// What is on disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    rows: Vec<Row>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    entry: LocalKill,
    /// Once delivered: snapshots reflect it from this generation on.
    from: Option<Generation>,
}

/// The entries that are not settled.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows(Vec<Row>);

impl Rows {
    /// A snapshot of this generation is about to be served.
    pub(crate) fn settle(&mut self, generation: Generation) {
        self.0.retain(|row| row.from.is_none_or(|from| from > generation));
    }

    fn delivered(&mut self, entries: &[LocalKill], from: Generation) {
        for row in &mut self.0 {
            if entries.iter().any(|entry| entry.id == row.entry.id) {
                row.from = Some(from);
            }
        }
    }

    fn waiting(&self) -> Vec<LocalKill> {
        self.0.iter().filter(|row| row.from.is_none()).map(|row| row.entry.clone()).collect()
    }

    /// The last word about each app.
    fn kills(&self) -> Arc<BTreeMap<AppName, bool>> {
        Arc::new(self.0.iter().map(|row| (row.entry.app.clone(), row.entry.killed)).collect())
    }
}

/// The journal. Operators and background tasks wait for each other here;
/// requests only ever see what was swapped in.
pub struct Journal {
    disk: Disk,
    #[expect(
        clippy::disallowed_types,
        reason = "orders writers of the journal; no request waits for it"
    )]
    rows: tokio::sync::Mutex<Rows>,
    news: Notify,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Journal")
    }
}

impl Journal {
    /// Reads the journal of a folder. One that cannot be read is set aside with
    /// an error in the log: an unreadable journal must not keep a gateway down.
    pub(crate) async fn open(disk: Disk) -> Self {
        let from = disk.clone();
        let read = tokio::task::spawn_blocking(move || from.file(FILE)).await;
        let rows = match read {
            Ok(Ok(Some(bytes))) => match serde_json::from_slice::<File>(&bytes) {
                Ok(file) if file.format == FORMAT => file.rows,
                _ => {
                    tracing::error!(
                        "`{FILE}` cannot be read; kills thrown here before are forgotten"
                    );
                    Vec::new()
                }
            },
            Ok(Ok(None)) => Vec::new(),
            Ok(Err(error)) => {
                tracing::error!(%error, "the kill journal cannot be read");
                Vec::new()
            }
            Err(_) => Vec::new(),
        };
        Self::with(disk, Rows(rows))
    }

    #[expect(
        clippy::disallowed_types,
        reason = "orders writers of the journal; no request waits for it"
    )]
    fn with(disk: Disk, rows: Rows) -> Self {
        Self { disk, rows: tokio::sync::Mutex::new(rows), news: Notify::new() }
    }

    /// Changes the entries, swaps in what follows from them, then writes them.
    /// Gives whether they are on disk.
    pub(crate) async fn update(
        &self,
        change: impl FnOnce(&mut Rows),
        swap: impl FnOnce(Arc<BTreeMap<AppName, bool>>),
    ) -> bool {
        let mut rows = self.rows.lock().await;
        let before = rows.0.len();
        change(&mut rows);
        swap(rows.kills());
        if rows.0.is_empty() && before == 0 {
            return true;
        }
        self.write(rows.clone()).await
    }

    async fn write(&self, rows: Rows) -> bool {
        let disk = self.disk.clone();
        let written = tokio::task::spawn_blocking(move || {
            let file =
                serde_json::to_vec(&File { format: FORMAT, rows: rows.0 }).unwrap_or_default();
            disk.keep_file(FILE, &file)
        })
        .await;
        match written {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(%error, "the kill journal is not written");
                false
            }
            Err(_) => false,
        }
    }

    /// Throws or releases the switch. Acts at once; gives whether it is also
    /// written.
    pub(crate) async fn throw(&self, shared: &Shared, entry: LocalKill) -> bool {
        let written = self
            .update(
                |rows| rows.0.push(Row { entry, from: None }),
                |kills| {
                    shared.serving.rcu(|old| Serving {
                        compiled: old.compiled.clone(),
                        kills: kills.clone(),
                    });
                },
            )
            .await;
        self.news.notify_one();
        written
    }

    /// Delivers entries to control, for ever.
    pub(crate) async fn deliver(&self, shared: Arc<Shared>, link: Arc<dyn Link>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let waiting = self.rows.lock().await.waiting();
            if waiting.is_empty() {
                self.news.notified().await;
                continue;
            }
            match link.journal(&waiting).await {
                Ok(from) => {
                    pause = FIRST_PAUSE;
                    let change = |rows: &mut Rows| {
                        rows.delivered(&waiting, from);
                        rows.settle(shared.serving.load().generation());
                    };
                    let swap = |kills: Arc<BTreeMap<AppName, bool>>| {
                        shared.serving.rcu(|old| Serving {
                            compiled: old.compiled.clone(),
                            kills: kills.clone(),
                        });
                    };
                    self.update(change, swap).await;
                }
                Err(error) => {
                    tracing::warn!(%error, entries = waiting.len(), "kills thrown here are not delivered yet");
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.news.notified() => {}
                    }
                    pause = pause.saturating_mul(2).min(MAX_PAUSE);
                }
            }
        }
    }
}
