//! Live experiments: several reviewed variants on an app's traffic.
//!
//! - here: what people tell them: start, stop, conclude;
//! - `look`: the turn that feeds the outcomes to the tests and stores what
//!   follows; `evidence`: the tests between turns;
//! - [`view`]: what people read.
//!
//! What must stay true:
//! - a variant is composed from `main`, which only reviewed changes move, out of
//!   a file of `main`; control is production's release. Nothing unreviewed can
//!   be named;
//! - an app has a rollout or an experiment, never both: both are noted in the
//!   app's own record, under its generation;
//! - kill switch and rollback end the experiment in their own transaction.

mod evidence;
pub(crate) mod gate;
mod look;
pub mod view;

use crate::caller::Caller;
use crate::incidents::{self, entry};
use crate::problem::{Problem, ProblemKind};
use crate::records::AppRecord;
use crate::rollouts::update_app;
use crate::views::{ActionResult, NewAction};
use crate::{Control, not_found};
use domain::audit::Actor;
use domain::experiment::ExperimentPolicy;
use domain::experiment::live::{Ending, ExperimentState, NewExperiment, Phase};
use domain::facts::PolicyAction;
use domain::ids::{AppName, ExperimentId, Generation, IncidentId};
use domain::incident::IncidentKind;
use domain::manifest::Release;
use domain::params;
use domain::people::Permission;
use domain::sentence::Sentence;
use domain::units::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use store::{Index, Kind, Tx, Versioned};
use view::{ExperimentView, Numbers, StartExperiment};

pub(crate) use evidence::Trials;

/// What an experiment is looked at under, with what happened around it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ExperimentRecord {
    /// What is decided.
    pub(crate) state: ExperimentState,
    /// The commit its variants were composed from.
    pub(crate) commit: String,
    /// The report of the last look, as `experiment run` writes it.
    pub(crate) report: Option<serde_json::Value>,
    /// The last look in a sentence.
    pub(crate) summary: Option<Sentence>,
    /// The last look in numbers, by variant.
    pub(crate) numbers: Vec<Numbers>,
    /// Incidents it opened.
    pub(crate) incidents: Vec<IncidentId>,
}

/// Who ends an experiment, and on whose word.
pub(crate) struct End<'a> {
    pub(crate) how: Ending,
    pub(crate) actor: Actor,
    pub(crate) reason: Option<&'a str>,
    pub(crate) source: Option<&'a str>,
    pub(crate) now: Timestamp,
}

impl Control {
    /// Starts an experiment whose file is on `main`.
    ///
    /// # Errors
    /// `not_allowed`, `no_such_app`, `no_such_experiment_file`,
    /// `rollout_under_way`, `experiment_under_way`, `killed`, `cooling_down`,
    /// `does_not_compose`, `control_is_not_live`, `release_denied`.
    pub async fn start_experiment(
        &self,
        caller: &Caller,
        new: StartExperiment,
    ) -> Result<ExperimentView, Problem> {
        caller.must(Permission::Operate)?;
        let now = self.clock.now();
        let mut app = self.app_record(&new.app).await?;
        self.policies_allow(caller, PolicyAction::Experiment, Some(&new.app)).await?;
        free_for_a_trial(&app.doc, now)?;
        let main = self.main().await?;
        let spec = main.desired.apps.get(&new.app);
        let files = spec.map(|spec| &spec.experiments);
        let policy = files.and_then(|files| files.get(&new.name)).cloned().ok_or_else(|| {
            let known = files.into_iter().flat_map(|files| files.keys());
            no_such_file(&new, known.map(String::as_str).collect())
        })?;
        let variants = main.desired.compose_variants(&new.app, &new.name).map_err(|found| {
            let first = found.first().map_or_else(String::new, |f| f.message.clone());
            Problem::new(ProblemKind::Refused, "does_not_compose", first, "mend it by a change")
        })?;
        self.may_serve(&app.doc, &policy, &variants).await?;
        let plan = spec.and_then(|spec| spec.rollout.as_ref());
        let id = ExperimentId(self.store.allocate("rollout").await?);
        let state = ExperimentState::begin(
            NewExperiment {
                id,
                app: new.app.clone(),
                environment: self.config.environment.clone(),
                name: new.name.clone(),
                subject: policy.subject.or(plan.map(|plan| plan.subject)).unwrap_or_default(),
                salt: crate::publish::fresh_salt(&new.app)?,
                releases: variants.iter().map(|release| release.id).collect(),
                by: caller.name().clone(),
                policy,
            },
            now,
        );
        let mut tx = Tx::new(now);
        let mut written = BTreeSet::new();
        for release in variants {
            if written.insert(release.id) {
                self.write_release(&mut tx, &main.desired, release, None, main.head, now).await?;
            }
        }
        let details = params! {
            "file" => format!("apps/{}/experiments/{}.yaml", new.app, new.name),
            "commit" => main.head.to_string(), "releases" => state.releases,
            "shares" => state.shares(),
        };
        tx.audit(
            entry(now, caller.actor(), "experiment.started", &new.app)
                .on(format!("experiment/{id}"))
                .because(new.reason.as_deref())
                .from(caller.source.as_deref())
                .with(details)
                .into(),
        );
        let record = ExperimentRecord {
            state,
            commit: main.head.to_string(),
            report: None,
            summary: None,
            numbers: Vec::new(),
            incidents: Vec::new(),
        };
        tx.create(Kind::Experiment, id, &record, index(&record.state));
        app.doc.experiment = Some(id);
        update_app(&mut tx, &app);
        self.store.commit(tx).await?;
        let generation = self.publish().await?;
        self.wake();
        self.wait_for_gateways(generation).await;
        self.experiment(caller, id).await
    }

