//! Stopping harm at once: roll an app back, throw the kill switch.
//!
//! No gate, no approval, no waiting: the state changes, gateways are told, and
//! git follows from the outbox. The price is an incident, a reason (which may
//! follow within the hour) and a revert commit.

use crate::caller::Caller;
use crate::experiments::End;
use crate::incidents::{self, entry};
use crate::problem::{Problem, ProblemKind};
use crate::records::{AppRecord, DeniedRecord, Harm, PromotedBy, Promotion};
use crate::rollouts::update_app;
use crate::views::{ActionResult, NewAction};
use crate::{Control, effects};
use domain::experiment::live::Ending;
use domain::facts::PolicyAction;
use domain::ids::{AppName, Generation, ReleaseId};
use domain::incident::{Incident, IncidentKind};
use domain::params;
use domain::people::Permission;
use domain::sentence::Sentence;
use domain::snapshot::Kill;
use domain::units::{Span, Timestamp};
use store::{Index, Kind, Tx, Versioned};

/// How far back an incident counts what production answered: a rollback must
/// not wait for a day of counts to be read.
const LOOK_BACK: Span = Span::from_secs(3600);

impl Control {
    /// Carries out `rollback`, `kill` or `unkill`.
    ///
    /// # Errors
    /// `not_allowed`, `changed_meanwhile` (only if a generation was sent),
    /// `rolled_back_already`, `nothing_to_go_back_to`, `reason_missing` (un-kill).
    pub async fn app_action(
        &self,
        caller: &Caller,
        app: &AppName,
        expected: Option<Generation>,
        action: NewAction,
    ) -> Result<ActionResult, Problem> {
        caller.must(Permission::Operate)?;
        let record = self.app_record(app).await?;
        if let Some(expected) = expected.filter(|e| *e != record.generation) {
            return Err(Problem::new(
                ProblemKind::Conflict,
                "changed_meanwhile",
                format!(
                    "{app} moved on: you looked at version {expected}, it is now {}",
                    record.generation
                ),
                "look again before you act",
            ));
        }
        match action.kind.as_str() {
            "rollback" => match record.doc.rollout {
                Some(id) if action.to.is_none() => {
                    self.rollout_action(caller, id, None, action).await
                }
                None if record.doc.experiment.is_some() && action.to.is_none() => {
                    self.roll_back_experiment(caller, record, action).await
                }
                _ => self.roll_back_production(caller, record, action).await,
            },
            "kill" => self.kill(caller, record, action).await,
            "unkill" => {
                self.policies_allow(caller, PolicyAction::Unkill, Some(app)).await?;
                self.unkill(caller, record, action).await
            }
            other => Err(Problem::new(
                ProblemKind::Invalid,
                "unknown_action",
                format!("`{other}` is nothing an app can be told"),
                "send rollback, kill or unkill",
            )
            .at("kind")),
        }
    }

