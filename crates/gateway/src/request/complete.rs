//! `POST /v1/chat/completions`.

use super::answer::{Job, NoCall, ask, status_of};
use super::auth::{Caller, authorize};
use super::pending::{Common, Pending};
use super::respond::{self, Decided, Origin};
use super::{ApiError, Body, ChatRequest, Code, fallback, ingress, preview, shadow, stream};
use crate::snapshot::App;
use crate::state::{Serving, Shared};
use crate::telemetry::cost;
use connect::provider::{Failure, FailureKind, Reply, ReplyBody};
use domain::ids::{AppName, RequestId};
use domain::policy::SubjectKey;
use domain::routing::{Arm, Facts, route};
use domain::telemetry::AnswerStatus;
use domain::units::Timestamp;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What every model's name begins with.
pub(crate) const APP_PREFIX: &str = "app/";
/// Most bytes of a subject.
const MAX_SUBJECT_BYTES: usize = 512;

/// What a caller wants done when the provider fails or the app is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// As the app says.
    App,
    /// Answer from the fallback.
    Allow,
    /// Only a model's answer will do.
    Never,
}

/// A request whose caller, app and wishes are known.
pub(super) struct Known {
    pub(super) shared: Arc<Shared>,
    pub(super) caller: Caller,
    pub(super) app: AppName,
    pub(super) wish: Wish,
    pub(super) job: Job,
}

impl Known {
    /// The app in the request's snapshot.
    pub(super) fn app(&self) -> Option<&App> {
        self.caller.compiled.apps.get(&self.app)
    }
}

/// Answers a chat request.
pub(crate) async fn complete(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let arrived = Instant::now();
    let (at, id) = (shared.now(), shared.new_id());
    let serving = shared.serving.load_full();
    match accept(&shared, &serving, request, (at, arrived, &id)).await {
        Ok((known, pending, killed)) => answer(known, pending, killed).await,
        Err(error) => {
            shared.counters.refused.add(1);
            respond::error(&error, &Origin::nobody(&id))
        }
    }
}

/// Everything up to knowing who answers.
async fn accept(
    shared: &Arc<Shared>,
    serving: &Serving,
    request: Request<Incoming>,
    (at, arrived, id): (Timestamp, Instant, &RequestId),
) -> Result<(Known, Pending, bool), ApiError> {
    let (head, body) = request.into_parts();
    let caller = authorize(serving, &head.headers, at)?;
    let wish = wish(&head.headers)?;
    let patience = patience(&head.headers)?;
    let body = ingress::read(body, shared.config.body_limit).await?;
    let request = Arc::new(ChatRequest::parse(&body)?);
    let (name, app) = find_app(&caller, &request.model)?;
    let subject = subject(&head.headers, &request, app.snapshot.subject, &caller)?;
    let segment = segment(app, &request);
    let routed = route(&app.snapshot, Facts { subject: &subject, segment: segment.as_deref() });
    let preview = caller
        .preview()
        .map(|(grant, meter)| preview::admit(grant, meter, &routed, body.len()))
        .transpose()?;
    let change = preview.as_ref().map(|preview| preview.change);
    let wish = if change.is_some() { preview::wish(wish) } else { wish };
    // The kill switch protects users; a preview has none, and is where what
    // will make up for the harm is tried.
    let local_kill = serving.kills.get(&name).copied();
    let killed = change.is_none() && local_kill.unwrap_or(routed.killed);
    let (decision, tab) = match preview {
        Some(preview) => (preview.decision, Some(preview.tab)),
        None => (routed, None),
    };
    let timeout: Duration = app.snapshot.timeout.into();
    let job = Job {
        id: id.clone(),
        at,
        request: request.clone(),
        deadline: arrived + patience.map_or(timeout, |p| p.min(timeout)),
        retries: app.snapshot.retries,
    };
    let common = Common {
        shared: shared.clone(),
        id: id.clone(),
        app: name.clone(),
        generation: caller.compiled.generation,
        subject,
        tenant: request.tidegate.attr("tenant"),
        request,
        answer_schema: app.answer_schema.clone(),
        preview: change,
    };
    let mut pending = Pending::new(common, decision, at, arrived);
    pending.tab = tab;
    Ok((Known { shared: shared.clone(), caller, app: name, wish, job }, pending, killed))
}

async fn answer(known: Known, mut pending: Pending, killed: bool) -> Response<Body> {
    let Some(app) = known.app() else {
        // Found a moment ago in the same immutable snapshot.
        return respond::error(&no_such_app(known.app.as_str()), &Origin::nobody(&known.job.id));
    };
    if killed {
        return fallback::killed(&known, app, pending).await;
    }
    let release = pending.decision().release;
    let ready = match known.job.ready(&known.caller.compiled, app, &release) {
        Ok(ready) => ready,
        Err(NoCall::Render(error)) if !only_the_candidate_fails(&known, app, &pending) => {
            return bad_request(error, pending, &known);
        }
        Err(why) => {
            let failure = Failure::new(FailureKind::Misconfigured, why.to_string());
            return fallback::failed(&known, app, pending, failure).await;
        }
    };
    pending.served = Some(ready.served.clone());
    pending.prompt = ready.call.messages.clone();
    shadow::mirror(&known, &pending);
    match ask(&known.shared, ready).await {
        Ok(reply) => deliver(reply, pending, &known),
        Err(failure) => fallback::failed(&known, app, pending, failure).await,
    }
}