    /// Control is what everybody has, and nothing that failed is tried again.
    async fn may_serve(
        &self,
        app: &AppRecord,
        policy: &ExperimentPolicy,
        variants: &[Release],
    ) -> Result<(), Problem> {
        let control = variants.get(policy.control()).map(|release| release.id);
        if control != Some(app.production) {
            return Err(Problem::new(
                ProblemKind::Refused,
                "control_is_not_live",
                format!(
                    "the release `main` describes for {} is not the one that is live, {}, so there is nothing to compare with",
                    app.app,
                    app.production.short()
                ),
                "`tidegate git status` shows the difference; bring `main` to what is live first",
            ));
        }
        for release in variants {
            if let Some(denied) = self.store.get(Kind::Denied, release.id).await? {
                let found = crate::gates::release_denied(denied.doc);
                return Err(Problem::new(
                    ProblemKind::Refused,
                    "release_denied",
                    format!("{}: {}", found.message, found.explanation),
                    found.mend,
                ));
            }
        }
        Ok(())
    }

    /// Carries out what a person tells an experiment: `stop` or `conclude`.
    ///
    /// # Errors
    /// `not_allowed`, `changed_meanwhile`, `no_winner_yet`, `unknown_action`.
    pub async fn experiment_action(
        &self,
        caller: &Caller,
        id: ExperimentId,
        expected: Option<Generation>,
        action: NewAction,
    ) -> Result<ActionResult, Problem> {
        caller.must(Permission::Operate)?;
        let record = self.experiment_record(id).await?;
        if let Some(expected) = expected.filter(|e| *e != record.generation) {
            return Err(Problem::new(
                ProblemKind::Conflict,
                "changed_meanwhile",
                format!(
                    "{id} moved on: you looked at version {expected}, it is now {}",
                    record.generation
                ),
                "look again before you act",
            ));
        }
        let how = match (action.kind.as_str(), &record.doc.state.phase) {
            ("stop", _) => Ending::Stopped,
            ("conclude", Phase::Won { .. } | Phase::Ended { .. }) => Ending::Concluded,
            ("conclude", Phase::Running) => {
                return Err(Problem::new(
                    ProblemKind::Refused,
                    "no_winner_yet",
                    format!("{id} has no winner to conclude with"),
                    format!("let it run, or end it without one: `tidegate experiment stop {id}`"),
                ));
            }
            (other, _) => {
                return Err(Problem::new(
                    ProblemKind::Invalid,
                    "unknown_action",
                    format!("`{other}` is nothing an experiment can be told"),
                    "send stop or conclude",
                )
                .at("kind"));
            }
        };
        if record.doc.state.phase.is_final() {
            let text = format!("{id} is over already.");
            let done = Sentence { code: "nothing_to_do".to_owned(), params: params! {}, text };
            return self.finish_action(done, None, None).await;
        }
        let now = self.clock.now();
        let mut app = self.app_record(&record.doc.state.app).await?;
        let mut tx = Tx::new(now);
        let end = End {
            how,
            actor: caller.actor(),
            reason: action.reason.as_deref(),
            source: caller.source.as_deref(),
            now,
        };
        let what = self.end_experiment(&mut tx, &mut app, &end).await?;
        update_app(&mut tx, &app);
        self.store.commit(tx).await?;
        self.trials.forget(id).await;
        let done = what.unwrap_or_else(|| Sentence {
            code: "nothing_to_do".to_owned(),
            params: params! {},
            text: format!("{id} is over already."),
        });
        self.finish_action(done, None, None).await
    }

