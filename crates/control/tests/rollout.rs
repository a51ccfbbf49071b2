//! A change's life on real git and a real store, with the clock in hand.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{House, app};
use domain::approval::Decision;
use domain::change::ChangeState;
use domain::finding::Severity;
use domain::people::Role;
use domain::rollout::Phase;
use domain::routing::Arm;
use store::AuditQuery;
use tidegate_control as control;
use tidegate_control::problem::ProblemKind;
use tidegate_control::views::{NewAction, NewApproval};

async fn run(
    house: &House,
    id: domain::ids::RolloutId,
    rejected: impl Fn(Arm, u64) -> bool,
) -> Phase {
    for _ in 0..400 {
        house.traffic(40, &rejected).await;
        house.pass(1000).await;
        let phase = house.control.rollout(&house.omar(), id).await.unwrap().phase;
        if phase.is_final() || matches!(phase, Phase::Paused { .. }) {
            return phase;
        }
    }
    let rollout = house.control.rollout(&house.omar(), id).await.unwrap();
    panic!("still {:?} after 400 looks: {:#?}", rollout.phase, rollout.report)
}

fn action(kind: &str, reason: Option<&str>) -> NewAction {
    NewAction { kind: kind.to_owned(), reason: reason.map(str::to_owned), to: None }
}

#[tokio::test]
async fn a_good_change_is_promoted_by_a_commit() {
    let house = House::new().await;
    let before = house.control.app(&house.ana(), &app()).await.unwrap();
    let change = house.propose("Greet {{ name }} warmly.\n").await;
    let checked = house.control.change(&house.ana(), change).await.unwrap();
    assert_eq!(checked.state, ChangeState::NeedsApproval, "{:#?}", checked.report);
    let rollout = house.approve(change).await;
    assert_eq!(run(&house, rollout, |_, i| i % 50 == 0).await, Phase::Promoted);

    let after = house.control.app(&house.ana(), &app()).await.unwrap();
    let rollout = house.control.rollout(&house.ana(), rollout).await.unwrap();
    assert_ne!(after.production, before.production);
    assert_eq!(after.production, Some(rollout.candidate));
    assert_eq!(house.control.change(&house.ana(), change).await.unwrap().state, ChangeState::Live);
    let git = house.control.git_status(&house.ana()).await.unwrap();
    assert_eq!(git.drift, Vec::new());
    assert_eq!(git.head, rollout.git_commit.unwrap());
    assert!(house.control.verify_log(&house.ana()).await.unwrap().whole);
}

