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
    /// Says yes to what changes cost, where a policy asks for that.
    Finance,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 7] = [
        Self::Editor,
        Self::Approver,
        Self::Operator,
        Self::Auditor,
        Self::Admin,
        Self::Agent,
        Self::Finance,
    ];
    /// The roles whose yes a change may need. An approver's is always needed;
    /// another's only where a policy or the app's `approvals` ask for it.
    pub const APPROVING: [Role; 2] = [Self::Approver, Self::Finance];

    /// The word in files and on the command line.
    pub fn key(self) -> &'static str {
        match self {
            Self::Editor => "editor",
            Self::Approver => "approver",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
            Self::Agent => "agent",
            Self::Finance => "finance",
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
            wanted: "a role: editor, approver, operator, auditor, admin, agent or finance",
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

impl Permission {
    /// Every permission.
    pub const ALL: [Permission; 7] = [
        Self::Read,
        Self::Propose,
        Self::Approve,
        Self::Operate,
        Self::ClearDenied,
        Self::Administer,
        Self::Call,
    ];

    /// The word in files and logs.
    pub fn key(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Propose => "propose",
            Self::Approve => "approve",
            Self::Operate => "operate",
            Self::ClearDenied => "clear_denied",
            Self::Administer => "administer",
            Self::Call => "call",
        }
    }
}

/// True if any of these roles grants the permission. An agent never decides
/// for people, whatever else it was made.
pub fn may(roles: &BTreeSet<Role>, permission: Permission) -> bool {
    let decides = matches!(permission, Permission::Approve | Permission::ClearDenied);
    if decides && roles.contains(&Role::Agent) {
        return false;
    }
    roles.iter().any(|role| match permission {
        Permission::Read => true,
        Permission::Propose => {
            matches!(
                role,
                Role::Editor | Role::Approver | Role::Operator | Role::Admin | Role::Agent
            )
        }
        Permission::Approve | Permission::ClearDenied => matches!(role, Role::Approver),
        Permission::Operate => matches!(role, Role::Operator | Role::Admin),
        Permission::Administer => matches!(role, Role::Admin),
        Permission::Call => {
            matches!(role, Role::Editor | Role::Operator | Role::Admin | Role::Agent)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who may do what, as a file: a change of permissions shows as a
    /// difference in it.
    #[test]
    fn the_table_of_roles_is_the_committed_one() {
        let mut table = format!("{:<14}", "permission");
        Role::ALL.iter().for_each(|role| table.push_str(&format!("{:<10}", role.key())));
        table = format!("{}\n", table.trim_end());
        for permission in Permission::ALL {
            let mut row = format!("{:<14}", permission.key());
            for role in Role::ALL {
                let mark = if may(&[role].into(), permission) { "yes" } else { "-" };
                row.push_str(&format!("{mark:<10}"));
            }
            table.push_str(&format!("{}\n", row.trim_end()));
        }
        assert_eq!(table, include_str!("../tests/permissions.txt"), "{table}");
    }

    #[test]
    fn roles_add_up_except_that_an_agent_never_decides() {
        let roles: BTreeSet<_> = Role::ALL.into();
        for permission in Permission::ALL {
            let decides = matches!(permission, Permission::Approve | Permission::ClearDenied);
            assert_eq!(may(&roles, permission), !decides, "{permission:?}");
            assert!(!may(&BTreeSet::new(), permission), "no role, no permission");
        }
        let both = [Role::Editor, Role::Approver].into();
        assert!(may(&both, Permission::Approve) && may(&both, Permission::Propose));
    }

    #[test]
    fn every_role_reads_back() {
        for role in Role::ALL {
            assert_eq!(role.key().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.key());
        }
        for permission in Permission::ALL {
            assert_eq!(serde_json::to_value(permission).unwrap(), permission.key());
        }
        assert!("Approver".parse::<Role>().is_err());
    }
}
