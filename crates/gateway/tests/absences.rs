//! What must not be on the request path, read from its source.
//!
//! Types that lock are refused by the linter (`clippy.toml` of this crate, each
//! exception with its reason); this looks for the rest, and for exceptions in
//! the one folder that may have none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

use std::path::Path;

fn sources(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder);
    let mut found: Vec<_> = std::fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .map(|path| {
            (
                path.file_name().unwrap().to_str().unwrap().to_owned(),
                std::fs::read_to_string(&path).unwrap(),
            )
        })
        .collect();
    found.sort();
    found
}

/// The code of a file: without comments and without its tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_request_path_neither_locks_nor_touches_disk_nor_waits_for_control() {
    let never = [
        ("Mutex", "locks"),
        ("RwLock", "locks"),
        (".lock(", "locks"),
        ("std::fs", "touches disk"),
        ("tokio::fs", "touches disk"),
        ("File::", "touches disk"),
        ("Disk", "touches disk"),
        ("spawn_blocking", "waits for a blocking thread"),
        ("block_in_place", "blocks"),
        ("dyn Link", "waits for control"),
        ("link::", "waits for control"),
        ("disallowed_types", "makes an exception"),
        ("disallowed_methods", "makes an exception"),
    ];
    let files = sources("request");
    assert!(files.len() >= 14, "the folder was found");
    for (name, text) in files {
        for (word, why) in never {
            assert!(!code(&text).contains(word), "`request/{name}` {why}: `{word}`");
        }
        // Only an operator waits for the journal.
        if name != "admin.rs" {
            assert!(!code(&text).contains("Journal"), "`request/{name}` waits for the journal");
        }
    }
}

#[test]
fn the_snapshot_is_looked_at_once_per_request() {
    for (name, text) in sources("request") {
        let looks = code(&text).matches("serving.load").count();
        let allowed = match name.as_str() {
            "complete.rs" | "models.rs" | "feedback.rs" | "admin.rs" => 1,
            // Two routes.
            "health.rs" => 2,
            _ => 0,
        };
        assert_eq!(looks, allowed, "`request/{name}`");
    }
}

#[test]
fn a_body_is_parsed_once() {
    // `from_slice` on a request's body occurs in the parser of each route, and
    // in the reader of the last user message, which the parser had only sliced.
    for (name, text) in sources("request") {
        let parses = code(&text).matches("serde_json::from_").count();
        let allowed = match name.as_str() {
            "chat.rs" => 2,
            "feedback.rs" | "admin.rs" => 1,
            // The error object of an upstream's answer.
            "error.rs" => 1,
            _ => 0,
        };
        assert_eq!(parses, allowed, "`request/{name}`");
    }
}

#[test]
fn the_crate_reaches_neither_store_nor_git_nor_control() {
    let manifest = include_str!("../Cargo.toml");
    for crate_name in ["store", "opsrepo", "control", "git2", "sqlx", "axum"] {
        let line = format!("\n{crate_name}");
        assert!(!manifest.contains(&line), "the gateway depends on `{crate_name}`");
    }
}
