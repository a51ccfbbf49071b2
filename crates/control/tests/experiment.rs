//! Live experiments from a reviewed file to their end: real git, real store, a
//! clock that only the test moves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use analysis::cells::Cells;
use common::{House, app};
use domain::approval::Decision;
use domain::change::ChangeState;
use domain::experiment::live::{Ending, Phase};
use domain::ids::{ChangeId, Digest, ExperimentId, RequestId};
use domain::incident::IncidentKind;
use domain::people::Role;
use domain::routing::{Arm, Facts, route};
use domain::snapshot::AppSnapshot;
use domain::telemetry::{AnswerStatus, Feedback, RequestRecord};
use domain::units::Timestamp;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use tidegate_control::experiments::view::{ExperimentView, StartExperiment};
use tidegate_control::listing::ListQuery;
use tidegate_control::problem::Problem;
use tidegate_control::views::{Edit, NewAction, NewApproval, NewChange};

const TONE: &str = "apiVersion: tidegate/v1
variants: [{name: today}, {name: short, prompt: short}, {name: kind, prompt: kind}]
floor: 10%
check_every: 10s
min_requests: 50
reward: {signal: accepted, kind: rate}
guards:
  - {name: error, kind: rate, worse: higher, notice: {by: 0.1}, action: rollback}
risk: {wrong_winner: 5%, false_drop: 1%}
";

fn edit(path: &str, content: &str) -> Edit {
    Edit { path: format!("apps/greeter/{path}"), content: Some(content.to_owned()) }
}

/// Two prompts more, and an experiment with them.
fn tone(policy: &str) -> Vec<Edit> {
    let prompt = "apiVersion: tidegate/v1\nversion: 1.0.0\nchangelog: first\nmessages:\n  - {role: system, template: system.j2}\n";
    let mut edits = vec![edit("experiments/tone.yaml", policy)];
    for (name, text) in
        [("short", "Greet {{ name }} briefly.\n"), ("kind", "Greet {{ name }} kindly.\n")]
    {
        edits.push(edit(&format!("prompts/{name}/prompt.yaml"), prompt));
        edits.push(edit(&format!("prompts/{name}/system.j2"), text));
    }
    edits
}

/// Ana proposes these files; the gates run.
async fn propose(house: &House, edits: Vec<Edit>) -> ChangeId {
    let new = NewChange {
        app: app(),
        title: None,
        why: "to learn which tone people like".to_owned(),
        edits,
        branch: None,
        bump: None,
    };
    let id = house.control.create_change(&house.ana(), new).await.unwrap().id;
    house.control.look().await;
    id
}

/// Priya says yes; the merge happens, or waits.
async fn approve(house: &House, id: ChangeId) -> ChangeState {
    let view = house.control.change(&house.priya(), id).await.unwrap();
    assert_eq!(view.state, ChangeState::NeedsApproval, "{:#?}", view.report);
    let (decision, content) = (Decision::Approve, view.content);
    let yes = NewApproval { decision, comment: "fine".to_owned(), content };
    house.control.decide(&house.priya(), id, None, yes).await.unwrap();
    house.pass(0).await;
    house.control.change(&house.priya(), id).await.unwrap().state
}

async fn try_start(house: &House, role: Role, name: &str) -> Result<ExperimentView, Problem> {
    let new = StartExperiment { app: app(), name: name.to_owned(), reason: None };
    house.control.start_experiment(&house.caller("omar", &[role]), new).await
}

/// A house with the experiment under way.
async fn started(policy: &str) -> (House, ExperimentId) {
    let house = House::new().await;
    let change = propose(&house, tone(policy)).await;
    assert_eq!(approve(&house, change).await, ChangeState::Live, "no new release, no rollout");
    let begun = try_start(&house, Role::Operator, "tone").await.unwrap();
    (house, begun.id)
}

