//! The gate runner: compose the release of a change and judge it.
//!
//! Pure judging lives in `checks` and `opsrepo`; here the inputs are gathered
//! (files, production, deny list) and the result is stored in one transaction:
//! report, release with its signed manifest, next state, audit entry. Checking
//! the same commit again gives the same report.

pub(crate) mod address;
mod cheaper;
mod classifier;
mod cost;
mod denied;
pub(crate) mod paid;
pub mod preview;
mod signals;
pub(crate) mod suites;
pub mod tries;

use crate::experiments::gate::{Beside, answers, variants_gate};
use crate::facts::Known;
use crate::git::blocking;
use crate::incidents::entry;
use crate::policies::{self, PolicyPart};
use crate::problem::Problem;
use crate::records::{DeniedRecord, ReleaseRecord};
use crate::{Control, changes, wrong};
use checks::gate::{Gate, Production, Report, StaticInput, run_tiers, static_gates};
pub(crate) use denied::release_denied;
use domain::approval::Requirement;
use domain::audit::Actor;
use domain::change::{Change, ChangeState};
use domain::component::ComponentKind;
use domain::dsse;
use domain::finding::{Finding, GateReport, GateResult, Place, Severity, Tier};
use domain::ids::{AppName, ChangeId};
use domain::manifest::Release;
use domain::params;
use domain::snapshot::ServedRelease;
use domain::units::Timestamp;
use opsrepo::{CommitId, Desired, Files};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use store::{CommitError, Index, Kind, Query, Tx, Versioned};

/// A branch with everything the gates look at.
struct Subject {
    commit: CommitId,
    files: Files,
    paths: BTreeSet<String>,
    desired: Desired,
    base: Desired,
    /// What `main` says now: the policies in force.
    main: Desired,
    /// Apps that have files where the branch began, readable or not.
    base_apps: BTreeSet<String>,
    findings: Vec<Finding>,
}

impl Control {
    /// Runs the gates over every change that waits for them.
    pub(crate) async fn check_changes(&self) -> Result<(), Problem> {
        let query = Query::of(Kind::Change).state(changes::word(ChangeState::Checking));
        let mut failed = Ok(());
        for change in self.store.list::<Change>(query).await?.items {
            // One with a report has only its paid suites to go.
            if change.doc.report.is_some() {
                continue;
            }
            match self.check(change).await {
                // Somebody pushed meanwhile: the next look checks that.
                Err(CheckError::Conflict) | Ok(()) => {}
                // One that cannot be checked keeps no other from its checks.
                Err(CheckError::Other(problem)) => failed = Err(problem),
            }
        }
        failed
    }

    async fn check(&self, mut change: Versioned<Change>) -> Result<(), CheckError> {
        let now = self.clock.now();
        let app = change.doc.app.clone();
        let judged = self.judged_of(&change.doc, now).await?;
        // Tokenizers and scanners take their time: not on a thread that serves.
        let (judged, report, policies) = tokio::task::spawn_blocking(move || {
            let policies = judged.policies(now);
            let report = judged.report(now, &policies, None);
            (judged, report, policies)
        })
        .await
        .map_err(|e| wrong("the checks", &e))?;
        let evals = judged.evals();
        let waits = judged.waits_for_paid(&report);
        let Judged { subject, composed, production, asked: money, .. } = judged;
        let release = composed.ok();
        let mut tx = Tx::new(now);
        change.doc.release = release.as_ref().map(|r| r.id);
        change.doc.production = production.map(|p| p.id);
        change.doc.state = match report.passed() {
            true if waits => ChangeState::Checking,
            true if change.doc.asked().is_none() => ChangeState::NeedsApproval,
            true | false => ChangeState::NeedsFixes,
        };
        let asked =
            |of: &Desired| of.apps.get(&app).map(|s| s.requirements.clone()).unwrap_or_default();
        change.doc.requirements = strictest(asked(&subject.desired), asked(&subject.base));
        change.doc.requirements.extend(policies.requirements);
        change.doc.facts = policies.facts;
        change.doc.requirements =
            strictest(change.doc.requirements.clone(), suites::asked_by(evals.as_ref()));
        let money = money.into_inner().unwrap_or_else(PoisonError::into_inner);
        change.doc.requirements = strictest(change.doc.requirements.clone(), money);
        if let Some(release) = release {
            let id = change.doc.id;
            self.write_release(&mut tx, &subject.desired, release, Some(id), subject.commit, now)
                .await?;
        }
        suites::keep(&mut tx, &mut change.doc, evals.as_ref())?;
        tx.audit(
            entry(now, Actor::System, "change.checked", &app)
                .on(format!("change/{}", change.doc.id))
                .with(params! {
                    "commit" => report.commit, "release" => report.release,
                    "outcome" => report.outcome,
                    "gates" => report.gates.iter().map(|g| (g.gate.clone(), g.outcome)).collect::<Vec<_>>(),
                })
                .into(),
        );
        change.doc.report = Some(report);
        changes::update(&mut tx, &mut change, now);
        self.store.commit(tx).await?;
        self.wake();
        self.wake_payer();
        Ok(())
    }

