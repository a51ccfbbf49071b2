//! `promptfooconfig.yaml` → a suite. Prompts and providers are ignored: here they
//! are the release.
//!
//! What has no counterpart is left out and told, never turned into something
//! weaker in silence. Code (`javascript`, `python`, `webhook`) is never taken
//! over: a gate must give the same finding on every machine.

use super::Imported;
use crate::format::Fault;
use crate::limits::MAX_YAML_LEN;
use crate::text::{Source, whole_file};
use domain::finding::Finding;
use domain::suite::{Case, Check, JsonPathRule, Metric, ScoreRule, Suite};
use domain::units::Ratio;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Most notes that are kept.
const MAX_NOTES: usize = 200;

/// Converts a `promptfooconfig.yaml` (or JSON). `cases_file` is what the suite
/// will call the file of its cases, relative to its own.
///
/// # Errors
/// One finding if the file is too large, no YAML or has no list of tests.
pub fn promptfoo(file: &str, bytes: &[u8], cases_file: &str) -> Result<Imported, Box<Finding>> {
    let source = Source::read(file, bytes, MAX_YAML_LEN)?;
    let bad = |message: String, mend: &str| {
        Box::new(whole_file(file, Fault::new("", "bad_yaml", message, mend)))
    };
    let config: Value = serde_saphyr::from_str(source.text()).map_err(|error| {
        let words = error.to_string();
        let first = words.lines().next().unwrap_or_default().to_owned();
        bad(format!("this is not YAML: {first}"), "correct the file")
    })?;
    let Some(tests) = config.get("tests").and_then(Value::as_array) else {
        return Err(bad(
            "there is no list `tests` in the file".to_owned(),
            "write the tests into the file; tests in other files and from code are not read",
        ));
    };
    let title = config.get("description").and_then(Value::as_str).unwrap_or("Imported tests");
    let mut import = Import::default();
    let shared = config.get("defaultTest").filter(|test| test.is_object());
    let variables = |test: Option<&Value>| {
        test.and_then(|test| test.get("vars")).and_then(Value::as_object).cloned()
    };
    let defaults = variables(shared).unwrap_or_default();
    let checks = match shared {
        Some(shared) => import.checks("`defaultTest`", shared, &defaults, &mut Vec::new()),
        None => Vec::new(),
    };
    let mut cases = Vec::new();
    for (i, test) in tests.iter().enumerate() {
        if let Some(case) = import.case(i, test, &defaults) {
            cases.push(case);
        }
    }
    let suite = json!({
        "apiVersion": domain::manifest::API_VERSION,
        "title": title,
        "files": [cases_file],
    });
    let mut suite: Suite = serde_json::from_value(suite)
        .map_err(|error| bad(format!("no suite can be made of it: {error}"), "report this"))?;
    suite.checks = checks;
    suite.scores = import.scores();
    Ok(Imported { suite, cases, notes: import.notes })
}

/// What was gathered so far.
#[derive(Default)]
struct Import {
    notes: Vec<String>,
    ids: BTreeSet<String>,
    /// Measures with the thresholds that were asked.
    measures: BTreeMap<Metric, Vec<Option<f64>>>,
}

