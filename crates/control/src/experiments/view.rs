//! Live experiments as people and programs read them.

use super::ExperimentRecord;
use crate::Control;
use crate::caller::Caller;
use crate::listing::ListQuery;
use crate::problem::Problem;
use crate::records::labels;
use crate::views::{AllowedAction, Page};
use analysis::experiment::{Report, Verdict};
use domain::experiment::ExperimentPolicy;
use domain::experiment::live::{ExperimentState, Phase};
use domain::ids::{AppName, EnvName, ExperimentId, Generation, IncidentId, PersonName, ReleaseId};
use domain::params;
use domain::people::Permission;
use domain::sentence::Sentence;
use domain::units::{Share, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use store::{Kind, Versioned};

/// `POST /api/v1/experiments`: start the experiment of a file of `main`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartExperiment {
    /// The app.
    pub app: AppName,
    /// The name of its file: `apps/<app>/experiments/<name>.yaml`.
    pub name: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What the last look said of a variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Numbers {
    /// Rewards counted.
    pub rewards: u64,
    /// Their mean, in the unit of the primary metric.
    pub mean: Option<f64>,
    /// How much higher it is than control's.
    pub against_control: Option<f64>,
    /// Where that lies, for all pairs and all looks together.
    pub interval: Option<(f64, f64)>,
    /// How probably it is the best one: a belief, no verdict.
    pub probably_best: f64,
    /// The smallest risk at which it could be chosen now.
    pub evidence: f64,
}

impl Numbers {
    /// Of every variant, over all answers.
    pub(super) fn of(report: &Report) -> Vec<Self> {
        let number = |value: f64| value.is_finite().then_some(value);
        let variants = report.overall.variants.iter();
        variants
            .map(|variant| Self {
                rewards: variant.reward.map_or(0, |reward| reward.n),
                mean: variant.reward.and_then(|reward| number(reward.value)),
                against_control: variant.against_control.and_then(|e| number(e.value)),
                interval: variant
                    .against_control
                    .and_then(|e| e.interval)
                    .and_then(|(low, high)| Some((number(low)?, number(high)?))),
                probably_best: variant.probably_best,
                evidence: variant.evidence,
            })
            .collect()
    }
}

/// A variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VariantView {
    /// Name.
    pub name: String,
    /// Its release.
    pub release: ReleaseId,
    /// `prompt → summary@1.1.0` and so on.
    pub labels: BTreeMap<String, String>,
    /// Its share now: of each segment, and of everybody else.
    pub shares: Vec<Share>,
    /// The guard that dropped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<String>,
    /// The last look; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Numbers>,
}

/// A live experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExperimentView {
    /// Number.
    pub id: ExperimentId,
    /// App.
    pub app: AppName,
    /// Environment.
    pub environment: EnvName,
    /// The name of its file.
    pub name: String,
    /// Where it stands.
    pub phase: Phase,
    /// The same in a sentence, with what comes next.
    pub summary: Sentence,
    /// The variants, in the policy's order.
    pub variants: Vec<VariantView>,
    /// The variant that is production's release.
    pub control: String,
    /// The file as it was at the start.
    pub policy: ExperimentPolicy,
    /// The commit the variants were composed from.
    pub commit: String,
    /// The report of the last look, as `experiment run -o json` has it.
    pub report: Option<serde_json::Value>,
    /// The last look, by the grid of looks.
    pub looked_at: Option<Timestamp>,
    /// When it began.
    pub started_at: Timestamp,
    /// Who started it.
    pub started_by: PersonName,
    /// When it was won or ended.
    pub decided_at: Option<Timestamp>,
    /// Incidents it opened.
    pub incidents: Vec<IncidentId>,
    /// What the reader may do.
    #[serde(default)]
    pub allowed_actions: Vec<AllowedAction>,
    /// For `If-Match`.
    pub generation: Generation,
    /// Its page.
    pub url: String,
}

