//! Rollouts: the look that moves them, and what people tell them.
//!
//! A look reads the state and what became known since the last one, asks the pure machine, and stores what
//! it says in one transaction: state, tick, audit entries, incident, effects.
//! Two looks at once are harmless: the second meets a newer generation and
//! starts over.

use crate::caller::Caller;
use crate::problem::{Problem, ProblemKind};
use crate::records::{AppRecord, DeniedRecord, PromotedBy, Promotion, RolloutRecord, risk_left};
use crate::views::{ActionResult, NewAction};
use crate::{Control, effects, incidents, not_found};
use domain::audit::Actor;
use domain::change::{Change, ChangeState};
use domain::facts::PolicyAction;
use domain::ids::{AppName, Generation, IncidentId, PersonName, ReleaseId, RolloutId};
use domain::incident::{Incident, IncidentKind};
use domain::params;
use domain::people::{Permission, Role};
use domain::policy::RolloutPolicy;
use domain::rollout::{
    Action, Command, CommandError, Observation, PauseCause, Phase, RolloutState, apply, step,
};
use domain::sentence::Sentence;
use domain::units::Timestamp;
use store::{CommitError, Index, Kind, MAX_PAGE, Query, Tx, Versioned};

/// Looks that meet somebody else's write before giving up until the next turn.
const MAX_RETRIES: u32 = 10;

impl Control {
    /// One look at every rollout under way.
    pub(crate) async fn look_at_rollouts(&self) -> Result<(), Problem> {
        let mut failed = Ok(());
        for app in self.all::<AppRecord>(Kind::App).await? {
            // One that cannot be looked at keeps no other from its limits.
            if let Some(id) = app.doc.rollout
                && let Err(problem) = self.look_at(id).await
            {
                failed = Err(problem);
            }
        }
        failed
    }

