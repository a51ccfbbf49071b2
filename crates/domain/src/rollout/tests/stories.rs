//! One rollout each, from its plan to what became of it.

use super::*;

const ROLLBACK: [&str; 5] =
    ["publish", "deny_candidate", "revert_change", "open_incident", "notify"];

#[test]
fn a_good_candidate_goes_all_the_way() {
    let mut story = Story::of(
        json!([
            {"shadow": {"share": "50%", "until": {"requests": 200}}},
            {"weight": {"share": "5%", "hold": "30m"}},
            {"weight": {"share": "25%", "hold": "30m", "min_requests": 400}},
            {"approval": {"role": "approver"}},
            {"weight": {"share": "50%", "until": "evidence", "at_most": "24h"}},
            {"promote": {}},
        ]),
        json!([error(), accepted()]),
    );
    assert_eq!((story.weight().as_str(), story.state.exposure.shadow.bp()), ("0%", 5000));
    story.seen.step.shadow = 199;
    story.wait("2h");
    assert_eq!(story.state.step, 0, "one mirrored answer is wanting");
    story.seen.step.shadow = 200;
    story.wait("1m");
    assert_eq!((story.weight().as_str(), story.state.exposure.shadow.bp()), ("5%", 0));
    assert_eq!(story.kinds(), ["publish"]);
    story.wait("29m");
    assert_eq!(story.state.step, 1);
    story.seen.step.candidate = 399;
    story.wait("1m");
    assert_eq!(story.weight(), "25%");
    story.wait("3h");
    assert_eq!(story.weight(), "25%", "one answer is wanting");
    story.seen.step.candidate = 400;
    story.wait("1m");
    assert_eq!(story.cause(), Some(PauseCause::ApprovalStep));
    assert_eq!(story.weight(), "25%");
    assert_eq!(story.kinds(), ["notify"]);
    story.wait("10h");
    assert_eq!(story.cause(), Some(PauseCause::ApprovalStep));
    story.tell(Command::Approve).unwrap().look();
    assert_eq!(story.weight(), "50%");
    story.wait("1h");
    assert_eq!(story.state.phase, Phase::Running, "a hold is no evidence");
    story.see("accepted", Outcome::Pass).wait("1m");
    assert_eq!(story.state.phase, Phase::Promoting);
    assert_eq!(story.kinds(), ["publish", "commit_promotion", "notify"]);
    assert_eq!(story.weight(), "100%");
    story.see("error", Outcome::Fail).wait("5m");
    assert_eq!(
        story.state.phase,
        Phase::Promoting,
        "git is being told: nothing is judged any more"
    );
    story.seen.git_settled = true;
    story.look();
    assert_eq!(story.state.phase, Phase::Promoted);
    assert_eq!((story.wait("1h").kinds(), story.weight().as_str()), (vec![], "100%"));
}

#[test]
fn a_bad_candidate_goes_back_and_says_why() {
    let hallucinated = json!({"name": "hallucinated", "kind": "rate", "notice": {"by": 0.05}, "action": "rollback"});
    let mut story = Story::of(
        json!([{"weight": {"share": "5%", "hold": "30m"}}, {"promote": {}}]),
        json!([hallucinated]),
    );
    story.now = START.plus(Span::from_secs(192));
    story.see_because("hallucinated", Outcome::Fail, Reason::WorseThanControl);
    story.seen.verdicts[0].evidence = Some(0.0025);
    story.seen.exposed = 85;
    story.look();
    assert_eq!(story.state.phase, Phase::RollingBack);
    assert_eq!(story.kinds(), ROLLBACK);
    assert_eq!(story.state.exposure, Exposure::default());
    let good = story.state.stable.short();
    let why = format!(
        "Went back at 14:03:12: `hallucinated` was 32.9% (28 of 85) against 1.2% (1 of 83) for today's version, a 1 in 400 chance if the version made no difference; everyone gets {good} again. The new version gave 85 answers, 28 of them bad."
    );
    assert_eq!(story.state.decision.as_ref().unwrap().text, why);
    assert_eq!(story.state.decision.as_ref().unwrap().params["metric"], "hallucinated");
    assert_eq!(
        story.actions[3],
        Action::OpenIncident { what: story.state.decision.clone().unwrap() }
    );
    story.seen.git_settled = true;
    story.look();
    assert_eq!(story.state.phase, Phase::RollingBack, "the gateways have not followed yet");
    story.seen.gateways_settled = true;
    story.look();
    assert_eq!(story.state.phase, Phase::RolledBack);
    assert_eq!(story.wait("1h").kinds(), Vec::<String>::new());
}

