//! From stored outcomes to what the tests of a policy take in.

use analysis::{Engine, Label, Outcome};
use domain::policy::{RolloutPolicy, SCHEMA_FAILURE};
use std::collections::BTreeMap;
use store::{KnownOutcome, Measured};

/// The signals of a policy by name, and by the name of what people say of them.
#[derive(Debug)]
pub(super) struct Signals {
    named: BTreeMap<String, u16>,
    labels: Vec<(String, u16)>,
}

impl Signals {
    pub(super) fn new(policy: &RolloutPolicy) -> Self {
        let signals = || (0..).zip(&policy.signals);
        Self {
            named: signals().map(|(index, signal)| (signal.name.clone(), index)).collect(),
            labels: signals()
                .filter_map(|(index, signal)| Some((signal.label_name()?, index)))
                .collect(),
        }
    }

    /// Feeds the tests what became known. A label of people is no outcome of its
    /// own, unless a signal has its name too.
    pub(super) fn feed(&self, engine: &mut Engine, known: &KnownOutcome) {
        let mut labels = self.labels(known).peekable();
        let only_label = labels.peek().is_some();
        labels.for_each(|label| engine.label(&label));
        let outcome = self.outcome(known);
        if !(only_label && outcome.values.is_empty()) {
            engine.add(&outcome);
        }
    }

    /// What a person says here of answers that a judge judges too.
    fn labels<'a>(&'a self, known: &'a KnownOutcome) -> impl Iterator<Item = Label> + 'a {
        let said = match (&known.measured, known.answer) {
            (Measured::Feedback { name, value }, Some(answer)) => Some((name, *value, answer)),
            _ => None,
        };
        said.into_iter().flat_map(move |(name, value, answer)| {
            let signals = self.labels.iter().filter(move |(of, _)| of == name);
            signals.map(move |(_, signal)| Label {
                side: known.side,
                answer,
                signal: *signal,
                value,
            })
        })
    }

    /// Names are looked up in the policy, so that a signal nobody watches costs
    /// nothing.
    pub(super) fn outcome(&self, known: &KnownOutcome) -> Outcome {
        let failed = matches!(known.measured, Measured::Answer { failed: true, .. });
        let value = |(name, value): (&str, f64)| self.named.get(name).map(|index| (*index, value));
        let values = match &known.measured {
            Measured::Answer { .. } => {
                measured(&known.measured).into_iter().filter_map(value).collect()
            }
            Measured::Feedback { name, .. } if is_built_in(name) => Vec::new(),
            Measured::Feedback { name, value: said } => value((name, *said)).into_iter().collect(),
        };
        Outcome {
            at: known.place.known,
            side: known.side,
            share: known.share.fraction(),
            unit: Some(known.unit),
            pair: known.pair,
            input: Some(known.input),
            segment: known.segment,
            answer: known.answer,
            step: known.step,
            failed,
            values,
        }
    }
}

fn is_built_in(name: &str) -> bool {
    domain::policy::BUILT_IN_SIGNALS.contains(&name)
}

