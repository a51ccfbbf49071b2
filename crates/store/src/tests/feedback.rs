use super::telemetry::{ROLLOUT, all_cells, batch, record};
use super::{Home, NOW};
use crate::{FEEDBACK_PATIENCE, Ingested, MAX_WAITING_FEEDBACK, StatementQuery, Store};
use analysis::{Batch, CellKey, FeedbackCell};
use domain::ids::RequestId;
use domain::routing::Arm;
use domain::telemetry::{AnswerStatus, Feedback, RequestRecord};
use domain::units::{Span, Timestamp};

/// A minute after the answers: when people speak.
const LATER: Timestamp = Timestamp(NOW.0 + 60_000);

fn about(id: &RequestId, value: f64) -> Feedback {
    Feedback {
        request_id: Some(id.clone()),
        subject: None,
        app: None,
        name: "accepted".to_owned(),
        value,
        comment: None,
        shadow: false,
    }
}

fn by_subject(subject: &str, value: f64) -> Feedback {
    Feedback {
        request_id: None,
        subject: Some(subject.to_owned()),
        app: "support".parse().ok(),
        ..about(&record(0).id, value)
    }
}

async fn say(store: &Store, seq: u64, feedback: &[(Timestamp, Feedback)]) -> Ingested {
    let batch = Batch { feedback: feedback.to_vec(), ..batch(seq, &[]) };
    store.ingest(&batch, LATER).await.unwrap()
}

/// The feedback cells called `accepted`, with where they count.
async fn accepted(store: &Store) -> Vec<(CellKey, FeedbackCell)> {
    let cells = all_cells(store).await;
    cells
        .into_iter()
        .filter_map(|(key, mut cell)| cell.feedback.remove("accepted").map(|found| (key, found)))
        .collect()
}

