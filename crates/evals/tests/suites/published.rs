//! Every report that is produced keeps its published schema: ours, SARIF's
//! official one, and JUnit's common one.

use super::{GOOD, codes, json_of, recorded, run, suite};
use checks::score::Schema;
use domain::finding::GateOutcome;
use serde_json::Value;
use tidegate_evals::{About, How, SuiteReport};

fn schema() -> Schema {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schemas/eval-report.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    Schema::new(&schema).unwrap()
}

/// Panics if a report does not keep the schema.
pub(super) fn check(report: SuiteReport) {
    let found = codes(&report).join(", ");
    let value: Value = serde_json::from_str(&json_of(report)).unwrap();
    assert_eq!(schema().broken_by(&value), None, "{found}: {value:#}");
}

#[tokio::test]
async fn reports_keep_the_published_schema() {
    let all = "repeats: 2\nchecks:\n  - contains: cat\n  - length: {at_most: 40}\npass: {at_least: 90%, not_worse_by: 5%}\n\
        scores:\n  - {metric: recall, at_least: 0.9, not_worse_by: 0.05}\n  - {metric: rouge_l}\ncost: {tokens: 1%, money: 1%, p95_ms: 12}\n";
    let uneven = |version: &str, case: usize, repeat: usize| match (version, case % 5, repeat) {
        ("2.0.0", 1, _) => "a dog".to_owned(),
        ("2.0.0", 2, 1) => "  ".to_owned(),
        ("2.0.0", 3, _) => GOOD.repeat(3),
        _ => GOOD.to_owned(),
    };
    let about = About { zero_bound: Some(0.01), requests_per_month: Some(10_000.0) };
    let how = How { about, ..How::default() };
    let mut outcomes = Vec::new();
    for (yaml, cases, recorded) in [
        (all, 30, recorded(30, 2, uneven)),
        // A case is missing; the rest is alike.
        ("", 4, recorded(3, 1, |_, _, _| GOOD.to_owned())),
        ("kind: adversarial\n", 8, recorded(8, 1, |_, _, _| GOOD.to_owned())),
        ("tier: paid\ntoken_cap: 1000\n", 3, recorded(3, 1, |_, _, _| GOOD.to_owned())),
    ] {
        let report = run(&suite(yaml, cases), &recorded, &how).await;
        outcomes.push(report.outcome);
        check(report);
    }
    assert_eq!(outcomes.first(), Some(&GateOutcome::Failed));
    assert!(outcomes.contains(&GateOutcome::Warned), "{outcomes:?}");
}

#[tokio::test]
async fn the_schema_refuses_what_is_no_report() {
    let schema = schema();
    let releases = recorded(3, 1, |_, _, _| GOOD.to_owned());
    let report = run(&suite("", 3), &releases, &How::default()).await;
    let value: Value = serde_json::from_str(&json_of(report)).unwrap();
    assert_eq!(schema.broken_by(&value), None);
    for pointer in ["/outcome", "/suites/0/pass/share/method", "/suites/0/digest"] {
        let mut wrong = value.clone();
        *wrong.pointer_mut(pointer).unwrap() = Value::from("something else");
        assert!(schema.broken_by(&wrong).is_some(), "{pointer}");
    }
    let mut more = value;
    more["suites"][0]["finished_at"] = Value::from("today");
    assert!(schema.broken_by(&more).is_some());
}

/// Panics if it is not valid under the official schema of SARIF 2.1.0.
pub(super) fn sarif_is_official(sarif: &Value) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemas/sarif-2.1.0.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let schema = Schema::new(&schema).unwrap();
    assert_eq!(schema.broken_by(sarif), None, "{sarif:#}");
    let mut wrong = sarif.clone();
    wrong["runs"][0]["results"][0]["level"] = Value::from("fatal");
    assert!(schema.broken_by(&wrong).is_some(), "the schema judges something");
}

/// Element, its parents, attributes it must have, attributes it may have: as the
/// schema `junit-10.xsd` of the Jenkins xUnit plugin has them.
type Rule =
    (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str]);
const JUNIT: [Rule; 7] = [
    ("testsuites", &[""], &[], &["name", "time", "tests", "failures", "errors"]),
    (
        "testsuite",
        &["testsuites", "testsuite"],
        &["name", "tests", "failures", "errors"],
        &[
            "group",
            "time",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
            "file",
            "log",
            "url",
        ],
    ),
    ("testcase", &["testsuite"], &["name"], &["time", "classname", "group"]),
    ("failure", &["testcase"], &[], &["type", "message"]),
    ("error", &["testcase"], &[], &["type", "message"]),
    ("skipped", &["testcase"], &[], &["type", "message"]),
    ("system-out", &["testcase", "testsuite"], &[], &[]),
];

/// Panics if an element or attribute is not where the common schema has it.
pub(super) fn junit_is_common(xml: &str) {
    let body = xml.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").unwrap();
    let mut open: Vec<&str> = vec![""];
    for tag in body.split('<').skip(1).map(|rest| rest.split_once('>').unwrap().0) {
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{xml}");
            continue;
        }
        let (tag, closed) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let name = tag.split(' ').next().unwrap();
        let rule = JUNIT.iter().find(|rule| rule.0 == name);
        let (_, parents, must, may) = rule.unwrap_or_else(|| panic!("`{name}` is no element"));
        assert!(parents.contains(open.last().unwrap()), "`{name}` in `{open:?}`");
        // Between quotes there is no quote: it is written `&quot;`.
        let parts: Vec<&str> = tag.split('"').collect();
        let names = parts.iter().step_by(2).filter_map(|part| part.trim().strip_suffix('='));
        let given: Vec<&str> = names.map(|n| n.rsplit(' ').next().unwrap()).collect();
        assert!(given.iter().all(|n| must.contains(n) || may.contains(n)), "`{name}`: {given:?}");
        assert!(must.iter().all(|n| given.contains(n)), "`{name}`: {given:?}");
        if !closed {
            open.push(name);
        }
    }
    assert_eq!(open, [""], "{xml}");
}
