//! From measured values to rewards, and back to what people read.
//!
//! A reward is the primary metric, turned so that more is better, less `price` ×
//! cost. Tests and beliefs see it on the scale of [0, 1]; what lies outside the
//! range of the policy counts as its end, and is counted.

use domain::experiment::{CostTerm, ExperimentPolicy, Reward};
use domain::policy::{SignalKind, Worse};

/// How rewards are made of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    range: (f64, f64),
    sign: f64,
    cost: Option<CostTerm>,
    binary: bool,
    low: f64,
    high: f64,
}

/// One reward.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Made {
    /// In the unit of the primary metric.
    pub value: f64,
    /// The same on the scale of [0, 1].
    pub unit: f64,
    /// Something lay outside its range.
    pub cut: bool,
}

impl Scale {
    /// The scale of a policy.
    pub fn of(policy: &ExperimentPolicy) -> Self {
        let Reward { kind, worse, range, cost, .. } = &policy.reward;
        let range = range.filter(|_| *kind != SignalKind::Rate).unwrap_or((0.0, 1.0));
        let sign = if *worse == Worse::Lower { 1.0 } else { -1.0 };
        let most = cost.as_ref().map_or(0.0, |cost| cost.price * cost.at_most);
        let (worst, best) = if sign > 0.0 { range } else { (-range.1, -range.0) };
        Self {
            range,
            sign,
            cost: cost.clone(),
            binary: *kind == SignalKind::Rate && cost.is_none(),
            low: worst - most,
            high: best,
        }
    }

    /// True if rewards are 0 or 1.
    pub fn is_binary(&self) -> bool {
        self.binary
    }

    /// A reward of these values; none if one is missing or no number.
    pub fn reward(&self, primary: Option<f64>, cost: Option<f64>) -> Option<Made> {
        let given = primary.filter(|value| !value.is_nan())?;
        let mut value = given.clamp(self.range.0, self.range.1);
        if self.binary {
            value = f64::from(u8::from(value >= 0.5));
        }
        let mut cut = given < self.range.0 || given > self.range.1;
        value *= self.sign;
        if let Some(term) = &self.cost {
            let given = cost.filter(|cost| !cost.is_nan())?;
            let cost = given.clamp(0.0, term.at_most);
            cut |= given != cost;
            value -= term.price * cost;
        }
        let unit = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        Some(Made { value, unit, cut })
    }

    /// A mean of rewards on [0, 1] in the unit of the primary metric.
    pub fn value(&self, unit: f64) -> f64 {
        self.low + unit * (self.high - self.low)
    }

    /// A difference of rewards on [0, 1] in the unit of the primary metric.
    pub fn difference(&self, unit: f64) -> f64 {
        unit * (self.high - self.low)
    }

    /// A difference in the unit of the primary metric, on [0, 1].
    pub fn unit_difference(&self, value: f64) -> f64 {
        value / (self.high - self.low)
    }

    /// The lowest and the highest reward.
    pub fn bounds(&self) -> (f64, f64) {
        (self.low, self.high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn scale(reward: Value) -> Scale {
        let policy = json!({
            "apiVersion": "tidegate/v1",
            "variants": [{"name": "a"}, {"name": "b"}],
            "reward": reward,
        });
        Scale::of(&serde_json::from_value(policy).unwrap())
    }

    #[test]
    fn cost_is_taken_off_at_its_price() {
        let scale = scale(json!({
            "signal": "accepted", "kind": "rate",
            "cost": {"signal": "cost", "price": 20, "at_most": 0.01},
        }));
        assert_eq!(scale.bounds(), (-0.2, 1.0));
        let made = scale.reward(Some(1.0), Some(0.004)).unwrap();
        assert!((made.value - 0.92).abs() < 1e-12 && !made.cut);
        assert!((scale.value(made.unit) - 0.92).abs() < 1e-12);
        assert!(!scale.is_binary());
        // Dearer than the dearest counts as that, and is told.
        let dear = scale.reward(Some(0.0), Some(3.0)).unwrap();
        assert!((dear.unit).abs() < 1e-12 && dear.cut);
        assert_eq!(scale.reward(Some(1.0), None), None);
        assert_eq!(scale.reward(None, Some(0.1)), None);
        assert_eq!(scale.reward(Some(f64::NAN), Some(0.1)), None);
    }

    #[test]
    fn less_of_what_is_bad_is_more_reward() {
        let scale = scale(json!({
            "signal": "latency_ms", "kind": "latency", "worse": "higher", "range": [0, 2000],
        }));
        let made = scale.reward(Some(500.0), None).unwrap();
        assert_eq!((made.value, made.unit, made.cut), (-500.0, 0.75, false));
        assert!(scale.reward(Some(9000.0), None).unwrap().cut);
        assert_eq!(scale.unit_difference(100.0), 0.05);
        let errors = self::scale(json!({"signal": "error", "kind": "rate", "worse": "higher"}));
        assert!(errors.is_binary());
        assert_eq!(errors.reward(Some(1.0), None).unwrap().unit, 0.0);
        assert_eq!(errors.reward(Some(0.0), None).unwrap().unit, 1.0);
    }
}