#[test]
fn a_limit_counts_checks_in_a_row() {
    let latency = json!({"name": "latency_ms", "kind": "latency", "statistic": "p95", "limit": 1200,
        "sustained": {"checks": 2}, "action": "rollback"});
    let mut story = Story::of(
        json!([{"weight": {"share": "5%", "hold": "3h"}}, {"promote": {}}]),
        json!([latency]),
    );
    story.see("latency_ms", Outcome::Fail).look();
    assert_eq!(story.state.phase, Phase::Running);
    assert!(
        story.summary.starts_with("Watching: `latency_ms` has been over its limit"),
        "{}",
        story.summary
    );
    assert!(
        story.summary.contains("for 1 of 2 checks in a row; then it goes back by itself"),
        "{}",
        story.summary
    );
    for _ in 0..9 {
        story.now = story.now.plus(Span::from_secs(6));
        story.look();
        assert_eq!(story.state.phase, Phase::Running, "looks between checks do not count");
    }
    story.see("latency_ms", Outcome::Hold).wait("1m").see("latency_ms", Outcome::Fail).wait("1m");
    assert_eq!(story.state.phase, Phase::Running, "the row was broken");
    story.see("latency_ms", Outcome::NoData).wait("1m");
    assert_eq!(story.state.phase, Phase::Running, "no data does not count");
    story.see("latency_ms", Outcome::Fail).wait("1m");
    assert_eq!(story.state.phase, Phase::RollingBack, "and does not clear");
}

#[test]
fn a_limit_counts_an_unbroken_span() {
    let csat = json!({"name": "csat", "kind": "score", "range": [1, 5], "worse": "lower", "limit": 4.2,
        "sustained": {"for": "10m"}, "action": "pause"});
    let mut story = Story::of(
        json!([{"weight": {"share": "5%", "hold": "3h"}}, {"promote": {}}]),
        json!([csat]),
    );
    story.see("csat", Outcome::Fail).look().wait("9m");
    assert_eq!(story.cause(), None);
    story.wait("1m");
    assert_eq!(story.cause(), Some(PauseCause::Signal));
    assert_eq!(story.kinds(), ["notify"]);
    assert_eq!(story.wait("1h").kinds(), Vec::<String>::new(), "people are told once");
}

#[test]
fn a_failing_signal_stops_growth_before_it_acts() {
    let latency = json!({"name": "latency_ms", "kind": "latency", "limit": 1200, "sustained": {"for": "10m"}, "action": "rollback"});
    let mut story = Story::of(
        json!([{"weight": {"share": "5%", "hold": "5m"}}, {"weight": {"share": "50%"}}, {"promote": {}}]),
        json!([latency]),
    );
    story.see("latency_ms", Outcome::Fail).look().wait("6m");
    assert_eq!(story.weight(), "5%");
    story.see("latency_ms", Outcome::Hold).wait("1m");
    assert_eq!(story.weight(), "50%");
}

#[test]
fn limits_stay_armed_in_every_pause() {
    let steps =
        json!([{"weight": {"share": "5%"}}, {"approval": {"role": "approver"}}, {"promote": {}}]);
    for pause in ["approval", "person", "signal"] {
        let mut story = Story::of(steps.clone(), json!([error(), accepted()]));
        match pause {
            "approval" => story.look(),
            "person" => story.tell(Command::Pause).unwrap(),
            _ => story.see("accepted", Outcome::Fail).look(),
        };
        assert!(story.cause().is_some(), "{pause}");
        story.see("error", Outcome::Fail).wait("1m");
        assert_eq!(story.state.phase, Phase::RollingBack, "{pause}");
    }
}