/// What gateways serve; who gets what is the same in every run.
async fn served(house: &House) -> AppSnapshot {
    let mut served = house.snapshot().await.1.apps[&app()].clone();
    if let Some(experiment) = &mut served.experiment {
        "salt".clone_into(&mut experiment.salt);
    }
    served
}

/// What becomes of visitor `i` of a variant: failed, accepted.
type Fate<'a> = &'a dyn Fn(&str, u64) -> (bool, bool);

/// So many visitors, `from` on, in the segments in turn, and a look a second
/// later. `lost` leaves an answer out as if it never came.
async fn visit(
    house: &House,
    ids: std::ops::Range<u64>,
    segments: &[Option<&str>],
    lost: &dyn Fn(&str, u64) -> bool,
    fate: Fate<'_>,
) {
    let generation = house.snapshot().await.0;
    let served = served(house).await;
    let now = house.now.load(Ordering::SeqCst);
    let (mut cells, mut records, mut feedback) = (Cells::default(), Vec::new(), Vec::new());
    for i in ids {
        let segment = segments.get(i as usize % segments.len().max(1)).copied().flatten();
        let subject = format!("user-{i}");
        let decision = route(&served, Facts { subject: &subject, segment });
        let name = decision.drawn.as_ref().map_or("", |drawn| drawn.name.as_str()).to_owned();
        if lost(&name, i) {
            continue;
        }
        let (failed, accepted) = fate(&name, i);
        let mut bytes = [0; 15];
        bytes[..8].copy_from_slice(&i.to_be_bytes());
        let at = Timestamp(now - (i * 37 % 500) as i64);
        let record = RequestRecord {
            id: RequestId::from_random(bytes),
            at,
            gateway: "gw-1".parse().unwrap(),
            app: app(),
            release: decision.release,
            arm: decision.arm,
            rollout: decision.rollout,
            step: decision.step,
            share: decision.share,
            drawn: decision.drawn,
            generation,
            bucket: decision.bucket,
            subject,
            tenant: None,
            input: Digest::of(&i.to_be_bytes()),
            status: if failed { AnswerStatus::ProviderError } else { AnswerStatus::Ok },
            error: None,
            fallback: "none".to_owned(),
            streamed: false,
            latency_us: 1000,
            ttft_us: 500,
            retries: 0,
            prompt_tokens: 10,
            completion_tokens: 10,
            cost_nano_usd: 1000,
            schema_failed: None,
            served_model: None,
            prompt: None,
            answer: None,
            preview: None,
        };
        cells.add(&record);
        let said = Feedback {
            request_id: Some(record.id.clone()),
            subject: None,
            app: None,
            name: "accepted".to_owned(),
            value: f64::from(u8::from(accepted)),
            comment: None,
            shadow: false,
        };
        feedback.push((at, said));
        records.push(record);
    }
    house.ship("gw-1".parse().unwrap(), generation, cells.take(), records, feedback).await;
    house.pass(1000).await;
}

