//! What a release would cost: one forecast for the gate, the editor, the list of
//! models and what policies are told.
//!
//! Where users asked on whole days of the last week, each such day is one
//! observation: its tokens are those that were counted, its prompts longer or
//! shorter by the difference of the two templates on their examples, its answers
//! as long as they were, bounded by what the release allows. Otherwise the
//! examples stand for a request. Prices are those of the days that are forecast.

use crate::Control;
use crate::facts::{Contents, content, typical};
use crate::problem::Problem;
use crate::records::ReleaseRecord;
use analysis::forecast::{self, Ahead, Forecast};
use domain::component::ComponentKind;
use domain::ids::{AppName, ReleaseId};
use domain::price::{MONTH_DAYS, PriceList};
use domain::snapshot::ModelContent;
use domain::units::{Span, Timestamp};
use opsrepo::Desired;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use store::DayUse;

/// Whole days looked back at: each day of the week once.
pub(crate) const DAYS: i64 = 7;
/// Seconds of a day.
const DAY: i64 = 86_400;
/// How long what was seen of an app is taken to be so.
const FRESH: Span = Span::from_secs(60);
/// Confidence of ranges.
const CONFIDENCE: f64 = 0.95;

/// What was seen of apps, and when it was looked at.
pub(crate) type Seen = Mutex<BTreeMap<AppName, (Timestamp, Arc<Traffic>)>>;

/// What users of an app asked lately.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traffic {
    /// Whole days from the first on which anybody asked, oldest first.
    days: Vec<Vec<DayUse>>,
    /// The releases that answered then.
    by: BTreeMap<ReleaseId, Arc<ReleaseRecord>>,
    /// Answers in the last 24 hours; absent if nobody asked.
    pub(crate) last_day: Option<u64>,
}

/// Prices, and the day they are asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prices {
    pub(crate) list: PriceList,
    pub(crate) day: i64,
}

/// What a forecast rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Basis {
    /// Whole days and the requests on them.
    Days(usize, u64),
    /// The examples of the variables and the longest answer; requests of the
    /// last 24 hours, if there were any.
    Examples(Option<u64>),
}

/// What a release would cost, in US dollars.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Costs {
    /// A request, at the prices of the first day.
    pub(crate) request: Forecast,
    /// [`MONTH_DAYS`] days from then on, each at its own price.
    pub(crate) month: Option<Forecast>,
    /// What this rests on.
    pub(crate) basis: Basis,
}

