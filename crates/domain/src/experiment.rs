//! The experiment policy: several variants, one reward, and what ends it.
//!
//! Plain data, YAML and JSON, as `docs/experiments.md` describes it. What the
//! numbers say of it is in `analysis::experiment`; an experiment on live traffic
//! is [`live`], and who gets which variant [`division`].

pub mod division;
pub mod live;

use crate::manifest::API_VERSION;
use crate::policy::{
    PolicyError, RolloutPolicy, Signal, SignalAction, SignalKind, SubjectKey, Worse,
};
use crate::telemetry::MAX_FEEDBACK_NAME;
use crate::units::{Ratio, Share, Span};
use serde::{Deserialize, Serialize};

/// Most variants of an experiment.
pub const MAX_VARIANTS: usize = 10;
/// Most named segments.
pub const MAX_SEGMENTS: usize = 20;

/// Which variants are compared, by what, and at which risks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExperimentPolicy {
    /// Always `tidegate/v1`.
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// What is compared: 2 to 10 of them.
    pub variants: Vec<Variant>,
    /// The variant the guards compare with; the first one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    /// Whose requests stick together; as in the app's rollout plan if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<SubjectKey>,
    /// How traffic is divided.
    #[serde(default)]
    pub allocate: Allocate,
    /// The least share of a variant that is not dropped; half of an equal share
    /// if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Share>,
    /// How often shares and verdicts are looked at.
    #[serde(default = "default_check_every")]
    pub check_every: Span,
    /// Rewards of every variant below which there is no verdict and no new
    /// division of traffic.
    #[serde(default = "default_min_requests")]
    pub min_requests: u64,
    /// Segments with a winner and a division of traffic of their own; all
    /// others together are one more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<String>,
    /// Live: the attribute of a request (`tidegate.attrs`) that names its
    /// segment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment_by: Option<String>,
    /// What is to be as large as possible.
    pub reward: Reward,
    /// The smallest difference of mean rewards that matters, in the reward's
    /// unit. Above zero an experiment also ends when variants are shown to be
    /// as good as each other.
    #[serde(default)]
    pub notice: Ratio,
    /// Metrics that are shown and not decided on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secondary: Vec<String>,
    /// What drops a variant that does harm, compared with control.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<Signal>,
    /// Accepted risks over the whole experiment and all looks at it.
    #[serde(default)]
    pub risk: ExperimentRisk,
    /// The same seed gives the same bootstrap intervals.
    #[serde(default = "default_seed")]
    pub seed: u64,
}

fn default_check_every() -> Span {
    Span::from_secs(3600)
}

fn default_min_requests() -> u64 {
    100
}

fn default_seed() -> u64 {
    1
}

/// One thing that is tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Its name, as recorded outcomes have it.
    pub name: String,
    /// Its share of the traffic: of a fixed division, or the one to begin
    /// with. An equal one if no variant has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// Live: the prompt of the app that answers, instead of the release's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Live: the model that answers, instead of the release's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

impl Variant {
    /// True if it is made as the app's release is.
    pub fn is_release(&self) -> bool {
        self.prompt.is_none() && self.model.is_none()
    }
}

/// How traffic is divided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Allocate {
    /// As planned, from beginning to end.
    Fixed,
    /// More to what is probably best (Thompson sampling), never less than the
    /// floor to any.
    #[default]
    Thompson,
}

/// What is to be as large as possible: a metric, less what it costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reward {
    /// The primary metric.
    pub signal: String,
    /// The kind of number it is.
    pub kind: SignalKind,
    /// Which direction is bad; `lower` if absent, as rewards are good.
    #[serde(default = "lower")]
    pub worse: Worse,
    /// Lowest and highest value; not for rates. What lies outside counts as
    /// the end it lies beyond.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<(f64, f64)>,
    /// What is taken off for money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<CostTerm>,
}

fn lower() -> Worse {
    Worse::Lower
}

/// Money in a reward: `price` × cost is taken off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostTerm {
    /// The metric that is money.
    pub signal: String,
    /// How much primary metric one unit of money is worth.
    pub price: f64,
    /// The highest cost of one answer; one that costs more counts as this.
    pub at_most: f64,
}

