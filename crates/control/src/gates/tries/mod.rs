//! Trying edits before anybody is asked: today's answer and the new one to one
//! input, side by side. Nothing of it is served, counted for the app, or kept but
//! that it was done and what it cost.
//!
//! What must stay true:
//! - who is asked is agreed on `main`: a draft brings no address and no key of its own;
//! - all of it has an end: tries a day, tokens of an input, tokens of an answer,
//!   seconds, and how many ask at once.

mod ask;
mod input;

use super::address::unknown_address;
use super::preview::{NewCheck, refuse_large};
use crate::caller::Caller;
use crate::git::blocking;
use crate::incidents::entry;
use crate::problem::{Problem, ProblemKind};
use crate::{Control, wrong};
use ask::spend;
use connect::http::Client;
use connect::provider::Recordings;
use domain::ids::{AppName, ReleaseId, RequestId};
use domain::params;
use domain::people::Permission;
use domain::routing::Arm;
use domain::sentence::Sentence;
use domain::snapshot::ServedRelease;
use domain::units::Timestamp;
use evals::Loaded;
use input::{last_said, shown, title};
use opsrepo::Files;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::{Index, Kind, RequestQuery, Tx};

/// Tries of one person on one day (UTC).
pub const MAX_TRIES_A_DAY: u32 = 20;
/// Most tokens of the rendered input, for either answer.
pub const MAX_INPUT_TOKENS: usize = 16_000;
/// Most tokens of an answer, where the release sets no maximum of its own.
pub const MAX_ANSWER_TOKENS: u32 = 1_024;
/// Longest a provider may take for one answer.
pub const MAX_WAIT: Duration = Duration::from_secs(30);
/// Tries that ask models at once; others wait.
pub const MAX_AT_ONCE: usize = 4;
/// Most bytes of what somebody types as input.
const MAX_OWN: usize = 64 << 10;
/// Most examples and requests offered as input.
const MAX_OFFERED: usize = 30;
/// Longest title of an offered input, in characters.
const MAX_TITLE: usize = 80;
/// Times the count of the day is written again when another window was faster.
const MAX_RETRIES: u32 = 5;

/// `POST /api/v1/apps/{app}/try`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewTry {
    /// The edited files: path → new text, or nothing to remove it.
    pub files: BTreeMap<String, Option<String>>,
    /// The commit the edits were begun on.
    pub base: Option<String>,
    /// As in [`crate::views::NewChange`].
    pub bump: Option<String>,
    /// What to ask.
    pub input: Input,
}

/// What to ask: exactly one of a case, a request, or one's own.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Input {
    /// A case of a suite.
    pub example: Option<Example>,
    /// A request that was answered; its kept, redacted texts are asked again.
    pub request: Option<RequestId>,
    /// One's own text: what the user says, or what fills the one variable that
    /// is not given.
    pub text: Option<String>,
    /// Values of variables; with the others, they win.
    pub variables: Map<String, Value>,
    /// One's own messages (`role`, `content`).
    pub messages: Vec<Value>,
}

impl std::fmt::Debug for Input {
    /// What people type stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input")
            .field("example", &self.example)
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

/// A case of a suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// The suite.
    pub suite: String,
    /// The case.
    pub case: String,
}

/// Both answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TryView {
    /// Production's answer.
    pub today: Tried,
    /// The edits' answer.
    pub new: Tried,
    /// The variables that were asked with.
    pub variables: Map<String, Value>,
    /// The messages that were asked with.
    pub messages: Vec<Value>,
    /// Tries left today.
    pub left_today: u32,
    /// Tries of a day.
    pub limit: u32,
    /// In words.
    pub summary: Sentence,
}

/// One answer, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// The release that was asked; the edits' is not kept.
    pub release: ReleaseId,
    /// Its model.
    pub model: String,
    /// The answer.
    pub text: Option<String>,
    /// Why there is none.
    pub error: Option<String>,
    /// Milliseconds it took.
    pub latency_ms: u64,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
    /// US dollars.
    pub cost_usd: f64,
    /// Why the model stopped: `stop`, `length`, …
    pub finish_reason: Option<String>,
}

