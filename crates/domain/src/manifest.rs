//! Release identity: components in, one id out.
//!
//! A release *is* its manifest: app, and per kind the name, version and digest
//! of one component. Its id is `SHA-256(JCS(manifest))`. A component's digest is
//! `SHA-256(JCS(content))`.
//!
//! What must stay true:
//! - the same components give the same id on every machine: nothing of time,
//!   author, host, file layout, key order, YAML style or line-ending enters;
//! - any component that changes gives another id: there is no component whose
//!   content is not hashed;
//! - a manifest is never edited. There is no function here that changes one.
//!
//! Text inside content is hashed as it stands except that line ends are
//! unified to `\n` when files are read (`opsrepo`), because git may rewrite
//! them per machine.

use crate::component::{Component, ComponentKind, ResolvedComponent};
use crate::ids::{AppName, Digest, ReleaseId};
use crate::jcs::{self, NotCanonical};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// The version of the canonical form. Another form would be another version.
pub const API_VERSION: &str = "tidegate/v1";

/// What a release is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always [`API_VERSION`].
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// Always `Release`.
    pub kind: String,
    /// The app this release belongs to.
    pub app: AppName,
    /// One component per kind.
    pub components: BTreeMap<ComponentKind, Component>,
}

/// A manifest with its id and the content of every component.
#[derive(Clone, PartialEq)]
pub struct Release {
    /// Digest of the manifest's canonical form.
    pub id: ReleaseId,
    /// The manifest.
    pub manifest: Manifest,
    /// Content of each component.
    pub contents: BTreeMap<ComponentKind, Value>,
}

impl fmt::Debug for Release {
    /// Contents may be prompts: they stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Release")
            .field("id", &self.id)
            .field("manifest", &self.manifest)
            .finish_non_exhaustive()
    }
}

impl Manifest {
    /// The canonical bytes: what is hashed, signed and stored.
    ///
    /// # Errors
    /// See [`jcs::canonical`]; a manifest read from its own canonical form
    /// never fails.
    pub fn canonical(&self) -> Result<Vec<u8>, NotCanonical> {
        jcs::canonical(self)
    }

    /// The release id.
    ///
    /// # Errors
    /// As [`Manifest::canonical`].
    pub fn id(&self) -> Result<ReleaseId, NotCanonical> {
        self.canonical().map(|bytes| ReleaseId(Digest::of(&bytes)))
    }
}

/// Makes a release from its components.
///
/// # Errors
/// A content that has no canonical form, with the component and place.
pub fn compose(
    app: &AppName,
    components: BTreeMap<ComponentKind, ResolvedComponent>,
) -> Result<Release, NotCanonical> {
    let mut named = BTreeMap::new();
    let mut contents = BTreeMap::new();
    for (kind, resolved) in components {
        let bytes = jcs::canonical(&resolved.content).map_err(|e| NotCanonical {
            place: format!("{kind} {}{}", resolved.name, e.place.trim_start_matches('$')),
            problem: e.problem,
        })?;
        let (name, version) = (resolved.name, resolved.version);
        named.insert(kind, Component { name, version, digest: Digest::of(&bytes) });
        // In the order of the canonical form, whatever order a file had: what is
        // sent to a provider is the same wherever the same release was made.
        let mut content = resolved.content;
        content.sort_all_objects();
        contents.insert(kind, content);
    }
    let manifest = Manifest {
        api_version: API_VERSION.to_owned(),
        kind: "Release".to_owned(),
        app: app.clone(),
        components: named,
    };
    Ok(Release { id: manifest.id()?, manifest, contents })
}

/// How two releases differ in one component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentDiff {
    /// Which component.
    pub kind: ComponentKind,
    /// In the first release; absent if it had none.
    pub before: Option<Component>,
    /// In the second release.
    pub after: Option<Component>,
}

impl ComponentDiff {
    /// True if both have the same content under the same name and version.
    pub fn same(&self) -> bool {
        self.before == self.after
    }
}

/// Both manifests side by side, every kind either has, changed or not.
pub fn diff(before: &Manifest, after: &Manifest) -> Vec<ComponentDiff> {
    ComponentKind::ALL
        .into_iter()
        .map(|kind| ComponentDiff {
            kind,
            before: before.components.get(&kind).cloned(),
            after: after.components.get(&kind).cloned(),
        })
        .filter(|d| d.before.is_some() || d.after.is_some())
        .collect()
}
