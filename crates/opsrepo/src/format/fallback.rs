//! `apps/<app>/fallback.yaml`: deterministic answers, for the kill switch, for
//! providers that fail and for the `rules` provider.
//!
//! ```yaml
//! apiVersion: tidegate/v1
//! rules:
//!   - when: {variable: message, contains: refund}
//!     answer: A colleague looks after refunds of order {{ order_id }} now.
//! default: We cannot summarise this right now.
//! hand_over: A colleague takes over.
//! ```

use super::{Fault, Format};
use domain::fallback::{Fallback, FallbackRule, MAX_RULES, MESSAGE_VARIABLE, Test};
use serde::Deserialize;

/// Largest compiled size of one regular expression, in bytes.
const MAX_REGEX_SIZE: usize = 256 * 1024;

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FallbackFile {
    #[serde(rename = "apiVersion")]
    api_version: String,
    #[serde(default)]
    rules: Vec<FallbackRule>,
    #[serde(default)]
    default: Option<String>,
    #[serde(default)]
    hand_over: Option<String>,
}

impl FallbackFile {
    /// Without the envelope.
    pub(crate) fn content(self) -> Fallback {
        Fallback { rules: self.rules, default: self.default, hand_over: self.hand_over }
    }

    /// Variables the rules test, with the field that names each.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (String, &str)> {
        self.rules
            .iter()
            .enumerate()
            .map(|(i, rule)| (format!("rules[{i}].when.variable"), rule.when.variable.as_str()))
            .filter(|(_, variable)| *variable != MESSAGE_VARIABLE)
    }
}

impl Format for FallbackFile {
    const REQUIRED: &'static [&'static str] = &["apiVersion"];

    fn api_version(&self) -> &str {
        &self.api_version
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.rules.len() > MAX_RULES {
            faults.push(Fault::new(
                "rules",
                "out_of_range",
                format!(
                    "{} rules are too many; at most {MAX_RULES} are tried for a request",
                    self.rules.len()
                ),
                "merge rules, for example with `matches: (a|b)`",
            ));
        }
        if self.default.is_none() && self.hand_over.is_none() {
            faults.push(Fault::new(
                "",
                "no_last_answer",
                "neither `default` nor `hand_over` is given, so a request no rule holds for would get no answer",
                "add `default: ...` or `hand_over: ...`",
            ));
        }
        for (i, rule) in self.rules.iter().enumerate() {
            match rule.when.test() {
                None => faults.push(Fault::new(
                    format!("rules[{i}].when"),
                    "bad_condition",
                    "a condition needs exactly one of `contains`, `equals` and `matches`",
                    "write for example `{variable: message, contains: refund}`",
                )),
                Some(Test::Matches(pattern)) => {
                    let built =
                        regex::RegexBuilder::new(pattern).size_limit(MAX_REGEX_SIZE).build();
                    if let Err(error) = built {
                        let reason = error.to_string();
                        let reason =
                            reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
                        faults.push(Fault::new(
                            format!("rules[{i}].when.matches"),
                            "bad_regex",
                            format!("`{pattern}` is not a regular expression: {reason}"),
                            "mend the expression; look-around and back-references are not supported",
                        ));
                    }
                }
                Some(Test::Contains("")) => faults.push(Fault::new(
                    format!("rules[{i}].when.contains"),
                    "empty_text",
                    "every text contains the empty text, so this rule would always answer",
                    "write what to look for, or make this the `default`",
                )),
                Some(Test::Contains(_) | Test::Equals(_)) => {}
            }
        }
        faults
    }
}
