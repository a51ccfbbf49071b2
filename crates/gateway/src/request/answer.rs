//! From a release and a request to a reply: render, call.

use super::ChatRequest;
use super::chat::last_user_text;
use crate::snapshot::{App, Compiled, Fallbacks, Served, Unusable};
use crate::state::Shared;
use bytes::Bytes;
use checks::template::RenderError;
use connect::provider::{Call, Failure, FailureKind, Reply};
use domain::ids::{ReleaseId, RequestId};
use domain::telemetry::AnswerStatus;
use domain::units::Timestamp;
use std::sync::Arc;
use tokio::time::Instant;

/// Everything about one call that does not depend on who answers.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) id: RequestId,
    pub(super) at: Timestamp,
    pub(super) request: Arc<ChatRequest>,
    pub(super) deadline: Instant,
    pub(super) retries: u32,
}

/// Why a call could not be made of a request.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoCall {
    /// The release cannot answer on this gateway.
    #[error(transparent)]
    Unusable(Unusable),
    /// The prompt, or the recording's key, could not be rendered.
    #[error(transparent)]
    Render(RenderError),
}

/// A call that is ready.
pub(super) struct Ready {
    pub(super) served: Arc<Served>,
    pub(super) call: Call,
}

impl Job {
    /// Makes a release's call of the request.
    ///
    /// # Errors
    /// [`NoCall`].
    pub(super) fn ready(
        &self,
        compiled: &Compiled,
        app: &App,
        release: &ReleaseId,
    ) -> Result<Ready, NoCall> {
        let served = compiled.release(release).map_err(NoCall::Unusable)?;
        let vars = &self.request.tidegate.vars;
        let request = &self.request;
        let messages = served.recipe.messages(vars, &request.messages).map_err(NoCall::Render)?;
        let local = if served.needs_fallback {
            app.fallback.as_ref().and_then(|f| choose(f, request)).map(|c| c.text)
        } else {
            served.recipe.key(vars).map_err(NoCall::Render)?
        };
        let parameters = served.parameters.clone();
        let call = Call { parameters, local, ..self.call(messages.into()) };
        Ok(Ready { served, call })
    }

    /// The call of a text that is chosen already.
    pub(super) fn call(&self, messages: Bytes) -> Call {
        Call {
            id: format!("chatcmpl-{}", self.id.as_str().trim_start_matches("req_")),
            created: self.at,
            messages,
            fields: self.request.fields.clone(),
            parameters: Arc::new([]),
            choices: self.request.choices,
            stream: self.request.stream,
            include_usage: self.request.include_usage,
            local: None,
            deadline: self.deadline,
            retries: self.retries,
        }
    }
}

/// Calls the provider.
pub(super) async fn ask(shared: &Shared, ready: Ready) -> Result<Reply, Failure> {
    ready.served.provider.call(&shared.client, ready.call).await
}

/// The text of a fallback, and which it is.
pub(super) struct Chosen {
    pub(super) text: String,
    pub(super) word: &'static str,
}

/// The first text of the fallback that renders.
pub(super) fn choose(fallbacks: &Fallbacks, request: &ChatRequest) -> Option<Chosen> {
    let message =
        fallbacks.rules.reads_message().then(|| last_user_text(&request.messages)).flatten();
    let vars = &request.tidegate.vars;
    fallbacks.rules.choices(vars, message.as_deref()).find_map(|choice| {
        let text = fallbacks.template(choice)?.render(vars).ok()?;
        Some(Chosen { text, word: choice.word() })
    })
}

/// How a failure counts. Every refusal of a provider counts against the
/// release: what it sends is composed of the release and the request, and only
/// the comparison with control can tell them apart.
pub(super) fn status_of(failure: &Failure) -> AnswerStatus {
    match failure.kind {
        FailureKind::Timeout => AnswerStatus::Timeout,
        FailureKind::Cut => AnswerStatus::Cut,
        _ => AnswerStatus::ProviderError,
    }
}

/// How a failure after the first byte counts: whatever broke the stream, the
/// caller has half an answer.
pub(super) fn status_midway(failure: &Failure) -> AnswerStatus {
    match failure.kind {
        FailureKind::Timeout => AnswerStatus::Timeout,
        _ => AnswerStatus::Cut,
    }
}
