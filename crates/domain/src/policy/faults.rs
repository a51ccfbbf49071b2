//! What the types of a policy cannot say: every fault with its field and what
//! to do, so that one reading shows them all.

mod signals;

use super::{
    MAX_SIGNALS, MAX_STEPS, MAX_STEPS_BACK, Restore, RolloutPolicy, Shadow, Step, Until, Weight,
};
use crate::people::{self, Permission};
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
        self.check_restore(&mut faults);
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

    fn check_restore(&self, faults: &mut Faults) {
        const FIELD: &str = "after_rollback.restore";
        let Restore::Steps(shares) = &self.after_rollback.restore else { return };
        let few = shares.len() <= MAX_STEPS_BACK;
        faults.unless(few, FIELD, "has more than 20 steps; going back is urgent");
        let falls = shares.iter().zip(shares.iter().skip(1)).all(|(a, b)| b < a);
        faults.unless(falls, FIELD, "must fall from step to step, such as `[75%, 50%, 25%, 0%]`");
        let ends = shares.last() == Some(&Share::NONE);
        faults.unless(ends, FIELD, "must end with 0%: nobody keeps a version that failed");
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
            signals::check(signal, &format!("signals[{i}]"), faults);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::Role;
    use crate::units::Ratio;
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
                {"name": "cost", "kind": "amount", "limit": 0.004, "weight": 0.5, "action": "pause"},
                {
                    "name": "grounded", "kind": "rate", "worse": "lower",
                    "burn": {"objective": "95%", "windows": [{"rate": 20, "long": "1h", "short": "5m"}]},
                    "judge": {"sensitivity": 0.8, "specificity": 0.9, "labelled": 200},
                    "action": "rollback"
                },
                {"name": "queue", "kind": "rate", "limit": 0.5, "source": {"prometheus": "avg(queue)"}, "action": "pause"},
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
        let known = || json!({"sensitivity": 0.8, "specificity": 0.9, "labelled": 200});
        for (pointer, value, field) in [
            ("/apiVersion", json!("tidegate/v2"), "apiVersion"),
            ("/check_every", json!(0), "check_every"),
            ("/risk", json!({"false_stop": "50%"}), "risk.false_stop"),
            ("/risk", json!({"false_promote": 0}), "risk.false_promote"),
            ("/steps/0/shadow/share", json!("0%"), "steps[0].shadow.share"),
            ("/steps/0/shadow/until", json!({}), "steps[0].shadow.until"),
            ("/after_rollback", json!({"restore": []}), "after_rollback.restore"),
            ("/after_rollback", json!({"restore": ["50%"]}), "after_rollback.restore"),
            ("/after_rollback", json!({"restore": [0.5, 0.5, 0]}), "after_rollback.restore"),
            ("/after_rollback", json!({"restore": [0.2, 0.5, 0]}), "after_rollback.restore"),
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
            ("/signals/0/range", json!([1, 1]), "signals[0].range"),
            ("/signals/0/limit", json!(5), "signals[0].limit"),
            ("/signals/0/limit", json!(-0.01), "signals[0].limit"),
            ("/signals/1/limit", json!(5.1), "signals[1].limit"),
            ("/signals/2/limit", json!(0), "signals[2].limit"),
            ("/signals/2/worse", json!("lower"), "signals[2].sustained"),
            ("/signals/0/window", json!(0), "signals[0].window"),
            ("/signals/0/sustained", json!({"checks": 0}), "signals[0].sustained.checks"),
            ("/signals/0/weight", json!(0), "signals[0].weight"),
            ("/signals/1/weight", json!(-2.5), "signals[1].weight"),
            ("/signals/1/burn", json!({"objective": 0.99}), "signals[1].burn"),
            ("/signals/0/burn", json!({"objective": 1}), "signals[0].burn.objective"),
            ("/signals/0/burn", json!({"objective": 0}), "signals[0].burn.objective"),
            ("/signals/3/burn/windows/0/rate", json!(0), "signals[3].burn.windows[0].rate"),
            ("/signals/3/burn/windows/0/rate", json!(21), "signals[3].burn.windows[0].rate"),
            ("/signals/3/burn/windows/0/short", json!(0), "signals[3].burn.windows[0].short"),
            ("/signals/3/burn/windows/0/short", json!("2h"), "signals[3].burn.windows[0].long"),
            ("/signals/3/burn", Value::Null, "signals[3].notice"),
            ("/signals/4/source", json!({"prometheus": " "}), "signals[4].source.prometheus"),
            ("/signals/4/notice", json!({"times": 2}), "signals[4].notice"),
            ("/signals/4/burn", json!({"objective": 0.9}), "signals[4].burn"),
            ("/signals/4/name", json!("ttft_ms"), "signals[4].name"),
            ("/signals/2/judge", known(), "signals[2].judge"),
            ("/signals/1/judge", known(), "signals[1].judge"),
            ("/signals/2/judge", json!({"human": {"share": "5%"}}), "signals[2].judge"),
            ("/signals/3/judge", json!({"human": {"share": 0}}), "signals[3].judge.human.share"),
            (
                "/signals/3/judge",
                json!({"human": {"share": 0.1, "name": "grounded"}}),
                "signals[3].judge.human.name",
            ),
            (
                "/signals/3/judge",
                json!({"human": {"share": 0.1, "name": "error"}}),
                "signals[3].judge.human.name",
            ),
            (
                "/signals/3/judge",
                json!({"human": {"share": 0.1, "name": "a b"}}),
                "signals[3].judge.human.name",
            ),
            (
                "/signals/1/judge",
                json!({"human": {"share": 0.1}, "sensitivity": 0.9, "specificity": 0.9, "labelled": 9}),
                "signals[1].judge.sensitivity",
            ),
            ("/signals/3/judge", json!({}), "signals[3].judge"),
            ("/signals/3/judge/sensitivity", json!(1.1), "signals[3].judge.sensitivity"),
            ("/signals/3/judge/sensitivity", json!(0.1), "signals[3].judge.sensitivity"),
            ("/signals/3/judge/sensitivity", Value::Null, "signals[3].judge.sensitivity"),
            ("/signals/3/judge/specificity", Value::Null, "signals[3].judge.specificity"),
            ("/signals/3/judge/labelled", json!(0), "signals[3].judge.labelled"),
            ("/signals/3/judge/labelled", json!(1), "signals[3].judge.labelled"),
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
    fn people_may_label_rates_and_scores() {
        for signal in [1, 3] {
            let mut policy = sound();
            policy["signals"][signal]["judge"] = json!({"human": {"share": "5%"}});
            assert_eq!(faults(policy), Vec::<String>::new());
        }
        let mut policy = sound();
        let name = "n".repeat(60);
        policy["signals"][3]["name"] = json!(name);
        policy["signals"][3]["judge"] = json!({"human": {"share": "5%"}});
        assert_eq!(faults(policy.clone()), ["signals[3].judge.human.name"]);
        policy["signals"][3]["judge"]["human"]["name"] = json!("checked");
        assert_eq!(faults(policy), Vec::<String>::new());
    }

    #[test]
    fn answers_are_chosen_at_the_stated_share_and_nested() {
        let human = |share: &str| -> crate::policy::HumanLabels {
            serde_json::from_value(json!({"share": share})).unwrap()
        };
        let all = human("100%");
        assert!(all.chooses(0, 0) && all.chooses(u64::MAX, 0) && !all.chooses(u64::MAX, 1));
        let few = human("5%");
        let edge = (0.05 * 2.0_f64.powi(64)) as u64;
        assert!(few.chooses(edge - (1 << 20), 0) && !few.chooses(edge + (1 << 20), 0));
        for halvings in 0..70 {
            for answer in [0, 1, 1 << 30, 1 << 50, 1 << 59, edge, u64::MAX] {
                assert!(!few.chooses(answer, halvings + 1) || few.chooses(answer, halvings));
            }
        }
        let chosen = |share: &str| {
            let ids = (0..20_000).map(|i| crate::telemetry::answer_hash(&format!("req_{i}")));
            ids.filter(|answer| human(share).chooses(*answer, 0)).count()
        };
        // Within five standard errors.
        assert!((850..1150).contains(&chosen("5%")), "{}", chosen("5%"));
        assert!((9640..10_360).contains(&chosen("50%")), "{}", chosen("50%"));
    }

    #[test]
    fn what_is_no_number_is_refused_wherever_it_came_from() {
        let sound = || serde_json::from_value::<RolloutPolicy>(sound()).unwrap();
        let fields = |policy: RolloutPolicy| {
            policy.faults().into_iter().map(|f| f.field).collect::<Vec<_>>()
        };
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for i in 0..3 {
                let mut policy = sound();
                policy.signals[i].limit = Some(Ratio(odd));
                assert_eq!(fields(policy), [format!("signals[{i}].limit")], "{odd}");
            }
            let mut policy = sound();
            policy.signals[0].weight = Some(odd);
            policy.signals[1].range = Some((0.0, odd));
            policy.signals[1].notice = Some(crate::policy::Notice::By(Ratio(odd)));
            policy.risk.false_stop = Ratio(odd);
            let wanted = [
                "risk.false_stop",
                "signals[0].weight",
                "signals[1].notice.by",
                "signals[1].range",
            ];
            assert_eq!(fields(policy), wanted, "{odd}");
            let mut policy = sound();
            let burn = policy.signals[3].burn.as_mut().unwrap();
            (burn.objective, burn.windows[0].rate) = (Ratio(odd), odd);
            let wanted = ["signals[3].burn.objective", "signals[3].burn.windows[0].rate"];
            assert_eq!(fields(policy), wanted, "{odd}");
        }
    }

    #[test]
    fn a_source_is_never_compared_not_even_where_it_tells_arms_apart() {
        let mut policy = sound();
        policy["signals"][4]["source"]["prometheus"] = json!("avg(queue{arm=\"$arm\"})");
        assert_eq!(faults(policy.clone()), Vec::<String>::new());
        policy["signals"][4]["notice"] = json!({"times": 2});
        assert_eq!(faults(policy), ["signals[4].notice"]);
    }

    #[test]
    fn going_back_is_a_word_or_falling_shares() {
        let read = |restore: Value| {
            let mut policy = sound();
            policy["after_rollback"] = json!({"restore": restore});
            serde_json::from_value::<RolloutPolicy>(policy)
        };
        for restore in [json!("immediate"), json!(["75%", "50%", "25%", "0%"]), json!(["0%"])] {
            let policy = read(restore.clone()).unwrap();
            assert_eq!(policy.faults(), vec![]);
            let again = serde_json::to_value(&policy).unwrap();
            assert_eq!(again["after_rollback"]["restore"], restore);
        }
        let many: Vec<_> = (0..21).rev().map(|i| json!(f64::from(i) / 100.0)).collect();
        assert_eq!(read(json!(many)).unwrap().faults().len(), 1);
        for wrong in [json!("slowly"), json!(0), json!(["x"]), json!({"to": 0})] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains("immediate") || error.contains("share"), "{error}");
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
