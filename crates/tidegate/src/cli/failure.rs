//! How a command ends when it does not end well: one status for scripts, one
//! text for people, and the server's problem as it came for programs.

use control::problem::ProblemKind;
use serde::Deserialize;
use serde_json::Value;
use std::process::ExitCode;

/// The status a command ends with. The numbers are part of the interface:
/// `tidegate help exit-codes` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// What was asked was done.
    Ok = 0,
    /// The server or the network failed.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// Cancelled by the person, or `--wait` ran out.
    Cancelled = 3,
    /// Not signed in, or not allowed.
    NotAllowed = 4,
    /// There is no such thing.
    NotFound = 5,
    /// Somebody changed it meanwhile.
    Conflict = 6,
    /// A check or a policy said no.
    Refused = 7,
    /// Not finished yet.
    Pending = 8,
    /// The rollout was rolled back, or the app killed.
    RolledBack = 9,
    /// The rollout is paused: a person must decide.
    Paused = 10,
    /// The audit log or a release did not verify.
    NotVerified = 11,
    /// Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

impl Exit {
    /// The status for a kind of problem.
    pub fn of(kind: ProblemKind) -> Self {
        match kind {
            ProblemKind::NotSignedIn | ProblemKind::NotAllowed => Self::NotAllowed,
            ProblemKind::NotFound => Self::NotFound,
            ProblemKind::Conflict => Self::Conflict,
            ProblemKind::Invalid => Self::Usage,
            ProblemKind::Refused => Self::Refused,
            ProblemKind::Failed | ProblemKind::TooMany => Self::Failed,
        }
    }

    /// The status for an HTTP status.
    pub fn of_http(status: u16) -> Self {
        match status {
            400 | 413 | 415 | 422 => Self::Usage,
            401 | 403 => Self::NotAllowed,
            404 | 410 => Self::NotFound,
            412 => Self::Conflict,
            409 => Self::Refused,
            _ => Self::Failed,
        }
    }
}

/// A no, with what to do about it.
#[derive(Debug)]
pub struct Failure {
    /// Status to end with.
    pub exit: Exit,
    /// What is wrong, in one sentence.
    pub error: String,
    /// Why, if that is not plain.
    pub why: Option<String>,
    /// What to do.
    pub fix: Option<String>,
    /// What the server said besides, if it was the server that said no.
    pub said: Option<Box<Said>>,
}

/// What a server's no carries for looking it up. Boxed in [`Failure`], which
/// every function here may return.
#[derive(Debug, Default)]
pub struct Said {
    /// Its id of the request.
    pub id: Option<String>,
    /// Its stable code.
    pub code: Option<String>,
    /// The problem document as it came.
    pub document: Option<Value>,
}

/// The part of a problem document (RFC 9457) that people read.
#[derive(Deserialize)]
struct ProblemDocument {
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    hint: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    fields: Vec<String>,
    #[serde(default)]
    request_id: Option<String>,
}

impl Failure {
    /// A failure with nothing but its sentence.
    pub fn new(exit: Exit, error: impl Into<String>) -> Self {
        Self { exit, error: error.into(), why: None, fix: None, said: None }
    }

    /// A command line that makes no sense.
    pub fn usage(error: impl Into<String>) -> Self {
        Self::new(Exit::Usage, error)
    }

    /// The same with the cause.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// The same with what to do.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// From an answer that is not a success.
    pub fn from_answer(status: u16, body: &[u8]) -> Self {
        let exit = Exit::of_http(status);
        let document: Option<Value> = serde_json::from_slice(body).ok();
        let parsed = document
            .clone()
            .and_then(|value| serde_json::from_value::<ProblemDocument>(value).ok())
            .filter(|p| !p.detail.is_empty() || !p.title.is_empty());
        let Some(problem) = parsed else {
            if let Some(failure) = document.and_then(|d| Self::from_gateway(exit, d)) {
                return failure;
            }
            return Self::new(exit, format!("the server answered with status {status}"))
                .why("the answer is not one of Tidegate's")
                .fix("check the address in `--server`: it must be the control port");
        };
        let named = if problem.fields.is_empty() {
            String::new()
        } else {
            format!(" ({})", problem.fields.join(", "))
        };
        let error = if problem.detail.is_empty() { problem.title } else { problem.detail };
        Self {
            exit,
            error: format!("{error}{named}"),
            why: None,
            fix: (!problem.hint.is_empty()).then_some(problem.hint),
            said: Some(Box::new(Said { id: problem.request_id, code: problem.code, document })),
        }
    }

