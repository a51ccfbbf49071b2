//! An experiment policy: `apps/<app>/experiments/<name>.yaml`, and what
//! `tidegate experiment` reads for recorded outcomes. A file of the repository
//! can be started on live traffic, so more must hold of it.

use super::{Fault, Format};
use crate::yaml;
use domain::experiment::ExperimentPolicy;
use domain::finding::Finding;
use domain::policy::PolicyError;
use serde::Deserialize;

/// Reads an experiment policy, YAML or JSON. `file` is how findings name it;
/// all of them are reported at once.
pub fn experiment_policy(file: &str, bytes: &[u8]) -> Result<ExperimentPolicy, Vec<Finding>> {
    let reading = yaml::read::<ExperimentPolicy>(file, bytes);
    match reading.value {
        Some(policy) if reading.findings.is_empty() => Ok(policy),
        _ => Err(reading.findings),
    }
}

/// A policy of the repository.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct LiveExperiment(pub(crate) ExperimentPolicy);

fn faults(found: Vec<PolicyError>) -> Vec<Fault> {
    let fault = |fault: PolicyError| {
        let message = fault.to_string();
        Fault::new(fault.field, "bad_policy", message, "change the experiment so that it holds")
    };
    found.into_iter().filter(|fault| fault.field != "apiVersion").map(fault).collect()
}

impl Format for ExperimentPolicy {
    const REQUIRED: &'static [&'static str] = &["apiVersion", "variants", "reward"];

    fn api_version(&self) -> &str {
        &self.api_version
    }

    fn faults(&self) -> Vec<Fault> {
        faults(ExperimentPolicy::faults(self))
    }
}

impl Format for LiveExperiment {
    const REQUIRED: &'static [&'static str] = ExperimentPolicy::REQUIRED;

    fn api_version(&self) -> &str {
        &self.0.api_version
    }

    fn faults(&self) -> Vec<Fault> {
        let mut found = ExperimentPolicy::faults(&self.0);
        found.extend(self.0.live_faults());
        faults(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_a_place_and_come_at_once() {
        let text = "apiVersion: tidegate/v1\n\
            variants:\n  - {name: today}\n  - {name: short, shares: 50%}\n\
            reward: {signal: accepted, kind: rat}\n\
            flor: 10%\n";
        let findings = experiment_policy("e.yaml", text.as_bytes()).unwrap_err();
        let said: Vec<_> = findings
            .iter()
            .map(|f| (f.place.as_ref().and_then(|p| p.line), f.mend.as_str()))
            .collect();
        assert_eq!(
            said,
            [
                (Some(4), "did you mean `share`?"),
                (Some(5), "did you mean `rate`?"),
                (Some(6), "did you mean `floor`?"),
            ]
        );
    }

    #[test]
    fn rules_of_the_policy_are_faults_of_the_file() {
        let text = "apiVersion: tidegate/v1\n\
            variants: [{name: a}, {name: b}]\n\
            control: c\n\
            reward: {signal: csat, kind: score, range: [5, 1]}\n";
        let findings = experiment_policy("e.yaml", text.as_bytes()).unwrap_err();
        let fields: Vec<_> = findings
            .iter()
            .filter_map(|f| f.place.as_ref().and_then(|p| p.field.as_deref()))
            .collect();
        assert_eq!(fields, ["control", "reward.range"]);
        assert!(
            experiment_policy(
                "e.yaml",
                text.replace("control: c\n", "").replace("[5, 1]", "[1, 5]").as_bytes()
            )
            .is_ok()
        );
    }
}
