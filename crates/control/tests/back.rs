//! Going back by steps across restarts, and the check that asks who measures what
//! the plan watches.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{House, files};
use domain::finding::{GateOutcome, GateResult};
use domain::ids::{ChangeId, RolloutId};
use domain::rollout::Phase;
use domain::routing::Arm;

const PLAN: &str = "apiVersion: tidegate/v1
check_every: 1s
planned: {duration: 1h, requests: 5000}
steps:
  - weight: {share: 90%, hold: 30m}
  - promote: {}
signals:
  - {name: error, kind: rate, notice: {by: 0.05}, action: rollback}
  - {name: rejected, kind: rate, notice: {by: 0.1}, action: rollback}
after_rollback: {cool_down: 1m, restore: [75%, 50%, 25%, 0%]}
";

async fn house() -> House {
    let mut files = files();
    files.insert("apps/greeter/rollout.yaml".to_owned(), PLAN.as_bytes().to_vec());
    House::with(files).await
}

async fn stands(house: &House, id: RolloutId) -> (Phase, String) {
    let view = house.control.rollout(&house.omar(), id).await.unwrap();
    (view.phase, view.exposure.weight.to_string())
}

async fn asked(house: &House, change: ChangeId) -> GateResult {
    let report = house.control.checks(&house.ana(), change).await.unwrap();
    report.gates.into_iter().find(|gate| gate.gate == "signals").unwrap()
}

#[tokio::test]
async fn a_rollback_by_steps_goes_on_after_restarts_and_ends_at_nobody() {
    let mut house = house().await;
    let change = house.propose("Insult {{ name }}.\n").await;
    let id = house.approve(change).await;
    for _ in 0..200 {
        house.traffic(40, |arm, i| matches!(arm, Arm::Candidate) || i % 50 == 0).await;
        house.pass(1000).await;
        if stands(&house, id).await.0 != Phase::Running {
            break;
        }
    }
    assert_eq!(stands(&house, id).await, (Phase::RollingBack, "75%".to_owned()));
    let served = |snapshot: &domain::snapshot::Snapshot| {
        let rollout = snapshot.apps.values().next().unwrap().rollout.as_ref().unwrap();
        rollout.exposure.weight.to_string()
    };
    assert_eq!(served(&house.snapshot().await.1), "75%");
    for weight in ["50%", "25%", "0%"] {
        house.restart().await;
        house.pass(500).await;
        let before = stands(&house, id).await.1;
        assert_ne!(before, weight, "not before its time");
        house.pass(500).await;
        assert_eq!(stands(&house, id).await, (Phase::RollingBack, weight.to_owned()));
        assert_eq!(served(&house.snapshot().await.1), weight);
    }
    // Git is told by the outbox; no gateway is connected, which takes its time.
    for _ in 0..30 {
        house.pass(1000).await;
    }
    assert_eq!(stands(&house, id).await, (Phase::RolledBack, "0%".to_owned()));
}

#[tokio::test]
async fn a_change_is_warned_of_signals_that_nobody_measures() {
    let house = house().await;
    let change = house.propose("Greet {{ name }} warmly.\n").await;
    let gate = asked(&house, change).await;
    assert_eq!(gate.outcome, GateOutcome::Warned);
    let [finding] = gate.findings.as_slice() else { panic!("{gate:?}") };
    assert_eq!(finding.place.as_ref().unwrap().field.as_deref(), Some("signals[1].name"));
    assert!(finding.message.contains("feedback named `rejected`"), "{finding:?}");
    house.approve(change).await;
    house.traffic(40, |_, i| i % 9 == 0).await;
    let next = house.propose("Greet {{ name }} kindly.\n").await;
    assert_eq!(asked(&house, next).await.outcome, GateOutcome::Passed);
    // What was said long ago counts no more.
    house.now.fetch_add(31 * 86_400_000, std::sync::atomic::Ordering::SeqCst);
    let late = house.propose("Greet {{ name }} loudly.\n").await;
    assert_eq!(asked(&house, late).await.outcome, GateOutcome::Warned);
}
