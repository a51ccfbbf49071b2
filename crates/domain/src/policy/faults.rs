//! What the types of a policy cannot say: every fault with its field and what
//! to do, so that one reading shows them all.

use super::{
    MAX_SIGNALS, MAX_STEPS, Notice, RolloutPolicy, Shadow, Signal, SignalKind, Step, Until, Weight,
    Worse,
};
use crate::people::{self, Permission};
use crate::telemetry::MAX_FEEDBACK_NAME;
use crate::units::{Share, Span};

/// A policy that reads but makes no sense, with the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct PolicyError {
    /// Dotted path such as `steps[2].weight.share`.
    pub field: String,
    /// What is wrong and what to do.
    pub problem: String,
}

/// Faults found so far.
#[derive(Default)]
struct Faults(Vec<PolicyError>);

impl Faults {
    fn add(&mut self, field: impl Into<String>, problem: &str) {
        self.0.push(PolicyError { field: field.into(), problem: problem.to_owned() });
    }

    fn unless(&mut self, sound: bool, field: impl Into<String>, problem: &str) {
        if !sound {
            self.add(field, problem);
        }
    }
}

impl RolloutPolicy {
    /// Checks what the types cannot say. All faults, not only the first.
    pub fn faults(&self) -> Vec<PolicyError> {
        let mut faults = Faults::default();
        self.check_head(&mut faults);
        self.check_steps(&mut faults);
        self.check_signals(&mut faults);
        faults.0
    }

    fn check_head(&self, faults: &mut Faults) {
        let api = self.api_version == crate::manifest::API_VERSION;
        faults.unless(api, "apiVersion", "must be `tidegate/v1`");
        let checks = self.check_every > Span::ZERO;
        faults.unless(checks, "check_every", "must be longer than nothing; `60s` is usual");
        for (field, risk) in [
            ("risk.false_stop", self.risk.false_stop),
            ("risk.false_promote", self.risk.false_promote),
        ] {
            faults.unless(risk.0 > 0.0 && risk.0 < 0.5, field, "must lie between 0 and 50%");
        }
    }

    fn check_steps(&self, faults: &mut Faults) {
        faults.unless(self.steps.len() <= MAX_STEPS, "steps", "has more than 50 steps");
        let mut last = Share::NONE;
        for (i, step) in self.steps.iter().enumerate() {
            match step {
                Step::Weight(weight) => {
                    check_weight(weight, last, &format!("steps[{i}].weight"), faults);
                    last = weight.share;
                }
                Step::Shadow(shadow) => {
                    check_shadow(shadow, &format!("steps[{i}].shadow"), faults);
                }
                Step::Approval(step) => {
                    let decides = people::may(&[step.role].into(), Permission::Approve);
                    let field = format!("steps[{i}].approval.role");
                    faults.unless(decides, field, "must be a role that approves: `approver`");
                }
                Step::Promote(_) => {
                    let ends = i + 1 == self.steps.len();
                    faults.unless(ends, format!("steps[{i}].promote"), "must be the last step");
                }
                Step::Hold(_) => {}
            }
        }
        let ends = matches!(self.steps.last(), None | Some(Step::Promote(_)));
        faults.unless(ends, "steps", "must end with `- promote: {}`");
        self.check_evidence(faults);
    }

    /// Evidence is a comparison with control; somebody must be compared.
    fn check_evidence(&self, faults: &mut Faults) {
        let compares = self.signals.iter().any(|s| s.notice.is_some());
        let asks = |s: &Step| matches!(s, Step::Weight(w) if w.until == Some(Until::Evidence));
        if let Some(i) = self.steps.iter().position(asks).filter(|_| !compares) {
            let problem = "asks for evidence, but no signal has `notice`, so there is none to come";
            faults.add(format!("steps[{i}].weight.until"), problem);
        }
    }

