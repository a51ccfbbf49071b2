//! What policies are told about a change, gathered from where it is known.
//!
//! The document is kept with the change, so that "would this policy have
//! decided differently?" is answered later from it alone.

use crate::Control;
use crate::forecast::{Costs, Prices, Traffic};
use crate::problem::Problem;
use crate::records::ReleaseRecord;
use checks::model_entry::host_of;
use checks::policy::Other;
use checks::tokens;
use domain::change::Change;
use domain::component::ComponentKind;
use domain::facts::{AppFacts, AuthorFacts, CostFacts, Facts, ModelFacts, TokenFacts};
use domain::ids::{AppName, ChangeId, PersonName};
use domain::manifest::Release;
use domain::people::Person;
use domain::snapshot::{ModelContent, PromptContent, Provider};
use domain::units::{Timestamp, day_number};
use opsrepo::{AppSpec, Audience, Desired, ModelSpec, Risk};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::{Kind, Query};

/// How many earlier changes an edited policy is tried on.
pub const MAX_OTHERS: u32 = 50;

/// Contents of a release, by kind.
pub(crate) type Contents = BTreeMap<ComponentKind, Value>;

/// What only the store knows of a change.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// Who wrote it; who proposed it first.
    pub(crate) authors: Vec<AuthorFacts>,
    /// What users asked lately.
    pub(crate) traffic: Arc<Traffic>,
    /// Changes that were checked before, newest first.
    pub(crate) others: Vec<Other>,
}

impl Control {
    /// Authors with their roles, and the app's traffic.
    pub(crate) async fn known_of(&self, change: &Change, now: Timestamp) -> Result<Known, Problem> {
        let rest = change.contributors.iter().filter(|name| **name != change.author);
        let names = std::iter::once(&change.author).chain(rest);
        self.known_about(&change.app, names, Some(change.id), now).await
    }

    /// The same of edits that are no change yet.
    pub(crate) async fn known_about<'a>(
        &self,
        app: &AppName,
        names: impl Iterator<Item = &'a PersonName>,
        id: Option<ChangeId>,
        now: Timestamp,
    ) -> Result<Known, Problem> {
        let mut authors = Vec::new();
        for name in names {
            let person = self.store.get::<Person>(Kind::Person, name).await?;
            let roles = person.map(|p| p.doc.roles).unwrap_or_default();
            authors.push(AuthorFacts { name: name.to_string(), roles });
        }
        let traffic = self.traffic_of(app, now).await?;
        let others = self.checked_before(id).await?;
        Ok(Known { authors, traffic, others })
    }

    /// The newest changes whose facts are kept.
    async fn checked_before(&self, id: Option<ChangeId>) -> Result<Vec<Other>, Problem> {
        // One more, because this one may be among them.
        let query = Query::of(Kind::Change).newest_first().limit(MAX_OTHERS.saturating_add(1));
        let changes = self.store.list::<Change>(query).await?.items.into_iter().map(|c| c.doc);
        Ok(changes
            .filter(|other| Some(other.id) != id)
            .filter_map(|other| {
                let name = format!("{} \"{}\"", other.id, other.title);
                Some(Other { name, facts: other.facts? })
            })
            .take(MAX_OTHERS as usize)
            .collect())
    }
}

/// The facts of a change that composes.
pub(crate) fn facts_of(
    app: &AppName,
    (desired, main): (&Desired, &Desired),
    release: &Release,
    production: Option<&ReleaseRecord>,
    paths: &BTreeSet<String>,
    known: &Known,
    now: Timestamp,
) -> Option<Facts> {
    let spec = desired.apps.get(app)?;
    // A variant of an experiment has a model of its own.
    let name = &release.manifest.components.get(&ComponentKind::Model)?.name;
    let model = desired.models.get(name)?;
    let (prompt_tokens, answer_tokens) = typical(&release.contents);
    let prices = Prices::of(main, desired, now);
    let costs = |contents| known.traffic.costs(contents, &prices, None);
    Some(Facts {
        app: app_facts(app, spec),
        model: model_facts(name, model, &prices),
        authors: known.authors.clone(),
        changed: changed(app, release, production, paths),
        first: production.is_none(),
        tokens: TokenFacts { prompt: prompt_tokens, answer: answer_tokens },
        cost: cost_facts(
            costs(&release.contents),
            production.and_then(|p| costs(&p.served.contents)),
        ),
        call: domain::facts::CallFacts::default(),
    })
}

/// What policies are told of costs: the forecast, in whole millionths.
fn cost_facts(new: Option<Costs>, old: Option<Costs>) -> CostFacts {
    let request = |costs: Costs| whole_micros(costs.request.value * 1e6);
    let month = new.and_then(|costs| whole_micros(costs.month?.value * 1e6));
    let facts = CostFacts::of(new.and_then(request), old.and_then(request), None);
    CostFacts { month_micros: month, ..facts }
}

/// Days from 1970-01-01.
pub(crate) fn today(now: Timestamp) -> i64 {
    now.second().div_euclid(86_400)
}

pub(crate) fn app_facts(app: &AppName, spec: &AppSpec) -> AppFacts {
    AppFacts {
        name: app.to_string(),
        risk: match spec.risk {
            Risk::Low => "low",
            Risk::Medium => "medium",
            Risk::High => "high",
        }
        .to_owned(),
        audience: match spec.audience {
            Audience::Internal => "internal",
            Audience::Customer => "customer",
        }
        .to_owned(),
        owner: spec.owner.clone(),
        labels: spec.labels.clone(),
    }
}