/// Accepted risks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExperimentRisk {
    /// Declaring a winner while another variant is better by more than
    /// `notice`.
    #[serde(default = "default_wrong_winner")]
    pub wrong_winner: Ratio,
    /// Dropping any variant although none differs from control in any guard.
    #[serde(default = "default_false_drop")]
    pub false_drop: Ratio,
}

fn default_wrong_winner() -> Ratio {
    Ratio(0.05)
}

fn default_false_drop() -> Ratio {
    Ratio(0.01)
}

impl Default for ExperimentRisk {
    fn default() -> Self {
        Self { wrong_winner: default_wrong_winner(), false_drop: default_false_drop() }
    }
}

impl ExperimentPolicy {
    /// Place of this variant in the list.
    pub fn variant(&self, name: &str) -> Option<usize> {
        self.variants.iter().position(|variant| variant.name == name)
    }

    /// Place of control in the list.
    pub fn control(&self) -> usize {
        self.control.as_deref().and_then(|name| self.variant(name)).unwrap_or(0)
    }

    /// The planned share of each variant: what a fixed division keeps, and
    /// what any other begins with.
    pub fn planned_shares(&self) -> Vec<f64> {
        let equal = 1.0 / self.variants.len().max(1) as f64;
        self.variants.iter().map(|variant| variant.share.map_or(equal, Share::fraction)).collect()
    }

    /// The least share of a variant that is not dropped.
    pub fn least_share(&self) -> f64 {
        let half = 0.5 / self.variants.len().max(1) as f64;
        self.floor.map_or(half, Share::fraction)
    }

    /// The guards as the policy of a rollout, each variant against control.
    pub fn guard_policy(&self) -> Option<RolloutPolicy> {
        let mut policy: RolloutPolicy = serde_json::from_value(serde_json::json!({
            "apiVersion": API_VERSION,
            "signals": [],
        }))
        .ok()?;
        policy.check_every = self.check_every;
        policy.signals.clone_from(&self.guards);
        let others = self.variants.len().saturating_sub(1).max(1) as f64;
        policy.risk.false_stop = Ratio(self.risk.false_drop.0 / others);
        Some(policy)
    }

    /// What else a policy needs to run on live traffic. All faults.
    pub fn live_faults(&self) -> Vec<PolicyError> {
        let mut faults = Vec::new();
        let mut fault = |field: String, problem: &str| {
            faults.push(PolicyError { field, problem: problem.to_owned() });
        };
        let control = self.control();
        if self.variants.get(control).is_some_and(|variant| !variant.is_release()) {
            let problem = "is control, so it is the app's release: it names no `prompt` and no `model` of its own";
            fault(format!("variants[{control}]"), problem);
        }
        if self.segments.is_empty() != self.segment_by.is_none() {
            let problem = "and `segments` go together: the attribute of a request that names its segment, and the segments";
            fault("segment_by".to_owned(), problem);
        }
        faults
    }

