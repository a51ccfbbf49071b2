//! `tidegate.yaml`: the root of an ops repo.
//!
//! ```yaml
//! apiVersion: tidegate/v1
//! environments: [production]
//! defaults: {environment: production}
//! classifiers:
//!   moderation:
//!     url: https://moderation.example.com/v1/moderations
//!     key_env: TIDEGATE_CLASSIFIER_KEY
//!     on_failure: fail
//! evals: {tokens_per_day: 2000000, every: 24h}
//! ```

use super::{Fault, Format};
use domain::classifier::{Classifier, KEY_PREFIX, MAX_TIMEOUT};
use domain::forge::{FORGE_PREFIX, Forge};
use domain::ids::EnvName;
use domain::units::Span;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Settings of the whole repository.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Always `tidegate/v1`.
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// The environments releases are promoted in. `production` alone if absent.
    #[serde(default = "only_production")]
    pub environments: BTreeSet<EnvName>,
    /// What is used where nothing is said.
    #[serde(default)]
    pub defaults: Defaults,
    /// Where texts of apps may be sent to be judged, by the name apps use.
    #[serde(default)]
    pub classifiers: BTreeMap<String, Classifier>,
    /// What the server itself may spend on evaluations; nothing if absent.
    #[serde(default)]
    pub evals: Option<PaidEvals>,
    /// Where changes are shown as pull requests.
    #[serde(default)]
    pub forge: Option<Forge>,
}

/// Most calls under way at once.
pub const MAX_CONCURRENCY: usize = 64;
/// Shortest time between two runs of a schedule.
const MIN_EVERY: Span = Span::from_secs(3600);
/// Longest time between two runs of a schedule.
const MAX_EVERY: Span = Span::from_secs(31 * 86_400);
/// Longest one call may be waited for.
const MAX_CALL: Span = Span::from_secs(600);

/// What the server itself may spend on evaluations: suites of the tier `paid` on
/// every change that passed the cheaper ones, those of `scheduled` by the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaidEvals {
    /// Tokens of prompts and answers in a day (UTC), all apps together.
    pub tokens_per_day: u64,
    /// Calls under way at once.
    #[serde(default = "eight")]
    pub concurrency: usize,
    /// Calls begun in a minute; no limit if absent.
    #[serde(default)]
    pub per_minute: Option<u32>,
    /// Longest one call may take.
    #[serde(default = "minute")]
    pub timeout: Span,
    /// How often suites of the tier `scheduled` are asked what serves; never if
    /// absent.
    #[serde(default)]
    pub every: Option<Span>,
}

fn eight() -> usize {
    8
}

fn minute() -> Span {
    Span::from_secs(60)
}

/// What is used where nothing is said.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// The environment of commands that name none.
    #[serde(default = "production")]
    pub environment: EnvName,
}

/// `production`.
#[expect(clippy::expect_used, reason = "a constant that is a valid name; tested below")]
pub(crate) fn production() -> EnvName {
    "production".parse().expect("`production` is a name")
}

fn only_production() -> BTreeSet<EnvName> {
    BTreeSet::from([production()])
}

impl Default for Defaults {
    fn default() -> Self {
        Self { environment: production() }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            api_version: domain::manifest::API_VERSION.to_owned(),
            environments: only_production(),
            defaults: Defaults::default(),
            classifiers: BTreeMap::new(),
            forge: None,
            evals: None,
        }
    }
}

impl Format for Settings {
    const REQUIRED: &'static [&'static str] = &["apiVersion"];

    fn api_version(&self) -> &str {
        &self.api_version
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.environments.is_empty() {
            faults.push(Fault::new(
                "environments",
                "empty_list",
                "`environments` is empty, so nothing could be promoted anywhere",
                "name at least one environment, for example `[production]`",
            ));
        } else if !self.environments.contains(&self.defaults.environment) {
            let names = self.environments.iter().map(EnvName::as_str).collect::<Vec<_>>();
            faults.push(Fault::new(
                "defaults.environment",
                "unknown_environment",
                format!("`{}` is not one of the `environments`", self.defaults.environment),
                format!("write one of: {}", names.join(", ")),
            ));
        }
        faults.extend(self.forge.iter().flat_map(forge_faults));
        for (name, classifier) in &self.classifiers {
            faults.extend(classifier_faults(name, classifier));
        }
        faults.extend(self.evals.iter().flat_map(evals_faults));
        faults
    }
}