    /// Everything the gates are told of a change.
    async fn judged_of(&self, change: &Change, now: Timestamp) -> Result<Judged, Problem> {
        let subject = self.subject(change).await?;
        let app = change.app.clone();
        let composed = subject.desired.compose(&app);
        let denied = match &composed {
            Ok(release) => self.store.get::<DeniedRecord>(Kind::Denied, release.id).await?,
            Err(_) => None,
        };
        let production = match self.app_record(&app).await {
            Ok(record) => Some(self.release_record(record.doc.production).await?),
            Err(_) => None,
        };
        let known = self.known_of(change, now).await?;
        let heard = self.heard_of(&subject.desired, &app, now).await?;
        let recordings = self.recordings_of(production.as_deref()).await?;
        Ok(Judged {
            keys: self.config.env_keys.clone(),
            heard,
            recordings,
            evals: Mutex::default(),
            asked: Mutex::default(),
            subject,
            app: app.clone(),
            composed,
            denied: denied.map(|d| d.doc),
            production,
            known,
        })
    }

    async fn subject(&self, change: &Change) -> Result<Subject, Problem> {
        let commit: CommitId = change.head.parse().map_err(|e| wrong("git", &e))?;
        let repo = self.repo.clone();
        blocking(move || {
            let main = repo.head()?;
            let base_commit = repo.merge_base(main, commit)?.unwrap_or(main);
            let files = repo.files(commit)?;
            let (desired, findings) = opsrepo::parse(&files);
            let base_files = repo.files(base_commit)?;
            let base = opsrepo::parse(&base_files).0;
            Ok(Subject {
                commit,
                paths: repo.changed_paths(base_commit, commit)?,
                main: if main == base_commit {
                    base.clone()
                } else {
                    opsrepo::parse(&repo.files(main)?).0
                },
                base,
                base_apps: base_files.keys().filter_map(|p| app_of(p)).map(str::to_owned).collect(),
                files,
                desired,
                findings,
            })
        })
        .await
    }

    /// Stores a release with its signed manifest and its recordings, once.
    pub(crate) async fn write_release(
        &self,
        tx: &mut Tx,
        desired: &Desired,
        release: Release,
        change: Option<ChangeId>,
        commit: CommitId,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let (repo, id) = (self.repo.clone(), release.id);
        blocking(move || repo.keep(id, commit)).await?;
        if self.store.get::<ReleaseRecord>(Kind::Release, id).await?.is_some() {
            return Ok(());
        }
        let app = release.manifest.app.clone();
        let canonical = release.manifest.canonical().map_err(|e| wrong("the manifest", &e))?;
        let envelope = dsse::sign(dsse::MANIFEST, &canonical, &self.keys.secret);
        let mut blobs = BTreeSet::new();
        let model = release.manifest.components.get(&ComponentKind::Model);
        let recordings = model.map(|model| desired.recordings(&model.name)).unwrap_or_default();
        for (digest, bytes) in recordings {
            tx.insert_blob(bytes.to_vec());
            blobs.insert(digest);
        }
        let record = ReleaseRecord {
            id,
            served: ServedRelease {
                app: app.clone(),
                components: release.manifest.components.clone(),
                contents: release.contents,
            },
            manifest: release.manifest,
            envelope: serde_json::to_value(envelope).map_err(|e| wrong("the envelope", &e))?,
            blobs,
            change,
            commit: commit.to_string(),
            created_at: now,
        };
        tx.create(Kind::Release, id, &record, Index::none().app(&app));
        tx.audit(
            entry(now, Actor::System, "release.composed", &app)
                .on(format!("release/{id}"))
                .with(params! {"commit" => record.commit, "change" => change})
                .into(),
        );
        Ok(())
    }
}

