//! Evaluation suites as gates of a change: those of the recorded tier, which ask
//! nobody and cost nothing. Paid tiers run where the keys are, in CI.

use super::{Judged, wrong};
use crate::Control;
use crate::forecast::Prices;
use crate::problem::Problem;
use crate::records::ReleaseRecord;
use checks::gate::Gate;
use connect::provider::Recordings;
use domain::approval::Requirement;
use domain::change::Change;
use domain::finding::{GateResult, Tier};
use domain::ids::Digest;
use domain::people::Role;
use domain::snapshot::{ModelContent, Provider, ServedRelease};
use domain::units::Timestamp;
use evals::{
    About, Beside, EvalReport, How, Loaded, Options, Release, Releases, SuiteReport, evaluate,
    read_judges,
};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use store::Tx;
use tokio::runtime::Handle;

/// Parsed recordings by the digest of their file.
pub(crate) type Parsed = BTreeMap<Digest, Arc<Recordings>>;

impl Control {
    /// The recordings that answer for production, from the store.
    pub(crate) async fn recordings_of(
        &self,
        production: Option<&ReleaseRecord>,
    ) -> Result<Parsed, Problem> {
        let mut parsed = Parsed::new();
        for digest in production.map(|record| named(&record.served)).unwrap_or_default() {
            // A recording that is gone is told by the suites that need it.
            let Some(bytes) = self.store.get_blob(&digest).await? else { continue };
            let read = tokio::task::spawn_blocking(move || Recordings::parse(digest, &bytes));
            if let Ok(read) = read.await.map_err(|e| wrong("the recordings", &e))? {
                parsed.insert(digest, Arc::new(read));
            }
        }
        Ok(parsed)
    }
}

/// The recordings a release's model names.
fn named(served: &ServedRelease) -> Vec<Digest> {
    match checks::template::model(served) {
        Ok(ModelContent { provider: Provider::Replay { recordings, .. }, .. }) => recordings,
        _ => Vec::new(),
    }
}

impl Judged {
    /// A gate for each suite of the recorded tier. Each runs when its tier is
    /// reached, on a thread that may block.
    pub(super) fn suite_gates(&self, now: Timestamp) -> Vec<Gate<'_>> {
        let (suites, _) = Loaded::all(&self.subject.files, &self.app);
        let recorded: Vec<Arc<Loaded>> =
            suites.into_iter().filter(|s| s.suite.tier == Tier::Recorded).map(Arc::new).collect();
        let Some(releases) = self.releases(now).filter(|_| !recorded.is_empty()).map(Arc::new)
        else {
            return Vec::new();
        };
        recorded
            .into_iter()
            .map(|loaded| {
                let (name, title) = (format!("eval/{}", loaded.name), loaded.suite.title.clone());
                let releases = releases.clone();
                Gate::new((&name, &title), Tier::Recorded, move || {
                    self.run_suite(loaded, &releases)
                })
            })
            .collect()
    }

    fn run_suite(&self, loaded: Arc<Loaded>, releases: &Releases) -> GateResult {
        let how = How {
            options: Options { details: true, ..Options::default() },
            about: self.about(),
            ..How::default()
        };
        let report = Handle::current().block_on(evaluate(loaded, releases, &how, &|_| {}));
        let result = report.gate();
        self.evals.lock().unwrap_or_else(PoisonError::into_inner).push(report);
        result
    }

    /// What decisions rest on besides.
    pub(super) fn about(&self) -> About {
        About::of(self.subject.desired.apps.get(&self.app).map(|spec| spec.risk))
    }

    pub(super) fn releases(&self, now: Timestamp) -> Option<Releases> {
        let composed = self.composed.as_ref().ok()?;
        let mut recordings = self.recordings.clone();
        let served = ServedRelease {
            app: self.app.clone(),
            components: composed.manifest.components.clone(),
            contents: composed.contents.clone(),
        };
        for spec in self.subject.desired.models.values() {
            for file in &spec.recordings {
                if let Ok(parsed) = Recordings::parse(file.digest, &file.bytes) {
                    recordings.insert(file.digest, Arc::new(parsed));
                }
            }
        }
        let production = self.production.as_ref();
        let prices = Prices::of(&self.subject.main, &self.subject.desired, now);
        Some(Releases {
            candidate: Release { id: composed.id, served },
            production: production.map(|p| Release { id: p.id, served: p.served.clone() }),
            recordings,
            of_app: Releases::recordings_of(&self.subject.files, &self.app),
            secrets: BTreeMap::new(),
            client: None,
            judges: read_judges(&self.subject.files, &self.subject.desired, &self.app).0,
            beside: Beside::of(&self.subject.desired, Some((prices.list, prices.day))),
        })
    }

    /// What the suites measured, if any ran.
    pub(super) fn evals(&self) -> Option<EvalReport> {
        let suites: Vec<SuiteReport> =
            std::mem::take(&mut *self.evals.lock().unwrap_or_else(PoisonError::into_inner));
        let release = self.composed.as_ref().ok().filter(|_| !suites.is_empty())?;
        let against = self.production.as_ref().map(|record| record.id);
        Some(EvalReport::new(self.app.clone(), release.id, against, suites))
    }
}

/// Keeps what the suites measured, and every case of them apart, with the change.
pub(super) fn keep(
    tx: &mut Tx,
    change: &mut Change,
    evals: Option<&EvalReport>,
) -> Result<(), Problem> {
    let Some(evals) = evals else {
        (change.evals, change.eval_cases) = (None, None);
        return Ok(());
    };
    let text = evals.json().map_err(|e| wrong("the evaluation report", &e))?;
    change.evals = Some(tx.insert_blob(text.into_bytes()));
    let cases: Vec<_> = evals.suites.iter().flat_map(|suite| &suite.details).collect();
    let text = evals::lines(&cases).map_err(|e| wrong("the evaluated cases", &e))?;
    change.eval_cases = Some(tx.insert_blob(text.into_bytes()));
    Ok(())
}

/// The approvals that the numbers ask for.
pub(super) fn asked_by(evals: Option<&EvalReport>) -> Vec<Requirement> {
    let asked = evals.into_iter().flat_map(|report| &report.suites).flat_map(|s| &s.approvals);
    let mut needs: Vec<Requirement> = Vec::new();
    for approval in asked {
        // Where nobody has the role yet, an approver decides.
        let role: Role = approval.role.parse().unwrap_or(Role::Approver);
        if needs.iter().any(|need| need.role == role) {
            continue;
        }
        needs.push(Requirement { role, count: 1, reason: approval.reason.clone(), policy: None });
    }
    needs
}
