//! Every command the documentation shows exists, with every flag it shows.

use crate::tree::{files, read};
use std::collections::BTreeMap;
use std::process::Command;

/// One command line of the documentation.
struct Shown {
    place: String,
    words: Vec<String>,
}

/// Command lines of fenced blocks that begin with this program.
fn shown(program: &str) -> Vec<Shown> {
    let mut found = Vec::new();
    for file in files().into_iter().filter(|f| f.ends_with(".md")) {
        let mut fenced = false;
        for (i, line) in read(&file).lines().enumerate() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
                continue;
            }
            let line = line.trim_start().trim_start_matches("$ ");
            // `VARIABLE=value command` is the command.
            let line = line
                .split_once(' ')
                .filter(|(first, _)| first.contains('=') && !first.starts_with('-'))
                .map_or(line, |(_, rest)| rest);
            if fenced && line.starts_with(&format!("{program} ")) {
                let line = line.split(" #").next().unwrap_or_default();
                found.push(Shown {
                    place: format!("{file}:{}", i + 1),
                    words: line
                        .split_whitespace()
                        .skip(program.split(' ').count())
                        .map(str::to_owned)
                        .collect(),
                });
            }
        }
    }
    found
}

/// Help of a subcommand, asked for once.
struct Help(BTreeMap<Vec<String>, Option<String>>);

impl Help {
    fn of(&mut self, path: &[String]) -> Option<String> {
        self.0
            .entry(path.to_vec())
            .or_insert_with(|| {
                let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
                    .args(path)
                    .arg("--help")
                    .output()
                    .expect("the binary runs");
                output
                    .status
                    .success()
                    .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
            })
            .clone()
    }
}

#[test]
fn every_command_shown_exists_with_its_flags() {
    let mut help = Help(BTreeMap::new());
    let mut wrong = Vec::new();
    let all = shown("tidegate");
    assert!(all.len() > 5, "only {} commands are shown anywhere; is the README gone?", all.len());
    for Shown { place, words } in all {
        let mut path: Vec<String> = Vec::new();
        let mut text = help.of(&path).expect("there is a help");
        for word in words.iter().take_while(|w| !w.starts_with('-')) {
            // Only a word listed under "Commands:" is a subcommand.
            let listed = text.split("Commands:").nth(1).is_some_and(|rest| {
                rest.lines().any(|l| l.split_whitespace().next() == Some(word))
            });
            if !listed {
                break;
            }
            path.push(word.clone());
            match help.of(&path) {
                Some(more) => text = more,
                None => break,
            }
        }
        if path.is_empty() && words.first().is_some_and(|w| !w.starts_with('-')) {
            wrong.push(format!("{place}: there is no `tidegate {}`", words[0]));
            continue;
        }
        if text.contains("Commands:") && text.contains("<COMMAND>") && words.len() > path.len() {
            wrong.push(format!("{place}: there is no `tidegate {}`", words.join(" ")));
        }
        for flag in words.iter().filter(|w| w.starts_with("--") && w.len() > 2) {
            let name = flag.split('=').next().unwrap_or_default();
            if !text.split(|c: char| c.is_whitespace() || "=,[".contains(c)).any(|w| w == name) {
                wrong.push(format!("{place}: `tidegate {}` has no `{name}`", path.join(" ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_chore_shown_exists() {
    let verbs = read("xtask/src/main.rs");
    for Shown { place, words } in shown("cargo xtask") {
        let verb = words.first().map(String::as_str).unwrap_or_default();
        assert!(
            verbs.contains(&format!("\"{verb}\" =>")),
            "{place}: there is no `cargo xtask {verb}`"
        );
    }
}