enum CheckError {
    Conflict,
    Other(Problem),
}

impl From<Problem> for CheckError {
    fn from(problem: Problem) -> Self {
        Self::Other(problem)
    }
}

impl From<store::StoreError> for CheckError {
    fn from(error: store::StoreError) -> Self {
        Self::Other(error.into())
    }
}

impl From<CommitError> for CheckError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict { .. } => Self::Conflict,
            other => Self::Other(other.into()),
        }
    }
}

/// Everything the gates are told.
struct Judged {
    /// Keys of classifiers and providers.
    keys: connect::classifier::Keys,
    /// Names under which somebody said something about this app lately.
    heard: BTreeSet<String>,
    subject: Subject,
    app: AppName,
    composed: Result<Release, Vec<Finding>>,
    denied: Option<DeniedRecord>,
    production: Option<Arc<ReleaseRecord>>,
    known: Known,
    /// What answers for production in suites.
    recordings: suites::Parsed,
    /// What the suites measured, once they ran.
    evals: Mutex<Vec<evals::SuiteReport>>,
    /// What gates ask for besides, once they ran.
    asked: Mutex<Vec<Requirement>>,
}

impl Judged {
    /// What the team's policies say.
    fn policies(&self, now: Timestamp) -> PolicyPart {
        let asked = policies::Asked {
            app: &self.app,
            branch: &self.subject.desired,
            main: &self.subject.main,
            release: self.composed.as_ref().ok(),
            production: self.production.as_deref(),
            paths: &self.subject.paths,
            known: &self.known,
        };
        let mut said = policies::part(&asked, now);
        said.and_variants(&asked, now);
        said
    }

    /// Runs the gates, all or only the cheapest, in the order in which people read them.
    fn report(&self, now: Timestamp, policies: &PolicyPart, up_to: Option<Tier>) -> GateReport {
        let release = self.composed.as_ref().ok();
        let prompt = release.and_then(|r| content(&r.contents, ComponentKind::Prompt));
        let model = release.and_then(|r| content(&r.contents, ComponentKind::Model));
        let served = self.production.as_ref().map(|p| &p.served);
        let live = served.and_then(|s| content(&s.contents, ComponentKind::Prompt));
        let components = release.map(|r| r.manifest.components.clone()).unwrap_or_default();
        let files = self.changed_texts();
        let partials = self.partial_paths();
        // Taking a word off the list and saying it are two changes.
        let mut forbidden = self.subject.base.forbidden_terms(&self.app);
        forbidden.extend(self.subject.desired.forbidden_terms(&self.app));
        let input = StaticInput {
            app: &self.app,
            components: &components,
            prompt: prompt.as_ref(),
            partial_paths: &partials,
            model: model.as_ref(),
            parameters: release.and_then(|r| r.contents.get(&ComponentKind::Parameters)),
            production: served
                .map(|s| Production { components: &s.components, prompt: live.as_ref() }),
            files: &files,
            forbidden_terms: &forbidden,
        };
        let denied = denied::denied_gate(release.map(|r| r.id), self.denied.clone());
        let mut gates = vec![
            Gate::known(files_gate(&self.subject, &self.app, &self.composed)),
            Gate::known(scope_gate(&self.subject, &self.app)),
            Gate::known(denied),
            Gate::known(self.parity_gate()),
            Gate::known(self.contract_gate(release)),
            Gate::known(policies.model.clone()),
            Gate::known(policies.gate.clone()),
            Gate::known(signals::gate(
                &self.app,
                self.subject.desired.policy(&self.app),
                &signals::Known {
                    heard: &self.heard,
                    answer_schema: release
                        .and_then(|r| r.contents.get(&ComponentKind::Answer)?.get("schema"))
                        .is_some(),
                },
            )),
            Gate::known(evals::fallback_gate(
                &self.app,
                self.subject.desired.apps.get(&self.app).and_then(|spec| spec.fallback.as_ref()),
            )),
        ];
        let beside =
            Beside { partial_paths: &partials, production: input.production, files: &files };
        let variants = variants_gate(&self.subject.desired, &self.app, &beside);
        gates.extend(static_gates(input));
        gates.push(Gate::known(variants));
        if up_to != Some(Tier::Static) {
            gates.extend(self.classifier_gate());
            gates.extend(self.suite_gates(now));
            gates.push(self.cost_gate(now));
            gates.extend(self.paid_gates());
        }
        let about = Report {
            commit: self.subject.commit.to_string(),
            release: release.map(|r| r.id),
            finished_at: now,
        };
        run_tiers(gates, about)
    }

