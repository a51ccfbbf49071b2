//! The forge a team looks at changes in: branches, pull requests and statuses
//! there follow what is so here.
//!
//! Level-triggered: a visit compares what a change is with what the forge was
//! told, looks at the forge before it makes anything there, and does what is
//! missing. So a kill at any point, a lost answer and a forge that was away for
//! a day are one case. A webhook is a door bell: nothing it says is believed,
//! it only makes the next visit come at once.
//!
//! What must stay true: approvals are Tidegate's. A pull request merged on the
//! forge moves nothing here; it is written down and people are told. `main` of
//! the forge is never forced.

use crate::Control;
use crate::inbox::InboxItem;
use crate::incidents::entry;
use crate::problem::{Problem, ProblemKind};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use connect::forge::{ForgeError, Pull, Session, is_signed};
use domain::audit::Actor;
use domain::change::{Change, ChangeState};
use domain::forge::{Forge, Status, statuses};
use domain::params;
use domain::sentence::Sentence;
use domain::units::{Span, Timestamp};
use opsrepo::{CommitId, PushOut, Remote};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use store::{Index, Kind, Query, Tx};
use tokio::sync::watch;

/// How often a pull request is looked at where no bell rings.
const POLL_EVERY: Span = Span::from_secs(60);
/// Longest time between two visits.
const VISIT_EVERY: std::time::Duration = std::time::Duration::from_secs(10);
/// First wait after a failure; it doubles.
const RETRY: Span = Span::from_secs(5);
/// Longest wait after a failure.
const RETRY_AT_MOST: Span = Span::from_secs(600);
/// Changes a visit looks at.
const MAX_CHANGES: u32 = 500;
/// Under which id the state is kept.
const STATE: &str = "forge";
/// What failures of pushing `main` are listed under.
const MAIN: &str = "main";

/// What the forge was told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct ForgeState {
    /// The commit its base branch was brought to.
    main: Option<CommitId>,
    /// It wants to be asked less often.
    paused_until: Option<Timestamp>,
    /// When something last went well.
    last_ok: Option<Timestamp>,
    /// Changes that are not over, by id.
    changes: BTreeMap<String, Mirrored>,
    /// What did not go, by change or `main`.
    failures: BTreeMap<String, Failure>,
}

/// A change on the forge.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Mirrored {
    pushed: Option<CommitId>,
    pull: Option<PullView>,
    /// Statuses told of `pushed`, by context.
    told: BTreeMap<String, Status>,
    polled_at: Option<Timestamp>,
    merged_noted: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Failure {
    text: String,
    at: Timestamp,
    attempts: u32,
    retry_at: Timestamp,
}

/// The pull request of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullView {
    /// Its number.
    pub number: u64,
    /// Its page.
    pub url: String,
    /// `open`, `merged`, `closed`.
    pub state: String,
}

impl From<Pull> for PullView {
    fn from(pull: Pull) -> Self {
        let state = match (pull.merged, pull.open) {
            (true, _) => "merged",
            (_, true) => "open",
            _ => "closed",
        };
        Self { number: pull.number, url: pull.url, state: state.to_owned() }
    }
}

/// How the forge does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForgeView {
    /// `github` or `gitea`.
    pub kind: domain::forge::ForgeKind,
    /// Where it is.
    pub url: String,
    /// `OWNER/NAME`.
    pub repo: String,
    /// `ok`, `failing`, `waiting`.
    pub state: String,
    /// The same in a sentence.
    pub text: Sentence,
    /// When something last went well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_ok: Option<Timestamp>,
    /// What does not go.
    pub failures: Vec<ForgeFailure>,
}

/// One thing that does not go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgeFailure {
    /// A change, or `main`.
    pub what: String,
    /// Why.
    pub text: String,
    /// When it failed last.
    pub at: Timestamp,
    /// How often in a row.
    pub attempts: u32,
    /// When it is tried again.
    pub retry_at: Timestamp,
}

enum Trouble {
    Limited(Timestamp),
    Failed(String),
    Own(Problem),
}