    fn check_signals(&self, faults: &mut Faults) {
        let some = !self.signals.is_empty();
        faults.unless(
            some,
            "signals",
            "is empty: a rollout that measures nothing cannot be judged",
        );
        let few = self.signals.len() <= MAX_SIGNALS;
        faults.unless(few, "signals", "has more than 50 signals");
        for (i, signal) in self.signals.iter().enumerate() {
            let known = self.signals.iter().take(i).any(|s| s.name == signal.name);
            faults.unless(!known, format!("signals[{i}].name"), "names a signal a second time");
            check_signal(signal, &format!("signals[{i}]"), faults);
        }
    }
}

fn check_weight(weight: &Weight, last: Share, at: &str, faults: &mut Faults) {
    let grows = weight.share > last || last == Share::NONE;
    faults.unless(grows, format!("{at}.share"), "must grow from step to step");
    let some = weight.share > Share::NONE;
    faults.unless(some, format!("{at}.share"), "must be more than 0%");
    let Some(at_most) = weight.at_most else { return };
    let field = format!("{at}.at_most");
    faults.unless(weight.until.is_some(), field.clone(), "only goes with `until: evidence`");
    faults.unless(at_most > weight.hold, field, "must be longer than `hold`");
}

fn check_shadow(shadow: &Shadow, at: &str, faults: &mut Faults) {
    let some = shadow.share > Share::NONE;
    faults.unless(some, format!("{at}.share"), "must be more than 0%");
    let ends = shadow.until.requests.is_some() || shadow.until.time.is_some();
    faults.unless(ends, format!("{at}.until"), "needs `requests`, `time` or both");
}

fn check_signal(signal: &Signal, at: &str, faults: &mut Faults) {
    let problem = "must be 1 to 64 letters, digits, `_`, `-` or `.`";
    faults.unless(is_signal_name(&signal.name), format!("{at}.name"), problem);
    let judged = signal.limit.is_some() || signal.notice.is_some();
    let problem =
        "is missing: a signal needs `notice` (against control), `limit` (absolute) or both";
    faults.unless(judged, format!("{at}.notice"), problem);
    check_notice(signal, at, faults);
    if signal.kind == SignalKind::Score {
        let sound = |(low, high): (f64, f64)| low < high && (high - low).is_finite();
        let problem = "is needed for a score: `[lowest, highest]`";
        faults.unless(signal.range.is_some_and(sound), format!("{at}.range"), problem);
    }
}

fn check_notice(signal: &Signal, at: &str, faults: &mut Faults) {
    match (signal.notice, signal.worse) {
        (Some(Notice::Times(times)), worse) => {
            let sound = match worse {
                Worse::Higher => times > 1.0 && times.is_finite(),
                Worse::Lower => times > 0.0 && times < 1.0,
            };
            let problem =
                "must be above 1 where higher is worse, and between 0 and 1 where lower is worse";
            faults.unless(sound, format!("{at}.notice.times"), problem);
        }
        (Some(Notice::By(by)), _) => {
            faults.unless(by.0 > 0.0, format!("{at}.notice.by"), "must be above 0");
        }
        (None, _) => {}
    }
}

