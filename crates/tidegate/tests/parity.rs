//! Same prompt, same weights, one changed normalisation: caught before any user
//! meets it. The files are those of `examples/feature-parity`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{APP, Tide};
use std::path::{Path, PathBuf};

fn example(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/feature-parity").join(file)
}

#[test]
fn one_changed_normalisation_is_caught_and_the_mended_one_passes() {
    let tide = Tide::start();
    tide.people(&[("ana", "editor"), ("priya", "approver")]);
    let release = String::from_utf8(
        opsrepo::scaffold::starter(&APP.parse().unwrap())
            .into_iter()
            .find(|(path, _)| path.ends_with("release.yaml"))
            .unwrap()
            .1
            .clone(),
    )
    .unwrap();
    let index = std::fs::read_to_string(example("ops/indexes/help-centre.yaml")).unwrap();
    let file = |path: &str, local: &Path| format!("{path}=@{}", local.display());
    let propose = |release: &str, index: &str| {
        let files = [
            file(&format!("apps/{APP}/release.yaml"), &tide.write("release.yaml", release)),
            file("indexes/help-centre.yaml", &tide.write("help-centre.yaml", index)),
            file("features/customers.yaml", &example("ops/features/customers.yaml")),
            file(
                "features/customers.samples.jsonl",
                &example("ops/features/customers.samples.jsonl"),
            ),
        ];
        let args = ["change", "create", "-a", APP, "--why", "answers from the help centre"];
        let files = files.iter().flat_map(|f| ["--file", f.as_str()]);
        let args: Vec<&str> =
            args.into_iter().chain(files).chain(["--wait", "-o", "json"]).collect();
        tide.run("ana", args)
    };

    let with_data = format!("{release}\nfeature_view: customers\nindex: help-centre\n");
    let refused = propose(&with_data, &index).code(7).json();
    let id = refused["id"].as_str().unwrap().to_owned();
    tide.run("ana", ["change", "checks", &id])
        .prints("`normalisation` is `\"none\"` in production and `\"l2\"` in evaluation");
    // Mended, it goes on to the approvers, with the view and the index in it.
    let mended = propose(&with_data, &index.replace("normalisation: none", "normalisation: l2"));
    let change = mended.ok().json();
    assert_eq!(change["state"], "needs_approval", "{change}");
    let release = change["release"].as_str().unwrap();
    let view = tide.run("ana", ["release", "get", release, "-o", "json"]).ok().json();
    assert_eq!(view["manifest"]["components"]["index"]["name"], "help-centre");
    assert_eq!(view["manifest"]["components"]["feature_view"]["version"], "1.0.0");
    // A view that is not there is named, with the nearest that is.
    let typo = propose(&with_data.replace(": customers", ": customer"), &index).code(7).json();
    let id = typo["id"].as_str().unwrap();
    tide.run("ana", ["change", "checks", id]).prints("there is no feature view `customer`");
}

#[test]
fn a_label_meets_what_was_known_when_it_happened() {
    let tide = Tide::init(&[]);
    let (labels, values) = (example("labels.jsonl"), example("values.jsonl"));
    let (labels, values) = (labels.to_string_lossy(), values.to_string_lossy());
    let args = [
        "features",
        "join",
        "--labels",
        labels.as_ref(),
        "--values",
        values.as_ref(),
        "--max-age",
        "24h",
    ];
    let joined = tide.run("ana", args).ok().says("2 joined, 1 before the first value");
    let rows: Vec<serde_json::Value> =
        joined.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let tickets: Vec<_> = rows.iter().map(|r| r["features"]["open_tickets"].as_i64()).collect();
    assert_eq!(tickets, [Some(1), Some(2), None]);
    assert_eq!(rows[0]["resolved"], true);
    let bad = tide.write("bad.jsonl", "{\"entity\": \"c-1\"}\n").display().to_string();
    tide.run("ana", ["features", "join", "--labels", &bad, "--values", values.as_ref()])
        .code(2)
        .says("bad.jsonl:1: not a row with `entity` and `at`");
}