/// A coin with this chance for visitor `i`: the same in every run.
fn coin(i: u64, chance: f64) -> bool {
    let mixed = (i + 1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .rotate_left(17)
        .wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((mixed >> 11) as f64 / (1_u64 << 53) as f64) < chance
}

fn short_is_best(name: &str, i: u64) -> (bool, bool) {
    (false, coin(i, if name == "short" { 0.6 } else { 0.2 }))
}

async fn seen(house: &House, id: ExperimentId) -> ExperimentView {
    house.control.experiment(&house.omar(), id).await.unwrap()
}

async fn act(house: &House, id: ExperimentId, kind: &str) -> Result<(), Problem> {
    let action = NewAction { kind: kind.to_owned(), reason: None, to: None };
    house.control.experiment_action(&house.omar(), id, None, action).await.map(drop)
}

/// Visitors until there is a winner: at most so many seconds of them, and after
/// which of these the server is started again.
async fn until_won(house: &mut House, id: ExperimentId, restart_after: Option<u64>) -> u64 {
    for second in 0..200 {
        visit(house, second * 20..second * 20 + 20, &[None], &|_, _| false, &short_is_best).await;
        if restart_after == Some(second) {
            house.restart().await;
        }
        if seen(house, id).await.phase != Phase::Running {
            return second;
        }
    }
    panic!("{:?}", seen(house, id).await.summary);
}

fn code<T: std::fmt::Debug>(result: Result<T, Problem>) -> String {
    result.unwrap_err().code
}

#[tokio::test]
async fn a_reviewed_experiment_finds_its_winner_and_promotes_nothing() {
    let (mut house, id) = started(TONE).await;
    assert_eq!(code(try_start(&house, Role::Operator, "tone").await), "experiment_under_way");
    let production = served(&house).await.production;
    // A change of the release waits for it, and says so.
    let waiting = propose(&house, vec![edit("prompts/hello/system.j2", "Hello {{ name }}!\n"), edit("prompts/hello/prompt.yaml", "apiVersion: tidegate/v1\nversion: 1.1.0\nchangelog: shorter\nmessages:\n  - {role: system, template: system.j2}\n")]).await;
    assert_eq!(approve(&house, waiting).await, ChangeState::Merging);
    let summary = house.control.change(&house.ana(), waiting).await.unwrap().summary.text;
    assert!(summary.contains(&format!("{id}")), "{summary}");

    let before = served(&house).await;
    let people: Vec<String> = (0..4000).map(|i| format!("somebody-{i}")).collect();
    let who = |app: &AppSnapshot| -> Vec<String> {
        let drawn = |subject| route(app, Facts { subject, segment: None }).drawn.unwrap().name;
        people.iter().map(|subject| drawn(subject)).collect()
    };
    let shares = |names: &[String]| {
        let mut count: BTreeMap<String, usize> = BTreeMap::new();
        names.iter().for_each(|name| *count.entry(name.clone()).or_default() += 1);
        count
    };
    let first = who(&before);
    assert!(shares(&first).values().all(|n| (1200..1470).contains(n)), "{:?}", shares(&first));

    let seconds = until_won(&mut house, id, None).await;
    assert!(seconds >= 10, "no look before the grid's first");
    let won = seen(&house, id).await;
    assert_eq!(won.phase, Phase::Won { variant: "short".to_owned() });
    assert!(won.summary.text.contains("`short`"), "{}", won.summary.text);
    assert!(won.variants[1].shares[0].bp() > 5000, "{:?}", won.variants);
    let numbers = won.variants[1].numbers.clone().unwrap();
    assert!(numbers.rewards >= 50 && numbers.against_control.unwrap() > 0.2, "{numbers:?}");
    // Shares moved, and with them only those who had to: to the one that grew.
    let then = who(&served(&house).await);
    let moved: Vec<_> = first.iter().zip(&then).filter(|(a, b)| a != b).collect();
    assert!(!moved.is_empty() && moved.iter().all(|(_, to)| *to == "short"), "{moved:?}");
    // Nothing was promoted, and nothing is.
    let app_now = house.control.app(&house.omar(), &app()).await.unwrap();
    assert_eq!((app_now.production, app_now.experiment), (Some(production), Some(id)));

    assert_eq!(code(act(&house, id, "celebrate").await), "unknown_action");
    act(&house, id, "conclude").await.unwrap();
    let over = seen(&house, id).await;
    assert_eq!(over.phase, Phase::Ended { how: Ending::Concluded });
    assert!(over.summary.text.contains("winner `short`"), "{}", over.summary.text);
    let after = served(&house).await;
    assert_eq!((after.experiment, after.production), (None, production));
    act(&house, id, "stop").await.unwrap();
    assert_eq!(seen(&house, id).await, over, "it is over");
    // What waited has its turn.
    house.pass(2000).await;
    let change = house.control.change(&house.ana(), waiting).await.unwrap();
    assert_eq!(change.state, ChangeState::RollingOut);
    assert_eq!(code(try_start(&house, Role::Operator, "tone").await), "rollout_under_way");
}

#[tokio::test]
async fn a_restart_in_the_middle_changes_nothing() {
    let (mut calm, id) = started(TONE).await;
    let seconds = until_won(&mut calm, id, None).await;
    for restart in [3, seconds / 2, seconds - 1] {
        let (mut shaken, other) = started(TONE).await;
        assert_eq!(until_won(&mut shaken, other, Some(restart)).await, seconds);
        let (a, b) = (seen(&calm, id).await, seen(&shaken, other).await);
        assert_eq!(a.report, b.report, "restarted after {restart} s");
        assert_eq!((a.variants, a.looked_at), (b.variants, b.looked_at));
    }
}

#[tokio::test]
async fn a_variant_that_breaks_is_dropped_and_refused() {
    let (house, id) = started(TONE).await;
    let fate = |name: &str, i| (name == "kind" && coin(i, 0.8), coin(i, 0.3));
    for second in 0..40 {
        visit(&house, second * 20..second * 20 + 20, &[None], &|_, _| false, &fate).await;
    }
    let view = seen(&house, id).await;
    assert_eq!(view.phase, Phase::Running);
    assert_eq!(view.variants[2].dropped.as_deref(), Some("error"));
    assert_eq!(view.variants[2].shares[0].bp(), 0);
    let shown = served(&house).await;
    for i in 0..2000 {
        let subject = format!("n-{i}");
        let drawn = route(&shown, Facts { subject: &subject, segment: None }).drawn.unwrap();
        assert_ne!(drawn.name, "kind");
    }
    let query = ListQuery { app: Some(app()), ..ListQuery::default() };
    let incidents = house.control.incidents(&house.omar(), query).await.unwrap().items;
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    let incident = serde_json::to_value(&incidents[0]).unwrap();
    assert_eq!(incident["kind"], serde_json::to_value(IncidentKind::VariantDropped).unwrap());
    assert_eq!(incident["suspect"], serde_json::to_value(view.variants[2].release).unwrap());
    assert!(incident["requests_exposed"].as_u64().unwrap() > 10, "{incident}");
    assert_eq!(view.incidents.len(), 1);
    // What did harm is not tried again.
    act(&house, id, "stop").await.unwrap();
    assert_eq!(code(try_start(&house, Role::Operator, "tone").await), "release_denied");
}

#[tokio::test]
async fn lost_answers_end_it_and_no_number_is_believed() {
    let (house, id) = started(TONE).await;
    let lost = |name: &str, i| name == "short" && coin(i, 0.6);
    for second in 0..60 {
        visit(&house, second * 20..second * 20 + 20, &[None], &lost, &short_is_best).await;
    }
    let view = seen(&house, id).await;
    assert_eq!(view.phase, Phase::Ended { how: Ending::WrongShares }, "{:?}", view.summary);
    assert_eq!(served(&house).await.experiment, None);
}

#[tokio::test]
async fn kill_and_rollback_put_everyone_on_stable_for_good() {
    for kind in ["kill", "rollback"] {
        let (house, id) = started(TONE).await;
        let production = served(&house).await.production;
        let action = |kind: &str| NewAction {
            kind: kind.to_owned(),
            reason: Some("it looks wrong".to_owned()),
            to: None,
        };
        let done =
            house.control.app_action(&house.omar(), &app(), None, action(kind)).await.unwrap();
        assert!(done.incident.is_some());
        let how = if kind == "kill" { Ending::Killed } else { Ending::RolledBack };
        assert_eq!(seen(&house, id).await.phase, Phase::Ended { how });
        let shown = served(&house).await;
        assert_eq!((shown.experiment, shown.killed.is_some()), (None, kind == "kill"));
        if kind == "kill" {
            assert_eq!(code(try_start(&house, Role::Operator, "tone").await), "killed");
            house.control.app_action(&house.omar(), &app(), None, action("unkill")).await.unwrap();
        }
        house.pass(1000).await;
        let shown = served(&house).await;
        let decision = route(&shown, Facts { subject: "ana", segment: None });
        assert_eq!((decision.arm, decision.release), (Arm::Stable, production));
    }
}

#[tokio::test]
async fn a_kill_thrown_at_a_gateway_ends_it_too() {
    let (house, id) = started(TONE).await;
    let kill = domain::snapshot::LocalKill {
        id: "k-1".to_owned(),
        gateway: "gw-1".parse().unwrap(),
        at: Timestamp(house.now.load(Ordering::SeqCst)),
        app: app(),
        killed: true,
        by: "omar".to_owned(),
        reason: "control was away".to_owned(),
    };
    house.control.journal(&[kill]).await.unwrap();
    assert_eq!(served(&house).await.experiment, None, "at once");
    house.pass(1000).await;
    assert_eq!(seen(&house, id).await.phase, Phase::Ended { how: Ending::Killed });
}

#[tokio::test]
async fn only_operators_start_and_only_what_was_reviewed() {
    let house = House::new().await;
    assert_eq!(code(try_start(&house, Role::Operator, "tone").await), "no_such_experiment_file");
    let change = propose(&house, tone(TONE)).await;
    assert_eq!(
        code(try_start(&house, Role::Operator, "tone").await),
        "no_such_experiment_file",
        "a branch is not main"
    );
    approve(&house, change).await;
    for role in [Role::Editor, Role::Approver, Role::Auditor] {
        assert_eq!(code(try_start(&house, role, "tone").await), "not_allowed");
    }
    assert_eq!(code(try_start(&house, Role::Operator, "tune").await), "no_such_experiment_file");
    try_start(&house, Role::Operator, "tone").await.unwrap();
}

#[tokio::test]
async fn a_variant_that_could_not_answer_fails_the_gates() {
    let house = House::new().await;
    for (policy, text) in [
        (TONE.replace("prompt: kind", "prompt: gone"), "there is no prompt `gone`"),
        (TONE.replace("{name: today}", "{name: today, model: small}"), "is control"),
        (TONE.replace("floor", "segments: [web]\nfloor"), "go together"),
    ] {
        let change = propose(&house, tone(&policy)).await;
        let view = house.control.change(&house.ana(), change).await.unwrap();
        assert_eq!(view.state, ChangeState::NeedsFixes);
        let report = serde_json::to_string(&view.report).unwrap();
        assert!(report.contains(text), "{report}");
        house.control.withdraw(&house.ana(), change, None).await.unwrap();
    }
    let mut edits = tone(TONE);
    for edit in edits.iter_mut().filter(|e| e.path.ends_with("kind/system.j2")) {
        edit.content = Some("Greet {{ nobody }}.\n".to_owned());
    }
    let change = propose(&house, edits).await;
    let view = house.control.change(&house.ana(), change).await.unwrap();
    assert_eq!(view.state, ChangeState::NeedsFixes);
    let report = view.report.unwrap();
    let gate = report.gates.iter().find(|gate| gate.gate == "experiments").unwrap();
    assert!(gate.findings.iter().any(|f| f.message.contains("nobody")), "{gate:?}");
}

#[tokio::test]
async fn each_segment_is_divided_by_its_own_numbers() {
    let policy = TONE.replace("floor", "segments: [web]\nsegment_by: channel\nfloor");
    let (house, id) = started(&policy).await;
    let segments = [Some("web"), None];
    let fate = |name: &str, i: u64| {
        let best = if i.is_multiple_of(2) { "short" } else { "kind" };
        (false, coin(i, if name == best { 0.6 } else { 0.2 }))
    };
    for second in 0..40 {
        visit(&house, second * 30..second * 30 + 30, &segments, &|_, _| false, &fate).await;
    }
    let view = seen(&house, id).await;
    let share = |variant: usize, group: usize| view.variants[variant].shares[group].bp();
    assert!(share(1, 0) > 5000, "the web likes it short: {:?}", view.variants);
    assert!(share(2, 1) > 5000, "everybody else likes it kind: {:?}", view.variants);
}