impl Control {
    /// What users of an app asked lately.
    pub(crate) async fn traffic_of(
        &self,
        app: &AppName,
        now: Timestamp,
    ) -> Result<Arc<Traffic>, Problem> {
        let known = lock(&self.traffic).get(app).cloned();
        if let Some((_, traffic)) = known.filter(|(at, _)| now.since(*at) < FRESH) {
            return Ok(traffic);
        }
        let today = now.second().div_euclid(DAY);
        let (since, until) = ((today - DAYS) * DAY, today * DAY);
        let used = self.store.used_by_day(app, since, until).await?;
        let last = self.store.used_by_day(app, now.second() - DAY, now.second() + 1).await?;
        let last = last.iter().fold(0_u64, |sum, day| sum.saturating_add(day.requests));
        let mut by = BTreeMap::new();
        for one in &used {
            // A release that was forgotten counts as it was, with nothing shifted.
            if let Ok(record) = self.release_record(one.release).await {
                by.insert(one.release, record);
            }
        }
        let traffic = Arc::new(Traffic {
            days: whole_days(used, today),
            by,
            last_day: Some(last).filter(|n| *n > 0),
        });
        // Only what is soon asked again, while somebody types: first looks at an
        // app that has no traffic yet are cheap and must see what comes.
        if !traffic.days.is_empty() {
            lock(&self.traffic).insert(app.clone(), (now, Arc::clone(&traffic)));
        }
        Ok(traffic)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every day before today from the first with a request on; a day without any
/// is an observation too.
fn whole_days(used: Vec<DayUse>, today: i64) -> Vec<Vec<DayUse>> {
    let asked = used.iter().filter(|one| one.requests > 0);
    let Some(first) = asked.map(|one| one.day).min() else { return Vec::new() };
    let mut days: BTreeMap<i64, Vec<DayUse>> = (first..today).map(|day| (day, vec![])).collect();
    for one in used {
        if let Some(day) = days.get_mut(&one.day) {
            day.push(one);
        }
    }
    days.into_values().collect()
}

impl Prices {
    /// Those of `main`, and of the branch for models `main` does not list: a
    /// change does not choose the prices it is judged by.
    pub(crate) fn of(main: &Desired, branch: &Desired, now: Timestamp) -> Self {
        let list = match (&main.prices, &branch.prices) {
            (Some(main), Some(branch)) => main.clone().or(branch),
            (Some(one), None) | (None, Some(one)) => one.clone(),
            (None, None) => PriceList::default(),
        };
        Self { list, day: now.second().div_euclid(DAY) }
    }
}

/// A day's requests, tokens of prompts and of answers.
#[derive(Debug, Clone, Copy, Default)]
struct Load {
    requests: f64,
    prompt: f64,
    answer: f64,
}

impl Traffic {
    /// What a release would cost. `answers` is how many times as long its answers
    /// are as those that were counted, where that was measured. None where it
    /// has no model, or neither traffic nor examples tell.
    pub(crate) fn costs(
        &self,
        contents: &Contents,
        prices: &Prices,
        answers: Option<f64>,
    ) -> Option<Costs> {
        let model = content::<ModelContent>(contents, ComponentKind::Model)?;
        if self.days.is_empty() {
            return self.by_examples(contents, &model, prices);
        }
        let loads = self.loads(contents, answers.unwrap_or(1.0));
        let at = |price: domain::price::Price| -> Vec<f64> {
            loads.iter().map(|load| price.usd(load.prompt, load.answer)).collect()
        };
        let requests: Vec<f64> = loads.iter().map(|load| load.requests).collect();
        let today = prices.list.price(&model, prices.day);
        let month: Vec<Ahead> = prices
            .list
            .month(&model, prices.day)
            .into_iter()
            .map(|(days, price)| Ahead { count: f64::from(days), seen: at(price) })
            .collect();
        let counted = self.days.iter().flatten().fold(0_u64, |n, d| n.saturating_add(d.requests));
        Some(Costs {
            request: forecast::ratio(&at(today), &requests, f64_of(MONTH_DAYS), CONFIDENCE)?,
            month: forecast::sum(&month, CONFIDENCE),
            basis: Basis::Days(self.days.len(), counted),
        })
    }

    fn by_examples(
        &self,
        contents: &Contents,
        model: &ModelContent,
        prices: &Prices,
    ) -> Option<Costs> {
        let (prompt, answer) = typical(contents);
        let (prompt, answer) = (float(prompt?), float(answer?));
        let usd = prices.list.price(model, prices.day).usd(prompt, answer);
        let month = self.last_day.map(|a_day| {
            let a_day = float(a_day);
            let days = prices.list.month(model, prices.day).into_iter();
            let value: f64 =
                days.map(|(days, p)| f64::from(days) * a_day * p.usd(prompt, answer)).sum();
            // Counted requests scatter by the root of their number; twice that is
            // left once in twenty months if nothing else changes.
            let spread = (2.0 / a_day.sqrt()).min(1.0);
            Forecast { value, range: Some((value * (1.0 - spread), value * (1.0 + spread))) }
        });
        let request = Forecast { value: usd, range: None };
        Some(Costs { request, month, basis: Basis::Examples(self.last_day) })
    }

    /// The days as they would be with this release.
    fn loads(&self, contents: &Contents, answers: f64) -> Vec<Load> {
        let (own, most) = typical(contents);
        let shifts: BTreeMap<ReleaseId, f64> = self
            .by
            .iter()
            .filter_map(|(id, record)| {
                let then = typical(&record.served.contents).0?;
                Some((*id, float(own?) - float(then)))
            })
            .collect();
        let load = |day: &Vec<DayUse>| {
            day.iter().fold(Load::default(), |sum, one| {
                let requests = float(one.requests);
                let shift = shifts.get(&one.release).copied().unwrap_or(0.0);
                let long = float(one.answer_tokens) * answers;
                Load {
                    requests: sum.requests + requests,
                    prompt: sum.prompt + (float(one.prompt_tokens) + shift * requests).max(0.0),
                    answer: sum.answer + most.map_or(long, |most| long.min(float(most) * requests)),
                }
            })
        };
        self.days.iter().map(load).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "tokens and requests are far below 2^52")]
fn float(n: u64) -> f64 {
    n as f64
}

#[expect(clippy::cast_precision_loss, reason = "a number of days")]
fn f64_of(days: i64) -> f64 {
    days as f64
}

/// Money as people read it: cents, and more digits where cents say nothing.
pub(crate) fn money(usd: f64) -> String {
    match usd.abs() {
        much if much >= 1.0 || much == 0.0 => format!("${usd:.2}"),
        some if some >= 0.01 => format!("${usd:.4}"),
        _ => format!("${usd:.6}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::price::{PriceEntry, Spike};
    use serde_json::json;

    fn release(name: u8) -> ReleaseId {
        ReleaseId(domain::ids::Digest::of(&[name]))
    }

    fn day(day: i64, requests: u64) -> DayUse {
        DayUse {
            day,
            release: release(1),
            requests,
            prompt_tokens: requests * 400,
            answer_tokens: requests * 100,
        }
    }

    fn contents(model: &str, most: u64) -> Contents {
        BTreeMap::from([
            (
                ComponentKind::Model,
                json!({"provider": {"kind": "rules"}, "provider_model": model,
                    "context_window": 8000, "tokenizer": "o200k_base",
                    "price_input_per_million": 1.0, "price_output_per_million": 2.0}),
            ),
            (ComponentKind::Parameters, json!({"max_tokens": most})),
            (
                ComponentKind::Prompt,
                json!({"messages": [{"kind": "template", "role": "user", "file": "u.j2", "template": "hello"}],
                    "partials": {}, "variables": {}}),
            ),
        ])
    }

    fn traffic(days: Vec<DayUse>, today: i64) -> Traffic {
        Traffic { days: whole_days(days, today), ..Traffic::default() }
    }

    #[test]
    fn days_nobody_asked_on_count_from_the_first_request_on() {
        let days = whole_days(vec![day(13, 0), day(15, 5), day(17, 5)], 19);
        assert_eq!(days.iter().map(Vec::len).collect::<Vec<_>>(), [1, 0, 1, 0]);
        assert!(whole_days(vec![day(15, 0)], 19).is_empty());
    }

    #[test]
    fn a_month_follows_the_prices_of_its_days() {
        let seen = traffic((0..7).map(|d| day(d, 1000)).collect(), 7);
        let plain = Prices { day: 7, ..Prices::default() };
        let costs = seen.costs(&contents("m", 500), &plain, None).unwrap();
        assert_eq!(costs.basis, Basis::Days(7, 7000));
        // 400 at 1 and 100 at 2 dollars a million.
        assert!((costs.request.value - 600e-6).abs() < 1e-12, "{costs:?}");
        assert!((costs.month.unwrap().value - 18.0).abs() < 1e-9);
        let dearer = |from: &str| {
            let entry = PriceEntry {
                from: from.to_owned(),
                until: None,
                input_per_million: 10.0,
                output_per_million: 20.0,
            };
            let prices = BTreeMap::from([("m".to_owned(), vec![entry])]);
            Prices { list: PriceList { prices, spike: Spike::default() }, day: 7 }
        };
        let soon = seen.costs(&contents("m", 500), &dearer("1970-01-18"), None).unwrap();
        assert_eq!(soon.request.value, costs.request.value, "today it costs what it did");
        assert!((soon.month.unwrap().value - (6.0 + 120.0)).abs() < 1e-9, "{soon:?}");
        let now = seen.costs(&contents("m", 500), &dearer("1970-01-08"), None).unwrap();
        assert!((now.month.unwrap().value - 180.0).abs() < 1e-9);
        assert_eq!(seen.costs(&contents("n", 500), &dearer("1970-01-08"), None), Some(costs));
    }

    #[test]
    fn answers_are_as_long_as_measured_and_as_allowed() {
        let seen = traffic((0..7).map(|d| day(d, 1000)).collect(), 7);
        let prices = Prices { day: 7, ..Prices::default() };
        let each = |most, answers| {
            seen.costs(&contents("m", most), &prices, answers).unwrap().request.value * 1e6
        };
        assert!((each(500, None) - 600.0).abs() < 1e-6);
        assert!((each(50, None) - 500.0).abs() < 1e-6, "at most 50 tokens");
        assert!((each(500, Some(2.0)) - 800.0).abs() < 1e-6, "twice as long");
    }

    #[test]
    fn without_traffic_the_examples_speak_and_say_so() {
        let mut none = Traffic::default();
        let prices = Prices { day: 7, ..Prices::default() };
        let costs = none.costs(&contents("m", 100), &prices, None).unwrap();
        assert_eq!((costs.month, costs.basis), (None, Basis::Examples(None)));
        assert!(costs.request.value > 200e-6, "the longest answer is in it");
        none.last_day = Some(100);
        let month = none.costs(&contents("m", 100), &prices, None).unwrap().month.unwrap();
        assert!((month.value - costs.request.value * 3000.0).abs() < 1e-9);
        let (low, high) = month.range.unwrap();
        assert!((low / month.value - 0.8).abs() < 1e-9 && (high / month.value - 1.2).abs() < 1e-9);
    }

    #[test]
    fn small_sums_keep_their_digits() {
        assert_eq!(money(0.0), "$0.00");
        assert_eq!(money(0.000_12), "$0.000120");
        assert_eq!(money(12.345), "$12.35");
        assert_eq!(money(0.0125), "$0.0125");
    }
}