#[tokio::test]
async fn a_bad_change_goes_back_by_itself_and_stays_out() {
    let house = House::new().await;
    let before = house.control.app(&house.ana(), &app()).await.unwrap();
    let change = house.propose("Insult {{ name }}.\n").await;
    let rollout = house.approve(change).await;
    let bad = |arm, i| matches!(arm, Arm::Candidate) || i % 50 == 0;
    assert_eq!(run(&house, rollout, bad).await, Phase::RolledBack);

    let view = house.control.rollout(&house.omar(), rollout).await.unwrap();
    assert!(view.requests_harmed > 0 && view.requests_harmed <= view.requests_exposed, "{view:#?}");
    assert!(view.swing_back.is_some());
    let incident = house.control.incident(&house.omar(), view.incident.unwrap()).await.unwrap();
    assert_eq!(incident.suspect, Some(view.candidate));
    assert!(incident.what.text.contains("rejected"), "{}", incident.what.text);
    assert_eq!(incident.revert_commit, view.git_commit);
    let after = house.control.app(&house.ana(), &app()).await.unwrap();
    assert_eq!(after.production, before.production);
    assert_eq!(house.control.git_status(&house.ana()).await.unwrap().drift, Vec::new());
    assert_eq!(
        house.control.change(&house.ana(), change).await.unwrap().state,
        ChangeState::RolledBack
    );

    // The same content again is refused until an approver clears it.
    let again = house.propose("Insult {{ name }}.\n").await;
    let again = house.control.change(&house.ana(), again).await.unwrap();
    assert_eq!(again.state, ChangeState::NeedsFixes);
    let codes: Vec<_> =
        again.report.unwrap().gates.into_iter().flat_map(|g| g.findings).map(|f| f.code).collect();
    assert!(codes.contains(&"release_denied".to_owned()), "{codes:?}");
    let denied = view.candidate.to_string();
    let refused =
        house.control.clear_release(&house.ana(), &denied, "it was the traffic's fault").await;
    assert_eq!(refused.unwrap_err().kind, ProblemKind::NotAllowed);
    house
        .control
        .clear_release(&house.priya(), &denied, "it was the traffic's fault")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_promotion_that_git_does_not_take_can_still_be_rolled_back() {
    let house = House::new().await;
    let first = house.control.app(&house.ana(), &app()).await.unwrap().production.unwrap();
    let change = house.propose("Greet {{ name }} warmly.\n").await;
    let rollout = house.approve(change).await;
    let git = house.dir.path().join("data/ops.git");
    let away = house.dir.path().join("away.git");
    std::fs::rename(&git, &away).unwrap();
    let promote = action("promote", Some("we are sure of this one"));
    house.control.rollout_action(&house.priya(), rollout, None, promote).await.unwrap();
    house.pass(1000).await;
    assert_eq!(
        house.control.rollout(&house.omar(), rollout).await.unwrap().phase,
        Phase::Promoting
    );
    house
        .control
        .rollout_action(&house.omar(), rollout, None, action("rollback", None))
        .await
        .unwrap();
    let exposed = house.snapshot().await.1.apps[&app()].rollout.clone();
    assert!(exposed.is_none_or(|r| r.exposure.weight == domain::units::Share::NONE));
    std::fs::rename(&away, &git).unwrap();
    for _ in 0..20 {
        house.heartbeat().await;
        house.pass(1000).await;
    }
    assert_eq!(
        house.control.rollout(&house.omar(), rollout).await.unwrap().phase,
        Phase::RolledBack
    );
    let git = house.control.git_status(&house.ana()).await.unwrap();
    assert_eq!((git.drift, git.pending), (Vec::new(), Vec::new()));
    let app = house.control.app(&house.ana(), &app()).await.unwrap();
    assert_eq!(app.production, Some(first));
}

#[tokio::test]
async fn nobody_approves_their_own_change() {
    let house = House::new().await;
    let id = house.propose("Greet {{ name }} again.\n").await;
    let both = house.caller("ana", &[Role::Editor, Role::Approver]);
    let content = house.control.change(&both, id).await.unwrap().content;
    let yes = NewApproval { decision: Decision::Approve, comment: String::new(), content };
    let refused = house.control.decide(&both, id, None, yes).await.unwrap_err();
    assert_eq!(refused.code, "own_change");
}

#[tokio::test]
async fn the_second_of_two_operators_gets_a_conflict() {
    let house = House::new().await;
    let id = house.propose("Greet {{ name }} again.\n").await;
    let rollout = house.approve(id).await;
    let seen = house.control.rollout(&house.omar(), rollout).await.unwrap().generation;
    let pause = house
        .control
        .rollout_action(&house.omar(), rollout, Some(seen), action("pause", None))
        .await;
    pause.unwrap();
    let second = house
        .control
        .rollout_action(
            &house.priya(),
            rollout,
            Some(seen),
            action("promote", Some("it looks good enough to me")),
        )
        .await
        .unwrap_err();
    assert_eq!(second.kind, ProblemKind::Conflict);
}

#[tokio::test]
async fn a_fallback_that_could_not_answer_is_refused() {
    let house = House::new().await;
    let new = control::views::NewChange {
        app: app(),
        title: None,
        why: "a better answer for bad days".to_owned(),
        edits: vec![control::views::Edit {
            path: "apps/greeter/fallback.yaml".to_owned(),
            content: Some("apiVersion: tidegate/v1\ndefault: Hello {{ name\n".to_owned()),
        }],
        branch: None,
        bump: None,
    };
    let id = house.control.create_change(&house.ana(), new).await.unwrap().id;
    house.control.look().await;
    let change = house.control.change(&house.ana(), id).await.unwrap();
    let gates = change.report.unwrap().gates;
    let errors = gates.iter().flat_map(|g| &g.findings).filter(|f| f.severity == Severity::Error);
    let found: Vec<_> = errors.map(|f| f.code.as_str()).collect();
    assert_eq!((change.state, found), (ChangeState::NeedsFixes, vec!["bad_fallback"]));
}

#[tokio::test]
async fn what_is_around_a_candidate_waits_for_its_promotion_and_goes_back_with_it() {
    let house = House::new().await;
    let fallback = |text: &str| control::views::Edit {
        path: "apps/greeter/fallback.yaml".to_owned(),
        content: Some(format!("apiVersion: tidegate/v1\ndefault: {text}\n")),
    };
    let said = async || {
        let snapshot = house.snapshot().await.1;
        snapshot.apps[&app()].fallback.clone().unwrap()["default"].as_str().unwrap().to_owned()
    };
    let mut edits = vec![fallback("Hi.")];
    edits.push(control::views::Edit {
        path: "apps/greeter/prompts/hello/system.j2".to_owned(),
        content: Some("Greet {{ name }} warmly.\n".to_owned()),
    });
    let new = control::views::NewChange {
        app: app(),
        title: None,
        why: "a warmer greeting everywhere".to_owned(),
        edits,
        branch: None,
        bump: Some("minor".to_owned()),
    };
    let change = house.control.create_change(&house.ana(), new).await.unwrap().id;
    house.control.look().await;
    let rollout = house.approve(change).await;
    house.control.look().await;
    assert_eq!(said().await, "Hello.", "merged, and on trial for nobody yet");
    run(&house, rollout, |_, i| i % 50 == 0).await;
    house.control.look().await;
    assert_eq!(said().await, "Hi.");
    let back = action("rollback", Some("the greeting is too warm"));
    house.control.app_action(&house.omar(), &app(), None, back).await.unwrap();
    assert_eq!(said().await, "Hello.");
}

#[tokio::test]
async fn kill_and_unkill_reach_the_snapshot_and_need_a_reason_afterwards() {
    let house = House::new().await;
    house.heartbeat().await;
    let refused = house.control.app_action(&house.ana(), &app(), None, action("kill", None)).await;
    assert_eq!(refused.unwrap_err().kind, ProblemKind::NotAllowed);
    let killed =
        house.control.app_action(&house.omar(), &app(), None, action("kill", None)).await.unwrap();
    assert!(house.snapshot().await.1.apps[&app()].killed.is_some());
    let incident = killed.incident.unwrap();
    house.pass(3_601_000).await;
    let query =
        AuditQuery { action: Some("incident.reason_overdue".to_owned()), ..AuditQuery::default() };
    assert_eq!(house.control.audit(&house.ana(), query).await.unwrap().items.len(), 1);
    house.control.give_reason(&house.omar(), incident, "answers were rude").await.unwrap();
    let back = action("unkill", Some("the provider fixed it"));
    house.control.app_action(&house.omar(), &app(), None, back).await.unwrap();
    assert!(house.snapshot().await.1.apps[&app()].killed.is_none());
}

#[tokio::test]
async fn production_goes_back_to_the_release_before_and_git_follows() {
    let house = House::new().await;
    let first = house.control.app(&house.ana(), &app()).await.unwrap().production;
    let nothing =
        house.control.app_action(&house.omar(), &app(), None, action("rollback", None)).await;
    assert_eq!(nothing.unwrap_err().code, "nothing_to_go_back_to");
    let change = house.propose("Greet {{ name }} warmly.\n").await;
    let rollout = house.approve(change).await;
    run(&house, rollout, |_, i| i % 50 == 0).await;
    let back = action("rollback", Some("customers complained"));
    house.control.app_action(&house.omar(), &app(), None, back).await.unwrap();
    assert_eq!(house.snapshot().await.1.apps[&app()].production, first.unwrap());
    house.control.look().await;
    let git = house.control.git_status(&house.ana()).await.unwrap();
    assert_eq!((git.drift, git.pending), (Vec::new(), Vec::new()));
    let change = house.control.change(&house.ana(), change).await.unwrap();
    assert_eq!(change.state, ChangeState::RolledBack);
    assert!(change.revert_commit.is_some());
}

#[tokio::test]
async fn a_second_rollback_never_brings_the_failed_release_back() {
    let house = House::new().await;
    let first = house.control.app(&house.ana(), &app()).await.unwrap().production.unwrap();
    let change = house.propose("Greet {{ name }} warmly.\n").await;
    let rollout = house.approve(change).await;
    run(&house, rollout, |_, i| i % 50 == 0).await;
    let omar = house.omar();
    let (control, app) = (house.control.clone(), app());
    let again = || control.app_action(&omar, &app, None, action("rollback", None));
    again().await.unwrap();
    // A second press, or a second person.
    assert_eq!(again().await.unwrap_err().code, "rolled_back_already");
    assert_eq!(house.snapshot().await.1.apps[&app].production, first);
    // Later it is no repetition, but what failed is still nothing to go back to.
    house.pass(24 * 3_600_000).await;
    assert_eq!(again().await.unwrap_err().code, "nothing_to_go_back_to");
    assert_eq!(house.snapshot().await.1.apps[&app].production, first);
}

#[tokio::test]
async fn a_restart_at_any_look_changes_nothing() {
    let mut house = House::new().await;
    let change = house.propose("Greet {{ name }} warmly.\n").await;
    house.restart().await;
    let rollout = house.approve(change).await;
    for _ in 0..400 {
        house.restart().await;
        house.traffic(40, |_, i| i % 50 == 0).await;
        house.pass(1000).await;
        if house.control.rollout(&house.omar(), rollout).await.unwrap().phase.is_final() {
            break;
        }
    }
    let view = house.control.rollout(&house.omar(), rollout).await.unwrap();
    assert_eq!(view.phase, Phase::Promoted);
    assert_eq!(house.control.git_status(&house.ana()).await.unwrap().drift, Vec::new());
}

#[tokio::test]
async fn what_is_broken_goes_back_within_seconds_however_rare_the_checks() {
    let mut files = common::files();
    let plan = "apiVersion: tidegate/v1
subject: user
check_every: 60s
steps:
  - weight: {share: 50%, hold: 10h}
  - promote: {}
signals:
  - {name: rejected, kind: rate, worse: higher, limit: 5%, sustained: {checks: 5}, action: rollback}
missing: {hold_for: 5m, then: pause}
";
    files.insert("apps/greeter/rollout.yaml".to_owned(), plan.as_bytes().to_vec());
    let house = House::with(files).await;
    let change = house.propose("Insult {{ name }}.\n").await;
    let rollout = house.approve(change).await;
    house.pass(1000).await;
    let checked = house.control.rollout(&house.omar(), rollout).await.unwrap();
    assert_eq!(checked.phase, Phase::Running);
    // Enough that ten of them are the candidate's, straight after a check.
    house.traffic(30, |arm, _| arm == Arm::Candidate).await;
    let mut turns = 0;
    while house.control.rollout(&house.omar(), rollout).await.unwrap().phase == Phase::Running {
        turns += 1;
        assert!(turns <= 4, "still running {turns} seconds after ten straight failures");
        house.pass(1000).await;
    }
    let view = house.control.rollout(&house.omar(), rollout).await.unwrap();
    assert!(matches!(view.phase, Phase::RollingBack | Phase::RolledBack), "{view:#?}");
    let signal = view.report.unwrap().signals.remove(0);
    assert_eq!(signal.verdict.reason, domain::verdict::Reason::Breaker);
}
