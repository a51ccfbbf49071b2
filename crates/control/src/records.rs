//! What `control` keeps in the store, one document per noun. Versioned from
//! day one by the store's schema; fields are only ever added with a default.

use domain::component::{Component, ComponentKind};
use domain::ids::{
    AppName, ChangeId, Digest, IncidentId, PersonName, ReleaseId, RolloutId,
};
use domain::manifest::Manifest;
use domain::rollout::{Report, RolloutState};
use domain::snapshot::{Kill, ServedRelease};
use domain::units::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The live state of an app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppRecord {
    /// Which app.
    pub app: AppName,
    /// What `production` points at.
    pub production: ReleaseId,
    /// Every release that was production, oldest first; the last is production.
    pub history: Vec<Promotion>,
    /// Salt of the sticky assignment.
    pub salt: String,
    /// The kill switch.
    pub killed: Option<Kill>,
    /// No new rollout before then.
    pub cool_down_until: Option<Timestamp>,
    /// The rollout under way.
    pub rollout: Option<RolloutId>,
}

/// How a release became production.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// The release.
    pub release: ReleaseId,
    /// When.
    pub at: Timestamp,
    /// By what.
    pub by: PromotedBy,
    /// The change that brought it, if one did.
    pub change: Option<ChangeId>,
}

/// What made a release production.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromotedBy {
    /// The first composition of a new app.
    Start,
    /// A rollout.
    Rollout,
    /// A person's rollback to it.
    Rollback,
}

/// A release with everything needed to serve it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReleaseRecord {
    /// Id.
    pub id: ReleaseId,
    /// Manifest.
    pub manifest: Manifest,
    /// DSSE envelope over the manifest's canonical form.
    pub envelope: serde_json::Value,
    /// Resolved content.
    pub served: ServedRelease,
    /// Recordings it names.
    pub blobs: BTreeSet<Digest>,
    /// Change that first brought it.
    pub change: Option<ChangeId>,
    /// Commit it was first composed from.
    pub commit: String,
    /// When.
    pub created_at: Timestamp,
}

/// A rollout with what happened around it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutRecord {
    /// The machine's state.
    pub state: RolloutState,
    /// True once git says what the decision said.
    pub git_settled: bool,
    /// The commit that promoted or reverted.
    pub git_commit: Option<String>,
    /// From the decision until every gateway had taken it up.
    pub swing_back: Option<Span>,
    /// Candidate answers to users.
    pub exposed: u64,
    /// Of these, bad ones by the signal that decided.
    pub harmed: u64,
    /// Incident it opened.
    pub incident: Option<IncidentId>,
    /// The newest look.
    pub report: Option<Report>,
}

/// A release that may not be proposed again until a person clears it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeniedRecord {
    /// The release.
    pub release: ReleaseId,
    /// The app.
    pub app: AppName,
    /// What it did, in a sentence.
    pub because: String,
    /// When.
    pub at: Timestamp,
}

/// A token: never the secret, only its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Hexadecimal SHA-256 of the secret.
    pub hash: String,
    /// The person it speaks for.
    pub person: Option<PersonName>,
    /// Apps it may call; with a person, all apps the person may.
    pub apps: BTreeSet<AppName>,
    /// Lets a gateway join.
    pub gateway: bool,
    /// What it is for.
    pub note: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Not valid from then on.
    pub expires_at: Timestamp,
}

/// The last published snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedRecord {
    /// Its generation.
    pub generation: domain::ids::Generation,
    /// Digest of everything in it but generation and time.
    pub content: Digest,
}

/// `kind → name@version`, as tables show a release.
pub fn labels(components: &BTreeMap<ComponentKind, Component>) -> BTreeMap<String, String> {
    components.iter().map(|(kind, c)| (kind.key().to_owned(), c.label())).collect()
}
