use super::*;
use domain::verdict::{ArmNumbers, Reason};
use serde_json::json;

fn policy(signals: serde_json::Value) -> RolloutPolicy {
    serde_json::from_value(json!({
        "apiVersion": "tidegate/v1", "check_every": 60, "signals": signals,
    }))
    .unwrap()
}

fn signal(name: &str, action: &str) -> serde_json::Value {
    json!({"name": name, "kind": "rate", "notice": {"times": 2}, "action": action})
}

fn said(outcome: Judged, reason: Reason) -> Verdict {
    Verdict {
        signal: "s".to_owned(),
        outcome,
        reason,
        action: SignalAction::Notify,
        control: ArmNumbers::default(),
        candidate: ArmNumbers::default(),
        limit: None,
        interval: None,
        evidence: None,
        boundary: None,
        needed: None,
        corrected: None,
        labels: None,
    }
}

fn worse() -> Verdict {
    said(Judged::Fail, Reason::WorseThanControl)
}

fn over() -> Verdict {
    said(Judged::Fail, Reason::OverLimit)
}

fn good() -> Verdict {
    said(Judged::Pass, Reason::NotWorse)
}

fn open() -> Verdict {
    said(Judged::Hold, Reason::Undecided)
}

fn silent() -> Verdict {
    said(Judged::NoData, Reason::Nothing)
}

/// The verdicts of successive looks, a minute apart: what is decided, by which
/// signal, at which look.
fn ruled(policy: &RolloutPolicy, looks: &[Vec<Verdict>]) -> Option<(Action, Option<usize>, usize)> {
    let mut rules = Rules::new(policy);
    looks.iter().enumerate().find_map(|(i, verdicts)| {
        let now = Timestamp(60_000 * (i as i64 + 1));
        rules.look(now, verdicts).map(|r| (r.action, r.signal, i))
    })
}

#[test]
fn a_rollback_outweighs_a_pause_and_then_the_policy_has_the_order() {
    let plan = policy(json!([
        signal("told", "notify"),
        signal("paused", "pause"),
        signal("asked", "require_approval"),
        signal("back", "rollback"),
        signal("too", "rollback"),
    ]));
    let all = |n: usize| (0..5).map(|i| if i < n { worse() } else { open() }).collect::<Vec<_>>();
    assert_eq!(ruled(&plan, &[all(5)]), Some((Action::Rollback, Some(3), 0)));
    assert_eq!(ruled(&plan, &[all(3)]), Some((Action::Pause, Some(1), 0)));
    let asked = vec![open(), open(), worse(), open(), open()];
    assert_eq!(ruled(&plan, &[asked]), Some((Action::Pause, Some(2), 0)));
    assert_eq!(ruled(&plan, &[all(1), all(1)]), None);
}

#[test]
fn promoting_needs_a_pass_of_everything_that_compares_and_no_failure() {
    let limit =
        |name: &str| json!({"name": name, "kind": "rate", "limit": 0.1, "action": "notify"});
    let plan = policy(json!([signal("a", "pause"), limit("b"), signal("c", "notify")]));
    assert_eq!(ruled(&plan, &[vec![good(), silent(), good()]]), Some((Action::Promote, None, 0)));
    assert_eq!(ruled(&plan, &[vec![good(), open(), good()]]), Some((Action::Promote, None, 0)));
    for not in [
        vec![good(), over(), good()],
        vec![good(), good(), open()],
        vec![good(), good(), worse()],
        vec![silent(), good(), good()],
        vec![good(), good()],
        vec![],
    ] {
        assert_eq!(ruled(&plan, std::slice::from_ref(&not)), None, "{not:?}");
    }
    assert_eq!(ruled(&policy(json!([limit("b")])), &[vec![good()]]), None);
    // A recording holds nothing that is read from elsewhere.
    let mut read = signal("csat", "pause");
    read["source"] = json!({"prometheus": "avg(csat)"});
    let plan = policy(json!([signal("a", "pause"), read]));
    assert_eq!(ruled(&plan, &[vec![good(), silent()]]), Some((Action::Promote, None, 0)));
}

