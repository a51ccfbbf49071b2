//! The models an app could have: what a request of *this* app would cost, how
//! fast it was measured here, and whether the policies let it.

use crate::Control;
use crate::caller::Caller;
use crate::facts::{Known, facts_of};
use crate::forecast::Prices;
use crate::problem::Problem;
use analysis::sketch::Sketch;
use checks::policy;
use domain::component::ComponentKind;
use domain::facts::{AuthorFacts, PolicyAction};
use domain::ids::{AppName, ReleaseId};
use domain::manifest::Release;
use domain::routing::Arm;
use domain::snapshot::Provider;
use domain::units::{Span, Timestamp};
use opsrepo::{Desired, ModelSpec};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How far back speed is measured.
const MEASURED_OVER: Span = Span::from_secs(24 * 3600);
/// Answers below which a speed is no number to choose by.
const MIN_ANSWERS: u64 = 20;

/// One model of the ops repo.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelView {
    /// Name of its file: what `release.yaml` names.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// `openai`, `replay` or `rules`.
    pub provider: &'static str,
    /// The provider's own id.
    pub provider_model: String,
    /// Context window, in tokens.
    pub context: u32,
    /// Where answers are made, as its labels say.
    pub region: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Free words.
    pub tags: Vec<String>,
    /// Day from which the provider no longer serves it.
    pub deprecated_on: Option<String>,
    /// US dollars for a million tokens of the prompt, today.
    pub price_input_per_million: f64,
    /// US dollars for a million tokens of the answer, today.
    pub price_output_per_million: f64,
    /// US dollars for a thousand requests of the app asked about.
    pub price_per_1000: Option<f64>,
    /// Median time of an answer here in the last day, in milliseconds.
    pub p50_ms: Option<f64>,
    /// 95th percentile of the same.
    pub p95_ms: Option<f64>,
    /// Answers these rest on.
    pub measured: u64,
    /// True if production of the app asked about has it.
    pub current: bool,
    /// False if the policies in force deny it.
    pub allowed: bool,
    /// Then by which, and what to do.
    pub why_not: Option<String>,
}

impl Control {
    /// The models, for an app if one is named.
    ///
    /// # Errors
    /// `no_such_app`.
    pub async fn models(
        &self,
        caller: &Caller,
        app: Option<&AppName>,
    ) -> Result<Vec<ModelView>, Problem> {
        let main = self.main().await?;
        let now = self.clock.now();
        let prices = Prices::of(&main.desired, &main.desired, now);
        let Some(app) = app else {
            let models = main.desired.models.iter();
            return Ok(models.map(|(name, spec)| view(name, spec, None, &prices)).collect());
        };
        let record = self.app_record(app).await?;
        let production = self.release_record(record.doc.production).await?;
        let speeds = self.speeds(app, now).await?;
        let known = self.known_about(app, [caller.name()].into_iter(), None, now).await?;
        let app = app.clone();
        // Policies are compiled and tokens counted: not on a thread that serves.
        tokio::task::spawn_blocking(move || {
            let release = Release {
                id: production.id,
                manifest: production.manifest.clone(),
                contents: production.served.contents.clone(),
            };
            let asked = AskedFor { app: &app, desired: &main.desired, release, known, prices, now };
            main.desired
                .models
                .iter()
                .map(|(name, spec)| asked.view(name, spec, speeds.get(name)))
                .collect()
        })
        .await
        .map_err(|e| crate::wrong("the models", &e))
    }

    /// Times of answers of the app in the last day, by model.
    async fn speeds(
        &self,
        app: &AppName,
        now: Timestamp,
    ) -> Result<BTreeMap<String, Sketch>, Problem> {
        let since = Timestamp(now.0.saturating_sub(MEASURED_OVER.millis())).second();
        let cells = self.store.app_cells(app, since, now.second().saturating_add(1)).await?;
        let mut by_release: BTreeMap<ReleaseId, Sketch> = BTreeMap::new();
        for (key, cell) in cells.iter().filter(|(key, _)| key.arm != Arm::Shadow) {
            by_release.entry(key.release).or_default().merge(&cell.latency_ms);
        }
        let mut speeds: BTreeMap<String, Sketch> = BTreeMap::new();
        for (id, sketch) in by_release {
            // A release that was forgotten has no model to tell of.
            let Ok(record) = self.release_record(id).await else { continue };
            if let Some(model) = record.manifest.components.get(&ComponentKind::Model) {
                speeds.entry(model.name.clone()).or_default().merge(&sketch);
            }
        }
        Ok(speeds)
    }
}

/// An app with its release in production.
struct AskedFor<'a> {
    app: &'a AppName,
    desired: &'a Desired,
    release: Release,
    known: Known,
    prices: Prices,
    now: Timestamp,
}

impl AskedFor<'_> {
    fn view(&self, name: &str, spec: &ModelSpec, speed: Option<&Sketch>) -> ModelView {
        let mut view = view(name, spec, speed, &self.prices);
        let mut release = self.release.clone();
        let own = release.manifest.components.get_mut(&ComponentKind::Model);
        view.current = own.as_ref().is_some_and(|own| own.name == name);
        if let Some(own) = own {
            name.clone_into(&mut own.name);
        }
        if let Ok(content) = serde_json::to_value(&spec.content) {
            release.contents.insert(ComponentKind::Model, content);
        }
        let costs = self.known.traffic.costs(&release.contents, &self.prices, None);
        view.price_per_1000 = costs.map(|costs| costs.request.value * 1000.0);
        if let Some(no) = self.denied(&release) {
            view.allowed = false;
            view.why_not = Some(no);
        }
        view
    }

    /// What the policies in force have against it.
    fn denied(&self, release: &Release) -> Option<String> {
        let facts = facts_of(
            self.app,
            (self.desired, self.desired),
            release,
            None,
            &BTreeSet::new(),
            &self.known,
            self.now,
        )?;
        let (policies, _) = policy::compile(&self.desired.policies);
        let author = self
            .known
            .authors
            .first()
            .cloned()
            .unwrap_or_else(|| AuthorFacts { name: String::new(), roles: BTreeSet::new() });
        let said = policies.decide(PolicyAction::Release, &author, &facts);
        let broken = said.broken.into_iter().map(|broken| broken.rule);
        let rule = said.denied.into_iter().chain(broken).next()?;
        let because =
            if rule.because.is_empty() { String::new() } else { format!(": {}", rule.because) };
        Some(format!("Policy `{}` does not allow it{because}", rule.id))
    }
}

fn view(name: &str, spec: &ModelSpec, speed: Option<&Sketch>, prices: &Prices) -> ModelView {
    let content = &spec.content;
    let price = prices.list.price(content, prices.day);
    let measured = speed.map_or(0, Sketch::count);
    let quantile = |q| speed.filter(|_| measured >= MIN_ANSWERS).and_then(|s| s.quantile(q));
    ModelView {
        name: name.to_owned(),
        version: spec.version.to_string(),
        provider: match content.provider {
            Provider::Openai { .. } => "openai",
            Provider::Replay { .. } => "replay",
            Provider::Rules {} => "rules",
        },
        provider_model: content.provider_model.clone(),
        context: content.context_window,
        region: spec.labels.get("region").cloned(),
        labels: spec.labels.clone(),
        tags: spec.tags.clone(),
        deprecated_on: spec.deprecated_on.clone(),
        price_input_per_million: price.input_per_million,
        price_output_per_million: price.output_per_million,
        price_per_1000: None,
        p50_ms: quantile(0.5),
        p95_ms: quantile(0.95),
        measured,
        current: false,
        allowed: true,
        why_not: None,
    }
}