impl Control {
    /// Experiments, newest first.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn experiments(
        &self,
        caller: &Caller,
        query: ListQuery,
    ) -> Result<Page<ExperimentView>, Problem> {
        let page = self.store.list::<ExperimentRecord>(query.of(Kind::Experiment)).await?;
        let mut items = Vec::new();
        for experiment in page.items {
            items.push(self.view_experiment(caller, experiment).await?);
        }
        Ok(Page { items, next: page.next.map(|c| c.to_string()) })
    }

    /// One experiment.
    ///
    /// # Errors
    /// `no_such_experiment`.
    pub async fn experiment(
        &self,
        caller: &Caller,
        id: ExperimentId,
    ) -> Result<ExperimentView, Problem> {
        self.view_experiment(caller, self.experiment_record(id).await?).await
    }

    async fn view_experiment(
        &self,
        caller: &Caller,
        record: Versioned<ExperimentRecord>,
    ) -> Result<ExperimentView, Problem> {
        let ExperimentRecord { state, commit, report, summary, numbers, incidents } = record.doc;
        let shares = state.shares();
        let mut variants = Vec::new();
        for (place, release) in state.releases.iter().enumerate() {
            let manifest = &self.release_record(*release).await?.manifest;
            variants.push(VariantView {
                name: state.variant(place).to_owned(),
                release: *release,
                labels: labels(&manifest.components),
                shares: shares.iter().filter_map(|group| group.get(place).copied()).collect(),
                dropped: state.dropped.get(place).cloned().flatten(),
                numbers: numbers.get(place).cloned(),
            });
        }
        let decided = state.decision.clone();
        Ok(ExperimentView {
            id: state.id,
            environment: state.environment.clone(),
            summary: decided.or(summary).unwrap_or_else(|| begun(&state)),
            control: state.variant(state.policy.control()).to_owned(),
            allowed_actions: actions(caller, &state),
            url: self.url(&format!("experiments/{}", state.id)),
            app: state.app,
            name: state.name,
            phase: state.phase,
            policy: state.policy,
            looked_at: state.looked_at,
            started_at: state.started_at,
            started_by: state.started_by,
            decided_at: state.decided_at,
            variants,
            commit,
            report,
            incidents,
            generation: record.generation,
        })
    }
}

fn actions(caller: &Caller, state: &ExperimentState) -> Vec<AllowedAction> {
    if state.phase.is_final() {
        return Vec::new();
    }
    let may = caller.must(Permission::Operate).err().map(|problem| problem.detail);
    let action = AllowedAction::new;
    let open = matches!(state.phase, Phase::Running).then(|| "there is no winner yet".to_owned());
    vec![
        action("stop", may.clone(), "Everyone gets production's release again."),
        action(
            "conclude",
            may.or(open),
            "Everyone gets production's release; the winner is noted, and becomes production by a change.",
        ),
    ]
}

fn begun(state: &ExperimentState) -> Sentence {
    Sentence::render(
        "experiment_begun",
        "{experiment} of {app} divides traffic as planned; the first look comes {every} after the start.",
        params! {
            "experiment" => state.id, "app" => state.app, "every" => state.policy.check_every.to_string(),
        },
    )
}

/// Where a running experiment stands, in a sentence.
pub(super) fn standing(state: &ExperimentState, report: &Report) -> Sentence {
    let nearest = report
        .overall
        .variants
        .iter()
        .min_by(|a, b| a.evidence.total_cmp(&b.evidence))
        .filter(|variant| variant.evidence < 0.5);
    let mut params = params! {"experiment" => state.id, "app" => state.app};
    let template = match (&report.overall.verdict, nearest) {
        (Verdict::TooFew { needed }, _) => {
            params.insert("needed".to_owned(), serde_json::json!(needed));
            "{experiment} of {app} goes on: the variant with the fewest rewards needs {needed} more before anything is said."
        }
        (Verdict::KeepRunning, Some(nearest)) => {
            let risk = format!("{:.1}%", nearest.evidence * 100.0);
            params.insert("variant".to_owned(), serde_json::json!(nearest.name));
            params.insert("risk".to_owned(), serde_json::json!(risk));
            "{experiment} of {app} goes on: nearest to winning is `{variant}`, at a risk of {risk}."
        }
        _ => "{experiment} of {app} goes on: no variant is shown to be the best.",
    };
    Sentence::render("experiment_goes_on", template, params)
}