impl From<ForgeError> for Trouble {
    fn from(error: ForgeError) -> Self {
        match error {
            ForgeError::Limited(until) => Self::Limited(until),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self::Own(problem)
    }
}

/// What a visit needs throughout.
struct Visit {
    forge: Forge,
    token: String,
    rung: bool,
}

impl Control {
    /// Visits the forge until `shutdown` turns true.
    pub(crate) async fn keep_visiting(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) {
        let mut commits = self.store.subscribe();
        while !*shutdown.borrow() {
            let seen = *commits.borrow_and_update();
            let failed = self.visit_forge().await.is_err_and(|problem| {
                tracing::warn!(%problem, "the forge was not visited; trying again");
                true
            });
            // Its own writes are no news; those of others meanwhile may be.
            if self.store.subscribe().borrow().wrapping_sub(seen) <= 1 {
                commits.mark_unchanged();
            }
            tokio::select! {
                () = tokio::time::sleep(VISIT_EVERY) => {}
                () = self.bell.notified() => {}
                _ = commits.changed(), if !failed => {}
                _ = shutdown.changed() => {}
            }
        }
    }

    /// One visit: does what is missing there.
    ///
    /// # Errors
    /// The store or git could not be read; what the forge says is no error.
    pub async fn visit_forge(&self) -> Result<(), Problem> {
        let main = self.main().await?;
        let Some(forge) = main.desired.settings.forge.clone() else { return Ok(()) };
        let now = self.clock.now();
        let found = self.store.get::<ForgeState>(Kind::Meta, STATE).await?;
        let mut state = found.map(|found| found.doc).unwrap_or_default();
        if state.paused_until.is_some_and(|until| until > now) {
            return Ok(());
        }
        let before = state.clone();
        state.paused_until = None;
        let rung = self.rung.swap(false, Relaxed);
        if let Some(token) = self.config.env_keys.find(&forge.token_env) {
            let visit = Visit { forge, token: token.trim().to_owned(), rung };
            self.bring_all(&visit, &mut state, main.head, now).await?;
        } else if due(&state, MAIN, now) {
            let why = format!("the server's environment has no `{}`", forge.token_env);
            note(&mut state, MAIN, why, now);
        }
        if state != before {
            let mut tx = Tx::new(now);
            tx.put(Kind::Meta, STATE, &state, Index::none());
            self.store.commit(tx).await?;
        }
        Ok(())
    }

    async fn bring_all(
        &self,
        visit: &Visit,
        state: &mut ForgeState,
        head: CommitId,
        now: Timestamp,
    ) -> Result<(), Problem> {
        if state.main != Some(head) && due(state, MAIN, now) {
            let base = visit.forge.base.clone();
            let what = PushOut { commit: head, branch: base, lease: None };
            match self.push_out(visit, &what).await {
                Ok(()) => {
                    state.main = Some(head);
                    well(state, MAIN, now);
                }
                Err(why) => note(state, MAIN, why, now),
            }
        }
        if state.main.is_none() {
            // Without a base there is nothing to ask to be merged into.
            return Ok(());
        }
        for change in self.changes_to_bring(state).await? {
            let key = change.id.to_string();
            if !due(state, &key, now) {
                continue;
            }
            let mut mirrored = state.changes.get(&key).cloned().unwrap_or_default();
            let pull = mirrored.pull.clone();
            let went = self.bring(visit, &change, &mut mirrored, now).await;
            if mirrored.pull != pull {
                let mut tx = Tx::new(now);
                tx.put(Kind::Meta, format!("{STATE}/{key}"), &mirrored.pull, Index::none());
                self.store.commit(tx).await?;
            }
            state.changes.insert(key.clone(), mirrored);
            match went {
                Ok(()) => {
                    well(state, &key, now);
                    if change.state.is_final() {
                        state.changes.remove(&key);
                    }
                }
                Err(Trouble::Limited(until)) => {
                    state.paused_until = Some(until);
                    return Ok(());
                }
                Err(Trouble::Failed(why)) => note(state, &key, why, now),
                Err(Trouble::Own(problem)) => return Err(problem),
            }
        }
        Ok(())
    }

    /// Changes that are not over, and those that were not when last visited.
    async fn changes_to_bring(&self, state: &ForgeState) -> Result<Vec<Change>, Problem> {
        let mut query = Query::of(Kind::Change).newest_first().limit(MAX_CHANGES);
        for open in [
            ChangeState::Checking,
            ChangeState::NeedsFixes,
            ChangeState::NeedsApproval,
            ChangeState::Merging,
            ChangeState::RollingOut,
        ] {
            query = query.state(crate::changes::word(open));
        }
        let open = self.store.list::<Change>(query).await?.items;
        let mut all: BTreeMap<String, Change> =
            open.into_iter().map(|change| (change.doc.id.to_string(), change.doc)).collect();
        for key in state.changes.keys() {
            if !all.contains_key(key)
                && let Some(change) = self.store.get::<Change>(Kind::Change, key).await?
            {
                all.insert(key.clone(), change.doc);
            }
        }
        Ok(all.into_values().collect())
    }

