//! What git's hooks run: the binary's `git-hook pre-receive` and
//! `git-hook post-receive`.

use domain::ids::{PersonName, ReleaseId};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::path::Path;

/// Name of the environment variable that holds the path of the [`PushContext`].
pub const CONTEXT_VARIABLE: &str = "TIDEGATE_PUSH_CONTEXT";
/// Name of the environment variable that holds the path of the binary.
pub const EXE_VARIABLE: &str = "TIDEGATE_EXE";

/// What the hooks know about a push: written to a file by the server, because
/// they run in a process of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushContext {
    /// Who pushes: whose token it is.
    pub actor: PersonName,
    /// May this person push at all?
    pub may_push: bool,
    /// Releases that failed and that nobody cleared.
    pub denied: Vec<DeniedRelease>,
}

/// A release that may not come back by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeniedRelease {
    /// Which release.
    pub release: ReleaseId,
    /// What it failed on, to be read after "failed on", for example
    /// `hallucination (12 of 60 against 2%) on 2026-11-21`.
    pub failed_on: String,
}

/// Runs one hook: `pre-receive` or `post-receive`. The lines git gives are on
/// `stdin`; what is written to `out` is shown to the person who pushes.
///
/// `context` is the value of [`CONTEXT_VARIABLE`], none if it is not set (a push
/// that did not come through the server, which is refused).
///
/// Returns the exit code of the process: 0 accepts.
pub fn run(hook: &str, context: Option<&Path>, stdin: impl Read, out: impl Write) -> u8 {
    let _ = (hook, context, stdin, out);
    1
}
