//! What tokens cost, and from when: the price list of a repository.
//!
//! A model's own file says what it cost when it was entered, and is part of the
//! release. Providers change prices of models that stay the same, so forecasts
//! ask the list for the days they are about. Days are passed in, counted from
//! 1970-01-01.

use crate::snapshot::ModelContent;
use crate::units::{Ratio, day_number};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Days of the month that is forecast.
pub const MONTH_DAYS: i64 = 30;

/// One price and its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceEntry {
    /// First day, `YYYY-MM-DD`.
    pub from: String,
    /// Last day; until the next entry begins if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// A million tokens of the prompt, in US dollars.
    pub input_per_million: f64,
    /// A million tokens of the answer, in US dollars.
    pub output_per_million: f64,
}

/// From when on a change costs so much more that money has to agree.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spike {
    /// Growth against production's release, on the same traffic.
    #[serde(default = "half")]
    pub growth: Ratio,
    /// And growth in US dollars a month, where a month can be forecast.
    #[serde(default = "ten")]
    pub usd_a_month: f64,
}

fn half() -> Ratio {
    Ratio(0.5)
}

fn ten() -> f64 {
    10.0
}

impl Default for Spike {
    fn default() -> Self {
        Self { growth: half(), usd_a_month: ten() }
    }
}

/// The list: entries of each model, by the provider's own id.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PriceList {
    /// Entries, as written.
    pub prices: BTreeMap<String, Vec<PriceEntry>>,
    /// When money has to agree.
    pub spike: Spike,
}