    /// Checks what the types cannot say. All faults, not only the first.
    pub fn faults(&self) -> Vec<PolicyError> {
        let mut faults = Vec::new();
        let mut unless = |sound: bool, field: &str, problem: &str| {
            if !sound {
                faults.push(PolicyError { field: field.to_owned(), problem: problem.to_owned() });
            }
        };
        unless(self.api_version == API_VERSION, "apiVersion", "must be `tidegate/v1`");
        unless(self.check_every > Span::ZERO, "check_every", "must be longer than nothing");
        let k = self.variants.len();
        unless((2..=MAX_VARIANTS).contains(&k), "variants", "must be 2 to 10");
        for (i, variant) in self.variants.iter().enumerate() {
            let field = format!("variants[{i}].name");
            let problem = "must be 1 to 64 letters, digits, `_`, `-` or `.`";
            unless(is_name(&variant.name), &field, problem);
            let first = self.variant(&variant.name) == Some(i);
            unless(first, &field, "names a variant a second time");
        }
        self.check_shares(&mut unless);
        let known = self.control.as_deref().is_none_or(|name| self.variant(name).is_some());
        unless(known, "control", "must be one of the variants");
        let problem = "are more than 20";
        unless(self.segments.len() <= MAX_SEGMENTS, "segments", problem);
        for (i, name) in self.segments.iter().enumerate() {
            let first = self.segments.iter().position(|other| other == name) == Some(i);
            unless(first, &format!("segments[{i}]"), "names a segment a second time");
        }
        let attribute = self.segment_by.as_deref().is_none_or(is_name);
        let problem = "must be 1 to 64 letters, digits, `_`, `-` or `.`";
        unless(attribute, "segment_by", problem);
        self.reward.check(&mut unless);
        let notice = self.notice.0 >= 0.0 && self.notice.0.is_finite();
        unless(notice, "notice", "must be 0 or more");
        for (field, risk) in [
            ("risk.wrong_winner", self.risk.wrong_winner),
            ("risk.false_drop", self.risk.false_drop),
        ] {
            unless(risk.0 > 0.0 && risk.0 < 0.5, field, "must lie between 0 and 50%");
        }
        self.check_guards(&mut unless);
        faults
    }

    fn check_shares(&self, unless: &mut impl FnMut(bool, &str, &str)) {
        let shares: Vec<Share> = self.variants.iter().filter_map(|v| v.share).collect();
        if !shares.is_empty() {
            let all = shares.len() == self.variants.len();
            unless(all, "variants", "have a `share` each, or none has");
            let sum: u32 = shares.iter().map(|share| u32::from(share.bp())).sum();
            unless(!all || sum == 10_000, "variants", "have shares that do not add up to 100%");
            let some = shares.iter().all(|share| *share > Share::NONE);
            unless(some, "variants", "have a share of 0%; leave out what nobody gets");
        }
        let Some(floor) = self.floor else { return };
        let most = 1.0 / self.variants.len().max(1) as f64;
        let problem = "must be above 0% and at most an equal share of the traffic";
        unless(floor > Share::NONE && floor.fraction() <= most, "floor", problem);
        let thompson = self.allocate == Allocate::Thompson;
        unless(thompson, "floor", "only goes with `allocate: thompson`");
    }

    fn check_guards(&self, unless: &mut impl FnMut(bool, &str, &str)) {
        for (i, guard) in self.guards.iter().enumerate() {
            let acts = matches!(guard.action, SignalAction::Rollback | SignalAction::Notify);
            let problem = "must be `rollback`, which drops the variant, or `notify`";
            unless(acts, &format!("guards[{i}].action"), problem);
        }
        let inner = self.guard_policy().map(|policy| policy.faults()).unwrap_or_default();
        for fault in inner {
            if let Some(rest) = fault.field.strip_prefix("signals[") {
                unless(false, &format!("guards[{rest}"), &fault.problem);
            }
        }
    }
}

impl Reward {
    fn check(&self, unless: &mut impl FnMut(bool, &str, &str)) {
        let names = "must be 1 to 64 letters, digits, `_`, `-` or `.`";
        unless(is_name(&self.signal), "reward.signal", names);
        let sound = |(low, high): (f64, f64)| low < high && (high - low).is_finite();
        match (self.kind, self.range) {
            (SignalKind::Rate, range) => {
                unless(range.is_none(), "reward.range", "is not for rates, which are 0 or 1");
            }
            (_, range) => {
                let problem = "is needed: `[lowest, highest]`; the risk of a wrong winner cannot be bounded for numbers without bounds";
                unless(range.is_some_and(sound), "reward.range", problem);
            }
        }
        let Some(cost) = &self.cost else { return };
        unless(is_name(&cost.signal), "reward.cost.signal", names);
        for (field, value) in
            [("reward.cost.price", cost.price), ("reward.cost.at_most", cost.at_most)]
        {
            unless(value > 0.0 && value.is_finite(), field, "must be above 0");
        }
    }
}

