//! What the types of a suite cannot say.

use super::super::{Fault, Format};
use super::{CaseIds, locate};
use domain::finding::Tier;
use domain::suite::{Case, Check, MAX_CASES, MAX_REPEATS, Metric, ScoreRule, Suite};
use domain::units::Ratio;
use serde_json::Value;
use std::collections::BTreeSet;

/// Longest id of a case, in bytes.
const MAX_ID_LEN: usize = 200;
/// Who may speak in a case's messages.
const ROLES: [&str; 5] = ["system", "developer", "user", "assistant", "tool"];

impl Format for Suite {
    const REQUIRED: &'static [&'static str] = &["apiVersion", "title"];
    const LISTS_STAND_ALONE: bool = true;

    fn api_version(&self) -> &str {
        &self.api_version
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.title.trim().is_empty() {
            let mend = "say in a few words what the suite proves";
            faults.push(Fault::new("title", "empty_text", "`title` is empty", mend));
        }
        self.running(&mut faults);
        self.inputs(&mut faults);
        for (i, check) in self.checks.iter().enumerate() {
            let found = checks::score::faults(check).into_iter();
            faults.extend(found.map(|fault| locate(&format!("checks[{i}]"), fault)));
        }
        for (i, rule) in self.scores.iter().enumerate() {
            score_faults(&format!("scores[{i}]"), rule, &mut faults);
            if rule.metric == Metric::Consistency && self.repeats < 2 {
                faults.push(Fault::new(
                    format!("scores[{i}].metric"),
                    "bad_check",
                    "`consistency` compares repeats, and each case is asked once",
                    "add `repeats: 5` to the suite",
                ));
            }
        }
        self.thresholds(&mut faults);
        faults
    }
}

trait Rules {
    fn running(&self, faults: &mut Vec<Fault>);
    fn inputs(&self, faults: &mut Vec<Fault>);
    fn thresholds(&self, faults: &mut Vec<Fault>);
}

impl Rules for Suite {
    /// When and how often it runs.
    fn running(&self, faults: &mut Vec<Fault>) {
        if self.tier == Tier::Static {
            faults.push(
                Fault::new(
                    "tier",
                    "out_of_range",
                    "a suite asks a model, and the static tier asks none",
                    "write `recorded`, `paid` or `scheduled`",
                )
                .replace(Some("recorded")),
            );
        }
        if self.repeats == 0 || self.repeats > MAX_REPEATS {
            faults.push(Fault::new(
                "repeats",
                "out_of_range",
                format!("`repeats` is {}; a case is asked 1 to {MAX_REPEATS} times", self.repeats),
                "write how often each case is asked, or remove the key for once",
            ));
        }
        let paid = matches!(self.tier, Tier::Paid | Tier::Scheduled);
        if self.token_cap == Some(0) || (paid && self.token_cap.is_none()) {
            faults.push(Fault::new(
                "token_cap",
                "out_of_range",
                "a suite that may cost money needs a `token_cap` above 0",
                "add for example `token_cap: 200000`: the run ends before it uses more tokens",
            ));
        }
    }

    /// Where its cases come from.
    fn inputs(&self, faults: &mut Vec<Fault>) {
        if self.files.is_empty() && self.cases.is_empty() {
            faults.push(Fault::new(
                "",
                "bad_case",
                "the suite has no case, so it would prove nothing",
                "name files of cases under `files`, or write cases under `cases`",
            ));
        }
        let mut seen = BTreeSet::new();
        for (i, file) in self.files.iter().enumerate() {
            let field = format!("files[{i}]");
            if !is_cases_file(file) {
                faults.push(Fault::new(
                    field,
                    "bad_file_name",
                    format!("`{file}` is no file of cases in the suite's folder"),
                    "write a path from this folder that ends in `.jsonl`, for example `golden/first.jsonl`",
                ));
            } else if !seen.insert(file) {
                faults.push(Fault::new(
                    field,
                    "duplicate_case",
                    format!("`{file}` is named twice"),
                    "remove one of the two",
                ));
            }
        }
        if self.cases.len() > MAX_CASES {
            faults.push(Fault::new(
                "cases",
                "out_of_range",
                format!("the suite has {} cases; at most {MAX_CASES} are run", self.cases.len()),
                "split the suite",
            ));
        }
        let mut ids = CaseIds::default();
        for (i, case) in self.cases.iter().enumerate() {
            let at = format!("cases[{i}]");
            faults.extend(case_faults(case).into_iter().map(|mut fault| {
                let dot = if fault.field.is_empty() { "" } else { "." };
                fault.field = format!("{at}{dot}{}", fault.field);
                fault
            }));
            if !ids.insert(&case.id) {
                faults.push(duplicate(&format!("{at}.id"), &case.id));
            }
        }
        let proves = !self.checks.is_empty()
            || !self.scores.is_empty()
            || self.cost.is_some()
            || !self.files.is_empty()
            || self.cases.iter().any(|case| !case.checks.is_empty());
        if !proves {
            faults.push(Fault::new(
                "",
                "bad_check",
                "the suite checks and scores nothing",
                "add `checks`, `scores` or `cost`, or checks of a case",
            ));
        }
    }