    async fn look_at(&self, id: RolloutId) -> Result<(), Problem> {
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now();
            let record = self.rollout_record(id).await?;
            if record.doc.state.phase.is_final()
                || !(self.is_due(&record.doc, now) || self.is_broken(&record.doc, now).await?)
            {
                return Ok(());
            }
            let Some(mut seen) = self.evidence(&record.doc, now).await? else { return Ok(()) };
            self.settled(&record.doc, &mut seen.observation, now);
            self.judge_external(&record.doc, &mut seen.observation, now).await?;
            let stepped = step(&record.doc.state, &seen.observation, now);
            if stepped.state == record.doc.state {
                return Ok(());
            }
            let tick = format!("{id}/{}/{}", now.0, stepped.state.generation);
            let mut next = record.doc.clone();
            next.harm = seen.harm;
            next.spent = seen.spent;
            next.report = Some(stepped.report.clone());
            let final_now = stepped.state.phase.is_final();
            let turn = Turn {
                before: &record.doc.state,
                state: stepped.state,
                actions: stepped.actions,
                actor: Actor::Controller,
                person: None,
                reason: None,
                source: None,
                now,
            };
            let mut tx = Tx::new(now);
            tx.create(Kind::Tick, tick, &stepped.report, Index::none().parent(id));
            match self.store_turn(tx, &record, next, turn).await {
                Ok(_) if final_now => {
                    self.forget_evidence(id);
                    return Ok(());
                }
                Ok(_) => return Ok(()),
                Err(TurnError::Conflict) => continue,
                Err(TurnError::Other(problem)) => return Err(problem),
            }
        }
        tracing::warn!(%id, "others keep writing this rollout; looking again at the next turn");
        Ok(())
    }

    /// A look is due (breakers aside, see [`Self::is_broken`]) when the plan says so, when something is settling, or when
    /// the clock was set back: limits must not wait until it has caught up.
    fn is_due(&self, record: &RolloutRecord, now: Timestamp) -> bool {
        let settling = matches!(record.state.phase, Phase::Promoting | Phase::RollingBack);
        settling
            || record
                .state
                .last_check
                .is_none_or(|last| now < last || now.since(last) >= record.state.policy.check_every)
    }

    /// What git and the gateways say, beside the numbers.
    fn settled(&self, record: &RolloutRecord, seen: &mut Observation, now: Timestamp) {
        seen.git_settled = record.git_settled;
        seen.gateways_settled = self.gateways_settled(record.state.decided_at, now);
    }

    /// The risk of a false stop that is left for another attempt of a release.
    pub(crate) async fn risk_left(
        &self,
        app: &AppName,
        candidate: ReleaseId,
        policy: &RolloutPolicy,
    ) -> Result<f64, Problem> {
        let mut spent = Vec::new();
        let mut query = Query::of(Kind::Rollout).app(app).limit(MAX_PAGE);
        loop {
            let page = self.store.list::<RolloutRecord>(query.clone()).await?;
            let same = page.items.iter().filter(|r| r.doc.state.candidate == candidate);
            spent.extend(same.map(|record| record.doc.spent));
            match page.next {
                Some(next) => query = query.after(Some(next)),
                None => return Ok(risk_left(policy.risk.false_stop.0, &spent)),
            }
        }
    }

    /// Stores what the machine said: one transaction, then the snapshot.
    async fn store_turn(
        &self,
        mut tx: Tx,
        record: &Versioned<RolloutRecord>,
        mut next: RolloutRecord,
        turn: Turn<'_>,
    ) -> Result<(Option<IncidentId>, Generation), TurnError> {
        let id = turn.state.id;
        let mut incident = None;
        for action in &turn.actions {
            match action {
                Action::Publish | Action::Notify { .. } => {}
                Action::CommitPromotion => {
                    tx.effect(effects::promote(&turn.state));
                }
                Action::RevertChange => {
                    // A promotion git was told of is not what is settled now.
                    next.git_settled = false;
                    next.git_commit = None;
                    tx.effect(effects::revert(&turn.state));
                }
                Action::DenyCandidate => self.deny(&mut tx, &turn).await?,
                Action::OpenIncident { what } => {
                    let opened = self.open_incident(&mut tx, &next, &turn, what).await?;
                    next.incident = Some(opened.id);
                    incident = Some(opened.id);
                }
            }
        }
        if turn.state.phase.is_final() && !turn.before.phase.is_final() {
            next.swing_back = self.swing_back(turn.state.decided_at);
            self.finish(&mut tx, &next, &turn).await?;
        }
        for entry in audit_entries(&turn) {
            tx.audit(entry);
        }
        next.state = turn.state;
        tx.update(Kind::Rollout, id, record.generation, &next, index(&next.state));
        self.store.commit(tx).await?;
        let generation = self.publish().await?;
        self.wake();
        Ok((incident, generation))
    }

    async fn deny(&self, tx: &mut Tx, turn: &Turn<'_>) -> Result<(), Problem> {
        let state = &turn.state;
        let because = state.decision.as_ref().map_or_else(String::new, |d| d.text.clone());
        let key = state.candidate;
        if self.store.get::<DeniedRecord>(Kind::Denied, key).await?.is_some() {
            return Ok(());
        }
        let record = DeniedRecord {
            release: state.candidate,
            app: state.app.clone(),
            because,
            at: turn.now,
        };
        tx.create(Kind::Denied, key, &record, Index::none().app(&state.app));
        tx.audit(
            incidents::entry(turn.now, turn.actor.clone(), "release.denied", &state.app)
                .on(format!("release/{}", state.candidate))
                .into(),
        );
        Ok(())
    }

    async fn open_incident(
        &self,
        tx: &mut Tx,
        record: &RolloutRecord,
        turn: &Turn<'_>,
        what: &Sentence,
    ) -> Result<Incident, Problem> {
        let kind = match turn.person {
            Some(_) => IncidentKind::BreakGlassRollback,
            None => IncidentKind::RolledBack,
        };
        let mut incident = self.new_incident(&turn.state.app, kind, turn.now, what.clone()).await?;
        incident.opened_by = turn.person.cloned();
        incident.rollout = Some(turn.state.id);
        incident.suspect = Some(turn.state.candidate);
        incident.restored = Some(turn.state.stable);
        incident.differences = self.release_diff(turn.state.stable, turn.state.candidate).await?;
        incident.requests_exposed = record.harm.exposed;
        incident.requests_harmed = record.harm.of_decision(Some(what));
        incidents::set_reason(&mut incident, turn.reason, turn.now);
        incidents::create(tx, &incident, turn.actor.clone());
        Ok(incident)
    }

    /// The rollout ended: app, change and incident follow.
    async fn finish(
        &self,
        tx: &mut Tx,
        record: &RolloutRecord,
        turn: &Turn<'_>,
    ) -> Result<(), Problem> {
        let state = &turn.state;
        let mut app = self.app_record(&state.app).await?;
        let promoted = state.phase == Phase::Promoted;
        app.doc.rollout = None;
        if promoted {
            app.doc.production = state.candidate;
            app.doc.history.push(Promotion {
                release: state.candidate,
                at: turn.now,
                by: PromotedBy::Rollout,
                change: Some(state.change),
                around: self.around_now(&state.app).await?,
            });
        } else {
            let cool_down = state.policy.after_rollback.cool_down;
            app.doc.cool_down_until = Some(state.decided_at.unwrap_or(turn.now).plus(cool_down));
        }
        update_app(tx, &app);
        let mut change = self.change_record(state.change).await?;
        change.doc.state = if promoted { ChangeState::Live } else { ChangeState::RolledBack };
        change.doc.revert_commit = if promoted { None } else { record.git_commit.clone() };
        crate::changes::update(tx, &mut change, turn.now);
        if let Some(id) = record.incident {
            let mut incident = self.incident_record(id).await?;
            incident.doc.swing_back = record.swing_back;
            incident.doc.revert_commit = record.git_commit.clone();
            incidents::update(tx, &incident);
        }
        Ok(())
    }

    /// Carries out what a person tells a rollout.
    ///
    /// # Errors
    /// `not_allowed`, `changed_meanwhile`, or why it makes no sense now.
    pub async fn rollout_action(
        &self,
        caller: &Caller,
        id: RolloutId,
        expected: Option<Generation>,
        action: NewAction,
    ) -> Result<ActionResult, Problem> {
        let command = command(&action)?;
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now();
            let record = self.rollout_record(id).await?;
            may_command(caller, &command, &record.doc.state)?;
            if let Some(asked) = policy_action(&command) {
                self.policies_allow(caller, asked, Some(&record.doc.state.app)).await?;
            }
            if is_a_yes(&command, &record.doc.state) {
                self.not_own_change(caller, &record.doc.state).await?;
            }
            let (state, actions) = apply(&record.doc.state, &command, caller.name(), expected, now)
                .map_err(from_command_error)?;
            if state == record.doc.state {
                let newest = self.newest();
                return Ok(self.done(&record.doc, None, newest, "nothing_to_do").await);
            }
            let turn = Turn {
                before: &record.doc.state,
                state,
                actions,
                actor: caller.actor(),
                person: Some(caller.name()),
                reason: action.reason.as_deref(),
                source: caller.source.as_deref(),
                now,
            };
            let next = record.doc.clone();
            match self.store_turn(Tx::new(now), &record, next, turn).await {
                Ok((incident, generation)) => {
                    let record = self.rollout_record(id).await?;
                    return Ok(self.done(&record.doc, incident, generation, "done").await);
                }
                Err(TurnError::Conflict) => continue,
                Err(TurnError::Other(problem)) => return Err(problem),
            }
        }
        Err(crate::wrong("the rollout", &"others keep changing it"))
    }

    async fn not_own_change(&self, caller: &Caller, state: &RolloutState) -> Result<(), Problem> {
        let change = self.change_record(state.change).await?;
        if change.doc.contributors.contains(caller.name()) || change.doc.author == *caller.name() {
            return Err(Problem::new(
                ProblemKind::NotAllowed,
                "own_change",
                "you wrote this change, so someone else must decide",
                "ask another approver",
            ));
        }
        Ok(())
    }

    async fn done(
        &self,
        record: &RolloutRecord,
        incident: Option<IncidentId>,
        snapshot: Generation,
        code: &str,
    ) -> ActionResult {
        let state = &record.state;
        let text = match (&state.phase, code) {
            (_, "nothing_to_do") => "Nothing to do: it is so already.".to_owned(),
            (Phase::RollingBack, _) => {
                format!("Everyone gets {} again; git is being corrected.", state.stable.short())
            }
            (Phase::Promoting, _) => {
                format!(
                    "Everyone gets {}; the pointer is being moved in git.",
                    state.candidate.short()
                )
            }
            (phase, _) => format!("Rollout {} is {}.", state.id, phase.word().replace('_', " ")),
        };
        let params = params! {"rollout" => state.id, "phase" => state.phase.word()};
        ActionResult {
            done: Sentence { code: code.to_owned(), params, text },
            rollout: Some(state.id),
            incident: incident.or(record.incident),
            snapshot,
            gateways: self.wait_for_gateways(snapshot).await,
        }
    }

    pub(crate) async fn rollout_record(
        &self,
        id: RolloutId,
    ) -> Result<Versioned<RolloutRecord>, Problem> {
        self.store
            .get(Kind::Rollout, id)
            .await?
            .ok_or_else(|| not_found("rollout", &id.to_string()))
    }

    pub(crate) async fn app_record(&self, app: &AppName) -> Result<Versioned<AppRecord>, Problem> {
        self.store.get(Kind::App, app).await?.ok_or_else(|| not_found("app", app.as_str()))
    }

    pub(crate) async fn change_record(
        &self,
        id: domain::ids::ChangeId,
    ) -> Result<Versioned<Change>, Problem> {
        self.store.get(Kind::Change, id).await?.ok_or_else(|| not_found("change", &id.to_string()))
    }
}

