//! Asking: who answers, how many at once, how long one waits.
//!
//! One [`Asker`] per run. Permits bound what is under way; a provider that says
//! "later" (429, 503 with `Retry-After`) closes the gate for everybody until
//! then; failures are tried again with growing pauses. All of it has an end:
//! attempts, patience, and a count of timeouts in a row after which the provider
//! is given up, so that a hung provider is a finding and not a hang.

use crate::journal::Journal;
use crate::subject::{Cause, NoAnswer, Request, Source, Subject, count};
use bytes::Bytes;
use connect::provider::{Call, Failure, FailureKind, ReplyBody};
use domain::suite::{Answer, Case, ToolCall};
use domain::units::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};

/// First pause after a failure; doubles with each attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause between attempts, save one the provider asked for.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// Timeouts in a row, over all calls, after which the provider is given up.
const GIVE_UP_AFTER: u32 = 3;
/// Tokens of an answer that are set aside under a token cap, where the release
/// sets no maximum.
const ANSWER_TOKENS: u64 = 1024;
/// Names of the parameter that bounds an answer.
const MAX_TOKENS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

/// How hard a provider may be asked.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Calls under way at once.
    pub concurrency: usize,
    /// Calls begun in a minute; no limit if absent.
    pub per_minute: Option<u32>,
    /// Longest one call may take.
    pub timeout: Duration,
    /// Longest pause a provider may ask for (`Retry-After`).
    pub patience: Duration,
    /// Attempts for one answer.
    pub attempts: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: 16,
            per_minute: None,
            timeout: Duration::from_secs(60),
            patience: Duration::from_secs(120),
            attempts: 5,
        }
    }
}

/// Asks within limits, and keeps count.
#[derive(Debug)]
pub struct Asker {
    limits: Limits,
    permits: Semaphore,
    /// Before this moment no call begins.
    gate: Mutex<Instant>,
    timeouts: AtomicU32,
    cap: Option<u64>,
    /// Tokens paid for and set aside.
    used: AtomicU64,
    calls: AtomicU64,
}

/// One question with its place in the suite.
pub(crate) struct Question<'a> {
    pub(crate) suite: &'a str,
    pub(crate) case: &'a Case,
    pub(crate) repeat: u32,
    pub(crate) seed: u64,
}

impl Asker {
    /// With these limits, and at most so many tokens of paid answers.
    pub fn new(limits: Limits, cap: Option<u64>) -> Self {
        Self {
            permits: Semaphore::new(limits.concurrency.max(1)),
            limits,
            gate: Mutex::new(Instant::now()),
            timeouts: AtomicU32::new(0),
            cap,
            used: AtomicU64::new(0),
            calls: AtomicU64::new(0),
        }
    }

    /// The limits.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Tokens of paid answers so far.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Calls made so far, repeated attempts included.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// The answer to a question: recorded, paid for already, or asked now.
    pub(crate) async fn ask(
        &self,
        subject: &Subject,
        journal: Option<&Journal>,
        question: &Question<'_>,
    ) -> Result<Answer, NoAnswer> {
        let request = subject.request(question.suite, question.case, question.repeat)?;
        match &subject.source {
            Source::Recorded(files) => subject.recorded(files, question.case, &request),
            Source::Nobody(why) => Err(NoAnswer::new(
                Cause::Unusable,
                format!("the release {} cannot be asked: {why}", subject.release.short()),
                "leave the suite out, or give the release a model that answers",
            )),
            Source::Live { .. } => {
                let recorder = subject.recorder.as_deref();
                if let Some(known) = recorder.and_then(|r| subject.recorded_by(r, &request)) {
                    return Ok(known);
                }
                let answer = self.live(subject, journal, question, &request).await?;
                Ok(match recorder {
                    Some(recorder) => subject.record(recorder, &request, &answer),
                    None => answer,
                })
            }
        }
    }

    /// An answer paid for before, or now.
    async fn live(
        &self,
        subject: &Subject,
        journal: Option<&Journal>,
        question: &Question<'_>,
        request: &Request,
    ) -> Result<Answer, NoAnswer> {
        let id = question.case.id.as_str();
        let anew = subject.recorder.as_ref().is_some_and(|recorder| recorder.asks_again());
        let kept = journal.filter(|_| !anew);
        if let Some(answer) = kept.and_then(|j| j.find(id, question.repeat, request.prompt)) {
            return Ok(answer);
        }
        let answer = self.pay(subject, request, question).await?;
        if let Some(journal) = journal {
            journal.keep(id, question.repeat, request.prompt, &answer).map_err(|e| {
                NoAnswer::new(
                    Cause::GivenUp,
                    e.to_string(),
                    "make room, then go on with `--resume`",
                )
            })?;
        }
        Ok(answer)
    }

