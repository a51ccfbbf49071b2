//! The gate `model-entry`: what a model must bring along before an app may use
//! it.
//!
//! A release names what answers for ever, so the provider's name must not move;
//! cost is watched, so there must be a price; and a model that ends soon must
//! not be begun with. What is certain stops the change, what is likely warns.

use crate::finding::finding;
use domain::finding::{Finding, GateOutcome, GateResult, Severity, Tier};
use domain::snapshot::{ModelContent, Provider};
use domain::units::day_number;
use regex::Regex;
use std::sync::OnceLock;

const NAME: &str = "model-entry";
const TITLE: &str = "The model is named, dated and priced";

/// A model, as its file says.
#[derive(Debug, Clone, Copy)]
pub struct ModelEntry<'a> {
    /// Name of its file.
    pub name: &'a str,
    /// Provider, id, prices.
    pub content: &'a ModelContent,
    /// `snapshot` of the file.
    pub snapshot: Option<&'a str>,
    /// `deprecated_on` of the file.
    pub deprecated_on: Option<&'a str>,
    /// True if production answers with another model, or nothing does yet.
    pub new: bool,
    /// Days from 1970-01-01 until today.
    pub today: i64,
}

/// The gate.
pub fn gate(entry: Option<&ModelEntry<'_>>) -> GateResult {
    let Some(entry) = entry else {
        let mut result =
            GateResult::of(NAME, TITLE, Tier::Static, "The release has no model.", Vec::new());
        result.outcome = GateOutcome::Skipped;
        return result;
    };
    let findings: Vec<Finding> =
        [movable(entry), undated(entry), contradicting(entry), ended(entry), unpriced(entry)]
            .into_iter()
            .flatten()
            .collect();
    let summary = match findings.len() {
        0 => format!("`{}` is `{}`.", entry.name, entry.content.provider_model),
        1 => format!("`{}`: 1 finding.", entry.name),
        n => format!("`{}`: {n} findings.", entry.name),
    };
    GateResult::of(NAME, TITLE, Tier::Static, summary, findings)
}

impl ModelEntry<'_> {
    fn file(&self) -> String {
        format!("models/{}.yaml", self.name)
    }

    /// Host a real provider is called at.
    fn host(&self) -> Option<&str> {
        match &self.content.provider {
            Provider::Openai { base_url, .. } => host_of(base_url),
            _ => None,
        }
    }

    /// Days until the provider no longer serves it; negative if it already does
    /// not.
    pub fn days_until_deprecated(&self) -> Option<i64> {
        day_number(self.deprecated_on?)?.checked_sub(self.today)
    }
}

/// The host of an address, without user and port.
pub fn host_of(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    let host = if host.starts_with('[') {
        host.split_inclusive(']').next()?
    } else {
        host.split(':').next()?
    };
    (!host.is_empty()).then_some(host)
}

/// Providers whose naming is known: their host, the families they serve under a
/// name that moves, and the forms of a name that does not.
struct Naming {
    hosts: &'static [&'static str],
    family: &'static str,
}

const KNOWN: [Naming; 4] = [
    Naming {
        hosts: &["api.openai.com"],
        family: r"^(?:gpt-[3-9](?:\.[0-9]+)?[a-z]?(?:-(?:turbo|mini|nano|pro|chat|audio|codex))*|chatgpt-4o|o[1-9](?:-(?:mini|pro|preview))?)$",
    },
    Naming {
        hosts: &["api.anthropic.com"],
        family: r"^claude-(?:[0-9](?:[.-][0-9])?-)?(?:opus|sonnet|haiku|instant)(?:-[0-9](?:[.-][0-9]{1,2})?)?$",
    },
    Naming {
        hosts: &["generativelanguage.googleapis.com", "aiplatform.googleapis.com"],
        family: r"^(?:models/)?gemini-[0-9](?:\.[0-9])?-(?:pro|flash|flash-lite|ultra|nano)(?:-preview)?$",
    },
    Naming {
        hosts: &["api.mistral.ai"],
        family: r"^(?:mistral-(?:tiny|small|medium|large)|codestral|ministral-[38]b|pixtral-large|open-mistral-nemo)$",
    },
];

