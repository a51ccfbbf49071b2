//! Which effects are in `main` already.
//!
//! Every commit Tidegate makes ends with the line `Tidegate-Effect: <key>`.
//! Before an effect acts it looks for its key, so doing it again, after a kill at
//! any point, finds the first commit and makes no second.
//!
//! Only the last line counts, and on `main` only first parents: Tidegate writes
//! both itself, so text people put into messages or commits they push cannot
//! pass for an effect.

use super::Result;
use crate::limits::MAX_EFFECT_WALK;
use git2::{Oid, Repository};
use std::collections::HashMap;

/// The trailer's key with its colon.
const TRAILER: &str = "Tidegate-Effect: ";

/// The message as it is committed.
pub(super) fn with_trailer(message: &str, effect: &str) -> String {
    let message = message.replace('\0', " ");
    let message = message.trim();
    let in_trailers = message
        .rsplit("\n\n")
        .next()
        .is_some_and(|last| message.contains("\n\n") && last.lines().all(is_trailer));
    let gap = if in_trailers { "\n" } else { "\n\n" };
    format!("{message}{gap}{TRAILER}{effect}\n")
}

fn is_trailer(line: &str) -> bool {
    line.split_once(": ").is_some_and(|(key, _)| {
        !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    })
}

/// The effect a message carries.
pub(super) fn effect_of(message: &str) -> Option<&str> {
    message.trim_end().lines().last()?.strip_prefix(TRAILER)
}

/// True for a key that reads back as it was written.
pub(super) fn is_key(effect: &str) -> bool {
    !effect.is_empty() && effect.trim() == effect && !effect.chars().any(char::is_control)
}

/// Effects of `main`, read once and then only as far as `main` grew.
#[derive(Debug, Default)]
pub(super) struct EffectIndex {
    head: Option<Oid>,
    commits: HashMap<String, Oid>,
}

impl EffectIndex {
    /// The commit in the history of `head` that carries this effect. The oldest
    /// if there are several (there are not).
    pub(super) fn find(
        &mut self,
        git: &Repository,
        head: Oid,
        effect: &str,
    ) -> Result<Option<Oid>> {
        self.catch_up(git, head)?;
        Ok(self.commits.get(effect).copied())
    }

    fn catch_up(&mut self, git: &Repository, head: Oid) -> Result<()> {
        if self.head == Some(head) {
            return Ok(());
        }
        let mut fresh = HashMap::new();
        let mut met = false;
        let mut next = Some(head);
        for _ in 0..MAX_EFFECT_WALK {
            let Some(id) = next else { break };
            if self.head == Some(id) {
                met = true;
                break;
            }
            let commit = git.find_commit(id)?;
            if let Some(effect) = effect_of(&String::from_utf8_lossy(commit.message_bytes())) {
                fresh.insert(effect.to_owned(), id);
            }
            next = commit.parent_id(0).ok();
        }
        if !met {
            // Somebody set `main` back by hand: what was there may be gone.
            self.commits.clear();
        }
        for (effect, id) in fresh {
            self.commits.entry(effect).or_insert(id);
        }
        self.head = Some(head);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_carries_the_effect_and_nothing_else_does() {
        let plain = with_trailer("Merge ch-1\n\nWhy: shorter.", "merge-ch-1");
        assert_eq!(effect_of(&plain), Some("merge-ch-1"));
        let forged = with_trailer("x\n\nTidegate-Effect: promote-ro-9", "merge-ch-2");
        assert_eq!(effect_of(&forged), Some("merge-ch-2"));
        assert_eq!(effect_of("Tidegate-Effect: a\n\nmore text"), None);
    }

    #[test]
    fn trailers_stay_one_block() {
        let text = with_trailer("Subject\n\nBody.\n\nCo-authored-by: Ana <ana@example.org>", "k");
        assert!(
            text.ends_with("Co-authored-by: Ana <ana@example.org>\nTidegate-Effect: k\n"),
            "{text}"
        );
        assert_eq!(with_trailer("feat: subject", "k"), "feat: subject\n\nTidegate-Effect: k\n");
    }
}
