//! What the page for proposing a change needs beside the change itself: the
//! files of an app, the models it could have, and the person's draft.

mod drafts;
mod models;

pub use drafts::{DraftView, MAX_DRAFT, NewDraft};
pub use models::ModelView;

use crate::Control;
use crate::caller::Caller;
use crate::facts::typical;
use crate::git::blocking;
use crate::problem::Problem;
use domain::ids::AppName;
use domain::snapshot::Variable;
use opsrepo::{Desired, Files};
use serde::Serialize;
use std::collections::BTreeMap;

/// Largest file shown, in bytes; larger ones are edited in git.
const MAX_SHOWN: usize = 256 << 10;

/// `GET /api/v1/apps/{app}/files`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FilesView {
    /// The commit they are of: send it back as `base`.
    pub base: String,
    /// The files, prompts first.
    pub files: Vec<FileView>,
    /// What requests give to the templates.
    pub variables: Vec<VariableView>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileView {
    /// Path in the ops repo.
    pub path: String,
    /// `prompt` (a template), `prompt_settings`, `partial`, `params` (the
    /// release's composition and parameters), `model`, `plan`, `fallback`, `app`,
    /// `experiment`.
    pub kind: &'static str,
    /// True if other apps use it too.
    pub shared: bool,
    /// Its text.
    pub text: String,
    /// Names of the variables a template may use.
    pub variables: Vec<String>,
}

/// One variable of the templates.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VariableView {
    /// Its name.
    pub name: String,
    /// The rest.
    #[serde(flatten)]
    pub variable: Variable,
}

impl Control {
    /// The files of an app that an editor may change, as on `main`.
    ///
    /// # Errors
    /// `no_such_app`; git could not be read.
    pub async fn app_files(&self, _caller: &Caller, app: &AppName) -> Result<FilesView, Problem> {
        let record = self.app_record(app).await?;
        // Whoever opens the files is about to type, and the first count of tokens
        // loads a vocabulary for about a second: load it meanwhile.
        let production = self.release_record(record.doc.production).await?;
        tokio::task::spawn_blocking(move || typical(&production.served.contents));
        let main = self.main().await?;
        let (repo, head) = (self.repo.clone(), main.head);
        let files = blocking(move || repo.files(head)).await?;
        let spec = main.desired.apps.get(app);
        let variables: BTreeMap<String, Variable> =
            spec.map(|spec| spec.variables.clone()).unwrap_or_default();
        Ok(FilesView {
            base: main.head.to_string(),
            files: shown(app, &files, &main.desired, &variables),
            variables: variables
                .into_iter()
                .map(|(name, variable)| VariableView { name, variable })
                .collect(),
        })
    }
}

fn shown(
    app: &AppName,
    files: &Files,
    desired: &Desired,
    variables: &BTreeMap<String, Variable>,
) -> Vec<FileView> {
    let release = desired.apps.get(app).and_then(|spec| spec.release.as_ref());
    let model = release.map(|release| format!("models/{}.yaml", release.model));
    let mut shown: Vec<FileView> = files
        .iter()
        .filter(|(_, bytes)| bytes.len() <= MAX_SHOWN)
        .filter_map(|(path, bytes)| {
            let kind = match kind_of(app, path) {
                None if Some(path) == model.as_ref() => "model",
                kind => kind?,
            };
            let template = matches!(kind, "prompt" | "partial");
            Some(FileView {
                path: path.clone(),
                kind,
                shared: !path.starts_with("apps/"),
                text: String::from_utf8(bytes.clone()).ok()?,
                variables: if template { variables.keys().cloned().collect() } else { Vec::new() },
            })
        })
        .collect();
    let order = ["prompt", "prompt_settings", "params", "model", "plan", "fallback"];
    shown.sort_by_key(|file| order.iter().position(|kind| *kind == file.kind).unwrap_or(9));
    shown
}

/// What a file is to an editor; none for what is not edited on a page.
fn kind_of(app: &AppName, path: &str) -> Option<&'static str> {
    if path.starts_with("prompts/_shared/") {
        return Some("partial");
    }
    let own = path.strip_prefix("apps/")?.strip_prefix(app.as_str())?.strip_prefix('/')?;
    match own {
        "app.yaml" => Some("app"),
        "release.yaml" => Some("params"),
        "rollout.yaml" => Some("plan"),
        "fallback.yaml" => Some("fallback"),
        _ if own.starts_with("experiments/") => Some("experiment"),
        _ if own.starts_with("prompts/_shared/") => Some("partial"),
        _ if own.starts_with("prompts/") && own.ends_with("prompt.yaml") => Some("prompt_settings"),
        _ if own.starts_with("prompts/") => Some("prompt"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_editor_sees_the_files_of_the_app_and_no_other() {
        let app: AppName = "a".parse().unwrap();
        for (path, kind) in [
            ("apps/a/prompts/p/system.j2", Some("prompt")),
            ("apps/a/prompts/p/prompt.yaml", Some("prompt_settings")),
            ("apps/a/prompts/_shared/x.j2", Some("partial")),
            ("prompts/_shared/x.j2", Some("partial")),
            ("apps/a/release.yaml", Some("params")),
            ("apps/a/rollout.yaml", Some("plan")),
            ("apps/a/evals/golden.jsonl", None),
            ("apps/ab/app.yaml", None),
            ("apps/b/app.yaml", None),
            ("environments/production/aliases.yaml", None),
            ("policies/x.cedar", None),
            ("models/m.yaml", None),
        ] {
            assert_eq!(kind_of(&app, path), kind, "{path}");
        }
    }
}
