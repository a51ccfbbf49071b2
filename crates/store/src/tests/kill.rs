//! kill -9 while it writes: what was acknowledged is there, nothing is half.

use super::{Doc, NOW, doc, entry};
use crate::{Index, Kind, NewEffect, Query, Store, Tx};
use domain::ids::Generation;
use domain::merkle::{self, leaf_hash};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const DIRECTORY: &str = "TIDEGATE_STORE_KILL_TEST";

/// One command, the `n`th: one audit entry, one effect, one new object, and the
/// counter one further.
fn command(n: u64) -> Tx {
    let mut tx = Tx::new(NOW);
    tx.put(Kind::Meta, "counter", &Doc { n }, Index::none())
        .create(Kind::Change, format!("ch-{n}"), &Doc { n }, Index::none())
        .audit(entry("counter.added", &format!("meta/{n}")))
        .effect(NewEffect::new(format!("k-{n}"), "x", json!(n)));
    tx
}

/// The victim: commits for ever and says so after each. Only does anything when
/// started by the test below.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "how the parent names the directory")]
async fn victim() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let store = Store::open(Path::new(&directory)).await.unwrap();
    let first = doc(&store, "counter").await.map_or(0, |(_, n)| n);
    for n in first + 1.. {
        store.commit(command(n)).await.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nacknowledged {n}").unwrap();
        out.flush().unwrap();
    }
}

/// Runs a victim until it acknowledged so many, kills it, returns the last
/// number heard.
fn run_and_kill(directory: &Path, acknowledged: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["tests::kill::victim", "--exact", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let heard = |line: std::io::Result<String>| {
        line.unwrap().strip_prefix("acknowledged ").map(|n| n.parse::<u64>().unwrap())
    };
    let mut last = lines.by_ref().filter_map(heard).take(acknowledged).last().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had said before it died.
    last = lines.filter_map(heard).last().unwrap_or(last);
    last
}

#[tokio::test]
async fn what_was_acknowledged_survives_being_killed() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..6 {
        let path = directory.path().to_path_buf();
        let acknowledged =
            tokio::task::spawn_blocking(move || run_and_kill(&path, 1 + round * 3)).await.unwrap();
        let store = Store::open(directory.path()).await.unwrap();
        let (generation, n) = doc(&store, "counter").await.unwrap();
        assert!(n >= acknowledged, "round {round}: {acknowledged} acknowledged, {n} there");
        assert!(n <= acknowledged + 1, "round {round}: {n} there, {acknowledged} acknowledged");
        assert_eq!(generation, n, "the counter was written once per command");
        whole(&store, n).await;
        store.close().await.unwrap();
    }
}

/// Exactly `n` commands are there, each with all its parts.
async fn whole(store: &Store, n: u64) {
    assert_eq!(store.count(&Query::of(Kind::Change)).await.unwrap(), n);
    assert_eq!(store.due_effects("x", NOW, 1000).await.unwrap().len() as u64, n);
    assert_eq!(store.log_size().await.unwrap(), n);
    let entries = store.log_entries(0, 1000).await.unwrap();
    let leaves: Vec<_> = entries.iter().map(|entry| leaf_hash(&entry.bytes)).collect();
    assert_eq!(merkle::root(&leaves), store.log_root(n).await.unwrap());
    let last = store.get::<Doc>(Kind::Change, format!("ch-{n}")).await.unwrap().unwrap();
    assert_eq!((last.generation, last.doc.n), (Generation(1), n));
}
