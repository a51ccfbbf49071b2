//! Attacks: recall on attacks, false positives on benign texts.

use crate::data::{Folder, text};
use crate::score::short;
use checks::scan::injection::judge;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Default, Clone, Copy)]
struct Share {
    flagged: u32,
    of: u32,
}

impl Share {
    fn count(&mut self, flagged: bool) {
        self.flagged += u32::from(flagged);
        self.of += 1;
    }

    fn rate(self) -> f64 {
        if self.of == 0 { 0.0 } else { f64::from(self.flagged) / f64::from(self.of) }
    }

    fn json(self, name: &str) -> Value {
        json!({ name: self.rate(), "flagged": self.flagged, "of": self.of })
    }
}

/// Recall by source, false positives by source; `false_positive_rate` is over
/// all benign texts, `hard_negative_rate` without the bank's queries.
pub fn measure(folder: &Folder, errors: usize) -> Result<Value, String> {
    let mut attacks: BTreeMap<String, Share> = BTreeMap::new();
    let mut benign: BTreeMap<String, Share> = BTreeMap::new();
    let mut shown = (0, 0);
    let mut look = |name: String, content: &str, is: bool| {
        let judged = judge(content);
        let flagged = judged.is_attack();
        if is {
            attacks.entry(name.clone()).or_default().count(flagged);
        } else {
            benign.entry(name.clone()).or_default().count(flagged);
        }
        let count = if is { &mut shown.0 } else { &mut shown.1 };
        if flagged != is && *count < errors {
            *count += 1;
            let reasons: Vec<&str> = judged.reasons.iter().map(|(reason, _)| *reason).collect();
            let word = if is { "missed" } else { "wrong" };
            eprintln!("{word} {name} {} {reasons:?}: {}", judged.score, short(content));
        }
    };
    for row in folder.rows("injection/cases.jsonl", true)? {
        let is = row.get("label").and_then(Value::as_i64) == Some(1);
        let name = format!("{} {}", text(&row, "source"), text(&row, "kind"));
        look(name, text(&row, "text"), is);
    }
    for row in folder.rows("banking77/queries.jsonl", false)? {
        look("banking77 queries".to_owned(), text(&row, "text"), false);
    }
    let mut prompts = Share::default();
    let mut seen = std::collections::BTreeSet::new();
    for row in folder.rows("xstest/responses.jsonl", false)? {
        let prompt = text(&row, "prompt").to_owned();
        if !seen.contains(&prompt) {
            prompts.count(judge(&prompt).is_attack());
            seen.insert(prompt);
        }
    }
    let sum = |of: &BTreeMap<String, Share>, pick: &dyn Fn(&str) -> bool| {
        let mut all = Share::default();
        for share in of.iter().filter(|(name, _)| pick(name)).map(|(_, share)| share) {
            all.flagged += share.flagged;
            all.of += share.of;
        }
        all
    };
    let found = sum(&attacks, &|_| true);
    let wrong = sum(&benign, &|_| true);
    let precision = Share { flagged: found.flagged, of: found.flagged + wrong.flagged };
    let table = |of: BTreeMap<String, Share>, name: &str| -> BTreeMap<String, Value> {
        of.into_iter().map(|(source, share)| (source, share.json(name))).collect()
    };
    Ok(json!({
        "recall": found.rate(),
        "false_positive_rate": wrong.rate(),
        "hard_negative_rate": sum(&benign, &|name| !name.starts_with("banking77")).rate(),
        "xstest_prompts_flagged": prompts.rate(),
        "precision": precision.rate(),
        "attacks": found.of,
        "benign": wrong.of,
        "threshold": checks::scan::injection::THRESHOLD,
        "recall_by_source": table(attacks, "recall"),
        "false_positives_by_source": table(benign, "rate"),
    }))
}
