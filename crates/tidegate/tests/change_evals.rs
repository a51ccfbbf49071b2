//! What the suites of a change measured, case by case, as a page or a script
//! reads it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{APP, Tide, send};
use serde_json::{Value, json};

/// Cases of the suite.
const CASES: usize = 30;

/// A model of recordings that answers case `n` with `answer(n)`, or not at all.
fn model(name: &str, answer: impl Fn(usize) -> Option<String>) -> [(String, String); 2] {
    let file = format!("apps/{APP}/evals/recordings/{name}.jsonl");
    let lines: String = (0..CASES)
        .filter_map(|n| {
            let line = json!({"model": name, "key": format!("T-{n}"), "response": answer(n)?});
            Some(format!("{line}\n"))
        })
        .collect();
    let spec = format!(
        "apiVersion: tidegate/v1\nversion: 1.0.0\nprovider:\n  kind: replay\n  key: \"{{{{ ticket }}}}\"\n  recordings: [{file}]\nprovider_model: {name}\ncontext_window: 8192\ntokenizer: o200k_base\nprices: {{input_per_million: 0.15, output_per_million: 0.60}}\n"
    );
    [(file, lines), (format!("models/{name}.yaml"), spec)]
}

/// What both say of most cases.
fn same(n: usize) -> String {
    format!("The customer of ticket {n} wants a refund of order A-{n}.")
}

fn tide() -> Tide {
    let cases: String = (0..CASES)
        .map(|n| {
            let line = json!({
                "id": format!("case-{n:02}"),
                "variables": {"ticket": format!("T-{n}"), "transcript": "Write to ana@example.com"},
                "expected": [same(n)], "tags": ["refund"],
            });
            format!("{line}\n")
        })
        .collect();
    let suite = "apiVersion: tidegate/v1\ntitle: It names the order\nfiles: [golden.jsonl]\npass: {at_least: 1%}\nchecks:\n  - contains: order\nscores:\n  - {metric: recall}\n";
    // Another: shorter for each tenth, without the order for each seventh, and
    // nothing recorded for the last one.
    let other = |n: usize| match n {
        _ if n == CASES - 1 => None,
        _ if n.is_multiple_of(10) => Some(format!("They want a refund of order A-{n}.")),
        _ if n.is_multiple_of(7) => Some(format!("Ask bo@example.com about {n}.")),
        _ => Some(same(n)),
    };
    let mut files = vec![
        (format!("apps/{APP}/rollout.yaml"), common::QUICK_ROLLOUT.to_owned()),
        (format!("apps/{APP}/evals/orders.yaml"), suite.to_owned()),
        (format!("apps/{APP}/evals/golden.jsonl"), cases),
    ];
    files.extend(model("today", |n| Some(same(n))));
    files.extend(model("other", other));
    let starter = opsrepo::scaffold::starter(&APP.parse().unwrap());
    let release = String::from_utf8(starter[&format!("apps/{APP}/release.yaml")].clone()).unwrap();
    files.push((
        format!("apps/{APP}/release.yaml"),
        release.replace("model: recorded", "model: today"),
    ));
    let files: Vec<_> = files.iter().map(|(p, c)| (p.as_str(), c.as_str())).collect();
    let tide = Tide::start_with(&files);
    tide.people(&[("ana", "editor"), ("otto", "auditor")]);
    let edited = tide.write("release.yaml", &release.replace("model: recorded", "model: other"));
    let edit = format!("apps/{APP}/release.yaml=@{}", edited.display());
    let why = "another model is cheaper";
    tide.run("ana", ["change", "create", "-a", APP, "--why", why, "--file", &edit, "--wait"]);
    tide
}

fn get(tide: &Tide, path: &str) -> (u16, Value) {
    let auth = [("authorization", format!("Bearer {}", tide.token("otto")))];
    let (status, _, body) = send("GET", &tide.control, &format!("/api/v1/{path}"), &auth, "");
    (status, body)
}

