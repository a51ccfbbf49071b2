//! Measures the scanners on labelled texts: precision, recall and F1 of secrets
//! and personal data, recall and false positives of attacks, and MB/s of all
//! three together beside the floor of merely walking over the text.
//!
//! The data folder holds `secrets/cases.jsonl`, `pii/cases.jsonl`,
//! `injection/cases.jsonl` and, if there, `banking77/queries.jsonl` and
//! `xstest/responses.jsonl`; any folder with such files works.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark talks to its terminal")]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")
)]

mod attacks;
mod data;
mod personal;
mod score;
mod secrets;
mod speed;

use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
scanners --data DIR [--output table|json] [--half develop|report] [--errors N] [--quality]

  --data     folder with secrets/, pii/, injection/ and, if there, banking77/, xstest/
  --output   tables, or one JSON document
  --half     only the half of the data the detectors were developed on, or only
             the other one (by a hash of the id)
  --errors   show up to N texts of each kind that were judged wrong
  --quality  no speed; status 1 if a target is missed
";

/// F1 of secrets that must be reached.
const SECRETS_F1: f64 = 0.95;
/// F1 of structured personal data that must be reached.
const PII_F1: f64 = 0.85;
/// Recall of attacks that must be reached.
const RECALL: f64 = 0.70;
/// Share of benign texts that may be held for attacks.
const FALSE_POSITIVES: f64 = 0.02;

struct Asked {
    data: PathBuf,
    json: bool,
    half: data::Half,
    errors: usize,
    quality: bool,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|w| w == "--help" || w == "-h") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match read(&words).and_then(|asked| run(&asked)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}

fn read(words: &[String]) -> Result<Asked, String> {
    let mut data = None;
    let mut asked = Asked {
        data: PathBuf::new(),
        json: false,
        half: data::Half::Both,
        errors: 0,
        quality: false,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--quality" {
            asked.quality = true;
            continue;
        }
        let value = words.next().ok_or_else(|| format!("`{word}` needs a value"))?;
        match word.as_str() {
            "--data" => data = Some(PathBuf::from(value)),
            "--output" => match value.as_str() {
                "json" => asked.json = true,
                "table" => asked.json = false,
                _ => return Err(format!("there is no output `{value}`; there is table, json")),
            },
            "--half" => asked.half = data::Half::named(value)?,
            "--errors" => {
                asked.errors =
                    value.parse().map_err(|_| format!("`{value}` is not a whole number"))?;
            }
            _ => return Err(format!("there is no option `{word}`; see `scanners --help`")),
        }
    }
    asked.data = data.ok_or("no data folder: give `--data DIR`")?;
    Ok(asked)
}

/// True unless a target was to be kept and is missed.
fn run(asked: &Asked) -> Result<bool, String> {
    let folder = data::Folder { path: asked.data.clone(), half: asked.half };
    let secrets = secrets::measure(&folder, asked.errors)?;
    let personal = personal::measure(&folder, asked.errors)?;
    let attacks = attacks::measure(&folder, asked.errors)?;
    let speed = if asked.quality { Value::Null } else { speed::measure(&folder)? };
    let number = |value: &Value, key: &str| value.get(key).and_then(Value::as_f64).unwrap_or(0.0);
    let missed: Vec<String> = [
        ("secrets: F1", number(&secrets, "f1"), SECRETS_F1, true),
        ("personal data: F1", number(&personal, "f1"), PII_F1, true),
        ("attacks: recall", number(&attacks, "recall"), RECALL, true),
        (
            "attacks: false positives",
            number(&attacks, "false_positive_rate"),
            FALSE_POSITIVES,
            false,
        ),
    ]
    .into_iter()
    .filter(|(_, is, target, least)| if *least { is < target } else { is > target })
    .map(|(name, is, target, _)| format!("{name} is {is:.3}, the target is {target}"))
    .collect();
    if asked.json {
        let whole = json!({
            "secrets": secrets,
            "pii": personal,
            "injection": attacks,
            "mb_per_s": speed.get("mb_per_s").cloned().unwrap_or(Value::Null),
            "speed": speed,
        });
        println!("{whole}");
    } else {
        score::print("secrets", &secrets);
        score::print("personal data (structured types)", &personal);
        score::print("attacks", &attacks);
        score::print("speed", &speed);
    }
    for sentence in &missed {
        eprintln!("missed: {sentence}");
    }
    Ok(!asked.quality || missed.is_empty())
}