/// What is about to be stored, and on whose word.
struct Turn<'a> {
    before: &'a RolloutState,
    state: RolloutState,
    actions: Vec<Action>,
    actor: Actor,
    person: Option<&'a PersonName>,
    reason: Option<&'a str>,
    source: Option<&'a str>,
    now: Timestamp,
}

enum TurnError {
    /// Somebody wrote in between: start over.
    Conflict,
    Other(Problem),
}

impl From<Problem> for TurnError {
    fn from(problem: Problem) -> Self {
        Self::Other(problem)
    }
}

impl From<store::StoreError> for TurnError {
    fn from(error: store::StoreError) -> Self {
        Self::Other(error.into())
    }
}

impl From<CommitError> for TurnError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict { .. } => Self::Conflict,
            other => Self::Other(other.into()),
        }
    }
}

/// Index columns of a rollout.
pub(crate) fn index(state: &RolloutState) -> Index {
    let word = if state.phase.is_final() { "final" } else { "active" };
    Index::none().app(&state.app).state(word)
}

/// Writes an app back under the generation it was read at.
pub(crate) fn update_app(tx: &mut Tx, app: &Versioned<AppRecord>) {
    let index = Index::none().app(&app.doc.app);
    tx.update(Kind::App, &app.doc.app, app.generation, &app.doc, index);
}