    async fn push_out(&self, visit: &Visit, what: &PushOut) -> Result<(), String> {
        let login = STANDARD.encode(format!("x-access-token:{}", visit.token));
        let remote = Remote { url: visit.forge.git(), login };
        self.repo.push_out(&remote, what).await
    }

    /// One change: its branch, its pull request, its statuses.
    async fn bring(
        &self,
        visit: &Visit,
        change: &Change,
        mirrored: &mut Mirrored,
        now: Timestamp,
    ) -> Result<(), Trouble> {
        let client = connect::http::Client::new();
        let session = Session::new(&client, &visit.forge, &visit.token, now);
        let over = change.state.is_final();
        let head: CommitId =
            change.head.parse().map_err(|e| Trouble::Own(crate::wrong("git", &e)))?;
        if mirrored.pushed != Some(head) && !over {
            let what =
                PushOut { commit: head, branch: change.branch.clone(), lease: mirrored.pushed };
            self.push_out(visit, &what).await.map_err(Trouble::Failed)?;
            mirrored.pushed = Some(head);
            mirrored.told.clear();
        }
        let mut fresh = false;
        if mirrored.pull.is_none() && mirrored.pushed.is_some() {
            let there = session.find(&change.branch).await?;
            let pull = match there {
                Some(pull) => Some(pull),
                None if over => None,
                None => {
                    let text = self.words_for(change);
                    Some(session.open(&change.branch, &change.title, &text).await?)
                }
            };
            mirrored.pull = pull.map(PullView::from);
            mirrored.polled_at = Some(now);
            fresh = true;
        }
        if mirrored.pushed == Some(head) {
            self.tell_statuses(&session, change, mirrored).await?;
        }
        let asked = mirrored.polled_at.is_some_and(|at| now >= at && now.since(at) < POLL_EVERY);
        if (!asked || visit.rung || over) && !fresh {
            self.look_at_pull(&session, change, mirrored, now).await?;
        }
        Ok(())
    }

    async fn tell_statuses(
        &self,
        session: &Session<'_>,
        change: &Change,
        mirrored: &mut Mirrored,
    ) -> Result<(), Trouble> {
        let wanted: Vec<Status> = statuses(change)
            .into_iter()
            .filter(|status| mirrored.told.get(&status.context) != Some(status))
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let there = session.statuses(&change.head).await?;
        let link = self.url(&format!("changes/{}", change.id.0));
        for status in wanted {
            let state = serde_json::json!(status.state);
            let known = there.iter().any(|(context, its, words)| {
                *context == status.context && state == **its && *words == status.description
            });
            if !known {
                session.set_status(&change.head, &status, &link).await?;
            }
            mirrored.told.insert(status.context.clone(), status);
        }
        Ok(())
    }

    async fn look_at_pull(
        &self,
        session: &Session<'_>,
        change: &Change,
        mirrored: &mut Mirrored,
        now: Timestamp,
    ) -> Result<(), Trouble> {
        let Some(known) = mirrored.pull.clone() else { return Ok(()) };
        let pull = session.pull(known.number).await?;
        mirrored.polled_at = Some(now);
        let refused = matches!(change.state, ChangeState::Rejected | ChangeState::Withdrawn);
        if pull.open && refused {
            session.close(known.number).await?;
        }
        if pull.merged && change.merge_commit.is_none() && !mirrored.merged_noted {
            let mut tx = Tx::new(now);
            tx.audit(
                entry(now, Actor::System, "forge.merged_there", &change.app)
                    .on(format!("change/{}", change.id))
                    .with(params! {"pull_request" => pull.url})
                    .into(),
            );
            self.store.commit(tx).await.map_err(|e| Trouble::Own(e.into()))?;
            mirrored.merged_noted = true;
        }
        let closed = pull.open && refused;
        mirrored.pull = Some(Pull { open: pull.open && !closed, ..pull }.into());
        Ok(())
    }

    /// What a pull request says.
    fn words_for(&self, change: &Change) -> String {
        format!(
            "{}\n\n{} by {} for `{}`.\n\nChecks and approvals are those of Tidegate: {}\n\n\
             Merging here moves nothing: Tidegate merges once it is approved there.\n",
            change.why,
            change.id,
            change.author,
            change.app,
            self.url(&format!("changes/{}", change.id.0)),
        )
    }