    /// Something else than an answer that is asked for within the same limits:
    /// `once` gives it with the tokens it took, of which `need` are set aside.
    pub(crate) async fn outside<T, F>(
        &self,
        who: &str,
        need: u64,
        once: impl Fn() -> F,
    ) -> Result<T, NoAnswer>
    where
        F: Future<Output = Result<(T, u64), Failure>>,
    {
        let aside = self.aside(need)?;
        let came = self
            .attempts(who, || async {
                let Ok(_permit) = self.permits.acquire().await else {
                    return Err(Failure::new(FailureKind::Misconfigured, "the run is over"));
                };
                self.turn().await;
                self.calls.fetch_add(1, Ordering::Relaxed);
                let came = once().await;
                self.hung(came.as_ref().err());
                came
            })
            .await;
        self.used.fetch_sub(aside, Ordering::Relaxed);
        let (value, spent) = came?;
        self.used.fetch_add(spent, Ordering::Relaxed);
        Ok(value)
    }

    /// Counts timeouts in a row.
    fn hung(&self, failure: Option<&Failure>) {
        match failure {
            Some(failure) if failure.kind == FailureKind::Timeout => {
                self.timeouts.fetch_add(1, Ordering::Relaxed);
            }
            _ => self.timeouts.store(0, Ordering::Relaxed),
        }
    }

    async fn pay(
        &self,
        subject: &Subject,
        request: &Request,
        question: &Question<'_>,
    ) -> Result<Answer, NoAnswer> {
        let aside = self.set_aside(subject, request)?;
        let who = &subject.model().provider_model;
        let paid = self.attempts(who, || self.once(subject, request, question)).await;
        let spent = match &paid {
            Ok(answer) => tokens(answer),
            Err(_) => 0,
        };
        self.used.fetch_sub(aside, Ordering::Relaxed);
        self.used.fetch_add(spent, Ordering::Relaxed);
        paid
    }

    /// Sets tokens aside before they are spent, so that the cap holds with any
    /// number of calls under way.
    fn set_aside(&self, subject: &Subject, request: &Request) -> Result<u64, NoAnswer> {
        if self.cap.is_none() {
            return Ok(0);
        }
        let text = String::from_utf8_lossy(&request.messages);
        let prompt = count(&subject.model().tokenizer, &text).map_or(0, u64::from);
        let bounds = subject.recipe.parameters().iter();
        let most = bounds
            .filter(|(name, _)| MAX_TOKENS.contains(&name.as_str()))
            .find_map(|(_, value)| value.parse().ok());
        self.aside(prompt.saturating_add(most.unwrap_or(ANSWER_TOKENS)))
    }

    fn aside(&self, need: u64) -> Result<u64, NoAnswer> {
        let Some(cap) = self.cap else { return Ok(0) };
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(need).filter(|sum| *sum <= cap)
        });
        taken.map(|_| need).map_err(|used| {
            NoAnswer::new(
                Cause::OverCap,
                format!("the token cap of {cap} is reached: {used} are used or set aside"),
                "raise `token_cap`, or ask fewer cases; what was answered is kept for `--resume`",
            )
        })
    }

    async fn attempts<T, F>(&self, who: &str, once: impl Fn() -> F) -> Result<T, NoAnswer>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 0;
        loop {
            attempt += 1;
            if self.timeouts.load(Ordering::Relaxed) >= GIVE_UP_AFTER {
                return Err(given_up(who, self.limits.timeout));
            }
            let failure = match once().await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let asked = failure.retry_after.as_deref().and_then(seconds);
            if let Some(wait) = asked {
                if wait > self.limits.patience {
                    return Err(too_long(who, wait, self.limits.patience));
                }
                self.close_until(Instant::now() + wait);
            }
            if attempt >= self.limits.attempts || !worth_a_retry(failure.kind) {
                return Err(failed(who, &failure, attempt, self.limits.timeout));
            }
            if asked.is_none() {
                sleep(pause).await;
                pause = (pause * 2).min(MAX_PAUSE);
            }
        }
    }

    async fn once(
        &self,
        subject: &Subject,
        request: &Request,
        question: &Question<'_>,
    ) -> Result<Answer, Failure> {
        let Source::Live { prepared, client } = &subject.source else {
            return Err(Failure::new(FailureKind::Misconfigured, "nobody to ask"));
        };
        // Closed only if the asker is dropped, and then nobody waits here.
        let Ok(_permit) = self.permits.acquire().await else {
            return Err(Failure::new(FailureKind::Misconfigured, "the run is over"));
        };
        self.turn().await;
        let begun = Instant::now();
        let seed = question.seed.wrapping_add(u64::from(question.repeat));
        let call = Call {
            id: format!("eval-{}", self.calls.fetch_add(1, Ordering::Relaxed)),
            created: Timestamp(0),
            messages: request.messages.clone(),
            fields: [("seed".to_owned(), Bytes::from(seed.to_string()))].into(),
            parameters: subject.parameters.clone(),
            choices: 1,
            stream: false,
            include_usage: false,
            local: None,
            deadline: begun + self.limits.timeout,
            retries: 0,
        };
        let reply = prepared.call(client, call).await;
        self.hung(reply.as_ref().err());
        let ReplyBody::Whole(whole) = reply?.body else {
            return Err(Failure::new(
                FailureKind::Garbage,
                "a stream came, and none was asked for",
            ));
        };
        let mut answer = read(&whole.body)?;
        answer.latency_ms = u64::try_from(begun.elapsed().as_millis()).ok();
        let tokenizer = &subject.model().tokenizer;
        let messages = || String::from_utf8_lossy(&request.messages).into_owned();
        answer.prompt_tokens = answer.prompt_tokens.or_else(|| count(tokenizer, &messages()));
        answer.completion_tokens =
            answer.completion_tokens.or_else(|| count(tokenizer, &answer.text));
        Ok(answer)
    }

    /// Waits until the gate is open and it is this call's turn.
    async fn turn(&self) {
        loop {
            let open_at = {
                let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
                let now = Instant::now();
                if *gate <= now {
                    if let Some(rate) = self.limits.per_minute.filter(|rate| *rate > 0) {
                        *gate = now + Duration::from_secs(60) / rate;
                    }
                    return;
                }
                *gate
            };
            sleep_until(open_at).await;
        }
    }

    fn close_until(&self, at: Instant) {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        *gate = (*gate).max(at);
    }
}

