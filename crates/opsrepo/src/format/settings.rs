//! `tidegate.yaml`: the root of an ops repo.
//!
//! ```yaml
//! apiVersion: tidegate/v1
//! environments: [production]
//! defaults: {environment: production}
//! ```

use super::{Fault, Format};
use domain::ids::EnvName;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Settings of the whole repository.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
        faults
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_default_environment_is_production() {
        assert_eq!(super::Settings::default().defaults.environment.as_str(), "production");
    }
}
