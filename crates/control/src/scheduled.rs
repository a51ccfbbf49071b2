//! Suites by the clock: what serves, asked again and again, whether anybody
//! changed something or not. Providers change models behind their names, and
//! data changes under prompts.
//!
//! One run asks every suite of an app that has one of the tier `scheduled`: the
//! recorded, the paid and the scheduled ones. It begins when `every` has passed
//! since the last began; a run that was interrupted, or that ran out of the day's
//! tokens, goes on from its own journal.

use crate::caller::Caller;
use crate::forecast::Prices;
use crate::gates::paid;
use crate::incidents::entry;
use crate::problem::{Problem, ProblemKind};
use crate::records::ReleaseRecord;
use crate::{Control, not_found, wrong};
use connect::provider::Recordings;
use domain::audit::Actor;
use domain::finding::{Finding, GateOutcome, Tier};
use domain::ids::{AppName, Digest, ReleaseId};
use domain::params;
use domain::units::Timestamp;
use evals::{About, Beside, EvalReport, How, Loaded, Release, Releases, evaluate, read_judges};
use opsrepo::{Desired, Files, PaidEvals};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use store::{Index, Kind, Tx};

/// The newest run of an app's schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduledRun {
    /// Whose suites.
    pub app: AppName,
    /// What served when it began.
    pub release: ReleaseId,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; absent while it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The worst of its suites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<GateOutcome>,
    /// Tokens that were paid for.
    #[serde(default)]
    pub tokens: u64,
    /// What is worse than in the run before, of the same release.
    #[serde(default)]
    pub drift: Vec<Finding>,
    /// The report, once it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Digest>,
    /// That of the run before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Digest>,
}

/// The newest run of an app's schedule, as people see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScheduledView {
    /// The run.
    #[serde(flatten)]
    pub run: ScheduledRun,
    /// What it measured, once it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<EvalReport>,
    /// Where it is shown.
    pub url: String,
}

impl ScheduledRun {
    fn begun(app: &AppName, release: ReleaseId, now: Timestamp, before: Option<Digest>) -> Self {
        Self {
            app: app.clone(),
            release,
            started_at: now,
            ended_at: None,
            outcome: None,
            tokens: 0,
            drift: Vec::new(),
            report: None,
            before,
        }
    }

    /// True if a person should look: a suite failed, or answers drifted.
    pub fn alarms(&self) -> bool {
        self.ended_at.is_some()
            && (self.outcome == Some(GateOutcome::Failed) || !self.drift.is_empty())
    }
}

fn id(app: &AppName) -> String {
    format!("scheduled/{app}")
}

/// What is asked in a run.
struct Plan {
    suites: Vec<Arc<Loaded>>,
    releases: Releases,
}

impl Control {
    /// Runs the schedules whose time has come, one app after the other.
    ///
    /// # Errors
    /// The store or git failed; the next look goes on.
    pub async fn run_scheduled(&self) -> Result<(), Problem> {
        let main = self.main().await?;
        let Some(settings) = main.desired.settings.evals else { return Ok(()) };
        let Some(every) = settings.every else { return Ok(()) };
        let mut failed = Ok(());
        for app in main.desired.apps.keys() {
            let last = self.store.get::<ScheduledRun>(Kind::Meta, id(app)).await?;
            let last = last.map(|last| last.doc);
            let now = self.clock.now();
            let due = last
                .as_ref()
                .is_none_or(|last| last.ended_at.is_none() || last.started_at.plus(every) <= now);
            if due && let Err(problem) = self.run_schedule(app, settings, last).await {
                failed = Err(problem);
            }
        }
        failed
    }

    async fn run_schedule(
        &self,
        app: &AppName,
        settings: PaidEvals,
        last: Option<ScheduledRun>,
    ) -> Result<(), Problem> {
        let now = self.clock.now();
        let Ok(record) = self.app_record(app).await else { return Ok(()) };
        let record = self.release_record(record.doc.production).await?;
        let Some(plan) = self.plan_of(app, &record).await? else { return Ok(()) };
        let mut run = match last {
            // One that was interrupted goes on, unless another release serves now.
            Some(run) if run.ended_at.is_none() && run.release == record.id => run,
            other => {
                let before = other.and_then(|run| run.report.or(run.before));
                ScheduledRun::begun(app, record.id, now, before)
            }
        };
        self.put_run(&run, Tx::new(now)).await?;
        let journal = self.journal_of(&run);
        let mut reports = Vec::new();
        for loaded in plan.suites {
            let left = self.tokens_left(&settings).await?;
            let own = loaded.suite.token_cap;
            let about = About::of(self.risk(app).await?);
            let how = How {
                journal: Some(journal.clone()),
                about,
                ..paid::how(&settings, &self.config.data, left)
            };
            if loaded.suite.tier != Tier::Recorded && left == 0 {
                return Ok(());
            }
            let report = evaluate(loaded, &plan.releases, &how, &|_| {}).await;
            let used = how.spent.map_or(0, |spent| spent.load(Ordering::Relaxed));
            run.tokens = run.tokens.saturating_add(used);
            self.book_tokens(used).await?;
            self.put_run(&run, Tx::new(self.clock.now())).await?;
            if paid::cut(&report) && own.is_none_or(|own| left < own) {
                return Ok(());
            }
            reports.push(report);
        }
        self.end_run(run, reports).await?;
        tokio::task::spawn_blocking(move || std::fs::remove_dir_all(journal).ok())
            .await
            .map_err(|e| wrong("the journal", &e))?;
        Ok(())
    }

