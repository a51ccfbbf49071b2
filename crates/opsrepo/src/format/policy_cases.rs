//! `policies/tests/*.yaml`: examples of what the team's policies must say.
//!
//! ```yaml
//! apiVersion: tidegate/v1
//! cases:
//!   - name: a release that costs a third more needs finance
//!     facts: {cost: {change_percent: 33}}
//!     expect: {decision: allow, requires: [finance:1]}
//! ```

use super::{Fault, Format};
use domain::facts::{Facts, MAX_POLICY_CASES, PolicyCase, words};
use serde::Deserialize;
use std::collections::BTreeSet;

/// The file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyCasesFile {
    #[serde(rename = "apiVersion")]
    api_version: String,
    pub(crate) cases: Vec<PolicyCase>,
}

impl Format for PolicyCasesFile {
    const REQUIRED: &'static [&'static str] = &["apiVersion", "cases"];

    fn api_version(&self) -> &str {
        &self.api_version
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.cases.is_empty() || self.cases.len() > MAX_POLICY_CASES {
            faults.push(Fault::new(
                "cases",
                "out_of_range",
                format!("{} cases; at least 1 and at most {MAX_POLICY_CASES}", self.cases.len()),
                "write at least one, and split large files",
            ));
        }
        let mut names = BTreeSet::new();
        for (i, case) in self.cases.iter().enumerate() {
            if case.name.trim().is_empty() || !names.insert(&case.name) {
                faults.push(Fault::new(
                    format!("cases[{i}].name"),
                    "bad_case_name",
                    format!("`{}` does not tell this case from the others", case.name),
                    "say in a few words what the case shows",
                ));
            }
            faults.extend(word_faults(i, &case.facts));
        }
        faults
    }
}

/// Words no change can ever have would make an example that shows nothing.
fn word_faults(i: usize, facts: &Facts) -> Vec<Fault> {
    let single = [
        ("app.risk", "risk", &facts.app.risk),
        ("app.audience", "audience", &facts.app.audience),
        ("model.provider", "provider", &facts.model.provider),
    ];
    let several = facts.changed.iter().map(|word| ("changed", "changed", word));
    single
        .into_iter()
        .chain(several)
        .filter_map(|(field, fact, word)| {
            let known = words(fact)?;
            if known.contains(&word.as_str()) {
                return None;
            }
            let near = crate::yaml::nearest(word, known.iter().copied());
            let mend = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write one of: {}", known.join(", ")),
            };
            let message = format!("`{fact}` is never `{word}`");
            let fault =
                Fault::new(format!("cases[{i}].facts.{field}"), "unknown_word", message, mend);
            Some(fault.replace(near))
        })
        .collect()
}
