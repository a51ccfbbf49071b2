//! `apps/<app>/rollout.yaml`: the plan of a rollout. The format is
//! [`RolloutPolicy`] itself, which `backtest` reads too.

use super::{Fault, Format};
use domain::policy::RolloutPolicy;

impl Format for RolloutPolicy {
    const REQUIRED: &'static [&'static str] = &["apiVersion", "signals"];

    fn api_version(&self) -> &str {
        &self.api_version
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults: Vec<Fault> = RolloutPolicy::faults(self)
            .into_iter()
            .filter(|fault| fault.field != "apiVersion")
            .map(|fault| {
                let message = fault.to_string();
                Fault::new(fault.field, "bad_policy", message, "change the plan so that it holds")
            })
            .collect();
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