impl Import {
    fn note(&mut self, at: &str, what: impl std::fmt::Display) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(format!("{at}: {what}"));
        }
    }

    fn case(&mut self, index: usize, test: &Value, defaults: &Map<String, Value>) -> Option<Case> {
        let number = index + 1;
        let at = format!("test {number}");
        if !test.is_object() {
            self.note(&at, "tests in other files are not read");
            return None;
        }
        let mut variables = defaults.clone();
        if let Some(own) = test.get("vars").and_then(Value::as_object) {
            variables.extend(own.clone());
        }
        for (name, value) in &variables {
            if value.as_str().is_some_and(|text| text.starts_with("file://")) {
                self.note(
                    &at,
                    format_args!("the variable `{name}` names a file, which is not read"),
                );
            }
            if value.is_array() {
                self.note(&at, format_args!("the variable `{name}` is a list; promptfoo would make one test of each item"));
            }
        }
        let mut expected = Vec::new();
        let checks = self.checks(&at, test, &variables, &mut expected);
        let description = test.get("description").and_then(Value::as_str).unwrap_or_default();
        let id = self.id(description, number);
        Some(Case { id, variables, expected, checks, ..Case::default() })
    }

    /// A short name, unique in the suite.
    fn id(&mut self, description: &str, number: usize) -> String {
        let mut id = String::new();
        for c in description.chars().take(60).flat_map(char::to_lowercase) {
            match c {
                c if c.is_alphanumeric() => id.push(c),
                _ if !id.is_empty() && !id.ends_with('-') => id.push('-'),
                _ => {}
            }
        }
        let id = id.trim_end_matches('-');
        let id = if id.is_empty() { format!("case-{number}") } else { id.to_owned() };
        let id = if self.ids.contains(&id) { format!("{id}-{number}") } else { id };
        self.ids.insert(id.clone());
        id
    }

    fn checks(
        &mut self,
        at: &str,
        test: &Value,
        variables: &Map<String, Value>,
        expected: &mut Vec<String>,
    ) -> Vec<Check> {
        let mut checks = Vec::new();
        for assertion in test.get("assert").and_then(Value::as_array).into_iter().flatten() {
            let kind = assertion.get("type").and_then(Value::as_str).unwrap_or_default();
            let value = assertion.get("value").map(|value| filled(value, variables));
            let value = match value {
                Some(Err(name)) => {
                    self.note(
                        at,
                        format_args!("`{kind}` is left out: `{name}` in it cannot be filled in"),
                    );
                    continue;
                }
                Some(Ok(value)) => value,
                None => Value::Null,
            };
            let threshold = assertion.get("threshold").and_then(Value::as_f64);
            match self.check(at, kind, &value, threshold, expected) {
                Ok(Some(check)) => match checks::score::faults(&check).into_iter().next() {
                    None => checks.push(check),
                    Some(fault) => {
                        self.note(at, format_args!("`{kind}` is left out: {}", fault.message));
                    }
                },
                Ok(None) => {}
                Err(why) => self.note(at, format_args!("`{kind}` is left out: {why}")),
            }
        }
        checks
    }

    /// The check of an assertion; none if it became a measure.
    fn check(
        &mut self,
        at: &str,
        kind: &str,
        value: &Value,
        threshold: Option<f64>,
        expected: &mut Vec<String>,
    ) -> Result<Option<Check>, String> {
        let text = || as_text(value).ok_or_else(|| "its value is no text".to_owned());
        let texts = || as_texts(value).ok_or_else(|| "its value is no list of texts".to_owned());
        let reference = || "its value is no text to compare with".to_owned();
        let check = match kind {
            "equals" => match value {
                Value::Object(_) | Value::Array(_) => Check::JsonPath(JsonPathRule {
                    path: "$".to_owned(),
                    equals: Some(value.clone()),
                    exists: None,
                }),
                _ => Check::Equals(text()?),
            },
            "not-equals" => Check::NotMatches(format!(r"\A\s*{}\s*\z", regex::escape(&text()?))),
            "icontains" => Check::Contains(text()?),
            "contains" => Check::Matches(regex::escape(&text()?)),
            "contains-any" | "icontains-any" => self.folded(at, kind, Check::ContainsAny(texts()?)),
            "contains-all" | "icontains-all" => self.folded(at, kind, Check::ContainsAll(texts()?)),
            "not-contains" => Check::NotMatches(regex::escape(&text()?)),
            "not-icontains" => Check::NotContains(vec![text()?]),
            "not-contains-any" | "not-icontains-any" => {
                self.folded(at, kind, Check::NotContains(texts()?))
            }
            "starts-with" => Check::Matches(format!(r"\A{}", regex::escape(&text()?))),
            "regex" => Check::Matches(text()?),
            "not-regex" => Check::NotMatches(text()?),
            "is-json" => match value {
                Value::Null => Check::JsonSchema(json!({})),
                Value::Object(_) => Check::JsonSchema(value.clone()),
                _ => return Err("its schema is in another file; write it in place".to_owned()),
            },
            "is-refusal" => Check::Refuses(true),
            "not-is-refusal" => Check::Refuses(false),
            "rouge-n" | "similar" | "bleu" => {
                let metric = match kind {
                    "rouge-n" => Metric::Rouge1,
                    "similar" => Metric::Similarity,
                    _ => Metric::Bleu,
                };
                expected.extend(as_texts(value).ok_or_else(reference)?);
                self.measures.entry(metric).or_default().push(threshold);
                return Ok(None);
            }
            "javascript" | "python" | "ruby" | "webhook" => {
                return Err("code is not taken over; say the same with another check".to_owned());
            }
            "cost" | "latency" => {
                return Err(
                    "write it as `cost` of the suite, which compares with production".to_owned()
                );
            }
            kind if is_judged(kind) => {
                let rubric = as_text(value).unwrap_or_default();
                return Err(format!(
                    "it takes a judge; add one with this rubric and `{{metric: judge, judge: ...}}`: {rubric}"
                ));
            }
            "" => return Err("it has no type".to_owned()),
            _ => return Err("it has no counterpart here".to_owned()),
        };
        Ok(Some(check))
    }

    /// Ours regard no case; promptfoo's without `i` do.
    fn folded(&mut self, at: &str, kind: &str, check: Check) -> Check {
        if !kind.contains("icontains") {
            self.note(
                at,
                format_args!("`{kind}` regards upper and lower case, the check it became does not"),
            );
        }
        check
    }

    /// One rule for each measure, with the threshold if all tests ask the same.
    fn scores(&mut self) -> Vec<ScoreRule> {
        let measures = std::mem::take(&mut self.measures);
        let mut rules = Vec::new();
        for (metric, asked) in measures {
            let first = asked.first().copied().flatten();
            let same = asked.iter().all(|threshold| *threshold == first);
            if !same {
                self.note(
                    "scores",
                    "tests ask different thresholds of one measure; write `at_least` yourself",
                );
            }
            let at_least = first.filter(|t| same && (0.0..=1.0).contains(t)).map(Ratio);
            rules.push(ScoreRule {
                metric,
                judge: None,
                embeddings: None,
                k: None,
                at_least,
                not_worse_by: None,
            });
        }
        if !rules.is_empty() {
            self.note("scores", "thresholds are of each answer in promptfoo and of the mean here");
        }
        rules
    }
}

