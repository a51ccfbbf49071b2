//! The release of a checkout and the one to compare with, both from files: the
//! alias names a release, and the checkout's git history has the commit that
//! makes it.

use crate::cli::failure::{Exit, Failure};
use connect::classifier::Keys;
use connect::provider::Recordings;
use domain::ids::{AppName, Digest, ReleaseId};
use domain::snapshot::{ModelContent, Provider, ServedRelease};
use evals::{Beside, Release, Releases};
use opsrepo::{Desired, Files, Repo};
use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

/// Commits searched for a release.
const MAX_SEARCH: usize = 500;
/// Shortest piece of a release's id.
const MIN_ID: usize = 6;

/// What a release is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Against {
    /// What the production alias names.
    Production,
    /// This one, by its id or the beginning of it.
    Release(String),
    /// Nothing.
    Nothing,
}

impl FromStr for Against {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "production" => Ok(Self::Production),
            "none" => Ok(Self::Nothing),
            id if id.len() >= MIN_ID => Ok(Self::Release(id.to_owned())),
            _ => Err(format!("write `production`, `none`, or {MIN_ID} characters of a release")),
        }
    }
}

/// Both releases with all that is needed to ask them.
pub(super) fn of(
    repo: &Path,
    (files, desired, app): (&Files, &Desired, &AppName),
    against: Option<String>,
    (paid, day): (bool, i64),
) -> Result<Releases, Failure> {
    let mut recordings = BTreeMap::new();
    let candidate = compose(desired, app, &mut recordings).map_err(|found| {
        let first = found.first().map(crate::cli::findings::line).unwrap_or_default();
        Failure::new(Exit::Refused, format!("the files of `{app}` do not make a release"))
            .why(first)
            .fix("`tidegate validate` lists every fault")
    })?;
    let production = match against {
        None => None,
        Some(id) if matches(candidate.id, &id) => Some(candidate.clone()),
        Some(id) => Some(search(repo, app, &id, &mut recordings)?),
    };
    let (judges, _) = evals::read_judges(files, desired, app);
    let secrets = [Some(&candidate), production.as_ref()]
        .into_iter()
        .flatten()
        .map(|release| &release.served)
        .chain(judges.values().map(|judge| &judge.served))
        .filter_map(key_env)
        // Those that make vectors are models of the repository, too.
        .chain(desired.models.values().filter_map(|model| key_of(&model.content)))
        .filter_map(|name| Some((name.clone(), std::env::var_os(name)?.into_string().ok()?)))
        .collect();
    Ok(Releases {
        candidate,
        production,
        recordings,
        of_app: Releases::recordings_of(files, app),
        secrets,
        client: paid.then(connect::http::Client::new),
        judges,
        beside: Beside {
            classifier_keys: Keys::new(|name| std::env::var_os(name)?.into_string().ok()),
            ..Beside::of(desired, desired.prices.clone().map(|list| (list, day)))
        },
    })
}

fn matches(id: ReleaseId, text: &str) -> bool {
    id.to_string() == text || id.matches(text)
}

fn key_env(served: &ServedRelease) -> Option<String> {
    key_of(&checks::template::model(served).ok()?)
}

fn key_of(model: &ModelContent) -> Option<String> {
    match &model.provider {
        Provider::Openai { key_env, .. } => key_env.clone(),
        _ => None,
    }
}

fn compose(
    desired: &Desired,
    app: &AppName,
    recordings: &mut BTreeMap<Digest, Arc<Recordings>>,
) -> Result<Release, Vec<domain::finding::Finding>> {
    let release = desired.compose(app)?;
    // Of every model: a judge has one of its own.
    for file in desired.models.values().flat_map(|model| &model.recordings) {
        if let Ok(parsed) = Recordings::parse(file.digest, &file.bytes) {
            recordings.insert(file.digest, Arc::new(parsed));
        }
    }
    let served = ServedRelease {
        app: app.clone(),
        components: release.manifest.components,
        contents: release.contents,
    };
    Ok(Release { id: release.id, served })
}

/// The commit that makes this release, newest first.
fn search(
    repo: &Path,
    app: &AppName,
    id: &str,
    recordings: &mut BTreeMap<Digest, Arc<Recordings>>,
) -> Result<Release, Failure> {
    let fail = |why: String| {
        Failure::new(
            Exit::NotFound,
            format!("cannot find the release `{id}` of `{app}` to compare with"),
        )
        .why(why)
        .fix(
            "fetch the whole history (`fetch-depth: 0` in GitHub Actions), or say `--against none`",
        )
    };
    let git = Repo::open(&repo.join(".git")).map_err(|e| fail(e.to_string()))?;
    let commits = git.reachable(MAX_SEARCH).map_err(|e| fail(e.to_string()))?;
    for commit in &commits {
        let files = git.files(*commit).map_err(|e| fail(e.to_string()))?;
        let (desired, _) = opsrepo::parse(&files);
        let mut found = BTreeMap::new();
        if let Ok(release) = compose(&desired, app, &mut found)
            && matches(release.id, id)
        {
            recordings.extend(found);
            return Ok(release);
        }
    }
    Err(fail(format!("none of {} commits makes it", commits.len())))
}