    /// Somebody rang: a webhook of the forge, if it is signed.
    ///
    /// # Errors
    /// `no_forge`, `bad_signature`.
    pub async fn ring_forge(&self, headers: &http::HeaderMap, body: &[u8]) -> Result<(), Problem> {
        let main = self.main().await?;
        let name = main.desired.settings.forge.as_ref().and_then(|f| f.webhook_env.as_ref());
        let Some(secret) = name.and_then(|name| self.config.env_keys.find(name)) else {
            return Err(Problem::new(
                ProblemKind::NotFound,
                "no_forge",
                "no forge is expected to call here",
                "name `forge.webhook_env` in `tidegate.yaml`, and set that variable",
            ));
        };
        if !is_signed(headers, body, secret.trim()) {
            return Err(Problem::new(
                ProblemKind::NotSignedIn,
                "bad_signature",
                "this was not signed with the secret of the webhook",
                "set the same secret at the forge and in the server's environment",
            ));
        }
        self.rung.store(true, Relaxed);
        self.bell.notify_one();
        Ok(())
    }

    /// The pull request of a change, if it has one.
    pub(crate) async fn pull_of(&self, change: &Change) -> Result<Option<PullView>, Problem> {
        let key = format!("{STATE}/{}", change.id);
        let found = self.store.get::<Option<PullView>>(Kind::Meta, key).await?;
        Ok(found.and_then(|found| found.doc))
    }

    /// What an operator should know of the forge.
    pub(crate) async fn forge_item(&self) -> Result<Option<InboxItem>, Problem> {
        let Some(view) = self.forge_view().await?.filter(|view| view.state == "failing") else {
            return Ok(None);
        };
        let app = self.main().await?.desired.apps.keys().next().cloned();
        let at = view.failures.first().map_or(Timestamp(0), |failure| failure.at);
        Ok(app.map(|app| InboxItem {
            kind: "forge",
            app,
            text: view.text,
            url: self.url("settings"),
            at,
        }))
    }

    /// How the forge does, if there is one.
    pub(crate) async fn forge_view(&self) -> Result<Option<ForgeView>, Problem> {
        let main = self.main().await?;
        let Some(forge) = &main.desired.settings.forge else { return Ok(None) };
        let found = self.store.get::<ForgeState>(Kind::Meta, STATE).await?;
        let state = found.map(|found| found.doc).unwrap_or_default();
        let paused = state.paused_until.filter(|until| *until > self.clock.now());
        let failures: Vec<ForgeFailure> = state
            .failures
            .into_iter()
            .map(|(what, f)| ForgeFailure {
                what,
                text: f.text,
                at: f.at,
                attempts: f.attempts,
                retry_at: f.retry_at,
            })
            .collect();
        let say = |code, text, params| (code, Sentence::render(code, text, params));
        let (word, text) = match (paused, failures.first()) {
            (Some(until), _) => say(
                "waiting",
                "The forge wants to be asked less often; the next visit is at {until}.",
                params! {"until" => until.iso()},
            ),
            (None, Some(first)) => say(
                "failing",
                "The forge does not show everything: {what}: {why}",
                params! {"what" => first.what, "why" => first.text},
            ),
            (None, None) => say("ok", "The forge shows what is so.", params! {}),
        };
        Ok(Some(ForgeView {
            kind: forge.kind,
            url: forge.url.clone(),
            repo: forge.repo.clone(),
            state: word.to_owned(),
            text,
            last_ok: state.last_ok,
            failures,
        }))
    }
}

fn due(state: &ForgeState, what: &str, now: Timestamp) -> bool {
    state.failures.get(what).is_none_or(|failure| failure.retry_at <= now)
}

fn well(state: &mut ForgeState, what: &str, now: Timestamp) {
    if state.failures.remove(what).is_some() || state.last_ok.is_none() {
        state.last_ok = Some(now);
    }
}

fn note(state: &mut ForgeState, what: &str, text: String, now: Timestamp) {
    tracing::warn!(what, text, "the forge was not told");
    let attempts = state.failures.get(what).map_or(0, |f| f.attempts).saturating_add(1);
    let wait = RETRY.millis().saturating_mul(1 << (attempts - 1).min(10));
    let retry_at = now.plus(Span::from_millis(wait).min(RETRY_AT_MOST));
    let failure = Failure { text, at: now, attempts, retry_at };
    state.failures.insert(what.to_owned(), failure);
}
