//! `prices.yaml`: what tokens cost, and from when.
//!
//! ```yaml
//! apiVersion: tidegate/v1
//! prices:
//!   gpt-4o-mini-2024-07-18:
//!     - {from: 2024-07-18, input_per_million: 0.15, output_per_million: 0.60}
//!     - {from: 2027-01-01, until: 2027-12-31, input_per_million: 0.12, output_per_million: 0.48}
//! spike: {growth: 50%, usd_a_month: 10}
//! ```

use super::{Fault, Format};
use domain::price::{PriceEntry, PriceList, Spike};
use domain::units::day_number;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Most entries of one model.
const MAX_ENTRIES: usize = 200;
/// Dearest price believed, in dollars per million tokens.
const MAX_PRICE: f64 = 100_000.0;

/// The file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PricesFile {
    #[serde(rename = "apiVersion")]
    api_version: String,
    prices: BTreeMap<String, Vec<PriceEntry>>,
    #[serde(default)]
    spike: Spike,
}

impl PricesFile {
    /// The list it is.
    pub(crate) fn into_list(self) -> PriceList {
        PriceList { prices: self.prices, spike: self.spike }
    }
}

impl Format for PricesFile {
    const REQUIRED: &'static [&'static str] = &["apiVersion", "prices"];

    fn api_version(&self) -> &str {
        &self.api_version
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (model, entries) in &self.prices {
            let at = format!("prices.{model}");
            if entries.is_empty() || entries.len() > MAX_ENTRIES {
                faults.push(Fault::new(
                    at.clone(),
                    "out_of_range",
                    format!("`{model}` has {} prices", entries.len()),
                    format!("list 1 to {MAX_ENTRIES}, or remove the model"),
                ));
            }
            let mut begun: Vec<&str> = Vec::new();
            for (i, entry) in entries.iter().enumerate() {
                faults.extend(entry_faults(&format!("{at}[{i}]"), entry));
                if begun.contains(&entry.from.as_str()) {
                    faults.push(Fault::new(
                        format!("{at}[{i}].from"),
                        "repeated",
                        format!("two prices of `{model}` begin on {}", entry.from),
                        "keep one of them",
                    ));
                }
                begun.push(&entry.from);
            }
        }
        if self.spike.growth.0 < 0.0 {
            faults.push(Fault::new(
                "spike.growth",
                "out_of_range",
                "`growth` is below nothing",
                "write for example `50%`: half as much again",
            ));
        }
        if !(self.spike.usd_a_month >= 0.0 && self.spike.usd_a_month.is_finite()) {
            faults.push(Fault::new(
                "spike.usd_a_month",
                "out_of_range",
                "`usd_a_month` is no sum of money",
                "write 0 or more dollars",
            ));
        }
        faults
    }
}

fn entry_faults(at: &str, entry: &PriceEntry) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut days = vec![("from", entry.from.as_str())];
    days.extend(entry.until.as_deref().map(|until| ("until", until)));
    for (key, day) in days {
        if day_number(day).is_none() {
            faults.push(Fault::new(
                format!("{at}.{key}"),
                "bad_date",
                format!("`{day}` is no day"),
                "write it like `2026-03-01`",
            ));
        }
    }
    // An entry that ends where the next has begun already says two things of a day;
    // the one that began last is meant, so only an end before its own beginning is wrong.
    let ends = entry.until.as_deref().and_then(day_number);
    if ends.zip(day_number(&entry.from)).is_some_and(|(until, from)| until < from) {
        faults.push(Fault::new(
            format!("{at}.until"),
            "bad_date",
            "the price ends before it begins",
            "write the last day on which it holds",
        ));
    }
    for (key, price) in [
        ("input_per_million", entry.input_per_million),
        ("output_per_million", entry.output_per_million),
    ] {
        if !(0.0..=MAX_PRICE).contains(&price) {
            faults.push(Fault::new(
                format!("{at}.{key}"),
                "out_of_range",
                format!("{price} dollars a million tokens are out of range"),
                format!("write 0 to {MAX_PRICE}"),
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use crate::Files;
    use domain::price::Quote;
    use domain::units::day_number;

    /// Code, line and message of a finding.
    type Told = (String, Option<u32>, String);

    fn read(text: &str) -> (Option<domain::price::PriceList>, Vec<Told>) {
        let files = Files::from([
            ("tidegate.yaml".to_owned(), b"apiVersion: tidegate/v1\n".to_vec()),
            ("prices.yaml".to_owned(), text.as_bytes().to_vec()),
        ]);
        let (desired, findings) = crate::parse(&files);
        let told = findings
            .into_iter()
            .map(|f| (f.code, f.place.and_then(|p| p.line), f.message))
            .collect();
        (desired.prices, told)
    }

    #[test]
    fn a_list_reads_and_says_the_price_of_a_day() {
        let (list, findings) = read(
            "apiVersion: tidegate/v1\nprices:\n  gpt-4.1-2026-01-01:\n    - {from: 2026-01-01, input_per_million: 2, output_per_million: 8}\n    - {from: 2026-07-01, until: 2026-12-31, input_per_million: 1, output_per_million: 4}\nspike: {growth: 20%, usd_a_month: 500}\n",
        );
        assert_eq!(findings, []);
        let list = list.unwrap();
        assert_eq!((list.spike.growth.0, list.spike.usd_a_month), (0.2, 500.0));
        let day = day_number("2026-08-01").unwrap();
        let Quote::Valid(entry) = list.on("gpt-4.1-2026-01-01", day) else { panic!("a price") };
        assert_eq!(entry.output_per_million, 4.0);
        assert_eq!(read("apiVersion: tidegate/v1\nprices: {}\n").0, Some(Default::default()));
    }

    #[test]
    fn every_fault_has_its_line() {
        let (list, findings) = read(
            "apiVersion: tidegate/v1\nprices:\n  gpt-4: []\n  gpt-4.1:\n    - {from: 2026-02-30, input_per_million: 2, output_per_million: 8}\n    - {from: 2026-07-01, until: 2026-06-01, input_per_million: -1, output_per_million: 4}\n    - {from: 2026-07-01, input_per_million: 1, output_per_million: 400000}\nspike: {growth: -1}\n",
        );
        assert_eq!(list, None, "a list with a fault is none");
        let told: Vec<_> = findings.iter().map(|(c, l, _)| (c.as_str(), l.unwrap())).collect();
        assert_eq!(
            told,
            [
                ("out_of_range", 3),
                ("bad_date", 5),
                ("bad_date", 6),
                ("out_of_range", 6),
                ("repeated", 7),
                ("out_of_range", 7),
                ("out_of_range", 8),
            ]
        );
        let (_, findings) = read(
            "apiVersion: tidegate/v1\nprices:\n  m:\n    - {from: 2026-01-01, imput_per_million: 1, output_per_million: 1}\n",
        );
        assert!(findings.iter().any(|f| f.0 == "unknown_field" && f.1 == Some(4)), "{findings:?}");
    }
}
