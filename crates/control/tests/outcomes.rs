//! Verdicts are a function of the outcomes alone: whoever delivered them, and
//! however often the process that judges was started again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use analysis::{Engine, Outcome};
use common::{House, PLAN};
use domain::ids::RolloutId;
use domain::rollout::{Phase, Report};
use domain::routing::Arm;
use domain::units::Timestamp;
use domain::verdict::Verdict;
use store::{AuditQuery, LOOK_LAG, Store};
use tidegate_control::listing::ListQuery;

/// Bad three times in ten, today's version once; found out after some looks.
fn worse(arm: Arm, i: u64) -> bool {
    match arm {
        Arm::Candidate | Arm::Shadow => i % 10 < 3,
        Arm::Control | Arm::Stable | Arm::Variant | Arm::Preview => i.is_multiple_of(10),
    }
}

async fn reports(house: &House, id: RolloutId) -> Vec<Report> {
    let query = ListQuery { limit: Some(100), ..ListQuery::default() };
    house.control.ticks(&house.ana(), id, query).await.unwrap().items
}

/// Every look at a rollout of the worse candidate, and how it ended.
async fn story(gateways: u64, restarts: bool) -> (Vec<(Timestamp, Vec<Verdict>)>, Phase) {
    let mut house = House::new().await;
    let change = house.propose("Greet {{ name }} warmly.\n").await;
    let rollout = house.approve(change).await;
    for look in 0..60 {
        if restarts && look % 7 == 3 {
            house.restart().await;
        }
        house.traffic_through(gateways, 40, worse).await;
        house.pass(1000).await;
        if house.control.rollout(&house.omar(), rollout).await.unwrap().phase.is_final() {
            break;
        }
    }
    let verdicts = |report: Report| {
        (report.at, report.signals.into_iter().map(|signal| signal.verdict).collect())
    };
    let reports = reports(&house, rollout).await;
    let phase = house.control.rollout(&house.omar(), rollout).await.unwrap().phase;
    (reports.into_iter().map(verdicts).collect(), phase)
}

#[tokio::test]
async fn ten_gateways_give_the_verdicts_that_one_would() {
    let (one, ten) = (story(1, false).await, story(10, false).await);
    assert_eq!(one.1, Phase::RolledBack, "{:#?}", one.0.first());
    assert!(one.0.len() > 3, "{}", one.0.len());
    assert_eq!(one, ten);
}

#[tokio::test]
async fn a_restart_in_the_middle_changes_no_verdict() {
    let (straight, restarted) = (story(1, false).await, story(1, true).await);
    assert_eq!(straight, restarted);
}

#[tokio::test]
async fn a_replay_of_what_was_stored_says_the_same() {
    let house = House::new().await;
    let change = house.propose("Greet {{ name }} warmly.\n").await;
    let rollout = house.approve(change).await;
    for _ in 0..20 {
        house.traffic(40, |_, i| i % 9 == 0).await;
        house.pass(1000).await;
    }
    let view = house.control.rollout(&house.omar(), rollout).await.unwrap();
    let last = view.report.unwrap();
    let policy = opsrepo::replayed_policy("rollout.yaml", PLAN.as_bytes()).unwrap();
    let rejected = 1;
    assert_eq!(policy.signals[usize::from(rejected)].name, "rejected");
    let store = Store::open(&house.dir.path().join("data")).await.unwrap();
    let until = Timestamp(last.at.0 - LOOK_LAG.millis());
    let mut engine = Engine::new(&policy, view.started_at, policy.risk.false_stop.0);
    let outcomes = store.outcomes(rollout, None, until, u32::MAX).await.unwrap();
    assert!(outcomes.len() > 500, "{}", outcomes.len());
    for known in &outcomes {
        let values = match &known.measured {
            store::Measured::Answer { failed, .. } => vec![(0, f64::from(u8::from(*failed)))],
            store::Measured::Feedback { value, .. } => vec![(rejected, *value)],
        };
        engine.add(&Outcome {
            at: known.place.known,
            side: known.side,
            share: known.share.fraction(),
            unit: Some(known.unit),
            pair: known.pair,
            input: Some(known.input),
            segment: known.segment,
            answer: known.answer,
            step: known.step,
            failed: false,
            values,
        });
    }
    let step = u32::try_from(last.step).unwrap();
    let place = analysis::Place { step, exposed: true };
    let again = engine.look(until, &place);
    let said: Vec<Verdict> = last.signals.into_iter().map(|signal| signal.verdict).collect();
    assert_eq!(again, said);
}

#[tokio::test]
async fn another_attempt_of_a_release_has_less_risk_to_spend() {
    let house = House::new().await;
    let attempt = async || {
        let change = house.propose("Insult {{ name }}.\n").await;
        let rollout = house.approve(change).await;
        for _ in 0..200 {
            house
                .traffic(40, |arm, i| matches!(arm, Arm::Candidate | Arm::Shadow) || i % 50 == 0)
                .await;
            house.pass(1000).await;
            let view = house.control.rollout(&house.omar(), rollout).await.unwrap();
            if view.phase.is_final() {
                return view.candidate.to_string();
            }
        }
        panic!("still under way after 200 looks")
    };
    let first = attempt().await;
    house
        .control
        .clear_release(&house.priya(), &first, "it was the traffic's fault")
        .await
        .unwrap();
    house.pass(120_000).await;
    assert_eq!(attempt().await, first, "the same release");
    let query = AuditQuery { action: Some("rollout.started".to_owned()), ..AuditQuery::default() };
    let mut risks: Vec<f64> = house
        .control
        .audit(&house.ana(), query)
        .await
        .unwrap()
        .items
        .iter()
        .map(|entry| entry.entry.details["false_stop"].as_f64().unwrap())
        .collect();
    risks.sort_by(f64::total_cmp);
    let [second, first] = risks.as_slice() else { panic!("{risks:?}") };
    assert_eq!(*first, 0.01);
    assert!((0.005..0.01).contains(second), "{second}");
}
