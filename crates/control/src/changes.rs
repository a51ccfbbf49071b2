//! Changes: propose, update, decide, withdraw.
//!
//! A change is a branch in git and a record in the store. Git is written first:
//! a branch nobody recorded harms nobody, a record without its branch would.

use crate::branches::Authored;
use crate::caller::Caller;
use crate::git::blocking;
use crate::incidents::entry;
use crate::problem::{Problem, ProblemKind};
use crate::views::{ChangeView, NewApproval, NewChange, UpdateChange};
use crate::{Control, effects, wrong};
use domain::approval::{self, Approval, Decision};
use domain::audit::Actor;
use domain::change::{Change, ChangeState};
use domain::ids::{AppName, ChangeId, Generation, PersonName};
use domain::params;
use domain::people::Permission;
use domain::units::Timestamp;
use opsrepo::CommitId;
use std::collections::BTreeSet;
use store::{Index, Kind, Tx, Versioned};

/// Fewest characters of a justification.
const MIN_WHY: usize = 10;
/// Most characters of a justification.
pub(crate) const MAX_WHY: usize = 4000;
/// Most characters of a title.
pub(crate) const MAX_TITLE: usize = 100;

impl Control {
    /// Proposes a change: branch, commit under the caller's name, record; the
    /// gates start at once.
    ///
    /// # Errors
    /// `not_allowed`, `no_such_app`, `why_missing`, `nothing_changed`,
    /// `bad_content`.
    pub async fn create_change(
        &self,
        caller: &Caller,
        new: NewChange,
    ) -> Result<ChangeView, Problem> {
        caller.must(Permission::Propose)?;
        if new.why.trim().chars().count() < MIN_WHY {
            return Err(invalid(
                "why_missing",
                "a change needs a justification of at least 10 characters",
                "say in one sentence why; approvers and auditors read it",
                "why",
            ));
        }
        if new.why.chars().count() > MAX_WHY {
            return Err(invalid(
                "why_too_long",
                "a justification has at most 4000 characters",
                "say it shorter; details belong in the files",
                "why",
            ));
        }
        self.app_record(&new.app).await?;
        let id = ChangeId(self.store.allocate("change").await?);
        let now = self.clock.now();
        let title = title(&new);
        let (branch, head) = match new.branch.clone() {
            Some(branch) => {
                let (repo, name) = (self.repo.clone(), branch.clone());
                let head = blocking(move || repo.branch(&name)).await?;
                let head = head.ok_or_else(|| crate::not_found("branch", &branch))?;
                self.no_open_change_on(&branch).await?;
                (branch, head)
            }
            None => {
                let branch = self.free_branch(format!("changes/{}-{}", id.0, slug(&title))).await?;
                let main = self.main().await?.head;
                let commit = Authored {
                    branch: branch.clone(),
                    parent: main,
                    edits: new.edits,
                    bump: new.bump,
                    message: format!("{title}\n\n{}\n", new.why.trim()),
                    effect: format!("change/{id}/1"),
                };
                let head = self.commit_edits(caller, commit, now).await?;
                (branch, head)
            }
        };
        let draft = Draft {
            id,
            app: new.app,
            title,
            why: new.why.trim().to_owned(),
            author: caller.name().clone(),
            branch,
            head,
        };
        let mut tx = Tx::new(now);
        self.write_new_change(&mut tx, draft, caller.actor(), caller.source.as_deref(), now)
            .await?;
        self.store.commit(tx).await?;
        self.wake();
        self.change(caller, id).await
    }

    pub(crate) async fn write_new_change(
        &self,
        tx: &mut Tx,
        draft: Draft,
        actor: Actor,
        source: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let look = self.look_at_branch(&draft.app, draft.head, &draft.author).await?;
        let change = Change {
            id: draft.id,
            app: draft.app,
            title: draft.title,
            why: draft.why,
            author: draft.author,
            contributors: look.contributors,
            branch: draft.branch,
            head: draft.head.to_string(),
            base: look.base.to_string(),
            release: None,
            production: None,
            content: look.content,
            state: ChangeState::Checking,
            report: None,
            evals: None,
            eval_cases: None,
            requirements: Vec::new(),
            facts: None,
            approvals: Vec::new(),
            merge_commit: None,
            rollout: None,
            revert_commit: None,
            created_at: now,
            updated_at: now,
            generation: Generation(1),
        };
        tx.audit(
            entry(now, actor, "change.created", &change.app)
                .on(format!("change/{}", change.id))
                .because(Some(&change.why))
                .from(source)
                .with(params! {"head" => change.head, "branch" => change.branch, "content" => change.content})
                .into(),
        );
        tx.create(Kind::Change, change.id, &change, index(&change));
        Ok(())
    }

