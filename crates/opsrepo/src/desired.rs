//! What the files of one commit say, taken together.

use crate::{Aliases, AppSpec, IndexSpec, ModelSpec, ReleaseSpec, Settings, ViewSpec};
use domain::facts::PolicyCase;
use domain::finding::Finding;
use domain::ids::{AppName, Digest, EnvName, ReleaseId};
use domain::policy::RolloutPolicy;
use domain::price::PriceList;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The desired state of everything in the repository, as far as it reads. What
/// does not read is absent here and a finding beside it.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// `tidegate.yaml`; the defaults if it is missing or faulty.
    pub settings: Settings,
    /// The apps whose `app.yaml` reads.
    pub apps: BTreeMap<AppName, AppSpec>,
    /// The models that read, by name.
    pub models: BTreeMap<String, ModelSpec>,
    /// The feature views that read, by name.
    pub views: BTreeMap<String, ViewSpec>,
    /// The vector indexes that read, by name.
    pub indexes: BTreeMap<String, IndexSpec>,
    /// The promoted state: environment → app → aliases.
    pub environments: BTreeMap<EnvName, BTreeMap<AppName, Aliases>>,
    /// `policies/*.cedar`: path → text. Whether it is Cedar is for `checks`.
    pub policies: BTreeMap<String, String>,
    /// `policies/tests/*.yaml`: path → examples of what policies must say.
    pub policy_cases: BTreeMap<String, Vec<PolicyCase>>,
    /// `prices.yaml`, if there is one that reads.
    pub prices: Option<PriceList>,
    /// Digest of every file, faulty ones included.
    pub(crate) digests: BTreeMap<String, Digest>,
    /// Everything that was found wrong.
    pub(crate) findings: Vec<Finding>,
}

impl Desired {
    /// The rollout plan of an app, if the app has one that reads.
    pub fn policy(&self, app: &AppName) -> Option<&RolloutPolicy> {
        self.apps.get(app)?.rollout.as_ref()
    }

    /// What an environment's `production` alias of an app points at.
    pub fn production(&self, env: &EnvName, app: &AppName) -> Option<ReleaseId> {
        self.environments.get(env)?.get(app)?.production
    }

    /// What an environment's `candidate` alias of an app points at.
    pub fn candidate(&self, env: &EnvName, app: &AppName) -> Option<ReleaseId> {
        self.environments.get(env)?.get(app)?.candidate
    }

    /// The large texts the app's release names by digest: its recordings.
    pub fn blobs(&self, app: &AppName) -> Vec<(Digest, Arc<[u8]>)> {
        let release = self.apps.get(app).and_then(|spec| spec.release.as_ref());
        release.map(|release| self.recordings(&release.model)).unwrap_or_default()
    }

    /// The recordings a model answers from.
    pub fn recordings(&self, model: &str) -> Vec<(Digest, Arc<[u8]>)> {
        let Some(model) = self.models.get(model) else { return Vec::new() };
        model.recordings.iter().map(|file| (file.digest, Arc::clone(&file.bytes))).collect()
    }

    /// Digest of every file the app depends on: what approvals bind to. Covers
    /// what the release id leaves out (rollout plan, fallback, app settings,
    /// evaluation cases), so that nobody's yes outlives a change of them.
    pub fn content_digest(&self, app: &AppName) -> Digest {
        let paths = self.dependencies(app);
        let mut text = String::new();
        for (path, digest) in self.digests.iter().filter(|(path, _)| paths.covers(path)) {
            // Paths hold no line end (`parse` refuses them), so this is injective.
            text.push_str(path);
            text.push('\n');
            text.push_str(&digest.hex());
            text.push('\n');
        }
        Digest::of(text.as_bytes())
    }

    /// The apps that depend on any of these paths.
    pub fn apps_touched<'a>(&self, paths: impl IntoIterator<Item = &'a str>) -> BTreeSet<AppName> {
        let paths: Vec<&str> = paths.into_iter().collect();
        self.apps
            .keys()
            .filter(|app| {
                let dependencies = self.dependencies(app);
                paths.iter().any(|path| dependencies.covers(path))
            })
            .cloned()
            .collect()
    }

    /// What texts of this app must not say; nothing if there is no such app.
    pub fn forbidden_terms(&self, app: &AppName) -> Vec<String> {
        self.apps.get(app).map(|spec| spec.forbidden_terms.clone()).unwrap_or_default()
    }

    /// What is wrong with the files this app depends on.
    pub fn findings(&self, app: &AppName) -> Vec<Finding> {
        let paths = self.dependencies(app);
        self.findings
            .iter()
            .filter(|f| f.place.as_ref().is_some_and(|place| paths.covers(&place.file)))
            .cloned()
            .collect()
    }

    fn data(&self, release: &ReleaseSpec) -> BTreeSet<String> {
        let view = release.feature_view.iter();
        let samples = view.clone().filter_map(|name| self.views.get(name)?.samples_file.clone());
        let views = view.map(|name| format!("features/{name}.yaml"));
        let indexes = release.index.iter().map(|name| format!("indexes/{name}.yaml"));
        views.chain(samples).chain(indexes).collect()
    }

    fn dependencies(&self, app: &AppName) -> Dependencies<'_> {
        let spec = self.apps.get(app);
        let release = spec.and_then(|spec| spec.release.as_ref());
        let experiments = spec.into_iter().flat_map(|spec| spec.experiments.values());
        let variants = experiments.flat_map(|experiment| &experiment.variants);
        let models: BTreeSet<&str> = release
            .map(|release| release.model.as_str())
            .into_iter()
            .chain(variants.filter_map(|variant| variant.model.as_deref()))
            .collect();
        let data = release.map(|release| self.data(release)).unwrap_or_default();
        let specs = models.iter().filter_map(|name| self.models.get(*name));
        Dependencies {
            folder: format!("apps/{app}/"),
            recordings: specs
                .flat_map(|model| &model.recordings)
                .map(|file| file.path.as_str())
                .collect(),
            data,
            models: models.into_iter().map(|name| format!("models/{name}.yaml")).collect(),
        }
    }
}

/// The files one app depends on.
struct Dependencies<'a> {
    folder: String,
    /// Of the release, and of the variants of experiments.
    models: BTreeSet<String>,
    recordings: BTreeSet<&'a str>,
    /// Feature view and index, and the view's samples.
    data: BTreeSet<String>,
}

/// Where the partials for all apps lie.
pub(crate) const SHARED_PARTIALS: &str = "prompts/_shared/";
/// The root file.
pub(crate) const SETTINGS_FILE: &str = "tidegate.yaml";
/// What tokens cost.
pub(crate) const PRICES_FILE: &str = "prices.yaml";

impl Dependencies<'_> {
    fn covers(&self, path: &str) -> bool {
        path.starts_with(&self.folder)
            || path.starts_with(SHARED_PARTIALS)
            || path == SETTINGS_FILE
            || path == PRICES_FILE
            || self.models.contains(path)
            || self.recordings.contains(path)
            || self.data.contains(path)
    }
}