    async fn roll_back_production(
        &self,
        caller: &Caller,
        mut app: Versioned<AppRecord>,
        action: NewAction,
    ) -> Result<ActionResult, Problem> {
        if let Some(rollout) = app.doc.rollout {
            return Err(Problem::new(
                ProblemKind::Refused,
                "rollout_under_way",
                format!("{} has rollout {rollout} under way", app.doc.app),
                "roll that back first (without `--to`), then roll back production",
            ));
        }
        let now = self.clock.now();
        let leaving = app.doc.history.last().cloned();
        let target = match action.to.as_deref() {
            Some(wanted) => self.not_failed(named_target(&app.doc, wanted)?).await?,
            None => {
                let good =
                    self.good_before(&app.doc, app.doc.history.len(), app.doc.production).await?;
                refuse_repeat(&app.doc, good, now)?;
                good.ok_or_else(|| nothing_to_go_back_to(&app.doc.app))?
            }
        };
        let suspect = app.doc.production;
        let mut tx = Tx::new(now);
        let end = ending(Ending::RolledBack, caller, &action, now);
        self.end_experiment(&mut tx, &mut app, &end).await?;
        let was = app.doc.history.iter().rfind(|p| p.release == target);
        let around = was.and_then(|p| p.around.clone());
        app.doc.production = target;
        app.doc.history.push(Promotion {
            release: target,
            at: now,
            by: PromotedBy::Rollback,
            change: None,
            around,
        });
        let policy_cool_down = self.cool_down(&app.doc.app).await?;
        app.doc.cool_down_until = Some(now.plus(policy_cool_down));
        update_app(&mut tx, &app);
        let what = Sentence::render(
            "rolled_back_by_person",
            "{person} rolled {app} back from {from} to {to}.",
            params! {
                "person" => caller.person.display, "app" => app.doc.app,
                "from" => suspect.short(), "to" => target.short(),
            },
        );
        let mut incident = self
            .new_incident(&app.doc.app, IncidentKind::BreakGlassRollback, now, what.clone())
            .await?;
        incident.suspect = Some(suspect);
        incident.restored = Some(target);
        incident.differences = self.release_diff(target, suspect).await?;
        let harm = self.harm_in_production(&app.doc.app, suspect, leaving.as_ref(), now).await?;
        incident.requests_exposed = harm.exposed;
        incident.requests_harmed = harm.worst();
        self.open_for(&mut tx, &mut incident, caller, &action, now);
        self.deny_release(&mut tx, &app.doc.app, suspect, &what.text, caller, now).await?;
        let change = leaving.filter(|p| p.by == PromotedBy::Rollout).and_then(|p| p.change);
        tx.effect(effects::restore(&app.doc.app, target, change, now));
        tx.audit(
            entry(now, caller.actor(), "app.rolled_back", &app.doc.app)
                .because(action.reason.as_deref())
                .from(caller.source.as_deref())
                .with(params! {"from" => suspect, "to" => target})
                .into(),
        );
        self.store.commit(tx).await?;
        self.finish_action(what, None, Some(incident)).await
    }

    async fn kill(
        &self,
        caller: &Caller,
        mut app: Versioned<AppRecord>,
        action: NewAction,
    ) -> Result<ActionResult, Problem> {
        if app.doc.killed.is_some() {
            let text = format!("{} is stopped already; users get the fallback.", app.doc.app);
            let done = Sentence { code: "nothing_to_do".to_owned(), params: params! {}, text };
            return self.finish_action(done, app.doc.rollout, None).await;
        }
        let main = self.main().await?;
        let has_fallback =
            main.desired.apps.get(&app.doc.app).is_some_and(|spec| spec.fallback.is_some());
        let now = self.clock.now();
        let mut tx = Tx::new(now);
        app.doc.killed = Some(Kill { since: now, by: caller.name().clone() });
        let end = ending(Ending::Killed, caller, &action, now);
        self.end_experiment(&mut tx, &mut app, &end).await?;
        update_app(&mut tx, &app);
        let template = if has_fallback {
            "{person} threw the kill switch of {app}: users get the fallback answer."
        } else {
            "{person} threw the kill switch of {app}: it has no fallback answer, so users get an error."
        };
        let what = Sentence::render(
            "killed",
            template,
            params! {"person" => caller.person.display, "app" => app.doc.app},
        );
        let mut incident =
            self.new_incident(&app.doc.app, IncidentKind::Killed, now, what.clone()).await?;
        incident.suspect = Some(app.doc.production);
        incident.rollout = app.doc.rollout;
        self.open_for(&mut tx, &mut incident, caller, &action, now);
        tx.audit(
            entry(now, caller.actor(), "app.killed", &app.doc.app)
                .because(action.reason.as_deref())
                .from(caller.source.as_deref())
                .into(),
        );
        self.store.commit(tx).await?;
        self.finish_action(what, app.doc.rollout, Some(incident)).await
    }