    /// New content under the same number. Approvals of the old content are void
    /// by themselves: they name its digest.
    ///
    /// # Errors
    /// `not_open`, `changed_meanwhile`, `nothing_changed`, `bad_content`.
    pub async fn update_change(
        &self,
        caller: &Caller,
        id: ChangeId,
        expected: Option<Generation>,
        update: UpdateChange,
    ) -> Result<ChangeView, Problem> {
        caller.must(Permission::Propose)?;
        let change = self.change_record(id).await?;
        fresh(&change, expected)?;
        must_be_open(&change.doc)?;
        let now = self.clock.now();
        let parent: CommitId = change.doc.head.parse().map_err(|e| wrong("git", &e))?;
        let commit = Authored {
            branch: change.doc.branch.clone(),
            parent,
            edits: update.edits,
            bump: update.bump,
            message: format!("Update: {}\n", change.doc.title),
            effect: format!("change/{id}/{}", change.generation.next()),
        };
        let head = self.commit_edits(caller, commit, now).await?;
        self.follow_commit(caller, change, head, now).await?;
        self.change(caller, id).await
    }

    /// Records the commit an update made. The gates may have written their report
    /// in between; the commit is made, so the record must follow it, or the two
    /// would stay apart and no later update could be told from a lost one.
    async fn follow_commit(
        &self,
        caller: &Caller,
        mut change: Versioned<Change>,
        head: CommitId,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let (id, began) = (change.doc.id, change.doc.head.clone());
        loop {
            let source = caller.source.as_deref();
            let moved = self.move_change(change, head, caller.name(), source, now).await;
            let Err(problem) = moved else { return Ok(()) };
            let fresh = self.change_record(id).await?;
            let only_checked = fresh.doc.state.is_open() && fresh.doc.head == began;
            if problem.kind != ProblemKind::Conflict || !only_checked {
                return Err(problem);
            }
            change = fresh;
        }
    }

    /// The branch is at another commit: check it anew.
    pub(crate) async fn move_change(
        &self,
        mut change: Versioned<Change>,
        head: CommitId,
        by: &PersonName,
        source: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let look = self.look_at_branch(&change.doc.app, head, by).await?;
        change.doc.head = head.to_string();
        change.doc.base = look.base.to_string();
        change.doc.content = look.content;
        change.doc.contributors.extend(look.contributors);
        change.doc.state = ChangeState::Checking;
        change.doc.report = None;
        change.doc.evals = None;
        change.doc.eval_cases = None;
        change.doc.release = None;
        let mut tx = Tx::new(now);
        tx.audit(
            entry(now, Actor::Person(by.clone()), "change.updated", &change.doc.app)
                .on(format!("change/{}", change.doc.id))
                .from(source)
                .with(params! {"head" => change.doc.head, "content" => look.content})
                .into(),
        );
        update(&mut tx, &mut change, now);
        self.store.commit(tx).await?;
        self.wake();
        Ok(())
    }

