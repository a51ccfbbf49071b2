//! What people see when a file is wrong. Each file of `inputs/` is a case: edits
//! to the starter repository, and in `snapshots/` every finding they cause.
//!
//! ```text
//! What the case shows.
//! === path            the file's whole content follows
//! --- path            the file is not there
//! =~ path | old | new the file with one text replaced
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

use domain::finding::{Finding, Severity};
use std::fmt::Write as _;
use std::path::Path;
use tidegate_opsrepo as opsrepo;

fn files_of(case: &str) -> opsrepo::Files {
    let mut files = opsrepo::scaffold::starter(&"demo".parse().unwrap());
    let mut open: Option<String> = None;
    for line in case.lines().skip(1) {
        if let Some(path) = line.strip_prefix("=== ") {
            files.insert(path.to_owned(), Vec::new());
            open = Some(path.to_owned());
        } else if let Some(path) = line.strip_prefix("--- ") {
            files.remove(path).expect("the deleted file is in the starter");
        } else if let Some(edit) = line.strip_prefix("=~ ") {
            let parts: Vec<&str> = edit.splitn(3, '|').map(str::trim).collect();
            let [path, old, new] = parts[..] else { panic!("not an edit: {line}") };
            let text = String::from_utf8(files[path].clone()).unwrap();
            assert!(text.contains(old), "{path} has no `{old}`");
            files.insert(path.to_owned(), text.replacen(old, new, 1).into_bytes());
        } else if let Some(path) = &open {
            let content = files.get_mut(path).unwrap();
            content.extend_from_slice(line.as_bytes());
            content.push(b'\n');
        }
    }
    files
}

fn shown(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let place = finding.place.as_ref().unwrap();
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        write!(text, "{severity}[{}] {}", finding.code, place.file).unwrap();
        if let (Some(line), Some(column)) = (place.line, place.column) {
            write!(text, ":{line}:{column}").unwrap();
            if let Some(end) = place.end_column {
                write!(text, "-{end}").unwrap();
            }
        } else if let Some(line) = place.line {
            write!(text, ":{line}").unwrap();
        }
        if let Some(field) = &place.field {
            write!(text, " ({field})").unwrap();
        }
        writeln!(
            text,
            "\n  {}\n  why: {}\n  fix: {}",
            finding.message, finding.explanation, finding.mend
        )
        .unwrap();
        if let Some(replacement) = &finding.replacement {
            writeln!(text, "  put: {replacement}").unwrap();
        }
        for line in finding.excerpt.iter().flat_map(|excerpt| excerpt.lines()) {
            writeln!(text, "  {line}").unwrap();
        }
        text.push('\n');
    }
    text
}

#[test]
fn findings_of_every_case() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inputs");
    let mut cases: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 10);
    for case in cases {
        let text = std::fs::read_to_string(&case).unwrap();
        let (_, findings) = opsrepo::parse(&files_of(&text));
        assert!(!findings.is_empty(), "{}", case.display());
        for finding in &findings {
            let whole = format!("{finding:?}");
            assert!(!whole.contains("sk-live-0123456789abcdef"), "a key is shown: {whole}");
            assert!(!whole.contains("secret answer"), "an answer is shown: {whole}");
            assert!(!finding.explanation.is_empty() && !finding.mend.is_empty());
        }
        let name = case.file_stem().unwrap().to_str().unwrap();
        insta::with_settings!({
            description => text.lines().next().unwrap(),
            omit_expression => true,
            prepend_module_to_snapshot => false,
        }, { insta::assert_snapshot!(name, shown(&findings)) });
    }
}

/// Taking the replacement mends the fault.
#[test]
fn replacements_mend() {
    let case = include_str!("inputs/references.txt");
    let mut files = files_of(case);
    let (_, findings) = opsrepo::parse(&files);
    let mut mended = 0;
    // From the back, so that the columns of earlier findings stay right.
    for finding in findings.iter().rev() {
        let (Some(place), Some(new)) = (&finding.place, &finding.replacement) else { continue };
        let (Some(line), Some(column), Some(end)) = (place.line, place.column, place.end_column)
        else {
            continue;
        };
        let text = String::from_utf8(files[&place.file].clone()).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let at = &mut lines[line as usize - 1];
        let chars: Vec<char> = at.chars().collect();
        let head: String = chars[..column as usize - 1].iter().collect();
        let tail: String = chars[end as usize..].iter().collect();
        *at = format!("{head}{new}{tail}");
        files.insert(place.file.clone(), (lines.join("\n") + "\n").into_bytes());
        mended += 1;
    }
    let left: Vec<String> = opsrepo::parse(&files).1.into_iter().map(|f| f.message).collect();
    assert!(mended >= 6, "{mended}");
    assert!(left.len() <= findings.len() - mended, "{left:#?}");
}
