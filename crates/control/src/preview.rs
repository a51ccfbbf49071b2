//! The preview of a change: an endpoint of its own that serves what the change
//! would make live, to whoever holds its token, before any user sees it.
//!
//! A preview is a token of the app whose grant names a release. Gateways answer
//! requests with it from that release, beside everything routed: no rollout
//! knows of them, no verdict counts them, and of the app's numbers only the
//! request log has them, as arm `preview`. The token pays for so many tokens of
//! prompts and answers and lives for so long; the change's end is its end.
//!
//! What must stay true:
//! - a change whose static checks failed has no preview, and a model swapped in
//!   for it answers to the same policies: trying is no way round them;
//! - one change has one preview at a time; making another ends the one before;
//! - ending is level-triggered: whatever ended the change, the next look ends its
//!   preview, and a preview whose token is gone is over.

use crate::caller::{Caller, secret_hash};
use crate::gates::address::unknown_address;
use crate::incidents::entry;
use crate::people::fresh_secret;
use crate::problem::{Problem, ProblemKind};
use crate::records::TokenRecord;
use crate::{Control, changes};
use domain::audit::Actor;
use domain::change::{Change, ChangeState};
use domain::component::ComponentKind;
use domain::facts::PolicyAction;
use domain::finding::{GateOutcome, Tier};
use domain::ids::{AppName, ChangeId, PersonName, ReleaseId};
use domain::params;
use domain::people::Permission;
use domain::snapshot::{PreviewGrant, ServedRelease};
use domain::units::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use store::{Index, Kind, PreviewUsage, Query, Tx, Versioned};

/// How long a preview lives where nobody says, in hours.
pub const DEFAULT_HOURS: f64 = 24.0;
/// Longest life of a preview, in hours: a week.
pub const MAX_HOURS: f64 = 168.0;
/// Tokens a preview may spend where nobody says.
pub const DEFAULT_TOKENS: u64 = 100_000;
/// Most tokens a preview may be given.
pub const MAX_TOKENS: u64 = 10_000_000;
/// In so many steps gateways are told what others spent: each is a snapshot.
const TOLD_STEPS: u64 = 10;

/// What is asked of a new preview.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPreview {
    /// How long it lives, in hours; [`DEFAULT_HOURS`] if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<f64>,
    /// Tokens of prompts and answers it may spend; [`DEFAULT_TOKENS`] if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Another model of the catalogue, in place of the change's: a cheaper one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// A preview just made: the only time its token is shown.
#[derive(Clone, Serialize, Deserialize)]
pub struct MadePreview {
    /// The secret to send as API key.
    pub token: String,
    /// The rest.
    pub preview: PreviewView,
}

impl fmt::Debug for MadePreview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MadePreview({})", self.preview.change)
    }
}

/// A preview, as people see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreviewView {
    /// The change.
    pub change: ChangeId,
    /// Its app.
    pub app: AppName,
    /// True while its token is answered.
    pub active: bool,
    /// What to give an OpenAI client as base URL; absent if this server knows of
    /// no gateway.
    pub base_url: Option<String>,
    /// What to give it as model.
    pub model: String,
    /// The release that answers.
    pub release: ReleaseId,
    /// The model behind it, as `name@version`.
    pub answered_by: String,
    /// True if that model was swapped in for the change's own.
    pub swapped: bool,
    /// True while the change would still make this release live; a newer push,
    /// or a model swapped in, makes it another.
    pub current: bool,
    /// Tokens it may spend.
    pub cap: u64,
    /// Tokens it has spent, as far as gateways have told.
    pub used: u64,
    /// Requests it has answered, failed ones included.
    pub requests: u64,
    /// Who made it.
    pub by: PersonName,
    /// When.
    pub created_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// When it ended, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// How a preview ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// `expired`, `stopped`, `replaced`, `revoked`, or the state its change came
    /// to, such as `withdrawn`.
    pub why: String,
}

