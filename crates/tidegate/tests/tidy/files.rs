//! What every file must have, and what none may.

use crate::tree::{crates, files, read, shipped, sources};

/// Longest source file, in lines of shipped code without comments: a file is
/// one noun.
const LONGEST: usize = 550;
/// Largest tracked file that is not a recording, in bytes.
const LARGEST: u64 = 300_000;

#[test]
fn every_source_file_says_what_it_is_for() {
    let mut wrong = Vec::new();
    let all = crates().iter().flat_map(|name| sources(name)).collect::<Vec<_>>();
    let more = files().into_iter().filter(|f| {
        f.ends_with(".rs")
            && (f.starts_with("xtask/src/") || f.starts_with("fuzz/") || f.starts_with("bench/"))
    });
    for file in all.into_iter().chain(more) {
        // Files of tests alone say it in the names of the tests.
        let only_tests = file.ends_with("/tests.rs") || file.contains("/tests/");
        if !only_tests && !read(&file).starts_with("//! ") {
            wrong.push(format!("{file}: begin with `//!`: what for, what must stay true"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_are_short_enough_to_be_one_noun() {
    let mut wrong = Vec::new();
    for name in crates() {
        for file in sources(&name) {
            let lines = shipped(&file).lines().filter(|line| !line.trim().is_empty()).count();
            if lines > LONGEST {
                wrong.push(format!(
                    "{file}: {lines} lines of code; at most {LONGEST}: give a noun its own file"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_is_huge() {
    for file in files() {
        let length =
            std::fs::metadata(crate::tree::root().join(&file)).expect("a listed file").len();
        assert!(length <= LARGEST || file.ends_with("Cargo.lock"), "{file}: {length} bytes");
    }
}

/// Words that betray a machine, unfinished work or a broken merge. Written in
/// two halves, so that this file does not contain them.
const LEFTOVERS: [(&str, &str); 11] = [
    ("/wo", "rk/"),
    ("/ho", "me/"),
    ("/ro", "ot/"),
    ("/Us", "ers/"),
    ("TO", "DO:"),
    ("FIX", "ME"),
    ("XX", "X:"),
    ("<<<", "<<<< "),
    (">>>", ">>>> "),
    ("lorem ", "ipsum"),
    ("BEGIN PRIVATE", " KEY-----\nM"),
];

#[test]
fn nothing_is_left_over() {
    let mut wrong = Vec::new();
    for file in files() {
        if file.ends_with("Cargo.lock") || file.ends_with("package-lock.json") {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(crate::tree::root().join(&file)) else {
            continue; // not text
        };
        for (head, tail) in LEFTOVERS {
            let word = format!("{head}{tail}");
            if let Some(at) = text.find(&word) {
                let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
                wrong.push(format!("{file}:{line}: `{}`", word.trim_end()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_changelog_has_an_unreleased_head() {
    let text = read("CHANGELOG.md");
    let first = text.lines().find(|line| line.starts_with("## ")).unwrap_or_default();
    assert_eq!(first, "## [Unreleased]", "CHANGELOG.md: what is new goes under an unreleased head");
}