#[test]
fn the_worst_action_wins() {
    let cost =
        json!({"name": "cost", "kind": "amount", "limit": 0.004, "action": "require_approval"});
    let tokens =
        json!({"name": "output_tokens", "kind": "amount", "limit": 900, "action": "notify"});
    let steps = json!([{"weight": {"share": "5%", "hold": "3h"}}, {"promote": {}}]);
    let signals = json!([tokens, cost, accepted(), error()]);
    let mut story = Story::of(steps, signals);
    story.see("output_tokens", Outcome::Fail).wait("5m");
    assert_eq!((story.cause(), story.kinds()), (None, vec!["notify".to_owned()]), "told once");
    story.see("cost", Outcome::Fail).wait("1m");
    assert_eq!(story.cause(), Some(PauseCause::RequireApproval));
    assert!(matches!(story.state.phase, Phase::Paused { role: crate::people::Role::Approver, .. }));
    story.see("accepted", Outcome::Fail).wait("1m");
    assert_eq!(story.cause(), Some(PauseCause::Signal));
    story.tell(Command::Resume).unwrap().look();
    assert_eq!(
        story.cause(),
        Some(PauseCause::RequireApproval),
        "an operator's word is no approver's yes"
    );
    assert!(story.tell(Command::Resume).is_err());
    story.tell(Command::Approve).unwrap().wait("10m");
    assert_eq!(story.state.phase, Phase::Running, "both were accepted");
    story.see("error", Outcome::Fail).wait("1m");
    assert_eq!(story.state.phase, Phase::RollingBack);
}

#[test]
fn a_pause_keeps_its_weightier_cause() {
    let cost =
        json!({"name": "cost", "kind": "amount", "limit": 0.004, "action": "require_approval"});
    let mut story = Story::of(
        json!([{"weight": {"share": "5%", "hold": "3h"}}, {"promote": {}}]),
        json!([cost, accepted()]),
    );
    story.see("accepted", Outcome::Fail).look();
    story.see("accepted", Outcome::Hold).see("cost", Outcome::Fail).wait("1m");
    assert_eq!(
        story.cause(),
        Some(PauseCause::Signal),
        "an operator was asked and has not answered"
    );
    assert_eq!(story.state.pause.as_ref().unwrap().signals, ["accepted", "cost"]);
    story.tell(Command::Resume).unwrap().look();
    assert_eq!(story.cause(), Some(PauseCause::RequireApproval));
    assert_eq!(story.state.waived, ["accepted"]);
}

#[test]
fn silence_holds_and_then_pauses() {
    let mut story = Story::of(
        json!([{"weight": {"share": "5%", "hold": "5m"}}, {"promote": {}}]),
        json!([error(), accepted()]),
    );
    story.see("accepted", Outcome::NoData).look().wait("29m");
    assert_eq!((story.state.phase.clone(), story.state.step), (Phase::Running, 0));
    assert!(
        story.summary.starts_with("No usable measurements of `accepted` since 14:00:00."),
        "{}",
        story.summary
    );
    assert!(story.summary.ends_with("at 14:30:00 it pauses for a decision."), "{}", story.summary);
    story.wait("1m");
    assert_eq!(story.cause(), Some(PauseCause::MissingData));
    story.tell(Command::Resume).unwrap().wait("29m");
    assert_eq!(story.cause(), None, "a new grace period");
    story.wait("5m");
    assert_eq!(story.cause(), Some(PauseCause::MissingData));
}

