//! Git as `control` sees it: the state of `main`, identities, pushes, drift.

use crate::caller::Caller;
use crate::problem::{Problem, ProblemKind};
use crate::records::{AppRecord, DeniedRecord};
use crate::views::GitView;
use crate::{Config, Control, wrong};
use bytes::Bytes;
use checks::policy::Policies;
use domain::ids::PersonName;
use domain::params;
use domain::people::{Permission, Person, may};
use domain::sentence::Sentence;
use futures_util::Stream;
use opsrepo::hook::{DeniedRelease, PushContext};
use opsrepo::http::Backend;
use opsrepo::{CommitId, Desired, Identity, Repo, RepoError};
use std::sync::{Arc, OnceLock};
use store::Kind;

/// Folder of the bare repository below the data directory.
pub(crate) const REPO_DIR: &str = "ops.git";

/// `main` as it reads, kept until it moves.
#[derive(Debug)]
pub(crate) struct Main {
    /// Its newest commit.
    pub head: CommitId,
    /// What its files say.
    pub desired: Desired,
    /// Its policies, read once.
    policies: OnceLock<Policies>,
}

impl Main {
    /// The policies in force. What is faulty among them is left out; the gate of
    /// the change that brought it said so.
    pub(crate) fn policies(&self) -> &Policies {
        self.policies.get_or_init(|| checks::policy::compile(&self.desired.policies).0)
    }
}

/// Opens the repository and installs its hooks.
pub(crate) fn open(config: &Config) -> Result<Repo, Problem> {
    Repo::open(&config.data.join(REPO_DIR)).map_err(problem)
}

/// Runs git work on a thread of its own: libgit2 blocks.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RepoError> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|e| wrong("git", &e))?.map_err(problem)
}

/// What git said, as a problem for the caller.
pub(crate) fn problem(error: RepoError) -> Problem {
    let text = error.to_string();
    match error {
        RepoError::Moved { .. } => Problem::new(
            ProblemKind::Conflict,
            "branch_moved",
            text,
            "read the branch again and repeat",
        ),
        RepoError::Conflict { .. } => Problem::new(
            ProblemKind::Refused,
            "merge_conflict",
            text,
            "settle the files named and send the change again",
        ),
        RepoError::NotCommit(_) => {
            Problem::new(ProblemKind::NotFound, "no_such_commit", text, "check the commit")
        }
        RepoError::BadBranch(_) | RepoError::BadPath(_) | RepoError::TooLarge(_) => {
            Problem::new(ProblemKind::Invalid, "bad_content", text, "change what was sent")
        }
        _ => Problem::new(ProblemKind::Failed, "git_failed", text, "the server's log says more"),
    }
}

impl Control {
    /// `main` as it is now; as it last was, while git is out of reach: stopping
    /// harm must not wait for git.
    pub(crate) async fn main(&self) -> Result<Arc<Main>, Problem> {
        let repo = self.repo.clone();
        let head = blocking(move || repo.head()).await;
        let mut cached = self.main.lock().await;
        match (head, cached.as_ref()) {
            (Ok(head), Some(main)) if main.head == head => Ok(main.clone()),
            (Ok(head), _) => {
                let desired = self.desired_at(head).await?;
                let main = Arc::new(Main { head, desired, policies: OnceLock::new() });
                *cached = Some(main.clone());
                Ok(main)
            }
            (Err(problem), Some(main)) => {
                tracing::warn!(%problem, "git is out of reach; going on with what it last said");
                Ok(main.clone())
            }
            (Err(problem), None) => Err(problem),
        }
    }

    /// What the files of a commit say.
    pub(crate) async fn desired_at(&self, commit: CommitId) -> Result<Desired, Problem> {
        let repo = self.repo.clone();
        blocking(move || Ok(opsrepo::parse(&repo.files(commit)?).0)).await
    }

    /// Whose commits a person's are.
    pub(crate) async fn identity_of(&self, name: &PersonName) -> Result<Identity, Problem> {
        let person = self.store.get::<Person>(Kind::Person, name).await?;
        Ok(match person {
            Some(p) => Identity { name: p.doc.display, email: p.doc.email },
            None => Identity { name: name.to_string(), email: format!("{name}@tidegate.invalid") },
        })
    }

    /// One request of a git client; `request.uri()` holds the path inside the
    /// repository. People with [`Permission::Propose`] may push branches;
    /// everybody signed in may clone. Call [`Control::after_push`] once the
    /// answer of a push was sent.
    ///
    /// # Errors
    /// Git itself could not be run.
    pub async fn git_http<B, E>(
        &self,
        caller: &Caller,
        request: http::request::Parts,
        body: B,
    ) -> Result<http::Response<opsrepo::http::Body>, Problem>
    where
        B: Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
        E: std::fmt::Display + Send + 'static,
    {
        let denied = self.all::<DeniedRecord>(Kind::Denied).await?;
        let context = PushContext {
            actor: caller.name().clone(),
            email: caller.person.email.clone(),
            may_push: may(&caller.person.roles, Permission::Propose),
            denied: denied
                .into_iter()
                .map(|d| DeniedRelease { release: d.doc.release, failed_on: d.doc.because })
                .collect(),
        };
        Backend::new(Repo::clone(&self.repo), self.config.executable.clone())
            .serve(request, body, &context)
            .await
            .map_err(|e| wrong("git", &e))
    }

    /// After a push: what arrived becomes changes.
    ///
    /// # Errors
    /// The journal stays and is read again at the next turn.
    pub async fn after_push(&self) -> Result<(), Problem> {
        self.take_in_pushes().await?;
        self.wake();
        Ok(())
    }

    /// Does git say what is live?
    ///
    /// # Errors
    /// Git or the store could not be read.
    pub async fn git_status(&self, _caller: &Caller) -> Result<GitView, Problem> {
        let main = self.main().await?;
        let ever = domain::units::Timestamp(i64::MAX);
        let pending = self.store.due_effects(crate::effects::KIND, ever, 100).await?;
        Ok(GitView {
            head: main.head.to_string(),
            clone_url: self.url("git/ops.git"),
            drift: self.drift(&main).await?,
            pending: pending.into_iter().map(|e| e.key).collect(),
            forge: self.forge_view().await?,
        })
    }

    /// Differences between what git says and what is live.
    async fn drift(&self, main: &Main) -> Result<Vec<Sentence>, Problem> {
        let mut drift = Vec::new();
        for app in self.all::<AppRecord>(Kind::App).await? {
            let app = app.doc;
            let said = main.desired.production(&self.config.environment, &app.app);
            if said != Some(app.production) {
                drift.push(Sentence::render(
                    "alias_differs",
                    "git says {said} is production of {app}, live is {live}",
                    params! {
                        "app" => app.app,
                        "said" => said.map_or_else(|| "nothing".to_owned(), |r| r.short()),
                        "live" => app.production.short(),
                    },
                ));
            }
            if app.rollout.is_some() {
                continue;
            }
            let composed = main.desired.compose(&app.app).ok().map(|r| r.id);
            if composed != Some(app.production) {
                drift.push(Sentence::render(
                    "content_differs",
                    "the files on `main` compose {said} for {app}, live is {live}",
                    params! {
                        "app" => app.app,
                        "said" => composed.map_or_else(|| "nothing".to_owned(), |r| r.short()),
                        "live" => app.production.short(),
                    },
                ));
            }
        }
        Ok(drift)
    }
}
