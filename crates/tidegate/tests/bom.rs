//! The bill of materials of a release, as a person gets it: valid under the
//! official CycloneDX 1.6 schema, and commits, releases and components lead to
//! each other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{APP, Tide};
use std::path::PathBuf;
use std::process::Command;

/// Validates standard input with the reference library, which carries the
/// official schemas.
const VALIDATE: &str = r#"
import sys
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
print("all well" if error is None else error)
"#;

fn python() -> PathBuf {
    std::env::var_os("TIDEGATE_TEST_PYTHON").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/sdk-python/bin/python"),
        PathBuf::from,
    )
}

fn validate(file: &std::path::Path) -> String {
    let run = Command::new(python()).args(["-c", VALIDATE]).arg(file).output();
    let run = run.expect("`cargo xtask test` installs the Python packages tests need");
    format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr))
}

#[test]
fn a_bill_of_materials_is_valid_and_leads_both_ways() {
    let tide = Tide::start();
    tide.people(&[("ana", "editor")]);
    let app = tide.run("ana", ["app", "get", APP, "-o", "json"]).ok().json();
    let release = app["production"].as_str().unwrap().to_owned();
    let bom = tide.run("ana", ["release", "bom", &release]).ok();
    let file = tide.write("bom.json", &bom.stdout);
    assert_eq!(validate(&file).trim(), "all well");
    // The validator can say no.
    let broken =
        tide.write("broken.json", &bom.stdout.replace("machine-learning-model", "machine"));
    assert_ne!(validate(&broken).trim(), "all well");
    assert_eq!(bom.stdout, tide.run("ana", ["release", "bom", &release]).ok().stdout);

    let ids = |args: &[&str]| -> Vec<String> {
        let args: Vec<&str> =
            ["release", "list", "-o", "json"].into_iter().chain(args.iter().copied()).collect();
        let found = tide.run("ana", args).ok().json();
        found.as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap().to_owned()).collect()
    };
    let view = tide.run("ana", ["release", "get", &release, "-o", "json"]).ok().json();
    let commit = view["commit"].as_str().unwrap();
    assert_eq!(ids(&["--commit", &commit[..8]]), std::slice::from_ref(&release));
    let model = &view["manifest"]["components"]["model"];
    let label =
        format!("model:{}@{}", model["name"].as_str().unwrap(), model["version"].as_str().unwrap());
    assert_eq!(ids(&["--with", &label]), [release]);
    assert!(ids(&["--with", "model:another"]).is_empty());
    assert!(ids(&["--commit", "0000000000"]).is_empty());
    tide.run("ana", ["release", "list", "--with", "modle:x"]).code(2).says("one of code, prompt");
}
