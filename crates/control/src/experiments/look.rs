//! The turn of the loop that moves experiments: looks that are due, what the
//! pure state makes of them, one transaction for all that follows.

use super::evidence::Looked;
use super::view::{Numbers, standing};
use super::{End, ExperimentRecord, index};
use crate::Control;
use crate::incidents::{self, entry};
use crate::problem::{Problem, ProblemKind};
use crate::records::{AppRecord, DeniedRecord, Harm};
use crate::rollouts::update_app;
use domain::audit::Actor;
use domain::experiment::live::{Action, Ending, ExperimentState, Phase};
use domain::ids::{ExperimentId, ReleaseId};
use domain::incident::IncidentKind;
use domain::params;
use domain::sentence::Sentence;
use domain::units::Timestamp;
use std::collections::BTreeSet;
use store::{Index, Kind, Tx, Versioned};

impl Control {
    /// One turn for every experiment under way.
    pub(crate) async fn look_at_experiments(&self) -> Result<(), Problem> {
        let mut failed = Ok(());
        let apps = self.all::<AppRecord>(Kind::App).await?;
        let under_way = apps.iter().filter_map(|app| app.doc.experiment).collect();
        self.trials.keep(&under_way).await;
        for app in apps {
            // One that cannot be looked at keeps no other from its guards.
            if let Some(id) = app.doc.experiment
                && let Err(problem) = self.look_at_experiment(app, id).await
            {
                // Its looks are made again from what is stored.
                self.trials.forget(id).await;
                // Somebody wrote in between: the next turn sees what.
                if problem.kind != ProblemKind::Conflict {
                    failed = Err(problem);
                }
            }
        }
        failed
    }

    async fn look_at_experiment(
        &self,
        mut app: Versioned<AppRecord>,
        id: ExperimentId,
    ) -> Result<(), Problem> {
        let now = self.clock.now();
        if app.doc.killed.is_some() {
            // A kill ends it in its own transaction. Should one ever have not,
            // nobody is to come back to a variant when it is taken back.
            return self.end_by_kill(app, id, now).await;
        }
        let record = self.experiment_record(id).await?;
        let looked = self.looks_due(&record.doc, now).await?;
        let Some(last) = looked.last() else { return Ok(()) };
        let mut next = record.doc.clone();
        let mut actions = Vec::new();
        for look in &looked {
            let (state, follows) = next.state.look(&look.seen, now);
            next.state = state;
            actions.extend(follows);
        }
        next.report = serde_json::to_value(&last.report).ok();
        next.summary = Some(standing(&next.state, &last.report));
        next.numbers = Numbers::of(&last.report);
        let mut tx = Tx::new(now);
        let mut denied = BTreeSet::new();
        for Action::Drop { variant, what } in &actions {
            self.drop_variant(&mut tx, &mut next, *variant, what, &mut denied, now).await?;
        }
        for entry in audit_entries(&record.doc.state, &next.state, last, now) {
            tx.audit(entry);
        }
        let over = next.state.phase.is_final();
        if over {
            app.doc.experiment = None;
            update_app(&mut tx, &app);
        }
        tx.update(Kind::Experiment, id, record.generation, &next, index(&next.state));
        self.store.commit(tx).await?;
        self.publish().await?;
        self.wake();
        if over {
            self.trials.forget(id).await;
        }
        Ok(())
    }

    async fn end_by_kill(
        &self,
        mut app: Versioned<AppRecord>,
        id: ExperimentId,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let mut tx = Tx::new(now);
        let end =
            End { how: Ending::Killed, actor: Actor::Controller, reason: None, source: None, now };
        self.end_experiment(&mut tx, &mut app, &end).await?;
        update_app(&mut tx, &app);
        self.store.commit(tx).await?;
        self.trials.forget(id).await;
        self.publish().await?;
        Ok(())
    }

    /// A variant did harm: its release is refused from now on, and an incident
    /// says what differs.
    async fn drop_variant(
        &self,
        tx: &mut Tx,
        record: &mut ExperimentRecord,
        variant: usize,
        what: &Sentence,
        denied: &mut BTreeSet<ReleaseId>,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let state = &record.state;
        let app = &state.app;
        let (suspect, stable) = (state.releases.get(variant).copied(), state.stable());
        let (Some(suspect), Some(stable)) = (suspect, stable) else { return Ok(()) };
        tx.audit(
            entry(now, Actor::Controller, "experiment.variant_dropped", app)
                .on(format!("experiment/{}", state.id))
                .with(what.params.clone())
                .into(),
        );
        // Two variants of one release, one of them control: nothing to refuse.
        let again = suspect == stable || !denied.insert(suspect);
        if !again && self.store.get::<DeniedRecord>(Kind::Denied, suspect).await?.is_none() {
            let because = what.text.clone();
            let record = DeniedRecord { release: suspect, app: app.clone(), because, at: now };
            tx.create(Kind::Denied, suspect, &record, Index::none().app(app));
            tx.audit(
                entry(now, Actor::Controller, "release.denied", app)
                    .on(format!("release/{suspect}"))
                    .into(),
            );
        }
        let cells = self.store.cells(state.id.trial(), i64::MIN, i64::MAX).await?;
        let harm = Harm::of_release(&cells, suspect, state.policy.guard_policy().as_ref());
        let mut incident =
            self.new_incident(app, IncidentKind::VariantDropped, now, what.clone()).await?;
        incident.suspect = Some(suspect);
        incident.restored = Some(stable);
        incident.differences = self.release_diff(stable, suspect).await?;
        incident.requests_exposed = harm.exposed;
        incident.requests_harmed = harm.of_decision(Some(what));
        incidents::create(tx, &incident, Actor::Controller);
        record.incidents.push(incident.id);
        Ok(())
    }
}

/// One entry per decision: divisions, winners, ends; not looks.
fn audit_entries(
    before: &ExperimentState,
    after: &ExperimentState,
    last: &Looked,
    now: Timestamp,
) -> Vec<domain::audit::Entry> {
    let mut actions = Vec::new();
    if before.divisions != after.divisions && !after.phase.is_final() {
        actions.push(("experiment.divided", params! {"from" => before.shares()}));
    }
    if before.phase != after.phase {
        let details = || params! {"phase" => after.phase, "decision" => after.decision};
        match &after.phase {
            Phase::Won { .. } => actions.push(("experiment.won", details())),
            Phase::Ended { .. } => actions.push(("experiment.ended", details())),
            Phase::Running => actions.push(("experiment.reopened", details())),
        }
    }
    let entry = |(action, mut details): (&str, serde_json::Map<String, serde_json::Value>)| {
        details.insert("shares".to_owned(), serde_json::json!(after.shares()));
        details.insert("look".to_owned(), serde_json::json!(last.seen.at));
        entry(now, Actor::Controller, action, &after.app)
            .on(format!("experiment/{}", after.id))
            .with(details)
            .into()
    };
    actions.into_iter().map(entry).collect()
}
