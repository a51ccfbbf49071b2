//! ROUGE, BLEU, exact match and F1 against the reference programs `rouge-score`
//! and `sacrebleu`, on generated texts, to 1e-6.
//!
//! `cargo xtask test` installs them; without it, TIDEGATE_TEST_PYTHON names a
//! Python that has the packages of `crates/tidegate/tests/sdk/requirements.txt`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tidegate_checks::score::{RougePair, bleu, exact_match, squad_f1};

/// How many pairs are compared.
const PAIRS: usize = 400;
/// How near the numbers must be.
const NEAR: f64 = 1e-6;

/// Own texts that have gone wrong somewhere else before.
const TEXTS: [&str; 22] = [
    "",
    " ",
    "The refund of $1,234.50 was sent on 2026-03-01, at 10:30.",
    "A refund of $1234.5 was sent on the 1st of March.",
    "the the the the",
    "The cat, an apple & a dog.",
    "It's the customer's own fault -- isn't it?",
    "Line one\nline two-\nthree",
    "e-mail support@example.com or visit https://example.com/a?b=c&d=e",
    "&quot;Quoted&quot; &amp; escaped &lt;tag&gt;",
    "Crème brûlée für Ærøskøbing, İstanbul and \u{212a}elvin",
    "東京は晴れです。気温は20度。",
    "Ваш заказ отправлен, спасибо!",
    "हिन्दी में उत्तर दिया गया",
    "🎉🎉 done! 👍",
    "1.000,5 / 2.5 % (3-4) [5] {6} ~7 ^8 `9` |10|",
    "A.B.C. U.S.A. i.e. e.g. Mr. Smith",
    "no-break\u{a0}space and thin\u{2009}space and\u{1c}separator",
    "UPPER lower MiXeD 123abc abc123",
    "<skipped> words <skipped>",
    "...!!!???",
    "a an the",
];

/// Words that short texts are made of.
const WORDS: [&str; 24] = [
    "the",
    "a",
    "order",
    "refund",
    "was",
    "not",
    "sent",
    "on",
    "Monday",
    "to",
    "Berlin",
    "for",
    "12.5",
    "1,000",
    "euros",
    ".",
    ",",
    "!",
    "and",
    "customer's",
    "e-mail",
    "über",
    "yes",
    "The",
];

/// A small generator (Knuth's MMIX constants); the seed makes the texts.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn text(&mut self) -> String {
        if self.below(4) == 0 {
            return TEXTS[self.below(TEXTS.len())].to_owned();
        }
        let mut text = String::new();
        for _ in 0..self.below(30) {
            text.push_str(WORDS[self.below(WORDS.len())]);
            text.push_str([" ", " ", "  ", "\n", ""][self.below(5)]);
        }
        text
    }

    /// A text like another: words dropped and swapped.
    fn like(&mut self, text: &str) -> String {
        let mut words: Vec<&str> = text.split(' ').collect();
        for _ in 0..1 + self.below(4) {
            let (a, b) = (self.below(words.len()), self.below(words.len()));
            match self.below(3) {
                0 if words.len() > 1 => drop(words.remove(a)),
                1 => words[a] = WORDS[self.below(WORDS.len())],
                _ => words.swap(a, b),
            }
        }
        words.join(" ")
    }
}

fn pairs() -> Vec<(String, Vec<String>)> {
    let mut dice = Dice(20_261_121);
    let mut pairs: Vec<(String, Vec<String>)> =
        TEXTS.iter().map(|text| ((*text).to_owned(), vec![(*text).to_owned()])).collect();
    while pairs.len() < PAIRS {
        let answer = dice.text();
        let references = (0..1 + dice.below(3))
            .map(|_| if dice.below(3) == 0 { dice.text() } else { dice.like(&answer) })
            .collect();
        pairs.push((answer, references));
    }
    pairs
}

fn ours(answer: &str, references: &[String]) -> Value {
    let best = |measure: &dyn Fn(&str) -> f64| {
        references.iter().map(|reference| measure(reference)).fold(0.0, f64::max)
    };
    json!({
        "rouge1": best(&|r| RougePair::new(answer, r).n(1).f),
        "rouge2": best(&|r| RougePair::new(answer, r).n(2).f),
        "rouge_l": best(&|r| RougePair::new(answer, r).l().f),
        "recall": best(&|r| RougePair::new(answer, r).n(1).recall),
        "bleu": bleu(answer, references),
        "exact_match": best(&|r| exact_match(answer, r)),
        "f1": best(&|r| squad_f1(answer, r)),
    })
}

#[test]
fn scores_are_those_of_the_reference_programs() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("TIDEGATE_TEST_PYTHON")
        .map_or_else(|| here.join("../../target/sdk-python/bin/python"), PathBuf::from);
    let pairs = pairs();
    let mut input = String::new();
    for (answer, references) in &pairs {
        input.push_str(&json!({"answer": answer, "references": references}).to_string());
        input.push('\n');
    }
    let mut child = Command::new(&python)
        .arg(here.join("tests/reference.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("no {}: {e}; run `cargo xtask test`", python.display()));
    let mut stdin = child.stdin.take().expect("a pipe");
    // On a thread of its own: both pipes may be full at once.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("its output");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the packages are missing? run `cargo xtask test`:\n{said}");
    writer.join().expect("a writer").expect("all pairs written");
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .expect("text")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), pairs.len());
    let mut wrong = Vec::new();
    let mut between = 0;
    for ((answer, references), theirs) in pairs.iter().zip(&lines) {
        let ours = ours(answer, references);
        for (measure, value) in theirs.as_object().expect("an object") {
            let (theirs, ours) =
                (value.as_f64().expect("a number"), ours[measure].as_f64().expect("a number"));
            between += usize::from(theirs > 0.0 && theirs < 1.0);
            if (theirs - ours).abs() > NEAR {
                wrong.push(format!(
                    "{measure}: {ours} is not {theirs} for {answer:?} / {references:?}"
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        pairs.len() * 7,
        wrong[..wrong.len().min(20)].join("\n")
    );
    assert!(between > PAIRS, "texts must be alike and not the same: {between}");
}
