//! Incidents and audit entries: how what happened is written down.

use crate::caller::Caller;
use crate::problem::{Problem, ProblemKind};
use crate::{Control, not_found};
use domain::audit::{Actor, Entry};
use domain::ids::{AppName, IncidentId, ReleaseId};
use domain::incident::{Incident, IncidentKind};
use domain::manifest::{API_VERSION, ComponentDiff, diff};
use domain::people::Permission;
use domain::sentence::Sentence;
use domain::units::{Span, Timestamp};
use serde_json::{Map, Value};
use store::{Index, Kind, Tx, Versioned};

/// Times a reason is written again when the loop was faster.
const MAX_RETRIES: u32 = 10;

/// How long the reason of a break-glass action may follow it.
pub(crate) const REASON_WITHIN: Span = Span::from_secs(3600);

/// An audit entry under construction.
pub(crate) struct EntryBuilder(Entry);

/// Begins an entry about an app; name what it is about with [`EntryBuilder::on`].
pub(crate) fn entry(at: Timestamp, actor: Actor, action: &str, app: &AppName) -> EntryBuilder {
    let mut builder = plain_entry(at, actor, action, format!("app/{app}"));
    builder.0.app = Some(app.clone());
    builder
}

/// Begins an entry that is about no app.
pub(crate) fn plain_entry(
    at: Timestamp,
    actor: Actor,
    action: &str,
    object: String,
) -> EntryBuilder {
    EntryBuilder(Entry {
        api_version: API_VERSION.to_owned(),
        at,
        actor,
        action: action.to_owned(),
        object,
        app: None,
        reason: None,
        source: None,
        details: Value::Null,
    })
}

impl EntryBuilder {
    /// The object, such as `change/ch-41`.
    pub(crate) fn on(mut self, object: String) -> Self {
        self.0.object = object;
        self
    }

    /// Why.
    pub(crate) fn because(mut self, reason: Option<&str>) -> Self {
        self.0.reason = reason.map(|r| clipped(&checks::redact::redact(r)));
        self
    }

    /// Where from.
    pub(crate) fn from(mut self, source: Option<&str>) -> Self {
        self.0.source = source.map(str::to_owned);
        self
    }

    /// Facts.
    pub(crate) fn with(mut self, details: Map<String, Value>) -> Self {
        self.0.details = Value::Object(details);
        self
    }
}

impl From<EntryBuilder> for Entry {
    fn from(builder: EntryBuilder) -> Entry {
        builder.0
    }
}

/// Longest reason in an entry, in characters: an entry that does not fit the log
/// would keep what it is about from happening.
const MAX_REASON: usize = 4000;

fn clipped(text: &str) -> String {
    match text.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Puts the reason in, or the time by which it must follow.
pub(crate) fn set_reason(incident: &mut Incident, reason: Option<&str>, now: Timestamp) {
    match reason.map(str::trim).filter(|r| !r.is_empty()) {
        Some(reason) => incident.reason = Some(checks::redact::redact(reason)),
        None if incident.opened_by.is_some() => {
            incident.reason_due = Some(now.plus(REASON_WITHIN));
        }
        None => {}
    }
}

/// Adds a new incident to a transaction, with its audit entry.
pub(crate) fn create(tx: &mut Tx, incident: &Incident, actor: Actor) {
    tx.audit(
        entry(incident.opened_at, actor, "incident.opened", &incident.app)
            .on(format!("incident/{}", incident.id))
            .because(incident.reason.as_deref())
            .with(incident.what.params.clone())
            .into(),
    );
    tx.create(Kind::Incident, incident.id, incident, index(incident));
}

/// Writes an incident back under the generation it was read at.
pub(crate) fn update(tx: &mut Tx, incident: &Versioned<Incident>) {
    tx.update(
        Kind::Incident,
        incident.doc.id,
        incident.generation,
        &incident.doc,
        index(&incident.doc),
    );
}

fn index(incident: &Incident) -> Index {
    let state = if incident.closed_at.is_some() { "closed" } else { "open" };
    Index::none().app(&incident.app).state(state)
}

impl Control {
    pub(crate) async fn new_incident(
        &self,
        app: &AppName,
        kind: IncidentKind,
        now: Timestamp,
        what: Sentence,
    ) -> Result<Incident, Problem> {
        Ok(Incident {
            id: IncidentId(self.store.allocate("incident").await?),
            app: app.clone(),
            kind,
            opened_at: now,
            opened_by: None,
            what,
            rollout: None,
            suspect: None,
            restored: None,
            differences: Vec::new(),
            requests_exposed: 0,
            requests_harmed: 0,
            swing_back: None,
            reason: None,
            reason_due: None,
            revert_commit: None,
            closed_at: None,
        })
    }

    pub(crate) async fn incident_record(
        &self,
        id: IncidentId,
    ) -> Result<Versioned<Incident>, Problem> {
        self.store
            .get(Kind::Incident, id)
            .await?
            .ok_or_else(|| not_found("incident", &id.to_string()))
    }

    /// How two releases differ, component by component.
    pub(crate) async fn release_diff(
        &self,
        before: ReleaseId,
        after: ReleaseId,
    ) -> Result<Vec<ComponentDiff>, Problem> {
        let (before, after) =
            (self.release_record(before).await?, self.release_record(after).await?);
        Ok(diff(&before.manifest, &after.manifest))
    }

    /// Adds the reason that was left out in a hurry.
    ///
    /// # Errors
    /// `not_allowed`, `no_such_incident`, `reason_missing`, `reason_given`.
    pub async fn give_reason(
        &self,
        caller: &Caller,
        id: IncidentId,
        reason: &str,
    ) -> Result<Incident, Problem> {
        caller.must(Permission::Operate)?;
        if reason.trim().is_empty() {
            return Err(Problem::new(
                ProblemKind::Invalid,
                "reason_missing",
                "the reason is empty",
                "say in one sentence why you acted",
            )
            .at("reason"));
        }
        // The loop writes incidents too (revert commit, swing-back): a person's
        // reason must not be lost to that.
        for _ in 0..MAX_RETRIES {
            match self.write_reason(caller, id, reason).await {
                Err(problem) if problem.kind == ProblemKind::Conflict => {}
                done => return done,
            }
        }
        self.write_reason(caller, id, reason).await
    }

    async fn write_reason(
        &self,
        caller: &Caller,
        id: IncidentId,
        reason: &str,
    ) -> Result<Incident, Problem> {
        let mut incident = self.incident_record(id).await?;
        if incident.doc.reason.is_some() {
            return Err(Problem::new(
                ProblemKind::Refused,
                "reason_given",
                format!("{id} has its reason already"),
                "reasons are evidence and are not rewritten",
            ));
        }
        incident.doc.reason = Some(checks::redact::redact(reason.trim()));
        incident.doc.reason_due = None;
        let mut tx = Tx::new(self.clock.now());
        update(&mut tx, &incident);
        tx.audit(
            entry(self.clock.now(), caller.actor(), "incident.reason_given", &incident.doc.app)
                .on(format!("incident/{id}"))
                .because(Some(reason))
                .from(caller.source.as_deref())
                .into(),
        );
        self.store.commit(tx).await?;
        Ok(incident.doc)
    }
}
