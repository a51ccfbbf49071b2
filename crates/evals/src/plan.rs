//! All suites of an app against two releases, from files.

use crate::ask::{Asker, Limits};
use crate::decide::{About, decide};
use crate::journal::Journal;
use crate::judge::{Judge, JudgeEntry, JudgeReport};
use crate::load::Loaded;
use crate::outsiders::Outsiders;
use crate::recorder::Recorder;
use crate::report::SuiteReport;
use crate::run::{Options, Progress, Suite, run};
use crate::subject::{NoAnswer, Recorded, Subject};
use connect::classifier::Keys;
use connect::http::Client;
use connect::provider::Recordings;
use domain::classifier::Classifier;
use domain::finding::{Finding, GateOutcome, GateResult, Severity, Tier};
use domain::ids::{AppName, Digest, ReleaseId};
use domain::price::PriceList;
use domain::snapshot::{ModelContent, ServedRelease};
use domain::suite::Metric;
use opsrepo::{Desired, Files};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A release with its content.
#[derive(Debug, Clone)]
pub struct Release {
    /// Its id.
    pub id: ReleaseId,
    /// What it is made of.
    pub served: ServedRelease,
}

/// Two releases, and all that suites need to ask them.
pub struct Releases {
    /// The one on trial.
    pub candidate: Release,
    /// What serves now.
    pub production: Option<Release>,
    /// Recordings that models name, by digest.
    pub recordings: BTreeMap<Digest, Arc<Recordings>>,
    /// What `eval record` wrote for the app.
    pub of_app: Vec<Arc<Recordings>>,
    /// Keys of providers, by the name of their environment variable.
    pub secrets: BTreeMap<String, String>,
    /// For paid calls; none where nothing may be spent.
    pub client: Option<Client>,
    /// The app's judges.
    pub judges: BTreeMap<String, JudgeEntry>,
    /// What else the repository says.
    pub beside: Beside,
}

/// What a repository says that suites need beside releases and recordings.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// The price list, and the day it is asked for (counted from 1970-01-01).
    pub prices: Option<(PriceList, i64)>,
    /// The models of the repository: those that make vectors are among them.
    pub models: BTreeMap<String, ModelContent>,
    /// The classifiers of `tidegate.yaml`.
    pub classifiers: BTreeMap<String, Classifier>,
    /// Keys of classifiers.
    pub classifier_keys: Keys,
    /// Records what is said about answers: answers themselves then come from
    /// recordings, in every tier.
    pub recorder: Option<Arc<Recorder>>,
}

impl Beside {
    /// What these files say.
    pub fn of(desired: &Desired, prices: Option<(PriceList, i64)>) -> Self {
        let models = desired.models.iter();
        Self {
            prices,
            models: models.map(|(name, spec)| (name.clone(), spec.content.clone())).collect(),
            classifiers: desired.settings.classifiers.clone(),
            ..Self::default()
        }
    }
}

impl fmt::Debug for Releases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Releases")
            .field("candidate", &self.candidate.id)
            .field("production", &self.production.as_ref().map(|p| p.id))
            .finish_non_exhaustive()
    }
}

impl Releases {
    /// The recordings that `eval record` wrote for an app.
    pub fn recordings_of(files: &Files, app: &AppName) -> Vec<Arc<Recordings>> {
        let folder = format!("apps/{app}/evals/recordings/");
        files
            .range(folder.clone()..)
            .take_while(|(path, _)| path.starts_with(&folder))
            .filter(|(path, _)| path.ends_with(".jsonl"))
            .filter_map(|(_, bytes)| Recordings::parse(Digest::of(bytes), bytes).ok())
            .map(Arc::new)
            .collect()
    }

