//! `environments/<env>/aliases.yaml`: which release an app serves. The promoted
//! state: promotion and rollback are commits to this file.
//!
//! ```yaml
//! apiVersion: tidegate/v1
//! apps:
//!   support-summary:
//!     production: sha256:4f7a...
//!     candidate: sha256:7c1f...
//! ```

use super::{Fault, Format};
use domain::ids::{AppName, ReleaseId};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// A movable name for a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alias {
    /// What everyone gets.
    Production,
    /// What is on trial.
    Candidate,
}

impl Alias {
    /// Both.
    pub const ALL: [Alias; 2] = [Self::Production, Self::Candidate];

    /// The word in the file.
    pub fn key(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Candidate => "candidate",
        }
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// The aliases of one app in one environment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aliases {
    /// What everyone gets.
    #[serde(default)]
    pub production: Option<ReleaseId>,
    /// What is on trial.
    #[serde(default)]
    pub candidate: Option<ReleaseId>,
}

impl Aliases {
    /// What the alias points at.
    pub fn get(&self, alias: Alias) -> Option<ReleaseId> {
        match alias {
            Alias::Production => self.production,
            Alias::Candidate => self.candidate,
        }
    }
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AliasesFile {
    #[serde(rename = "apiVersion")]
    api_version: String,
    /// By app.
    #[serde(default)]
    pub(crate) apps: BTreeMap<AppName, Aliases>,
}

impl Format for AliasesFile {
    const REQUIRED: &'static [&'static str] = &["apiVersion"];

    fn api_version(&self) -> &str {
        &self.api_version
    }

    fn faults(&self) -> Vec<Fault> {
        Vec::new()
    }
}