#[test]
fn a_broken_limit_must_stay_broken() {
    let limit = |sustained| {
        let mut signal = json!({"name": "a", "kind": "rate", "limit": 0.1, "action": "pause"});
        signal["sustained"] = sustained;
        policy(json!([signal]))
    };
    let looks = |verdicts: &[fn() -> Verdict]| {
        verdicts.iter().map(|verdict| vec![verdict()]).collect::<Vec<_>>()
    };
    let paused = |look| Some((Action::Pause, Some(0), look));
    let (checks, time) = (limit(json!({"checks": 3})), limit(json!({"for": "2m"})));
    for plan in [&checks, &time] {
        assert_eq!(ruled(plan, &looks(&[over, over])), None);
        assert_eq!(ruled(plan, &looks(&[over, over, over])), paused(2));
        // One good look begins the count anew.
        assert_eq!(ruled(plan, &looks(&[over, over, open, over, over])), None);
        assert_eq!(ruled(plan, &looks(&[over, over, good, over, over, over])), paused(5));
        // "Worse than control" is made over all looks already.
        assert_eq!(ruled(plan, &looks(&[worse])), paused(0));
    }
    // A look without numbers counts for nothing; time goes on.
    assert_eq!(ruled(&checks, &looks(&[over, silent, over, over])), paused(3));
    assert_eq!(ruled(&time, &looks(&[over, silent, over])), paused(2));
    assert_eq!(ruled(&limit(json!(null)), &looks(&[over])), paused(0));
}

fn outcome(at: i64, side: Side) -> Outcome {
    Outcome {
        at: Timestamp(at),
        side,
        share: 0.5,
        unit: None,
        pair: None,
        input: None,
        segment: None,
        answer: None,
        step: 0,
        failed: false,
        values: vec![(0, 0.0)],
    }
}

#[test]
fn looks_are_on_the_grid_and_see_what_was_known() {
    let plan = policy(json!([signal("error", "rollback")]));
    let mut test = Backtest::new(&plan);
    let seen = |candidate, baseline| Seen { candidate, baseline };
    let last = |test: &Backtest| test.last().map(|look| (look.at.0, look.seen));
    test.push(&outcome(0, Side::Candidate));
    test.push(&outcome(59_999, Side::Baseline));
    test.push(&outcome(60_000, Side::Baseline));
    assert_eq!(last(&test), None);
    test.push(&outcome(60_001, Side::Candidate));
    assert_eq!(last(&test), Some((60_000, seen(1, 2))));
    // Nothing became known for hours; the next look is the one that sees more.
    test.reach(Timestamp(50_000_000));
    assert_eq!(last(&test), Some((120_000, seen(2, 2))));
    test.push(&outcome(50_000_000, Side::Baseline));
    test.end();
    assert_eq!(last(&test), Some((50_040_000, seen(2, 3))));
    let decision = test.finish();
    assert_eq!((decision.action, decision.at), (Action::Continue, None));
    assert_eq!((decision.seen, decision.verdicts.len()), (seen(2, 3), 1));
}

#[test]
fn nothing_recorded_decides_nothing() {
    let decision = Backtest::new(&policy(json!([signal("error", "rollback")]))).finish();
    assert_eq!((decision.action, decision.at, decision.signal), (Action::Continue, None, None));
    assert_eq!((decision.seen, decision.verdicts), (Seen::default(), vec![]));
}

#[test]
fn an_outcome_out_of_order_counts_as_known_with_the_latest() {
    let mut test = Backtest::new(&policy(json!([signal("error", "rollback")])));
    test.push(&outcome(130_000, Side::Candidate));
    test.push(&outcome(10_000, Side::Candidate));
    test.end();
    assert_eq!(test.last().map(|l| (l.at.0, l.seen.candidate)), Some((180_000, 2)));
}
