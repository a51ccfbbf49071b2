//! Lists and single objects as people read them.

use crate::caller::Caller;
use crate::changes::word;
use crate::git::{Main, blocking};
use crate::problem::{Problem, ProblemKind};
use crate::records::{AppRecord, RolloutRecord, labels};
use crate::views::{AllowedAction, AppView, ChangeView, Page, RolloutView};
use crate::{Control, wrong};
use domain::approval;
use domain::change::{Change, ChangeState};
use domain::finding::GateReport;
use domain::ids::{AppName, ChangeId, IncidentId, RolloutId};
use domain::incident::Incident;
use domain::manifest::diff;
use domain::params;
use domain::people::{Permission, Role, may};
use domain::policy::Step;
use domain::rollout::{Phase, Report};
use domain::sentence::Sentence;
use domain::telemetry::RequestRecord;
use opsrepo::CommitId;
use std::collections::BTreeSet;
use store::{Cursor, Kind, Query, RequestQuery, Versioned};

/// What part of a list is wanted.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Only of this app.
    pub app: Option<AppName>,
    /// Only in this state, or `active`.
    pub state: Option<String>,
    /// At most so many.
    pub limit: Option<u32>,
    /// What comes after this place.
    pub cursor: Option<Cursor>,
}

impl ListQuery {
    /// All of a kind, in the order they came to be.
    pub(crate) fn oldest_first(&self, kind: Kind) -> Query {
        Query { newest_first: false, ..self.of(kind) }
    }

    pub(crate) fn of(&self, kind: Kind) -> Query {
        let mut query = Query::of(kind).newest_first().after(self.cursor);
        if let Some(app) = &self.app {
            query = query.app(app);
        }
        if let Some(state) = &self.state {
            query = query.state(state);
        }
        if let Some(limit) = self.limit {
            query = query.limit(limit);
        }
        query
    }
}

impl Control {
    /// Apps, oldest first.
    ///
    /// # Errors
    /// The store or git could not be read.
    pub async fn apps(&self, caller: &Caller, query: ListQuery) -> Result<Page<AppView>, Problem> {
        let main = self.main().await?;
        let page = self.store.list::<AppRecord>(query.oldest_first(Kind::App)).await?;
        let mut items = Vec::new();
        for app in page.items {
            items.push(self.view_app(caller, &main, app).await?);
        }
        Ok(Page { items, next: page.next.map(|c| c.to_string()) })
    }

    /// One app.
    ///
    /// # Errors
    /// `no_such_app`.
    pub async fn app(&self, caller: &Caller, app: &AppName) -> Result<AppView, Problem> {
        self.view_app(caller, &*self.main().await?, self.app_record(app).await?).await
    }

    async fn view_app(
        &self,
        caller: &Caller,
        main: &Main,
        app: Versioned<AppRecord>,
    ) -> Result<AppView, Problem> {
        let spec = main.desired.apps.get(&app.doc.app);
        let release = self.release_record(app.doc.production).await?;
        Ok(AppView {
            owner: spec.map_or_else(String::new, |s| s.owner.clone()),
            risk: spec.map_or_else(String::new, |s| format!("{:?}", s.risk).to_lowercase()),
            environment: self.config.environment.clone(),
            production: Some(app.doc.production),
            labels: labels(&release.manifest.components),
            rollout: app.doc.rollout,
            experiment: app.doc.experiment,
            killed: app.doc.killed.as_ref().map(|k| k.since),
            allowed_actions: app_actions(&app.doc, caller),
            cool_down_until: app.doc.cool_down_until.filter(|t| *t > self.clock.now()),
            generation: app.generation,
            url: self.url(&format!("apps/{}", app.doc.app)),
            name: app.doc.app,
        })
    }

