//! Clone, fetch and push over HTTP: git's smart protocol, spoken by the
//! system's `git http-backend`.
//!
//! A repository is served by a process of git's own because libgit2 has no
//! server side. Bodies stream both ways; nothing is held in memory whole.
//!
//! A push is never cut off in the middle by this process: once git has the
//! request it runs to its end even if the client goes away, and only then is its
//! context removed (see the journal of pushes).

use crate::Repo;
use crate::git::journal::Journal;
use crate::hook::{CONTEXT_VARIABLE, EXE_VARIABLE, PushContext};
use crate::limits::MAX_CGI_HEAD;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// The body of an answer.
pub type Body = BoxStream<'static, io::Result<Bytes>>;

/// Read at a time from git, in bytes.
const CHUNK: usize = 64 * 1024;

/// Serves a repository to git clients.
#[derive(Debug, Clone)]
pub struct Backend {
    repo: Repo,
    exe: PathBuf,
}

/// Why a request could not be handed to git. Everything git itself answers
/// (404, 403, 400) is a response and no error.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// `git http-backend` could not be run.
    #[error("git could not be run: {0}; is `git` installed?")]
    Run(io::Error),
    /// It answered something that is no response.
    #[error("git answered something that is not an HTTP response")]
    Answer,
    /// The push could not be prepared.
    #[error("the push could not be prepared: {0}")]
    Prepare(crate::RepoError),
}

/// What a client may ask of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    /// What is there, before a clone or fetch.
    ListToFetch,
    /// What is there, before a push.
    ListToPush,
    /// Clone or fetch.
    Fetch,
    /// Push.
    Push,
}

impl Service {
    fn of(request: &http::request::Parts) -> Option<Self> {
        match (request.method.as_str(), request.uri.path(), request.uri.query()) {
            ("GET", "/info/refs", Some("service=git-upload-pack")) => Some(Self::ListToFetch),
            ("GET", "/info/refs", Some("service=git-receive-pack")) => Some(Self::ListToPush),
            ("POST", "/git-upload-pack", _) => Some(Self::Fetch),
            ("POST", "/git-receive-pack", _) => Some(Self::Push),
            _ => None,
        }
    }

    fn writes(self) -> bool {
        matches!(self, Self::ListToPush | Self::Push)
    }
}

impl Backend {
    /// `exe` is the Tidegate binary, which the hooks run as
    /// `EXE git-hook pre-receive` and `EXE git-hook post-receive`.
    pub fn new(repo: Repo, exe: PathBuf) -> Self {
        Self { repo, exe }
    }

    /// Answers one request.
    ///
    /// `request.uri` holds the path *inside* the repository (`/info/refs`,
    /// `/git-upload-pack`, `/git-receive-pack`) and the query. `context` says who
    /// asks; the caller has checked the token and that the person may read.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// git could not be run.
    pub async fn serve<B, E>(
        &self,
        request: http::request::Parts,
        body: B,
        context: &PushContext,
    ) -> Result<Response<Body>, HttpError>
    where
        B: Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
        E: Send + 'static,
    {
        let Some(service) = Service::of(&request) else {
            return Ok(plain(
                StatusCode::NOT_FOUND,
                "only git clients are answered here: use `git clone` with the address of the repository\n",
            ));
        };
        if service.writes() && !context.may_push {
            return Ok(plain(
                StatusCode::FORBIDDEN,
                "this token may read and not push; an editor's token is needed\n",
            ));
        }
        let push = if service == Service::Push { Some(self.begin(context).await?) } else { None };
        let mut command = self.command(&request, context, push.as_deref());
        let mut child = match command.kill_on_drop(push.is_none()).spawn() {
            Ok(child) => child,
            Err(error) => {
                self.end(push);
                return Err(HttpError::Run(error));
            }
        };
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (Some(stdin), Some(stdout)) = (stdin, stdout) else {
            self.end(push);
            return Err(HttpError::Answer);
        };
        if request.method == Method::POST {
            tokio::spawn(feed(stdin, body));
        } else {
            drop(stdin);
        }
        // A fetch ends with its client, a push when git is done with it.
        let held = match push {
            None => Some(child),
            Some(context) => {
                let journal = self.clone();
                tokio::spawn(async move {
                    child.wait().await.map(drop).unwrap_or_default();
                    journal.end(Some(context));
                });
                None
            }
        };
        answer(stdout, held).await
    }

    async fn begin(&self, context: &PushContext) -> Result<PathBuf, HttpError> {
        let (journal, context) = (Journal::of(self.repo.path()), context.clone());
        tokio::task::spawn_blocking(move || journal.begin(&context))
            .await
            .map_err(|error| HttpError::Run(error.into()))?
            .map_err(HttpError::Prepare)
    }

    /// A context that stays is removed at the next start; nothing else depends on it.
    fn end(&self, context: Option<PathBuf>) {
        if let Some(context) = context {
            Journal::of(self.repo.path()).end(&context).unwrap_or_default();
        }
    }

