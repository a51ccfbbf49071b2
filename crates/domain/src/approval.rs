//! A person's yes, bound to the exact content.

use crate::ids::{Digest, PersonName, ReleaseId};
use crate::people::Role;
use crate::units::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What somebody decided about a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Yes.
    Approve,
    /// Not like this.
    Reject,
}

/// One decision on one content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who decided.
    pub by: PersonName,
    /// In which role.
    pub role: Role,
    /// Yes or no.
    pub decision: Decision,
    /// Why, in the person's words. May be empty for a yes.
    pub comment: String,
    /// When.
    pub at: Timestamp,
    /// What was decided on: the release and everything else the change alters
    /// (rollout plan, policies). Other content makes this approval void.
    pub content: Digest,
    /// The release, for people to read.
    pub release: ReleaseId,
}

/// What a change needs before it may be merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// Role that must say yes.
    pub role: Role,
    /// How many different people of that role.
    pub count: u32,
    /// Why this is asked, in a sentence.
    pub reason: String,
}

/// Why somebody's approval cannot count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// The author may not approve.
    #[error("`{0}` wrote this change, so someone else must approve it")]
    OwnChange(PersonName),
    /// Not a role that approves.
    #[error("`{0}` is not an approver")]
    NotApprover(PersonName),
    /// The change moved on since the approver looked.
    #[error("the content changed since it was shown: it is now {now}, the approval names {given}")]
    OtherContent {
        /// Content as it is.
        now: Digest,
        /// Content the approval names.
        given: Digest,
    },
}

/// May this person approve this content?
///
/// # Errors
/// The reason, in words for the person.
pub fn check(
    person: &PersonName,
    roles: &BTreeSet<Role>,
    authors: &BTreeSet<PersonName>,
    current: Digest,
    given: Digest,
) -> Result<(), NotAllowed> {
    if authors.contains(person) {
        return Err(NotAllowed::OwnChange(person.clone()));
    }
    if !roles.contains(&Role::Approver) || roles.contains(&Role::Agent) {
        return Err(NotAllowed::NotApprover(person.clone()));
    }
    if current != given {
        return Err(NotAllowed::OtherContent { now: current, given });
    }
    Ok(())
}

/// Requirements not yet met by approvals of exactly this content. A rejection
/// of this content leaves everything open.
pub fn missing(
    requirements: &[Requirement],
    approvals: &[Approval],
    authors: &BTreeSet<PersonName>,
    content: Digest,
) -> Vec<Requirement> {
    let current = || approvals.iter().filter(|a| a.content == content && !authors.contains(&a.by));
    if current().any(|a| a.decision == Decision::Reject) {
        return requirements.to_vec();
    }
    requirements
        .iter()
        .filter_map(|need| {
            let given: BTreeSet<_> =
                current().filter(|a| a.role == need.role).map(|a| &a.by).collect();
            let open = need.count.saturating_sub(u32::try_from(given.len()).unwrap_or(u32::MAX));
            (open > 0).then(|| Requirement { count: open, ..need.clone() })
        })
        .collect()
}