/// The preview of a change, as it is kept; its id is the change's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreviewRecord {
    /// The change.
    pub change: ChangeId,
    /// Its app.
    pub app: AppName,
    /// Hash of its token.
    pub token: String,
    /// The release that answers.
    pub release: ReleaseId,
    /// The model swapped in.
    pub model: Option<String>,
    /// Tokens it may spend.
    pub cap: u64,
    /// Who made it.
    pub by: PersonName,
    /// When.
    pub created_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// How it ended.
    pub ended: Option<Ended>,
    /// What it had spent when it ended: records of requests are not kept for ever.
    pub spent: PreviewUsage,
}

impl Control {
    /// Gives a change an endpoint of its own, in place of one it may have. The
    /// token works when this returns, at every gateway that is connected.
    ///
    /// # Errors
    /// `not_allowed`; `not_open`, `not_checked_yet`, `checks_failed`; `bad_hours`,
    /// `bad_tokens`, `no_such_model`, `policy_denies`, `new_address`.
    pub async fn start_preview(
        &self,
        caller: &Caller,
        id: ChangeId,
        new: NewPreview,
    ) -> Result<MadePreview, Problem> {
        let change = self.change_record(id).await?.doc;
        may_preview(caller, &change)?;
        self.policies_allow(caller, PolicyAction::Preview, Some(&change.app)).await?;
        let (life, cap) = (life(new.hours)?, cap(new.tokens)?);
        let candidate = previewable(&change)?;
        let now = self.clock.now();
        let mut tx = Tx::new(now);
        let (release, served) = match &new.model {
            None => (candidate, self.release_record(candidate).await?.served.clone()),
            Some(model) => {
                let made = self.compose_with_model(&change, model, now).await?;
                let release = made.release.id;
                let served = ServedRelease {
                    app: change.app.clone(),
                    components: made.release.manifest.components.clone(),
                    contents: made.release.contents.clone(),
                };
                self.write_release(
                    &mut tx,
                    &made.desired,
                    made.release,
                    Some(id),
                    made.commit,
                    now,
                )
                .await?;
                (release, served)
            }
        };
        self.must_know_address(&change, &served).await?;
        let before = self.store.get::<PreviewRecord>(Kind::Preview, id).await?;
        if let Some(before) = before.as_ref().filter(|before| before.doc.ended.is_none()) {
            self.drop_token(&mut tx, &before.doc.token).await?;
            let mut ended = before.doc.clone();
            ended.spent = self.usage(&ended).await?;
            tx.audit(
                ending(&ended, "replaced", caller.actor(), now)
                    .from(caller.source.as_deref())
                    .into(),
            );
        }
        let secret = fresh_secret("tgk_")?;
        let token = TokenRecord {
            hash: secret_hash(&secret),
            person: None,
            apps: [change.app.clone()].into(),
            gateway: false,
            note: format!("preview of {id}"),
            created_at: now,
            expires_at: now.plus(life),
            preview: Some(PreviewGrant { change: id, release, cap, used: 0 }),
        };
        let record = PreviewRecord {
            change: id,
            app: change.app.clone(),
            token: token.hash.clone(),
            release,
            model: new.model.filter(|_| release != candidate),
            cap,
            by: caller.name().clone(),
            created_at: now,
            expires_at: token.expires_at,
            ended: None,
            spent: PreviewUsage::default(),
        };
        tx.create(Kind::Token, &token.hash, &token, Index::none());
        match &before {
            Some(before) => {
                tx.update(Kind::Preview, id, before.generation, &record, index(&record))
            }
            None => tx.create(Kind::Preview, id, &record, index(&record)),
        };
        let details = params! {
            "release" => release, "model" => record.model, "cap" => cap,
            "expires_at" => record.expires_at,
        };
        tx.audit(
            entry(now, caller.actor(), "preview.started", &change.app)
                .on(format!("change/{id}"))
                .from(caller.source.as_deref())
                .with(details)
                .into(),
        );
        self.store.commit(tx).await?;
        let generation = self.publish().await?;
        self.wake();
        self.wait_for_gateways(generation).await;
        Ok(MadePreview { token: secret, preview: self.preview(caller, id).await? })
    }