    fn command(
        &self,
        request: &http::request::Parts,
        context: &PushContext,
        push: Option<&Path>,
    ) -> Command {
        let header = |name: HeaderName| request.headers.get(name).and_then(|v| v.to_str().ok());
        let mut command = Command::new("git");
        command.arg("http-backend").env_clear();
        // Only what is needed to run at all: the server's secrets stay with it.
        for name in ["PATH", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            // Whoever runs the server vouches for the folder it was given.
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "safe.directory")
            .env("GIT_CONFIG_VALUE_0", "*")
            .env("GIT_PROJECT_ROOT", self.repo.path())
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("GATEWAY_INTERFACE", "CGI/1.1")
            .env("SERVER_PROTOCOL", "HTTP/1.1")
            .env("REQUEST_METHOD", request.method.as_str())
            .env("PATH_INFO", request.uri.path())
            .env("QUERY_STRING", request.uri.query().unwrap_or_default())
            .env("REMOTE_USER", context.actor.as_str())
            .env(EXE_VARIABLE, &self.exe)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Some(push) = push {
            command.env(CONTEXT_VARIABLE, push);
        }
        for (variable, name) in [
            ("CONTENT_TYPE", header::CONTENT_TYPE),
            ("CONTENT_LENGTH", header::CONTENT_LENGTH),
            ("HTTP_CONTENT_ENCODING", header::CONTENT_ENCODING),
        ] {
            if let Some(value) = header(name) {
                command.env(variable, value);
            }
        }
        if let Some(protocol) = header(HeaderName::from_static("git-protocol")) {
            command.env("GIT_PROTOCOL", protocol).env("HTTP_GIT_PROTOCOL", protocol);
        }
        command
    }
}

/// Hands the request's body to git. An end before its time, or a client that
/// breaks off, closes git's input, and git ends by itself.
async fn feed<B, E>(mut stdin: ChildStdin, mut body: B)
where
    B: Stream<Item = Result<Bytes, E>> + Send + Unpin,
{
    while let Some(Ok(chunk)) = body.next().await {
        if stdin.write_all(&chunk).await.is_err() {
            return;
        }
    }
    stdin.shutdown().await.unwrap_or_default();
}

/// Reads the head git wrote and streams the rest.
async fn answer(mut stdout: ChildStdout, held: Option<Child>) -> Result<Response<Body>, HttpError> {
    let mut buffer = BytesMut::new();
    let (head, rest) = loop {
        if let Some(end) = head_end(&buffer) {
            let rest = buffer.split_off(end).freeze();
            break (buffer.freeze(), rest);
        }
        if buffer.len() > MAX_CGI_HEAD {
            return Err(HttpError::Answer);
        }
        if stdout.read_buf(&mut buffer).await.map_err(HttpError::Run)? == 0 {
            return Err(HttpError::Answer);
        }
    };
    let (status, headers) = parse_head(&head).ok_or(HttpError::Answer)?;
    let mut response = Response::new(body(rest, stdout, held));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// Where the head ends: behind the first empty line.
fn head_end(bytes: &[u8]) -> Option<usize> {
    let crlf = bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4);
    let lf = bytes.windows(2).position(|w| w == b"\n\n").map(|at| at + 2);
    match (crlf, lf) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// A CGI head: `Status:` and headers.
fn parse_head(head: &[u8]) -> Option<(StatusCode, HeaderMap)> {
    let mut status = StatusCode::OK;
    let mut headers = HeaderMap::new();
    for line in std::str::from_utf8(head).ok()?.lines().filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            status = value.split(' ').next()?.parse().ok()?;
        } else {
            let name: HeaderName = name.trim().parse().ok()?;
            headers.append(name, HeaderValue::from_str(value).ok()?);
        }
    }
    Some((status, headers))
}

fn body(first: Bytes, stdout: ChildStdout, held: Option<Child>) -> Body {
    let rest = stream::unfold(Some((stdout, held)), |state| async {
        let (mut stdout, held) = state?;
        let mut chunk = BytesMut::with_capacity(CHUNK);
        match stdout.read_buf(&mut chunk).await {
            Ok(0) => {
                if let Some(mut child) = held {
                    child.wait().await.map(drop).unwrap_or_default();
                }
                None
            }
            Ok(_) => Some((Ok(chunk.freeze()), Some((stdout, held)))),
            Err(error) => Some((Err(error), None)),
        }
    });
    let first = stream::iter((!first.is_empty()).then_some(Ok(first)));
    first.chain(rest).boxed()
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let body = stream::iter([Ok(Bytes::from_static(text.as_bytes()))]).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_either_line_end_are_read() {
        for text in
            ["Status: 403 Forbidden\r\nX: y\r\n\r\nbody", "Status: 403 Forbidden\nX: y\n\nbody"]
        {
            let end = head_end(text.as_bytes()).unwrap();
            assert_eq!(&text[end..], "body");
            let (status, headers) = parse_head(&text.as_bytes()[..end]).unwrap();
            assert_eq!(
                (status, headers.get("x").unwrap().as_bytes()),
                (StatusCode::FORBIDDEN, &b"y"[..])
            );
        }
        assert!(parse_head(b"no colon\n\n").is_none());
    }
}
