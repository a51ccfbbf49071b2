//! Every no as a problem document (RFC 9457).

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use control::problem::{Problem, ProblemKind};
use domain::ids::InvalidId;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// What handlers fail with.
pub(crate) struct ApiError {
    problem: Box<Problem>,
    status: StatusCode,
}

/// The document.
#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    hint: &'a str,
    code: &'a str,
    fields: &'a [String],
    request_id: &'a str,
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        let status = status(problem.kind);
        Self { problem: Box::new(problem), status }
    }
}

impl From<InvalidId> for ApiError {
    fn from(error: InvalidId) -> Self {
        Problem::new(ProblemKind::Invalid, "bad_name", error.to_string(), "check the spelling")
            .into()
    }
}

impl ApiError {
    /// A request that cannot be read.
    pub(crate) fn invalid(code: &str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Problem::new(ProblemKind::Invalid, code, detail, hint).into()
    }

    /// What it says.
    pub(crate) fn words(&self) -> (&str, &str) {
        (&self.problem.detail, &self.problem.hint)
    }

    /// The status it is answered with.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The same under another status.
    #[must_use]
    pub(crate) fn with(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

fn status(kind: ProblemKind) -> StatusCode {
    match kind {
        ProblemKind::NotSignedIn => StatusCode::UNAUTHORIZED,
        ProblemKind::NotAllowed => StatusCode::FORBIDDEN,
        ProblemKind::NotFound => StatusCode::NOT_FOUND,
        ProblemKind::Conflict => StatusCode::PRECONDITION_FAILED,
        ProblemKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        ProblemKind::Refused => StatusCode::CONFLICT,
        ProblemKind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        ProblemKind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn title(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::NotSignedIn => "Not signed in",
        ProblemKind::NotAllowed => "Not allowed",
        ProblemKind::NotFound => "Not found",
        ProblemKind::Conflict => "Changed meanwhile",
        ProblemKind::Invalid => "Cannot be read",
        ProblemKind::Refused => "Refused",
        ProblemKind::TooMany => "Too often",
        ProblemKind::Failed => "Failed",
    }
}

/// A problem on its way to the layer that knows the request id.
#[derive(Clone)]
pub(crate) struct Pending(Box<Problem>);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(wait) = self.problem.wait {
            let seconds = HeaderValue::from_str(&format!("{}", wait.secs().ceil()));
            seconds.ok().and_then(|s| response.headers_mut().insert(header::RETRY_AFTER, s));
        }
        response.extensions_mut().insert(Pending(self.problem));
        response
    }
}

/// The code of a pending problem.
pub(crate) fn code(response: &Response) -> Option<&str> {
    response.extensions().get::<Pending>().map(|pending| pending.0.code.as_str())
}

/// Writes the document of a pending problem, with the request's id.
pub(crate) fn finish(mut response: Response, request_id: &str) -> Response {
    let Some(Pending(problem)) = response.extensions_mut().remove::<Pending>() else {
        return response;
    };
    let status = response.status();
    if status.is_server_error() {
        tracing::error!(request_id, code = problem.code, detail = problem.detail, "request failed");
    }
    let document = Document {
        r#type: "about:blank",
        title: title(problem.kind),
        status: status.as_u16(),
        detail: &problem.detail,
        hint: &problem.hint,
        code: &problem.code,
        fields: &problem.fields,
        request_id,
    };
    // Strings and a number always have a JSON form.
    *response.body_mut() = Body::from(serde_json::to_vec(&document).unwrap_or_default());
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

/// 404 for a path nobody serves.
pub(crate) async fn no_such_path(uri: http::Uri) -> ApiError {
    Problem::new(
        ProblemKind::NotFound,
        "no_such_path",
        format!("there is nothing at `{}`", uri.path()),
        "the API is at /api/v1, the audit log at /log, git at /git/ops.git",
    )
    .into()
}

/// 405 for a method a path does not know.
pub(crate) async fn no_such_method(method: http::Method, uri: http::Uri) -> ApiError {
    let detail = format!("`{}` cannot be called with {method}", uri.path());
    ApiError::invalid("no_such_method", detail, "see the Allow header")
        .with(StatusCode::METHOD_NOT_ALLOWED)
}