/// Names appear in sentences, headers and metric labels.
fn is_signal_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    !name.is_empty() && name.len() <= MAX_FEEDBACK_NAME && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::Role;
    use serde_json::{Value, json};

    fn sound() -> Value {
        json!({
            "apiVersion": "tidegate/v1",
            "steps": [
                {"shadow": {"share": "50%", "until": {"requests": 200}}},
                {"weight": {"share": "5%", "hold": "30m"}},
                {"hold": {"time": "10m"}},
                {"approval": {"role": "approver"}},
                {"weight": {"share": "50%", "hold": "1h", "until": "evidence", "at_most": "24h"}},
                {"promote": {}},
            ],
            "signals": [
                {"name": "error", "kind": "rate", "limit": "1.5%", "action": "rollback"},
                {"name": "csat", "kind": "score", "range": [1, 5], "worse": "lower", "notice": {"by": 0.2}, "action": "pause"},
            ],
        })
    }

    fn faults(policy: Value) -> Vec<String> {
        let policy: RolloutPolicy = serde_json::from_value(policy).unwrap();
        policy.faults().into_iter().map(|f| f.field).collect()
    }

    /// One thing altered at a time: the fault names exactly that field.
    #[test]
    fn every_fault_names_its_field() {
        assert_eq!(faults(sound()), Vec::<String>::new());
        for (pointer, value, field) in [
            ("/apiVersion", json!("tidegate/v2"), "apiVersion"),
            ("/check_every", json!(0), "check_every"),
            ("/risk", json!({"false_stop": "50%"}), "risk.false_stop"),
            ("/risk", json!({"false_promote": 0}), "risk.false_promote"),
            ("/steps/0/shadow/share", json!("0%"), "steps[0].shadow.share"),
            ("/steps/0/shadow/until", json!({}), "steps[0].shadow.until"),
            ("/steps/1/weight/share", json!("0%"), "steps[1].weight.share"),
            ("/steps/4/weight/share", json!("5%"), "steps[4].weight.share"),
            ("/steps/1/weight/at_most", json!("2h"), "steps[1].weight.at_most"),
            ("/steps/4/weight/at_most", json!("1h"), "steps[4].weight.at_most"),
            ("/steps/3/approval/role", json!("operator"), "steps[3].approval.role"),
            ("/steps/2", json!({"promote": {}}), "steps[2].promote"),
            ("/steps/5", json!({"hold": {}}), "steps"),
            ("/signals/0/name", json!(""), "signals[0].name"),
            ("/signals/0/name", json!("{limit}"), "signals[0].name"),
            ("/signals/0/name", json!("csat"), "signals[1].name"),
            ("/signals/0/limit", Value::Null, "signals[0].notice"),
            ("/signals/0/notice", json!({"times": 1.0}), "signals[0].notice.times"),
            ("/signals/1/notice", json!({"times": 1.1}), "signals[1].notice.times"),
            ("/signals/1/notice", json!({"by": 0}), "signals[1].notice.by"),
            ("/signals/1/range", json!([5, 1]), "signals[1].range"),
            ("/signals/1/range", Value::Null, "signals[1].range"),
        ] {
            let mut policy = sound();
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            match policy.pointer_mut(parent).unwrap() {
                Value::Object(map) => drop(map.insert(key.to_owned(), value)),
                Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
                other => panic!("{other} has no {key}"),
            }
            assert_eq!(faults(policy), [field], "{pointer}");
        }
    }

    #[test]
    fn evidence_needs_somebody_to_compare() {
        let mut policy = sound();
        policy["signals"].as_array_mut().unwrap().truncate(1);
        assert_eq!(faults(policy), ["steps[4].weight.until"]);
    }

    #[test]
    fn plans_are_bounded_and_all_faults_come_at_once() {
        let mut policy = sound();
        policy["steps"] = vec![json!({"hold": {}}); 51].into();
        policy["signals"] = json!([]);
        assert_eq!(faults(policy), ["steps", "steps", "signals"]);
        let mut policy = sound();
        policy["steps"] = json!([]);
        policy["signals"] = (0..51)
            .map(
                |i| json!({"name": format!("s{i}"), "kind": "rate", "limit": 1, "action": "pause"}),
            )
            .collect();
        assert_eq!(faults(policy), ["signals"]);
    }

    #[test]
    fn unknown_keys_and_kinds_do_not_read() {
        for (pointer, key) in
            [("", "step"), ("/signals/0", "limits"), ("/steps/1/weight", "until_time")]
        {
            let mut policy = sound();
            policy.pointer_mut(pointer).unwrap()[key] = json!(1);
            assert!(serde_json::from_value::<RolloutPolicy>(policy).is_err(), "{key}");
        }
    }

    #[test]
    fn roles_that_approve_are_the_ones_a_plan_may_ask() {
        let asked: Vec<_> = Role::ALL
            .into_iter()
            .filter(|r| people::may(&[*r].into(), Permission::Approve))
            .collect();
        assert_eq!(asked, [Role::Approver]);
    }
}
