//! From what was counted to what a page says of costs. Plain arithmetic: no
//! store, no clock.

use super::{Beside, CostsView, Day, ForecastView, Named, ReleaseCost, Sum, Unpriced};
use crate::problem::{Problem, ProblemKind};
use crate::records::{Promotion, ReleaseRecord};
use analysis::spend::{self, Forecast};
use domain::component::ComponentKind;
use domain::ids::{AppName, ReleaseId};
use domain::params;
use domain::sentence::Sentence;
use domain::snapshot::{ModelContent, Provider};
use domain::units::{Timestamp, day_number};
use std::collections::BTreeMap;
use store::{Spend, TRY};

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;
/// How far back days are read for the forecast and for what releases changed.
pub(super) const LOOK_BACK: i64 = 62;
/// Answers below which a release's cost per request is no number to compare.
const MIN_ANSWERS: u64 = 20;
/// Most releases told of.
const MAX_RELEASES: usize = 100;

/// What is known of a release's model.
#[derive(Debug, Clone)]
pub(super) struct Model {
    label: String,
    provider: String,
    priced: bool,
}

pub(super) fn model_of(record: &ReleaseRecord) -> Option<Model> {
    let component = record.manifest.components.get(&ComponentKind::Model)?;
    let content = record.served.contents.get(&ComponentKind::Model)?;
    let content: ModelContent = serde_json::from_value(content.clone()).ok()?;
    let provider = match &content.provider {
        Provider::Openai { base_url, .. } => {
            let host = base_url.split("://").nth(1).unwrap_or(base_url);
            host.split(['/', '?']).next().unwrap_or(host).to_owned()
        }
        Provider::Replay { .. } => "recordings".to_owned(),
        Provider::Rules {} => "rules".to_owned(),
    };
    let free = matches!(content.provider, Provider::Rules {});
    let priced =
        free || content.price_input_per_million > 0.0 || content.price_output_per_million > 0.0;
    Some(Model { label: component.label(), provider, priced })
}

/// A month, in days from 1970-01-01.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Month {
    name: String,
    pub(super) first: i64,
    pub(super) end: i64,
}

impl Month {
    pub(super) fn named(text: Option<&str>, now: Timestamp) -> Result<Self, Problem> {
        let today = now.date();
        let name = text.unwrap_or_else(|| today.get(..7).unwrap_or_default());
        let bad = || {
            Problem::new(
                ProblemKind::Invalid,
                "bad_month",
                format!("`{name}` is no month"),
                "write it like 2026-11",
            )
            .at("month")
        };
        let (year, month) = name.split_once('-').ok_or_else(bad)?;
        let first = day_number(&format!("{name}-01")).ok_or_else(bad)?;
        let (year, month): (i64, i64) =
            (year.parse().map_err(|_| bad())?, month.parse().map_err(|_| bad())?);
        let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        let end = day_number(&format!("{:04}-{:02}-01", next.0, next.1)).ok_or_else(bad)?;
        Ok(Self { name: name.to_owned(), first, end })
    }

    fn has(&self, row: &Spend) -> bool {
        row.day >= self.first && row.day < self.end
    }
}

/// True if users got these answers.
fn shown(row: &Spend) -> bool {
    !matches!(row.arm.as_str(), "shadow" | "preview" | TRY)
}

fn usd(nano: u64) -> f64 {
    nano as f64 / 1e9
}

impl Sum {
    fn of<'a>(rows: impl Iterator<Item = &'a Spend>) -> Self {
        let (requests, nano) = rows.fold((0_u64, 0_u64), |(n, cost), row| {
            (n.saturating_add(row.requests), cost.saturating_add(row.cost_nano_usd))
        });
        Self { requests, usd: usd(nano) }
    }

    /// US dollars a request, where there are enough to say.
    fn each(self) -> Option<f64> {
        (self.requests >= MIN_ANSWERS).then(|| self.usd / self.requests as f64)
    }
}

