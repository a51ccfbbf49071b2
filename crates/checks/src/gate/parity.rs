//! Gate `feature-parity`: what reaches the prompt is prepared in production as
//! it was in evaluation.
//!
//! Same prompt, same weights, one setting of the data's path changed: nothing
//! else sees that before users do.

use crate::finding::finding;
use domain::component::ComponentKind;
use domain::feature::{DataPath, Field, Sample, differences};
use domain::finding::{Finding, GateOutcome, GateResult, Place, Severity, Tier};
use serde_json::Value;
use std::collections::BTreeMap;

const GATE: (&str, &str) = ("feature-parity", "Data in production as in evaluation");
/// Most findings of one kind that are shown one by one.
const MOST_SHOWN: usize = 5;

/// A feature view or an index of the release on trial.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a> {
    /// Which of the two.
    pub kind: ComponentKind,
    /// Its file in the ops repo.
    pub file: &'a str,
    /// The path in evaluation.
    pub offline: &'a DataPath,
    /// The path in production.
    pub online: &'a DataPath,
    /// Fields of a view; none of an index.
    pub fields: Option<&'a BTreeMap<String, Field>>,
    /// Values both paths gave at one time, and the file they are in.
    pub samples: Option<(&'a str, &'a [Sample])>,
}

/// The gate. Skipped if the release has neither view nor index.
pub fn feature_parity(data: &[Data<'_>]) -> GateResult {
    if data.is_empty() {
        let why = "The release uses no feature view and no index.";
        let mut result = GateResult::of(GATE.0, GATE.1, Tier::Static, why, Vec::new());
        result.outcome = GateOutcome::Skipped;
        return result;
    }
    let findings: Vec<Finding> =
        data.iter().flat_map(|data| paths(data).into_iter().chain(samples(data))).collect();
    let sampled: usize = data.iter().filter_map(|d| d.samples).map(|(_, s)| s.len()).sum();
    let compared = match sampled {
        0 => "no sampled values to compare".to_owned(),
        n => format!("{n} sampled values compared"),
    };
    let names: Vec<&str> = data.iter().map(|d| d.file).collect();
    let agree = if findings.iter().any(|f| f.severity == Severity::Error) {
        "production and evaluation differ"
    } else {
        "both paths prepare values alike"
    };
    let summary = format!("{}: {agree}; {compared}.", names.join(", "));
    GateResult::of(GATE.0, GATE.1, Tier::Static, summary, findings)
}

fn paths(data: &Data<'_>) -> Vec<Finding> {
    let differ = differences(data.offline, data.online);
    let more = differ.len().saturating_sub(MOST_SHOWN);
    let mut findings: Vec<Finding> = differ
        .iter()
        .take(MOST_SHOWN)
        .map(|d| {
            let message = format!(
                "`{}` is {} in production and {} in evaluation.",
                d.place,
                shown(d.online.as_ref()),
                shown(d.offline.as_ref())
            );
            finding(Severity::Error, "path_differs", message)
                .field(data.file, &format!("online.steps.{}", d.place))
                .because(WHY, "Give both paths the same setting, and run the evaluation again if it is the offline one that changes.")
        })
        .collect();
    if more > 0 {
        let message = format!("{more} more settings differ between the two paths.");
        findings.push(
            finding(Severity::Error, "path_differs", message)
                .field(data.file, "online.steps")
                .because(WHY, "Compare `offline.steps` with `online.steps`."),
        );
    }
    findings
}

const WHY: &str = "The same prompt and model answer differently when the data was prepared \
                   differently, and every score of the evaluation was taken on the other data.";

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "absent".to_owned(), |v| format!("`{v}`"))
}

/// Values are never shown: they may be personal.
fn samples(data: &Data<'_>) -> Vec<Finding> {
    let Some(fields) = data.fields else { return Vec::new() };
    let Some((file, samples)) = data.samples else {
        return vec![
            finding(Severity::Note, "nothing_sampled", "No sampled values show that both paths give the same.")
                .field(data.file, "samples")
                .because(
                    "Equal settings do not prove equal code.",
                    "Take a sample from production, put it beside the offline values and name the file in `samples`.",
                ),
        ];
    };
    let mut differ: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for sample in samples {
        let Some(field) = fields.get(&sample.field) else { continue };
        let (wrong, of) = differ.entry(sample.field.as_str()).or_default();
        *of = of.saturating_add(1);
        if !field.agree(&sample.offline, &sample.online) {
            *wrong = wrong.saturating_add(1);
        }
    }
    differ
        .into_iter()
        .filter(|(_, (wrong, _))| *wrong > 0)
        .map(|(name, (wrong, of))| {
            let message = format!(
                "{wrong} of {of} sampled values of `{name}` differ between production and evaluation by more than the tolerance."
            );
            let mut found = finding(Severity::Error, "values_differ", message)
                .field(data.file, &format!("fields.{name}"))
                .because(WHY, "Find the step that differs; if such a difference does not matter, raise the field's `tolerance`.");
            found.place = Some(Place { file: file.to_owned(), field: Some(name.to_owned()), ..Place::default() });
            found
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::feature::FieldKind;
    use serde_json::json;

    fn path(steps: Value) -> DataPath {
        DataPath { from: "x".into(), steps: steps.as_object().cloned().unwrap() }
    }

    fn sample(offline: Value, online: Value) -> Sample {
        Sample { entity: "c-1".into(), field: "wait".into(), offline, online }
    }

    #[test]
    fn one_changed_normalisation_is_named_with_both_values() {
        let offline = path(json!({"normalisation": "l2", "chunker": {"size": 400}}));
        let online = path(json!({"normalisation": "none", "chunker": {"size": 400}}));
        let data = |online| Data {
            kind: ComponentKind::Index,
            file: "indexes/help.yaml",
            offline: &offline,
            online,
            fields: None,
            samples: None,
        };
        let result = feature_parity(&[data(&online)]);
        assert_eq!(result.outcome, GateOutcome::Failed);
        assert_eq!(
            result.findings[0].message,
            "`normalisation` is `\"none\"` in production and `\"l2\"` in evaluation."
        );
        assert_eq!(feature_parity(&[data(&offline)]).outcome, GateOutcome::Passed);
        assert_eq!(feature_parity(&[]).outcome, GateOutcome::Skipped);
    }

    #[test]
    fn sampled_values_count_beyond_their_tolerance_and_are_never_shown() {
        let both = path(json!({"as_is": true}));
        let fields = BTreeMap::from([(
            "wait".to_owned(),
            Field { kind: FieldKind::Number, tolerance: 1.0 },
        )]);
        let check = |samples: &[Sample]| {
            feature_parity(&[Data {
                kind: ComponentKind::FeatureView,
                file: "features/c.yaml",
                offline: &both,
                online: &both,
                fields: Some(&fields),
                samples: Some(("features/c.samples.jsonl", samples)),
            }])
        };
        let fine = [sample(json!(10), json!(11)), sample(json!(5), json!(5))];
        assert_eq!(check(&fine).outcome, GateOutcome::Passed);
        let result = check(&[sample(json!(10), json!(77123)), sample(json!(5), json!(5))]);
        assert!(result.findings[0].message.starts_with("1 of 2"), "{:?}", result.findings);
        assert!(!serde_json::to_string(&result).unwrap().contains("77123"));
    }
}
