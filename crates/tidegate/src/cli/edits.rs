//! What `change create` sends: the files of a change, from whatever form the
//! author has them in.

use super::failure::{Exit, Failure};
use control::views::{AppView, Edit};
use std::collections::BTreeMap;
use std::path::Path;

/// Largest file read from a working copy, in bytes.
const MAX_FILE: u64 = 16 << 20;
/// Folders of the ops repo that hold what an app may depend on.
const FOLDERS: [&str; 4] = ["apps", "models", "features", "indexes"];

/// Text from `@file`, or the text itself.
pub fn text_or_file(value: &str) -> Result<String, Failure> {
    match value.strip_prefix('@') {
        Some(path) => read_text(Path::new(path)),
        None => Ok(value.to_owned()),
    }
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let fail = |e: &dyn std::fmt::Display| {
        Failure::usage(format!("cannot read `{}`: {e}", path.display()))
    };
    let size = std::fs::metadata(path).map_err(|e| fail(&e))?.len();
    if size > MAX_FILE {
        return Err(fail(&format!("it is {size} bytes long; at most {MAX_FILE} are sent"))
            .fix("push large files with git: `git clone <server>/git/ops.git`"));
    }
    std::fs::read_to_string(path).map_err(|e| fail(&e))
}

/// `--prompt @file` or `--prompt name/system.j2=@file` of this app.
pub fn prompt_edit(app: &AppView, value: &str) -> Result<Edit, Failure> {
    let (template, source) = match value.split_once('=') {
        Some((template, source)) if !value.starts_with('@') => (template.to_owned(), source),
        _ => (format!("{}/system.j2", current_prompt(app)?), value),
    };
    if !source.starts_with('@') {
        return Err(Failure::usage(format!("`--prompt {value}` names no file"))
            .fix("write `--prompt @FILE` or `--prompt NAME/system.j2=@FILE`"));
    }
    Ok(Edit {
        path: format!("apps/{}/prompts/{template}", app.name),
        content: Some(text_or_file(source)?),
    })
}

fn current_prompt(app: &AppView) -> Result<&str, Failure> {
    app.labels
        .get("prompt")
        .and_then(|label| label.split('@').next())
        .filter(|name| !name.is_empty())
        .ok_or_else(|| {
            Failure::usage(format!("`{}` has no prompt in production to edit", app.name))
                .fix("name the template: `--prompt NAME/system.j2=@FILE`")
        })
}

/// `--file path=@local`, or `--file path=` to remove the file.
pub fn file_edit(value: &str) -> Result<Edit, Failure> {
    let Some((path, source)) = value.split_once('=') else {
        return Err(Failure::usage(format!("`--file {value}` is not of the form PATH=@LOCAL"))
            .fix(
                "for example `--file models/mini.yaml=@mini.yaml`; `--file PATH=` removes a file",
            ));
    };
    let content = if source.is_empty() { None } else { Some(text_or_file(source)?) };
    Ok(Edit { path: path.to_owned(), content })
}

/// Every file of a working copy that differs from what it was cloned as.
///
/// In a git working copy that is the difference to `base`, removals included.
/// In a plain folder nothing says what was there before: every file is sent,
/// and the server keeps those that are the same.
pub fn from_dir(dir: &Path) -> Result<Vec<Edit>, Failure> {
    let here = walk(dir)?;
    let before = before(dir)?;
    let changed = here
        .iter()
        .filter(|(path, content)| before.as_ref().is_none_or(|b| b.get(*path) != Some(*content)))
        .map(|(path, content)| Edit { path: path.clone(), content: Some(content.clone()) });
    let removed = before
        .iter()
        .flatten()
        .filter(|(path, _)| !here.contains_key(*path))
        .map(|(path, _)| Edit { path: path.clone(), content: None });
    Ok(changed.chain(removed).collect())
}