/// Everything a page says of costs, from what was counted.
pub(super) fn view(
    month: &Month,
    rows: &[Spend],
    models: &BTreeMap<ReleaseId, Model>,
    promotions: &[(AppName, Promotion)],
    now: Timestamp,
) -> CostsView {
    let here: Vec<&Spend> = rows.iter().filter(|row| month.has(row)).collect();
    let users = || here.iter().copied().filter(|row| shown(row));
    let total = Sum::of(users());
    let label = |row: &Spend, of: fn(&Model) -> &String| {
        models.get(&row.release).map_or_else(|| "unknown".to_owned(), |m| of(m).clone())
    };
    let forecast = forecast(month, rows, total, now);
    let mut unpriced: BTreeMap<(String, AppName), u64> = BTreeMap::new();
    for row in users() {
        if let Some(model) = models.get(&row.release).filter(|m| !m.priced) {
            let n = unpriced.entry((model.label.clone(), row.app.clone())).or_default();
            *n = n.saturating_add(row.requests);
        }
    }
    let unpriced = unpriced
        .into_iter()
        .map(|((model, app), requests)| Unpriced { model, app, requests })
        .collect::<Vec<_>>();
    CostsView {
        month: month.name.clone(),
        from: Timestamp(month.first * DAY),
        to: Timestamp((month.end * DAY).min(now.0.max(month.first * DAY))),
        summary: summary(total, &forecast, &unpriced),
        total,
        by_app: grouped(users(), |row| row.app.to_string()),
        by_model: grouped(users(), |row| label(row, |m| &m.label)),
        by_provider: grouped(users(), |row| label(row, |m| &m.provider)),
        by_day: days(&here),
        beside: beside(&here),
        forecast,
        releases: changed(month, rows, promotions),
        unpriced,
    }
}

fn grouped<'a>(
    rows: impl Iterator<Item = &'a Spend>,
    key: impl Fn(&Spend) -> String,
) -> Vec<Named> {
    let mut sums: BTreeMap<String, Vec<&Spend>> = BTreeMap::new();
    for row in rows {
        sums.entry(key(row)).or_default().push(row);
    }
    let mut named: Vec<Named> = sums
        .into_iter()
        .map(|(key, rows)| {
            let sum = Sum::of(rows.into_iter());
            Named { key, requests: sum.requests, usd: sum.usd }
        })
        .collect();
    named.sort_by(|a, b| b.usd.total_cmp(&a.usd).then_with(|| b.requests.cmp(&a.requests)));
    named
}

fn days(rows: &[&Spend]) -> Vec<Day> {
    let mut all: BTreeMap<i64, Vec<&Spend>> = BTreeMap::new();
    for row in rows {
        all.entry(row.day).or_default().push(row);
    }
    let only = |rows: &[&Spend], arms: &[&str]| {
        let of = |row: &&&Spend| arms.contains(&row.arm.as_str());
        Sum::of(rows.iter().filter(of).copied()).usd
    };
    all.into_iter()
        .map(|(day, rows)| {
            let users = Sum::of(rows.iter().copied().filter(|row| shown(row)));
            Day {
                day: Timestamp(day * DAY).date(),
                requests: users.requests,
                usd: users.usd,
                shadow_usd: only(&rows, &["shadow"]),
                preview_usd: only(&rows, &["preview", TRY]),
            }
        })
        .collect()
}

fn beside(rows: &[&Spend]) -> Vec<Beside> {
    let part = |kind: &str, how: &str| {
        let sum = Sum::of(rows.iter().copied().filter(|row| row.arm == kind));
        let (requests, usd) = (sum.requests, sum.usd);
        Beside { kind: kind.to_owned(), requests, usd, how: how.to_owned() }
    };
    vec![
        part("shadow", "copies of requests that a candidate answered and nobody saw"),
        part("preview", "answers to tokens of previews"),
        part(TRY, "answers asked for while somebody wrote a change"),
    ]
}

