//! What an automatic action or an operator opens.

use crate::ids::{AppName, IncidentId, PersonName, ReleaseId, RolloutId};
use crate::manifest::ComponentDiff;
use crate::sentence::Sentence;
use crate::units::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// What set an incident off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// The controller rolled a candidate back.
    RolledBack,
    /// A guard dropped a variant of an experiment.
    VariantDropped,
    /// A person rolled back.
    BreakGlassRollback,
    /// A person threw the kill switch.
    Killed,
}

/// One incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Its number.
    pub id: IncidentId,
    /// The app.
    pub app: AppName,
    /// What set it off.
    pub kind: IncidentKind,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The person who acted; the controller if absent.
    pub opened_by: Option<PersonName>,
    /// What happened, in a sentence with numbers.
    pub what: Sentence,
    /// The rollout it belongs to.
    pub rollout: Option<RolloutId>,
    /// The release that did harm.
    pub suspect: Option<ReleaseId>,
    /// The last good release.
    pub restored: Option<ReleaseId>,
    /// What differs between the two: where to look first.
    pub differences: Vec<ComponentDiff>,
    /// Requests the suspect answered.
    pub requests_exposed: u64,
    /// Of these, how many were counted as bad by the signal that broke.
    pub requests_harmed: u64,
    /// From the decision until every gateway had swung back.
    pub swing_back: Option<Span>,
    /// Why the person acted; may follow within the hour.
    pub reason: Option<String>,
    /// Until when a missing reason must be given.
    pub reason_due: Option<Timestamp>,
    /// The commit that reconciled git.
    pub revert_commit: Option<String>,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
}
