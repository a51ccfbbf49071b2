//! One line of recorded outcomes: one answer.

use analysis::experiment::guard::FAILED;
use analysis::experiment::{Answer, Experiment};
use domain::units::{MAX_SPAN_MILLIS, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// How far shares may be from adding up to one: they are written with few
/// digits.
const ROUNDING: f64 = 1e-3;

/// A line as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    t: f64,
    variant: String,
    /// A number, or one by variant.
    #[serde(default)]
    share: Option<Value>,
    #[serde(default)]
    segment: Option<String>,
    #[serde(default)]
    unit: Option<String>,
    metrics: BTreeMap<String, f64>,
}

/// Reads a line. What is wrong with it, and what to do, otherwise.
pub(super) fn read(experiment: &Experiment, text: &str) -> Result<Answer, String> {
    let line: Line = serde_json::from_str(text).map_err(|e| unread(&e))?;
    let ms = line.t * 1000.0;
    if !(0.0..=MAX_SPAN_MILLIS as f64).contains(&ms) {
        return Err(format!("`t` is {}; it must be seconds since the start, 0 or more", line.t));
    }
    let policy = experiment.policy();
    let variant = variant(experiment, &line.variant)?;
    let segment = line.segment.as_deref();
    Ok(Answer {
        at: Timestamp(ms.round() as i64),
        variant,
        shares: shares(experiment, variant, line.share)?,
        unit: line.unit.as_deref().map(hash),
        segment: segment.and_then(|name| policy.segments.iter().position(|s| s == name)),
        failed: line.metrics.get(FAILED).is_some_and(|value| *value >= 0.5),
        values: line
            .metrics
            .iter()
            .filter_map(|(name, value)| Some((experiment.metric(name)?, *value)))
            .collect(),
        follows: None,
    })
}

/// Why a line does not read, with its column: the number of the line is told
/// by the caller.
fn unread(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let said =
        said.strip_suffix(&place).unwrap_or(&said).replace("expected f64", "expected a number");
    format!("{said} (column {})", error.column())
}

fn variant(experiment: &Experiment, name: &str) -> Result<usize, String> {
    experiment.policy().variant(name).ok_or_else(|| {
        let known: Vec<_> =
            experiment.policy().variants.iter().map(|v| format!("`{}`", v.name)).collect();
        format!("`{name}` is not a variant; the policy has {}", known.join(", "))
    })
}

/// The probability of each variant for this answer.
fn shares(
    experiment: &Experiment,
    variant: usize,
    given: Option<Value>,
) -> Result<Vec<f64>, String> {
    let count = experiment.variants();
    let mut shares = match given {
        None | Some(Value::Null) => return Ok(experiment.policy().planned_shares()),
        Some(Value::Number(number)) if count == 2 => {
            let mine = number.as_f64().unwrap_or(f64::NAN);
            if variant == 0 { vec![mine, 1.0 - mine] } else { vec![1.0 - mine, mine] }
        }
        Some(Value::Object(all)) => {
            let mut shares = vec![0.0; count];
            for (name, value) in all {
                let place = self::variant(experiment, &name)?;
                let value = value
                    .as_f64()
                    .ok_or_else(|| format!("the share of `{name}` is not a number"))?;
                if let Some(share) = shares.get_mut(place) {
                    *share = value;
                }
            }
            shares
        }
        Some(Value::Number(_)) => {
            return Err(format!(
                "with {count} variants `share` must tell all of them: {{\"{}\": 0.5, ...}}",
                experiment.policy().variants.first().map_or("", |v| v.name.as_str())
            ));
        }
        Some(_) => return Err("`share` must be a number, or an object of numbers".to_owned()),
    };
    let sum: f64 = shares.iter().sum();
    let sound = shares.iter().all(|share| (0.0..=1.0).contains(share));
    if !sound || (sum - 1.0).abs() > ROUNDING {
        return Err(format!(
            "the shares add up to {sum}; they must be probabilities that add up to 1"
        ));
    }
    shares.iter_mut().for_each(|share| *share /= sum);
    Ok(shares)
}

/// The same name has the same hash within a run; nothing depends on which.
fn hash(unit: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    unit.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn experiment(variants: &[&str]) -> Experiment {
        let variants: Vec<Value> = variants.iter().map(|name| json!({"name": name})).collect();
        Experiment::new(
            serde_json::from_value(json!({
                "apiVersion": "tidegate/v1",
                "variants": variants,
                "segments": ["web"],
                "reward": {"signal": "accepted", "kind": "rate"},
            }))
            .unwrap(),
        )
    }

    #[test]
    fn a_line_says_who_answered_and_who_might_have() {
        let three = experiment(&["a", "b", "c"]);
        let text = r#"{"t": 1.5, "variant": "c", "share": {"a": 0.5, "c": 0.5}, "segment": "web",
            "unit": "u1", "metrics": {"accepted": 1, "error": 1, "other": 3}}"#;
        let answer = read(&three, text).unwrap();
        assert_eq!((answer.at, answer.variant), (Timestamp(1500), 2));
        assert_eq!(answer.shares, [0.5, 0.0, 0.5]);
        assert_eq!((answer.segment, answer.failed), (Some(0), true));
        assert_eq!(answer.values, [(0, 1.0)]);
        assert!(answer.unit.is_some());
        let plain = read(&three, r#"{"t": 0, "variant": "a", "metrics": {}}"#).unwrap();
        assert_eq!((plain.shares, plain.unit, plain.segment), (vec![1.0 / 3.0; 3], None, None));
        let two = experiment(&["a", "b"]);
        let text = r#"{"t": 0, "variant": "b", "share": 0.25, "metrics": {}}"#;
        assert_eq!(read(&two, text).unwrap().shares, [0.75, 0.25]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let three = experiment(&["a", "b", "c"]);
        let wrong = |text: &str| read(&three, text).unwrap_err();
        insta::assert_snapshot!(
            [
                r#"{"t": -1, "variant": "a", "metrics": {}}"#,
                r#"{"t": 1, "variant": "d", "metrics": {}}"#,
                r#"{"t": 1, "variant": "a", "metrics": {"accepted": null}}"#,
                r#"{"t": 1, "variant": "a", "share": 0.5, "metrics": {}}"#,
                r#"{"t": 1, "variant": "a", "share": "half", "metrics": {}}"#,
                r#"{"t": 1, "variant": "a", "share": {"a": 0.5}, "metrics": {}}"#,
                r#"{"t": 1, "variant": "a", "share": {"d": 1}, "metrics": {}}"#,
                r#"{"t": 1, "variant": "a", "shares": 1, "metrics": {}}"#,
                r#"{"t": 1, "variant": "a"}"#,
            ]
            .map(wrong)
            .join("\n"),
            @r#"
        `t` is -1; it must be seconds since the start, 0 or more
        `d` is not a variant; the policy has `a`, `b`, `c`
        invalid type: null, expected a number (column 53)
        with 3 variants `share` must tell all of them: {"a": 0.5, ...}
        `share` must be a number, or an object of numbers
        the shares add up to 0.5; they must be probabilities that add up to 1
        `d` is not a variant; the policy has `a`, `b`, `c`
        unknown field `shares`, expected one of `t`, `variant`, `share`, `segment`, `unit`, `metrics` (column 33)
        missing field `metrics` (column 24)
        "#
        );
    }
}
