//! Pushes: how branches that people push become changes, and move them.
//!
//! Git keeps a journal of pushes; it is worked off here, and an entry is dropped
//! only when what follows from it is durable.

use crate::changes::{Draft, MAX_TITLE, MAX_WHY, update, word};
use crate::git::blocking;
use crate::incidents::entry;
use crate::problem::{Problem, ProblemKind};
use crate::records::AppRecord;
use crate::{Control, wrong};
use domain::audit::Actor;
use domain::change::{Change, ChangeState};
use domain::ids::{AppName, ChangeId};
use domain::units::Timestamp;
use opsrepo::{CommitId, Push, RefUpdate};
use std::collections::BTreeSet;
use store::{Kind, Query, Tx, Versioned};

impl Control {
    /// Pushed branches become changes; pushes to the branch of an open change
    /// move it. Safe to repeat: a branch whose head a change already has is left
    /// alone.
    pub(crate) async fn take_in_pushes(&self) -> Result<(), Problem> {
        let repo = self.repo.clone();
        let mut failed = Ok(());
        // Branches with a push that waits: those after it must not overtake it.
        let mut waiting = BTreeSet::new();
        for push in blocking(move || repo.take_pushes()).await? {
            match self.take_in_push(&push, &waiting).await {
                Ok(()) => {
                    let repo = self.repo.clone();
                    blocking(move || repo.push_done(&push.id)).await?;
                }
                Err(problem) => {
                    waiting.extend(push.updates.into_iter().map(|u| u.branch));
                    failed = Err(problem);
                }
            }
        }
        failed
    }

    async fn take_in_push(&self, push: &Push, waiting: &BTreeSet<String>) -> Result<(), Problem> {
        if push.updates.iter().any(|u| waiting.contains(&u.branch)) {
            return Err(wrong("a push", &"an earlier one of the same branch is not taken in yet"));
        }
        for update in &push.updates {
            match self.take_in(push, update).await {
                // What cannot be read today cannot be read tomorrow either.
                Err(problem)
                    if matches!(problem.kind, ProblemKind::Invalid | ProblemKind::NotFound) =>
                {
                    tracing::warn!(branch = update.branch, %problem, "a pushed branch becomes no change");
                }
                other => other?,
            }
        }
        Ok(())
    }

    async fn take_in(&self, push: &Push, moved: &RefUpdate) -> Result<(), Problem> {
        let now = self.clock.now();
        let open = self.open_change_on(&moved.branch).await?;
        match (open, moved.after) {
            (Some(mut change), None) => {
                change.doc.state = ChangeState::Withdrawn;
                let mut tx = Tx::new(now);
                tx.audit(
                    entry(
                        now,
                        Actor::Person(push.actor.clone()),
                        "change.withdrawn",
                        &change.doc.app,
                    )
                    .on(format!("change/{}", change.doc.id))
                    .into(),
                );
                update(&mut tx, &mut change, now);
                self.store.commit(tx).await?;
                Ok(())
            }
            (Some(change), Some(head)) if change.doc.head != head.to_string() => {
                self.move_change(change, head, &push.actor, None, now).await
            }
            (None, Some(head)) if !self.has_change_at(&moved.branch, head).await? => {
                self.change_from_push(push, &moved.branch, head, now).await
            }
            _ => Ok(()),
        }
    }

    async fn change_from_push(
        &self,
        push: &Push,
        branch: &str,
        head: CommitId,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let repo = self.repo.clone();
        let (info, paths, apps) = blocking(move || {
            let main = repo.head()?;
            let base = repo.merge_base(main, head)?.unwrap_or(main);
            let paths = repo.changed_paths(base, head)?;
            let desired = opsrepo::parse(&repo.files(head)?).0;
            let apps = desired.apps_touched(paths.iter().map(String::as_str));
            Ok((repo.info(head)?, paths, apps))
        })
        .await?;
        // An app that is new on this branch starts when the change is merged.
        let known: BTreeSet<_> =
            self.all::<AppRecord>(Kind::App).await?.into_iter().map(|a| a.doc.app).collect();
        // Files nobody can read name their app by where they lie: it is the
        // checks that tell the author what is wrong with them.
        let beneath = |app: &&AppName| {
            let folder = format!("apps/{app}/");
            paths.iter().any(|path| path.starts_with(&folder))
        };
        let app = apps.iter().find(|a| known.contains(a)).or(apps.first());
        let Some(app) = app.or_else(|| known.iter().find(beneath)) else {
            tracing::info!(branch, "a pushed branch touches no app; it becomes no change");
            return Ok(());
        };
        let subject = info.subject().chars().take(MAX_TITLE).collect::<String>();
        let body = info.message.lines().skip(1).collect::<Vec<_>>().join("\n");
        let why = if body.trim().is_empty() { subject.clone() } else { body.trim().to_owned() };
        let why: String = why.chars().take(MAX_WHY).collect();
        let draft = Draft {
            id: ChangeId(self.store.allocate("change").await?),
            app: app.clone(),
            title: subject,
            why,
            author: push.actor.clone(),
            branch: branch.to_owned(),
            head,
        };
        let mut tx = Tx::new(now);
        let actor = Actor::Person(push.actor.clone());
        self.write_new_change(&mut tx, draft, actor, None, now).await?;
        self.store.commit(tx).await?;
        Ok(())
    }

    async fn open_change_on(&self, branch: &str) -> Result<Option<Versioned<Change>>, Problem> {
        let mut query = Query::of(Kind::Change).parent(branch).newest_first();
        for state in [ChangeState::Checking, ChangeState::NeedsFixes, ChangeState::NeedsApproval] {
            query = query.state(word(state));
        }
        Ok(self.store.list(query).await?.items.into_iter().next())
    }

    async fn has_change_at(&self, branch: &str, head: CommitId) -> Result<bool, Problem> {
        let newest = Query::of(Kind::Change).parent(branch).newest_first().limit(1);
        let page = self.store.list::<Change>(newest).await?;
        Ok(page.items.first().is_some_and(|change| change.doc.head == head.to_string()))
    }

    pub(crate) async fn no_open_change_on(&self, branch: &str) -> Result<(), Problem> {
        match self.open_change_on(branch).await? {
            None => Ok(()),
            Some(change) => Err(Problem::new(
                ProblemKind::Refused,
                "branch_has_change",
                format!("branch `{branch}` belongs to {} already", change.doc.id),
                "push to the branch to update that change",
            )),
        }
    }
}