fn forecast(month: &Month, rows: &[Spend], total: Sum, now: Timestamp) -> ForecastView {
    let today = now.0.div_euclid(DAY);
    let say = |forecast: Option<Forecast>, text: Sentence| ForecastView {
        usd: forecast.map(|f| f.value),
        low: forecast.map(|f| f.low),
        high: forecast.map(|f| f.high),
        text,
    };
    if month.end <= today {
        let text = Sentence::render("month_is_over", "The month is over.", params! {});
        return say(None, text);
    }
    // Whole days since the first answer; a day without any costs nothing.
    let first = rows.iter().filter(|row| shown(row)).map(|row| row.day).min().unwrap_or(today);
    let days: Vec<f64> = (first..today)
        .map(|day| Sum::of(rows.iter().filter(|row| shown(row) && row.day == day)).usd)
        .collect();
    let left = (month.end.saturating_mul(DAY) - now.0.max(month.first * DAY)) as f64 / DAY as f64;
    match spend::month(total.usd, &days, left) {
        Some(forecast) => {
            let params = params! {
                "usd" => money(forecast.value), "low" => money(forecast.low),
                "high" => money(forecast.high), "days" => days.len().min(spend::MAX_DAYS),
            };
            let template = "About {usd} this month; in eight of ten such months between {low} and {high}, if the coming days are like the last {days}.";
            say(Some(forecast), Sentence::render("forecast", template, params))
        }
        None => {
            let params = params! {"need" => spend::MIN_DAYS, "have" => days.len()};
            let template = "Forecast needs {need} days; you have {have}.";
            say(None, Sentence::render("forecast_needs_days", template, params))
        }
    }
}

/// What each promotion within the month did to the cost of a request.
fn changed(month: &Month, rows: &[Spend], promotions: &[(AppName, Promotion)]) -> Vec<ReleaseCost> {
    let each = |app: &AppName, id: ReleaseId| {
        Sum::of(rows.iter().filter(|row| shown(row) && row.app == *app && row.release == id))
    };
    let mut all = Vec::new();
    for (at, (app, promotion)) in promotions.iter().enumerate() {
        let day = promotion.at.0.div_euclid(DAY);
        if day < month.first || day >= month.end {
            continue;
        }
        let before = promotions
            .get(..at)
            .and_then(|earlier| earlier.iter().rev().find(|(other, _)| other == app));
        let before = before.and_then(|(_, p)| each(app, p.release).each());
        let sum = each(app, promotion.release);
        let after = sum.each();
        let delta_share = match (before, after) {
            (Some(before), Some(after)) if before > 0.0 => Some(after / before - 1.0),
            _ => None,
        };
        all.push(ReleaseCost {
            release: promotion.release,
            app: app.clone(),
            change: promotion.change,
            live_from: promotion.at,
            usd_before: before,
            usd_after: after,
            requests: sum.requests,
            delta_share,
            text: change_text(before, after, delta_share),
        });
    }
    all.sort_by_key(|cost| std::cmp::Reverse(cost.live_from));
    all.truncate(MAX_RELEASES);
    all
}

fn change_text(before: Option<f64>, after: Option<f64>, delta: Option<f64>) -> Sentence {
    let params = params! {
        "before" => before.map(money), "after" => after.map(money),
        "percent" => delta.map(|d| format!("{:+.0}%", d * 100.0)), "need" => MIN_ANSWERS,
    };
    let (code, template) = match (before, after, delta) {
        (Some(_), Some(_), Some(_)) => {
            ("cost_changed", "A request costs {after}, {percent} against {before} before.")
        }
        (None, Some(_), _) => (
            "cost_of_first",
            "A request costs {after}; before it there were too few answers to compare.",
        ),
        _ => ("cost_too_few", "Too few answers to say what a request costs: {need} are needed."),
    };
    Sentence::render(code, template, params)
}

fn summary(total: Sum, forecast: &ForecastView, unpriced: &[Unpriced]) -> Sentence {
    let params = params! {
        "requests" => total.requests, "usd" => money(total.usd),
        "forecast" => forecast.usd.map(money), "unpriced" => unpriced.len(),
    };
    let (code, template) = match (total.requests, forecast.usd, unpriced.len()) {
        (0, _, _) => ("costs_none", "No priced requests yet."),
        (_, _, 1..) => (
            "costs_unpriced",
            "{usd} so far for {requests} answers, without {unpriced} models that have no price.",
        ),
        (_, Some(_), _) => (
            "costs_forecast",
            "{usd} so far for {requests} answers; about {forecast} by the end of the month.",
        ),
        _ => ("costs", "{usd} so far for {requests} answers."),
    };
    Sentence::render(code, template, params)
}

