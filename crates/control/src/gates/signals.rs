//! The gate that looks whether anybody measures what the plan watches: a signal
//! without a single measurement blocks promotion for ever.

use crate::Control;
use crate::problem::Problem;
use domain::finding::{Finding, GateResult, Place, Severity, Tier};
use domain::ids::AppName;
use domain::policy::{BUILT_IN_SIGNALS, RolloutPolicy, Signal};
use domain::units::{Span, Timestamp};
use opsrepo::Desired;
use std::collections::BTreeSet;

/// How far back feedback counts as "somebody sends it".
const HEARD_WITHIN: Span = Span::from_secs(30 * 86_400);

impl Control {
    /// Names under which somebody said something about this app lately, of those
    /// its plan watches.
    pub(super) async fn heard_of(
        &self,
        desired: &Desired,
        app: &AppName,
        now: Timestamp,
    ) -> Result<BTreeSet<String>, Problem> {
        let since = Timestamp(now.0.saturating_sub(HEARD_WITHIN.millis()));
        let watched = desired.policy(app);
        let names: Vec<_> = watched.iter().flat_map(|p| &p.signals).map(|s| &*s.name).collect();
        Ok(self.store.feedback_heard(app, &names, since).await?)
    }
}

/// What somebody measures beside what gateways measure of every app.
pub(super) struct Known<'a> {
    /// Names of feedback that came in [`HEARD_WITHIN`].
    pub heard: &'a BTreeSet<String>,
    /// The app promises a form of its answers, so gateways check it.
    pub answer_schema: bool,
}

/// Every signal is measured by gateways, read from a source, posted by a judge, or
/// was heard of in [`HEARD_WITHIN`]. A warning: a new app has no past.
pub(super) fn gate(app: &AppName, policy: Option<&RolloutPolicy>, known: &Known<'_>) -> GateResult {
    let signals = policy.map(|policy| policy.signals.as_slice()).unwrap_or_default();
    let findings: Vec<_> = (0..)
        .zip(signals)
        .filter(|(_, signal)| !is_measured(signal, known))
        .map(|(i, signal)| unmeasured(app, i, signal))
        .collect();
    let summary = match (signals.len(), findings.len()) {
        (0, _) => "There is no plan, so nothing is watched.".to_owned(),
        (all, 0) => format!("All {all} signals of the plan are measured."),
        (all, some) => format!("{some} of {all} signals of the plan may never be measured."),
    };
    let title = "Somebody measures what the plan watches";
    GateResult::of("signals", title, Tier::Static, summary, findings)
}

fn is_measured(signal: &Signal, known: &Known<'_>) -> bool {
    let of_feedback = || signal.judge.is_some() || known.heard.contains(&signal.name);
    match signal.is_built_in() {
        true => signal.is_measured_by_gateways() || known.answer_schema,
        false => signal.source.is_some() || of_feedback(),
    }
}

fn unmeasured(app: &AppName, i: usize, signal: &Signal) -> Finding {
    let name = &signal.name;
    let by_gateways: Vec<_> = BUILT_IN_SIGNALS
        .iter()
        .filter(|built_in| Signal::measured_by_gateways(built_in))
        .map(|built_in| format!("`{built_in}`"))
        .collect();
    let (message, mend) = match signal.is_built_in() {
        true => (
            format!("`{name}` needs a schema of the answers, and this app has none"),
            format!(
                "write the schema under `answer` in `apps/{app}/app.yaml`, or take the signal out of the plan"
            ),
        ),
        false => (
            format!("nobody has sent feedback named `{name}` on this app in the last 30 days"),
            format!("send feedback named `{name}`, or take the signal out of the plan"),
        ),
    };
    Finding {
        code: "signal_not_measured".to_owned(),
        severity: Severity::Warning,
        place: Some(Place {
            file: format!("apps/{app}/rollout.yaml"),
            field: Some(format!("signals[{i}].name")),
            ..Place::default()
        }),
        message,
        explanation: format!(
            "A signal that is never measured blocks promotion for ever. Gateways measure {} by themselves; others need a `source`, a judge, or feedback of that name.",
            by_gateways.join(", ")
        ),
        mend,
        replacement: None,
        excerpt: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::finding::GateOutcome;
    use serde_json::json;

    #[test]
    fn only_what_nobody_measures_is_warned_of() {
        let policy: RolloutPolicy = serde_json::from_value(json!({
            "apiVersion": "tidegate/v1",
            "signals": [
                {"name": "error", "kind": "rate", "limit": 0.1, "action": "pause"},
                {"name": "schema_failure", "kind": "rate", "limit": 0.1, "action": "pause"},
                {"name": "rejected", "kind": "rate", "limit": 0.1, "action": "pause"},
                {"name": "accepted", "kind": "rate", "limit": 0.1, "action": "pause"},
                {"name": "queue", "kind": "rate", "limit": 0.1, "source": {"prometheus": "q"}, "action": "pause"},
                {"name": "unhelpful", "kind": "rate", "limit": 0.1, "judge": {"human": {"share": 0.1}}, "action": "pause"},
            ],
        }))
        .unwrap();
        let app: AppName = "support-summary".parse().unwrap();
        let heard = BTreeSet::from(["accepted".to_owned()]);
        let known = Known { heard: &heard, answer_schema: false };
        let result = gate(&app, Some(&policy), &known);
        assert_eq!(result.outcome, GateOutcome::Warned);
        let fields: Vec<_> = result
            .findings
            .iter()
            .map(|f| f.place.as_ref().unwrap().field.as_deref().unwrap())
            .collect();
        assert_eq!(fields, ["signals[1].name", "signals[2].name"]);
        assert!(result.findings[1].message.contains("`rejected`"));
        assert!(result.findings[1].explanation.contains("`error`, `latency_ms`"));
        assert!(!result.findings[1].explanation.contains("schema_failure"));
        let all = BTreeSet::from(["accepted", "rejected"].map(str::to_owned));
        let known_all = Known { heard: &all, answer_schema: false };
        assert_eq!(gate(&app, Some(&policy), &known_all).findings.len(), 1);
        let with_schema = Known { heard: &all, answer_schema: true };
        assert_eq!(gate(&app, Some(&policy), &with_schema).outcome, GateOutcome::Passed);
        assert_eq!(gate(&app, None, &known).outcome, GateOutcome::Passed);
    }
}
