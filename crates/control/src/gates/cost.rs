//! The gate `cost`: what a release would cost beside production, on the traffic
//! the app really has, at the prices of the coming month. A spike asks finance
//! by itself: no policy need say so, and no change can leave it out.

use super::Judged;
use crate::facts::content;
use crate::forecast::{Basis, Costs, DAYS, Prices, money};
use analysis::forecast::Forecast;
use checks::gate::Gate;
use domain::approval::Requirement;
use domain::component::ComponentKind;
use domain::finding::{Finding, GateOutcome, GateResult, Place, Severity, Tier};
use domain::people::Role;
use domain::price::{MONTH_DAYS, Price, PriceEntry, Quote};
use domain::snapshot::{ModelContent, Provider};
use domain::units::Timestamp;
use std::sync::PoisonError;

const NAME: &str = "cost";
const TITLE: &str = "What it costs beside production";
const FILE: &str = "prices.yaml";
/// Requests of a month, for the limits alone, where nobody asked lately: what is
/// unknown does not pass.
const ASSUMED: f64 = 10_000.0;

/// What is said of costs.
pub(super) struct CostPart {
    /// Production's.
    pub(super) now: Option<Costs>,
    /// The candidate's.
    pub(super) new: Option<Costs>,
    /// What was found.
    pub(super) findings: Vec<Finding>,
    /// Whose yes a spike asks for.
    pub(super) asked: Option<Requirement>,
    /// Length of its answers against production's, where suites measured it.
    answers: Option<f64>,
}

impl Judged {
    /// The gate. It stands behind the suites, which measure how long answers are.
    pub(super) fn cost_gate(&self, now: Timestamp) -> Gate<'_> {
        Gate::new((NAME, TITLE), Tier::Recorded, move || {
            let part = self.cost_part(now);
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).extend(part.asked.clone());
            part.result()
        })
    }

    /// What the release costs beside production.
    pub(super) fn cost_part(&self, now: Timestamp) -> CostPart {
        let prices = Prices::of(&self.subject.main, &self.subject.desired, now);
        let contents = self.composed.as_ref().ok().map(|release| &release.contents);
        let live = self.production.as_ref().map(|p| &p.served.contents);
        let answers = self.answer_growth();
        let traffic = &self.known.traffic;
        let new = contents.and_then(|contents| traffic.costs(contents, &prices, answers));
        let old = live.and_then(|contents| traffic.costs(contents, &prices, None));
        let model = contents.and_then(|c| content::<ModelContent>(c, ComponentKind::Model));
        let mut findings: Vec<Finding> =
            model.iter().flat_map(|model| listing(&prices, model)).collect();
        let mut asked = None;
        if let Some(reason) = new.zip(old).and_then(|(new, old)| spike(&prices, new, old)) {
            findings.push(spiked(&prices, &reason));
            asked = Some(Requirement { role: Role::Finance, count: 1, reason, policy: None });
        }
        CostPart { now: old, new, findings, asked, answers }
    }

    /// How many times as long the candidate's answers are as production's, on the
    /// same inputs, over all suites that ran.
    fn answer_growth(&self) -> Option<f64> {
        let evals = self.evals.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut ours, mut theirs) = (0.0, 0.0);
        for suite in evals.iter() {
            let Some(production) = suite.cost.production else { continue };
            #[expect(clippy::cast_precision_loss, reason = "cases are few")]
            let cases = suite.cases as f64;
            ours += suite.cost.candidate.completion_tokens * cases;
            theirs += production.completion_tokens * cases;
        }
        (ours > 0.0 && theirs > 0.0).then(|| ours / theirs)
    }
}

impl CostPart {
    fn result(self) -> GateResult {
        let summary = self.summary();
        let none = self.new.is_none() && self.findings.is_empty();
        let mut gate = GateResult::of(NAME, TITLE, Tier::Recorded, summary, self.findings);
        if none {
            gate.outcome = GateOutcome::Skipped;
        }
        gate
    }