    /// Refuses a model that would be asked where nobody agreed to.
    async fn must_know_address(
        &self,
        change: &Change,
        served: &ServedRelease,
    ) -> Result<(), Problem> {
        let production = self.app_record(&change.app).await?.doc.production;
        let production = self.release_record(production).await?;
        let main = self.main().await?;
        match unknown_address(served, &main.desired, Some(&production.served)) {
            None => Ok(()),
            Some(address) => Err(Problem::new(
                ProblemKind::Refused,
                "new_address",
                format!(
                    "{} would be asked at {address}, where no model in use is asked",
                    change.id
                ),
                "have the model's entry approved in a change of its own first",
            )),
        }
    }

    /// Where the preview of a change stands.
    ///
    /// # Errors
    /// `no_preview` if it never had one.
    pub async fn preview(&self, _caller: &Caller, id: ChangeId) -> Result<PreviewView, Problem> {
        let change = self.change_record(id).await?.doc;
        let record = self.preview_record(id).await?.doc;
        let usage = self.usage(&record).await?;
        let release = self.release_record(record.release).await?;
        let model = release.manifest.components.get(&ComponentKind::Model);
        let gateway = self.config.gateway_url.as_deref();
        Ok(PreviewView {
            active: record.ended.is_none(),
            base_url: gateway.map(|url| format!("{}/v1", url.trim_end_matches('/'))),
            model: format!("app/{}", record.app),
            answered_by: model.map(|model| model.label()).unwrap_or_default(),
            swapped: record.model.is_some(),
            current: change.release == Some(record.release),
            used: usage.tokens.max(record.spent.tokens),
            requests: usage.requests.max(record.spent.requests),
            change: record.change,
            app: record.app,
            release: record.release,
            cap: record.cap,
            by: record.by,
            created_at: record.created_at,
            expires_at: record.expires_at,
            ended: record.ended,
        })
    }

    /// Takes a change's endpoint away: at once here, within a second at every
    /// gateway. One that has ended stays as it is.
    ///
    /// # Errors
    /// `not_allowed`, `no_preview`.
    pub async fn stop_preview(
        &self,
        caller: &Caller,
        id: ChangeId,
    ) -> Result<PreviewView, Problem> {
        may_preview(caller, &self.change_record(id).await?.doc)?;
        let record = self.preview_record(id).await?;
        if record.doc.ended.is_none() {
            let source = caller.source.as_deref();
            self.end_preview(record, "stopped", caller.actor(), source).await?;
            let generation = self.publish().await?;
            self.wait_for_gateways(generation).await;
        }
        self.preview(caller, id).await
    }

    /// Ends previews whose time or whose change is over, and tells gateways what
    /// the others spent.
    pub(crate) async fn look_at_previews(&self) -> Result<(), Problem> {
        let mut query = Query::of(Kind::Preview).state(ACTIVE).limit(store::MAX_PAGE);
        let mut failed = Ok(());
        loop {
            let page = self.store.list::<PreviewRecord>(query.clone()).await?;
            for record in page.items {
                // One that fails keeps no other from its end.
                if let Err(problem) = self.look_at_preview(record).await {
                    failed = Err(problem);
                }
            }
            match page.next {
                Some(next) => query = query.after(Some(next)),
                None => return failed,
            }
        }
    }

