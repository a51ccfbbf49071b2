//! Gates on real answers: what evaluation suites say of changes from one real
//! model to another, against what people said of their answers.
//!
//! ```text
//! gates --data DIR [--json]
//! gates --engine [--json]
//! ```
//!
//! `DIR` holds one folder for each set of recorded answers (`aci_bench`,
//! `mts_dialog`, `xstest`, `ifeval`, `json_schema`). Status 1 if an outcome is not the one it
//! must be.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark talks to a terminal")]

mod agreement;
mod data;
mod engine;
mod instructions;
mod judges;
mod provider;
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
    let told = words().and_then(|words| match words {
        Words::Data(folder, json) => runtime()?.block_on(run(folder, json)),
        Words::Engine(json) => engine::run(json),
        Words::Recorded(cases) => engine::recorded(cases),
    });
    match told {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}

/// What is asked for.
enum Words {
    /// Stories on this folder; as JSON if true.
    Data(PathBuf, bool),
    /// What the engine costs; as JSON if true.
    Engine(bool),
    /// One run of so many cases from recordings, for its memory.
    Recorded(usize),
}

fn words() -> Result<Words, Failed> {
    let (mut folder, mut json, mut engine) = (None, false, false);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--data" => folder = words.next().map(PathBuf::from),
            "--json" => json = true,
            "--engine" => engine = true,
            "--recorded" => {
                let cases = words.next().and_then(|n| n.parse().ok());
                return cases.map(Words::Recorded).ok_or("`--recorded N` is missing N".to_owned());
            }
            other => {
                return Err(format!(
                    "`{other}` is not known; use `--data DIR`, `--engine`, `--json`"
                ));
            }
        }
    }
    if engine {
        return Ok(Words::Engine(json));
    }
    let folder = folder.ok_or("`--data DIR` is missing: the folder with the recorded answers")?;
    Ok(Words::Data(folder, json))
}

/// As many threads as the command line has.
fn runtime() -> Result<tokio::runtime::Runtime, Failed> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| e.to_string())
}

async fn run(folder: PathBuf, json: bool) -> Result<bool, Failed> {
    let mut stories = stories::all(&folder).await?;
    stories.extend(judges::all().await?);
    stories.push(instructions::told(&folder)?);
    stories.extend(schemas::told(&folder)?);
    let report = Report { ok: stories.iter().all(|story| story.ok), stories };
    if json {
        show_json(&report)?;
    } else {
        say(&report);
    }
    Ok(report.ok)
}

fn show_json(report: &impl Serialize) -> Result<(), Failed> {
    let text = serde_json::to_string_pretty(report).map_err(|e| e.to_string())?;
    // Whoever reads may have seen enough.
    writeln!(std::io::stdout(), "{text}").ok();
    Ok(())
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