    /// Who answers for a release in suites of this tier.
    ///
    /// # Errors
    /// No request can be made of it.
    pub fn subject(&self, release: &Release, tier: Tier) -> Result<Subject, NoAnswer> {
        let stock = Recorded {
            by_digest: &|digest| self.recordings.get(digest).cloned(),
            of_app: &self.of_app,
            secret: &|name| self.secrets.get(name).cloned(),
            client: self.client.as_ref(),
            prices: self.beside.prices.as_ref().map(|(list, day)| (list, *day)),
        };
        Subject::new(release.id, &release.served, tier, &stock)
    }
}

/// How to run suites.
#[derive(Debug, Clone, Default)]
pub struct How {
    /// Repeats, cases, early stop.
    pub options: Options,
    /// How hard providers may be asked.
    pub limits: Limits,
    /// Where paid answers are kept; nowhere if absent.
    pub journal: Option<PathBuf>,
    /// What decisions rest on besides.
    pub about: About,
    /// Most tokens of paid answers, whatever the suite allows.
    pub cap: Option<u64>,
    /// Where tokens that were paid for are added up.
    pub spent: Option<Arc<AtomicU64>>,
}

/// Runs one suite against the releases.
pub async fn evaluate(
    loaded: Arc<Loaded>,
    releases: &Releases,
    how: &How,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> SuiteReport {
    let tier = match releases.beside.recorder {
        Some(_) => Tier::Recorded,
        None => loaded.suite.tier,
    };
    let candidate = match releases.subject(&releases.candidate, tier) {
        Ok(subject) => Arc::new(subject),
        Err(why) => return unusable(&loaded, &why),
    };
    let production = releases.production.as_ref().map(|release| releases.subject(release, tier));
    let (production, lost) = match production {
        Some(Ok(subject)) => (Some(Arc::new(subject)), None),
        Some(Err(why)) => (None, Some(why)),
        None => (None, None),
    };
    let journal = |subject: &Subject| -> Result<Option<Arc<Journal>>, NoAnswer> {
        let Some(folder) = how.journal.as_ref().filter(|_| subject.is_live()) else {
            return Ok(None);
        };
        Journal::open(folder, subject.release.0, loaded.digest, subject.provider())
            .map(|journal| Some(Arc::new(journal)))
            .map_err(|e| {
                NoAnswer::new(
                    crate::Cause::GivenUp,
                    e.to_string(),
                    "make the folder writable, or name another with `--cache`",
                )
            })
    };
    let journals = journal(&candidate)
        .and_then(|ours| Ok((ours, production.as_deref().map(&journal).transpose()?.flatten())));
    let (ours, theirs) = match journals {
        Ok(both) => both,
        Err(why) => return unusable(&loaded, &why),
    };
    let cap = [loaded.suite.token_cap, how.cap].into_iter().flatten().min();
    let asker = Arc::new(Asker::new(how.limits, cap));
    let book = || {
        if let Some(spent) = &how.spent {
            spent.fetch_add(asker.used(), Ordering::Relaxed);
        }
    };
    let (judges, judged) = match judges(&loaded, releases, how, &asker).await {
        Ok(both) => both,
        Err(why) => {
            book();
            return unusable(&loaded, &why);
        }
    };
    let outsiders = match Outsiders::of(&loaded, releases, how.journal.as_deref()) {
        Ok(outsiders) => outsiders,
        Err(why) => return unusable(&loaded, &why),
    };
    let suite = Suite {
        judges,
        outsiders: Arc::new(outsiders),
        loaded,
        candidate,
        production,
        journal: ours.clone(),
        production_journal: theirs.clone(),
    };
    let done = run(suite.clone(), Arc::clone(&asker), &how.options, progress).await;
    book();
    for journal in [ours, theirs].into_iter().flatten() {
        // What was not synced is written all the same; only a power cut loses it.
        journal.sync().ok();
    }
    let mut report = decide(&suite, &done, how.about);
    believe(&suite, &mut report, judged);
    if let Some(why) = lost {
        report.findings.push(found(&suite.loaded, &why, Severity::Warning));
        if report.outcome == GateOutcome::Passed {
            report.outcome = GateOutcome::Warned;
        }
    }
    report
}

/// Who grades each measure of a suite, judged beforehand.
async fn judges(
    loaded: &Loaded,
    releases: &Releases,
    how: &How,
    asker: &Asker,
) -> Result<(BTreeMap<usize, Arc<Judge>>, Vec<JudgeReport>), NoAnswer> {
    let (mut by_place, mut reports) = (BTreeMap::new(), Vec::new());
    for (i, rule) in loaded.suite.scores.iter().enumerate() {
        let Some(name) = rule.judge.as_ref().filter(|_| rule.metric == Metric::Judge) else {
            continue;
        };
        let entry = releases.judges.get(name).ok_or_else(|| {
            NoAnswer::new(
                crate::Cause::Unusable,
                format!("there is no judge `{name}` that reads"),
                format!("add `apps/{}/evals/judges/{name}.yaml`, or mend it", loaded.app),
            )
        })?;
        let provider = entry.release.0;
        let journal = match how.journal.as_ref().filter(|_| releases.client.is_some()) {
            Some(folder) => Some(
                Journal::open(folder, provider, loaded.digest, provider).map(Arc::new).map_err(
                    |e| {
                        NoAnswer::new(
                            crate::Cause::GivenUp,
                            e.to_string(),
                            "make the folder writable",
                        )
                    },
                )?,
            ),
            None => None,
        };
        let judge = Judge::new(name, entry, releases, loaded.suite.tier, journal)?;
        reports.push(judge.probe(asker, &entry.labelled).await);
        by_place.insert(i, Arc::new(judge));
    }
    Ok((by_place, reports))
}

/// A judge that rewards junk is refused as a gate; one that is not calibrated
/// can only warn, and passes no suite that rests on it alone.
fn believe(suite: &Suite, report: &mut SuiteReport, judged: Vec<JudgeReport>) {
    let places: Vec<usize> = suite.judges.keys().copied().collect();
    let calibrated = judged.iter().map(|judge| judge.calibrated && judge.rewarded_junk.is_empty());
    let trusted: BTreeMap<usize, bool> = places.iter().copied().zip(calibrated).collect();
    for (i, judge) in places.iter().zip(&judged) {
        let rule = suite.loaded.suite.scores.get(*i);
        let gates = rule.is_some_and(|r| r.at_least.is_some() || r.not_worse_by.is_some());
        let field = format!("scores[{i}]");
        let name = &judge.judge;
        let mut push = |severity, code: &str, message: String, mend: &str| {
            let mut finding = crate::load::finding(&suite.loaded.path, code, &message, mend);
            "a number nobody can trust may not decide what users see"
                .clone_into(&mut finding.explanation);
            finding.severity = severity;
            if let Some(place) = &mut finding.place {
                place.field = Some(field.clone());
            }
            report.findings.push(finding);
        };
        if !judge.error.is_empty() {
            let message = format!("the judge `{name}` could not be judged itself: {}", judge.error);
            push(Severity::Error, "judge_not_probed", message, "mend that, then run again");
        } else if !judge.rewarded_junk.is_empty() {
            let severity = if gates { Severity::Error } else { Severity::Warning };
            let junk = judge.rewarded_junk.join(", ");
            let message =
                format!("the judge `{name}` grades junk as good ({junk}), so it is no gate");
            push(
                severity,
                "judge_rewards_junk",
                message,
                "sharpen its rubric or take another model",
            );
        } else if !judge.calibrated && gates {
            let known = match judge.agreement {
                Some(a) => format!(
                    "it agrees with people on {:.0} % of {} answers",
                    a.agreement * 100.0,
                    a.labelled
                ),
                None => "nobody graded answers for it".to_owned(),
            };
            let alone = rests_on_judges(suite, &trusted);
            let (severity, so) = if alone {
                (Severity::Error, "so it passes no gate, and this suite rests on nothing else")
            } else {
                (Severity::Warning, "so it can only warn")
            };
            push(
                severity,
                "judge_not_calibrated",
                format!("the judge `{name}` is not calibrated ({known}), {so}"),
                "grade at least 20 answers and name them in `labelled`, or take its rules out",
            );
        }
        if !judge.calibrated {
            let own = |f: &&mut Finding| {
                let at = f.place.as_ref().and_then(|p| p.field.as_deref()).unwrap_or_default();
                at.starts_with(&format!("{field}.")) && f.severity == Severity::Error
            };
            report.findings.iter_mut().filter(own).for_each(|f| f.severity = Severity::Warning);
        }
    }
    report.judges = judged;
    report.outcome = crate::decide::outcome(&report.findings, report.cases);
}

/// True if nothing a suite asks for is judged by anything but judges that cannot
/// be trusted.
fn rests_on_judges(suite: &Suite, trusted: &BTreeMap<usize, bool>) -> bool {
    let loaded = &suite.loaded;
    let checks =
        !loaded.suite.checks.is_empty() || loaded.cases.iter().any(|c| !c.checks.is_empty());
    let mut rules = loaded.suite.scores.iter().enumerate();
    let other = rules.any(|(i, rule)| {
        (rule.at_least.is_some() || rule.not_worse_by.is_some())
            && trusted.get(&i).copied().unwrap_or(true)
    });
    !checks && !other
}

fn found(loaded: &Loaded, why: &NoAnswer, severity: Severity) -> Finding {
    Finding {
        code: why.cause.code().to_owned(),
        severity,
        place: Some(domain::finding::Place { file: loaded.path.clone(), ..Default::default() }),
        message: why.message.clone(),
        explanation: "who cannot be asked cannot be judged".to_owned(),
        mend: why.mend.clone(),
        replacement: None,
        excerpt: None,
    }
}

/// The report of a suite that could not begin.
fn unusable(loaded: &Loaded, why: &NoAnswer) -> SuiteReport {
    SuiteReport {
        suite: loaded.name.clone(),
        title: loaded.suite.title.clone(),
        file: loaded.path.clone(),
        tier: loaded.suite.tier,
        kind: loaded.suite.kind,
        digest: loaded.digest,
        outcome: GateOutcome::Failed,
        summary: "Nothing was asked.".to_owned(),
        confidence: loaded.suite.confidence.0,
        cases: 0,
        not_reached: loaded.cases.len(),
        repeats: loaded.suite.repeats,
        planned_repeats: None,
        stopped_early: false,
        pass: crate::report::PassReport {
            asked: 0,
            kept: 0,
            share: analysis::compare::share::clopper_pearson(0.0, 0.0, 0.95),
            production: None,
            difference: None,
            zero_bound: None,
            at_least: loaded.suite.pass.map_or(1.0, |pass| pass.at_least.0),
            not_worse_by: loaded.suite.pass.and_then(|pass| Some(pass.not_worse_by?.0)),
        },
        scores: Vec::new(),
        discordant: None,
        cost: crate::report::CostReport::default(),
        flicker: Vec::new(),
        flickering: 0,
        worse: Vec::new(),
        broken: Vec::new(),
        failing: loaded.cases.iter().map(|case| case.id.clone()).collect(),
        findings: vec![found(loaded, why, Severity::Error)],
        approvals: Vec::new(),
        judges: Vec::new(),
        details: Vec::new(),
    }
}

/// The static gate over an app's suites: every one of them reads.
pub fn suites_gate(loaded: &[Arc<Loaded>], findings: Vec<Finding>) -> GateResult {
    let cases: usize = loaded.iter().map(|one| one.cases.len()).sum();
    let mut result = GateResult::of(
        "suites",
        "Every evaluation suite reads",
        Tier::Static,
        format!("{} suites with {cases} cases read.", loaded.len()),
        findings,
    );
    if loaded.is_empty() && result.findings.is_empty() {
        result.outcome = GateOutcome::Skipped;
        "The app has no evaluation suite.".clone_into(&mut result.summary);
    }
    result
}