    /// Changes, newest first.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn changes(
        &self,
        caller: &Caller,
        query: ListQuery,
    ) -> Result<Page<ChangeView>, Problem> {
        let page = self.store.list::<Change>(query.of(Kind::Change)).await?;
        let mut items = Vec::new();
        for change in page.items {
            items.push(self.view_change(caller, change).await?);
        }
        Ok(Page { items, next: page.next.map(|c| c.to_string()) })
    }

    /// One change.
    ///
    /// # Errors
    /// `no_such_change`.
    pub async fn change(&self, caller: &Caller, id: ChangeId) -> Result<ChangeView, Problem> {
        self.view_change(caller, self.change_record(id).await?).await
    }

    async fn view_change(
        &self,
        caller: &Caller,
        change: Versioned<Change>,
    ) -> Result<ChangeView, Problem> {
        let doc = change.doc;
        let differences = match (doc.production, doc.release) {
            (Some(before), Some(after)) => {
                let (before, after) =
                    (self.release_record(before).await?, self.release_record(after).await?);
                diff(&before.manifest, &after.manifest)
            }
            _ => Vec::new(),
        };
        let authors: BTreeSet<_> = doc.contributors.iter().chain([&doc.author]).cloned().collect();
        let missing = approval::missing(&doc.requirements, &doc.approvals, &authors, doc.content);
        let waiting = self.waiting_to_merge(&doc).await?;
        let pull_request = self.pull_of(&doc).await?;
        Ok(ChangeView {
            pull_request,
            asked: doc.asked().filter(|_| doc.state == ChangeState::NeedsFixes).cloned(),
            summary: change_summary(&doc, &missing, waiting),
            allowed_actions: change_actions(&doc, caller, &authors),
            url: self.url(&format!("changes/{}", doc.id.0)),
            generation: change.generation,
            differences,
            missing,
            id: doc.id,
            app: doc.app,
            title: doc.title,
            why: doc.why,
            author: doc.author,
            contributors: doc.contributors,
            state: doc.state,
            branch: doc.branch,
            head: doc.head,
            content: doc.content,
            release: doc.release,
            production: doc.production,
            report: doc.report,
            requirements: doc.requirements,
            facts: doc.facts,
            approvals: doc.approvals,
            merge_commit: doc.merge_commit,
            rollout: doc.rollout,
            revert_commit: doc.revert_commit,
            created_at: doc.created_at,
            updated_at: doc.updated_at,
        })
    }

    /// What the merge of an approved change waits for.
    async fn waiting_to_merge(&self, change: &Change) -> Result<Option<String>, Problem> {
        if change.state != ChangeState::Merging {
            return Ok(None);
        }
        Ok(self.store.effect(&format!("merge/{}", change.id)).await?.and_then(|e| e.error))
    }

    /// The unified diff of a change against where it began.
    ///
    /// # Errors
    /// `no_such_change`.
    pub async fn change_diff(&self, _caller: &Caller, id: ChangeId) -> Result<String, Problem> {
        let change = self.change_record(id).await?.doc;
        let parse = |text: &str| text.parse::<CommitId>().map_err(|e| wrong("git", &e));
        let (base, head) = (parse(&change.base)?, parse(&change.head)?);
        let repo = self.repo.clone();
        blocking(move || repo.diff(base, head)).await
    }

    /// What the gates said about a change.
    ///
    /// # Errors
    /// `not_checked_yet` while they run.
    pub async fn checks(&self, _caller: &Caller, id: ChangeId) -> Result<GateReport, Problem> {
        self.change_record(id).await?.doc.report.ok_or_else(|| {
            Problem::new(
                ProblemKind::NotFound,
                "not_checked_yet",
                format!("the checks of {id} have not ended"),
                "ask again in a moment, or use `--watch`",
            )
        })
    }

    /// Rollouts, newest first.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn rollouts(
        &self,
        caller: &Caller,
        query: ListQuery,
    ) -> Result<Page<RolloutView>, Problem> {
        let page = self.store.list::<RolloutRecord>(query.of(Kind::Rollout)).await?;
        let mut items = Vec::new();
        for rollout in page.items {
            items.push(self.view_rollout(caller, rollout).await?);
        }
        Ok(Page { items, next: page.next.map(|c| c.to_string()) })
    }

    /// One rollout.
    ///
    /// # Errors
    /// `no_such_rollout`.
    pub async fn rollout(&self, caller: &Caller, id: RolloutId) -> Result<RolloutView, Problem> {
        self.view_rollout(caller, self.rollout_record(id).await?).await
    }

    async fn view_rollout(
        &self,
        caller: &Caller,
        record: Versioned<RolloutRecord>,
    ) -> Result<RolloutView, Problem> {
        let (doc, state) = (&record.doc, &record.doc.state);
        let candidate = self.release_record(state.candidate).await?;
        let stable = self.release_record(state.stable).await?;
        let title = self.change_record(state.change).await?.doc.title;
        Ok(RolloutView {
            id: state.id,
            app: state.app.clone(),
            change: state.change,
            title,
            candidate: state.candidate,
            stable: state.stable,
            candidate_labels: labels(&candidate.manifest.components),
            stable_labels: labels(&stable.manifest.components),
            phase: state.phase.clone(),
            step: state.step,
            steps: state.policy.steps.iter().map(step_words).collect(),
            exposure: state.exposure,
            report: doc.report.clone(),
            decision: state.decision.clone(),
            decided_at: state.decided_at,
            swing_back: doc.swing_back,
            requests_exposed: doc.harm.exposed,
            requests_harmed: doc.harm.of_decision(state.decision.as_ref()),
            incident: doc.incident,
            git_commit: doc.git_commit.clone(),
            started_at: state.started_at,
            allowed_actions: rollout_actions(&state.phase, caller),
            generation: state.generation,
            url: self.url(&format!("rollouts/{}", state.id)),
        })
    }

    /// The looks at a rollout, newest first.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn ticks(
        &self,
        _caller: &Caller,
        id: RolloutId,
        query: ListQuery,
    ) -> Result<Page<Report>, Problem> {
        let page = self.store.list::<Report>(query.of(Kind::Tick).parent(id)).await?;
        let items = page.items.into_iter().map(|t| t.doc).collect();
        Ok(Page { items, next: page.next.map(|c| c.to_string()) })
    }

    /// Incidents, newest first.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn incidents(
        &self,
        _caller: &Caller,
        query: ListQuery,
    ) -> Result<Page<Incident>, Problem> {
        let page = self.store.list::<Incident>(query.of(Kind::Incident)).await?;
        let items = page.items.into_iter().map(|i| i.doc).collect();
        Ok(Page { items, next: page.next.map(|c| c.to_string()) })
    }

    /// One incident.
    ///
    /// # Errors
    /// `no_such_incident`.
    pub async fn incident(&self, _caller: &Caller, id: IncidentId) -> Result<Incident, Problem> {
        Ok(self.incident_record(id).await?.doc)
    }

    /// Answers, newest first.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn requests(
        &self,
        _caller: &Caller,
        query: RequestQuery,
    ) -> Result<Page<RequestRecord>, Problem> {
        let page = self.store.requests(&query).await?;
        Ok(Page { items: page.items, next: page.next.map(|c| c.to_string()) })
    }
}

