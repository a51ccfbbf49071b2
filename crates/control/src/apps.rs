//! New apps, and what the files say around a release.

use crate::Control;
use crate::effects;
use crate::incidents::entry;
use crate::problem::{Problem, ProblemKind};
use crate::records::{AppRecord, Around};
use domain::audit::Actor;
use domain::ids::AppName;
use domain::params;
use domain::policy::RolloutPolicy;
use opsrepo::CommitId;
use store::{Index, Kind, Tx};

impl Control {
    /// Creates what the store knows of apps that git has and the store has not:
    /// their first composition is production, because there is nothing to
    /// compare it with.
    pub(crate) async fn start_new_apps(&self) -> Result<(), Problem> {
        let main = self.main().await?;
        for app in main.desired.apps.keys() {
            if self.store.get::<AppRecord>(Kind::App, app).await?.is_some() {
                continue;
            }
            if let Err(problem) = self.start_app(&main, app).await {
                tracing::warn!(%app, %problem, "this app cannot be started");
            }
        }
        Ok(())
    }

    async fn start_app(&self, main: &crate::git::Main, app: &AppName) -> Result<(), Problem> {
        let now = self.clock.now();
        let release = main.desired.compose(app).map_err(|findings| {
            let first = findings.first().map_or_else(String::new, |f| f.message.clone());
            Problem::new(
                ProblemKind::Refused,
                "does_not_compose",
                first,
                "mend the files on a branch",
            )
        })?;
        let id = release.id;
        let mut tx = Tx::new(now);
        self.write_release(&mut tx, &main.desired, release, None, main.head, now).await?;
        let record = AppRecord {
            app: app.clone(),
            production: id,
            history: vec![crate::records::Promotion {
                release: id,
                at: now,
                by: crate::records::PromotedBy::Start,
                change: None,
                around: main.desired.apps.get(app).map(Around::of),
            }],
            salt: crate::publish::fresh_salt(app)?,
            killed: None,
            cool_down_until: None,
            rollout: None,
            experiment: None,
        };
        tx.create(Kind::App, app, &record, Index::none().app(app));
        tx.audit(
            entry(now, Actor::System, "app.started", app).with(params! {"release" => id}).into(),
        );
        tx.effect(effects::start(app, id));
        self.store.commit(tx).await?;
        Ok(())
    }

    /// What is around the app's release, as a commit says.
    pub(crate) async fn around_at(
        &self,
        commit: CommitId,
        app: &AppName,
    ) -> Result<Option<Around>, Problem> {
        Ok(self.desired_at(commit).await?.apps.get(app).map(Around::of))
    }

    /// What is around the app's release, as `main` says.
    pub(crate) async fn around_now(&self, app: &AppName) -> Result<Option<Around>, Problem> {
        Ok(self.main().await?.desired.apps.get(app).map(Around::of))
    }

    pub(crate) async fn policy_at(
        &self,
        commit: CommitId,
        app: &AppName,
    ) -> Result<RolloutPolicy, Problem> {
        let main = self.desired_at(commit).await?;
        main.policy(app).cloned().ok_or_else(|| {
            Problem::new(
                ProblemKind::Refused,
                "no_plan",
                format!("`apps/{app}/rollout.yaml` is missing or does not read"),
                "add a rollout plan",
            )
        })
    }
}
