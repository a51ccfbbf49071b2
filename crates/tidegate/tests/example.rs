//! The shipped example keeps every rule Tidegate has for files: people copy it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

use std::path::PathBuf;
use std::process::Command;

fn passes(args: &[&str]) {
    let home = tempfile::tempdir().unwrap();
    let example: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "../../examples/support-summary/ops"].iter().collect();
    let ran = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(args)
        .arg("--repo")
        .arg(example)
        .env("HOME", home.path())
        .output()
        .expect("the binary runs");
    assert!(ran.status.success(), "{args:?}\n{}", String::from_utf8_lossy(&ran.stdout));
}

#[test]
fn the_example_passes_every_check_that_asks_no_server() {
    let cache = tempfile::tempdir().unwrap();
    let cache = cache.path().to_string_lossy();
    passes(&["validate"]);
    passes(&["policy", "check"]);
    passes(&["policy", "test"]);
    passes(&["eval", "run", "--against", "none", "--cache", &cache]);
}