fn step_words(step: &Step) -> String {
    match step {
        Step::Shadow(s) => format!("shadow {}", s.share),
        Step::Weight(w) if w.until.is_some() => format!("weight {} until evidence", w.share),
        Step::Weight(w) => format!("weight {}", w.share),
        Step::Hold(h) => format!("hold {}", h.time),
        Step::Approval(a) => format!("approval by {}", a.role),
        Step::Promote(_) => "promote".to_owned(),
    }
}

fn change_summary(
    change: &Change,
    missing: &[approval::Requirement],
    waiting: Option<String>,
) -> Sentence {
    // Several may ask for people of one role: the same yes answers them all.
    let mut most: std::collections::BTreeMap<Role, u32> = std::collections::BTreeMap::new();
    for need in missing {
        let count = most.entry(need.role).or_default();
        *count = need.count.max(*count);
    }
    let needs = most
        .iter()
        .map(|(role, count)| match (role, count) {
            (Role::Finance, count) => format!("{count} of finance"),
            (role, 1) => format!("1 {role}"),
            (role, count) => format!("{count} {role}s"),
        })
        .collect::<Vec<_>>()
        .join(" and ");
    let failed = change.report.iter().flat_map(|r| &r.gates).map(|g| {
        g.findings.iter().filter(|f| f.severity == domain::finding::Severity::Error).count()
    });
    let asked = change.asked();
    let template = match change.state {
        ChangeState::Checking => "Checks are running.",
        ChangeState::NeedsFixes if asked.is_some() => "{by} asks for changes: {comment}",
        ChangeState::NeedsFixes => "{failed} must be mended before anybody is asked.",
        ChangeState::NeedsApproval => "Waits for {needs} who did not write it.",
        ChangeState::Merging if waiting.is_some() => "Approved; {waiting}.",
        ChangeState::Merging => "Approved; being merged.",
        ChangeState::RollingOut => "Being rolled out as {rollout}.",
        ChangeState::Live => "Live for everyone.",
        ChangeState::RolledBack => "Went back; production has the version from before.",
        ChangeState::Rejected => "Rejected.",
        ChangeState::Withdrawn => "Withdrawn.",
    };
    let params = params! {
        "needs" => needs,
        "by" => asked.map(|word| &word.by),
        "comment" => asked.map(|word| &word.comment),
        "failed" => match failed.sum::<usize>() {
            1 => "1 problem".to_owned(),
            n => format!("{n} problems"),
        },
        "waiting" => waiting.unwrap_or_default(),
        "rollout" => change.rollout.map(|r| r.to_string()).unwrap_or_default(),
    };
    Sentence::render(word(change.state), template, params)
}