    /// A yes, a no, or the wish for changes.
    ///
    /// # Errors
    /// `own_change`, `not_an_approver`, `other_content`, `not_waiting`,
    /// `comment_missing`.
    pub async fn decide(
        &self,
        caller: &Caller,
        id: ChangeId,
        expected: Option<Generation>,
        new: NewApproval,
    ) -> Result<ChangeView, Problem> {
        let mut change = self.change_record(id).await?;
        fresh(&change, expected)?;
        let doc = &change.doc;
        let authors: BTreeSet<_> = doc.contributors.iter().chain([&doc.author]).cloned().collect();
        let (roles, asked) = (&caller.person.roles, &doc.requirements);
        let counted =
            approval::check(caller.name(), roles, &authors, asked, doc.content, new.content)
                .map_err(from_not_allowed)?;
        // Who asked for changes may find that none are needed.
        let asked_before = doc.state == ChangeState::NeedsFixes && doc.asked().is_some();
        if doc.state != ChangeState::NeedsApproval && !asked_before {
            return Err(Problem::new(
                ProblemKind::Refused,
                "not_waiting",
                format!("{id} does not wait for approval: it is {}", word(doc.state)),
                format!("`tidegate change get {}` shows where it stands", id.0),
            ));
        }
        if new.decision == Decision::Approve {
            self.policies_allow_yes(caller, doc).await?;
        }
        if new.decision != Decision::Approve && new.comment.trim().is_empty() {
            return Err(invalid(
                "comment_missing",
                "what is no yes needs a reason",
                "say what is wrong, so that it can be mended",
                "comment",
            ));
        }
        let release = doc.release.ok_or_else(|| wrong("the change", &"it has no release"))?;
        let now = self.clock.now();
        // One word for each role it counts in; a no needs to be said once.
        let words = if new.decision == Decision::Approve { counted.len() } else { 1 };
        change.doc.approvals.extend(counted.into_iter().take(words).map(|role| Approval {
            by: caller.name().clone(),
            role,
            decision: new.decision,
            comment: checks::redact::redact(new.comment.trim()),
            at: now,
            content: new.content,
            release,
        }));
        let mut tx = Tx::new(now);
        let action = match new.decision {
            Decision::Approve => "change.approved",
            Decision::Reject => "change.rejected",
            Decision::Ask => "change.asked_to_change",
        };
        tx.audit(
            entry(now, caller.actor(), action, &change.doc.app)
                .on(format!("change/{id}"))
                .because(Some(&new.comment))
                .from(caller.source.as_deref())
                .with(params! {"content" => new.content, "release" => release})
                .into(),
        );
        let doc = &change.doc;
        let open = approval::missing(&doc.requirements, &doc.approvals, &authors, doc.content);
        if new.decision == Decision::Reject {
            change.doc.state = ChangeState::Rejected;
        } else if doc.asked().is_some() {
            change.doc.state = ChangeState::NeedsFixes;
        } else if open.is_empty() {
            change.doc.state = ChangeState::Merging;
            tx.effect(effects::merge(id));
        } else {
            change.doc.state = ChangeState::NeedsApproval;
        }
        update(&mut tx, &mut change, now);
        self.store.commit(tx).await?;
        self.wake();
        self.change(caller, id).await
    }

    /// Runs the checks of the same content again: a provider was down, a policy
    /// or a label is another. Words already said stay: they name the content.
    ///
    /// # Errors
    /// `not_allowed`, `changed_meanwhile`, `not_checked_yet`, `not_open`.
    pub async fn recheck(
        &self,
        caller: &Caller,
        id: ChangeId,
        expected: Option<Generation>,
    ) -> Result<ChangeView, Problem> {
        let mut change = self.change_record(id).await?;
        fresh(&change, expected)?;
        if !domain::people::may(&caller.person.roles, Permission::Approve) {
            caller.must(Permission::Propose)?;
        }
        must_be_open(&change.doc)?;
        if change.doc.state == ChangeState::Checking {
            return Err(Problem::new(
                ProblemKind::Refused,
                "not_checked_yet",
                format!("{id} is being checked now"),
                format!("wait for it: `tidegate change checks {} --wait`", id.0),
            ));
        }
        let now = self.clock.now();
        change.doc.state = ChangeState::Checking;
        change.doc.report = None;
        let mut tx = Tx::new(now);
        tx.audit(
            entry(now, caller.actor(), "change.rechecked", &change.doc.app)
                .on(format!("change/{id}"))
                .from(caller.source.as_deref())
                .with(params! {"head" => change.doc.head, "content" => change.doc.content})
                .into(),
        );
        update(&mut tx, &mut change, now);
        self.store.commit(tx).await?;
        self.wake();
        self.change(caller, id).await
    }

    /// The author takes it back.
    ///
    /// # Errors
    /// `not_allowed` for anybody else but an admin; `not_open`.
    pub async fn withdraw(
        &self,
        caller: &Caller,
        id: ChangeId,
        expected: Option<Generation>,
    ) -> Result<ChangeView, Problem> {
        let mut change = self.change_record(id).await?;
        fresh(&change, expected)?;
        if change.doc.author != *caller.name() {
            caller.must(Permission::Administer)?;
        }
        must_be_open(&change.doc)?;
        let now = self.clock.now();
        change.doc.state = ChangeState::Withdrawn;
        let mut tx = Tx::new(now);
        tx.audit(
            entry(now, caller.actor(), "change.withdrawn", &change.doc.app)
                .on(format!("change/{id}"))
                .from(caller.source.as_deref())
                .into(),
        );
        update(&mut tx, &mut change, now);
        self.store.commit(tx).await?;
        // What hangs on it, such as its preview, ends with it.
        self.wake();
        self.change(caller, id).await
    }
}

