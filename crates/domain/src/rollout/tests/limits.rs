//! What failing and missing signals lead to, and what quiet ones do not.

use super::*;

fn plan() -> Value {
    json!([{"weight": {"share": "5%", "hold": "100h"}}, {"promote": {}}])
}

fn sustained(how: Value) -> Value {
    json!({"name": "error", "kind": "rate", "limit": "5%", "sustained": how, "burn": {"objective": "99%"}, "action": "rollback"})
}

#[test]
fn what_is_broken_or_burns_does_not_wait() {
    for reason in [Reason::Breaker, Reason::BudgetBurns, Reason::WorseThanControl] {
        for how in [json!({"checks": 30}), json!({"for": "2h"})] {
            let mut story = Story::of(plan(), json!([sustained(how)]));
            story.see_because("error", Outcome::Fail, reason).look();
            assert_eq!(story.state.phase, Phase::RollingBack, "{reason:?}");
        }
    }
    let mut story = Story::of(plan(), json!([sustained(json!({"checks": 30}))]));
    story.see("error", Outcome::Fail).look();
    assert_eq!(story.state.phase, Phase::Running, "a limit does");
}

impl Story {
    /// The loop turns so many times, a second apart.
    fn turn(&mut self, seconds: i64) -> &mut Self {
        for _ in 0..seconds {
            self.now = self.now.plus(Span::from_secs(1));
            self.look();
        }
        self
    }
}

#[test]
fn what_is_broken_does_not_wait_for_the_next_check() {
    let mut story = Story::of(plan(), json!([sustained(json!({"checks": 3}))]));
    let checked = story.look().state.clone();
    for reason in [Reason::OverLimit, Reason::BudgetBurns, Reason::WorseThanControl] {
        story.see_because("error", Outcome::Fail, reason).turn(10);
        assert_eq!(story.state, checked, "{reason:?}");
    }
    story.see_because("error", Outcome::Fail, Reason::Breaker).turn(1);
    assert_eq!(story.state.phase, Phase::RollingBack);
    assert!(story.summary.contains("error"), "{}", story.summary);
}

/// Two signals: one whose breaker does this, one that goes back after a breach
/// that three checks see.
fn two(action: &str) -> Story {
    let mut other = sustained(json!({"checks": 3}));
    other["name"] = json!("other");
    let broken = json!({"name": "error", "kind": "rate", "limit": "5%", "action": action});
    let mut story = Story::of(plan(), json!([broken, other]));
    story.see("other", Outcome::Fail).look();
    story.see_because("error", Outcome::Fail, Reason::Breaker).turn(1);
    story
}

#[test]
fn between_checks_a_breaker_pauses_once_and_nothing_else_is_counted() {
    let mut story = two("pause");
    assert_eq!(story.cause(), Some(PauseCause::Signal));
    let paused = story.state.clone();
    story.turn(50);
    assert_eq!(story.state, paused, "no check was due, so no breach lasts longer");
    assert_eq!(story.state.breaches["other"].checks, 1);
    assert_eq!(story.state.last_check, Some(START), "checks keep their times");
    story.wait("2m");
    assert_eq!(story.state.phase, Phase::RollingBack);
}

#[test]
fn an_accepted_or_only_told_breaker_makes_nothing_due() {
    let mut story = two("pause");
    story.see("other", Outcome::Hold).tell(Command::Resume).unwrap().look();
    let going_on = story.state.clone();
    assert_eq!(going_on.phase, Phase::Running);
    story.turn(50);
    assert_eq!(story.state, going_on);
    let story = two("notify");
    assert_eq!(story.state.notified.len(), 0, "told at the next check");
}

#[test]
fn checks_in_a_row_are_those_that_could_tell() {
    let mut story = Story::of(plan(), json!([sustained(json!({"checks": 3}))]));
    story.see("error", Outcome::Fail).wait("2m");
    story.see_because("error", Outcome::Hold, Reason::TooFew).wait("8h");
    assert_eq!(story.state.phase, Phase::Running);
    story.see("error", Outcome::Fail).wait("1m");
    assert_eq!(story.state.phase, Phase::RollingBack);
    // Good news breaks the row.
    let mut story = Story::of(plan(), json!([sustained(json!({"checks": 3}))]));
    story.see("error", Outcome::Fail).wait("2m");
    story.see("error", Outcome::Hold).wait("1m").see("error", Outcome::Fail).wait("2m");
    assert_eq!(story.state.phase, Phase::Running);
}

