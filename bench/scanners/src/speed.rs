//! How fast clean text passes all three scanners, beside the floor of merely
//! walking over it.
//!
//! Clean text is benign traffic: the bank's queries, or where there are none the
//! benign texts of the set of attacks. It is put
//! together to blocks of [`BLOCK`] and scanned on one thread, again and again
//! for [`LEAST`] of its own processor time (Linux says how much that was; where
//! it does not, the clock is used). The best of [`ROUNDS`] counts, because
//! others use the machine. Texts near attacks (benign ones of that set, answers to
//! questions of safety) take the slow path more often and are measured apart.

use crate::data::{Folder, text};
use checks::scan::{Scanner, Wanted};
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Size of a block, in bytes.
const BLOCK: usize = 64 * 1024;
/// Least time of a round.
const LEAST: Duration = Duration::from_millis(60);
/// Rounds.
const ROUNDS: usize = 9;

/// MB (10^6 bytes) a second.
pub fn measure(folder: &Folder) -> Result<Value, String> {
    let three = Wanted { secrets: true, personal: true, injection: true, hidden: false };
    let scanner = Scanner::new(three);
    let texts = |name: &str, key: &str, label: Option<i64>| -> Result<Vec<String>, String> {
        let rows = folder.rows(name, false)?;
        let is =
            |row: &&Value| label.is_none() || row.get("label").and_then(Value::as_i64) == label;
        let mut texts: Vec<String> =
            rows.iter().filter(is).map(|row| text(row, key).to_owned()).collect();
        texts.retain(|t| !t.is_empty() && scanner.scan(t).is_empty());
        Ok(texts)
    };
    let hard = texts("injection/cases.jsonl", "text", Some(0))?;
    let answers = texts("xstest/responses.jsonl", "response", None)?;
    let mut clean = texts("banking77/queries.jsonl", "text", None)?;
    if clean.is_empty() {
        clean.clone_from(&hard);
    }
    if clean.is_empty() {
        return Err("the data folder has no benign text to measure speed on".to_owned());
    }
    let blocks = joined(&clean);
    let scan = |text: &String| scanner.scan(text).len();
    let all = rate(&blocks, scan);
    let lines = rate(&blocks, |text| text.lines().map(str::len).max().unwrap_or(0));
    let one = |wanted: Wanted| {
        let scanner = Scanner::new(wanted);
        rate(&blocks, |text| scanner.scan(text).len())
    };
    let none = Wanted { secrets: false, personal: false, injection: false, hidden: false };
    Ok(json!({
        "mb_per_s": all,
        "text_by_text": rate(&clean, scan),
        "with_hidden_text": one(Wanted::ALL),
        "secrets_alone": one(Wanted { secrets: true, ..none }),
        "personal_alone": one(Wanted { personal: true, ..none }),
        "injection_alone": one(Wanted { injection: true, ..none }),
        "places_alone": one(none),
        "texts_near_attacks": rate(&joined(&hard), scan),
        "answers_about_safety": rate(&joined(&answers), scan),
        "floor_lines": lines,
        "floor_count_newlines":
            rate(&blocks, |text| text.bytes().filter(|b| *b == b'\n').count()),
        "share_of_lines_floor": all / lines,
        "texts": clean.len(),
        "bytes": clean.iter().map(String::len).sum::<usize>(),
    }))
}

/// The texts, a line each, in blocks.
fn joined(texts: &[String]) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for content in texts {
        if blocks.last().is_some_and(|b| b.len() >= BLOCK) {
            blocks.push(String::new());
        }
        if let Some(block) = blocks.last_mut() {
            block.push_str(content);
            block.push('\n');
        }
    }
    blocks
}

/// The best round.
fn rate(texts: &[String], work: impl Fn(&String) -> usize) -> f64 {
    let bytes: usize = texts.iter().map(String::len).sum();
    if bytes == 0 {
        return 0.0;
    }
    let round = || {
        let began = Began::now();
        let mut turns = 0_u32;
        while began.elapsed() < LEAST {
            for content in texts {
                black_box(work(black_box(content)));
            }
            turns += 1;
        }
        f64::from(turns) * bytes as f64 / began.elapsed().as_secs_f64() / 1e6
    };
    (0..ROUNDS).map(|_| round()).fold(0.0, f64::max)
}

/// A moment, by the processor time of this thread and by the clock.
struct Began {
    processor: Option<Duration>,
    clock: Instant,
}

impl Began {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    fn now() -> Self {
        Self { processor: processor(), clock: Instant::now() }
    }

    fn elapsed(&self) -> Duration {
        let spent = self.processor.zip(processor()).map(|(before, now)| now.saturating_sub(before));
        spent.unwrap_or_else(|| self.clock.elapsed())
    }
}

/// What this thread has used of the processor, if the system says so.
fn processor() -> Option<Duration> {
    let said = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(said.split_whitespace().next()?.parse().ok()?))
}
