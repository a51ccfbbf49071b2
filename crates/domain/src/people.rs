//! People, agents and what their roles let them do.

use crate::ids::PersonName;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, str::FromStr};

/// What a person is allowed to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Proposes changes.
    Editor,
    /// Approves the changes of others.
    Approver,
    /// Pauses, rolls back, kills.
    Operator,
    /// Reads everything, changes nothing.
    Auditor,
    /// Manages people, tokens and settings.
    Admin,
    /// A program proposing on behalf of a person; never approves.
    Agent,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 6] =
        [Self::Editor, Self::Approver, Self::Operator, Self::Auditor, Self::Admin, Self::Agent];

    /// The word in files and on the command line.
    pub fn key(self) -> &'static str {
        match self {
            Self::Editor => "editor",
            Self::Approver => "approver",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
            Self::Agent => "agent",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

impl FromStr for Role {
    type Err = crate::ids::InvalidId;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|r| r.key() == text).ok_or_else(|| crate::ids::InvalidId {
            given: text.to_owned(),
            wanted: "a role: editor, approver, operator, auditor, admin or agent",
        })
    }
}

/// Somebody who signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Name for signing in.
    pub name: PersonName,
    /// Name as people say it, for example `Ana Ruiz`.
    pub display: String,
    /// E-mail address: the git identity of this person's commits.
    pub email: String,
    /// What this person may do.
    pub roles: BTreeSet<Role>,
}

/// One thing somebody wants to do. The table of who may is [`may`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// See apps, changes, rollouts, releases, audit log.
    Read,
    /// Create and update changes, push branches.
    Propose,
    /// Approve or reject a change (never one's own).
    Approve,
    /// Pause, resume, roll back, kill, un-kill, move a rollout on by hand.
    Operate,
    /// Take a failed release off the deny list.
    ClearDenied,
    /// Manage people and tokens.
    Administer,
    /// Call an app through the gateway and post feedback.
    Call,
}

/// True if any of these roles grants the permission.
pub fn may(roles: &BTreeSet<Role>, permission: Permission) -> bool {
    roles.iter().any(|role| match permission {
        Permission::Read => true,
        Permission::Propose => {
            matches!(role, Role::Editor | Role::Approver | Role::Operator | Role::Admin | Role::Agent)
        }
        Permission::Approve | Permission::ClearDenied => matches!(role, Role::Approver),
        Permission::Operate => matches!(role, Role::Operator | Role::Admin),
        Permission::Administer => matches!(role, Role::Admin),
        Permission::Call => matches!(role, Role::Editor | Role::Operator | Role::Admin | Role::Agent),
    })
}