#[test]
fn a_stretch_of_time_is_broken_by_a_quiet_night() {
    let mut story = Story::of(plan(), json!([sustained(json!({"for": "10m"}))]));
    story.see("error", Outcome::Fail).wait("5m");
    story.see_because("error", Outcome::Hold, Reason::TooFew).wait("8h");
    story.see("error", Outcome::Fail).wait("5m");
    assert_eq!(story.state.phase, Phase::Running, "not eight hours without a break");
    story.wait("6m");
    assert_eq!(story.state.phase, Phase::RollingBack);
}

/// Nothing measured yet, so many answers of the candidate, so many of today's
/// version measured.
fn quiet(signals: Value, exposed: u64, control: u64) -> Story {
    let mut story = Story::of(plan(), signals);
    story.seen.exposed = exposed;
    story.seen.step = StepCounts { candidate: exposed, control: exposed, shadow: 0 };
    story.seen.verdicts[0].outcome = Outcome::NoData;
    story.seen.verdicts[0].reason = Reason::Nothing;
    story.seen.verdicts[0].candidate = ArmNumbers::default();
    story.seen.verdicts[0].control = ArmNumbers { n: control, value: None, bad: None };
    story.look();
    story
}

#[test]
fn nothing_yet_is_no_reason_to_stop_until_something_was_due() {
    for (signal, exposed, control, pauses) in [
        // One request in twenty seconds, a share of 5 %: nine an hour.
        (error(), 0, 0, false),
        (error(), 1, 13, false),
        (error(), 14, 0, true),
        // Nobody has answered, but 5 % of 300 are 15.
        (error(), 0, 300, true),
        (error(), 0, 200, false),
        // Few answers get a word about them, unless today's version says so.
        (accepted(), 100, 0, false),
        (accepted(), 700, 0, true),
        (accepted(), 100, 300, true),
    ] {
        let mut story = quiet(json!([signal]), exposed, control);
        story.wait("29m");
        assert_eq!(story.cause(), None);
        story.wait("10h");
        let cause = story.cause();
        assert_eq!(cause == Some(PauseCause::MissingData), pauses, "{exposed} {control}");
        assert_eq!(story.state.step, 0, "nothing passes without data");
    }
}

#[test]
fn a_quiet_start_does_not_use_up_the_time_that_silence_has() {
    let mut story = quiet(json!([error()]), 0, 0);
    story.wait("10h");
    story.seen.exposed = 20;
    story.wait("30m");
    assert_eq!(story.cause(), None);
    story.wait("1m");
    assert_eq!(story.cause(), Some(PauseCause::MissingData));
}

#[test]
fn nothing_is_promoted_on_nothing_however_quiet() {
    let steps = json!([{"weight": {"share": "5%", "hold": "1m"}}, {"promote": {}}]);
    let mut story = Story::of(steps, json!([error()]));
    story.seen.exposed = 2;
    story.seen.step = StepCounts::default();
    story.see("error", Outcome::NoData);
    story.seen.verdicts[0].control.n = 0;
    story.wait("20h");
    assert_eq!((story.state.step, story.cause()), (0, None));
    assert!(story.summary.contains("`error` has not been measured"), "{}", story.summary);
}

#[test]
fn what_was_measured_and_stays_away_is_missed_at_once() {
    for (outcome, reason) in
        [(Outcome::NoData, Reason::Stale), (Outcome::Inconclusive, Reason::Unusable)]
    {
        let mut story = quiet(json!([error()]), 1, 0);
        story.see_because("error", outcome, reason).wait("30m");
        assert_eq!(story.cause(), None);
        story.wait("1m");
        assert_eq!(story.cause(), Some(PauseCause::MissingData), "{reason:?}");
    }
    // A metrics server is asked whether there is traffic or not.
    let csat = json!({"name": "csat", "kind": "score", "range": [1, 5], "worse": "lower", "limit": 4, "sustained": {"for": "30m"}, "source": {"prometheus": "avg(csat)"}, "action": "pause"});
    let mut story = quiet(json!([csat]), 0, 0);
    story.wait("31m");
    assert_eq!(story.cause(), Some(PauseCause::MissingData));
}