/// Hands an answer to the caller.
pub(super) fn deliver(reply: Reply, mut pending: Pending, known: &Known) -> Response<Body> {
    pending.first_byte();
    pending.retries = pending.retries.max(reply.retries);
    let origin = Origin {
        id: known.job.id.clone(),
        decided: Some(Decided::of(pending.decision(), pending.fallback)),
    };
    match reply.body {
        ReplyBody::Whole(whole) => {
            let prices = pending.served.as_ref().map(|served| served.prices);
            let cost = prices.zip(whole.summary.usage).map(|(prices, usage)| cost(prices, usage));
            pending.finish(AnswerStatus::Ok, None, whole.summary);
            respond::whole(whole.body, cost, &origin)
        }
        ReplyBody::Stream(answer) => respond::events(stream::body(answer, pending), &origin),
    }
}

/// Tells the caller of a failure that no fallback answers.
pub(super) fn refuse(failure: &Failure, pending: Pending, known: &Known) -> Response<Body> {
    let error = ApiError::of_failure(failure);
    let origin =
        Origin { id: known.job.id.clone(), decided: Some(Decided::of(pending.decision(), "none")) };
    pending.finish(status_of(failure), Some(failure.message.clone()), Default::default());
    respond::error(&error, &origin)
}

/// A request the candidate (or a variant) cannot render and the stable release
/// can: the candidate's fault (it asks for more than callers send), not the
/// caller's.
fn only_the_candidate_fails(known: &Known, app: &App, pending: &Pending) -> bool {
    matches!(pending.decision().arm, Arm::Candidate | Arm::Variant)
        && known.job.ready(&known.caller.compiled, app, &app.snapshot.production).is_ok()
}

fn bad_request(
    error: checks::template::RenderError,
    pending: Pending,
    known: &Known,
) -> Response<Body> {
    let code = match &error {
        checks::template::RenderError::MissingVariables(_) => Code::MissingVariables,
        checks::template::RenderError::Failed { .. } => Code::RenderFailed,
    };
    let told = ApiError::new(code, error.to_string())
        .param("tidegate.vars")
        .hint("send every variable the app declares in `tidegate.vars`");
    let origin =
        Origin { id: known.job.id.clone(), decided: Some(Decided::of(pending.decision(), "none")) };
    pending.finish(AnswerStatus::BadRequest, Some(told.message().to_owned()), Default::default());
    respond::error(&told, &origin)
}

fn find_app<'a>(caller: &'a Caller, model: &str) -> Result<(AppName, &'a App), ApiError> {
    let name: AppName = model
        .strip_prefix(APP_PREFIX)
        .and_then(|name| name.parse().ok())
        .ok_or_else(|| no_such_app(model))?;
    let app = caller.compiled.apps.get(&name).ok_or_else(|| no_such_app(model))?;
    if !caller.may_call(&name) {
        return Err(ApiError::new(Code::NotAllowed, format!("this token may not call `{model}`"))
            .hint("use a token of this app"));
    }
    Ok((name, app))
}

fn no_such_app(model: &str) -> ApiError {
    let shown: String = model.chars().take(80).collect();
    ApiError::new(Code::ModelNotFound, format!("there is no app `{shown}`"))
        .param("model")
        .hint("`model` is `app/<name>`; `GET /v1/models` lists the apps")
}

/// Who sticks together. Whatever an app asks for that the request does not name
/// (a tenant, a device) falls back to the user, and a request that names nobody
/// sticks to its token.
fn subject(
    headers: &HeaderMap,
    request: &ChatRequest,
    key: SubjectKey,
    caller: &Caller,
) -> Result<String, ApiError> {
    let attr = match key {
        SubjectKey::User => None,
        SubjectKey::Tenant => request.tidegate.attr("tenant"),
        SubjectKey::Device => request.tidegate.attr("device"),
        SubjectKey::Conversation => request.tidegate.attr("conversation"),
    };
    let named = match attr {
        Some(attr) => Some(attr),
        None => header(headers, "x-tidegate-subject")?.map(str::to_owned),
    };
    let subject = named
        .or_else(|| request.safety_identifier.clone())
        .or_else(|| request.user.clone())
        .filter(|subject| !subject.is_empty())
        .unwrap_or_else(|| caller.token.to_string());
    if subject.len() > MAX_SUBJECT_BYTES {
        return Err(ApiError::new(
            Code::BadValue,
            format!("the subject is longer than {MAX_SUBJECT_BYTES} bytes"),
        )
        .hint("send a short, stable id of the user"));
    }
    Ok(subject)
}

/// What the request says of its segment, if an experiment asks.
fn segment(app: &App, request: &ChatRequest) -> Option<String> {
    request.tidegate.attr(app.snapshot.experiment.as_ref()?.segment_by.as_deref()?)
}

fn wish(headers: &HeaderMap) -> Result<Wish, ApiError> {
    match header(headers, "x-tidegate-fallback")? {
        None => Ok(Wish::App),
        Some("allow") => Ok(Wish::Allow),
        Some("never") => Ok(Wish::Never),
        Some(other) => Err(ApiError::new(
            Code::BadHeader,
            format!("`X-Tidegate-Fallback: {other}` is neither `allow` nor `never`"),
        )
        .param("X-Tidegate-Fallback")),
    }
}

fn patience(headers: &HeaderMap) -> Result<Option<Duration>, ApiError> {
    let Some(text) = header(headers, "x-tidegate-timeout-ms")? else { return Ok(None) };
    text.trim().parse().map(|ms| Some(Duration::from_millis(ms))).map_err(|_| {
        ApiError::new(
            Code::BadHeader,
            format!("`X-Tidegate-Timeout-Ms: {text}` is not a number of milliseconds"),
        )
        .param("X-Tidegate-Timeout-Ms")
    })
}

fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, ApiError> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    std::str::from_utf8(value.as_bytes()).map(|text| Some(text).filter(|t| !t.is_empty())).map_err(
        |_| ApiError::new(Code::BadHeader, format!("the header `{name}` is not UTF-8")).param(name),
    )
}