    /// What the numbers must be.
    fn thresholds(&self, faults: &mut Vec<Fault>) {
        if let Some(pass) = self.pass {
            share("pass.at_least", pass.at_least, faults);
        }
        if !(self.confidence.0 > 0.5 && self.confidence.0 < 1.0) {
            faults.push(Fault::new(
                "confidence",
                "out_of_range",
                format!("a confidence of {} is out of range", self.confidence.0),
                "write more than 50% and less than 100%; 95% is usual",
            ));
        }
        let Some(cost) = &self.cost else { return };
        if cost.tokens.is_none() && cost.money.is_none() && cost.p95_ms.is_none() {
            faults.push(Fault::new(
                "cost",
                "out_of_range",
                "`cost` has no limit",
                "write `tokens`, `money`, `p95_ms` or several, for example `{tokens: 15%}`",
            ));
        }
        for (field, ratio) in [("cost.tokens", cost.tokens), ("cost.money", cost.money)] {
            if ratio.is_some_and(|ratio| !(0.0..=100.0).contains(&ratio.0)) {
                faults.push(Fault::new(
                    field,
                    "out_of_range",
                    "a growth is a number from 0 to 100",
                    "write for example `15%`",
                ));
            }
        }
        if cost.p95_ms == Some(0) {
            faults.push(Fault::new(
                "cost.p95_ms",
                "out_of_range",
                "no answer takes 0 ms",
                "write milliseconds, for example `4000`",
            ));
        }
    }
}

fn share(field: &str, ratio: Ratio, faults: &mut Vec<Fault>) {
    if !(0.0..=1.0).contains(&ratio.0) {
        faults.push(Fault::new(
            field,
            "out_of_range",
            format!("{} is no share", ratio.0),
            "write a number from 0 to 1, or a percentage from `0%` to `100%`",
        ));
    }
}

fn score_faults(at: &str, rule: &ScoreRule, faults: &mut Vec<Fault>) {
    let mut fault = |field: &str, message: &str, mend: &str| {
        faults.push(Fault::new(format!("{at}.{field}"), "bad_check", message, mend));
    };
    match (&rule.judge, rule.metric) {
        (None, Metric::Judge) => fault(
            "metric",
            "no judge is named",
            "add `judge: <name>`, the judge that scores the answers",
        ),
        (Some(name), Metric::Judge) if name.trim().is_empty() => {
            fault("judge", "`judge` is empty", "write the name of a judge");
        }
        (Some(_), metric) if metric != Metric::Judge => fault(
            "judge",
            "this measure needs no judge",
            "remove `judge`, or write `metric: judge`",
        ),
        _ => {}
    }
    if rule.embeddings.is_some() && rule.metric != Metric::Similarity {
        fault(
            "embeddings",
            "this measure compares no vectors",
            "remove `embeddings`, or write `metric: similarity`",
        );
    }
    match (rule.k, rule.metric) {
        (Some(0), _) => fault("k", "`k` is 0", "write how many documents count, for example 10"),
        (Some(_), metric) if !matches!(metric, Metric::RecallAtK | Metric::Ndcg) => fault(
            "k",
            "this measure counts no documents",
            "remove `k`, or measure `recall_at_k` or `ndcg`",
        ),
        _ => {}
    }
    for (field, ratio) in [("at_least", rule.at_least), ("not_worse_by", rule.not_worse_by)] {
        if let Some(ratio) = ratio {
            share(&format!("{at}.{field}"), ratio, faults);
        }
    }
}

/// What is wrong with one case; fields count from the case.
pub(super) fn case_faults(case: &Case) -> Vec<Fault> {
    let mut faults = Vec::new();
    let id = &case.id;
    if id.trim().is_empty() || id.len() > MAX_ID_LEN || id.chars().any(char::is_control) {
        faults.push(Fault::new(
            "id",
            "bad_case",
            format!("an id has 1 to {MAX_ID_LEN} bytes and no control characters"),
            "write a short name that is unique in the suite, for example `refund-017`",
        ));
    }
    for (i, message) in case.messages.iter().enumerate() {
        let role = message.get("role").and_then(Value::as_str);
        let content = message.get("content");
        let says = content.is_some_and(|content| content.is_string() || content.is_array())
            || message.get("tool_calls").is_some();
        if !role.is_some_and(|role| ROLES.contains(&role)) || !says {
            faults.push(Fault::new(
                format!("messages[{i}]"),
                "bad_case",
                "a message has a `role` and a `content`",
                "write `{\"role\": \"user\", \"content\": \"...\"}`",
            ));
        }
    }
    for (id, grade) in &case.relevant {
        if !(grade.is_finite() && *grade >= 0.0) {
            faults.push(Fault::new(
                format!("relevant.{id}"),
                "bad_case",
                "a grade is a number from 0",
                "write 1 for a relevant document, more for a better one",
            ));
        }
    }
    for (i, check) in case.checks.iter().enumerate() {
        let at = format!("checks[{i}]");
        if matches!(check, Check::JsonSchema(Value::String(_))) {
            faults.push(Fault::new(
                format!("{at}.json_schema"),
                "bad_check",
                "a case cannot name a schema by its path",
                "write the schema in place, or name the file in the suite's own checks",
            ));
        }
        faults.extend(checks::score::faults(check).into_iter().map(|fault| locate(&at, fault)));
    }
    faults
}

/// An id that is there already.
pub(super) fn duplicate(field: &str, id: &str) -> Fault {
    Fault::new(
        field,
        "duplicate_case",
        format!("the id `{id}` is used by an earlier case of the suite"),
        "give every case its own id",
    )
}

/// True for the path of a JSONL file that stays in the suite's folder.
pub(crate) fn is_cases_file(path: &str) -> bool {
    path.ends_with(".jsonl")
        && !path.contains(['\\', '\0', ':'])
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}