    async fn end_run(
        &self,
        mut run: ScheduledRun,
        reports: Vec<evals::SuiteReport>,
    ) -> Result<(), Problem> {
        let now = self.clock.now();
        let report = EvalReport::new(run.app.clone(), run.release, None, reports);
        run.drift = match self.report_of(run.before).await? {
            Some(before) => evals::drift(&before, &report),
            None => Vec::new(),
        };
        run.ended_at = Some(now);
        run.outcome = Some(report.outcome);
        let mut tx = Tx::new(now);
        let text = report.json().map_err(|e| wrong("the evaluation report", &e))?;
        run.report = Some(tx.insert_blob(text.into_bytes()));
        tx.audit(
            entry(now, Actor::System, "app.evaluated", &run.app)
                .on(format!("app/{}", run.app))
                .with(params! {
                    "release" => run.release, "outcome" => report.outcome, "tokens" => run.tokens,
                    "drift" => run.drift.iter().map(|f| f.message.clone()).collect::<Vec<_>>(),
                    "suites" => report.suites.iter().map(|s| (s.suite.clone(), s.outcome)).collect::<Vec<_>>(),
                })
                .into(),
        );
        self.put_run(&run, tx).await
    }

    async fn put_run(&self, run: &ScheduledRun, mut tx: Tx) -> Result<(), Problem> {
        tx.put(Kind::Meta, id(&run.app), run, Index::none());
        self.store.commit(tx).await?;
        Ok(())
    }

    fn journal_of(&self, run: &ScheduledRun) -> PathBuf {
        let name = format!("{}-{}", run.app, run.started_at.0);
        paid::journals(&self.config.data).join("scheduled").join(name)
    }

    async fn risk(&self, app: &AppName) -> Result<Option<opsrepo::Risk>, Problem> {
        Ok(self.main().await?.desired.apps.get(app).map(|spec| spec.risk))
    }

    async fn report_of(&self, digest: Option<Digest>) -> Result<Option<EvalReport>, Problem> {
        let Some(digest) = digest else { return Ok(None) };
        let Some(bytes) = self.store.get_blob(&digest).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|e| wrong("the evaluation report", &e))
    }

    /// What a run of an app asks; none if it has no suite of the tier `scheduled`.
    async fn plan_of(
        &self,
        app: &AppName,
        record: &ReleaseRecord,
    ) -> Result<Option<Plan>, Problem> {
        let (repo, name) = (self.repo.clone(), app.clone());
        let read = crate::git::blocking(move || {
            let files = repo.files(repo.head()?)?;
            let suites = Loaded::all(&files, &name).0;
            Ok((files, suites))
        });
        let (files, suites): (Files, Vec<Loaded>) = read.await?;
        if !suites.iter().any(|loaded| loaded.suite.tier == Tier::Scheduled) {
            return Ok(None);
        }
        let desired: Desired = opsrepo::parse(&files).0;
        let mut recordings = self.recordings_of(Some(record)).await?;
        for file in desired.models.values().flat_map(|model| &model.recordings) {
            if let Ok(parsed) = Recordings::parse(file.digest, &file.bytes) {
                recordings.insert(file.digest, Arc::new(parsed));
            }
        }
        let prices = Prices::of(&desired, &desired, self.clock.now());
        let judges = read_judges(&files, &desired, app).0;
        let asked = [&record.served].into_iter().chain(judges.values().map(|j| &j.served));
        let secrets: BTreeMap<String, String> = paid::secrets(asked, &self.config.env_keys);
        let mut suites: Vec<_> = suites.into_iter().map(Arc::new).collect();
        suites.sort_by(|a, b| (a.suite.tier, &a.name).cmp(&(b.suite.tier, &b.name)));
        let mut releases = Releases {
            candidate: Release { id: record.id, served: record.served.clone() },
            production: None,
            recordings,
            of_app: Releases::recordings_of(&files, app),
            secrets,
            client: Some(connect::http::Client::new()),
            judges,
            beside: Beside { prices: Some((prices.list, prices.day)), ..Beside::default() },
        };
        paid::outside(&mut releases, &desired, &self.config.env_keys);
        Ok(Some(Plan { suites, releases }))
    }

    /// The newest run of an app's schedule.
    ///
    /// # Errors
    /// `no_such_app`, `no_evaluation`.
    pub async fn scheduled_run(
        &self,
        _caller: &Caller,
        app: &AppName,
    ) -> Result<ScheduledView, Problem> {
        self.app_record(app).await.map_err(|_| not_found("app", app.as_str()))?;
        let run = self.store.get::<ScheduledRun>(Kind::Meta, id(app)).await?;
        let run = run.map(|run| run.doc).ok_or_else(|| {
            Problem::new(
                ProblemKind::NotFound,
                "no_evaluation",
                format!("no schedule has asked `{app}` yet"),
                "give it a suite of the tier `scheduled`, and `evals.every` in `tidegate.yaml`",
            )
        })?;
        let measured = self.report_of(run.report).await?;
        let url = self.url(&format!("apps/{app}"));
        Ok(ScheduledView { run, measured, url })
    }

    /// Runs that somebody should look at.
    pub(crate) async fn alarming_runs(&self) -> Result<Vec<ScheduledRun>, Problem> {
        let mut runs = Vec::new();
        for app in self.main().await?.desired.apps.keys() {
            let run = self.store.get::<ScheduledRun>(Kind::Meta, id(app)).await?;
            runs.extend(run.map(|run| run.doc).filter(ScheduledRun::alarms));
        }
        Ok(runs)
    }
}