/// `GET /api/v1/apps/{app}/try`: what can be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TryOffer {
    /// Cases of suites.
    pub examples: Vec<OfferedCase>,
    /// Recent requests whose texts were kept, redacted.
    pub requests: Vec<OfferedRequest>,
    /// Tries left today.
    pub left_today: u32,
    /// Tries of a day.
    pub limit: u32,
    /// Most tokens of an input.
    pub max_input_tokens: usize,
}

/// A case that can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedCase {
    /// The suite.
    pub suite: String,
    /// The case.
    pub case: String,
    /// How it begins.
    pub title: String,
}

/// A request that can be asked again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedRequest {
    /// Its id.
    pub id: RequestId,
    /// When it came.
    pub at: Timestamp,
    /// How it begins, redacted.
    pub title: String,
}

/// What a person asked on a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    tries: u32,
}

impl Control {
    /// What can be asked of an app, and how often still.
    ///
    /// # Errors
    /// `not_allowed`, `no_such_app`.
    pub async fn try_offer(&self, caller: &Caller, app: &AppName) -> Result<TryOffer, Problem> {
        caller.must(Permission::Propose)?;
        self.app_record(app).await?;
        let files = self.files_of_main().await?;
        let of = app.clone();
        let loaded = tokio::task::spawn_blocking(move || Loaded::all(&files, &of).0);
        let loaded = loaded.await.map_err(|e| wrong("the suites", &e))?;
        let cases = loaded.iter().flat_map(|s| s.cases.iter().map(move |case| (&s.name, case)));
        let examples = cases
            .take(MAX_OFFERED)
            .map(|(suite, case)| OfferedCase {
                suite: suite.clone(),
                case: case.id.clone(),
                title: title(&shown(&case.variables, &case.messages)),
            })
            .collect();
        let query = RequestQuery { app: Some(app.clone()), limit: 200, ..RequestQuery::default() };
        let kept = self.store.requests(&query).await?.items.into_iter();
        let requests = kept
            .filter(|r| r.arm != Arm::Shadow && r.prompt.is_some())
            .take(MAX_OFFERED)
            .map(|r| OfferedRequest {
                title: title(r.prompt.as_deref().map(last_said).unwrap_or_default().as_str()),
                id: r.id,
                at: r.at,
            })
            .collect();
        let used = self.tries_today(caller).await?.1.tries;
        Ok(TryOffer {
            examples,
            requests,
            left_today: MAX_TRIES_A_DAY.saturating_sub(used),
            limit: MAX_TRIES_A_DAY,
            max_input_tokens: MAX_INPUT_TOKENS,
        })
    }

    /// Asks production's release and the edits the same.
    ///
    /// # Errors
    /// `not_allowed`, `no_such_app`, `one_input`, `no_such_case`, `needs_mending`
    /// if the edits make no release, `model_not_agreed`, `input_too_long`,
    /// `variables_missing`, `too_many_tries_today`.
    pub async fn try_edits(
        &self,
        caller: &Caller,
        app: &AppName,
        new: NewTry,
    ) -> Result<TryView, Problem> {
        caller.must(Permission::Propose)?;
        let record = self.app_record(app).await?;
        let NewTry { files, base, bump, input } = new;
        let edits = NewCheck { files, base, bump };
        refuse_large(&edits)?;
        let production = self.release_record(record.doc.production).await?;
        let (variables, messages) = self.input(app, &production.served, input).await?;
        let (subject, _) = self.overlaid(edits).await?;
        let composed = subject.desired.compose(app).map_err(|findings| needs_mending(&findings))?;
        let served = ServedRelease {
            app: app.clone(),
            components: composed.manifest.components.clone(),
            contents: composed.contents,
        };
        if let Some(address) = unknown_address(&served, &subject.main, Some(&production.served)) {
            return Err(Problem::new(
                ProblemKind::Refused,
                "model_not_agreed",
                format!("no model on `main` asks {address} yet, so a draft cannot be tried there"),
                "send the change of the model first; texts can be tried with the models there are",
            )
            .at("files"));
        }
        let mut recordings = self.recordings_of(Some(&production)).await?;
        for file in subject.desired.models.values().flat_map(|spec| &spec.recordings) {
            if let Ok(parsed) = Recordings::parse(file.digest, &file.bytes) {
                recordings.insert(file.digest, Arc::new(parsed));
            }
        }
        let conversation: Vec<Vec<u8>> =
            messages.iter().map(|m| m.to_string().into_bytes()).collect();
        let today = self.question(production.id, &production.served, &recordings)?;
        let edited = self.question(composed.id, &served, &recordings)?;
        let (today, edited) =
            (today.ready(&variables, &conversation)?, edited.ready(&variables, &conversation)?);
        let left = self.count_try(caller, app, [today.release, edited.release]).await?;
        // Closed never: it lives as long as this.
        let _permit = self.trying.acquire().await.map_err(|e| wrong("trying", &e))?;
        let client = Client::new();
        let now = self.clock.now();
        let (today, edited) = tokio::join!(today.ask(&client, now), edited.ask(&client, now));
        for tried in [&today, &edited] {
            self.store.add_spend(&spend(app, tried, now)).await?;
        }
        Ok(TryView {
            summary: summary(&today, &edited),
            today,
            new: edited,
            variables,
            messages,
            left_today: left,
            limit: MAX_TRIES_A_DAY,
        })
    }

