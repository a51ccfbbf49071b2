//! A proposal to alter the ops repo, from the first keystroke to its end.

use crate::approval::{self, Approval, Decision, Requirement};
use crate::facts::Facts;
use crate::finding::GateReport;
use crate::ids::{AppName, ChangeId, Digest, Generation, PersonName, ReleaseId, RolloutId};
use crate::people::{Person, Role};
use crate::units::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Where a change stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeState {
    /// Gates are running or about to.
    Checking,
    /// A gate failed; the author mends and pushes again.
    NeedsFixes,
    /// Gates passed; people must say yes.
    NeedsApproval,
    /// Everyone asked said yes; the merge is under way.
    Merging,
    /// Merged; the rollout decides.
    RollingOut,
    /// Live for everyone.
    Live,
    /// Went back; git was reverted.
    RolledBack,
    /// An approver said no.
    Rejected,
    /// The author took it back.
    Withdrawn,
}

impl ChangeState {
    /// True if nothing more will happen to this change by itself.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Live | Self::RolledBack | Self::Rejected | Self::Withdrawn)
    }

    /// True while content may still change.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Checking | Self::NeedsFixes | Self::NeedsApproval)
    }
}

impl Change {
    /// The newest word on this content that asks for changes and was not taken
    /// back by who said it.
    pub fn asked(&self) -> Option<&Approval> {
        let mut heard = BTreeSet::new();
        self.approvals
            .iter()
            .rev()
            .filter(|word| word.content == self.content)
            // Newest first: the first of each person is their last word.
            .filter(|word| heard.insert(&word.by))
            .find(|word| word.decision == Decision::Ask)
    }
}

/// A proposal with everything decided about it so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its number.
    pub id: ChangeId,
    /// Which app it touches.
    pub app: AppName,
    /// One line for lists.
    pub title: String,
    /// Why, in the author's words: the business justification.
    pub why: String,
    /// Who proposed it: whose token it was.
    pub author: PersonName,
    /// Everybody with a commit on the branch, the author included. None of
    /// them may approve.
    pub contributors: BTreeSet<PersonName>,
    /// Branch in the ops repo.
    pub branch: String,
    /// Commit of the branch that was last looked at.
    pub head: String,
    /// Commit of `main` the branch began from.
    pub base: String,
    /// The composed release; absent while it cannot be composed.
    pub release: Option<ReleaseId>,
    /// Production's release when this was composed, for the difference.
    pub production: Option<ReleaseId>,
    /// Digest of all files the app depends on and all the branch alters, as of
    /// `head`: what approvals bind to.
    pub content: Digest,
    /// State.
    pub state: ChangeState,
    /// What the gates said about `head`.
    pub report: Option<GateReport>,
    /// The blob with what its evaluation suites measured, every number of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evals: Option<Digest>,
    /// The blob with every case of them, as JSON lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eval_cases: Option<Digest>,
    /// What is asked of whom.
    pub requirements: Vec<Requirement>,
    /// What policies were told about `head`, when it was checked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
    /// Decisions so far, void ones included.
    pub approvals: Vec<Approval>,
    /// The merge commit, once merged.
    pub merge_commit: Option<String>,
    /// The rollout, once started.
    pub rollout: Option<RolloutId>,
    /// The commit that took it back, once reverted.
    pub revert_commit: Option<String>,
    /// When it was proposed.
    pub created_at: Timestamp,
    /// When it last moved.
    pub updated_at: Timestamp,
    /// Version of this record, for `If-Match`.
    pub generation: Generation,
}

impl Change {
    /// Everybody who wrote it: none of them may approve.
    pub fn authors(&self) -> BTreeSet<PersonName> {
        self.contributors.iter().chain([&self.author]).cloned().collect()
    }

    /// True if this person's word is still wanted: asked for, not on their own
    /// change, not given yet.
    pub fn wants_word_of(&self, person: &Person) -> bool {
        let authors = self.authors();
        let counted = approval::check(
            &person.name,
            &person.roles,
            &authors,
            &self.requirements,
            self.content,
            self.content,
        );
        let missing: BTreeSet<Role> =
            approval::missing(&self.requirements, &self.approvals, &authors, self.content)
                .into_iter()
                .map(|need| need.role)
                .collect();
        let said = self.approvals.iter().any(|a| a.by == person.name && a.content == self.content);
        !said && counted.is_ok_and(|roles| roles.iter().any(|role| missing.contains(role)))
    }
}
