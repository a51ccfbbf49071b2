//! Which path is which file, and which paths are none.

use crate::desired::SHARED_PARTIALS;
use crate::format::Fault;
use crate::text::whole_file;
use crate::yaml::nearest;
use domain::finding::{Finding, Severity};
use domain::ids::{AppName, EnvName};
use std::collections::{BTreeMap, BTreeSet};

/// Files of an app's own folder that are read.
const APP_FILES: [&str; 4] = ["app.yaml", "release.yaml", "rollout.yaml", "fallback.yaml"];
/// Folders at the root that hold nothing but files of a format.
const STRICT_FOLDERS: [&str; 7] =
    ["apps", "environments", "features", "indexes", "models", "policies", "prompts"];
/// The partials' folder beside the prompts.
const SHARED: &str = "_shared";

/// What lies where.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// The apps with a folder.
    pub(super) apps: BTreeMap<AppName, AppLayout>,
    /// Names of the models with a file.
    pub(super) models: BTreeSet<String>,
    /// Names of the feature views with a file.
    pub(super) views: BTreeSet<String>,
    /// Names of the indexes with a file.
    pub(super) indexes: BTreeSet<String>,
    /// Environments with an aliases file.
    pub(super) environments: BTreeSet<EnvName>,
    /// Partials for all apps: name → path.
    pub(super) partials: BTreeMap<String, String>,
    /// Files of policies.
    pub(super) policies: BTreeSet<String>,
    /// Examples of policies.
    pub(super) policy_cases: BTreeSet<String>,
    /// Paths that are no files of an ops repo.
    pub(super) stray: Vec<Finding>,
}

/// The files of one app.
#[derive(Debug, Default)]
pub(super) struct AppLayout {
    /// Prompt → names of the templates beside its `prompt.yaml`.
    pub(super) prompts: BTreeMap<String, BTreeSet<String>>,
    /// The app's own partials: name → path.
    pub(super) partials: BTreeMap<String, String>,
    /// Names of its suites: `evals/<name>.yaml`.
    pub(super) suites: BTreeSet<String>,
    /// Names of the experiments with a file.
    pub(super) experiments: BTreeSet<String>,
}

impl Layout {
    pub(super) fn of<'p>(paths: impl Iterator<Item = &'p String>) -> Self {
        let mut layout = Self::default();
        for path in paths {
            if let Err(fault) = layout.sort(path) {
                layout.stray.push(whole_file(path, fault));
            }
        }
        for finding in &mut layout.stray {
            if finding.code == "unused_file" {
                finding.severity = Severity::Warning;
            }
        }
        layout
    }

    fn sort(&mut self, path: &str) -> Result<(), Fault> {
        if path.chars().any(char::is_control) {
            return Err(Fault::new(
                "",
                "bad_path",
                "the path has a control character in it",
                "rename the file",
            ));
        }
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["apps", app, rest @ ..] if !rest.is_empty() => {
                let app: AppName = name(app)?;
                self.apps.entry(app).or_default().sort(path, rest)
            }
            ["prompts", SHARED, file] if is_template(file) => {
                self.partials.insert((*file).to_owned(), format!("{SHARED_PARTIALS}{file}"));
                Ok(())
            }
            ["models", file] if file.ends_with(".yaml") => {
                let model = file.trim_end_matches(".yaml");
                name::<AppName>(model)?;
                self.models.insert(model.to_owned());
                Ok(())
            }
            [folder @ ("features" | "indexes"), file] if file.ends_with(".yaml") => {
                let stem = file.trim_end_matches(".yaml");
                name::<AppName>(stem)?;
                let names = if *folder == "features" { &mut self.views } else { &mut self.indexes };
                names.insert(stem.to_owned());
                Ok(())
            }
            ["environments", env, "aliases.yaml"] => {
                self.environments.insert(name(env)?);
                Ok(())
            }
            ["policies", file] if file.ends_with(".cedar") => {
                self.policies.insert(path.to_owned());
                Ok(())
            }
            ["policies", "tests", file] if file.ends_with(".yaml") => {
                self.policy_cases.insert(path.to_owned());
                Ok(())
            }
            // Elsewhere it would look like a policy and protect nothing.
            _ if path.ends_with(".cedar") => Err(unused(path, [])),
            ["tidegate.yml"] => Err(unused(path, ["tidegate.yaml"])),
            ["prices.yml"] => Err(unused(path, ["prices.yaml"])),
            [folder, rest @ ..] if STRICT_FOLDERS.contains(folder) && is_format(path) => {
                let known: &[&str] = match (*folder, rest) {
                    ("environments", [_, _]) => &["aliases.yaml"],
                    _ => &[],
                };
                Err(unused(path, known.iter().copied()))
            }
            _ => Ok(()),
        }
    }
}

impl AppLayout {
    fn sort(&mut self, path: &str, rest: &[&str]) -> Result<(), Fault> {
        match rest {
            [file] if APP_FILES.contains(file) => Ok(()),
            ["evals", file] if file.ends_with(".yaml") => {
                let suite = file.trim_end_matches(".yaml");
                name::<AppName>(suite)?;
                self.suites.insert(suite.to_owned());
                Ok(())
            }
            ["evals", file] if file.ends_with(".yml") => {
                Err(unused(path, [file.replace(".yml", ".yaml").as_str()]))
            }
            ["evals", ..] => Ok(()),
            ["experiments", file] if file.ends_with(".yaml") => {
                let experiment = file.trim_end_matches(".yaml");
                name::<AppName>(experiment)?;
                self.experiments.insert(experiment.to_owned());
                Ok(())
            }
            ["prompts", SHARED, file] if is_template(file) => {
                self.partials.insert((*file).to_owned(), path.to_owned());
                Ok(())
            }
            ["prompts", prompt, file] => {
                name::<AppName>(prompt)?;
                let templates = self.prompts.entry((*prompt).to_owned()).or_default();
                if is_template(file) {
                    templates.insert((*file).to_owned());
                    Ok(())
                } else if *file == "prompt.yaml" || !is_format(path) {
                    Ok(())
                } else {
                    Err(unused(path, ["prompt.yaml"]))
                }
            }
            [_] if is_format(path) => Err(unused(path, APP_FILES)),
            _ if is_format(path) => Err(unused(path, [])),
            _ => Ok(()),
        }
    }
}

fn is_template(file: &str) -> bool {
    file.ends_with(".j2")
}

fn is_format(path: &str) -> bool {
    [".yaml", ".yml", ".j2"].iter().any(|end| path.ends_with(end))
}

fn name<T: std::str::FromStr<Err = domain::ids::InvalidId>>(text: &str) -> Result<T, Fault> {
    text.parse().map_err(|error: domain::ids::InvalidId| {
        Fault::new("", "bad_path", format!("in the path, {error}"), "rename the file or folder")
    })
}

fn unused<'k>(path: &str, known: impl IntoIterator<Item = &'k str>) -> Fault {
    let file = path.rsplit('/').next().unwrap_or(path);
    let renamed = file.replace(".yml", ".yaml");
    let near =
        known.into_iter().map(|k| (k, nearest(&renamed, [k]).is_some())).find(|(_, near)| *near);
    let mend = match near {
        Some((near, _)) => format!("did you mean `{near}`?"),
        None => "move or remove it; only the files of the documented layout are read".to_owned(),
    };
    Fault::new("", "unused_file", "nothing reads this file", mend)
}
