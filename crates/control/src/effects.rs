//! What git is told, from the outbox: merge, promote, revert, alias.
//!
//! Each effect is carried out at least once. Its key becomes the trailer of its
//! commit, and `opsrepo` looks for that trailer first, so doing it again finds
//! the commit instead of making another. What follows in the store is one
//! transaction with the effect's removal.

use crate::Control;
use crate::branches::content_of;
use crate::changes;
use crate::git::blocking;
use crate::incidents::entry;
use crate::problem::{Problem, ProblemKind};
use crate::records::{AppRecord, DeniedRecord, RolloutRecord};
use crate::rollouts::{index, update_app};
use domain::audit::Actor;
use domain::change::{Change, ChangeState};
use domain::finding::{Finding, GateResult, Severity, Tier};
use domain::ids::{AppName, ChangeId, ReleaseId, RolloutId};
use domain::params;
use domain::rollout::{NewRollout, Phase, RolloutState};
use domain::units::{Span, Timestamp};
use opsrepo::{Alias, CommitId, Identity, NewCommit, Repo, RepoError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use store::{Effect, Kind, NewEffect, Tx, Versioned};

/// Their kind in the outbox.
pub(crate) const KIND: &str = "git";
/// How long a failed effect waits before it is tried again.
const RETRY_AFTER: Span = Span::from_secs(5);
/// How long a merge waits that another rollout of the app is in the way of.
const QUEUE_AGAIN: Span = Span::from_secs(1);
/// Effects taken from the outbox at a time: all of them, or merges that wait for
/// their turn would keep a rollback's revert from its own.
const AT_ONCE: u32 = store::MAX_PAGE;

/// What an effect is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
enum Todo {
    /// Merge an approved change and start its rollout.
    Merge { change: ChangeId },
    /// Point `candidate` at the release on trial.
    Candidate { rollout: RolloutId },
    /// Move `production` to the candidate.
    Promote { rollout: RolloutId },
    /// Take the candidate's merge back.
    Revert { rollout: RolloutId },
    /// Say in git what a new app starts with.
    Start { app: AppName, release: ReleaseId },
    /// Move `production` to an earlier release, and take back the change that
    /// brought the one it leaves.
    Restore { app: AppName, release: ReleaseId, change: Option<ChangeId>, key: String },
}

fn effect(key: String, todo: &Todo) -> NewEffect {
    NewEffect::new(key, KIND, serde_json::json!(todo))
}

/// Merge this change once its turn has come.
pub(crate) fn merge(change: ChangeId) -> NewEffect {
    effect(format!("merge/{change}"), &Todo::Merge { change })
}

/// Tell git what is on trial.
fn candidate(rollout: RolloutId) -> NewEffect {
    effect(format!("candidate/{rollout}"), &Todo::Candidate { rollout })
}

/// Tell git of a promotion.
pub(crate) fn promote(state: &RolloutState) -> NewEffect {
    effect(format!("promote/{}", state.id), &Todo::Promote { rollout: state.id })
}

/// Tell git of a rollback.
pub(crate) fn revert(state: &RolloutState) -> NewEffect {
    effect(format!("revert/{}", state.id), &Todo::Revert { rollout: state.id })
}

/// Tell git that an earlier release is back.
pub(crate) fn restore(
    app: &AppName,
    release: ReleaseId,
    change: Option<ChangeId>,
    now: Timestamp,
) -> NewEffect {
    let key = format!("restore/{app}/{}", now.0);
    let todo = Todo::Restore { app: app.clone(), release, change, key: key.clone() };
    effect(key, &todo)
}

/// Tell git what a new app starts with.
pub(crate) fn start(app: &AppName, release: ReleaseId) -> NewEffect {
    effect(format!("start/{app}"), &Todo::Start { app: app.clone(), release })
}

/// What became of an attempt.
enum Done {
    /// It and what follows from it are durable.
    Yes,
    /// Its turn has not come, for this reason.
    Later(String),
}

impl Control {
    /// Carries out what is due. One after the other: they all write `main`.
    pub(crate) async fn run_effects(&self) -> Result<(), Problem> {
        let now = self.clock.now();
        for effect in self.store.due_effects(KIND, now, AT_ONCE).await? {
            let (problem, retry) = match self.run_effect(&effect).await {
                Ok(Done::Yes) => {
                    self.wake();
                    continue;
                }
                Ok(Done::Later(why)) => (why, QUEUE_AGAIN),
                Err(problem) if problem.kind == ProblemKind::Conflict => {
                    ("somebody wrote in between".to_owned(), Span::ZERO)
                }
                Err(problem) => {
                    tracing::warn!(key = effect.key, %problem, "git does not know yet; trying again");
                    (problem.to_string(), RETRY_AFTER)
                }
            };
            self.store.effect_failed(effect.id, self.clock.now().plus(retry), &problem).await?;
        }
        Ok(())
    }

    async fn run_effect(&self, effect: &Effect) -> Result<Done, Problem> {
        let todo: Todo = serde_json::from_value(effect.payload.clone())
            .map_err(|e| crate::wrong("the outbox", &e))?;
        match todo {
            Todo::Merge { change } => self.do_merge(effect, change).await,
            Todo::Candidate { rollout } => self.do_candidate(effect, rollout).await,
            Todo::Promote { rollout } => self.do_promote(effect, rollout).await,
            Todo::Revert { rollout } => self.do_revert(effect, rollout).await,
            Todo::Start { app, release } => {
                let message = format!("Start {app} with {}\n", release.short());
                let alias = vec![(Alias::Production, Some(release))];
                self.set_aliases(&app, alias, message, &effect.key, self.clock.now()).await?;
                self.drop_effect(effect).await
            }
            Todo::Restore { app, release, change, key } => {
                self.do_restore(effect, &app, release, change, &key).await
            }
        }
    }

    async fn do_merge(&self, effect: &Effect, id: ChangeId) -> Result<Done, Problem> {
        let now = self.clock.now();
        let mut change = self.change_record(id).await?;
        if change.doc.state != ChangeState::Merging {
            return self.drop_effect(effect).await;
        }
        let app = self.store.get::<AppRecord>(Kind::App, &change.doc.app).await?;
        if let Some(why) = app.as_ref().and_then(|app| in_the_way(&app.doc, now)) {
            return Ok(Done::Later(why));
        }
        let release =
            change.doc.release.ok_or_else(|| crate::wrong("the change", &"it has no release"))?;
        let merged = match self.already_done(&effect.key).await? {
            Some(commit) => commit,
            None => match self.merge_if_it_still_may(&change.doc, release, &effect.key, now).await?
            {
                Ok(commit) => commit,
                Err(finding) => return self.send_back(effect, change, finding, now).await,
            },
        };
        let mut tx = Tx::new(now);
        change.doc.merge_commit = Some(merged.to_string());
        let details =
            params! {"commit" => merged.to_string(), "release" => release, "change" => id};
        tx.audit(
            entry(now, Actor::System, "change.merged", &change.doc.app)
                .on(format!("change/{id}"))
                .with(details)
                .into(),
        );
        match app {
            Some(app) if app.doc.production != release => {
                self.start_rollout(&mut tx, &mut change.doc, &app, release, merged, now).await?;
            }
            // Only what is around the release changed (plan, fallback, owner).
            Some(mut app) => {
                if let Some(production) = app.doc.history.last_mut() {
                    production.around = self.around_at(merged, &change.doc.app).await?;
                }
                update_app(&mut tx, &app);
                change.doc.state = ChangeState::Live;
            }
            // The app is new: the next look starts it with this.
            None => change.doc.state = ChangeState::Live,
        }
        changes::update(&mut tx, &mut change, now);
        tx.effect_done(effect.id);
        self.store.commit(tx).await?;
        self.publish().await?;
        Ok(Done::Yes)
    }

    /// Merges, unless the release failed or main moved since people said yes: a
    /// change may have waited long, behind a rollout of the very same release.
    async fn merge_if_it_still_may(
        &self,
        change: &Change,
        release: ReleaseId,
        key: &str,
        now: Timestamp,
    ) -> Result<Result<CommitId, Finding>, Problem> {
        match self.store.get::<DeniedRecord>(Kind::Denied, release).await? {
            Some(denied) => Ok(Err(crate::gates::release_denied(denied.doc))),
            None => match self.policies_still_allow(change).await? {
                Some(finding) => Ok(Err(finding)),
                None => self.merge_commit(change, key, now).await,
            },
        }
    }

    async fn merge_commit(
        &self,
        change: &Change,
        key: &str,
        now: Timestamp,
    ) -> Result<Result<CommitId, Finding>, Problem> {
        let head: CommitId = change.head.parse().map_err(|e| crate::wrong("git", &e))?;
        let identity = self.identity_of(&change.author).await?;
        let message = format!("Merge change {}: {}\n\n{}\n", change.id, change.title, change.why);
        let (repo, app, key) = (self.repo.clone(), change.app.clone(), key.to_owned());
        let approved = change.content;
        blocking(move || {
            let main = repo.head()?;
            let Some(base) = repo.merge_base(main, head)? else { return Ok(Err(base_moved())) };
            if content_of(&repo, base, head, &app)? != approved
                || moved(&repo, base, main, head, &app)?
            {
                return Ok(Err(base_moved()));
            }
            let new = NewCommit { author: &identity, message: &message, at: now, effect: &key };
            match repo.merge(head, &new) {
                Ok(commit) => Ok(Ok(commit)),
                Err(RepoError::Conflict { .. }) => Ok(Err(base_moved())),
                Err(RepoError::AlreadyMerged(_)) => Ok(Err(already_merged())),
                Err(other) => Err(other),
            }
        })
        .await
    }

    /// The merge cannot be: back to the author.
    async fn send_back(
        &self,
        effect: &Effect,
        mut change: Versioned<Change>,
        finding: Finding,
        now: Timestamp,
    ) -> Result<Done, Problem> {
        let result = GateResult::of(
            "merge",
            "It can be merged as it was approved",
            Tier::Static,
            finding.message.clone(),
            vec![finding],
        );
        change.doc.state = ChangeState::NeedsFixes;
        if let Some(report) = &mut change.doc.report {
            report.outcome = result.outcome;
            report.gates.push(result);
        }
        let mut tx = Tx::new(now);
        tx.audit(
            entry(now, Actor::System, "change.sent_back", &change.doc.app)
                .on(format!("change/{}", change.doc.id))
                .into(),
        );
        changes::update(&mut tx, &mut change, now);
        tx.effect_done(effect.id);
        self.store.commit(tx).await?;
        Ok(Done::Yes)
    }

    async fn start_rollout(
        &self,
        tx: &mut Tx,
        change: &mut Change,
        app: &Versioned<AppRecord>,
        on_trial: ReleaseId,
        merged: CommitId,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let policy = self.policy_at(merged, &change.app).await?;
        let risk = self.risk_left(&change.app, on_trial, &policy).await?;
        let id = RolloutId(self.store.allocate("rollout").await?);
        let state = RolloutState::begin(
            NewRollout {
                id,
                app: change.app.clone(),
                environment: self.config.environment.clone(),
                change: change.id,
                candidate: on_trial,
                stable: app.doc.production,
                policy,
            },
            now,
        );
        let details = params! {
            "candidate" => on_trial, "stable" => state.stable, "change" => change.id,
            "false_stop" => risk,
        };
        tx.audit(
            entry(now, Actor::Controller, "rollout.started", &change.app)
                .on(format!("rollout/{id}"))
                .with(details)
                .into(),
        );
        let record = RolloutRecord {
            state,
            git_settled: false,
            git_commit: None,
            swing_back: None,
            harm: crate::records::Harm::default(),
            incident: None,
            report: None,
            risk: Some(risk),
            spent: 0.0,
        };
        tx.create(Kind::Rollout, id, &record, index(&record.state));
        let mut app = app.clone();
        app.doc.rollout = Some(id);
        update_app(tx, &app);
        tx.effect(candidate(id));
        change.rollout = Some(id);
        change.state = ChangeState::RollingOut;
        Ok(())
    }

    async fn do_candidate(&self, effect: &Effect, id: RolloutId) -> Result<Done, Problem> {
        let state = self.rollout_record(id).await?.doc.state;
        // Told late, it must not bring back what the decision took away.
        if state.phase.is_open() {
            let message = format!("Try {} of {} as {id}\n", state.candidate.short(), state.app);
            let aliases = vec![(Alias::Candidate, Some(state.candidate))];
            self.set_aliases(&state.app, aliases, message, &effect.key, self.clock.now()).await?;
        }
        self.drop_effect(effect).await
    }

    async fn do_promote(&self, effect: &Effect, id: RolloutId) -> Result<Done, Problem> {
        let now = self.clock.now();
        let record = self.rollout_record(id).await?;
        let state = &record.doc.state;
        if state.phase != Phase::Promoting {
            // Somebody rolled back while git was out of reach.
            return self.drop_effect(effect).await;
        }
        let message = format!(
            "Promote {} of {} to production\n\n{} of change {} went through its plan.\n",
            state.candidate.short(),
            state.app,
            state.id,
            state.change
        );
        let aliases = vec![(Alias::Production, Some(state.candidate)), (Alias::Candidate, None)];
        let commit = self.set_aliases(&state.app, aliases, message, &effect.key, now).await?;
        self.settle(effect, record, commit, now).await
    }

    async fn do_revert(&self, effect: &Effect, id: RolloutId) -> Result<Done, Problem> {
        let now = self.clock.now();
        let record = self.rollout_record(id).await?;
        let change = self.change_record(record.doc.state.change).await?;
        let state = &record.doc.state;
        let why = state.decision.as_ref().map_or("", |d| d.text.as_str());
        let message = format!("Take {} of {} off trial\n", state.candidate.short(), state.app);
        // Production too: a promotion that was under way may have moved it.
        let alias = vec![(Alias::Production, Some(state.stable)), (Alias::Candidate, None)];
        self.set_aliases(&state.app, alias, message, &format!("{}/alias", effect.key), now).await?;
        let commit = self.revert_change(&change.doc, why, &effect.key, now).await?;
        self.settle(effect, record, commit, now).await
    }

    /// Git says what the decision said: let the controller finish.
    async fn settle(
        &self,
        effect: &Effect,
        mut record: Versioned<RolloutRecord>,
        commit: CommitId,
        now: Timestamp,
    ) -> Result<Done, Problem> {
        record.doc.git_settled = true;
        record.doc.git_commit = Some(commit.to_string());
        let state = &record.doc.state;
        let mut tx = Tx::new(now);
        tx.audit(
            entry(now, Actor::System, "git.reconciled", &state.app)
                .on(format!("rollout/{}", state.id))
                .with(params! {"commit" => commit.to_string()})
                .into(),
        );
        let index = index(state);
        tx.update(Kind::Rollout, state.id, record.generation, &record.doc, index);
        tx.effect_done(effect.id);
        self.store.commit(tx).await?;
        Ok(Done::Yes)
    }

    async fn do_restore(
        &self,
        effect: &Effect,
        app: &AppName,
        release: ReleaseId,
        change: Option<ChangeId>,
        key: &str,
    ) -> Result<Done, Problem> {
        let now = self.clock.now();
        let message =
            format!("Roll {app} back to {}\n\nA person rolled production back.\n", release.short());
        // What is live now: somebody may have acted again while git was out of reach.
        let live = self.app_record(app).await?.doc.production;
        let alias = vec![(Alias::Production, Some(live)), (Alias::Candidate, None)];
        let mut commit = self.set_aliases(app, alias, message, key, now).await?;
        let mut tx = Tx::new(now);
        if let Some(id) = change {
            let mut record = self.change_record(id).await?;
            let revert_key = format!("{key}/revert");
            commit = self
                .revert_change(&record.doc, "A person rolled it back.", &revert_key, now)
                .await?;
            record.doc.state = ChangeState::RolledBack;
            record.doc.revert_commit = Some(commit.to_string());
            changes::update(&mut tx, &mut record, now);
        }
        tx.audit(
            entry(now, Actor::System, "git.reconciled", app)
                .with(params! {"commit" => commit.to_string(), "release" => live})
                .into(),
        );
        self.note_revert_on_incident(&mut tx, app, &commit).await?;
        tx.effect_done(effect.id);
        self.store.commit(tx).await?;
        Ok(Done::Yes)
    }

    /// The newest incident of the app without a revert commit gets this one.
    async fn note_revert_on_incident(
        &self,
        tx: &mut Tx,
        app: &AppName,
        commit: &CommitId,
    ) -> Result<(), Problem> {
        let query = store::Query::of(Kind::Incident).app(app).newest_first().limit(1);
        let page = self.store.list::<domain::incident::Incident>(query).await?;
        if let Some(mut incident) = page.items.into_iter().find(|i| i.doc.revert_commit.is_none()) {
            incident.doc.revert_commit = Some(commit.to_string());
            crate::incidents::update(tx, &incident);
        }
        Ok(())
    }

    /// Takes a merge back. Where `main` has moved on so far that git cannot, a
    /// person must mend the files: the audit log says so, `git status` shows the
    /// difference, and the app is not held up.
    async fn revert_change(
        &self,
        change: &Change,
        why: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<CommitId, Problem> {
        let merged = change.merge_commit.as_deref().unwrap_or_default();
        let merged: CommitId = merged.parse().map_err(|e| crate::wrong("git", &e))?;
        let message = format!("Revert change {}: {}\n\n{why}\n", change.id, change.title);
        let (repo, key) = (self.repo.clone(), key.to_owned());
        let author = controller_identity();
        let (commit, conflicts) = blocking(move || {
            let new = NewCommit { author: &author, message: &message, at: now, effect: &key };
            match repo.revert(merged, &new) {
                Ok(commit) => Ok((commit, BTreeSet::new())),
                Err(RepoError::Conflict { files }) => Ok((repo.head()?, files)),
                Err(other) => Err(other),
            }
        })
        .await?;
        if !conflicts.is_empty() {
            tracing::warn!(change = %change.id, ?conflicts, "git cannot take this back by itself");
            let mut tx = Tx::new(now);
            tx.audit(
                entry(now, Actor::System, "git.needs_person", &change.app)
                    .on(format!("change/{}", change.id))
                    .with(params! {"files" => conflicts})
                    .into(),
            );
            self.store.commit(tx).await?;
        }
        Ok(commit)
    }

    async fn set_aliases(
        &self,
        app: &AppName,
        aliases: Vec<(Alias, Option<ReleaseId>)>,
        message: String,
        key: &str,
        now: Timestamp,
    ) -> Result<CommitId, Problem> {
        let (repo, app, key) = (self.repo.clone(), app.clone(), key.to_owned());
        let environment = self.config.environment.clone();
        let author = controller_identity();
        blocking(move || {
            let new = NewCommit { author: &author, message: &message, at: now, effect: &key };
            repo.set_aliases(&environment, &app, &aliases, &new)
        })
        .await
    }

    async fn already_done(&self, key: &str) -> Result<Option<CommitId>, Problem> {
        let (repo, key) = (self.repo.clone(), key.to_owned());
        blocking(move || repo.find_effect(&key)).await
    }

    async fn drop_effect(&self, effect: &Effect) -> Result<Done, Problem> {
        let mut tx = Tx::new(self.clock.now());
        tx.effect_done(effect.id);
        self.store.commit(tx).await?;
        Ok(Done::Yes)
    }
}

/// Another rollout, an experiment, or a cool-down.
fn in_the_way(app: &AppRecord, now: Timestamp) -> Option<String> {
    if let Some(rollout) = app.rollout {
        return Some(format!("waits for rollout {rollout} of the same app to end"));
    }
    if let Some(experiment) = app.experiment {
        return Some(crate::experiments::in_the_way(experiment, &app.app));
    }
    let until = app.cool_down_until.filter(|until| *until > now)?;
    Some(format!("waits for the cool-down after a rollback to end at {}", until.iso()))
}

/// True if `main` moved in a file that the app depends on: by what `main` says,
/// or by what the branch says, which may name a model nobody used before.
fn moved(
    repo: &Repo,
    base: CommitId,
    main: CommitId,
    head: CommitId,
    app: &AppName,
) -> Result<bool, RepoError> {
    let at = |commit| Ok::<_, RepoError>(opsrepo::parse(&repo.files(commit)?).0);
    let paths = repo.changed_paths(base, main)?;
    let touched = at(head)?.apps_touched(paths.iter().map(String::as_str));
    Ok(touched.contains(app) || at(base)?.content_digest(app) != at(main)?.content_digest(app))
}

fn already_merged() -> Finding {
    Finding {
        code: "already_merged".to_owned(),
        severity: Severity::Error,
        place: None,
        message: "`main` has all of this already".to_owned(),
        explanation: "Every commit of the branch reached `main` by another change.".to_owned(),
        mend: "withdraw the change, or commit something new on the branch".to_owned(),
        replacement: None,
        excerpt: None,
    }
}

fn base_moved() -> Finding {
    Finding {
        code: "base_moved".to_owned(),
        severity: Severity::Error,
        place: None,
        message: "production changed while this change was being decided".to_owned(),
        explanation: "What was approved is no longer what would go live.".to_owned(),
        mend: "Bring the branch up to date with `main` (or send the change again); \
               it is checked and approved anew."
            .to_owned(),
        replacement: None,
        excerpt: None,
    }
}

/// Whose commits the controller's are.
pub(crate) fn controller_identity() -> Identity {
    Identity { name: "Tidegate".to_owned(), email: "controller@tidegate.invalid".to_owned() }
}