#[test]
fn silence_goes_back_where_the_plan_says_so() {
    let mut story = Story::of(
        json!([{"weight": {"share": "5%", "hold": "5h"}}, {"promote": {}}]),
        json!([error()]),
    );
    story.state.policy.missing.then = crate::policy::MissingAction::Rollback;
    story.see("error", Outcome::Inconclusive).look().wait("20m").see("error", Outcome::Hold);
    story.wait("1m").see("error", Outcome::Inconclusive).wait("29m");
    assert_eq!(story.state.phase, Phase::Running, "the deadline began anew");
    story.tell(Command::Pause).unwrap().wait("2m");
    assert_eq!(story.state.phase, Phase::RollingBack, "a pause does not disarm it");
    assert!(
        story.state.decision.unwrap().text.contains("`error` had no usable measurements for 30m")
    );
}

#[test]
fn feedback_is_not_missed_while_nobody_sees_an_answer() {
    let mut story = Story::of(
        json!([{"shadow": {"share": "50%", "until": {"time": "2h"}}}, {"weight": {"share": "5%", "hold": "1h"}}, {"promote": {}}]),
        json!([error(), accepted()]),
    );
    story.see("accepted", Outcome::NoData).look().wait("119m");
    assert_eq!(story.state.missing_since, None);
    story.wait("1m");
    assert_eq!(story.weight(), "5%");
    story.wait("1m");
    assert_eq!(story.state.missing_since, Some(story.now), "now users see answers");
    let mut story = Story::of(
        json!([{"shadow": {"share": "50%", "until": {"time": "10m"}}}, {"promote": {}}]),
        json!([error()]),
    );
    story.see("error", Outcome::NoData).look().wait("20m");
    assert_eq!(story.state.step, 0, "what gateways measure must be there");
}

#[test]
fn a_plain_plan_promotes_only_with_enough_samples_and_no_bad_news() {
    let plain = || {
        Story::of(
            json!([{"weight": {"share": "5%", "hold": "10m"}}, {"promote": {}}]),
            json!([error(), accepted()]),
        )
    };
    for outcome in [Outcome::Fail, Outcome::NoData, Outcome::Inconclusive] {
        let mut story = plain();
        story.see("accepted", outcome).wait("20m");
        assert_ne!(story.state.phase, Phase::Promoting, "{outcome:?}");
    }
    let mut story = plain();
    story.seen.verdicts[1].candidate.n = 19;
    story.wait("3h");
    assert_eq!(story.state.phase, Phase::Running, "19 of 20 samples");
    story.seen.verdicts[1].candidate.n = 20;
    story.wait("1m");
    assert_eq!(story.state.phase, Phase::Promoting);
    let mut story = plain();
    story.seen.verdicts.pop();
    story.wait("20m");
    assert_eq!(story.state.phase, Phase::Running, "a signal nobody judged is one without data");
}

#[test]
fn a_failing_signal_that_only_tells_lets_weights_grow_but_not_promote() {
    let tokens =
        json!({"name": "output_tokens", "kind": "amount", "limit": 900, "action": "notify"});
    let mut story = Story::of(
        json!([{"weight": {"share": "5%", "hold": "5m"}}, {"weight": {"share": "50%", "hold": "5m"}}, {"promote": {}}]),
        json!([tokens]),
    );
    story.see("output_tokens", Outcome::Fail).wait("1h");
    assert_eq!((story.weight().as_str(), story.state.phase.clone()), ("50%", Phase::Running));
    assert!(story.tell(Command::Promote).is_ok());
}

#[test]
fn evidence_that_does_not_come_is_a_persons_business() {
    let steps = json!([{"weight": {"share": "50%", "until": "evidence", "at_most": "24h"}}, {"promote": {}}]);
    let mut story = Story::of(steps, json!([error(), accepted()]));
    story.wait("1439m");
    assert_eq!(story.state.phase, Phase::Running);
    assert!(
        story.summary.contains("Not enough evidence yet for promotion: `accepted` is"),
        "{}",
        story.summary
    );
    story.wait("1m");
    assert_eq!(story.cause(), Some(PauseCause::NoEvidence));
    story.tell(Command::Resume).unwrap().wait("1439m");
    assert_eq!(story.cause(), None, "the clock began anew");
    story.wait("2m");
    assert_eq!(story.cause(), Some(PauseCause::NoEvidence));
    story.see("accepted", Outcome::Pass).wait("1h");
    assert_eq!(story.cause(), Some(PauseCause::NoEvidence), "a person was asked, a person decides");
}