    /// Ends the app's experiment, if it has one, in a transaction that also
    /// writes the app. Says what happened.
    pub(crate) async fn end_experiment(
        &self,
        tx: &mut Tx,
        app: &mut Versioned<AppRecord>,
        end: &End<'_>,
    ) -> Result<Option<Sentence>, Problem> {
        let Some(id) = app.doc.experiment.take() else { return Ok(None) };
        let record = self.experiment_record(id).await?;
        let mut next = record.doc.clone();
        next.state = record.doc.state.ended(end.how, end.now);
        tx.audit(
            entry(end.now, end.actor.clone(), "experiment.ended", &app.doc.app)
                .on(format!("experiment/{id}"))
                .because(end.reason)
                .from(end.source)
                .with(params! {"how" => end.how.key(), "phase" => record.doc.state.phase})
                .into(),
        );
        tx.update(Kind::Experiment, id, record.generation, &next, index(&next.state));
        Ok(next.state.decision)
    }

    /// A person rolls the app back while an experiment runs: everyone gets
    /// production's release.
    pub(crate) async fn roll_back_experiment(
        &self,
        caller: &Caller,
        mut app: Versioned<AppRecord>,
        action: NewAction,
    ) -> Result<ActionResult, Problem> {
        let now = self.clock.now();
        let experiment = app.doc.experiment;
        let mut tx = Tx::new(now);
        let end = End {
            how: Ending::RolledBack,
            actor: caller.actor(),
            reason: action.reason.as_deref(),
            source: caller.source.as_deref(),
            now,
        };
        self.end_experiment(&mut tx, &mut app, &end).await?;
        update_app(&mut tx, &app);
        let what = Sentence::render(
            "experiment_rolled_back_by_person",
            "{person} rolled {app} back: {experiment} ended and everyone gets {to}.",
            params! {
                "person" => caller.person.display, "app" => app.doc.app,
                "experiment" => experiment, "to" => app.doc.production.short(),
            },
        );
        let mut incident = self
            .new_incident(&app.doc.app, IncidentKind::BreakGlassRollback, now, what.clone())
            .await?;
        incident.restored = Some(app.doc.production);
        incident.opened_by = Some(caller.name().clone());
        incidents::set_reason(&mut incident, action.reason.as_deref(), now);
        incidents::create(&mut tx, &incident, caller.actor());
        tx.audit(
            entry(now, caller.actor(), "app.rolled_back", &app.doc.app)
                .because(action.reason.as_deref())
                .from(caller.source.as_deref())
                .with(params! {"from" => experiment, "to" => app.doc.production})
                .into(),
        );
        self.store.commit(tx).await?;
        self.finish_action(what, None, Some(incident)).await
    }

    pub(crate) async fn experiment_record(
        &self,
        id: ExperimentId,
    ) -> Result<Versioned<ExperimentRecord>, Problem> {
        self.store
            .get(Kind::Experiment, id)
            .await?
            .ok_or_else(|| not_found("experiment", &id.to_string()))
    }
}

/// Index columns of an experiment.
fn index(state: &ExperimentState) -> Index {
    let word = if state.phase.is_final() { "final" } else { "active" };
    Index::none().app(&state.app).state(word)
}

/// Nothing else is tried on the app's users, and nothing is wrong with it.
fn free_for_a_trial(app: &AppRecord, now: Timestamp) -> Result<(), Problem> {
    let refuse = |code: &str, detail: String, hint: String| {
        Err(Problem::new(ProblemKind::Refused, code, detail, hint))
    };
    let name = &app.app;
    if let Some(rollout) = app.rollout {
        return refuse(
            "rollout_under_way",
            format!("{name} has rollout {rollout} under way, and an app has one trial at a time"),
            "start the experiment when it has ended".to_owned(),
        );
    }
    if let Some(experiment) = app.experiment {
        return refuse(
            "experiment_under_way",
            format!("{name} has {experiment} under way, and an app has one trial at a time"),
            format!("end that first: `tidegate experiment stop {experiment}`"),
        );
    }
    if app.killed.is_some() {
        return refuse(
            "killed",
            format!("the kill switch of {name} is thrown"),
            format!("take it back first: `tidegate unkill {name}`"),
        );
    }
    if let Some(until) = app.cool_down_until.filter(|until| *until > now) {
        return refuse(
            "cooling_down",
            format!("{name} cools down from a rollback until {}", until.iso()),
            "start the experiment then".to_owned(),
        );
    }
    Ok(())
}

fn no_such_file(new: &StartExperiment, known: Vec<&str>) -> Problem {
    let (app, name) = (&new.app, &new.name);
    let hint = if known.is_empty() {
        "propose the file by a change; docs/experiments.md describes it".to_owned()
    } else {
        format!("there is {}; another needs a change first", known.join(", "))
    };
    Problem::new(
        ProblemKind::NotFound,
        "no_such_experiment_file",
        format!("`main` has no `apps/{app}/experiments/{name}.yaml`"),
        hint,
    )
    .at("name")
}

/// What a merge of an app with an experiment waits for.
pub(crate) fn in_the_way(experiment: ExperimentId, app: &AppName) -> String {
    format!(
        "waits for experiment {experiment} of {app} to end; `tidegate experiment stop {experiment}` ends it"
    )
}
