//! Suites of the tier `paid`, asked by the server itself where `tidegate.yaml`
//! gives it tokens to spend.
//!
//! A change whose cheaper tiers passed stays `checking`, with the report it has;
//! a loop of its own asks the providers, so that no rollout waits for them, and
//! writes the rest of the report. What was answered is in a journal in the data
//! directory: a server that was killed goes on where it was and pays for nothing
//! twice. Changes take turns, which keeps the cap of a day exact.

use super::address::unknown_address;
use super::{Judged, strictest, suites};
use crate::incidents::entry;
use crate::problem::Problem;
use crate::{Control, changes, wrong};
use checks::gate::Gate;
use domain::audit::Actor;
use domain::change::{Change, ChangeState};
use domain::finding::{Finding, GateOutcome, GateReport, GateResult, Place, Severity, Tier};
use domain::params;
use domain::snapshot::{ModelContent, Provider, ServedRelease};
use domain::units::Timestamp;
use evals::{Beside, EvalReport, How, Limits, Loaded, Options, Releases, SuiteReport, evaluate};
use opsrepo::{Desired, PaidEvals};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::{Index, Kind, Query, Tx, Versioned};

/// Attempts for one answer.
const ATTEMPTS: u32 = 5;

/// Tokens spent on a day, all apps together.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Spent {
    tokens: u64,
}

fn spent_on(now: Timestamp) -> String {
    format!("evals/{}", now.date())
}

/// Where paid answers are kept.
pub(crate) fn journals(data: &std::path::Path) -> PathBuf {
    data.join("evals")
}

/// How a provider is asked.
pub(crate) fn how(settings: &PaidEvals, data: &std::path::Path, left: u64) -> How {
    How {
        options: Options { details: true, ..Options::default() },
        limits: Limits {
            concurrency: settings.concurrency,
            per_minute: settings.per_minute,
            timeout: settings.timeout.into(),
            attempts: ATTEMPTS,
            ..Limits::default()
        },
        journal: Some(journals(data)),
        cap: Some(left),
        spent: Some(Arc::new(AtomicU64::new(0))),
        ..How::default()
    }
}

/// Keys of the models that are asked, if this server has them.
pub(crate) fn secrets<'a>(
    served: impl Iterator<Item = &'a ServedRelease>,
    keys: &connect::classifier::Keys,
) -> BTreeMap<String, String> {
    found(served.filter_map(|served| key_env(&checks::template::model(served).ok()?)), keys)
}

fn key_env(model: &ModelContent) -> Option<String> {
    match &model.provider {
        Provider::Openai { key_env, .. } => key_env.clone(),
        _ => None,
    }
}

fn found(
    names: impl Iterator<Item = String>,
    keys: &connect::classifier::Keys,
) -> BTreeMap<String, String> {
    names.filter_map(|name| Some((name.clone(), keys.find(&name)?))).collect()
}

/// Those outside whom suites ask for money: embeddings models and classifiers of
/// `main` alone, because a change brings no address to send answers to.
pub(crate) fn outside(releases: &mut Releases, main: &Desired, keys: &connect::classifier::Keys) {
    let prices = releases.beside.prices.take();
    releases.beside = Beside { classifier_keys: keys.clone(), ..Beside::of(main, prices) };
    let names = releases.beside.models.values().filter_map(key_env);
    releases.secrets.extend(found(names, keys));
}

/// True if a suite ran out of tokens.
pub(crate) fn cut(report: &SuiteReport) -> bool {
    report.findings.iter().any(|f| f.code == evals::Cause::OverCap.code())
}

impl Judged {
    fn paid_suites(&self) -> Vec<Arc<Loaded>> {
        let (suites, _) = Loaded::all(&self.subject.files, &self.app);
        suites.into_iter().filter(|s| s.suite.tier == Tier::Paid).map(Arc::new).collect()
    }

    /// A line for each paid suite: what will become of it.
    pub(super) fn paid_gates(&self) -> Vec<Gate<'_>> {
        let allowed = self.subject.main.settings.evals.is_some();
        let line = move |loaded: Arc<Loaded>| {
            let (name, title) = (format!("eval/{}", loaded.name), loaded.suite.title.clone());
            Gate::new((&name.clone(), &title.clone()), Tier::Paid, move || {
                skipped(
                    &name,
                    &title,
                    if allowed {
                        "Being asked now: this takes a few minutes."
                    } else {
                        "Not asked here: it would cost money, and this server may spend none on it."
                    },
                )
            })
        };
        self.paid_suites().into_iter().map(line).collect()
    }

    /// True if paid suites are next.
    pub(super) fn waits_for_paid(&self, report: &GateReport) -> bool {
        report.passed()
            && self.subject.main.settings.evals.is_some()
            && !self.paid_suites().is_empty()
    }

    /// Both releases, ready to be asked for money; or why they may not be.
    fn paid_releases(&self, now: Timestamp) -> Result<Option<Releases>, Box<Finding>> {
        let Some(mut releases) = self.releases(now) else { return Ok(None) };
        let production = self.production.as_ref().map(|record| &record.served);
        let judges = releases.judges.values().map(|judge| &judge.served);
        let asked: Vec<&ServedRelease> =
            [&releases.candidate.served].into_iter().chain(judges).collect();
        for served in &asked {
            if let Some(address) = unknown_address(served, &self.subject.main, production) {
                return Err(Box::new(new_address(&self.app, &address)));
            }
        }
        let secrets = secrets(asked.into_iter().chain(production), &self.keys);
        releases.secrets = secrets;
        releases.client = Some(connect::http::Client::new());
        outside(&mut releases, &self.subject.main, &self.keys);
        Ok(Some(releases))
    }
}

