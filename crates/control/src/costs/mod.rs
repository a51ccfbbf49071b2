//! What answers cost: the month so far, what it will come to, and what each
//! release changed. The numbers are those gateways counted with the price the
//! model had when it answered; nothing is priced twice.

mod sums;

use crate::Control;
use crate::caller::Caller;
use crate::problem::Problem;
use crate::records::AppRecord;
use domain::ids::{AppName, ChangeId, ReleaseId};
use domain::sentence::Sentence;
use domain::units::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use store::Kind;
use sums::{LOOK_BACK, Month, model_of, view};

/// `GET /api/v1/costs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CostsView {
    /// The month, `2026-11`.
    pub month: String,
    /// Its first moment, UTC.
    pub from: Timestamp,
    /// The first moment after it, or now.
    pub to: Timestamp,
    /// The whole in a sentence.
    pub summary: Sentence,
    /// Answers to users, and what they cost.
    pub total: Sum,
    /// By app, dearest first.
    pub by_app: Vec<Named>,
    /// By model, dearest first.
    pub by_model: Vec<Named>,
    /// By provider, dearest first.
    pub by_provider: Vec<Named>,
    /// By day.
    pub by_day: Vec<Day>,
    /// What cost besides answers to users.
    pub beside: Vec<Beside>,
    /// What the month will come to.
    pub forecast: ForecastView,
    /// What releases of the month changed, newest first.
    pub releases: Vec<ReleaseCost>,
    /// Models that answered and have no price.
    pub unpriced: Vec<Unpriced>,
}

/// Answers and their cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Sum {
    /// Answers.
    pub requests: u64,
    /// US dollars.
    pub usd: f64,
}

/// A sum under a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Named {
    /// The app, model or provider.
    pub key: String,
    /// Answers.
    pub requests: u64,
    /// US dollars.
    pub usd: f64,
}

/// One day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Day {
    /// The date in UTC, `2026-11-03`.
    pub day: String,
    /// Answers to users.
    pub requests: u64,
    /// What they cost, in US dollars.
    pub usd: f64,
    /// What mirrored answers cost.
    pub shadow_usd: f64,
    /// What answers of previews and of tries cost.
    pub preview_usd: f64,
}

/// What cost besides answers to users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Beside {
    /// `shadow`, `preview` or `try`.
    pub kind: String,
    /// Answers.
    pub requests: u64,
    /// US dollars.
    pub usd: f64,
    /// Where the number is from.
    pub how: String,
}

/// What the month will come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForecastView {
    /// US dollars; absent with too few days.
    pub usd: Option<f64>,
    /// Lower end of the range.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// In words.
    pub text: Sentence,
}

/// What one release changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReleaseCost {
    /// The release.
    pub release: ReleaseId,
    /// Its app.
    pub app: AppName,
    /// The change that brought it.
    pub change: Option<ChangeId>,
    /// When it became production.
    pub live_from: Timestamp,
    /// US dollars a request of the release before it; absent with too few answers.
    pub usd_before: Option<f64>,
    /// Its own.
    pub usd_after: Option<f64>,
    /// Its own answers.
    pub requests: u64,
    /// Share by which a request became dearer.
    pub delta_share: Option<f64>,
    /// In words.
    pub text: Sentence,
}

/// A model without a price.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unpriced {
    /// The model.
    pub model: String,
    /// The app.
    pub app: AppName,
    /// Its answers this month.
    pub requests: u64,
}

impl Control {
    /// What a month cost, of one app or of all.
    ///
    /// # Errors
    /// `no_such_app`, `bad_month`.
    pub async fn costs(
        &self,
        _caller: &Caller,
        app: Option<&AppName>,
        month: Option<&str>,
    ) -> Result<CostsView, Problem> {
        let apps: Vec<AppRecord> = match app {
            Some(app) => vec![self.app_record(app).await?.doc],
            None => self.all::<AppRecord>(Kind::App).await?.into_iter().map(|a| a.doc).collect(),
        };
        let now = self.clock.now();
        let month = Month::named(month, now)?;
        let rows = self.store.spend(app, month.first - LOOK_BACK, month.end).await?;
        let releases: BTreeSet<ReleaseId> = rows.iter().map(|row| row.release).collect();
        let mut models = BTreeMap::new();
        for id in releases {
            // One that was forgotten has no model to tell of.
            if let Ok(record) = self.release_record(id).await
                && let Some(model) = model_of(&record)
            {
                models.insert(id, model);
            }
        }
        let promotions = apps
            .into_iter()
            .flat_map(|app| app.history.into_iter().map(move |p| (app.app.clone(), p)))
            .collect::<Vec<_>>();
        Ok(view(&month, &rows, &models, &promotions, now))
    }
}