    fn summary(&self) -> String {
        let Some(new) = self.new else {
            return "Nothing tells what it costs: nobody asked on a whole day yet, and the \
                    variables have no examples or the parameters no `max_tokens`."
                .to_owned();
        };
        let beside = |of: &dyn Fn(Costs) -> Option<Forecast>| {
            let now = self.now.and_then(of);
            now.map_or_else(String::new, |now| format!(" (production {})", money(now.value)))
        };
        let mut parts = vec![format!(
            "A request costs {}{}",
            ranged(new.request),
            beside(&|costs| Some(costs.request))
        )];
        if let Some(month) = new.month {
            let theirs = beside(&|costs| costs.month);
            parts.push(format!("{MONTH_DAYS} days cost {}{theirs}", ranged(month)));
        }
        format!("{}. {}", parts.join("; "), self.how())
    }

    /// How it was forecast, in a sentence.
    pub(super) fn how(&self) -> String {
        let basis = self.new.or(self.now).map(|costs| costs.basis);
        let longer = self.answers.map_or_else(String::new, |growth| {
            format!(" Answers are {growth:.2} times as long as production's, as suites measured.")
        });
        match basis {
            Some(Basis::Days(days, requests)) => format!(
                "From {requests} requests on {days} whole days, their tokens moved by what the \
                 release changes, at the prices of the coming {MONTH_DAYS} days; a range holds \
                 such a month 19 times in 20.{longer}"
            ),
            Some(Basis::Examples(Some(a_day))) => format!(
                "A typical request (the examples of the variables, the longest answer), times the \
                 {a_day} requests of the last 24 hours, times {MONTH_DAYS}; nobody asked on a whole \
                 day of the last {DAYS} yet, so the range is what such a count scatters by."
            ),
            Some(Basis::Examples(None)) | None => {
                "A typical request: the examples of the variables, the longest answer. No request \
                 came on a whole day or in the last 24 hours, so there is no forecast of a month."
                    .to_owned()
            }
        }
    }
}

fn ranged(forecast: Forecast) -> String {
    match forecast.range {
        Some((low, high)) => {
            format!("{}, {} to {}", money(forecast.value), money(low), money(high))
        }
        None => money(forecast.value),
    }
}

/// Why money has to agree, if it has: the month grows by more than both limits.
/// Where no month can be forecast, [`ASSUMED`] requests are taken for one.
fn spike(prices: &Prices, new: Costs, old: Costs) -> Option<String> {
    let limits = prices.list.spike;
    let (what, ours, theirs) = match (new.month, old.month) {
        (Some(ours), Some(theirs)) => {
            let what = match new.basis {
                Basis::Days(..) => "a month on the same traffic".to_owned(),
                Basis::Examples(_) => "a month of typical requests".to_owned(),
            };
            (what, ours.value, theirs.value)
        }
        _ => {
            let what = format!("{ASSUMED} typical requests, as nobody asked lately,");
            (what, new.request.value * ASSUMED, old.request.value * ASSUMED)
        }
    };
    let more = ours - theirs;
    if more <= limits.usd_a_month {
        return None;
    }
    // From nothing to something is more than any share.
    let how = match (theirs > 0.0).then(|| more / theirs) {
        Some(growth) if growth <= limits.growth.0 => return None,
        Some(growth) => format!("{:+.0} %", growth * 100.0),
        None => "production's costs nothing".to_owned(),
    };
    Some(format!("{what} would cost {} instead of {} ({how})", money(ours), money(theirs)))
}

fn spiked(prices: &Prices, reason: &str) -> Finding {
    let limits = prices.list.spike;
    found(
        Severity::Warning,
        "cost_spike",
        reason.to_owned(),
        &format!(
            "more than {:.0} % and {} a month: somebody with the role finance must agree",
            limits.growth.0 * 100.0,
            money(limits.usd_a_month)
        ),
        "shorten the prompt or the answers, take a cheaper model, or ask finance; `spike` in \
         `prices.yaml` has the limits",
    )
}