fn families() -> &'static [(&'static Naming, Regex)] {
    static FAMILIES: OnceLock<Vec<(&'static Naming, Regex)>> = OnceLock::new();
    FAMILIES.get_or_init(|| {
        KNOWN.iter().filter_map(|known| Some((known, Regex::new(known.family).ok()?))).collect()
    })
}

/// A name that is an alias by the provider's own rules.
fn movable(entry: &ModelEntry<'_>) -> Option<Finding> {
    let id = entry.content.provider_model.to_ascii_lowercase();
    let host = entry.host()?;
    // Brokers write `openai/gpt-4o`; what they do with it is theirs to know.
    let bare = id.rsplit('/').next().unwrap_or(&id);
    let (naming, _) = families().iter().find(|(_, family)| family.is_match(bare))?;
    let certain = naming.hosts.iter().any(|known| host.eq_ignore_ascii_case(known));
    let severity = if certain { Severity::Error } else { Severity::Warning };
    let sure = if certain { "is" } else { "looks like" };
    let message = format!(
        "`{}` {sure} a name that its provider points at newer models from time to time",
        entry.content.provider_model
    );
    Some(finding(severity, "model_alias", message).field(&entry.file(), "provider_model").because(
        "A release must name exactly what answers, or a rollback brings back something else.",
        "write the dated or numbered id of the model, such as `gpt-4o-mini-2024-07-18`",
    ))
}

/// The day of a version, where the name holds one: `2024-07-18`, `20240718`.
fn date_in(id: &str) -> Option<String> {
    static DATE: OnceLock<Option<Regex>> = OnceLock::new();
    let date = DATE
        .get_or_init(|| {
            Regex::new(
                r"(?:^|[^0-9])(20[0-9]{2})-?(0[1-9]|1[0-2])-?(0[1-9]|[12][0-9]|3[01])(?:$|[^0-9])",
            )
            .ok()
        })
        .as_ref()?;
    let found = date.captures(id)?;
    let part = |n| found.get(n).map_or("", |m| m.as_str());
    let day = format!("{}-{}-{}", part(1), part(2), part(3));
    day_number(&day).is_some().then_some(day)
}

/// Neither the name nor the file says of when the model is.
fn undated(entry: &ModelEntry<'_>) -> Option<Finding> {
    let dated = entry.snapshot.is_some() || date_in(&entry.content.provider_model).is_some();
    if entry.host().is_none() || dated || movable(entry).is_some() {
        return None;
    }
    let message = format!("nothing says of when `{}` is", entry.content.provider_model);
    Some(finding(Severity::Warning, "model_undated", message).file(&entry.file()).because(
        "Without a date nobody can tell whether the provider changed the model.",
        "add `snapshot: YYYY-MM-DD`, the day of the provider's version",
    ))
}

fn contradicting(entry: &ModelEntry<'_>) -> Option<Finding> {
    let (said, named) = (entry.snapshot?, date_in(&entry.content.provider_model)?);
    if said == named {
        return None;
    }
    let message = format!("`snapshot` says {said}, the model's name says {named}");
    Some(
        finding(Severity::Error, "model_dates_differ", message)
            .field(&entry.file(), "snapshot")
            .replacement(Some(&named))
            .because(
                "One of the two is about another version of the model.",
                "write the day that is in the name, or leave `snapshot` out",
            ),
    )
}

/// The provider no longer serves it.
fn ended(entry: &ModelEntry<'_>) -> Option<Finding> {
    let days = entry.days_until_deprecated().filter(|days| *days <= 0)?;
    // An app that has it already must still be mendable, if only to leave it.
    let severity = if entry.new { Severity::Error } else { Severity::Warning };
    let since = entry.deprecated_on.unwrap_or_default();
    let message = match days {
        0 => "the provider stops serving this model today".to_owned(),
        _ => format!("the provider serves this model no more since {since}"),
    };
    Some(
        finding(severity, "model_deprecated", message)
            .field(&entry.file(), "deprecated_on")
            .because(
                "Every answer would be an error or come from another model.",
                "choose a model that is still served, or correct the date",
            ),
    )
}

/// A real provider that costs nothing: more likely nobody wrote the price.
fn unpriced(entry: &ModelEntry<'_>) -> Option<Finding> {
    let host = entry.host()?;
    let local = matches!(host, "localhost" | "127.0.0.1" | "[::1]") || host.ends_with(".local");
    let free = |price: f64| price <= 0.0;
    let content = entry.content;
    if local || !free(content.price_input_per_million) || !free(content.price_output_per_million) {
        return None;
    }
    Some(finding(Severity::Warning, "model_unpriced", "both prices of the model are 0")
        .field(&entry.file(), "prices")
        .because(
            "Cost is forecast and watched with these prices; with 0 no spike would ever be seen.",
            "write the provider's prices, in dollars per million tokens",
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(url: Option<&str>, id: &str, price: f64) -> ModelContent {
        ModelContent {
            provider: match url {
                Some(url) => Provider::Openai { base_url: url.to_owned(), key_env: None },
                None => Provider::Rules {},
            },
            provider_model: id.to_owned(),
            context_window: 1000,
            tokenizer: "o200k_base".to_owned(),
            price_input_per_million: price,
            price_output_per_million: price,
        }
    }

    fn codes(
        content: &ModelContent,
        with: impl Fn(&mut ModelEntry<'_>),
    ) -> Vec<(String, Severity)> {
        let mut entry = ModelEntry {
            name: "m",
            content,
            snapshot: None,
            deprecated_on: None,
            new: true,
            today: 20_000,
        };
        with(&mut entry);
        gate(Some(&entry)).findings.into_iter().map(|f| (f.code, f.severity)).collect()
    }

    #[test]
    fn aliases_of_known_providers_are_refused_and_fixed_names_are_not() {
        let openai = "https://api.openai.com/v1";
        for (url, id) in [
            (openai, "gpt-4o"),
            (openai, "gpt-4o-mini"),
            (openai, "gpt-4.1"),
            (openai, "gpt-5-mini"),
            (openai, "o3-mini"),
            (openai, "gpt-3.5-turbo"),
            ("https://api.anthropic.com/v1", "claude-sonnet-4"),
            ("https://api.anthropic.com/v1", "claude-3-5-haiku"),
            ("https://generativelanguage.googleapis.com/v1", "gemini-2.0-flash"),
            ("https://api.mistral.ai/v1", "mistral-large"),
        ] {
            let found = codes(&content(Some(url), id, 1.0), |_| {});
            assert_eq!(found, [("model_alias".to_owned(), Severity::Error)], "{id}");
        }
        for id in [
            "gpt-4o-mini-2024-07-18",
            "gpt-4-0613",
            "claude-sonnet-4-20250514",
            "gemini-1.5-pro-002",
            "mistral-large-2407",
        ] {
            let found = codes(&content(Some(openai), id, 1.0), |_| {});
            assert!(found.iter().all(|(code, _)| code != "model_alias"), "{id}: {found:?}");
        }
        let broker =
            codes(&content(Some("https://llm.example.com/v1"), "openai/gpt-4o", 1.0), |_| {});
        assert_eq!(broker, [("model_alias".to_owned(), Severity::Warning)]);
        assert_eq!(codes(&content(None, "gpt-4o", 0.0), |_| {}), [], "nothing is called");
    }

    #[test]
    fn dates_ends_and_prices() {
        let url = "https://llm.example.com/v1";
        let own = content(Some(url), "house-model-7", 1.0);
        assert_eq!(codes(&own, |_| {}), [("model_undated".to_owned(), Severity::Warning)]);
        assert_eq!(codes(&own, |e| e.snapshot = Some("2026-01-02")), []);
        let dated = content(Some(url), "house-20260103", 1.0);
        assert_eq!(codes(&dated, |_| {}), []);
        let differ = codes(&dated, |e| e.snapshot = Some("2026-01-02"));
        assert_eq!(differ, [("model_dates_differ".to_owned(), Severity::Error)]);
        // 20 000 is 2024-10-04.
        for (day, new, want) in [
            ("2024-10-03", true, Some(Severity::Error)),
            ("2024-10-04", true, Some(Severity::Error)),
            ("2024-10-05", true, None),
            ("2024-10-03", false, Some(Severity::Warning)),
        ] {
            let found = codes(&dated, |e| (e.deprecated_on, e.new) = (Some(day), new));
            assert_eq!(found.first().map(|f| f.1), want, "{day}");
        }
        let free = content(Some(url), "house-20260103", 0.0);
        assert_eq!(codes(&free, |_| {}), [("model_unpriced".to_owned(), Severity::Warning)]);
        assert_eq!(codes(&content(Some("http://127.0.0.1:9/v1"), "a-20260103", 0.0), |_| {}), []);
        assert_eq!(gate(None).outcome, GateOutcome::Skipped);
    }

    #[test]
    fn hosts_are_read_from_addresses() {
        for (url, host) in [
            ("https://api.openai.com/v1", Some("api.openai.com")),
            ("http://u@h:80/v1", Some("h")),
            ("http://[::1]:8080/v1", Some("[::1]")),
            ("nonsense", None),
            ("http:///x", None),
        ] {
            assert_eq!(host_of(url), host, "{url}");
        }
    }
}