/// A change about to be recorded.
pub(crate) struct Draft {
    pub(crate) id: ChangeId,
    pub(crate) app: AppName,
    pub(crate) title: String,
    pub(crate) why: String,
    pub(crate) author: PersonName,
    pub(crate) branch: String,
    pub(crate) head: CommitId,
}

/// Writes a change back under the generation it was read at.
pub(crate) fn update(tx: &mut Tx, change: &mut Versioned<Change>, now: Timestamp) {
    change.doc.updated_at = now;
    change.doc.generation = change.generation.next();
    let index = index(&change.doc);
    tx.update(Kind::Change, change.doc.id, change.generation, &change.doc, index);
}

fn index(change: &Change) -> Index {
    Index::none().app(&change.app).state(word(change.state)).parent(&change.branch)
}

/// The state as lists and filters name it.
pub(crate) fn word(state: ChangeState) -> &'static str {
    match state {
        ChangeState::Checking => "checking",
        ChangeState::NeedsFixes => "needs_fixes",
        ChangeState::NeedsApproval => "needs_approval",
        ChangeState::Merging => "merging",
        ChangeState::RollingOut => "rolling_out",
        ChangeState::Live => "live",
        ChangeState::RolledBack => "rolled_back",
        ChangeState::Rejected => "rejected",
        ChangeState::Withdrawn => "withdrawn",
    }
}

fn fresh(change: &Versioned<Change>, expected: Option<Generation>) -> Result<(), Problem> {
    match expected {
        Some(expected) if expected != change.generation => Err(Problem::new(
            ProblemKind::Conflict,
            "changed_meanwhile",
            format!(
                "{} moved on: you looked at version {expected}, it is now {}",
                change.doc.id, change.generation
            ),
            "look again before you act",
        )),
        _ => Ok(()),
    }
}

fn must_be_open(change: &Change) -> Result<(), Problem> {
    if change.state.is_open() {
        return Ok(());
    }
    Err(Problem::new(
        ProblemKind::Refused,
        "not_open",
        format!("{} can no longer be altered: it is {}", change.id, word(change.state)),
        "propose a new change",
    ))
}

fn title(new: &NewChange) -> String {
    let text = new.title.as_deref().unwrap_or(&new.why);
    text.lines().next().unwrap_or_default().trim().chars().take(MAX_TITLE).collect()
}

/// A branch-friendly form of a title.
fn slug(title: &str) -> String {
    let mut slug = String::new();
    for c in title.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
        if slug.len() >= 40 {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "change".to_owned() } else { slug.to_owned() }
}

pub(crate) fn parse_bump(text: &str) -> Result<crate::bump::Bump, Problem> {
    text.parse().map_err(|()| {
        invalid(
            "bad_bump",
            "a version is raised by `patch`, `minor` or `major`",
            "send one of these",
            "bump",
        )
    })
}

fn from_not_allowed(error: approval::NotAllowed) -> Problem {
    let (kind, code, hint) = match &error {
        approval::NotAllowed::OwnChange(_) => {
            (ProblemKind::NotAllowed, "own_change", "ask somebody who did not write any of it")
        }
        approval::NotAllowed::NotApprover(_) => {
            (ProblemKind::NotAllowed, "not_an_approver", "ask an approver")
        }
        approval::NotAllowed::NotAsked(..) => {
            (ProblemKind::NotAllowed, "not_asked", "ask an approver")
        }
        approval::NotAllowed::OtherContent { .. } => {
            (ProblemKind::Conflict, "other_content", "look at the change as it is now, then decide")
        }
    };
    Problem::new(kind, code, error.to_string(), hint)
}

pub(crate) fn invalid(code: &str, detail: &str, hint: &str, field: &str) -> Problem {
    Problem::new(ProblemKind::Invalid, code, detail, hint).at(field)
}
