//! Reading the checkout.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the checkout is there")
}

/// The text of a file, by its path from the root.
pub fn read(path: &str) -> String {
    let full = root().join(path);
    std::fs::read_to_string(&full).unwrap_or_else(|e| panic!("{path} cannot be read: {e}"))
}

/// Every file that git tracks, by its path from the root. Falls
/// back to a walk where there is no git folder (a source archive).
pub fn files() -> Vec<String> {
    let listed =
        Command::new("git").args(["ls-files", "--cached", "-z"]).current_dir(root()).output();
    let mut names: Vec<String> = match listed {
        Ok(output) if output.status.success() => String::from_utf8(output.stdout)
            .expect("paths are UTF-8")
            .split('\0')
            .filter(|name| !name.is_empty() && root().join(name).is_file())
            .map(str::to_owned)
            .collect(),
        _ => {
            let mut found = Vec::new();
            walk(&root(), &mut found);
            found
        }
    };
    names.sort();
    assert!(names.len() > 50, "only {} files were found; is the checkout whole?", names.len());
    names
}

fn walk(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder can be listed").flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            if !["target", "node_modules", ".git"].iter().any(|skip| name == *skip) {
                walk(&path, found);
            }
        } else if let Ok(relative) = path.strip_prefix(root()) {
            found.push(relative.to_string_lossy().into_owned());
        }
    }
}

/// The crates, by folder name.
pub fn crates() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(root().join("crates"))
        .expect("there is a folder of crates")
        .flatten()
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Source files of one crate, without its tests folder.
pub fn sources(name: &str) -> Vec<String> {
    let under = format!("crates/{name}/src/");
    files().into_iter().filter(|f| f.starts_with(&under) && f.ends_with(".rs")).collect()
}

/// The part of a source file that ships: everything before its test module, and
/// without comments.
pub fn shipped(path: &str) -> String {
    let text = read(path);
    let before_tests = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
    before_tests
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Names in a `[table]` of a Cargo.toml, and what stands for each.
pub fn table(manifest: &str, name: &str) -> Vec<(String, String)> {
    let head = format!("[{name}]");
    manifest
        .lines()
        .skip_while(|line| line.trim() != head)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split('#').next()?.split_once('='))
        .map(|(key, value)| {
            let key = key.trim().trim_matches('"');
            let key = key.strip_suffix(".workspace").unwrap_or(key);
            (key.to_owned(), value.trim().to_owned())
        })
        .collect()
}
