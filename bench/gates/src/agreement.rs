//! How often our checks say what labels say.

use crate::stories::rounded;
use crate::{Failed, Told};
use checks::score::prepare;
use domain::suite::{Answer, Case, Check, Suite};
use serde_json::{Map, json};
use std::collections::BTreeMap;

/// (agreed, judged)
type Count = (u64, u64);

/// Counts of labels agreed with.
#[derive(Debug, Default)]
pub(crate) struct Agreement {
    all: Count,
    by_kind: BTreeMap<String, Count>,
    /// Totals of parts.
    parts: BTreeMap<String, Count>,
}

fn count(of: &mut Count, agrees: bool) {
    of.0 += u64::from(agrees);
    of.1 += 1;
}

impl Agreement {
    /// One label of this kind.
    pub(crate) fn add(&mut self, kind: &str, agrees: bool) {
        count(&mut self.all, agrees);
        count(self.by_kind.entry(kind.to_owned()).or_default(), agrees);
    }

    /// The same label, for the total of a part.
    pub(crate) fn add_all(&mut self, part: &str, agrees: bool) {
        count(self.parts.entry(part.to_owned()).or_default(), agrees);
    }

    /// Right if at least this share agrees.
    pub(crate) fn told(self, name: &str, wanted: f64) -> Told {
        let (agreed, judged) = self.all;
        let share = agreed as f64 / judged.max(1) as f64;
        let mut numbers = Map::from_iter([
            ("agreed".to_owned(), json!(agreed)),
            ("judged".to_owned(), json!(judged)),
            ("share".to_owned(), json!(rounded(share))),
        ]);
        for (part, (agreed, judged)) in self.parts {
            numbers.insert(part, json!([agreed, judged]));
        }
        let odd: BTreeMap<_, _> = self.by_kind.into_iter().filter(|(_, (a, j))| a < j).collect();
        numbers.insert("not all agreed".to_owned(), json!(odd));
        Told {
            name: name.to_owned(),
            expected: format!("at least {:.0} % agree", 100.0 * wanted),
            got: format!("{:.1} % agree", 100.0 * share),
            ok: judged > 0 && share >= wanted,
            findings: Vec::new(),
            numbers,
        }
    }
}

/// Which of the checks an answer keeps.
pub(crate) fn kept(checks: Vec<Check>, answer: &str) -> Result<Vec<bool>, Failed> {
    let suite = json!({"apiVersion": "tidegate/v1", "title": "checks"});
    let mut suite: Suite = serde_json::from_value(suite).map_err(|e| e.to_string())?;
    suite.checks = checks;
    let prepared = prepare(&suite, &|_| None)
        .map_err(|f| f.first().map(|f| f.message.clone()).unwrap_or_default())?;
    let case = Case { id: "c".to_owned(), ..Case::default() };
    let answer = Answer { text: answer.to_owned(), ..Answer::default() };
    Ok(prepared.check(&case, &answer).iter().map(|result| result.kept).collect())
}
