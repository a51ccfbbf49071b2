//! Pushing to a forge, by the system's git.
//!
//! The token goes through the environment of the child, never its arguments,
//! which every user of the machine may read. Nothing of the server's own
//! environment, of the user's git configuration or of credential helpers comes
//! along, redirects are not followed, and `main` is never forced.

use super::{CommitId, HEADS, Repo};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// How long one push may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Longest word of git's that is passed on, in characters.
const MAX_WORDS: usize = 300;

/// Where to push, and as whom.
#[derive(Clone)]
pub struct Remote {
    /// Address of the repository.
    pub url: String,
    /// Name and token, in base64 as `Basic` has it.
    pub login: String,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Remote({})", self.url)
    }
}

/// What is pushed where.
#[derive(Debug, Clone)]
pub struct PushOut {
    /// The commit.
    pub commit: CommitId,
    /// The branch there.
    pub branch: String,
    /// Where the branch was left last: only from there it may be moved in
    /// another way than forward. `None`: forward only.
    pub lease: Option<CommitId>,
}

impl Repo {
    /// Pushes one commit to a branch elsewhere. Done again it changes nothing.
    ///
    /// # Errors
    /// What git said, without the token.
    pub async fn push_out(&self, remote: &Remote, what: &PushOut) -> Result<(), String> {
        let mut command = Command::new("git");
        command.arg("push").arg("--porcelain");
        if let Some(lease) = what.lease {
            command.arg(format!("--force-with-lease={HEADS}{}:{lease}", what.branch));
        }
        command
            .arg(&remote.url)
            .arg(format!("{}:{HEADS}{}", what.commit, what.branch))
            .current_dir(self.path())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        for name in ["PATH", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        let settings = [
            ("safe.directory", "*".to_owned()),
            ("http.extraHeader", format!("Authorization: Basic {}", remote.login)),
            ("http.followRedirects", "false".to_owned()),
            ("protocol.allow", "never".to_owned()),
            ("protocol.http.allow", "always".to_owned()),
            ("protocol.https.allow", "always".to_owned()),
        ];
        command.env("GIT_CONFIG_COUNT", settings.len().to_string());
        for (i, (key, value)) in settings.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{i}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{i}"), value);
        }
        command
            .env("LC_ALL", "C")
            .env("GIT_DIR", self.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0");
        let done = tokio::time::timeout(TIMEOUT, command.output())
            .await
            .map_err(|_| format!("git push took longer than {} seconds", TIMEOUT.as_secs()))?
            .map_err(|e| format!("git could not be run: {e}"))?;
        if done.status.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&done.stderr).replace(&remote.login, "…");
        let line = words
            .lines()
            .find(|line| line.contains("rejected") || line.starts_with("fatal:"))
            .or_else(|| words.lines().next())
            .unwrap_or("git push failed");
        Err(line.trim().chars().take(MAX_WORDS).collect())
    }
}