fn evals_faults(evals: &PaidEvals) -> Vec<Fault> {
    let out = |key: &str, message: String, mend: String| {
        Fault::new(format!("evals.{key}"), "out_of_range", message, mend)
    };
    let mut faults = Vec::new();
    if evals.tokens_per_day == 0 {
        faults.push(out(
            "tokens_per_day",
            "with no tokens a day nothing could be asked".to_owned(),
            "write how many the server may spend, or take `evals` out".to_owned(),
        ));
    }
    if !(1..=MAX_CONCURRENCY).contains(&evals.concurrency) {
        faults.push(out(
            "concurrency",
            format!("{} calls at once are out of range", evals.concurrency),
            format!("write 1 to {MAX_CONCURRENCY}; 8 is usual"),
        ));
    }
    if evals.per_minute == Some(0) {
        faults.push(out(
            "per_minute",
            "with no call a minute nothing could be asked".to_owned(),
            "write the provider's rate limit, or leave it out".to_owned(),
        ));
    }
    if evals.timeout == Span::ZERO || evals.timeout > MAX_CALL {
        faults.push(out(
            "timeout",
            format!("a `timeout` of {} is out of range", evals.timeout),
            format!("write more than nothing and at most `{MAX_CALL}`; `60s` is usual"),
        ));
    }
    if let Some(every) = evals.every.filter(|every| *every < MIN_EVERY || *every > MAX_EVERY) {
        faults.push(out(
            "every",
            format!("a run every {every} is out of range"),
            format!("write `{MIN_EVERY}` to `{MAX_EVERY}`; `24h` is usual"),
        ));
    }
    faults
}

fn forge_faults(forge: &Forge) -> Vec<Fault> {
    let mut faults = Vec::new();
    let host = forge.url.split_once("://").filter(|(scheme, rest)| {
        matches!(*scheme, "http" | "https")
            && !rest.is_empty()
            && !rest.starts_with('/')
            && !rest.contains(['@', '?', '#', ' '])
    });
    if host.is_none() {
        faults.push(Fault::new(
            "forge.url",
            "bad_address",
            format!("`{}` is not where a forge could be", forge.url),
            "write it like `https://github.com`, without a login",
        ));
    }
    let word = |part: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !part.is_empty() && !part.starts_with('.') && part.chars().all(plain)
    };
    if !forge.repo.split_once('/').is_some_and(|(owner, name)| word(owner) && word(name)) {
        faults.push(Fault::new(
            "forge.repo",
            "bad_name",
            format!("`{}` is no repository of a forge", forge.repo),
            "write it like `OWNER/NAME`",
        ));
    }
    if !forge.base.split('/').all(word) {
        faults.push(Fault::new(
            "forge.base",
            "bad_name",
            format!("`{}` is no branch", forge.base),
            "leave it out for `main`",
        ));
    }
    for (key, name) in
        [("token_env", Some(&forge.token_env)), ("webhook_env", forge.webhook_env.as_ref())]
    {
        if let Some(name) = name.filter(|name| !name.starts_with(FORGE_PREFIX)) {
            faults.push(Fault::new(
                format!("forge.{key}"),
                "bad_reference",
                format!("`{name}` is no variable for a forge"),
                format!("name one of the server's that begins with `{FORGE_PREFIX}`, so that no other secret can be sent"),
            ));
        }
    }
    faults
}

fn classifier_faults(name: &str, classifier: &Classifier) -> Vec<Fault> {
    let at = |key: &str| format!("classifiers.{name}.{key}");
    let mut faults = Vec::new();
    let host = classifier.url.split_once("://").filter(|(scheme, rest)| {
        matches!(*scheme, "http" | "https")
            && !rest.starts_with('/')
            && !rest.is_empty()
            && !rest.split('/').next().unwrap_or_default().contains('@')
    });
    if host.is_none() {
        faults.push(Fault::new(
            at("url"),
            "bad_address",
            format!("`{}` is not an address texts could be sent to", classifier.url),
            "write it like `https://moderation.example.com/v1/moderations`, without a login",
        ));
    }
    if let Some(key) = classifier.key_env.as_ref().filter(|key| !key.starts_with(KEY_PREFIX)) {
        faults.push(Fault::new(
            at("key_env"),
            "bad_reference",
            format!("`{key}` is no variable for a classifier's key"),
            format!("name one of the server's that begins with `{KEY_PREFIX}`, so that no other secret can be sent"),
        ));
    }
    if classifier.timeout == Span::ZERO || classifier.timeout > MAX_TIMEOUT {
        faults.push(Fault::new(
            at("timeout"),
            "out_of_range",
            format!("a `timeout` of {} is out of range", classifier.timeout),
            format!("write more than nothing and at most `{MAX_TIMEOUT}`; `10s` is usual"),
        ));
    }
    if classifier.flag_at.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
        faults.push(Fault::new(
            at("flag_at"),
            "out_of_range",
            "`flag_at` is a score from 0 to 1",
            "write for example `0.5`",
        ));
    }
    faults
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_default_environment_is_production() {
        assert_eq!(super::Settings::default().defaults.environment.as_str(), "production");
    }
}