    async fn look_at_preview(&self, record: Versioned<PreviewRecord>) -> Result<(), Problem> {
        let now = self.clock.now();
        let preview = &record.doc;
        let change = self.change_record(preview.change).await?.doc;
        let token = self.store.get::<TokenRecord>(Kind::Token, &preview.token).await?;
        let over = if !serves(change.state) {
            Some(changes::word(change.state))
        } else if preview.expires_at <= now {
            Some("expired")
        } else if token.is_none() {
            Some("revoked")
        } else {
            None
        };
        if let Some(why) = over {
            return self.end_preview(record, why, Actor::System, None).await;
        }
        let Some(mut token) = token else { return Ok(()) };
        let told = told(self.usage(preview).await?.tokens, preview.cap);
        let Some(grant) = token.doc.preview.as_mut().filter(|grant| grant.used < told) else {
            return Ok(());
        };
        grant.used = told;
        let mut tx = Tx::new(now);
        tx.update(Kind::Token, &preview.token, token.generation, &token.doc, Index::none());
        self.store.commit(tx).await?;
        Ok(())
    }

    async fn end_preview(
        &self,
        mut record: Versioned<PreviewRecord>,
        why: &str,
        actor: Actor,
        source: Option<&str>,
    ) -> Result<(), Problem> {
        let now = self.clock.now();
        record.doc.spent = self.usage(&record.doc).await?;
        record.doc.ended = Some(Ended { at: now, why: why.to_owned() });
        let mut tx = Tx::new(now);
        self.drop_token(&mut tx, &record.doc.token).await?;
        tx.audit(ending(&record.doc, why, actor, now).from(source).into());
        let index = index(&record.doc);
        tx.update(Kind::Preview, record.doc.change, record.generation, &record.doc, index);
        self.store.commit(tx).await?;
        Ok(())
    }

    async fn drop_token(&self, tx: &mut Tx, hash: &str) -> Result<(), Problem> {
        if let Some(token) = self.store.get::<TokenRecord>(Kind::Token, hash).await? {
            tx.delete(Kind::Token, hash, token.generation);
        }
        Ok(())
    }

    async fn usage(&self, record: &PreviewRecord) -> Result<PreviewUsage, Problem> {
        let PreviewRecord { app, release, change, created_at, .. } = record;
        Ok(self.store.preview_usage(app, release, *change, *created_at).await?)
    }

    async fn preview_record(&self, id: ChangeId) -> Result<Versioned<PreviewRecord>, Problem> {
        self.store.get(Kind::Preview, id).await?.ok_or_else(|| {
            Problem::new(
                ProblemKind::NotFound,
                "no_preview",
                format!("{id} has no preview"),
                format!("make one: `tidegate change preview {}`", id.0),
            )
        })
    }
}

/// The entry of a preview's end.
fn ending(
    record: &PreviewRecord,
    why: &str,
    actor: Actor,
    now: Timestamp,
) -> crate::incidents::EntryBuilder {
    let details = params! {
        "why" => why, "release" => record.release, "cap" => record.cap,
        "used" => record.spent.tokens, "requests" => record.spent.requests,
    };
    entry(now, actor, "preview.ended", &record.app)
        .on(format!("change/{}", record.change))
        .with(details)
}

/// The state in lists of a preview whose token is answered.
const ACTIVE: &str = "active";

fn index(record: &PreviewRecord) -> Index {
    let state = if record.ended.is_none() { ACTIVE } else { "ended" };
    Index::none().app(&record.app).state(state)
}

/// True while a change in this state has something to try.
fn serves(state: ChangeState) -> bool {
    state.is_open() || state == ChangeState::Merging
}

/// Who wrote it, and whoever may call apps.
fn may_preview(caller: &Caller, change: &Change) -> Result<(), Problem> {
    if change.author == *caller.name() || change.contributors.contains(caller.name()) {
        return Ok(());
    }
    caller.must(Permission::Call)
}