fn change_actions(
    change: &Change,
    caller: &Caller,
    authors: &BTreeSet<domain::ids::PersonName>,
) -> Vec<AllowedAction> {
    let asked = change.state == ChangeState::NeedsFixes && change.asked().is_some();
    let state = (change.state != ChangeState::NeedsApproval && !asked)
        .then(|| "it does not wait for approval".to_owned());
    let not_approver = approval::check(
        caller.name(),
        &caller.person.roles,
        authors,
        &change.requirements,
        change.content,
        change.content,
    )
    .err()
    .map(|e| e.to_string());
    let decide = not_approver.or(state);
    let withdraw = if !change.state.is_open() {
        Some("it is no longer open".to_owned())
    } else if change.author != *caller.name() && !may(&caller.person.roles, Permission::Administer)
    {
        Some(format!("only {} or an admin can withdraw it", change.author))
    } else {
        None
    };
    vec![
        AllowedAction::new("approve", decide.clone(), "it is merged and rolled out step by step"),
        AllowedAction::new(
            "ask",
            decide.clone(),
            "it goes back to its author, and is asked for anew once it is mended",
        ),
        AllowedAction::new("reject", decide, "it ends here"),
        AllowedAction::new("withdraw", withdraw, "it ends here"),
    ]
}

fn app_actions(app: &AppRecord, caller: &Caller) -> Vec<AllowedAction> {
    let role = (!may(&caller.person.roles, Permission::Operate))
        .then(|| "only operators and admins can do this".to_owned());
    let only = |ok: bool, why: &str| (!ok).then(|| why.to_owned());
    let on_trial = app.rollout.is_some() || app.experiment.is_some();
    let back = on_trial || app.history.len() > 1;
    vec![
        AllowedAction::new(
            "rollback",
            role.clone().or(only(back, "there is nothing to go back to")),
            "everyone gets the last good version within about a second; git is corrected",
        ),
        AllowedAction::new(
            "kill",
            role.clone().or(only(app.killed.is_none(), "the kill switch is on already")),
            "everyone gets the prepared answer instead of AI until the switch is taken back",
        ),
        AllowedAction::new(
            "unkill",
            role.or(only(app.killed.is_some(), "the kill switch is off")),
            "everyone gets AI answers again",
        ),
    ]
}

fn rollout_actions(phase: &Phase, caller: &Caller) -> Vec<AllowedAction> {
    let role = |permission| {
        (!may(&caller.person.roles, permission)).then(|| "your roles do not allow it".to_owned())
    };
    let ended = phase.is_final().then(|| "it has ended".to_owned());
    let paused = matches!(phase, Phase::Paused { .. });
    let only = |ok: bool, why: &str| (!ok).then(|| why.to_owned());
    // Whoever the pause waits for may end it: what an operator paused, an operator goes on with.
    let goes_on = match phase {
        Phase::Paused { role: Role::Operator, .. } => Permission::Operate,
        _ => Permission::Approve,
    };
    vec![
        AllowedAction::new(
            "pause",
            role(Permission::Operate).or(only(*phase == Phase::Running, "it is not running")),
            "nothing moves until somebody decides; limits stay armed",
        ),
        AllowedAction::new(
            "resume",
            role(goes_on).or(only(paused, "it is not paused")),
            "the plan goes on",
        ),
        AllowedAction::new(
            "promote",
            role(Permission::Approve).or(ended.clone()),
            "everyone gets the new version now",
        ),
        AllowedAction::new(
            "rollback",
            role(Permission::Operate).or(ended),
            "everyone gets today's version again within about a second; git is corrected",
        ),
    ]
}