/// The text files of the folders a change may touch.
fn walk(dir: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let mut files = BTreeMap::new();
    let mut open: Vec<_> = FOLDERS.iter().map(|f| dir.join(f)).filter(|p| p.is_dir()).collect();
    if open.is_empty() {
        return Err(Failure::usage(format!("`{}` holds no `apps` folder", dir.display()))
            .fix("name the top folder of a working copy of the ops repo"));
    }
    while let Some(folder) = open.pop() {
        let fail = |e: std::io::Error| {
            Failure::new(Exit::Usage, format!("cannot read `{}`: {e}", folder.display()))
        };
        for entry in std::fs::read_dir(&folder).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            let hidden = path.file_name().is_none_or(|n| n.to_string_lossy().starts_with('.'));
            if hidden {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else if let Ok(relative) = path.strip_prefix(dir) {
                files.insert(relative.to_string_lossy().into_owned(), read_text(&path)?);
            }
        }
    }
    Ok(files)
}

/// The same folders on the working copy's `main`; none if this is no git
/// working copy.
fn before(dir: &Path) -> Result<Option<BTreeMap<String, String>>, Failure> {
    let git = dir.join(".git");
    if !git.is_dir() {
        return Ok(None);
    }
    let read = || -> Result<opsrepo::Files, opsrepo::RepoError> {
        let repo = opsrepo::Repo::open(&git)?;
        repo.files(repo.head()?)
    };
    let files = read().map_err(|e| {
        Failure::usage(format!("cannot read the branch `main` of `{}`: {e}", dir.display()))
            .fix("clone it again: `git clone <server>/git/ops.git`")
    })?;
    Ok(Some(
        files
            .into_iter()
            .filter(|(path, _)| FOLDERS.iter().any(|f| path.starts_with(&format!("{f}/"))))
            .filter_map(|(path, bytes)| Some((path, String::from_utf8(bytes).ok()?)))
            .collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn app() -> AppView {
        serde_json::from_value(serde_json::json!({
            "name": "qa", "owner": "o", "risk": "low", "environment": "production",
            "production": null, "labels": {"prompt": "answer@1.0.0"}, "rollout": null,
            "killed": null, "cool_down_until": null, "generation": 1, "url": "u",
        }))
        .unwrap()
    }

    #[test]
    fn a_prompt_is_named_by_its_template_or_is_the_one_in_production() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("p=1.md");
        std::fs::write(&file, "Answer.").unwrap();
        let at = format!("@{}", file.display());
        for (value, path) in [
            (at.clone(), "apps/qa/prompts/answer/system.j2"),
            (format!("other/user.j2={at}"), "apps/qa/prompts/other/user.j2"),
        ] {
            let edit = prompt_edit(&app(), &value).unwrap();
            assert_eq!(
                (edit.path.as_str(), edit.content.as_deref()),
                (path, Some("Answer.")),
                "{value}"
            );
        }
        assert_eq!(prompt_edit(&app(), "answer/system.j2=text").unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn files_are_replaced_and_removed() {
        assert_eq!(file_edit("models/a.yaml=x: 1").unwrap().content.as_deref(), Some("x: 1"));
        assert_eq!(file_edit("models/a.yaml=").unwrap().content, None);
        assert!(file_edit("models/a.yaml").unwrap_err().fix.is_some());
    }

    #[test]
    fn a_plain_folder_is_sent_whole_without_hidden_files() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("apps/qa/prompts")).unwrap();
        std::fs::write(dir.path().join("apps/qa/app.yaml"), "a").unwrap();
        std::fs::write(dir.path().join("apps/qa/.swp"), "b").unwrap();
        std::fs::write(dir.path().join("README.md"), "c").unwrap();
        let edits: BTreeMap<_, _> =
            from_dir(dir.path()).unwrap().into_iter().map(|e| (e.path, e.content)).collect();
        assert_eq!(edits, [("apps/qa/app.yaml".to_owned(), Some("a".to_owned()))].into());
        assert_eq!(from_dir(&dir.path().join("apps/qa")).unwrap_err().exit, Exit::Usage);
    }
}