/// One audit entry per decision: phases and steps, not looks.
fn audit_entries(turn: &Turn<'_>) -> Vec<domain::audit::Entry> {
    let (before, after) = (turn.before, &turn.state);
    let moved = before.phase != after.phase || before.step != after.step;
    if !moved && before.exposure == after.exposure && turn.person.is_none() {
        return Vec::new();
    }
    let action = match (&before.phase, &after.phase) {
        (_, Phase::Promoting) if before.phase != after.phase => "rollout.promoting",
        (_, Phase::RollingBack) if before.phase != after.phase => "rollout.rolling_back",
        (_, Phase::Promoted) => "rollout.promoted",
        (_, Phase::RolledBack) => "rollout.rolled_back",
        (Phase::RollingBack, Phase::RollingBack) => "rollout.going_back",
        (Phase::Paused { .. }, Phase::Running) => "rollout.resumed",
        (_, Phase::Paused { .. }) => "rollout.paused",
        _ => "rollout.advanced",
    };
    let mut details = params! {
        "candidate" => after.candidate,
        "stable" => after.stable,
        "step" => after.step,
        "weight" => after.exposure.weight,
        "shadow" => after.exposure.shadow,
        "change" => after.change,
    };
    if let Some(decision) = &after.decision {
        details.insert("decision".to_owned(), serde_json::json!(decision.text));
    }
    let entry = incidents::entry(turn.now, turn.actor.clone(), action, &after.app)
        .on(format!("rollout/{}", after.id))
        .because(turn.reason)
        .from(turn.source)
        .with(details);
    vec![entry.into()]
}