fn model_facts(name: &str, model: &ModelSpec, prices: &Prices) -> ModelFacts {
    let content = &model.content;
    let price = prices.list.price(content, prices.day);
    let (provider, host) = match &content.provider {
        Provider::Openai { base_url, .. } => ("openai", host_of(base_url).map(str::to_owned)),
        Provider::Replay { .. } => ("replay", None),
        Provider::Rules {} => ("rules", None),
    };
    let ends = model.deprecated_on.as_deref().and_then(day_number);
    ModelFacts {
        name: name.to_owned(),
        version: model.version.to_string(),
        provider: provider.to_owned(),
        host,
        id: content.provider_model.clone(),
        tags: model.tags.iter().cloned().collect(),
        labels: model.labels.clone(),
        context_window: Some(content.context_window.into()),
        price_input_micros: whole_micros(price.input_per_million * 1e6),
        price_output_micros: whole_micros(price.output_per_million * 1e6),
        days_until_deprecated: ends.and_then(|day| day.checked_sub(prices.day)),
    }
}

/// Kinds of components that differ from production, and what else is edited.
fn changed(
    app: &AppName,
    release: &Release,
    production: Option<&ReleaseRecord>,
    paths: &BTreeSet<String>,
) -> BTreeSet<String> {
    let old = production.map(|p| &p.manifest.components);
    let new = &release.manifest.components;
    let kinds = new.keys().chain(old.into_iter().flat_map(BTreeMap::keys));
    let differs = |kind: &&ComponentKind| old.and_then(|old| old.get(kind)) != new.get(kind);
    let components = kinds.filter(differs).map(|kind| kind.key());
    components.chain(paths.iter().filter_map(|path| beside(app, path))).map(str::to_owned).collect()
}

/// What a file beside the release's components is.
fn beside(app: &AppName, path: &str) -> Option<&'static str> {
    let own = path.strip_prefix("apps/").and_then(|p| p.strip_prefix(app.as_str()));
    match own.and_then(|p| p.strip_prefix('/')) {
        Some("app.yaml") => Some("app"),
        Some("rollout.yaml") => Some("plan"),
        Some("fallback.yaml") => Some("fallback"),
        Some(file) if file.starts_with("evals/") => Some("evals"),
        // What of these shapes answers shows as a component.
        Some("release.yaml") => None,
        Some(file) if file.starts_with("prompts/") => None,
        _ if path.starts_with("policies/") => Some("policies"),
        _ if matches!(path, "tidegate.yaml" | "prices.yaml") => Some("settings"),
        _ if path.starts_with("environments/") => Some("settings"),
        _ if path.starts_with("models/") || path.starts_with("prompts/_shared/") => None,
        _ => Some("other"),
    }
}

/// The content of one component, in its form.
pub(crate) fn content<T: DeserializeOwned>(contents: &Contents, kind: ComponentKind) -> Option<T> {
    serde_json::from_value(contents.get(&kind)?.clone()).ok()
}

/// Tokens of a typical request and of the longest answer.
pub(crate) fn typical(contents: &Contents) -> (Option<u64>, Option<u64>) {
    let prompt = content::<PromptContent>(contents, ComponentKind::Prompt);
    let model = content::<ModelContent>(contents, ComponentKind::Model);
    let Some((prompt, model)) = prompt.zip(model) else { return (None, None) };
    let parameters = contents.get(&ComponentKind::Parameters);
    let (prompt, answer) = tokens::typical(&prompt, &model, parameters);
    let long = |n: Option<usize>| n.and_then(|n| u64::try_from(n).ok());
    (long(prompt), long(answer))
}

/// Rounded up: a cost is never forecast as less than it is.
fn whole_micros(micros: f64) -> Option<u64> {
    // Beyond 2^53 a float counts no longer in ones; no cost is that large.
    let fits = (0.0..=9_007_199_254_740_992.0).contains(&micros);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be in range"
    )]
    // Prices such as 0.15 are not exact: without rounding first, 150000.00000001.
    fits.then(|| ((micros * 1e3).round() / 1e3).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_beside_the_release_are_told_apart() {
        let app: AppName = "a".parse().unwrap();
        for (path, want) in [
            ("apps/a/app.yaml", Some("app")),
            ("apps/a/rollout.yaml", Some("plan")),
            ("apps/a/fallback.yaml", Some("fallback")),
            ("apps/a/evals/x.jsonl", Some("evals")),
            ("apps/a/prompts/p/system.j2", None),
            ("apps/a/release.yaml", None),
            ("apps/ab/app.yaml", Some("other")),
            ("models/m.yaml", None),
            ("policies/a.cedar", Some("policies")),
            ("policies/tests/a.yaml", Some("policies")),
            ("tidegate.yaml", Some("settings")),
            ("prices.yaml", Some("settings")),
            ("README.md", Some("other")),
        ] {
            assert_eq!(beside(&app, path), want, "{path}");
            assert!(want.is_none_or(|w| domain::facts::CHANGED_FILES.contains(&w)));
        }
    }

    #[test]
    fn costs_are_whole_and_never_too_small() {
        for (cost, want) in [
            (0.15 * 1e6, Some(150_000)),
            (0.1 + 0.2, Some(1)),
            (0.0, Some(0)),
            (2.2, Some(3)),
            (f64::NAN, None),
            (-1.0, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(whole_micros(cost), want, "{cost}");
        }
    }
}