/// The release a change would make live, if it may be tried.
fn previewable(change: &Change) -> Result<ReleaseId, Problem> {
    let (id, number) = (change.id, change.id.0);
    let refuse = |code, detail, hint| Err(Problem::new(ProblemKind::Refused, code, detail, hint));
    if !serves(change.state) {
        return refuse(
            "not_open",
            format!("{id} has nothing to try: it is {}", changes::word(change.state)),
            "propose a new change".to_owned(),
        );
    }
    let wait = format!("wait for its checks: `tidegate change checks {number} --wait`");
    let Some(report) = change.report.as_ref().filter(|_| change.state != ChangeState::Checking)
    else {
        return refuse("not_checked_yet", format!("{id} is still being checked"), wait);
    };
    let failed = |gate: &&domain::finding::GateResult| {
        gate.tier == Tier::Static && gate.outcome == GateOutcome::Failed
    };
    if let Some(gate) = report.gates.iter().find(failed) {
        return refuse(
            "checks_failed",
            format!("{id} cannot be tried: the check \"{}\" failed", gate.title),
            format!("mend what it found: `tidegate change checks {number}`"),
        );
    }
    match change.release {
        Some(release) => Ok(release),
        None => refuse("not_checked_yet", format!("{id} makes no release yet"), wait),
    }
}

fn life(hours: Option<f64>) -> Result<Span, Problem> {
    let hours = hours.unwrap_or(DEFAULT_HOURS);
    if !(hours > 0.0 && hours <= MAX_HOURS) {
        return Err(changes::invalid(
            "bad_hours",
            &format!("a preview lives for more than 0 and at most {MAX_HOURS} hours"),
            "send fewer, and make another when it has ended",
            "hours",
        ));
    }
    #[expect(clippy::cast_possible_truncation, reason = "at most a week of milliseconds")]
    Ok(Span::from_millis((hours * 3_600_000.0).ceil() as i64))
}

fn cap(tokens: Option<u64>) -> Result<u64, Problem> {
    let tokens = tokens.unwrap_or(DEFAULT_TOKENS);
    if (1..=MAX_TOKENS).contains(&tokens) {
        return Ok(tokens);
    }
    Err(changes::invalid(
        "bad_tokens",
        &format!("a preview may spend 1 to {MAX_TOKENS} tokens"),
        "send a number in between",
        "tokens",
    ))
}

/// What gateways are told of what was spent: tenths of the cap, and the cap.
fn told(used: u64, cap: u64) -> u64 {
    if used >= cap {
        return cap;
    }
    let step = cap.div_ceil(TOLD_STEPS).max(1);
    used - used % step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_are_told_in_tenths_and_at_the_end_exactly() {
        let told = |used| told(used, 1005);
        assert_eq!((told(0), told(100), told(101), told(210)), (0, 0, 101, 202));
        assert_eq!((told(1004), told(1005), told(u64::MAX)), (909, 1005, 1005));
        assert_eq!((super::told(0, 1), super::told(1, 1)), (0, 1));
    }

    #[test]
    fn limits_have_a_number_and_a_name() {
        assert_eq!(life(None).unwrap(), Span::from_secs(86_400));
        assert_eq!(life(Some(1e-9)).unwrap(), Span::from_millis(1));
        for hours in [0.0, -1.0, f64::NAN, f64::INFINITY, MAX_HOURS + 0.1] {
            assert_eq!(life(Some(hours)).unwrap_err().code, "bad_hours", "{hours}");
        }
        assert_eq!(cap(None).unwrap(), DEFAULT_TOKENS);
        for tokens in [0, MAX_TOKENS + 1] {
            assert_eq!(cap(Some(tokens)).unwrap_err().code, "bad_tokens");
        }
    }

    #[test]
    fn a_merged_or_withdrawn_change_has_nothing_to_try() {
        use ChangeState as S;
        for state in [S::Checking, S::NeedsFixes, S::NeedsApproval, S::Merging] {
            assert!(serves(state), "{state:?}");
        }
        for state in [S::RollingOut, S::Live, S::RolledBack, S::Rejected, S::Withdrawn] {
            assert!(!serves(state), "{state:?}");
        }
    }
}
