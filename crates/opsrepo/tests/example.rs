//! The shipped example: every file of it reads, its suites too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

use opsrepo::Files;
use opsrepo::suite::{CaseIds, CaseReader};
use std::path::Path;
use tidegate_opsrepo as opsrepo;

fn collect(folder: &Path, root: &Path, files: &mut Files) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, root, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
            files.insert(name, std::fs::read(&path).unwrap());
        }
    }
}

#[test]
fn the_example_reads_to_the_end_and_its_attacks_are_many() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/support-summary/ops");
    let mut files = Files::new();
    collect(&root, &root, &mut files);
    let (desired, findings) = opsrepo::parse(&files);
    assert_eq!(findings, []);
    let app = &desired.apps[&"support-summary".parse().unwrap()];
    let suite = &app.suites["attacks"];
    let path = format!("apps/support-summary/evals/{}", suite.files[0]);
    let cases: Vec<_> = CaseReader::new(&path, files[&path].as_slice(), CaseIds::default())
        .collect::<Result<_, _>>()
        .unwrap();
    assert!((30..=60).contains(&cases.len()), "{}", cases.len());
    assert!(cases.iter().all(|case| !case.checks.is_empty() && !case.tags.is_empty()));
    // The attacks give the app what it asks for, and no more.
    for case in &cases {
        let names: Vec<&String> = case.variables.keys().collect();
        assert!(names.iter().all(|name| app.variables.contains_key(*name)), "{}", case.id);
    }
}