fn ids(cases: &[Value]) -> Vec<&str> {
    cases.iter().map(|case| case["case"].as_str().unwrap()).collect()
}

#[test]
fn the_cases_of_a_change_are_read_page_by_page() {
    let tide = tide();
    let (status, report) = get(&tide, "changes/1/evals");
    assert_eq!(status, 200, "{report}");
    assert_eq!(report["suites"][0]["suite"], "orders");
    assert_eq!(report["suites"][0]["cases"], CASES);

    let (_, first) = get(&tide, "changes/1/evals/cases?filter=all&limit=7");
    assert_eq!(first["counts"]["all"], CASES, "{first}");
    let (mut all, mut page) = (Vec::new(), first.clone());
    loop {
        all.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        page = get(&tide, &format!("changes/1/evals/cases?limit=7&cursor={next}")).1;
    }
    let every: Vec<_> = (0..CASES).map(|n| format!("case-{n:02}")).collect();
    assert_eq!(ids(&all), every);

    let of = |filter: &str| {
        let (status, page) = get(&tide, &format!("changes/1/evals/cases?filter={filter}"));
        assert_eq!(status, 200, "{page}");
        assert_eq!(page["counts"], first["counts"]);
        assert_eq!(page["items"].as_array().unwrap().len(), page["counts"][filter]);
        page["items"].as_array().unwrap().clone()
    };
    let (worse, failed, different) = (of("worse"), of("failed"), of("different"));
    let broke = ["case-07", "case-14", "case-21", "case-28"];
    assert_eq!(ids(&failed), [&broke[..], &["case-29"]].concat());
    assert!(broke.iter().all(|id| ids(&worse).contains(id)), "{:?}", ids(&worse));
    assert_eq!(
        ids(&different),
        ["case-00", "case-07", "case-10", "case-14", "case-20", "case-21", "case-28", "case-29"]
    );

    let seven = failed.iter().find(|case| case["case"] == "case-07").unwrap();
    assert_eq!(seven["suite"], "orders");
    assert_eq!(seven["expected"], json!([same(7)]));
    assert_eq!(seven["today"], same(7));
    assert_eq!((&seven["asked"], &seven["kept"]), (&json!(1), &json!(0)));
    assert_eq!(seven["tags"], json!(["refund"]));
    // What is stored is redacted, the input and the answer alike.
    let (input, new) = (seven["input"].as_str().unwrap(), seven["new"].as_str().unwrap());
    assert!(input.contains("T-7") && !input.contains("ana@"), "{input}");
    assert!(new.starts_with("Ask ") && !new.contains("bo@"), "{new}");
    let kinds: Vec<_> = seven["reasons"].as_array().unwrap().iter().map(|r| &r["kind"]).collect();
    assert!(kinds.contains(&&json!("broke_check")), "{kinds:?}");
    assert!(kinds.contains(&&json!("check_broken")), "{kinds:?}");
    let score = &seven["scores"][0];
    assert!(score["new"].as_f64().unwrap() < score["today"].as_f64().unwrap(), "{score}");
    let last = failed.last().unwrap();
    assert_eq!(
        (&last["asked"], &last["new"], &last["texts"]),
        (&json!(0), &Value::Null, &json!(true))
    );
    assert_eq!(
        (&last["reasons"][0]["kind"], &last["today"]),
        (&json!("no_answer"), &json!(same(29)))
    );

    // What is asked wrongly is said, and what there is not.
    assert_eq!(get(&tide, "changes/1/evals/cases?filter=nice").0, 422);
    assert_eq!(get(&tide, "changes/1/evals/cases?cursor=7").1["code"], "bad_cursor");
    let stale = "changes/1/evals/cases?cursor=7-000000000000";
    assert_eq!(get(&tide, stale).1["code"], "changed_meanwhile");
    assert_eq!(get(&tide, "changes/9/evals").0, 404);
}