/// What is to be said of what the list says of the model.
fn listing(prices: &Prices, model: &ModelContent) -> Vec<Finding> {
    let name = &model.provider_model;
    let paid = matches!(model.provider, Provider::Openai { .. });
    let mut findings = Vec::new();
    let open = |code, message, explanation| {
        let mend = "add the price that holds today, with the day it began";
        found(Severity::Warning, code, message, explanation, mend)
    };
    match prices.list.on(name, prices.day) {
        Quote::Valid(entry) => findings.extend(differs(entry, model)),
        Quote::Past(entry) => findings.push(open(
            "price_past",
            format!(
                "the last price of `{name}` ended on {}",
                entry.until.as_deref().unwrap_or_default()
            ),
            "the forecast takes that price, because no later one is known",
        )),
        Quote::Ahead(entry) => findings.push(open(
            "price_ahead",
            format!("the first price of `{name}` begins on {}", entry.from),
            "until then the forecast takes the price the model was entered with",
        )),
        Quote::Unlisted if paid && !prices.list.prices.is_empty() => findings.push(open(
            "price_unlisted",
            format!("`{name}` has no price"),
            "the forecast takes the price the model was entered with, which may have changed since",
        )),
        Quote::Unlisted => {}
    }
    findings.extend(prices.list.next_change(name, prices.day).map(|entry| {
        found(
            Severity::Note,
            "price_changes",
            format!("`{name}` costs {} from {} on", a_million(entry.into()), entry.from),
            "the forecast of the month takes each day's own price",
            "nothing, if that is known",
        )
    }));
    findings
}

fn differs(entry: &PriceEntry, model: &ModelContent) -> Option<Finding> {
    let (listed, entered) = (Price::from(entry), Price::from(model));
    let same = (listed.input_per_million - entered.input_per_million).abs() < 1e-9
        && (listed.output_per_million - entered.output_per_million).abs() < 1e-9;
    (!same).then(|| {
        found(
            Severity::Note,
            "price_changed",
            format!(
                "`{}` costs {} since {}; its model file says {}",
                model.provider_model,
                a_million(listed),
                entry.from,
                a_million(entered)
            ),
            "gateways count cost by the model file, which is part of the release; forecasts take \
             the list",
            "raise the model's version with today's price",
        )
    })
}

fn found(
    severity: Severity,
    code: &str,
    message: String,
    explanation: &str,
    mend: &str,
) -> Finding {
    Finding {
        code: code.to_owned(),
        severity,
        place: Some(Place { file: FILE.to_owned(), ..Place::default() }),
        message,
        explanation: explanation.to_owned(),
        mend: mend.to_owned(),
        replacement: None,
        excerpt: None,
    }
}

fn a_million(price: Price) -> String {
    let (input, output) = (price.input_per_million, price.output_per_million);
    format!("{} in and {} out a million tokens", money(input), money(output))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::price::Spike;
    use domain::units::Ratio;

    fn costs(request: f64, month: Option<f64>) -> Costs {
        let of = |value| Forecast { value, range: None };
        let basis = month.map_or(Basis::Examples(None), |_| Basis::Days(7, 70));
        Costs { request: of(request), month: month.map(of), basis }
    }

    fn asked(new: Costs, old: Costs) -> Option<String> {
        let mut prices = Prices::default();
        prices.list.spike = Spike { growth: Ratio(0.5), usd_a_month: 10.0 };
        spike(&prices, new, old)
    }

    #[test]
    fn a_spike_is_beyond_both_limits() {
        let month = |usd| costs(usd / 1000.0, Some(usd));
        let reason = asked(month(100.0), month(50.0)).unwrap();
        assert!(reason.contains("$100.00 instead of $50.00 (+100 %)"), "{reason}");
        assert_eq!(asked(month(74.0), month(50.0)), None, "below the share");
        assert_eq!(asked(month(14.0), month(5.0)), None, "below the sum");
        assert_eq!(asked(month(5.0), month(50.0)), None, "cheaper");
        assert!(asked(month(11.0), month(0.0)).unwrap().contains("costs nothing"));
        assert_eq!(asked(month(0.0), month(0.0)), None);
    }

    #[test]
    fn where_no_month_is_known_ten_thousand_requests_are_one() {
        let reason = asked(costs(0.02, None), costs(0.002, None)).unwrap();
        assert!(reason.contains("10000 typical requests") && reason.contains("+900 %"), "{reason}");
        assert_eq!(asked(costs(0.0025, None), costs(0.002, None)), None, "a quarter more");
        assert_eq!(asked(costs(0.0009, None), costs(0.0001, None)), None, "8 dollars more");
    }
}
