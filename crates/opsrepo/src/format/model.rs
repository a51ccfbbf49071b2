//! `models/<name>.yaml`: one immutable version of a model.
//!
//! ```yaml
//! apiVersion: tidegate/v1
//! version: 1.0.0
//! provider: {kind: openai, base_url: https://api.openai.com/v1, key_env: OPENAI_API_KEY}
//! provider_model: gpt-4o-mini-2024-07-18
//! context_window: 128000
//! tokenizer: o200k_base
//! prices: {input_per_million: 0.15, output_per_million: 0.60}
//! tags: [small]
//! labels: {region: eu, contract: dpa-2026}
//! snapshot: 2024-07-18
//! deprecated_on: 2027-03-01
//! ```
//!
//! `provider_model` must name one model for ever: a provider that serves
//! something else tomorrow under the same name would change answers without a
//! release.

use super::{Fault, Format};
use domain::ids::Digest;
use domain::snapshot::{ModelContent, Provider};
use domain::units::day_number;
use semver::Version;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tokenizers there are.
pub const TOKENIZERS: [&str; 2] = ["cl100k_base", "o200k_base"];
/// Largest context window believed, in tokens.
const MAX_CONTEXT_WINDOW: u32 = 100_000_000;
/// Dearest price believed, in dollars per million tokens.
const MAX_PRICE: f64 = 100_000.0;

/// A model of the repository.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSpec {
    /// Semantic version. A version never changes content.
    pub version: Version,
    /// What shapes and prices an answer.
    pub content: ModelContent,
    /// Free words for filters.
    pub tags: Vec<String>,
    /// What policies are told about it, for example `region` and `contract`.
    pub labels: BTreeMap<String, String>,
    /// Day of the provider's version, `YYYY-MM-DD`, where its name does not say.
    pub snapshot: Option<String>,
    /// Day from which the provider no longer serves it, `YYYY-MM-DD`.
    pub deprecated_on: Option<String>,
    /// Recordings of a replay provider, in order.
    pub recordings: Vec<RecordingsFile>,
}

/// A recordings file with its content.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordingsFile {
    /// Path in the repository.
    pub path: String,
    /// Digest of the bytes, line ends unified.
    pub digest: Digest,
    /// The bytes, line ends unified.
    pub bytes: Arc<[u8]>,
    /// How many recordings are in it.
    pub count: usize,
}

impl std::fmt::Debug for RecordingsFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordingsFile")
            .field("path", &self.path)
            .field("digest", &self.digest)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// Prices in US dollars.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// A million tokens of the prompt.
    pub input_per_million: f64,
    /// A million tokens of the answer.
    pub output_per_million: f64,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelFile {
    #[serde(rename = "apiVersion")]
    api_version: String,
    pub(crate) version: Version,
    provider: ProviderLine,
    provider_model: String,
    context_window: u32,
    tokenizer: String,
    prices: Prices,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) snapshot: Option<String>,
    #[serde(default)]
    pub(crate) deprecated_on: Option<String>,
}

/// All providers' settings side by side, so that a key of another provider gets
/// a sentence of its own.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderLine {
    kind: ProviderKind,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    recordings: Option<Vec<String>>,
    #[serde(default)]
    latency: Option<bool>,
    #[serde(default)]
    base_url: Option<String>,
    #[serde(default)]
    key_env: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ProviderKind {
    Replay,
    Openai,
    Rules,
}

impl ModelFile {
    /// Paths of the recordings, with the field that names each.
    pub(crate) fn recordings(&self) -> impl Iterator<Item = (String, &str)> {
        self.provider
            .recordings
            .iter()
            .flatten()
            .enumerate()
            .map(|(i, path)| (format!("provider.recordings[{i}]"), path.as_str()))
    }

    /// The provider's model id.
    pub(crate) fn provider_model(&self) -> &str {
        &self.provider_model
    }

    /// The content, the recordings being these; none if the provider's settings
    /// are incomplete (then there are faults).
    pub(crate) fn content(&self, recordings: Vec<Digest>) -> Option<ModelContent> {
        let line = &self.provider;
        let provider = match line.kind {
            ProviderKind::Replay => Provider::Replay {
                key: line.key.clone()?,
                recordings,
                latency: line.latency.unwrap_or(false),
            },
            ProviderKind::Openai => {
                Provider::Openai { base_url: line.base_url.clone()?, key_env: line.key_env.clone() }
            }
            ProviderKind::Rules => Provider::Rules {},
        };
        Some(ModelContent {
            provider,
            provider_model: self.provider_model.clone(),
            context_window: self.context_window,
            tokenizer: self.tokenizer.clone(),
            price_input_per_million: self.prices.input_per_million,
            price_output_per_million: self.prices.output_per_million,
        })
    }