fn is_judged(kind: &str) -> bool {
    kind.starts_with("model-graded")
        || kind.starts_with("context-")
        || matches!(
            kind,
            "llm-rubric"
                | "factuality"
                | "answer-relevance"
                | "g-eval"
                | "select-best"
                | "classifier"
                | "moderation"
        )
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.starts_with("file://") => None,
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

/// A list of texts; one text is a list of one.
fn as_texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(list) => list.iter().map(as_text).collect(),
        value => Some(vec![as_text(value)?]),
    }
}

/// A value with its `{{ name }}` filled in. The error is what could not be.
fn filled(value: &Value, variables: &Map<String, Value>) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => Value::String(fill(text, variables)?),
        Value::Array(list) => {
            Value::Array(list.iter().map(|v| filled(v, variables)).collect::<Result<_, _>>()?)
        }
        other => other.clone(),
    })
}

fn fill(text: &str, variables: &Map<String, Value>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, end) = after.split_once("}}").ok_or_else(|| after.to_owned())?;
        let name = name.trim();
        let value = variables.get(name).and_then(as_text).ok_or_else(|| name.to_owned())?;
        out.push_str(before);
        out.push_str(&value);
        rest = end;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
description: Support answers
prompts: [file://prompt.txt]
providers: [openai:gpt-4o-mini]
defaultTest:
  vars: {tone: kind}
  assert:
    - {type: not-icontains, value: as an AI}
tests:
  - description: "Refund, please!"
    vars: {question: Where is my refund?, name: Ana}
    assert:
      - {type: icontains, value: "{{ name }}"}
      - {type: contains, value: "5 (five)"}
      - {type: contains-all, value: [refund, days]}
      - {type: regex, value: '\d+ days'}
      - {type: regex, value: '(?<!x)y'}
      - {type: javascript, value: "output.length < 5"}
      - {type: llm-rubric, value: Is it polite?}
      - {type: rouge-n, value: Your refund is on its way., threshold: 0.6}
  - vars: {question: "{{nothing}}"}
    assert:
      - {type: equals, value: {ok: true}}
      - {type: is-json}
      - {type: icontains, value: "{{ order }}"}
      - {type: latency, threshold: 100}
  - file://more.yaml
"#;

    #[test]
    fn what_has_a_counterpart_is_taken_over_and_the_rest_is_told() {
        let import = promptfoo("p.yaml", CONFIG.as_bytes(), "golden/p.jsonl").unwrap();
        assert_eq!(import.suite.checks, [Check::NotContains(vec!["as an AI".into()])]);
        assert_eq!(import.suite.scores.len(), 1);
        assert_eq!(import.suite.scores[0].at_least, Some(Ratio(0.6)));
        let first = &import.cases[0];
        assert_eq!((first.id.as_str(), import.cases[1].id.as_str()), ("refund-please", "case-2"));
        assert_eq!(first.variables["tone"], "kind");
        assert_eq!(first.expected, ["Your refund is on its way."]);
        assert_eq!(
            first.checks,
            [
                Check::Contains("Ana".into()),
                Check::Matches(r"5 \(five\)".into()),
                Check::ContainsAll(vec!["refund".into(), "days".into()]),
                Check::Matches(r"\d+ days".into()),
            ]
        );
        assert_eq!(import.cases[1].checks.len(), 2);
        let told: Vec<&str> = import
            .notes
            .iter()
            .map(|note| note.split([' ', ':']).nth(3).unwrap_or_default())
            .collect();
        assert_eq!(import.notes.len(), 8, "{told:?} {:#?}", import.notes);
        for (note, part) in import.notes.iter().zip([
            "`contains-all` regards",
            "`regex` is left out",
            "code is not taken over",
            "Is it polite?",
            "`order` in it cannot be filled in",
            "`cost` of the suite",
            "tests in other files",
            "of the mean here",
        ]) {
            assert!(note.contains(part), "{note} / {part}");
        }
    }

    #[test]
    fn what_was_made_reads_as_a_suite() {
        let import = promptfoo("p.yaml", CONFIG.as_bytes(), "golden/p.jsonl").unwrap();
        let (suite, findings) = crate::suite::parse("s.yaml", import.suite_text().as_bytes());
        assert_eq!((suite.as_ref(), findings.as_slice()), (Some(&import.suite), [].as_slice()));
        let text = import.cases_text();
        let ids = crate::suite::CaseIds::default();
        let cases: Vec<Case> = crate::suite::CaseReader::new("c.jsonl", text.as_bytes(), ids)
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(cases, import.cases);
        for bad in ["tests: file://all.csv", "- 1", "a: [", ""] {
            assert!(promptfoo("p.yaml", bad.as_bytes(), "c.jsonl").is_err(), "{bad}");
        }
    }
}
