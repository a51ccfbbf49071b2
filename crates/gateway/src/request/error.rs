//! Errors in OpenAI's shape, with a code of ours and what to do.
//!
//! `{"error": {"message", "type", "param", "code", "tidegate": {"code", "hint"}}}`:
//! the official clients raise their own typed errors from status and body.

use connect::provider::{Failure, FailureKind};
use http::StatusCode;
use serde_json::{Map, Value, json};

/// What went wrong: a word that never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidApiKey,
    NotAllowed,
    BadJson,
    BadHeader,
    BadValue,
    TooLarge,
    BodyTimeout,
    ModelNotFound,
    NotFound,
    MethodNotAllowed,
    NotReady,
    MissingVariables,
    RenderFailed,
    Killed,
    PreviewSpent,
    Overloaded,
    ReleaseUnusable,
    ProviderRateLimited,
    ProviderRefused,
    ProviderError,
    ProviderUnreachable,
    ProviderCut,
    ProviderTimeout,
    ProviderGarbage,
    ProviderTooLarge,
    RecordingMissing,
    NoFallback,
}

impl Code {
    /// Status, OpenAI's `type`, OpenAI's `code`, ours.
    fn facts(self) -> (u16, &'static str, &'static str) {
        const CALLER: &str = "invalid_request_error";
        const SERVER: &str = "server_error";
        match self {
            Self::InvalidApiKey => (401, CALLER, "invalid_api_key"),
            Self::NotAllowed => (403, "permission_error", "not_allowed"),
            Self::BadJson => (400, CALLER, "bad_json"),
            Self::BadHeader => (400, CALLER, "bad_header"),
            Self::BadValue => (400, CALLER, "bad_value"),
            Self::TooLarge => (413, CALLER, "too_large"),
            Self::BodyTimeout => (408, CALLER, "body_timeout"),
            Self::ModelNotFound => (404, CALLER, "model_not_found"),
            Self::NotFound => (404, CALLER, "not_found"),
            Self::MethodNotAllowed => (405, CALLER, "method_not_allowed"),
            Self::NotReady => (503, SERVER, "not_ready"),
            Self::MissingVariables => (400, CALLER, "missing_variables"),
            Self::RenderFailed => (400, CALLER, "render_failed"),
            Self::Killed => (503, SERVER, "killed"),
            // The type OpenAI's own clients know for a quota that waiting does
            // not bring back.
            Self::PreviewSpent => (429, "insufficient_quota", "preview_cap_reached"),
            Self::Overloaded => (503, SERVER, "overloaded"),
            Self::ReleaseUnusable => (500, SERVER, "release_unusable"),
            Self::ProviderRateLimited => (429, "rate_limit_error", "rate_limit_exceeded"),
            Self::ProviderRefused => (400, CALLER, "provider_refused"),
            Self::ProviderError => (502, SERVER, "provider_error"),
            Self::ProviderUnreachable => (502, SERVER, "provider_unreachable"),
            Self::ProviderCut => (502, SERVER, "provider_cut"),
            Self::ProviderTimeout => (504, SERVER, "provider_timeout"),
            Self::ProviderGarbage => (502, SERVER, "provider_garbage"),
            Self::ProviderTooLarge => (502, SERVER, "provider_too_large"),
            // Not 5xx: clients would try again what cannot succeed.
            Self::RecordingMissing => (404, CALLER, "recording_missing"),
            Self::NoFallback => (503, SERVER, "no_fallback"),
        }
    }
}

/// An error for a caller.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    pub(crate) code: Code,
    pub(crate) status: StatusCode,
    /// Boxed: errors are rare, and results travel by value.
    words: Box<Words>,
}

#[derive(Debug, Clone, Default)]
struct Words {
    message: String,
    retry_after: Option<String>,
    param: Option<String>,
    hint: Option<String>,
    /// Line and column in the request's body.
    place: Option<(usize, usize)>,
    /// The `error` object of an upstream, shown instead of our words.
    upstream: Option<Map<String, Value>>,
}