    fn provider_faults(&self, faults: &mut Vec<Fault>) {
        let line = &self.provider;
        let given = [
            ("key", line.key.is_some()),
            ("recordings", line.recordings.is_some()),
            ("latency", line.latency.is_some()),
            ("base_url", line.base_url.is_some()),
            ("key_env", line.key_env.is_some()),
        ];
        let (name, needed, allowed): (_, &[&str], &[&str]) = match line.kind {
            ProviderKind::Replay => ("replay", &["key", "recordings"], &["latency"]),
            ProviderKind::Openai => ("openai", &["base_url"], &["key_env"]),
            ProviderKind::Rules => ("rules", &[], &[]),
        };
        for (key, is_given) in given {
            if needed.contains(&key) && !is_given {
                faults.push(Fault::new(
                    "provider",
                    "missing_field",
                    format!("`{key}` is missing: the provider `{name}` needs it"),
                    format!("add `{key}` to `provider`"),
                ));
            } else if is_given && !needed.contains(&key) && !allowed.contains(&key) {
                faults.push(Fault::new(
                    format!("provider.{key}"),
                    "unknown_field",
                    format!("`{key}` is not a setting of the provider `{name}`"),
                    "remove it, or choose another `kind`",
                ));
            }
        }
        if line.recordings.as_ref().is_some_and(Vec::is_empty) {
            faults.push(Fault::new(
                "provider.recordings",
                "empty_list",
                "`recordings` is empty, so there is nothing to replay",
                "name at least one `.jsonl` file, as a path from the root of the repository",
            ));
        }
        if line.base_url.as_ref().is_some_and(|url| url.contains('@')) {
            faults.push(Fault::new(
                "provider.base_url",
                "secret_in_url",
                "`base_url` has a user in it",
                "write the address alone, and the name of the variable that holds the key in `key_env`",
            ));
        } else if let Some(url) = &line.base_url
            && !is_http_url(url)
        {
            faults.push(Fault::new(
                "provider.base_url",
                "bad_url",
                format!("`{url}` is not an HTTP address without query or fragment"),
                "write for example `https://api.openai.com/v1`",
            ));
        }
        if let Some(name) = &line.key_env
            && !is_env_name(name)
        {
            faults.push(Fault::new(
                "provider.key_env",
                "bad_environment_variable",
                "`key_env` is not the name of an environment variable",
                "write the name of the variable that holds the key, such as `OPENAI_API_KEY`, never the key itself",
            ));
        }
    }
}

fn is_http_url(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    matches!(uri.scheme_str(), Some("http" | "https"))
        && uri.authority().is_some_and(|a| !a.host().is_empty())
        && uri.query().is_none()
        && !url.contains('#')
}

fn is_env_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 128
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// The word that makes a provider's model name movable, if there is one.
fn mutable_word(model: &str) -> Option<&'static str> {
    let lower = model.to_ascii_lowercase();
    ["latest", "stable", "preview-latest", "default", "auto"]
        .into_iter()
        .find(|word| lower.split(['-', '_', ':', '/', '@', '.']).any(|part| part == *word))
}

impl Format for ModelFile {
    const REQUIRED: &'static [&'static str] = &[
        "apiVersion",
        "version",
        "provider",
        "provider_model",
        "context_window",
        "tokenizer",
        "prices",
    ];

    fn api_version(&self) -> &str {
        &self.api_version
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        self.provider_faults(&mut faults);
        if self.provider_model.trim().is_empty() {
            faults.push(Fault::new(
                "provider_model",
                "empty_text",
                "`provider_model` is empty",
                "write the provider's own id of the model",
            ));
        }
        if let Some(word) = mutable_word(&self.provider_model) {
            faults.push(Fault::new(
                "provider_model",
                "mutable_model",
                format!(
                    "`{}` may be another model tomorrow (`{word}` moves), so a release could not say what answered",
                    self.provider_model
                ),
                "write the dated or numbered id of the model, such as `gpt-4o-mini-2024-07-18`",
            ));
        }
        if !(1..=MAX_CONTEXT_WINDOW).contains(&self.context_window) {
            faults.push(Fault::new(
                "context_window",
                "out_of_range",
                format!("a context window of {} tokens is out of range", self.context_window),
                format!("write a number from 1 to {MAX_CONTEXT_WINDOW}"),
            ));
        }
        if !TOKENIZERS.contains(&self.tokenizer.as_str()) {
            let near = crate::yaml::nearest(&self.tokenizer, TOKENIZERS.iter().copied());
            faults.push(
                Fault::new(
                    "tokenizer",
                    "unknown_tokenizer",
                    format!("`{}` is not a tokenizer known here", self.tokenizer),
                    format!("write {}; for models with another one, the nearest is good enough to count", TOKENIZERS.map(|t| format!("`{t}`")).join(" or ")),
                )
                .replace(near),
            );
        }
        for (field, price) in [
            ("prices.input_per_million", self.prices.input_per_million),
            ("prices.output_per_million", self.prices.output_per_million),
        ] {
            if !(0.0..=MAX_PRICE).contains(&price) {
                faults.push(Fault::new(
                    field,
                    "out_of_range",
                    format!("a price of {price} dollars per million tokens is out of range"),
                    format!("write a number from 0 to {MAX_PRICE}"),
                ));
            }
        }
        for (field, date) in [("snapshot", &self.snapshot), ("deprecated_on", &self.deprecated_on)]
        {
            if let Some(date) = date
                && day_number(date).is_none()
            {
                faults.push(Fault::new(
                    field,
                    "bad_date",
                    format!("`{date}` is not a day"),
                    "write year, month and day, for example `2027-03-01`",
                ));
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn movable_names_are_told_from_fixed_ones() {
        for name in ["latest", "gpt-4o:latest", "mistral-large-latest", "claude-3-5-sonnet@latest"]
        {
            assert!(mutable_word(name).is_some(), "{name}");
        }
        for name in ["gpt-4-0613", "llama-2-7b-chat", "stablelm-2", "autocoder-1"] {
            assert_eq!(mutable_word(name), None, "{name}");
        }
    }
}