/// Names appear in sentences and tables.
fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    !name.is_empty() && name.len() <= MAX_FEEDBACK_NAME && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn sound() -> Value {
        json!({
            "apiVersion": "tidegate/v1",
            "variants": [{"name": "today"}, {"name": "short"}, {"name": "friendly"}],
            "floor": "10%",
            "segments": ["web", "phone"],
            "reward": {
                "signal": "accepted", "kind": "rate",
                "cost": {"signal": "cost", "price": 20, "at_most": 0.01},
            },
            "guards": [{"name": "error", "kind": "rate", "notice": {"times": 2}, "action": "rollback"}],
        })
    }

    fn faults(policy: Value) -> Vec<String> {
        let policy: ExperimentPolicy = serde_json::from_value(policy).unwrap();
        policy.faults().into_iter().map(|f| f.field).collect()
    }

    /// One thing altered at a time: the fault names exactly that field.
    #[test]
    fn every_fault_names_its_field() {
        assert_eq!(faults(sound()), Vec::<String>::new());
        for (key, value, field) in [
            ("apiVersion", json!("tidegate/v2"), "apiVersion"),
            ("check_every", json!(0), "check_every"),
            ("variants", json!([{"name": "a"}]), "variants"),
            ("variants", json!([{"name": "a"}, {"name": "a"}]), "variants[1].name"),
            ("variants", json!([{"name": "a"}, {"name": "b c"}]), "variants[1].name"),
            ("variants", json!([{"name": "a", "share": "50%"}, {"name": "b"}]), "variants"),
            (
                "variants",
                json!([{"name": "a", "share": "50%"}, {"name": "b", "share": "40%"}]),
                "variants",
            ),
            ("control", json!("yesterday"), "control"),
            ("floor", json!("40%"), "floor"),
            ("floor", json!("0%"), "floor"),
            ("allocate", json!("fixed"), "floor"),
            ("segments", json!(["web", "web"]), "segments[1]"),
            ("reward", json!({"signal": "csat", "kind": "score"}), "reward.range"),
            ("reward", json!({"signal": "ok", "kind": "rate", "range": [0, 1]}), "reward.range"),
            ("reward", json!({"signal": "", "kind": "rate"}), "reward.signal"),
            (
                "reward",
                json!({"signal": "ok", "kind": "rate", "cost": {"signal": "c", "price": 0, "at_most": 1}}),
                "reward.cost.price",
            ),
            ("notice", json!(-1), "notice"),
            ("risk", json!({"wrong_winner": 0}), "risk.wrong_winner"),
            ("risk", json!({"false_drop": "50%"}), "risk.false_drop"),
            (
                "guards",
                json!([{"name": "error", "kind": "rate", "notice": {"times": 2}, "action": "pause"}]),
                "guards[0].action",
            ),
            (
                "guards",
                json!([{"name": "error", "kind": "rate", "notice": {"times": 1}, "action": "rollback"}]),
                "guards[0].notice.times",
            ),
        ] {
            let mut policy = sound();
            policy[key] = value.clone();
            assert_eq!(faults(policy), [field], "{key}: {value}");
        }
    }

    #[test]
    fn shares_are_equal_unless_planned() {
        let read = |policy| serde_json::from_value::<ExperimentPolicy>(policy).unwrap();
        let policy = read(sound());
        assert_eq!(policy.planned_shares(), [1.0 / 3.0; 3]);
        assert_eq!((policy.control(), policy.least_share()), (0, 0.1));
        let mut planned = sound();
        planned["variants"] = json!([{"name": "a", "share": "75%"}, {"name": "b", "share": "25%"}]);
        planned["control"] = json!("b");
        planned["floor"] = Value::Null;
        let policy = read(planned);
        assert_eq!(policy.planned_shares(), [0.75, 0.25]);
        assert_eq!((policy.control(), policy.least_share()), (1, 0.25));
    }

    #[test]
    fn the_risk_of_a_false_drop_is_divided_by_the_variants() {
        let policy: ExperimentPolicy = serde_json::from_value(sound()).unwrap();
        let guards = policy.guard_policy().unwrap();
        assert_eq!(guards.risk.false_stop, Ratio(0.005));
        assert_eq!((guards.signals.len(), guards.check_every), (1, policy.check_every));
    }
}