fn skipped(name: &str, title: &str, summary: &str) -> GateResult {
    let mut result = GateResult::of(name, title, Tier::Paid, summary, Vec::new());
    result.outcome = GateOutcome::Skipped;
    result
}

fn new_address(app: &domain::ids::AppName, address: &str) -> Finding {
    Finding {
        code: "new_address".to_owned(),
        severity: Severity::Error,
        place: Some(Place { file: format!("apps/{app}/release.yaml"), ..Place::default() }),
        message: format!("the model is asked at {address}, where no model in use is asked"),
        explanation: "A key must not go anywhere before somebody has agreed to it.".to_owned(),
        mend: "have the model's entry approved in a change of its own first".to_owned(),
        replacement: None,
        excerpt: None,
    }
}

/// What is next for a change that waits for its paid suites.
enum Turn {
    /// They are through.
    Done(Vec<SuiteReport>),
    /// They cannot be asked.
    Refused(Box<Finding>),
    /// There is nothing to ask any more.
    Nothing,
    /// The tokens of the day are used up.
    Tomorrow(u64),
    /// The change moved on meanwhile.
    Dropped,
}

impl Control {
    /// Asks the paid suites of every change that waits for them, one change after
    /// the other.
    ///
    /// # Errors
    /// The store or git failed; the next look goes on.
    pub async fn pay_for_suites(&self) -> Result<(), Problem> {
        let query = Query::of(Kind::Change).state(changes::word(ChangeState::Checking));
        let mut failed = Ok(());
        for change in self.store.list::<Change>(query).await?.items {
            if change.doc.report.is_none() {
                continue;
            }
            if let Err(problem) = self.pay_for_change(change.doc).await {
                failed = Err(problem);
            }
        }
        failed
    }

    async fn pay_for_change(&self, change: Change) -> Result<(), Problem> {
        let judged = self.judged_of(&change, self.clock.now()).await?;
        let spent = AtomicU64::new(0);
        let turn = self.ask_paid_suites(&change, &judged, &spent).await?;
        let spent = spent.into_inner();
        let (results, reports, over) = match turn {
            Turn::Dropped => return Ok(()),
            Turn::Nothing => (judged.paid_lines("There was nothing to ask."), Vec::new(), true),
            Turn::Refused(finding) => (judged.refused_lines(&finding), Vec::new(), true),
            Turn::Tomorrow(cap) => {
                let words = format!(
                    "Waits: the {cap} tokens this server may spend in a day are used up. It goes on after midnight UTC."
                );
                (judged.paid_lines(&words), Vec::new(), false)
            }
            Turn::Done(reports) => (reports.iter().map(SuiteReport::gate).collect(), reports, true),
        };
        self.write_paid(&change, (results, reports, over), spent).await
    }

    async fn ask_paid_suites(
        &self,
        change: &Change,
        judged: &Judged,
        spent: &AtomicU64,
    ) -> Result<Turn, Problem> {
        let Some(settings) = judged.subject.main.settings.evals else { return Ok(Turn::Nothing) };
        let releases = match judged.paid_releases(self.clock.now()) {
            Ok(Some(releases)) => releases,
            Ok(None) => return Ok(Turn::Nothing),
            Err(finding) => return Ok(Turn::Refused(finding)),
        };
        let mut reports = Vec::new();
        for loaded in judged.paid_suites() {
            let left = self.tokens_left(&settings).await?;
            if left == 0 {
                return Ok(Turn::Tomorrow(settings.tokens_per_day));
            }
            let own = loaded.suite.token_cap;
            let how = How { about: judged.about(), ..how(&settings, &self.config.data, left) };
            let report = evaluate(loaded, &releases, &how, &|_| {}).await;
            let used = how.spent.map_or(0, |spent| spent.load(Ordering::Relaxed));
            spent.fetch_add(used, Ordering::Relaxed);
            self.book_tokens(used).await?;
            // What came is in the journal: tomorrow goes on from there.
            if cut(&report) && own.is_none_or(|own| left < own) {
                return Ok(Turn::Tomorrow(settings.tokens_per_day));
            }
            let now = self.change_record(change.id).await?.doc;
            if now.head != change.head || now.state != ChangeState::Checking {
                return Ok(Turn::Dropped);
            }
            reports.push(report);
        }
        Ok(if reports.is_empty() { Turn::Nothing } else { Turn::Done(reports) })
    }

