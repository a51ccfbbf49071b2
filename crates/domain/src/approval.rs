//! A person's yes, bound to the exact content.

use crate::ids::{Digest, PersonName, ReleaseId};
use crate::people::Role;
use crate::units::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What somebody decided about a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Yes.
    Approve,
    /// Not like this: it ends here.
    Reject,
    /// Not yet: the author mends it, and it is asked for anew.
    Ask,
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
    /// The policy that asks, by its id; absent if the app's own files do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
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
    /// Approves something, but nothing that this change asks for.
    #[error("`{0}` speaks for {1}, and this change asks nothing of that role")]
    NotAsked(PersonName, Role),
    /// The change moved on since the approver looked.
    #[error("the content changed since it was shown: it is now {now}, the approval names {given}")]
    OtherContent {
        /// Content as it is.
        now: Digest,
        /// Content the approval names.
        given: Digest,
    },
}

/// May this person approve this content, and in which roles does the word
/// count? An approver's always does; that of another role only where it is
/// asked for.
///
/// This is the core that no policy opens: authors and agents never approve,
/// and a word is about the content as it is. Policies only add to it.
///
/// # Errors
/// The reason, in words for the person.
pub fn check(
    person: &PersonName,
    roles: &BTreeSet<Role>,
    authors: &BTreeSet<PersonName>,
    asked: &[Requirement],
    current: Digest,
    given: Digest,
) -> Result<Vec<Role>, NotAllowed> {
    if authors.contains(person) {
        return Err(NotAllowed::OwnChange(person.clone()));
    }
    let speaks_for: Vec<Role> =
        Role::APPROVING.into_iter().filter(|role| roles.contains(role)).collect();
    let Some(first) = speaks_for.first().filter(|_| !roles.contains(&Role::Agent)) else {
        return Err(NotAllowed::NotApprover(person.clone()));
    };
    let counts = |role: &Role| *role == Role::Approver || asked.iter().any(|a| a.role == *role);
    let counted: Vec<Role> = speaks_for.iter().copied().filter(counts).collect();
    if counted.is_empty() {
        return Err(NotAllowed::NotAsked(person.clone(), *first));
    }
    if current != given {
        return Err(NotAllowed::OtherContent { now: current, given });
    }
    Ok(counted)
}

/// Requirements not yet met by approvals of exactly this content. A person's
/// last word counts: one who rejected may approve later. While anybody's last
/// word on this content is a rejection or asks for changes, everything stays
/// open.
pub fn missing(
    requirements: &[Requirement],
    approvals: &[Approval],
    authors: &BTreeSet<PersonName>,
    content: Digest,
) -> Vec<Requirement> {
    let mut last_words: BTreeMap<(&PersonName, Role), &Approval> = BTreeMap::new();
    for approval in approvals.iter().filter(|a| a.content == content && !authors.contains(&a.by)) {
        let word = last_words.entry((&approval.by, approval.role)).or_insert(approval);
        if approval.at >= word.at {
            *word = approval;
        }
    }
    if last_words.values().any(|a| a.decision != Decision::Approve) {
        return requirements.to_vec();
    }
    requirements
        .iter()
        .filter_map(|need| {
            let given = last_words.keys().filter(|(_, role)| *role == need.role).count();
            let open = need.count.saturating_sub(u32::try_from(given).unwrap_or(u32::MAX));
            (open > 0).then(|| Requirement { count: open, ..need.clone() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str) -> PersonName {
        name.parse().unwrap()
    }

    fn content(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    fn word(by: &str, decision: Decision, on: &str, at: i64) -> Approval {
        Approval {
            by: person(by),
            role: Role::Approver,
            decision,
            comment: String::new(),
            at: Timestamp(at),
            content: content(on),
            release: ReleaseId(content(on)),
        }
    }

    fn yes(by: &str, on: &str) -> Approval {
        word(by, Decision::Approve, on, 1)
    }

    fn asked(role: Role, count: u32) -> Requirement {
        Requirement { role, count, reason: "asked".to_owned(), policy: None }
    }

    /// How many yeses of two are still open on content `a`, written by `ana`.
    fn open(approvals: &[Approval]) -> u32 {
        let need = asked(Role::Approver, 2);
        let left = missing(&[need], approvals, &[person("ana")].into(), content("a"));
        left.iter().map(|r| r.count).sum()
    }

    #[test]
    fn only_yeses_of_different_others_on_this_content_count() {
        use Decision::{Approve, Reject};
        for (approvals, want) in [
            (vec![], 2),
            (vec![yes("sam", "a")], 1),
            (vec![yes("sam", "a"), yes("sam", "a")], 1),
            (vec![yes("sam", "a"), yes("lea", "a")], 0),
            (vec![yes("sam", "a"), yes("lea", "a"), yes("kim", "a")], 0),
            (vec![yes("sam", "a"), yes("lea", "b")], 1),
            (vec![yes("sam", "a"), yes("ana", "a")], 1),
            (vec![yes("sam", "a"), yes("lea", "a"), word("kim", Reject, "a", 2)], 2),
            (vec![yes("sam", "a"), yes("lea", "a"), word("kim", Reject, "b", 2)], 0),
            (vec![word("kim", Reject, "a", 1), word("kim", Approve, "a", 2), yes("sam", "a")], 0),
            (vec![word("kim", Approve, "a", 2), word("kim", Reject, "a", 3), yes("sam", "a")], 2),
            (vec![word("ana", Reject, "a", 3), yes("sam", "a"), yes("lea", "a")], 0),
        ] {
            assert_eq!(open(&approvals), want, "{approvals:?}");
        }
    }

    #[test]
    fn a_yes_in_another_role_does_not_count() {
        let other = Approval { role: Role::Admin, ..yes("lea", "a") };
        assert_eq!(open(&[yes("sam", "a"), other]), 1);
        assert_eq!(missing(&[], &[], &BTreeSet::new(), content("a")), vec![]);
    }

    #[test]
    fn who_may_approve_is_checked_in_words() {
        let authors = [person("ana")].into();
        let now = content("a");
        let may = |name: &str, roles: &[Role], given| {
            let asked = [asked(Role::Approver, 1), asked(Role::Finance, 1)];
            check(&person(name), &roles.iter().copied().collect(), &authors, &asked, now, given)
        };
        assert_eq!(may("sam", &[Role::Approver], now), Ok(vec![Role::Approver]));
        assert_eq!(may("sam", &[Role::Finance], now), Ok(vec![Role::Finance]));
        assert_eq!(
            may("sam", &[Role::Finance, Role::Approver], now),
            Ok(vec![Role::Approver, Role::Finance])
        );
        assert_eq!(
            check(&person("sam"), &[Role::Finance].into(), &authors, &[], now, now),
            Err(NotAllowed::NotAsked(person("sam"), Role::Finance))
        );
        assert_eq!(
            check(&person("sam"), &[Role::Approver].into(), &authors, &[], now, now),
            Ok(vec![Role::Approver])
        );
        assert_eq!(
            may("ana", &[Role::Approver, Role::Admin], now),
            Err(NotAllowed::OwnChange(person("ana")))
        );
        for roles in [
            &[][..],
            &[Role::Admin],
            &[Role::Editor, Role::Operator],
            &[Role::Approver, Role::Agent],
            &[Role::Finance, Role::Agent],
        ] {
            assert_eq!(
                may("sam", roles, now),
                Err(NotAllowed::NotApprover(person("sam"))),
                "{roles:?}"
            );
        }
        let given = content("b");
        assert_eq!(
            may("sam", &[Role::Approver], given),
            Err(NotAllowed::OtherContent { now, given })
        );
    }
}
