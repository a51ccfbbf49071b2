//! `apps/<app>/rollout.yaml`: the plan of a rollout. The format is
//! [`RolloutPolicy`] itself, which `backtest` reads too.

use super::{Fault, Format};
use crate::yaml;
use domain::finding::Finding;
use domain::policy::RolloutPolicy;
use serde::Deserialize;

/// A policy for recorded traffic: it needs no steps, because the exposure has
/// happened already.
#[derive(Deserialize)]
#[serde(transparent)]
struct Replayed(RolloutPolicy);

/// Reads a rollout policy, YAML or JSON, for a replay of recorded traffic.
/// `file` is how findings name it; all of them are reported at once.
pub fn replayed_policy(file: &str, bytes: &[u8]) -> Result<RolloutPolicy, Vec<Finding>> {
    let reading = yaml::read::<Replayed>(file, bytes);
    match reading.value {
        Some(Replayed(policy)) if reading.findings.is_empty() => Ok(policy),
        _ => Err(reading.findings),
    }
}

/// What the types cannot say, steps or not.
fn faults(policy: &RolloutPolicy) -> Vec<Fault> {
    RolloutPolicy::faults(policy)
        .into_iter()
        .filter(|fault| fault.field != "apiVersion")
        .map(|fault| {
            let message = fault.to_string();
            Fault::new(fault.field, "bad_policy", message, "change the plan so that it holds")
        })
        .collect()
}

impl Format for Replayed {
    const REQUIRED: &'static [&'static str] = RolloutPolicy::REQUIRED;

    fn api_version(&self) -> &str {
        &self.0.api_version
    }

    fn faults(&self) -> Vec<Fault> {
        faults(&self.0)
    }
}

impl Format for RolloutPolicy {
    const REQUIRED: &'static [&'static str] = &["apiVersion", "signals"];

    fn api_version(&self) -> &str {
        &self.api_version
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = faults(self);
        if self.steps.is_empty() {
            faults.push(Fault::new(
                "steps",
                "bad_policy",
                "`steps` is empty, so a candidate would never be shown to anybody",
                "begin with `- shadow: {share: 10%, until: {requests: 100}}` and end with `- promote: {}`",
            ));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = "\u{feff}{\"apiVersion\": \"tidegate/v1\", \"check_every\": 6e1,\r\n\
        \t\"planned\": {\"duration\": 259200, \"requests\": 12960, \"share\": 0.10},\n\
        \t\"signals\": [{\"name\": \"\\u0065rror\", \"kind\": \"rate\", \"worse\": \"higher\",\n\
        \t\t\"notice\": {\"times\": 2.0}, \"action\": \"rollback\"}]}\n";

    #[test]
    fn json_reads_as_yaml_does_and_steps_may_be_absent() {
        let json = replayed_policy("p.json", JSON.as_bytes()).unwrap();
        let yaml = "apiVersion: tidegate/v1\ncheck_every: 60s\n\
            planned: {duration: 72h, requests: 12960, share: 10%}\n\
            signals:\n  - {name: error, kind: rate, notice: {times: 2}, action: rollback}\n";
        assert_eq!(json, replayed_policy("p.yaml", yaml.as_bytes()).unwrap());
        assert!(json.steps.is_empty());
    }

    #[test]
    fn faults_have_a_place_and_come_at_once() {
        let text = "{\"apiVersion\": \"tidegate/v1\",\n \"check_evry\": 60,\n \"signals\": [\n  \
            {\"name\": \"error\", \"kind\": \"rate\", \"notice\": {\"times\": 0.5}, \"action\": \"rollback\"}]}";
        let findings = replayed_policy("p.json", text.as_bytes()).unwrap_err();
        let places: Vec<_> =
            findings.iter().map(|f| (f.code.as_str(), f.place.as_ref().unwrap().line)).collect();
        assert_eq!(places, [("unknown_field", Some(2)), ("bad_policy", Some(4))]);
    }
}