    pub(super) async fn files_of_main(&self) -> Result<Files, Problem> {
        let (repo, head) = (self.repo.clone(), self.main().await?.head);
        blocking(move || repo.files(head)).await
    }

    async fn tries_today(
        &self,
        caller: &Caller,
    ) -> Result<(String, Count, Option<domain::ids::Generation>), Problem> {
        let key = format!("{}/{}", caller.name(), self.clock.now().date());
        let known = self.store.get::<Count>(Kind::Tries, &key).await?;
        Ok(match known {
            Some(known) => (key, known.doc, Some(known.generation)),
            None => (key, Count::default(), None),
        })
    }

    /// Counts a try before anything is asked, with its audit entry; how many are
    /// left.
    async fn count_try(
        &self,
        caller: &Caller,
        app: &AppName,
        [today, new]: [ReleaseId; 2],
    ) -> Result<u32, Problem> {
        let mut attempt = 0;
        loop {
            let (key, mut count, generation) = self.tries_today(caller).await?;
            if count.tries >= MAX_TRIES_A_DAY {
                let mut problem = Problem::new(
                    ProblemKind::TooMany,
                    "too_many_tries_today",
                    format!(
                        "you tried {MAX_TRIES_A_DAY} times today, which is as often as a day has"
                    ),
                    "send the change: its suites ask far more; or go on tomorrow (UTC)",
                );
                let day = 86_400_000;
                let left = day - self.clock.now().0.rem_euclid(day);
                problem.wait = Some(domain::units::Span::from_millis(left));
                return Err(problem);
            }
            count.tries = count.tries.saturating_add(1);
            let now = self.clock.now();
            let mut tx = Tx::new(now);
            match generation {
                Some(generation) => tx.update(Kind::Tries, &key, generation, &count, Index::none()),
                None => tx.create(Kind::Tries, &key, &count, Index::none()),
            };
            tx.audit(
                entry(now, caller.actor(), "app.tried", app)
                    .from(caller.source.as_deref())
                    .with(params! {"today" => today, "new" => new, "tries_today" => count.tries})
                    .into(),
            );
            match self.store.commit(tx).await {
                Ok(_) => return Ok(MAX_TRIES_A_DAY.saturating_sub(count.tries)),
                Err(store::CommitError::Conflict { .. }) if attempt < MAX_RETRIES => attempt += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn summary(today: &Tried, new: &Tried) -> Sentence {
    let params = params! {
        "today_ms" => today.latency_ms, "new_ms" => new.latency_ms,
        "today_usd" => today.cost_usd, "new_usd" => new.cost_usd,
    };
    let (code, template) = match (&today.text, &new.text) {
        (Some(a), Some(b)) if a == b => ("tried_same", "Both give the same answer."),
        (Some(_), Some(_)) => (
            "tried",
            "Two answers to look at: today's took {today_ms} ms, the new one {new_ms} ms.",
        ),
        (_, None) => ("tried_no_new", "The new version gave no answer."),
        (None, _) => ("tried_no_today", "Today's version gave no answer."),
    };
    Sentence::render(code, template, params)
}

fn needs_mending(findings: &[domain::finding::Finding]) -> Problem {
    let first = findings.first();
    let detail =
        first.map_or_else(|| "the edits make no release".to_owned(), |f| f.message.clone());
    let hint = first.map_or_else(|| "check them first".to_owned(), |f| f.mend.clone());
    Problem::new(ProblemKind::Invalid, "needs_mending", detail, hint).at("files")
}