#[tokio::test]
async fn feedback_counts_for_the_arm_that_answered_when_it_became_known() {
    let home = Home::new().await;
    home.store.ingest(&batch(1, &[record(1), record(2)]), NOW).await.unwrap();
    let said = [(LATER, about(&record(1).id, 1.0)), (LATER, about(&record(2).id, 0.0))];
    let done = say(&home.store, 2, &said).await;
    assert_eq!(done.feedback_counted, 2);
    let found = accepted(&home.store).await;
    let [(key, cell)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(*key, CellKey::known_at(&record(1), LATER), "arm, step and share of the answer");
    assert_eq!((cell.n, cell.ones, cell.zeros), (2, 1, 1));
}

#[tokio::test]
async fn one_input_speaks_once_per_arm() {
    let home = Home::new().await;
    let same = RequestRecord { input: record(1).input, ..record(2) };
    let control = RequestRecord { input: record(1).input, arm: Arm::Control, ..record(3) };
    home.store.ingest(&batch(1, &[record(1), same.clone(), control.clone()]), NOW).await.unwrap();
    let other_name = Feedback { name: "csat".to_owned(), ..about(&record(1).id, 4.0) };
    let said = [
        (LATER, about(&record(1).id, 0.0)),
        (LATER, about(&record(1).id, 1.0)),
        (LATER, about(&same.id, 1.0)),
        (LATER, about(&control.id, 1.0)),
        (LATER, other_name),
    ];
    let done = say(&home.store, 2, &said).await;
    assert_eq!((done.feedback_counted, done.feedback_repeated), (3, 2));
    let found = accepted(&home.store).await;
    let counts: Vec<_> = found.iter().map(|(key, cell)| (key.arm, cell.n, cell.ones)).collect();
    assert_eq!(counts, [(Arm::Candidate, 1, 0), (Arm::Control, 1, 1)], "the first word stands");
    let again = say(&home.store, 3, &[(LATER, about(&same.id, 1.0))]).await;
    assert_eq!((again.feedback_counted, again.feedback_repeated), (0, 1));
}

#[tokio::test]
async fn outside_a_rollout_each_request_speaks_for_itself() {
    let home = Home::new().await;
    let stable =
        |n| RequestRecord { input: record(1).input, arm: Arm::Stable, rollout: None, ..record(n) };
    home.store.ingest(&batch(1, &[stable(1), stable(2)]), NOW).await.unwrap();
    let said = [
        (LATER, about(&stable(1).id, 1.0)),
        (LATER, about(&stable(2).id, 1.0)),
        (LATER, about(&stable(2).id, 1.0)),
    ];
    let done = say(&home.store, 2, &said).await;
    assert_eq!((done.feedback_counted, done.feedback_repeated), (2, 1));
}

#[tokio::test]
async fn feedback_by_subject_finds_the_latest_answer_before_it() {
    let home = Home::new().await;
    let of = |n: u8, at: i64, arm| RequestRecord {
        subject: "s".to_owned(),
        at: Timestamp(at),
        arm,
        ..record(n)
    };
    let records = [
        of(1, NOW.0, Arm::Control),
        of(2, NOW.0 + 10, Arm::Candidate),
        of(2, NOW.0 + 10, Arm::Shadow),
        of(3, LATER.0 + 1, Arm::Control),
    ];
    home.store.ingest(&batch(1, &records), NOW).await.unwrap();
    say(&home.store, 2, &[(LATER, by_subject("s", 1.0))]).await;
    let said = home.store.statements(&StatementQuery::about(&record(2).id)).await.unwrap().items;
    let arms: Vec<Arm> = said.iter().map(|statement| statement.arm).collect();
    assert_eq!(arms, [Arm::Candidate], "neither an older, nor a newer, nor the mirrored one");
}

#[tokio::test]
async fn a_label_of_the_mirrored_answer_counts_for_the_shadow() {
    let home = Home::new().await;
    let served = RequestRecord { arm: Arm::Control, ..record(1) };
    let mirrored = RequestRecord { arm: Arm::Shadow, ..record(1) };
    home.store.ingest(&batch(1, &[served, mirrored]), NOW).await.unwrap();
    let label = Feedback { shadow: true, ..about(&record(1).id, 1.0) };
    say(&home.store, 2, &[(LATER, label), (LATER, about(&record(1).id, 0.0))]).await;
    let found = accepted(&home.store).await;
    let counts: Vec<_> = found.iter().map(|(key, cell)| (key.arm, cell.ones, cell.zeros)).collect();
    assert_eq!(counts, [(Arm::Control, 0, 1), (Arm::Shadow, 1, 0)]);
}

#[tokio::test]
async fn feedback_that_overtakes_its_record_waits_for_it() {
    let home = Home::new().await;
    let subject = record(2).subject;
    let label = Feedback { shadow: true, ..about(&record(3).id, 1.0) };
    let early =
        [(LATER, about(&record(1).id, 1.0)), (LATER, by_subject(&subject, 0.0)), (LATER, label)];
    let done = say(&home.store, 1, &early).await;
    assert_eq!((done.feedback_waiting, done.feedback_counted), (3, 0));
    // A served answer is not the mirrored one the label speaks of.
    let done = home.store.ingest(&batch(2, &[record(3)]), LATER).await.unwrap();
    assert_eq!(done.feedback_counted, 0);
    let done = home.store.ingest(&batch(3, &[record(1), record(2)]), LATER).await.unwrap();
    assert_eq!(done.feedback_counted, 2);
    let found = accepted(&home.store).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0.second, LATER.second(), "it counts where it became known");
    assert_eq!((found[0].1.ones, found[0].1.zeros), (1, 1));
    let mirrored = RequestRecord { arm: Arm::Shadow, ..record(3) };
    let done = home.store.ingest(&batch(4, &[mirrored]), LATER).await.unwrap();
    assert_eq!(done.feedback_counted, 1);
    let done = home.store.ingest(&batch(5, &[]), LATER).await.unwrap();
    assert_eq!((done.feedback_counted, done.feedback_unknown), (0, 0), "counted once");
}

#[tokio::test]
async fn feedback_does_not_wait_for_ever() {
    let home = Home::new().await;
    say(&home.store, 1, &[(LATER, about(&record(1).id, 1.0))]).await;
    let end = LATER.plus(FEEDBACK_PATIENCE);
    let done = home.store.ingest(&batch(2, &[]), end).await.unwrap();
    assert_eq!(done.feedback_unknown, 0);
    let done = home.store.ingest(&batch(3, &[]), end.plus(Span::from_millis(1))).await.unwrap();
    assert_eq!(done.feedback_unknown, 1);
    let done = home.store.ingest(&batch(4, &[record(1)]), end).await.unwrap();
    assert_eq!(done.feedback_counted, 0);
}