/// Tokens of an answer and its prompt.
pub(crate) fn tokens(answer: &Answer) -> u64 {
    u64::from(answer.prompt_tokens.unwrap_or(0)) + u64::from(answer.completion_tokens.unwrap_or(0))
}

fn worth_a_retry(kind: FailureKind) -> bool {
    match kind {
        FailureKind::Refused(status) => status == 408 || status == 429 || status >= 500,
        FailureKind::Unreachable | FailureKind::CutBefore | FailureKind::Timeout => true,
        _ => false,
    }
}

/// `Retry-After` in seconds. A date is not read: the machine's clock may be
/// wrong, and growing pauses do as well.
fn seconds(retry_after: &str) -> Option<Duration> {
    retry_after.trim().parse().ok().map(Duration::from_secs)
}

fn given_up(who: &str, timeout: Duration) -> NoAnswer {
    NoAnswer::new(
        Cause::GivenUp,
        format!(
            "`{who}` was given up: it did not answer within {} s, {GIVE_UP_AFTER} times in a row",
            timeout.as_secs()
        ),
        "look at the provider, then go on with `--resume`",
    )
}

fn too_long(who: &str, wait: Duration, patience: Duration) -> NoAnswer {
    NoAnswer::new(
        Cause::RateLimited,
        format!(
            "`{who}` asks to wait {} s, longer than the {} s a run waits",
            wait.as_secs(),
            patience.as_secs()
        ),
        "go on later with `--resume`, or ask fewer at once with `--concurrency`",
    )
}

fn failed(model: &str, failure: &Failure, attempts: u32, timeout: Duration) -> NoAnswer {
    match failure.kind {
        FailureKind::Timeout => NoAnswer::new(
            Cause::Timeout,
            format!(
                "`{model}` did not answer within {} s ({attempts} attempts)",
                timeout.as_secs()
            ),
            "look at the provider, or allow more with `--timeout`",
        ),
        FailureKind::Refused(429) => NoAnswer::new(
            Cause::RateLimited,
            format!("`{model}` refused for too many requests, {attempts} times"),
            "ask fewer at once with `--concurrency`, then go on with `--resume`",
        ),
        FailureKind::Garbage => NoAnswer::new(
            Cause::Garbage,
            format!("what `{model}` answered cannot be used: {failure}"),
            "look at the provider: it does not keep to its API",
        ),
        _ => NoAnswer::new(
            Cause::Provider,
            format!("`{model}` gave no answer ({attempts} attempts): {failure}"),
            "look at the provider and the release's parameters, then go on with `--resume`",
        ),
    }
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<connect::tap::Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<Called>>,
}

#[derive(Deserialize)]
struct Called {
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    arguments: String,
}

/// Reads a chat completion. One without a choice or a message is none.
fn read(body: &[u8]) -> Result<Answer, Failure> {
    let garbage = || Failure::new(FailureKind::Garbage, "the provider's answer has no message");
    let completion: Completion = serde_json::from_slice(body).map_err(|_| garbage())?;
    let message = completion.choices.into_iter().next().ok_or_else(garbage)?.message;
    let called = message.tool_calls.unwrap_or_default().into_iter().map(|call| ToolCall {
        name: call.function.name,
        arguments: serde_json::from_str(&call.function.arguments).unwrap_or(Value::Null),
    });
    let few = |n: u64| u32::try_from(n).ok();
    Ok(Answer {
        text: message.content.or(message.refusal).unwrap_or_default(),
        tool_calls: called.collect(),
        error: None,
        prompt_tokens: completion.usage.and_then(|u| few(u.prompt_tokens)),
        completion_tokens: completion.usage.and_then(|u| few(u.completion_tokens)),
        latency_ms: None,
    })
}