    async fn unkill(
        &self,
        caller: &Caller,
        mut app: Versioned<AppRecord>,
        action: NewAction,
    ) -> Result<ActionResult, Problem> {
        let reason = action.reason.as_deref().map(str::trim).unwrap_or_default();
        if reason.chars().count() < 10 {
            return Err(Problem::new(
                ProblemKind::Invalid,
                "reason_missing",
                "switching back on needs a written reason of at least 10 characters",
                "say with `--reason` why it is safe again",
            )
            .at("reason"));
        }
        let was = app.doc.killed.take();
        let what = Sentence::render(
            if was.is_some() { "unkilled" } else { "nothing_to_do" },
            if was.is_some() {
                "{person} switched {app} back on: users get answers from {release} again."
            } else {
                "{app} is not stopped: there is nothing to switch back on."
            },
            params! {
                "person" => caller.person.display, "app" => app.doc.app,
                "release" => app.doc.production.short(),
            },
        );
        if was.is_some() {
            let now = self.clock.now();
            let mut tx = Tx::new(now);
            update_app(&mut tx, &app);
            self.close_kill_incidents(&mut tx, &app.doc.app, now).await?;
            tx.audit(
                entry(now, caller.actor(), "app.unkilled", &app.doc.app)
                    .because(Some(reason))
                    .from(caller.source.as_deref())
                    .into(),
            );
            self.store.commit(tx).await?;
        }
        self.finish_action(what, app.doc.rollout, None).await
    }

    pub(crate) async fn close_kill_incidents(
        &self,
        tx: &mut Tx,
        app: &AppName,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let open = store::Query::of(Kind::Incident).app(app).state("open");
        for mut incident in self.store.list::<Incident>(open).await?.items {
            if incident.doc.kind == IncidentKind::Killed {
                incident.doc.closed_at = Some(now);
                incidents::update(tx, &incident);
            }
        }
        Ok(())
    }

    fn open_for(
        &self,
        tx: &mut Tx,
        incident: &mut Incident,
        caller: &Caller,
        action: &NewAction,
        now: Timestamp,
    ) {
        incident.opened_by = Some(caller.name().clone());
        incidents::set_reason(incident, action.reason.as_deref(), now);
        incidents::create(tx, incident, caller.actor());
    }