/// What the list says of a model on a day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quote<'a> {
    /// This.
    Valid(&'a PriceEntry),
    /// The last price ended before.
    Past(&'a PriceEntry),
    /// The first price begins after.
    Ahead(&'a PriceEntry),
    /// The model is not on it.
    Unlisted,
}

/// Prices of a million tokens in US dollars, on some day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Price {
    /// Of the prompt.
    pub input_per_million: f64,
    /// Of the answer.
    pub output_per_million: f64,
}

impl Price {
    /// Dollars for so many tokens of prompts and of answers.
    pub fn usd(&self, prompt_tokens: f64, answer_tokens: f64) -> f64 {
        (prompt_tokens * self.input_per_million + answer_tokens * self.output_per_million) / 1e6
    }
}

impl From<&PriceEntry> for Price {
    fn from(entry: &PriceEntry) -> Self {
        Self {
            input_per_million: entry.input_per_million,
            output_per_million: entry.output_per_million,
        }
    }
}

impl From<&ModelContent> for Price {
    /// The price the model was entered with.
    fn from(model: &ModelContent) -> Self {
        Self {
            input_per_million: model.price_input_per_million,
            output_per_million: model.price_output_per_million,
        }
    }
}

impl PriceList {
    /// This list, and of another one what this one does not list.
    #[must_use]
    pub fn or(mut self, other: &Self) -> Self {
        for (model, entries) in &other.prices {
            self.prices.entry(model.clone()).or_insert_with(|| entries.clone());
        }
        self
    }

    /// What is listed for a model on a day: the entry that began last, unless
    /// it ended.
    pub fn on(&self, model: &str, day: i64) -> Quote<'_> {
        let entries = self.prices.get(model).map(Vec::as_slice).unwrap_or_default();
        let begun = |entry: &&PriceEntry| day_number(&entry.from).is_some_and(|from| from <= day);
        let last = entries.iter().filter(begun).max_by_key(|entry| day_number(&entry.from));
        match (last, entries.iter().min_by_key(|entry| day_number(&entry.from))) {
            (Some(entry), _) => {
                let until = entry.until.as_deref().and_then(day_number);
                match until.is_some_and(|until| until < day) {
                    true => Quote::Past(entry),
                    false => Quote::Valid(entry),
                }
            }
            (None, Some(first)) => Quote::Ahead(first),
            (None, None) => Quote::Unlisted,
        }
    }

    /// What a model costs on a day: as listed, by the last price that was listed
    /// if that ended, and else as the model was entered.
    pub fn price(&self, model: &ModelContent, day: i64) -> Price {
        match self.on(&model.provider_model, day) {
            Quote::Valid(entry) | Quote::Past(entry) => entry.into(),
            Quote::Ahead(_) | Quote::Unlisted => model.into(),
        }
    }

    /// The prices of a month of [`MONTH_DAYS`] days that begins on a day, each
    /// with the number of days it holds, in order.
    pub fn month(&self, model: &ModelContent, day: i64) -> Vec<(u32, Price)> {
        let mut month: Vec<(u32, Price)> = Vec::new();
        for ahead in 0..MONTH_DAYS {
            let price = self.price(model, day.saturating_add(ahead));
            match month.last_mut() {
                Some((days, last)) if *last == price => *days = days.saturating_add(1),
                _ => month.push((1, price)),
            }
        }
        month
    }

    /// The first entry of a model that begins within the month after a day.
    pub fn next_change(&self, model: &str, day: i64) -> Option<&PriceEntry> {
        let ahead = |entry: &&PriceEntry| {
            day_number(&entry.from).is_some_and(|from| from > day && from < day + MONTH_DAYS)
        };
        self.prices.get(model)?.iter().filter(ahead).min_by_key(|entry| day_number(&entry.from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Provider;

    fn entry(from: &str, until: Option<&str>, input: f64) -> PriceEntry {
        PriceEntry {
            from: from.to_owned(),
            until: until.map(str::to_owned),
            input_per_million: input,
            output_per_million: 2.0 * input,
        }
    }

    fn list() -> PriceList {
        PriceList {
            prices: BTreeMap::from([(
                "m".to_owned(),
                // In no order on purpose.
                vec![
                    entry("2026-06-01", Some("2026-12-31"), 3.0),
                    entry("2025-01-01", None, 1.0),
                    entry("2026-01-01", None, 2.0),
                ],
            )]),
            spike: Spike::default(),
        }
    }

    fn model() -> ModelContent {
        ModelContent {
            provider: Provider::Rules {},
            provider_model: "m".to_owned(),
            context_window: 1,
            tokenizer: "o200k_base".to_owned(),
            price_input_per_million: 9.0,
            price_output_per_million: 9.0,
        }
    }

    fn day(text: &str) -> i64 {
        day_number(text).unwrap()
    }

    #[test]
    fn the_price_of_a_day_is_that_of_the_entry_that_began_last() {
        let list = list();
        let input = |text| match list.on("m", day(text)) {
            Quote::Valid(entry) => Some(entry.input_per_million),
            _ => None,
        };
        assert_eq!(input("2025-01-01"), Some(1.0));
        assert_eq!(input("2025-12-31"), Some(1.0));
        assert_eq!(input("2026-01-01"), Some(2.0));
        assert_eq!(input("2026-12-31"), Some(3.0));
        assert!(matches!(list.on("m", day("2027-01-01")), Quote::Past(_)));
        assert!(matches!(list.on("m", day("2024-12-31")), Quote::Ahead(_)));
        assert_eq!(list.on("n", day("2026-01-01")), Quote::Unlisted);
        let paid = |text| list.price(&model(), day(text)).input_per_million;
        assert!((paid("2024-12-31") - 9.0).abs() < 1e-12, "not listed yet: as entered");
        assert!((paid("2027-06-01") - 3.0).abs() < 1e-12, "ended: the last one known");
    }

    #[test]
    fn a_month_has_every_price_that_holds_in_it() {
        let month = list().month(&model(), day("2026-05-22"));
        let days: Vec<_> = month.iter().map(|(days, p)| (*days, p.input_per_million)).collect();
        assert_eq!(days, [(10, 2.0), (20, 3.0)]);
        assert_eq!(list().next_change("m", day("2026-05-22")).unwrap().from, "2026-06-01");
        assert_eq!(list().next_change("m", day("2026-06-01")), None, "it holds already");
        assert_eq!(list().next_change("m", day("2026-05-01")), None, "that is after the month");
    }

    #[test]
    fn a_list_fills_what_another_leaves_open_and_changes_nothing() {
        let other = PriceList {
            prices: BTreeMap::from([
                ("m".to_owned(), vec![entry("2020-01-01", None, 0.0)]),
                ("n".to_owned(), vec![entry("2020-01-01", None, 5.0)]),
            ]),
            spike: Spike { growth: Ratio(9.0), usd_a_month: 1e9 },
        };
        let both = list().or(&other);
        assert_eq!(both.prices["m"], list().prices["m"]);
        assert_eq!(both.prices["n"], other.prices["n"]);
        assert_eq!(both.spike, Spike::default());
    }
}
