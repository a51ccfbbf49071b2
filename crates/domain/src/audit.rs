//! Entries of the audit log: who did what to what, when and why.

use crate::ids::{AppName, PersonName};
use crate::units::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Largest entry, in bytes: a tlog-tiles bundle prefixes entries by 16 bits.
/// Larger evidence goes in by digest.
pub const MAX_ENTRY_LEN: usize = 65_535;

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "name")]
pub enum Actor {
    /// A person, by token.
    Person(PersonName),
    /// The rollout controller.
    Controller,
    /// The system itself (start, key creation, reconciliation).
    System,
}

/// One entry. Its canonical form (RFC 8785) is the leaf of the Merkle tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Always `tidegate/v1`.
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What, as a stable verb such as `change.approved`.
    pub action: String,
    /// On what, such as `change/ch-41` or `app/support-summary`.
    pub object: String,
    /// The app concerned, for filters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Network address the command came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Facts: digests, weights, numbers. Never prompts, answers or keys.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub details: Value,
}