#[tokio::test]
async fn only_so_many_wait() {
    let home = Home::new().await;
    let mut writing = home.store.telemetry.write().await.unwrap();
    sqlx::query(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
         INSERT INTO waiting_feedback (at, until, id, shadow, feedback)
         SELECT 0, ?, 'req_' || i, 0, '{}' FROM n",
    )
    .bind(i64::from(MAX_WAITING_FEEDBACK) - 1)
    .bind(i64::MAX)
    .execute(writing.connection())
    .await
    .unwrap();
    writing.commit().await.unwrap();
    let two = [(LATER, about(&record(1).id, 1.0)), (LATER, about(&record(2).id, 1.0))];
    let done = say(&home.store, 1, &two).await;
    assert_eq!((done.feedback_waiting, done.feedback_unknown), (1, 1));
}

#[tokio::test]
async fn what_cannot_be_counted_is_reported() {
    let home = Home::new().await;
    home.store.ingest(&batch(1, &[record(1), record(2)]), NOW).await.unwrap();
    let said = [
        (LATER, Feedback { request_id: None, ..about(&record(1).id, 1.0) }),
        (LATER, Feedback { name: String::new(), ..about(&record(1).id, 1.0) }),
        (LATER, Feedback { name: "x".repeat(65), ..about(&record(1).id, 1.0) }),
        (LATER, about(&record(9).id, f64::NAN)),
        (LATER, Feedback { app: "other".parse().ok(), ..about(&record(1).id, 1.0) }),
        (LATER, about(&record(2).id, f64::NAN)),
    ];
    let done = say(&home.store, 2, &said).await;
    assert_eq!((done.feedback_unknown, done.feedback_waiting, done.feedback_counted), (4, 1, 1));
    let found = accepted(&home.store).await;
    assert_eq!((found[0].1.n, found[0].1.unusable), (0, 1), "not a number is counted as such");
}

#[tokio::test]
async fn an_answer_of_the_kill_switch_gets_no_count() {
    let home = Home::new().await;
    let killed = RequestRecord { status: AnswerStatus::Killed, ..record(1) };
    let same_input = RequestRecord { input: killed.input, ..record(2) };
    home.store.ingest(&batch(1, &[killed.clone(), same_input.clone()]), NOW).await.unwrap();
    let done = say(&home.store, 2, &[(LATER, about(&killed.id, 0.0))]).await;
    assert_eq!((done.feedback_counted, done.feedback_repeated), (0, 0));
    assert_eq!(accepted(&home.store).await, []);
    let kept = home.store.statements(&StatementQuery::about(&killed.id)).await.unwrap();
    assert_eq!(kept.items.len(), 1, "what was said is kept");
    let done = say(&home.store, 3, &[(LATER, about(&same_input.id, 1.0))]).await;
    assert_eq!(done.feedback_counted, 1, "and takes nothing from the real answer");
}

#[tokio::test]
async fn statements_are_listed_for_an_incident() {
    let home = Home::new().await;
    let records: Vec<_> = (0..10).map(record).collect();
    home.store.ingest(&batch(1, &records), NOW).await.unwrap();
    let said: Vec<_> = records
        .iter()
        .map(|record| (LATER, Feedback { comment: Some("c".to_owned()), ..about(&record.id, 0.0) }))
        .collect();
    say(&home.store, 2, &said).await;
    let query = StatementQuery {
        rollout: Some(ROLLOUT),
        arm: Some(Arm::Candidate),
        name: Some("accepted".to_owned()),
        limit: 6,
        ..StatementQuery::default()
    };
    let first = home.store.statements(&query).await.unwrap();
    let rest = StatementQuery { cursor: first.next, ..query };
    let rest = home.store.statements(&rest).await.unwrap();
    let ids: Vec<_> = first.items.iter().chain(&rest.items).map(|s| s.request.clone()).collect();
    assert_eq!(ids, records.iter().rev().map(|r| r.id.clone()).collect::<Vec<_>>());
    assert_eq!(first.items[0].value, Some(0.0));
    assert!(!format!("{:?}", first.items[0]).contains("Some(\"c\")"), "comments print redacted");
}
