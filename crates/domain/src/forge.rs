//! A forge that shows a team's changes as pull requests, as `tidegate.yaml`
//! names it, and what it is told of a change.

use crate::change::{Change, ChangeState};
use crate::finding::GateOutcome;
use serde::{Deserialize, Serialize};

/// What the name of a token's variable must begin with: no other secret of the
/// server can be sent to a forge.
pub const FORGE_PREFIX: &str = "TIDEGATE_FORGE_";
/// Longest description of a status, in characters: GitHub takes no more.
pub const MAX_DESCRIPTION: usize = 140;

/// Which interface it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForgeKind {
    /// GitHub, or GitHub Enterprise.
    Github,
    /// Gitea or Forgejo.
    Gitea,
}

/// A forge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forge {
    /// Which interface it speaks.
    pub kind: ForgeKind,
    /// Where people reach it, for example `https://github.com`.
    pub url: String,
    /// `OWNER/NAME`.
    pub repo: String,
    /// The server's variable with the token.
    pub token_env: String,
    /// The server's variable with the secret of its webhook; without one it is
    /// only asked from time to time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_env: Option<String>,
    /// The branch there that follows `main` here.
    #[serde(default = "main_branch")]
    pub base: String,
}

fn main_branch() -> String {
    "main".to_owned()
}

impl Forge {
    /// Where its interface is.
    pub fn api(&self) -> String {
        let url = self.url.trim_end_matches('/');
        match self.kind {
            ForgeKind::Github if url == "https://github.com" => "https://api.github.com".to_owned(),
            ForgeKind::Github => format!("{url}/api/v3"),
            ForgeKind::Gitea => format!("{url}/api/v1"),
        }
    }

    /// Where its git is.
    pub fn git(&self) -> String {
        format!("{}/{}.git", self.url.trim_end_matches('/'), self.repo)
    }

    /// `OWNER`.
    pub fn owner(&self) -> &str {
        self.repo.split('/').next().unwrap_or_default()
    }
}

/// How a check stands, as forges say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusState {
    /// Not known yet.
    Pending,
    /// Passed.
    Success,
    /// Did not pass.
    Failure,
}

/// One line beside a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its name, for example `tidegate/secrets`.
    pub context: String,
    /// How it stands.
    pub state: StatusState,
    /// In words.
    pub description: String,
}

/// What a forge is told of a change: each gate, and whether people said yes.
/// A branch protected by `tidegate/approval` cannot be merged there before.
pub fn statuses(change: &Change) -> Vec<Status> {
    let gates = change.report.iter().flat_map(|report| &report.gates);
    // What was not run is neither good nor bad.
    let mut all: Vec<Status> = gates
        .filter(|gate| gate.outcome != GateOutcome::Skipped)
        .map(|gate| Status {
            context: format!("tidegate/{}", gate.gate),
            state: match gate.outcome {
                GateOutcome::Failed => StatusState::Failure,
                _ => StatusState::Success,
            },
            description: clip(&gate.summary),
        })
        .collect();
    let (state, words) = match change.state {
        ChangeState::Checking => (StatusState::Pending, "Checks are running."),
        ChangeState::NeedsFixes => (StatusState::Failure, "Something is to be mended first."),
        ChangeState::NeedsApproval => (StatusState::Pending, "Waits for approval in Tidegate."),
        ChangeState::Merging => (StatusState::Success, "Approved; waits for its turn."),
        ChangeState::RollingOut => (StatusState::Success, "Approved; rolling out."),
        ChangeState::Live => (StatusState::Success, "Live for everyone."),
        ChangeState::RolledBack => (StatusState::Failure, "Went back."),
        ChangeState::Rejected => (StatusState::Failure, "An approver said no."),
        ChangeState::Withdrawn => (StatusState::Failure, "The author took it back."),
    };
    let description = words.to_owned();
    all.push(Status { context: "tidegate/approval".to_owned(), state, description });
    all
}

fn clip(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(MAX_DESCRIPTION - 1) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_where_the_forges_have_them() {
        let forge = |kind, url: &str| Forge {
            kind,
            url: url.to_owned(),
            repo: "acme/ops".to_owned(),
            token_env: "TIDEGATE_FORGE_TOKEN".to_owned(),
            webhook_env: None,
            base: main_branch(),
        };
        let github = forge(ForgeKind::Github, "https://github.com");
        assert_eq!(github.api(), "https://api.github.com");
        assert_eq!(github.git(), "https://github.com/acme/ops.git");
        let own = forge(ForgeKind::Github, "https://git.example.com/");
        assert_eq!(own.api(), "https://git.example.com/api/v3");
        let gitea = forge(ForgeKind::Gitea, "https://codeberg.org");
        assert_eq!((gitea.api().as_str(), gitea.owner()), ("https://codeberg.org/api/v1", "acme"));
    }

    #[test]
    fn a_description_is_one_line_that_fits() {
        assert_eq!(clip("fine\nmore"), "fine");
        assert_eq!(clip(&"é".repeat(500)).chars().count(), MAX_DESCRIPTION);
        assert_eq!(clip(""), "");
    }
}
