use super::*;
use domain::ids::{Digest, RequestId};
use proptest::prelude::*;

fn event(arm: Arm, at: i64, status: AnswerStatus, latency_us: u64, cost: u64) -> Event {
    RequestRecord {
        id: RequestId::from_random([1; 15]),
        at: Timestamp(at),
        gateway: "gw".parse().unwrap(),
        app: "app".parse().unwrap(),
        release: ReleaseId(Digest::of(b"r")),
        arm,
        rollout: Some(RolloutId(1)),
        step: 0,
        share: Share::from_bp(5000),
        drawn: None,
        generation: Generation(1),
        bucket: 0,
        subject: String::new(),
        tenant: None,
        input: Digest::of(b"i"),
        status,
        error: None,
        fallback: "none".to_owned(),
        streamed: false,
        latency_us,
        ttft_us: latency_us / 2,
        retries: 1,
        prompt_tokens: 10,
        completion_tokens: 5,
        cost_nano_usd: cost,
        schema_failed: None,
        served_model: None,
        prompt: None,
        answer: None,
        preview: None,
    }
}

fn some_event() -> impl Strategy<Value = Event> {
    let arm = prop_oneof![Just(Arm::Control), Just(Arm::Candidate), Just(Arm::Shadow)];
    let status = prop_oneof![
        Just(AnswerStatus::Ok),
        Just(AnswerStatus::Timeout),
        Just(AnswerStatus::ProviderError),
        Just(AnswerStatus::BadRequest),
        Just(AnswerStatus::Killed),
    ];
    (arm, 0..5_000_i64, status, 0..u64::MAX, 0..u64::MAX)
        .prop_map(|(arm, at, status, latency, cost)| event(arm, at, status, latency, cost))
}

proptest! {
    #[test]
    fn ten_gateways_count_as_one(events in proptest::collection::vec((some_event(), 0..10_usize), 0..60)) {
        let mut one = Cells::default();
        let mut ten = vec![Cells::default(); 10];
        for (event, gateway) in &events {
            one.add(event);
            ten[*gateway].add(event);
        }
        let mut forward = Cells::default();
        ten.iter().for_each(|cells| forward.merge(cells));
        let mut backward = Cells::default();
        ten.iter().rev().for_each(|cells| backward.merge(cells));
        prop_assert_eq!(&forward, &one);
        prop_assert_eq!(&backward, &one);
    }

    #[test]
    fn cells_read_back(events in proptest::collection::vec(some_event(), 1..20), values in proptest::collection::vec(-10.0..10.0_f64, 0..5)) {
        let mut cell = Cell::default();
        events.iter().for_each(|event| cell.add(event));
        values.iter().for_each(|value| cell.add_feedback("accepted", *value));
        let text = serde_json::to_string(&cell).unwrap();
        prop_assert_eq!(serde_json::from_str::<Cell>(&text).unwrap(), cell);
    }
}

#[test]
fn what_is_not_the_arms_fault_is_not_counted_against_it() {
    let mut cell = Cell::default();
    for status in [AnswerStatus::BadRequest, AnswerStatus::Killed, AnswerStatus::Cancelled] {
        cell.add(&event(Arm::Candidate, 0, status, 1, 1));
    }
    assert_eq!((cell.n, cell.errors(), cell.cost_usd.count()), (0, 0, 0));
    for status in [AnswerStatus::Ok, AnswerStatus::Timeout, AnswerStatus::Cut] {
        cell.add(&event(Arm::Candidate, 0, status, 1, 1));
    }
    assert_eq!((cell.n, cell.errors(), cell.latency_ms.count()), (3, 2, 1));
}

#[test]
fn an_answer_counts_in_the_second_it_ended() {
    let late = event(Arm::Candidate, 1_900, AnswerStatus::Ok, 2_200_000, 0);
    assert_eq!(CellKey::of(&late).second, 4);
    let absurd = event(Arm::Candidate, i64::MAX, AnswerStatus::Ok, u64::MAX, 0);
    assert!(CellKey::of(&absurd).second > 0);
}

#[test]
fn numbers_that_are_none_are_set_aside() {
    let mut cell = FeedbackCell::default();
    for value in [0.0, 1.0, 0.25, f64::NAN, f64::INFINITY, 2e6] {
        cell.add(value);
    }
    assert_eq!((cell.n, cell.zeros, cell.ones, cell.unusable), (3, 1, 1, 3));
    assert_eq!((cell.sum(), cell.sum_sq()), (1.25, Some(1.0625)));
}

#[test]
fn answers_held_against_a_schema_are_counted_apart() {
    let mut cell = Cell::default();
    for schema_failed in [None, Some(false), Some(true), Some(true)] {
        cell.add(&Event { schema_failed, ..event(Arm::Control, 0, AnswerStatus::Ok, 1, 1) });
    }
    let mut twice = cell.clone();
    twice.merge(&cell);
    assert_eq!((cell.n, cell.schema_checked, cell.schema_failures), (4, 3, 2));
    assert_eq!((twice.schema_checked, twice.schema_failures), (6, 4));
}