fn command(action: &NewAction) -> Result<Command, Problem> {
    let command = match action.kind.as_str() {
        "pause" => Command::Pause,
        "resume" => Command::Resume,
        "approve" => Command::Approve,
        "promote" => Command::Promote,
        "rollback" => Command::Rollback,
        other => {
            return Err(Problem::new(
                ProblemKind::Invalid,
                "unknown_action",
                format!("`{other}` is nothing a rollout can be told"),
                "send pause, resume, approve, promote or rollback",
            )
            .at("kind"));
        }
    };
    let needs_reason = command == Command::Promote;
    if needs_reason && action.reason.as_deref().is_none_or(|r| r.trim().len() < 10) {
        return Err(Problem::new(
            ProblemKind::Invalid,
            "reason_missing",
            "promoting ahead of the plan needs a written reason of at least 10 characters",
            "say why with `--reason`",
        )
        .at("reason"));
    }
    Ok(command)
}

/// True for what an author may not say about their own change: an approval, a
/// promotion, and going on after a signal spoke against it.
fn is_a_yes(command: &Command, state: &RolloutState) -> bool {
    let by_signal = matches!(
        state.phase,
        Phase::Paused { cause: PauseCause::Signal | PauseCause::NoEvidence, .. }
    );
    match command {
        Command::Approve | Command::Promote => true,
        Command::Resume => by_signal,
        Command::Pause | Command::Rollback => false,
    }
}

/// What policies are asked. Nobody asks them before harm is stopped.
fn policy_action(command: &Command) -> Option<PolicyAction> {
    match command {
        Command::Approve | Command::Promote => Some(PolicyAction::Promote),
        Command::Resume => Some(PolicyAction::Resume),
        Command::Pause | Command::Rollback => None,
    }
}

fn may_command(caller: &Caller, command: &Command, state: &RolloutState) -> Result<(), Problem> {
    let waits_for = match &state.phase {
        Phase::Paused { role, .. } => Some(*role),
        _ => None,
    };
    match command {
        Command::Pause | Command::Rollback => caller.must(Permission::Operate),
        Command::Approve | Command::Promote => caller.must(Permission::Approve),
        // Going on after a pause is the decision of whoever the pause names;
        // an operator may end a pause an operator made.
        Command::Resume if waits_for == Some(Role::Operator) => caller.must(Permission::Operate),
        Command::Resume => caller.must(Permission::Approve),
    }
}

fn from_command_error(error: CommandError) -> Problem {
    match &error {
        CommandError::Stale { .. } => Problem::new(
            ProblemKind::Conflict,
            "changed_meanwhile",
            error.to_string(),
            "look again before you act",
        ),
        CommandError::NotNow(_) => Problem::new(
            ProblemKind::Refused,
            "not_now",
            error.to_string(),
            "`tidegate rollout get` shows where it stands",
        ),
    }
}