    async fn deny_release(
        &self,
        tx: &mut Tx,
        app: &AppName,
        release: ReleaseId,
        because: &str,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<(), Problem> {
        if self.store.get::<DeniedRecord>(Kind::Denied, release).await?.is_none() {
            let record =
                DeniedRecord { release, app: app.clone(), because: because.to_owned(), at: now };
            tx.create(Kind::Denied, release, &record, Index::none().app(app));
            tx.audit(
                entry(now, caller.actor(), "release.denied", app)
                    .on(format!("release/{release}"))
                    .into(),
            );
        }
        Ok(())
    }

    /// A release that failed is nothing to go back to, not even by name, until
    /// an approver clears it.
    async fn not_failed(&self, release: ReleaseId) -> Result<ReleaseId, Problem> {
        let Some(denied) = self.store.get::<DeniedRecord>(Kind::Denied, release).await? else {
            return Ok(release);
        };
        let id = release.short();
        Err(Problem::new(
            ProblemKind::Refused,
            "release_denied",
            format!("{id} was taken back on {}: {}", denied.doc.at.iso(), denied.doc.because),
            format!("name another, or ask an approver: `tidegate release clear {id}`"),
        )
        .at("to"))
    }

    /// The newest release that was production before `before` in the app's
    /// history, is not `present`, and has not failed.
    pub(crate) async fn good_before(
        &self,
        app: &AppRecord,
        before: usize,
        present: ReleaseId,
    ) -> Result<Option<ReleaseId>, Problem> {
        for release in app.history.iter().take(before).rev().map(|p| p.release) {
            let failed = self.store.get::<DeniedRecord>(Kind::Denied, release).await?.is_some();
            if release != present && !failed {
                return Ok(Some(release));
            }
        }
        Ok(None)
    }

    /// What a release did since it became production, as far back as is looked.
    async fn harm_in_production(
        &self,
        app: &AppName,
        release: ReleaseId,
        since: Option<&Promotion>,
        now: Timestamp,
    ) -> Result<Harm, Problem> {
        let earliest = now.second() - LOOK_BACK.millis() / 1000;
        let since = since.map_or(earliest, |p| p.at.second().max(earliest));
        let cells = self.store.app_cells(app, since, i64::MAX).await?;
        let main = self.main().await?;
        Ok(Harm::of_release(&cells, release, main.desired.policy(app)))
    }

    async fn cool_down(&self, app: &AppName) -> Result<domain::units::Span, Problem> {
        let main = self.main().await?;
        Ok(main.desired.policy(app).map_or_else(
            || domain::policy::AfterRollback::default().cool_down,
            |policy| policy.after_rollback.cool_down,
        ))
    }

    /// Publishes, and waits a moment for the gateways, so that the answer is a
    /// fact and not a promise.
    pub(crate) async fn finish_action(
        &self,
        done: Sentence,
        rollout: Option<domain::ids::RolloutId>,
        incident: Option<Incident>,
    ) -> Result<ActionResult, Problem> {
        let snapshot = self.publish().await?;
        self.wake();
        Ok(ActionResult {
            done,
            rollout,
            incident: incident.map(|i| i.id),
            snapshot,
            gateways: self.wait_for_gateways(snapshot).await,
        })
    }
}

/// What ends an experiment together with something else.
fn ending<'a>(how: Ending, caller: &'a Caller, action: &'a NewAction, now: Timestamp) -> End<'a> {
    End {
        how,
        actor: caller.actor(),
        reason: action.reason.as_deref(),
        source: caller.source.as_deref(),
        now,
    }
}

/// A plain rollback while the app still cools down from one is a second press
/// or a second person: it must not take the good release away.
fn refuse_repeat(app: &AppRecord, good: Option<ReleaseId>, now: Timestamp) -> Result<(), Problem> {
    if app.cool_down_until.is_none_or(|until| until <= now) {
        return Ok(());
    }
    let further = good.map_or_else(
        || "to stop it too, throw the kill switch with `tidegate kill`".to_owned(),
        |release| format!("to go further back, name the release: `--to {}`", release.short()),
    );
    Err(Problem::new(
        ProblemKind::Conflict,
        "rolled_back_already",
        format!(
            "{} was rolled back moments ago; everyone has {}, the last good release",
            app.app,
            app.production.short()
        ),
        further,
    ))
}

fn nothing_to_go_back_to(app: &AppName) -> Problem {
    Problem::new(
        ProblemKind::Refused,
        "nothing_to_go_back_to",
        format!("{app} has had no other release in production that did not fail"),
        "stop it with `tidegate kill` instead; users then get the fallback answer",
    )
}

/// The earlier production release a person named.
fn named_target(app: &AppRecord, wanted: &str) -> Result<ReleaseId, Problem> {
    if app.production.matches(wanted) {
        return Err(Problem::new(
            ProblemKind::Refused,
            "live_already",
            format!("{} is what everybody has already", app.production.short()),
            "name an earlier release; `tidegate release list` shows them",
        )
        .at("to"));
    }
    let mut found: Vec<_> =
        app.history.iter().map(|p| p.release).filter(|r| r.matches(wanted)).collect();
    found.sort();
    found.dedup();
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(Problem::new(
            ProblemKind::NotFound,
            "no_such_release",
            format!("`{wanted}` is no earlier production release of {}", app.app),
            "`tidegate release list` shows them",
        )
        .at("to")),
        _ => Err(Problem::new(
            ProblemKind::Invalid,
            "ambiguous_release",
            format!("`{wanted}` fits more than one release"),
            "give more digits",
        )
        .at("to")),
    }
}
