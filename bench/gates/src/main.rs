//! Gates on real answers: what evaluation suites say of changes from one real
//! model to another, against what people said of their answers.
//!
//! ```text
//! gates --data DIR [--json]
//! ```
//!
//! `DIR` holds one folder for each set of recorded answers (`aci_bench`,
//! `mts_dialog`, `xstest`, `ifeval`, `json_schema`). Status 1 if an outcome is not the one it
//! must be.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark talks to a terminal")]

mod agreement;
mod data;
mod instructions;
mod judges;
mod schemas;
mod stories;
mod world;

use domain::finding::Severity;
use serde::Serialize;
use serde_json::{Map, Value};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// What went wrong, in a sentence.
type Failed = String;

/// One thing that was put through the gates.
#[derive(Debug, Serialize)]
struct Told {
    /// Data set and both models, or what is compared.
    name: String,
    /// What must come out.
    expected: String,
    /// What came out, for example `failed, finance approval asked`.
    got: String,
    /// Whether it is what must, for the reason that is the story's.
    ok: bool,
    /// What the gate found.
    findings: Vec<Finding>,
    /// The numbers behind it; triples are value, lower and upper end.
    numbers: Map<String, Value>,
}

/// One finding of a gate.
#[derive(Debug, Serialize)]
struct Finding {
    code: String,
    severity: Severity,
    message: String,
}

/// All of it.
#[derive(Debug, Serialize)]
struct Report {
    /// True if every outcome is the expected one.
    ok: bool,
    /// The stories.
    stories: Vec<Told>,
}

fn main() -> ExitCode {
    let told = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())
        .and_then(|runtime| runtime.block_on(run()));
    match told {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}

async fn run() -> Result<bool, Failed> {
    let (mut folder, mut json) = (None, false);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--data" => folder = words.next().map(PathBuf::from),
            "--json" => json = true,
            other => return Err(format!("`{other}` is not known; use `--data DIR` and `--json`")),
        }
    }
    let folder = folder.ok_or("`--data DIR` is missing: the folder with the recorded answers")?;
    let mut stories = stories::all(&folder).await?;
    stories.extend(judges::all().await?);
    stories.push(instructions::told(&folder)?);
    stories.extend(schemas::told(&folder)?);
    let report = Report { ok: stories.iter().all(|story| story.ok), stories };
    if json {
        let text = serde_json::to_string_pretty(&report).map_err(|e| e.to_string())?;
        // Whoever reads may have seen enough.
        writeln!(std::io::stdout(), "{text}").ok();
    } else {
        say(&report);
    }
    Ok(report.ok)
}

fn say(report: &Report) {
    for story in &report.stories {
        let mark = if story.ok { "ok   " } else { "WRONG" };
        println!("{mark} {}: {} (must be: {})", story.name, story.got, story.expected);
        for found in &story.findings {
            println!("      {}: {}", found.code, found.message);
        }
        for (name, value) in &story.numbers {
            println!("      {name}: {value}");
        }
    }
    let wrong = report.stories.iter().filter(|story| !story.ok).count();
    println!("{} right, {wrong} wrong", report.stories.len() - wrong);
}