#[test]
fn a_pause_stops_the_clock_of_the_step() {
    let mut story = Story::of(
        json!([{"weight": {"share": "5%", "hold": "30m"}}, {"weight": {"share": "50%", "hold": "1h"}}, {"promote": {}}]),
        json!([error()]),
    );
    story.wait("20m").tell(Command::Pause).unwrap().wait("5h");
    assert_eq!(story.weight(), "5%");
    story.tell(Command::Resume).unwrap().wait("9m");
    assert_eq!(story.weight(), "5%");
    story.wait("1m");
    assert_eq!(story.weight(), "50%");
}

#[test]
fn a_hold_before_any_exposure_needs_no_data() {
    let mut story = Story::of(
        json!([{"hold": {"time": "10m"}}, {"weight": {"share": "5%"}}, {"promote": {}}]),
        json!([error()]),
    );
    story.see("error", Outcome::NoData).look().wait("10m");
    assert_eq!(story.weight(), "5%");
    story.wait("10m");
    assert_eq!(story.state.step, 1);
}

#[test]
fn a_plan_without_steps_holds_and_still_goes_back() {
    let mut story = Story::of(json!([]), json!([error()]));
    story.wait("48h");
    assert_eq!((story.state.phase.clone(), story.weight().as_str()), (Phase::Running, "0%"));
    story.see("error", Outcome::Fail).wait("1m");
    assert_eq!(story.state.phase, Phase::RollingBack);
}

#[test]
fn exposure_lost_from_the_record_is_restored_from_the_plan() {
    let mut story = Story::of(
        json!([{"weight": {"share": "5%", "hold": "1h"}}, {"promote": {}}]),
        json!([error()]),
    );
    story.state.exposure = Exposure::default();
    story.look();
    assert_eq!((story.weight().as_str(), story.kinds()), ("5%", vec!["publish".to_owned()]));
}

#[test]
fn what_was_to_be_published_is_overtaken_by_a_decision() {
    let steps = json!([{"weight": {"share": "5%", "hold": "1h"}}, {"promote": {}}]);
    let mut story = Story::of(steps, json!([error()]));
    story.state.exposure = Exposure::default();
    story.see("error", Outcome::Fail).look();
    assert_eq!(story.kinds(), ROLLBACK);
}

/// Such a plan is refused when it is read; should one get through, nobody
/// loses the candidate.
#[test]
fn a_plan_that_shrinks_does_not_take_the_candidate_away() {
    let steps = json!([{"weight": {"share": "5%"}}, {"weight": {"share": "50%"}}, {"promote": {}}]);
    let mut story = Story::of(steps, json!([error()]));
    story.state.policy.steps.swap(0, 1);
    story.state.exposure = story.state.planned_exposure();
    story.look();
    assert_eq!((story.state.step, story.weight().as_str()), (1, "50%"));
}

#[test]
fn the_generation_tells_whether_anything_happened() {
    let mut story = Story::of(
        json!([{"weight": {"share": "5%", "hold": "2m"}}, {"weight": {"share": "50%", "hold": "1h"}}, {"promote": {}}]),
        json!([error()]),
    );
    story.look();
    let first = story.state.generation;
    story.wait("1m");
    assert_eq!(story.state.generation, first, "only time passed");
    assert_eq!(story.state.last_check, Some(story.now));
    story.wait("1m");
    assert_eq!(story.state.generation, first.next(), "the step moved");
}

fn back_by_steps(share: &str) -> Story {
    let mut story = Story::of(
        json!([{"weight": {"share": share, "hold": "30m"}}, {"promote": {}}]),
        json!([error(), accepted()]),
    );
    story.state.policy.after_rollback.restore =
        serde_json::from_value(json!(["75%", "50%", "25%", "0%"])).unwrap();
    story.look();
    story
}