    /// Feature view and index of the release, as production and evaluation have
    /// them.
    fn parity_gate(&self) -> GateResult {
        let desired = &self.subject.desired;
        let release = desired.apps.get(&self.app).and_then(|app| app.release.as_ref());
        let view = release.and_then(|r| Some((r.feature_view.as_ref()?, &desired.views)));
        let view = view.and_then(|(name, views)| Some((name, views.get(name)?)));
        let index = release.and_then(|r| Some((r.index.as_ref()?, &desired.indexes)));
        let index = index.and_then(|(name, indexes)| Some((name, indexes.get(name)?)));
        let view_file = view.map(|(name, _)| format!("features/{name}.yaml")).unwrap_or_default();
        let index_file = index.map(|(name, _)| format!("indexes/{name}.yaml")).unwrap_or_default();
        let mut data = Vec::new();
        data.extend(view.map(|(_, view)| checks::gate::Data {
            kind: ComponentKind::FeatureView,
            file: &view_file,
            offline: &view.content.offline,
            online: &view.content.online,
            fields: Some(&view.content.fields),
            samples: view.samples_file.as_deref().map(|file| (file, view.samples.as_slice())),
        }));
        data.extend(index.map(|(_, index)| checks::gate::Data {
            kind: ComponentKind::Index,
            file: &index_file,
            offline: &index.content.offline,
            online: &index.content.online,
            fields: None,
            samples: None,
        }));
        checks::gate::feature_parity(&data)
    }

    /// Tools and the form of answers, where they are written.
    fn contract_gate(&self, release: Option<&Release>) -> GateResult {
        let own = |file: &str| format!("apps/{}/{file}", self.app);
        let spec = self.subject.desired.apps.get(&self.app);
        let in_app = spec.is_some_and(|spec| spec.answer.is_some());
        let tools_file = own("release.yaml");
        let answer_file = own(if in_app { "app.yaml" } else { "release.yaml" });
        let declared = |kind: ComponentKind, file| {
            let content = release?.contents.get(&kind)?;
            Some(checks::gate::Declared { file, content })
        };
        checks::gate::contract(
            declared(ComponentKind::Tools, &tools_file),
            declared(ComponentKind::Answer, &answer_file),
        )
    }

    /// Where the partials that templates name lie; those of the app win.
    fn partial_paths(&self) -> BTreeMap<String, String> {
        let own = format!("apps/{}/prompts/_shared/", self.app);
        let named = |folder: &String| {
            let with = |path: &String| {
                path.strip_prefix(folder.as_str()).map(|name| (name.to_owned(), path.clone()))
            };
            self.subject.files.keys().filter_map(with).collect::<Vec<_>>()
        };
        ["prompts/_shared/".to_owned(), own].iter().flat_map(named).collect()
    }

