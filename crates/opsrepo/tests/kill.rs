//! kill -9 at any moment: done again, everything is there once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use domain::units::Timestamp;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use tidegate_opsrepo::{Files, Identity, Repo};

/// Changes each run takes through.
const CHANGES: u32 = 12;
/// Runs, each with kills of its own.
const RUNS: u64 = 3;
/// Kills in a run before it may end.
const KILLS: usize = 25;

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// Runs the writer until it is done or has said so many lines, then kills it
/// after a wait of so many turns. True if it was done.
fn run(repository: &std::path::Path, lines: Option<u64>, turns: u64) -> bool {
    let mut child = Command::new(common::helper())
        .args(["work", repository.to_str().unwrap(), &CHANGES.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut done = false;
    let mut heard = 0;
    for line in said.by_ref() {
        let line = line.unwrap();
        done |= line == "done";
        heard += 1;
        if lines == Some(heard) {
            break;
        }
    }
    if lines.is_some() && !done {
        // Spins instead of sleeping: where exactly it hits is chance anyway.
        for turn in 0..turns {
            std::hint::black_box(turn);
        }
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    assert!(lines.is_some() || status.success(), "the undisturbed run failed");
    done
}

fn git(repository: &std::path::Path, args: &[&str]) -> String {
    let output = Command::new("git").arg("--git-dir").arg(repository).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn killed_anywhere_it_ends_as_it_would_have() {
    for seed in 1..=RUNS {
        println!("seed {seed}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ops.git");
        let author = Identity { name: "Ana".into(), email: "ana@example.org".into() };
        Repo::init(&path, &Files::from([("README".into(), b"x".to_vec())]), &author, Timestamp(0))
            .unwrap();
        let mut random = Random(seed * 0x9e37_79b9);
        let mut killed = 0;
        for _ in 0..KILLS {
            let (lines, turns) = (1 + random.below(20), random.below(3_000_000));
            killed += usize::from(!run(&path, Some(lines), turns));
        }
        assert!(killed > 0, "seed {seed} killed nothing");
        run(&path, None, 0);

        let log = git(
            &path,
            &[
                "log",
                "--first-parent",
                "--format=%(trailers:key=Tidegate-Effect,valueonly,separator=%x2C)",
                "main",
            ],
        );
        let mut effects: Vec<&str> = log.lines().collect();
        let all = effects.len();
        effects.sort_unstable();
        effects.dedup();
        assert_eq!(effects.len(), all, "seed {seed}: an effect was done twice: {log}");
        // init, and per change a merge and a promotion; every third a revert.
        assert_eq!(all as u32, 1 + 2 * CHANGES + CHANGES / 3, "seed {seed}: {log}");
        git(&path, &["fsck", "--strict", "--no-dangling"]);
        let files = git(&path, &["ls-tree", "--name-only", "main"]);
        for n in 0..CHANGES {
            let there = files.lines().any(|file| file == format!("file-{n}"));
            assert_eq!(there, n % 3 != 2, "seed {seed}: file-{n}");
        }
        assert_eq!(
            git(&path, &["for-each-ref", "refs/heads", "--format=%(refname)"]),
            "refs/heads/main\n",
            "seed {seed}"
        );
        assert_eq!(
            git(&path, &["for-each-ref", "refs/tidegate/keep"]).lines().count() as u32,
            CHANGES
        );
    }
}