/// What was measured, by the names of signals, in their units. Feedback under the
/// name of a built-in signal is no measurement.
pub(crate) fn measured(measured: &Measured) -> Vec<(&str, f64)> {
    match measured {
        Measured::Answer {
            failed,
            fallback,
            latency_us,
            ttft_us,
            cost_nano_usd,
            output_tokens,
            schema_failed,
        } => {
            let flag = |is: bool| f64::from(u8::from(is));
            let mut values = vec![
                ("error", flag(*failed)),
                ("fallback", flag(*fallback)),
                ("latency_ms", *latency_us as f64 / 1e3),
                ("ttft_ms", *ttft_us as f64 / 1e3),
                ("cost", *cost_nano_usd as f64 / 1e9),
            ];
            values.extend(output_tokens.map(|tokens| ("output_tokens", tokens as f64)));
            values.extend(schema_failed.map(|failed| (SCHEMA_FAILURE, flag(failed))));
            values
        }
        Measured::Feedback { name, .. } if is_built_in(name) => Vec::new(),
        Measured::Feedback { name, value } => vec![(name, *value)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use analysis::Side;
    use domain::units::{Share, Timestamp};
    use store::OutcomePlace;

    fn known(measured: Measured) -> KnownOutcome {
        KnownOutcome {
            place: OutcomePlace { known: Timestamp(7), id: -1 },
            side: Side::Candidate,
            share: Share::from_bp(2500),
            step: 1,
            unit: 11,
            pair: None,
            input: 12,
            segment: Some(13),
            answer: Some(14),
            halvings: 0,
            drawn: None,
            measured,
        }
    }

    #[test]
    fn signals_get_what_was_measured_in_their_unit_and_no_more() {
        let policy: RolloutPolicy = serde_json::from_value(serde_json::json!({
            "apiVersion": "tidegate/v1",
            "signals": [
                {"name": "accepted", "kind": "rate", "worse": "lower", "limit": 0.5, "action": "pause"},
                {"name": "latency_ms", "kind": "latency", "limit": 900, "action": "pause"},
                {"name": "cost", "kind": "amount", "limit": 0.1, "action": "pause"},
                {"name": "error", "kind": "rate", "limit": 0.1, "action": "pause"},
                {"name": "schema_failure", "kind": "rate", "limit": 0.1, "action": "pause"},
            ],
        }))
        .unwrap();
        let signals = Signals::new(&policy);
        let answer = signals.outcome(&known(Measured::Answer {
            failed: true,
            fallback: true,
            latency_us: 1_500,
            ttft_us: 900,
            cost_nano_usd: 2_000_000,
            output_tokens: None,
            schema_failed: Some(true),
        }));
        assert_eq!(answer.values, [(3, 1.0), (1, 1.5), (2, 0.002), (4, 1.0)]);
        assert_eq!((answer.failed, answer.share, answer.unit), (true, 0.25, Some(11)));
        let said = |name: &str| {
            let name = name.to_owned();
            signals.outcome(&known(Measured::Feedback { name, value: 1.0 })).values
        };
        assert_eq!(said("accepted"), [(0, 1.0)]);
        assert_eq!(said("csat"), [], "nobody watches it");
        assert_eq!(said("error"), [], "gateways measure this, nobody posts it");
    }

    #[test]
    fn labels_go_to_the_signals_that_asked_for_them() {
        let human = serde_json::json!({"human": {"share": 0.1}});
        let named = serde_json::json!({"human": {"share": 0.1, "name": "helpful.human"}});
        let policy: RolloutPolicy = serde_json::from_value(serde_json::json!({
            "apiVersion": "tidegate/v1",
            "signals": [
                {"name": "helpful", "kind": "rate", "limit": 0.5, "judge": human, "action": "pause"},
                {"name": "kind", "kind": "rate", "limit": 0.5, "judge": named, "action": "pause"},
                {"name": "tone", "kind": "rate", "limit": 0.5, "action": "pause"},
            ],
        }))
        .unwrap();
        let signals = Signals::new(&policy);
        let said = |name: &str| {
            let name = name.to_owned();
            let known = known(Measured::Feedback { name, value: 1.0 });
            signals.labels(&known).collect::<Vec<_>>()
        };
        let label = |signal| Label { side: Side::Candidate, answer: 14, signal, value: 1.0 };
        assert_eq!(said("helpful.human"), [label(0), label(1)]);
        assert_eq!(said("helpful"), [], "the judge's word is no label");
        assert_eq!(said("tone.human"), []);
        let mut older = known(Measured::Feedback { name: "helpful.human".to_owned(), value: 1.0 });
        older.answer = None;
        assert_eq!(signals.labels(&older).count(), 0, "nobody knows of which answer");
    }
}