    /// From a gateway's no, which has OpenAI's shape with a part of our own.
    fn from_gateway(exit: Exit, document: Value) -> Option<Self> {
        let text = |place: &str| document.pointer(place).and_then(Value::as_str).map(str::to_owned);
        let (error, fix) = (text("/error/message")?, text("/error/tidegate/hint"));
        let code = text("/error/tidegate/code").or_else(|| text("/error/code"));
        let said = Said { id: None, code, document: Some(document) };
        Some(Self { exit, error, why: None, fix, said: Some(Box::new(said)) })
    }

    /// The text for people: `error`, `why`, `fix`, `id`.
    pub fn text(&self) -> String {
        let mut text = format!("error: {}\n", self.error);
        for (name, line) in [("why", &self.why), ("fix", &self.fix)] {
            if let Some(line) = line {
                let line = line.replace('\n', "\n        ");
                text.push_str(&format!("  {name:>4}: {line}\n"));
            }
        }
        let mut last = Vec::new();
        let (id, code) = self.said.as_ref().map_or((&None, &None), |s| (&s.id, &s.code));
        if let Some(id) = id {
            last.push(format!("  {:>4}: {id}", "id"));
        }
        if let Some(code) = code {
            last.push(format!("{}({code})", if last.is_empty() { "        " } else { "" }));
        }
        last.push(format!(
            "{}exit {}",
            if last.is_empty() { "        " } else { "  " },
            self.exit as u8
        ));
        text.push_str(&last.join(" "));
        text.push('\n');
        text
    }

    /// The same as a problem document, for `-o json`.
    pub fn document(&self) -> Value {
        let came = self.said.as_ref().and_then(|s| s.document.clone());
        let mut document = came.unwrap_or_else(|| {
            serde_json::json!({
                "type": "about:blank",
                "title": "the command failed",
                "detail": self.error,
                "hint": self.fix,
                "why": self.why,
                "code": "cli",
            })
        });
        if let Some(map) = document.as_object_mut() {
            map.insert("exit".to_owned(), Value::from(self.exit as u8));
        }
        document
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        // A reader that has seen enough (`| head`) is no failure.
        let exit =
            if error.kind() == std::io::ErrorKind::BrokenPipe { Exit::Ok } else { Exit::Failed };
        Self::new(exit, format!("cannot write the output: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_becomes_error_fix_and_id() {
        let body = serde_json::json!({
            "type": "about:blank", "title": "Not allowed", "status": 403,
            "detail": "`ana` wrote this change, so someone else must approve it",
            "hint": "ask another approver", "code": "own_change", "fields": [],
            "request_id": "req_x",
        });
        let failure = Failure::from_answer(403, body.to_string().as_bytes());
        assert_eq!(failure.exit, Exit::NotAllowed);
        insta::assert_snapshot!(failure.text(), @r"
        error: `ana` wrote this change, so someone else must approve it
           fix: ask another approver
            id: req_x (own_change)   exit 4
        ");
    }

    #[test]
    fn a_gateways_no_keeps_its_words() {
        let body = serde_json::json!({"error": {
            "message": "the token is not known", "type": "invalid_request_error", "param": null,
            "code": "invalid_api_key",
            "tidegate": {"code": "invalid_api_key", "hint": "make a new one"},
        }});
        let failure = Failure::from_answer(401, body.to_string().as_bytes());
        assert_eq!(failure.exit, Exit::NotAllowed);
        insta::assert_snapshot!(failure.text(), @r"
        error: the token is not known
           fix: make a new one
                (invalid_api_key)   exit 4
        ");
    }

    #[test]
    fn an_answer_of_somebody_else_says_which_address_is_meant() {
        let failure = Failure::from_answer(502, b"<html>bad gateway</html>");
        insta::assert_snapshot!(failure.text(), @r"
        error: the server answered with status 502
           why: the answer is not one of Tidegate's
           fix: check the address in `--server`: it must be the control port
                exit 1
        ");
    }
}