    /// Writes what came of the paid suites, unless the change moved on.
    async fn write_paid(
        &self,
        asked: &Change,
        (results, reports, over): (Vec<GateResult>, Vec<SuiteReport>, bool),
        spent: u64,
    ) -> Result<(), Problem> {
        let now = self.clock.now();
        let mut change: Versioned<Change> = self.change_record(asked.id).await?;
        if change.doc.head != asked.head || change.doc.state != ChangeState::Checking {
            return Ok(());
        }
        let Some(mut report) = change.doc.report.take() else { return Ok(()) };
        let before = report.clone();
        for result in results {
            match report.gates.iter_mut().find(|gate| gate.gate == result.gate) {
                Some(line) => *line = result,
                None => report.gates.push(result),
            }
        }
        report.outcome = checks::gate::worst(&report.gates);
        if !over && report.gates == before.gates {
            return Ok(());
        }
        let mut tx = Tx::new(now);
        if over {
            report.finished_at = now;
            change.doc.state =
                if report.passed() { ChangeState::NeedsApproval } else { ChangeState::NeedsFixes };
            tx.audit(
                entry(now, Actor::System, "change.evaluated", &change.doc.app)
                    .on(format!("change/{}", change.doc.id))
                    .with(params! {
                        "commit" => report.commit, "release" => report.release,
                        "outcome" => report.outcome, "tokens" => spent,
                        "suites" => reports.iter().map(|r| (r.suite.clone(), r.outcome)).collect::<Vec<_>>(),
                    })
                    .into(),
            );
        }
        change.doc.report = Some(report);
        if !reports.is_empty() {
            let id = change.doc.release.ok_or_else(|| wrong("the change", &"it has no release"))?;
            let new = EvalReport::new(change.doc.app.clone(), id, change.doc.production, reports);
            change.doc.requirements =
                strictest(change.doc.requirements.clone(), suites::asked_by(Some(&new)));
            self.keep_more(&mut tx, &mut change.doc, new).await?;
        }
        changes::update(&mut tx, &mut change, now);
        self.store.commit(tx).await?;
        self.wake();
        Ok(())
    }

    /// Adds paid suites to what the recorded ones measured.
    async fn keep_more(
        &self,
        tx: &mut Tx,
        change: &mut Change,
        new: EvalReport,
    ) -> Result<(), Problem> {
        let cases: Vec<_> = new.suites.iter().flat_map(|suite| &suite.details).collect();
        let mut lines = match change.eval_cases {
            Some(digest) => {
                self.store.get_blob(&digest).await?.map_or_else(Vec::new, |b| b.to_vec())
            }
            None => Vec::new(),
        };
        lines.extend(
            evals::lines(&cases).map_err(|e| wrong("the evaluated cases", &e))?.into_bytes(),
        );
        let mut all = new.suites;
        if let Some(digest) = change.evals
            && let Some(bytes) = self.store.get_blob(&digest).await?
        {
            let old: EvalReport =
                serde_json::from_slice(&bytes).map_err(|e| wrong("the evaluation report", &e))?;
            all.extend(old.suites);
        }
        let report = EvalReport::new(new.app, new.candidate, new.against, all);
        let text = report.json().map_err(|e| wrong("the evaluation report", &e))?;
        change.evals = Some(tx.insert_blob(text.into_bytes()));
        change.eval_cases = Some(tx.insert_blob(lines));
        Ok(())
    }

    /// Tokens that may still be spent today.
    pub(crate) async fn tokens_left(&self, settings: &PaidEvals) -> Result<u64, Problem> {
        let spent = self.store.get::<Spent>(Kind::Meta, spent_on(self.clock.now())).await?;
        Ok(settings.tokens_per_day.saturating_sub(spent.map_or(0, |spent| spent.doc.tokens)))
    }

    /// Writes down what was spent.
    pub(crate) async fn book_tokens(&self, used: u64) -> Result<(), Problem> {
        if used == 0 {
            return Ok(());
        }
        let now = self.clock.now();
        let id = spent_on(now);
        let before = self.store.get::<Spent>(Kind::Meta, &id).await?;
        let tokens = before.map_or(0, |spent| spent.doc.tokens).saturating_add(used);
        let mut tx = Tx::new(now);
        tx.put(Kind::Meta, &id, &Spent { tokens }, Index::none());
        self.store.commit(tx).await?;
        Ok(())
    }
}

impl Judged {
    /// The same words for every paid suite.
    fn paid_lines(&self, words: &str) -> Vec<GateResult> {
        let line = |loaded: Arc<Loaded>| {
            skipped(&format!("eval/{}", loaded.name), &loaded.suite.title, words)
        };
        self.paid_suites().into_iter().map(line).collect()
    }

    fn refused_lines(&self, finding: &Finding) -> Vec<GateResult> {
        let line = |loaded: Arc<Loaded>| {
            let name = format!("eval/{}", loaded.name);
            let title = &loaded.suite.title;
            GateResult::of(&name, title, Tier::Paid, "Nothing was asked.", vec![finding.clone()])
        };
        self.paid_suites().into_iter().map(line).collect()
    }
}