#[test]
fn a_plan_may_go_back_by_steps() {
    let mut story = back_by_steps("100%");
    story.see("error", Outcome::Fail).wait("1m");
    assert_eq!((story.state.phase.clone(), story.weight()), (Phase::RollingBack, "75%".to_owned()));
    assert_eq!(story.kinds(), ROLLBACK, "git and the deny list do not wait");
    let said = story.state.decision.as_ref().unwrap().text.clone();
    let good = story.state.stable.short();
    let steps = format!(
        "its share falls to 75%, 50%, 25%, 0%, one step every 1m, until everyone gets {good} again."
    );
    assert!(said.contains(&steps), "{said}");
    (story.seen.git_settled, story.seen.gateways_settled) = (true, true);
    story.look();
    assert_eq!((story.weight().as_str(), story.actions.len()), ("75%", 0), "once a step");
    assert!(story.summary.ends_with("The share is 75% now."), "{}", story.summary);
    for (weight, phase) in [
        ("50%", Phase::RollingBack),
        ("25%", Phase::RollingBack),
        ("0%", Phase::RollingBack),
        ("0%", Phase::RolledBack),
    ] {
        story.wait("1m");
        assert_eq!((story.weight().as_str(), &story.state.phase), (weight, &phase));
        assert_eq!(story.kinds(), ["publish"]);
    }
}

#[test]
fn steps_that_are_not_below_what_it_has_are_left_out() {
    for (share, first) in [("50%", "25%"), ("60%", "50%"), ("25%", "0%"), ("5%", "0%")] {
        let mut story = back_by_steps(share);
        story.see("error", Outcome::Fail).wait("1m");
        assert_eq!(story.weight(), first, "from {share}");
        let said = story.state.decision.unwrap().text;
        assert_eq!(said.contains("its share falls"), first != "0%", "{said}");
    }
}

#[test]
fn a_controller_that_was_away_goes_on_where_it_should_be() {
    for (away, weight) in
        [(59, "75%"), (60, "50%"), (121, "25%"), (180, "0%"), (9_999, "0%"), (-1, "0%")]
    {
        let mut story = back_by_steps("100%");
        story.see("error", Outcome::Fail).wait("1m");
        let stored = serde_json::to_string(&story.state).unwrap();
        story.state = serde_json::from_str(&stored).unwrap();
        story.now = Timestamp(story.now.0 + away * 1000);
        story.look();
        assert_eq!(story.weight(), weight, "after {away}s");
    }
}

#[test]
fn people_and_breakers_do_not_wait_for_steps() {
    // Before it goes back.
    let mut story = back_by_steps("100%");
    story.see_because("error", Outcome::Fail, Reason::Breaker).look();
    assert_eq!(
        (story.weight().as_str(), story.kinds()),
        ("0%", ROLLBACK.map(String::from).to_vec())
    );
    let mut story = back_by_steps("100%");
    story.tell(Command::Rollback).unwrap();
    assert_eq!(
        (story.weight().as_str(), story.kinds()),
        ("0%", ROLLBACK.map(String::from).to_vec())
    );
    // On its way.
    let mut story = back_by_steps("100%");
    story.see("error", Outcome::Fail).wait("1m");
    story.see_because("error", Outcome::Fail, Reason::Breaker).look();
    assert_eq!((story.weight().as_str(), story.kinds()), ("0%", vec!["publish".to_owned()]));
    let mut story = back_by_steps("100%");
    story.see("error", Outcome::Fail).wait("1m");
    let generation = story.state.generation;
    story.tell(Command::Rollback).unwrap();
    assert_eq!((story.weight().as_str(), story.kinds()), ("0%", vec!["publish".to_owned()]));
    assert!(story.state.generation > generation);
    story.tell(Command::Rollback).unwrap();
    assert_eq!(story.actions, vec![], "a third word has nothing to do");
}