/// Money as people read it: whole dollars from ten on, cents from one on, two
/// digits that say something below.
fn money(usd: f64) -> String {
    let digits = match usd {
        usd if usd >= 10.0 => 0,
        usd if usd >= 1.0 || usd <= 0.0 => 2,
        usd => usize::try_from(1 - usd.log10().floor() as i64).unwrap_or(2),
    };
    format!("${usd:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::PromotedBy;
    use domain::ids::Digest;

    fn release(n: u8) -> ReleaseId {
        ReleaseId(Digest::of(&[n]))
    }

    fn row(day: i64, n: u8, arm: &str, requests: u64, usd: f64) -> Spend {
        Spend {
            day,
            app: "a".parse().unwrap(),
            release: release(n),
            arm: arm.to_owned(),
            requests,
            prompt_tokens: 1,
            completion_tokens: 1,
            cost_nano_usd: (usd * 1e9) as u64,
        }
    }

    fn noon(date: &str) -> Timestamp {
        Timestamp(day_number(date).unwrap() * DAY + DAY / 2)
    }

    #[test]
    fn a_month_is_the_calendars() {
        let month = |text| Month::named(Some(text), noon("2026-11-22")).unwrap();
        assert_eq!(month("2026-12").end - month("2026-12").first, 31);
        assert_eq!(month("2028-02").end - month("2028-02").first, 29);
        assert_eq!(Month::named(None, noon("2026-11-22")).unwrap(), month("2026-11"));
        for bad in ["2026-13", "2026", "26-1", "x", "2026-11-01"] {
            assert_eq!(Month::named(Some(bad), noon("2026-11-22")).unwrap_err().code, "bad_month");
        }
    }

    #[test]
    fn users_answers_and_all_others_are_told_apart() {
        let now = noon("2026-11-10");
        let month = Month::named(None, now).unwrap();
        let first = month.first;
        let rows = vec![
            row(first - 1, 1, "stable", 100, 50.0),
            row(first, 1, "stable", 100, 10.0),
            row(first + 1, 2, "candidate", 100, 20.0),
            row(first + 1, 2, "shadow", 50, 5.0),
            row(first + 1, 2, "preview", 5, 1.0),
            row(first + 2, 2, TRY, 2, 0.5),
        ];
        let model = |label: &str, priced| Model {
            label: label.to_owned(),
            provider: "p.example".to_owned(),
            priced,
        };
        let models = [(release(1), model("m@1.0.0", true)), (release(2), model("n@1.0.0", false))];
        let app: AppName = "a".parse().unwrap();
        let promotion = |n, date: &str| Promotion {
            release: release(n),
            at: noon(date),
            by: PromotedBy::Rollout,
            change: None,
            around: None,
        };
        let promotions =
            [(app.clone(), promotion(1, "2026-10-01")), (app, promotion(2, "2026-11-02"))];
        let costs = view(&month, &rows, &models.into(), &promotions, now);
        assert_eq!((costs.total.requests, costs.total.usd), (200, 30.0));
        assert_eq!(costs.by_model[0].key, "n@1.0.0");
        assert_eq!(costs.by_provider.len(), 1);
        let beside: Vec<f64> = costs.beside.iter().map(|b| b.usd).collect();
        assert_eq!(beside, [5.0, 1.0, 0.5]);
        assert_eq!((costs.by_day[1].shadow_usd, costs.by_day[2].preview_usd), (5.0, 0.5));
        assert_eq!(costs.unpriced[0].requests, 100);
        // 60 dollars for 200 answers before, 20 for 100 after.
        let change = &costs.releases[0];
        assert_eq!((change.usd_before, change.usd_after), (Some(0.3), Some(0.2)));
        assert!(change.text.text.contains("-33%"), "{}", change.text.text);
        // Ten whole days since the first answer: enough to look ahead.
        assert!(costs.forecast.usd.is_some_and(|usd| usd > 30.0), "{:?}", costs.forecast);
    }

    #[test]
    fn too_few_days_are_said_in_words() {
        let now = noon("2026-11-03");
        let month = Month::named(None, now).unwrap();
        let costs =
            view(&month, &[row(month.first, 1, "stable", 1, 1.0)], &BTreeMap::new(), &[], now);
        assert_eq!(costs.forecast.text.text, "Forecast needs 7 days; you have 2.");
        assert_eq!(costs.releases, []);
        assert_eq!(view(&month, &[], &BTreeMap::new(), &[], now).summary.code, "costs_none");
        assert_eq!(
            [money(412.3), money(1.234), money(0.00312), money(0.0)],
            ["$412", "$1.23", "$0.0031", "$0.00"]
        );
    }
}