    /// Texts the change adds or edits.
    fn changed_texts(&self) -> BTreeMap<String, String> {
        let text = |path: &String| {
            let bytes = self.subject.files.get(path)?;
            Some((path.clone(), String::from_utf8(bytes.clone()).ok()?))
        };
        self.subject.paths.iter().filter_map(text).collect()
    }
}

/// The content of one component, in its form.
fn content<T: serde::de::DeserializeOwned>(
    contents: &BTreeMap<ComponentKind, serde_json::Value>,
    kind: ComponentKind,
) -> Option<T> {
    serde_json::from_value(contents.get(&kind)?.clone()).ok()
}

/// Every file reads and fits the others.
fn files_gate(
    subject: &Subject,
    app: &AppName,
    composed: &Result<Release, Vec<Finding>>,
) -> GateResult {
    let touched = |f: &&Finding| f.place.as_ref().is_some_and(|p| subject.paths.contains(&p.file));
    let mut findings = subject.desired.findings(app);
    for finding in
        subject.findings.iter().filter(touched).chain(composed.as_ref().err().into_iter().flatten())
    {
        if !findings.contains(finding) {
            findings.push(finding.clone());
        }
    }
    let summary = match composed {
        Ok(release) => format!("All files read; together they are {}.", release.id.short()),
        Err(_) => "The files do not make a release.".to_owned(),
    };
    GateResult::of("files", "Every file reads and fits the others", Tier::Static, summary, findings)
}

/// A change moves one app, and no alias.
fn scope_gate(subject: &Subject, app: &AppName) -> GateResult {
    let mut findings = Vec::new();
    for path in subject.paths.iter().filter(|p| p.starts_with("environments/")) {
        findings.push(Finding {
            code: "alias_edited".to_owned(),
            severity: Severity::Error,
            place: Some(Place { file: path.clone(), ..Place::default() }),
            message: "a change cannot move an alias".to_owned(),
            explanation: "Aliases say what went through its rollout; only a rollout or a rollback moves them."
                .to_owned(),
            mend: "take this file out of the change".to_owned(),
            replacement: None,
            excerpt: None,
        });
    }
    // Not only what it answers: its plan, fallback and settings are live at once.
    let foreign = |path: &&String| {
        app_of(path).is_some_and(|other| other != app.as_str() && subject.base_apps.contains(other))
    };
    for path in subject.paths.iter().filter(foreign) {
        let place = Place { file: path.clone(), ..Place::default() };
        findings.push(other_app(app, app_of(path).unwrap_or_default(), Some(place)));
    }
    let others =
        subject.desired.apps.keys().chain(subject.base.apps.keys()).collect::<BTreeSet<_>>();
    for other in others {
        let is_new = !subject.base.apps.contains_key(other);
        if other != app
            && !is_new
            && answers(&subject.desired, other) != answers(&subject.base, other)
        {
            findings.push(other_app(app, other.as_str(), None));
        }
    }
    GateResult::of(
        "scope",
        "One app, and no alias",
        Tier::Static,
        format!("Only {app} changes."),
        findings,
    )
}

/// The app whose folder a path lies in.
fn app_of(path: &str) -> Option<&str> {
    path.strip_prefix("apps/")?.split_once('/').map(|(app, _)| app)
}

fn other_app(app: &AppName, other: &str, place: Option<Place>) -> Finding {
    Finding {
        code: "other_app_touched".to_owned(),
        severity: Severity::Error,
        place,
        message: format!("this change of `{app}` also changes `{other}`"),
        explanation:
            "Each app has its own rollout, so that harm to one is seen and taken back alone."
                .to_owned(),
        mend: format!(
            "make a change of its own for `{other}`, or give the two apps files of their own"
        ),
        replacement: None,
        excerpt: None,
    }
}

/// What the branch asks for and what was asked before it, whichever is more: a
/// change cannot lower what it needs itself.
fn strictest(mut asked: Vec<Requirement>, before: Vec<Requirement>) -> Vec<Requirement> {
    for need in before {
        match asked.iter_mut().find(|a| a.role == need.role) {
            Some(a) if a.count < need.count => *a = need,
            Some(_) => {}
            None => asked.push(need),
        }
    }
    asked
}
