//! `tidegate.yaml`: the root of an ops repo.
//!
//! ```yaml
//! apiVersion: tidegate/v1
//! environments: [production]
//! defaults: {environment: production}
//! classifiers:
//!   moderation:
//!     url: https://moderation.example.com/v1/moderations
//!     key_env: TIDEGATE_CLASSIFIER_KEY
//!     on_failure: fail
//! ```

use super::{Fault, Format};
use domain::classifier::{Classifier, KEY_PREFIX, MAX_TIMEOUT};
use domain::ids::EnvName;
use domain::units::Span;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Settings of the whole repository.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Always `tidegate/v1`.
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// The environments releases are promoted in. `production` alone if absent.
    #[serde(default = "only_production")]
    pub environments: BTreeSet<EnvName>,
    /// What is used where nothing is said.
    #[serde(default)]
    pub defaults: Defaults,
    /// Where texts of apps may be sent to be judged, by the name apps use.
    #[serde(default)]
    pub classifiers: BTreeMap<String, Classifier>,
}

/// What is used where nothing is said.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// The environment of commands that name none.
    #[serde(default = "production")]
    pub environment: EnvName,
}

/// `production`.
#[expect(clippy::expect_used, reason = "a constant that is a valid name; tested below")]
pub(crate) fn production() -> EnvName {
    "production".parse().expect("`production` is a name")
}

fn only_production() -> BTreeSet<EnvName> {
    BTreeSet::from([production()])
}

impl Default for Defaults {
    fn default() -> Self {
        Self { environment: production() }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            api_version: domain::manifest::API_VERSION.to_owned(),
            environments: only_production(),
            defaults: Defaults::default(),
            classifiers: BTreeMap::new(),
        }
    }
}

impl Format for Settings {
    const REQUIRED: &'static [&'static str] = &["apiVersion"];

    fn api_version(&self) -> &str {
        &self.api_version
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.environments.is_empty() {
            faults.push(Fault::new(
                "environments",
                "empty_list",
                "`environments` is empty, so nothing could be promoted anywhere",
                "name at least one environment, for example `[production]`",
            ));
        } else if !self.environments.contains(&self.defaults.environment) {
            let names = self.environments.iter().map(EnvName::as_str).collect::<Vec<_>>();
            faults.push(Fault::new(
                "defaults.environment",
                "unknown_environment",
                format!("`{}` is not one of the `environments`", self.defaults.environment),
                format!("write one of: {}", names.join(", ")),
            ));
        }
        for (name, classifier) in &self.classifiers {
            faults.extend(classifier_faults(name, classifier));
        }
        faults
    }
}

fn classifier_faults(name: &str, classifier: &Classifier) -> Vec<Fault> {
    let at = |key: &str| format!("classifiers.{name}.{key}");
    let mut faults = Vec::new();
    let host = classifier.url.split_once("://").filter(|(scheme, rest)| {
        matches!(*scheme, "http" | "https")
            && !rest.starts_with('/')
            && !rest.is_empty()
            && !rest.split('/').next().unwrap_or_default().contains('@')
    });
    if host.is_none() {
        faults.push(Fault::new(
            at("url"),
            "bad_address",
            format!("`{}` is not an address texts could be sent to", classifier.url),
            "write it like `https://moderation.example.com/v1/moderations`, without a login",
        ));
    }
    if let Some(key) = classifier.key_env.as_ref().filter(|key| !key.starts_with(KEY_PREFIX)) {
        faults.push(Fault::new(
            at("key_env"),
            "bad_reference",
            format!("`{key}` is no variable for a classifier's key"),
            format!("name one of the server's that begins with `{KEY_PREFIX}`, so that no other secret can be sent"),
        ));
    }
    if classifier.timeout == Span::ZERO || classifier.timeout > MAX_TIMEOUT {
        faults.push(Fault::new(
            at("timeout"),
            "out_of_range",
            format!("a `timeout` of {} is out of range", classifier.timeout),
            format!("write more than nothing and at most `{MAX_TIMEOUT}`; `10s` is usual"),
        ));
    }
    if classifier.flag_at.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
        faults.push(Fault::new(
            at("flag_at"),
            "out_of_range",
            "`flag_at` is a score from 0 to 1",
            "write for example `0.5`",
        ));
    }
    faults
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_default_environment_is_production() {
        assert_eq!(super::Settings::default().defaults.environment.as_str(), "production");
    }
}