impl ApiError {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            status: StatusCode::from_u16(code.facts().0)
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            words: Box::new(Words { message: message.into(), ..Words::default() }),
        }
    }

    #[must_use]
    pub(crate) fn retry_after(mut self, after: Option<String>) -> Self {
        self.words.retry_after = after;
        self
    }

    /// What `Retry-After` should say.
    pub(crate) fn when(&self) -> Option<&str> {
        self.words.retry_after.as_deref()
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.words.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub(crate) fn param(mut self, param: impl Into<String>) -> Self {
        self.words.param = Some(param.into());
        self
    }

    /// Wrong JSON: where, and what was wanted there.
    pub(crate) fn json(error: &serde_json::Error, wanted: &str) -> Self {
        let text = error.to_string();
        let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
        let mut it = Self::new(
            Code::BadJson,
            format!(
                "the body is not {wanted}: {what} (line {}, column {})",
                error.line(),
                error.column()
            ),
        );
        it.words.place = Some((error.line(), error.column()));
        it
    }

    /// A provider's failure, as a caller should see it. A wrong key of the
    /// gateway's is not a wrong key of the caller's; what the caller sent wrong
    /// keeps its status.
    pub(crate) fn of_failure(failure: &Failure) -> Self {
        let (code, status) = match failure.kind {
            FailureKind::Refused(429) => (Code::ProviderRateLimited, None),
            FailureKind::Refused(status @ (400 | 409 | 413 | 415 | 422)) => {
                (Code::ProviderRefused, Some(status))
            }
            FailureKind::Refused(_) => (Code::ProviderError, None),
            FailureKind::Unreachable => (Code::ProviderUnreachable, None),
            FailureKind::CutBefore | FailureKind::Cut => (Code::ProviderCut, None),
            FailureKind::Timeout => (Code::ProviderTimeout, None),
            FailureKind::Garbage => (Code::ProviderGarbage, None),
            FailureKind::TooLarge => (Code::ProviderTooLarge, None),
            FailureKind::NoRecording => (Code::RecordingMissing, None),
            FailureKind::NoRule => (Code::NoFallback, None),
            FailureKind::Misconfigured => (Code::ReleaseUnusable, None),
        };
        let mut it = Self::new(code, failure.message.clone());
        if let Some(status) = status.and_then(|s| StatusCode::from_u16(s).ok()) {
            it.status = status;
        }
        it.words.retry_after.clone_from(&failure.retry_after);
        // What an upstream says of the gateway's key is not for callers.
        if !matches!(failure.kind, FailureKind::Refused(401 | 403)) {
            it.words.upstream =
                failure.upstream.as_ref().and_then(|e| serde_json::from_slice(&e.0).ok());
        }
        it.hint(hint_for(code))
    }

    /// The whole body.
    pub(crate) fn body(&self) -> Value {
        let (_, kind, word) = self.code.facts();
        let mut error = json!({
            "message": self.words.message,
            "type": kind,
            "param": self.words.param,
            "code": word,
        });
        if let (Some(upstream), Some(error)) = (&self.words.upstream, error.as_object_mut()) {
            error.extend(upstream.iter().map(|(k, v)| (k.clone(), v.clone())));
        }
        if let Some(error) = error.as_object_mut() {
            let mut own = json!({"code": word, "hint": self.words.hint});
            if let (Some((line, column)), Some(own)) = (self.words.place, own.as_object_mut()) {
                own.insert("line".to_owned(), line.into());
                own.insert("column".to_owned(), column.into());
            }
            error.insert("tidegate".to_owned(), own);
        }
        json!({ "error": error })
    }

    /// The words for the log: never what an upstream quoted.
    pub(crate) fn message(&self) -> &str {
        &self.words.message
    }
}

fn hint_for(code: Code) -> &'static str {
    match code {
        Code::ProviderRateLimited => {
            "wait as long as `Retry-After` says, or give the app a fallback (`on_error: fallback`)"
        }
        Code::ProviderRefused => {
            "the provider does not accept a field of the request or of the release's parameters"
        }
        Code::RecordingMissing => {
            "record an answer for this key, or correct the model's `key` template"
        }
        Code::ReleaseUnusable => "the gateway's log says what the release lacks here",
        Code::NoFallback => "add `default` or `hand_over` to the app's `fallback.yaml`",
        Code::ProviderTimeout => {
            "raise the app's `timeout`, or send a larger `X-Tidegate-Timeout-Ms`"
        }
        _ => "try again; if it stays, look at the provider and at the app's `on_error`",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect::provider::UpstreamError;

    #[test]
    fn an_upstreams_error_is_shown_but_not_about_our_key() {
        let failure = |status| {
            Failure {
            upstream: Some(UpstreamError(br#"{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}"#.as_slice().into())),
            ..Failure::new(FailureKind::Refused(status), "the provider answered")
        }
        };
        let shown = ApiError::of_failure(&failure(400));
        assert_eq!(shown.status, 400);
        assert_eq!(shown.body()["error"]["code"], "context_length_exceeded");
        assert_eq!(shown.body()["error"]["tidegate"]["code"], "provider_refused");
        let hidden = ApiError::of_failure(&failure(401));
        assert_eq!(hidden.status, 502);
        assert_eq!(hidden.body()["error"]["message"], "the provider answered");
    }
}
